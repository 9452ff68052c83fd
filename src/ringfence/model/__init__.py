"""What is: the frozen nouns of ringfence, each with the errors that concern it. No I/O, no clock, no randomness."""
