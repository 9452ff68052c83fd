"""A story: one operation as it is told, step by step, each step durable and shown to the user.

A step's outcome is recorded as plain JSON, a value or an error record, so that a story told again after a crash hears
the same and goes on where it stopped. Effects belong in steps, and only there; what stands between steps must decide
the same each time. No DBOS here (that is `runtime`), and nothing about any one operation.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ringfence.decide.segmentation import Fabric, Intent, compile_fabric
from ringfence.errors import ErrorRecord, Refused, RingfenceError, Unfinished, Unreachable, from_record
from ringfence.model.actors import Actor
from ringfence.model.names import HostId
from ringfence.model.operations import Operation, OperationState, StepState
from ringfence.ports import Fence, Hypervisors, Records
from ringfence.workflows import crash_points

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class World:
    """The ports that stories act through, the compiler of the fence, and whether the hosts are simulated."""

    records: Records
    hypervisors: Hypervisors
    fence: Fence
    compile_fence: Callable[[Intent], Fabric] = compile_fabric
    acting: Callable[[Actor], AbstractContextManager[None]] = lambda _actor: nullcontext()
    """Makes what is changed inside the actor's doing."""
    simulated: bool = False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long stories wait, in seconds, and how often they try."""

    take_seconds: float = 20
    """How long a host that has not been heard of lately has to take a command."""
    image_seconds: float = 900
    prepare_seconds: float = 300
    start_seconds: float = 120
    graceful_stop_seconds: float = 30
    remove_seconds: float = 120
    observe_seconds: float = 20
    receive_seconds: float = 300
    move_seconds: float = 900
    fence_seconds: float = 30
    undo_seconds: float = 86_400
    """How long a rollback, or what can only go forward, waits for a host that does not answer."""
    tries: int = 3
    placements: int = 5
    pause_first_seconds: float = 0.25
    pause_longest_seconds: float = 15


class Clock(Protocol):
    """Time, for steps only: what stands between steps must not read it."""

    def now(self) -> float:
        """Seconds of UTC since 1970."""
        ...

    def pause(self, seconds: float) -> None:
        """Let time pass; raises `Stopping` when the process ends meanwhile."""
        ...

    def check(self) -> None:
        """Raise `Stopping` if the process is about to end."""
        ...


class Stopping(BaseException):
    """The process ends; the story is told on by the next one. Not an `Exception`, so that no step swallows it."""


@dataclass(eq=False)
class StepBroke(Unfinished):
    """Step {step} met an error nobody had thought of: {what}.

    It is a defect: the controller's log has the details. What the operation had done is undone.
    """

    step: str
    what: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did: a sentence for people, and a JSON value for what comes after it."""

    detail: str = ""
    value: Any = None


class Durable(Protocol):
    """Runs an effect once and records its outcome under the name; told again, gives the outcome recorded."""

    def __call__(self, name: str, effect: Callable[[], Any]) -> Any: ...


class Story:
    """One telling of an operation. A new one is made at each telling; what it learns comes from steps alone."""

    def __init__(
        self, operation: Operation, *, world: World, patience: Patience, clock: Clock, durable: Durable
    ) -> None:
        self.operation = operation
        self.world = world
        self.patience = patience
        self.clock = clock
        self._durable = durable
        self._number = 0
        self._told: set[str] = set()
        self.left_on: set[HostId] = set()
        """Hosts that may hold something of the operation's, as its steps so far tell."""

    def step(self, name: str, effect: Callable[[int], Done], *, tries: int | None = None) -> Any:
        """Do the effect in a durable step and give its value; `Unreachable` is tried again, bounded, with jitter.

        The effect is told the try's number, from 1, and may run more than once: it must be idempotent. Raises the
        step's error, whatever it was, as one of ours.
        """
        most = tries if tries is not None else self.patience.tries
        return self._step(name, lambda: self._try(name, effect, lambda tried, _error: tried < most))

    def insist(self, name: str, effect: Callable[[int], Done]) -> Any:
        """Do a step that must not fail lightly: undoing, or what can only go forward.

        After the tries of any step, it repeats `Unreachable` for as long as `patience.undo_seconds`, across crashes,
        and `Unfinished` a few times more.
        """
        try:
            return self.step(name, effect)
        except (Refused, StepBroke):
            raise
        except RingfenceError:
            since: float = self._durable(f"{name}: since", lambda: {"value": self.clock.now()})["value"]
        until = since + self.patience.undo_seconds

        def again(tried: int, error: RingfenceError) -> bool:
            if isinstance(error, Unreachable):
                return self.clock.now() < until
            return tried < self.patience.tries

        return self._step(f"{name}, patiently", lambda: self._try(name, effect, again))

    def has_told(self, name: str) -> bool:
        """Tell whether the step was begun, now or in an earlier telling."""
        return name in self._told

    def begins(self) -> None:
        self._became("begin", OperationState.RUNNING)

    def rolls_back(self) -> None:
        """Say, before the first step that undoes, that the operation is being rolled back."""
        self._became("roll back", OperationState.ROLLING_BACK)

    def ends(self, error: RingfenceError | None, result: Mapping[str, Any] | None = None) -> None:
        state = OperationState.DONE if error is None else OperationState.FAILED
        self._became("end", state, error=error.record() if error else None, result=result)

    def _step(self, name: str, attempt: Callable[[], Done]) -> Any:
        # The name is part of the keys of commands: two steps of one name would be one command.
        assert name not in self._told, f"two steps of one operation are named {name!r}"
        self._told.add(name)
        self._number += 1
        number, operation = self._number, self.operation

        def perform() -> Any:
            self._progress(lambda: self.world.records.step_began(operation.id, number, name))
            self.clock.check()
            crash_points.passed(f"{operation.kind}/{name}/before")
            try:
                done = attempt()
                outcome: dict[str, Any] = {"value": done.value}
                state, detail = StepState.DONE, done.detail
            except RingfenceError as error:
                # An error met while the process ends may come of its ending, and is not recorded.
                self.clock.check()
                outcome = {"error": asdict(error.record())}
                state, detail = StepState.FAILED, error.message
            crash_points.passed(f"{operation.kind}/{name}/after")
            self._progress(lambda: self.world.records.step_ended(operation.id, number, state, detail))
            return plain(outcome)

        outcome = self._durable(name, perform)
        if "error" in outcome:
            raise from_record(ErrorRecord(**outcome["error"]))
        return outcome["value"]

    def _try(self, name: str, effect: Callable[[int], Done], again: Callable[[int, RingfenceError], bool]) -> Done:
        tried = 0
        while True:
            tried += 1
            try:
                return effect(tried)
            except RingfenceError as error:
                if isinstance(error, Refused) or not again(tried, error):
                    raise
                _log.info("%s %s: try %d: %s", self.operation.kind, name, tried, error.message)
            except Exception as bug:
                self.clock.check()
                _log.exception("%s %s: step broke", self.operation.kind, name)
                raise StepBroke(step=name, what=type(bug).__name__) from bug
            self.clock.pause(self._pause_seconds(name, tried))

    def _pause_seconds(self, name: str, tried: int) -> float:
        doubled = self.patience.pause_first_seconds * 2.0 ** min(tried - 1, 16)
        longest = min(self.patience.pause_longest_seconds, doubled)
        # Jitter from what is known, so that a simulation replays; it need not be hard to guess.
        return longest * random.Random(f"{self.operation.id}/{name}/{tried}").uniform(0.5, 1.0)  # noqa: S311

    def _became(
        self,
        name: str,
        state: OperationState,
        *,
        error: ErrorRecord | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        def perform() -> dict[str, Any]:
            crash_points.passed(f"{self.operation.kind}/{name}/before")
            self._surely(
                lambda: self.world.records.operation_became(self.operation.id, state, error=error, result=result)
            )
            crash_points.passed(f"{self.operation.kind}/{name}/after")
            return {"value": None}

        self._durable(name, perform)

    def _progress(self, tell: Callable[[], None]) -> None:
        """Record progress; an operation goes on when only its progress cannot be told."""
        try:
            tell()
        except Exception:  # noqa: BLE001 - whatever the store raises
            self.clock.check()
            _log.exception("%s %s: progress not recorded", self.operation.kind, self.operation.id)

    def _surely(self, tell: Callable[[], None]) -> None:
        """Record what must be recorded; a store that stays away leaves the operation to the next launch."""
        for tried in range(1, 100):
            try:
                tell()
            except Exception:  # noqa: BLE001 - whatever the store raises
                self.clock.check()
                _log.exception("%s %s: try %d to record its state", self.operation.kind, self.operation.id, tried)
                self.clock.pause(self._pause_seconds("state", tried))
            else:
                return
        raise Stopping


def plain(value: Any) -> Any:
    """Give the value as it comes back from JSON, so that the first telling hears what a later one will."""
    return json.loads(json.dumps(value, default=list))
