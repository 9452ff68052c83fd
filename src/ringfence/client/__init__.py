"""A Python client of the API: where the controller is, and one connection to it. For the command line and the lab."""
