"""The same signals for every run of the tests, however it was started."""

import signal

# A shell that starts a job in the background has it ignore Ctrl-C, and what the tests start and interrupt would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
