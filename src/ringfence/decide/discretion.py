"""What is left out for those who may not see hosts: to them a VM runs, and where is not told. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ringfence.errors import ErrorRecord, Relayed, from_record
from ringfence.model.operations import Operation

_INSTEAD: Mapping[str, Any] = {
    "host": "a host",
    "hosts": [],
    "rejected": {"every host": "not for it, as things are now"},
    "beside": ["another"],
}
"""Facts of errors that tell of hosts or of who else runs there, and what is told instead."""


def discreet_operation(operation: Operation) -> Operation:
    """Give the operation without where it was carried out; its steps, and how they ended, stay."""
    return replace(
        operation,
        asked={key: value for key, value in operation.asked.items() if key != "host_id"},
        steps=tuple(replace(step, detail="") for step in operation.steps),
        result={},
        error=None if operation.error is None else discreet_error(operation.error),
    )


def discreet_error(record: ErrorRecord) -> ErrorRecord:
    """Give the error without the hosts it names."""
    error = from_record(record)
    if isinstance(error, Relayed):
        # An error of another program's: what its words tell is not known.
        return replace(record, message=f"It failed: {record.code}.", facts={})
    facts = record.facts | {key: value for key, value in _INSTEAD.items() if key in record.facts}
    return from_record(replace(record, facts=facts)).record()
