"""Operations: every change is a newer version; what ended stays ended."""

from __future__ import annotations

import pytest

from ringfence.errors import NotFound
from ringfence.model.operations import OperationKind, OperationState, StepState
from ringfence.store import operations

pytestmark = pytest.mark.store


@pytest.fixture
def operation(store):
    with store.transaction() as session:
        return operations.add_operation(
            session, kind=OperationKind.VERIFY, subject_id="s", subject_name="cloud", asked={"deep": [1, None]}
        )


def test_every_change_makes_a_newer_version_and_rings(store, operation):
    rung = []
    store.on_change(lambda *change: rung.append(change))
    versions = [operation.version]

    def step(change, *arguments, **more):
        with store.transaction() as session:
            change(session, operation.id, *arguments, **more)
            versions.append(operations.operation(session, operation.id).version)

    step(operations.operation_became, OperationState.RUNNING)
    step(operations.step_began, 1, "look")
    step(operations.step_ended, 1, StepState.DONE, "saw it")
    step(operations.operation_became, OperationState.DONE, result={"ok": True})
    assert versions == [1, 2, 3, 4, 5]
    assert rung == [("operation", operation.id)] * 4


def test_steps_are_told_in_order_and_a_repeated_step_keeps_its_beginning(store, operation):
    with store.transaction() as session:
        operations.step_began(session, operation.id, 2, "second")
        operations.step_began(session, operation.id, 1, "first")
        operations.step_ended(session, operation.id, 1, StepState.FAILED, "no")
        before = operations.operation(session, operation.id).steps[0]
        operations.step_began(session, operation.id, 1, "first")
        operations.step_ended(session, operation.id, 1, StepState.DONE, "yes")
        steps = operations.operation(session, operation.id).steps
    assert [(step.number, step.name) for step in steps] == [(1, "first"), (2, "second")]
    assert (steps[0].started_at, steps[0].state, steps[0].detail) == (before.started_at, StepState.DONE, "yes")
    assert steps[1].ended_at is None


def test_an_operation_that_ended_stays_as_it_ended(store, operation):
    error = NotFound(kind="host", ref="h1").record()
    with store.transaction() as session:
        operations.operation_became(session, operation.id, OperationState.FAILED, error=error)
        failed = operations.operation(session, operation.id)
        operations.operation_became(session, operation.id, OperationState.DONE, result={"ok": True})
        assert operations.operation(session, operation.id) == failed
    assert (failed.state, failed.error, failed.asked) == (OperationState.FAILED, error, {"deep": [1, None]})
    assert failed.ended_at is not None


def test_unfinished_operations_are_those_that_did_not_end(store, operation):
    with store.transaction() as session:
        other = operations.add_operation(session, kind=OperationKind.VERIFY, subject_id="s", subject_name="cloud")
        operations.operation_became(session, operation.id, OperationState.DONE)
        assert operations.unfinished_operations(session) == [other]
        newest = operations.operations(session, limit=1)
        assert newest.items == (other,)
        assert operations.operations(session, after=newest.next).items[0].id == operation.id
        assert operations.operations(session, state=OperationState.DONE, subject_id="s").items[0].id == operation.id


def test_a_step_of_no_operation_is_refused(store, operation):
    with pytest.raises(NotFound), store.transaction() as session:
        operations.step_began(session, "01a207dd-0000-7000-8000-000000000000", 1, "look")
    with pytest.raises(NotFound), store.transaction() as session:
        operations.step_ended(session, operation.id, 7, StepState.DONE, "")
