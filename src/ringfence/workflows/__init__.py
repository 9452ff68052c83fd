"""Durable operations, one file each, in terms of the ports; `runtime` runs them."""
