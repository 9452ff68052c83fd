"""Bells: wake whoever waits for a topic in this process, thread or coroutine. Carries no content and loses none.

A bell only says "look again": what is to be seen is in the database. Other controllers' changes ring no bell here, so
every waiter also looks by itself now and then.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bells:
    """One process's bells. `ring` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, set[Callable[[], None]]] = {}
        self._stopped = False

    def ring(self, topic: str) -> None:
        """Wake everyone who listens to the topic."""
        with self._lock:
            wakers = list(self._listeners.get(topic, ()))
        for wake in wakers:
            wake()

    def stop(self) -> None:
        """Wake everyone, now and in future: the process ends."""
        with self._lock:
            self._stopped = True
            wakers = [wake for listeners in self._listeners.values() for wake in listeners]
        for wake in wakers:
            wake()

    @property
    def stopped(self) -> bool:
        return self._stopped

    @contextmanager
    def listen_in_thread(self, *topics: str) -> Iterator[threading.Event]:
        """Give an event that is set by each ring from now on; the waiter clears it *before* it looks."""
        event = threading.Event()
        with self._listening(topics, event.set):
            yield event

    @contextmanager
    def listen(self, *topics: str) -> Iterator[asyncio.Event]:
        """Like `listen_in_thread`, for a coroutine."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def wake() -> None:
            # A ring may come while the loop closes; nobody waits any more then.
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        with self._listening(topics, wake):
            yield event

    @contextmanager
    def _listening(self, topics: tuple[str, ...], wake: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            for topic in topics:
                self._listeners.setdefault(topic, set()).add(wake)
            stopped = self._stopped
        if stopped:
            wake()
        try:
            yield
        finally:
            with self._lock:
                for topic in topics:
                    listeners = self._listeners.get(topic)
                    if listeners is not None:
                        listeners.discard(wake)
                        if not listeners:
                            del self._listeners[topic]


async def wait(event: asyncio.Event, *, timeout_seconds: float) -> bool:
    """Wait for the event, and clear it; False if it did not come in time."""
    try:
        async with asyncio.timeout(timeout_seconds):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
