"""The command line: the REST API for terminals, one file a noun. It speaks HTTP to the controller, and nothing else."""
