"""A private cloud for KVM hosts that keeps its tenants apart and can prove it."""

__version__ = "0.1.0"
