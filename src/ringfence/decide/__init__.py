"""What should be: decisions, pure. Facts in, a decision out; no I/O, no clock, no randomness."""
