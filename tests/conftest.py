"""Shared by all tests: nothing but what every test must have."""

import signal

# A shell has its background jobs ignore Ctrl-C, and each process that the tests begin would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
