"""The controller of the controller's own tests, for the command line to speak to."""

from tests.controller.conftest import cloud, loop

__all__ = ["cloud", "loop"]
