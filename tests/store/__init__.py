"""What every store promises, and what each has of its own."""
