"""Orders put straight into a host's mailbox: what a controller gone wrong could say, past all that would refuse it."""

from __future__ import annotations

import time
import uuid

from ringfence.lab.joined import Cloud
from ringfence.model.vms import VmSpec
from ringfence.store import commands
from ringfence.store.engine import Store, make_engine
from ringfence.store.records import StoredRecords
from ringfence.wire import Answer, AnyVerb


def spec_of(cloud: Cloud, vm_id: str) -> VmSpec:
    store = _store(cloud)
    try:
        return StoredRecords(store).vm_spec(vm_id)  # type: ignore[arg-type]
    finally:
        store.close()


def order(cloud: Cloud, host_id: str, verb: AnyVerb, *, timeout_seconds: float = 60) -> Answer:
    """Have the host do the verb, and give its answer."""
    key = f"test/{uuid.uuid4()}"
    store = _store(cloud)
    try:
        with store.transaction() as session:
            commands.add_command(session, host_id, verb, key=key, patience_seconds=timeout_seconds)  # type: ignore[arg-type]
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            with store.reading() as session:
                answer = commands.answer_of(session, host_id, key)  # type: ignore[arg-type]
            if answer is not None:
                return answer
            time.sleep(0.05)
    finally:
        store.close()
    raise TimeoutError(f"{host_id} has not answered {type(verb).__name__}")


def _store(cloud: Cloud) -> Store:
    return Store(make_engine(f"sqlite:///{cloud.data / 'ringfence.db'}"))
