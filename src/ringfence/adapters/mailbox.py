"""Hosts' agents behind the port `Hypervisors`: a command is put into the host's mailbox, and its answer awaited.

Knows neither the database nor HTTP: `Mailbox` is what it needs of the store, and the bells say when to look. What
agents fetch and post goes through the controller's listener for agents.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ringfence.adapters.bells import Bells
from ringfence.errors import from_record
from ringfence.model.hosts import HostUnreachable
from ringfence.model.names import HostId
from ringfence.wire import Answer, AnyResult, AnyVerb

LOOK_AGAIN_SECONDS = 1.0
"""How often a waiter looks by itself: an answer that came to another controller rings no bell here."""
SILENT_SECONDS = 20.0
"""How long a host whose agent is silent is waited for, however much patience there is."""


class Mailbox(Protocol):
    """The commands for hosts, as the store keeps them. Each call is one transaction."""

    def put(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> str:
        """Put the command there if there is none of that key, and tell its id. One given up before is wanted again."""
        ...

    def answer(self, host_id: HostId, key: str) -> Answer | None: ...

    def withdraw(self, host_id: HostId, key: str) -> bool:
        """Give the command up; True if no agent ever had it, or there is none of that key."""
        ...

    def name_and_reachable(self, host_id: HostId) -> tuple[str, bool]:
        """Tell the host's name, and whether its agent has been heard of lately."""
        ...


def command_topic(host_id: str) -> str:
    """Name the bell that the store rings when a host has a command waiting."""
    return f"command:{host_id}"


def answer_topic(command_id: str) -> str:
    """Name the bell that the store rings when a command was answered or withdrawn."""
    return f"answer:{command_id}"


class MailboxHypervisors:
    """Implements `ports.Hypervisors`. Called from threads; each call waits in its own."""

    def __init__(self, mailbox: Mailbox, bells: Bells, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._mailbox = mailbox
        self._bells = bells
        self._clock = clock

    def ask(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> AnyResult:
        """Have the host do the verb; see `ports.Hypervisors`.

        While the controller stops, it raises `HostUnreachable` at once and leaves the command where it is: the next
        controller asks again under the same key, and waits for the same command.
        """
        command_id = self._mailbox.put(host_id, verb, key=key, patience_seconds=patience_seconds)
        answer = self._await(host_id, key, command_id, patience_seconds=patience_seconds)
        if answer is None and not self._bells.stopped:
            # ORDER: withdrawn, then told, so that a command given up is not done later. An answer between counts.
            self._mailbox.withdraw(host_id, key)
            answer = self._mailbox.answer(host_id, key)
        if answer is None:
            name, _ = self._mailbox.name_and_reachable(host_id)
            asked = str(type(verb).__struct_config__.tag)
            raise HostUnreachable(host=name, asked=asked, patience_seconds=patience_seconds)
        if answer.error is not None:
            raise from_record(answer.error)
        assert answer.result is not None, "an answer holds a result or an error"
        return answer.result

    def withdraw(self, host_id: HostId, *, key: str) -> bool:
        """Take a command back; see `ports.Hypervisors`."""
        return self._mailbox.withdraw(host_id, key)

    def _await(self, host_id: HostId, key: str, command_id: str, *, patience_seconds: float) -> Answer | None:
        deadline = self._clock() + patience_seconds
        heard = self._clock()
        with self._bells.listen_in_thread(answer_topic(command_id)) as bell:
            # ORDER: cleared before each look. A ring between a look and the wait after it is then not lost.
            while not self._bells.stopped:
                bell.clear()
                if (answer := self._mailbox.answer(host_id, key)) is not None:
                    return answer
                now = self._clock()
                if now >= deadline or now - heard > SILENT_SECONDS:
                    return None
                if not bell.wait(min(deadline - now, LOOK_AGAIN_SECONDS)):
                    _, reachable = self._mailbox.name_and_reachable(host_id)
                    heard = self._clock() if reachable else heard
        return None
