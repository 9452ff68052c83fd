"""A Python client of the API: where the controller is, and one connection to it. The command line and the lab use it."""
