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


class Mailbox(Protocol):
    """The commands for hosts, as the store keeps them. Each call is one transaction."""

    def put(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> str:
        """Put the command there if there is none of that key, and tell its id. One given up before is revived."""
        ...

    def answer(self, command_id: str) -> Answer | None: ...

    def withdraw(self, host_id: HostId, *, key: str) -> bool:
        """Give the command up; True if no agent ever had it, or there is none of that key."""
        ...

    def host_name(self, host_id: HostId) -> str: ...


def commands_topic(host_id: str) -> str:
    """Name the bell that rings when a host has a new command."""
    return f"commands:{host_id}"


def answer_topic(command_id: str) -> str:
    """Name the bell that rings when a command was answered."""
    return f"answer:{command_id}"


class MailboxHypervisors:
    """Implements `ports.Hypervisors`. Called from threads; each call waits in its own."""

    def __init__(self, mailbox: Mailbox, bells: Bells, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._mailbox = mailbox
        self._bells = bells
        self._clock = clock

    def ask(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> AnyResult:
        """Have the host do the verb; see `ports.Hypervisors`."""
        deadline = self._clock() + patience_seconds
        command_id = self._mailbox.put(host_id, verb, key=key, patience_seconds=patience_seconds)
        with self._bells.listen_in_thread(answer_topic(command_id)) as bell:
            self._bells.ring(commands_topic(host_id))
            # ORDER: clear, then look. A ring between the look and the wait is then not lost.
            while (answer := self._mailbox.answer(command_id)) is None:
                left = deadline - self._clock()
                if left <= 0 or self._bells.stopped:
                    break
                bell.wait(min(left, LOOK_AGAIN_SECONDS))
                bell.clear()
        if answer is None:
            # ORDER: withdrawn before it is told, so that a command given up is not done later. An answer that came in
            # between counts.
            self._mailbox.withdraw(host_id, key=key)
            answer = self._mailbox.answer(command_id)
        if answer is None:
            asked = str(type(verb).__struct_config__.tag)
            raise HostUnreachable(host=self._mailbox.host_name(host_id), asked=asked, patience_seconds=patience_seconds)
        if answer.error is not None:
            raise from_record(answer.error)
        assert answer.result is not None, "an answer holds a result or an error"
        return answer.result

    def withdraw(self, host_id: HostId, *, key: str) -> bool:
        """Take a command back; see `ports.Hypervisors`."""
        return self._mailbox.withdraw(host_id, key=key)
