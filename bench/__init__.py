"""Each performance figure of ringfence, measured beside its reference in one run; `python -m bench [NAME …]`."""
