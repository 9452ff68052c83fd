"""Who the transactions of this thread or task are made for. Set where a request or an operation enters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ringfence.model.actors import CONTROLLER, Actor

_acting: ContextVar[Actor] = ContextVar("ringfence_acting", default=CONTROLLER)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Make what is changed inside the actor's doing."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def current_actor() -> Actor:
    """Give the one whose doing a change made now is."""
    return _acting.get()
