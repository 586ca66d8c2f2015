"""A cluster on one machine: hosts that share nothing but a network, and what runs on them."""
