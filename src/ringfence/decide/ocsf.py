"""Ledger entries as events of the Open Cybersecurity Schema Framework, for a SIEM. Decides nothing about them.

Class Entity Management (3004) of schema version 1.3.0. What the schema has no place for stands in `unmapped`, under
the ledger's own words.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ringfence.model.actors import ActorKind
from ringfence.model.ledger import Entry, Outcome

VERSION = "1.3.0"
CLASS_UID, CATEGORY_UID = 3004, 3
_ACTIVITIES = {
    "create": (1, "Create"),
    "change": (3, "Update"),
    "remove": (4, "Delete"),
    "open-console": (2, "Read"),
    "open-screen": (2, "Read"),
}
_OTHER = 99
_USER_TYPES = {ActorKind.PERSON: (1, "User"), ActorKind.SERVICE: (3, "System"), ActorKind.CONTROLLER: (3, "System")}


def event(entry: Entry) -> str:
    """Write the entry as an event, on one line."""
    number, name = _ACTIVITIES.get(entry.action, (_OTHER, entry.action))
    done = entry.outcome is Outcome.DONE
    told: dict[str, Any] = {
        "activity_id": number,
        "activity_name": name,
        "actor": {"user": _user(entry)},
        "category_name": "Identity & Access Management",
        "category_uid": CATEGORY_UID,
        "class_name": "Entity Management",
        "class_uid": CLASS_UID,
        "entity": _entity(entry, entry.before if entry.before is not None else entry.after),
        "message": f"{entry.actor.name}: {entry.action} {entry.subject.kind} {entry.subject.name}",
        "metadata": {
            "log_name": "ledger",
            "original_time": entry.at,
            "product": {"name": "ringfence", "vendor_name": "ringfence"},
            "sequence": entry.index,
            "uid": str(entry.index),
            "version": VERSION,
        },
        # Refusals are worth a look: low, where what was done is informational.
        "severity": "Informational" if done else "Low",
        "severity_id": 1 if done else 2,
        "status": "Success" if done else "Failure",
        "status_id": 1 if done else 2,
        "time": int(datetime.fromisoformat(entry.at).timestamp() * 1000),
        "type_name": f"Entity Management: {name if number != _OTHER else 'Other'}",
        "type_uid": CLASS_UID * 100 + number,
        "unmapped": {
            "on_behalf_of": entry.actor.on_behalf_of,
            "project_id": entry.subject.project_id,
            "related_id": entry.subject.related_id,
        },
    }
    if entry.actor.reason:
        told["comment"] = entry.actor.reason
    if entry.actor.source:
        told["src_endpoint"] = {"ip": entry.actor.source}
    if entry.before is not None and entry.after is not None:
        told["entity_result"] = _entity(entry, entry.after)
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _user(entry: Entry) -> dict[str, Any]:
    number, name = _USER_TYPES.get(entry.actor.kind, (_OTHER, str(entry.actor.kind)))
    return {"name": entry.actor.name, "type": name, "type_id": number, "uid": entry.actor.id}


def _entity(entry: Entry, record: Any) -> dict[str, Any]:
    subject = entry.subject
    return {"data": record or {}, "name": subject.name, "type": subject.kind, "uid": subject.id}
