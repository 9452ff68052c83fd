"""The three families of error, and the record that HTTP, CLI, wire and operations share.

A family says what the caller may now assume. A concrete error is a dataclass: its fields are its facts, the first
paragraph of its docstring is its message and the second says what to do; both may name facts in braces. Errors about
one noun live beside that noun in `model`; only those that any noun can raise live here. No I/O, no translation of
foreign errors: the gate that meets a foreign error translates it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

_REGISTRY: dict[str, type[RingfenceError]] = {}


@dataclass(frozen=True, kw_only=True)
class ErrorRecord:
    """An error as it travels: over HTTP, the wire, into an operation.

    `facts` holds JSON values only. `status` is the HTTP status, whatever carries the record.
    """

    code: str
    family: str
    status: int
    message: str
    remedy: str
    facts: dict[str, Any]


@dataclass(eq=False)
class RingfenceError(Exception):
    """Something went wrong.

    Look at the controller's log.
    """

    code: ClassVar[str] = "error"
    family: ClassVar[str] = "unfinished"
    status: ClassVar[int] = 500

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()
        known = _REGISTRY.setdefault(cls.code, cls)
        # A dataclass decorator with slots rebuilds its class; anything else under one code is two errors with one name.
        assert known.__qualname__ == cls.__qualname__, f"two errors share the code {cls.code!r}"
        _REGISTRY[cls.code] = cls

    def __post_init__(self) -> None:
        super().__init__(str(self))

    @property
    def facts(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def message(self) -> str:
        return _paragraph(type(self), 0).format_map(_Shown(self.facts))

    @property
    def remedy(self) -> str:
        return _paragraph(type(self), 1).format_map(_Shown(self.facts))

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return (from_record, (self.record(),))

    def record(self) -> ErrorRecord:
        return ErrorRecord(
            code=self.code,
            family=self.family,
            status=self.status,
            message=self.message,
            remedy=self.remedy,
            facts=self.facts,
        )


@dataclass(eq=False)
class Refused(RingfenceError):
    """Refused.

    Nothing was changed; asking again the same way is refused again.
    """

    family: ClassVar[str] = "refused"
    status: ClassVar[int] = 409


@dataclass(eq=False)
class Unreachable(RingfenceError):
    """Something could not be reached.

    It is not known whether anything was changed; asking again is safe.
    """

    family: ClassVar[str] = "unreachable"
    status: ClassVar[int] = 503


@dataclass(eq=False)
class Unfinished(RingfenceError):
    """A change began and could not be ended.

    It is undone, or what it touched is quarantined; see the operation.
    """

    family: ClassVar[str] = "unfinished"
    status: ClassVar[int] = 500


@dataclass(eq=False)
class NotFound(Refused):
    """There is no {kind} {ref}.

    List what there is, and check the spelling.
    """

    status: ClassVar[int] = 404
    kind: str
    ref: str


@dataclass(eq=False)
class SeveralNamed(Refused):
    """There is more than one {kind} named {name}.

    Say which by its id; a list tells it.
    """

    kind: str
    name: str


@dataclass(eq=False)
class NameTaken(Refused):
    """There is a {kind} named {name} already.

    Choose another name, or use the one that is there.
    """

    kind: str
    name: str


@dataclass(eq=False)
class StillUsed(Refused):
    """{kind} {name} is still used by {used_by}.

    Remove or change what uses it first.
    """

    kind: str
    name: str
    used_by: list[str]


@dataclass(eq=False)
class Invalid(Refused):
    """{field}: {why}.

    Correct it and send the request again.
    """

    status: ClassVar[int] = 422
    field: str
    why: str


@dataclass(eq=False)
class WrongState(Refused):
    """{kind} {name} is {state}; {verb} needs it to be {needs}.

    Wait for what is under way, or bring it to that state first.
    """

    kind: str
    name: str
    state: str
    verb: str
    needs: str


@dataclass(eq=False)
class StaleRevision(Refused):
    """{kind} {name} is at revision {current}; the change was made for revision {asked}.

    Read it again, and make the change to what it is now.
    """

    status: ClassVar[int] = 412
    kind: str
    name: str
    asked: int
    current: int


@dataclass(eq=False)
class ReferenceLost(Refused):
    """Something the request refers to was removed, or came into use, while it was handled.

    Look at what there is now, and ask again.
    """


@dataclass(eq=False)
class IdempotencyKeyReused(Refused):
    """The idempotency key {key} was used for another request.

    Make a new key for each new request, and repeat a key only with the very same request.
    """

    status: ClassVar[int] = 422
    key: str


@dataclass(eq=False)
class RequestInFlight(Refused):
    """The first request with idempotency key {key} has not ended yet.

    Wait a moment and repeat it.
    """

    key: str


@dataclass(eq=False)
class StoreFull(Refused):
    """The database has no room left; nothing was changed.

    Free space where the database lives (`df`), then ask again.
    """

    status: ClassVar[int] = 507


@dataclass(eq=False)
class StoreBusy(Unreachable):
    """The database was busy with other changes for too long; nothing was changed.

    Ask again.
    """


@dataclass(eq=False)
class StoreUnreachable(Unreachable):
    """The database does not answer: {why}.

    See that it runs and that the controller's `--database` URL reaches it.
    """

    why: str


@dataclass(eq=False)
class StoreBroken(Unfinished):
    """The database failed in a way that was not foreseen: {why}.

    The transaction was rolled back. See the database's own log; restore a backup if it is damaged.
    """

    why: str


@dataclass(eq=False)
class Relayed(RingfenceError):
    """An error told by another program in a code that this one does not know.

    Both programs may be of different versions.
    """

    code: ClassVar[str] = "relayed"
    told: dict[str, Any]

    @property
    def message(self) -> str:
        return str(self.told.get("message", ""))

    @property
    def remedy(self) -> str:
        return str(self.told.get("remedy", ""))

    def record(self) -> ErrorRecord:
        return ErrorRecord(**self.told)


def from_record(record: ErrorRecord) -> RingfenceError:
    """Build the error again that a record tells of; one of unknown code or facts comes back as `Relayed`."""
    known = _REGISTRY.get(record.code)
    if known is not None and is_dataclass(known) and {f.name for f in fields(known)} == set(record.facts):
        return known(**record.facts)
    return Relayed(told={f.name: getattr(record, f.name) for f in fields(record)})


def known_errors() -> Mapping[str, type[RingfenceError]]:
    """Every error class loaded so far, by code."""
    return dict(_REGISTRY)


class _Shown(dict[str, Any]):
    """Facts as a message shows them: lists with commas, mappings as `key: value` pairs, an empty list as `none`."""

    def __getitem__(self, key: str) -> str:
        value = super().__getitem__(key)
        if isinstance(value, Mapping):
            return "; ".join(f"{k}: {v}" for k, v in value.items())
        if isinstance(value, list | tuple | set | frozenset):
            return ", ".join(str(v) for v in value) or "none"
        return str(value)


def _paragraph(cls: type, number: int) -> str:
    paragraphs = [" ".join(p.split()) for p in (inspect.getdoc(cls) or "").split("\n\n")]
    return paragraphs[number] if number < len(paragraphs) else ""
