"""Commands: once each, one after another for one VM, at the same time for several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.agent.specs import VM, spec

from ringfence.agent.journal import Journal
from ringfence.agent.link import Work
from ringfence.errors import NotFound, RingfenceError
from ringfence.model.hosts import HostPartDown
from ringfence.wire import Answer, Command, Nothing, ObserveVms, ReceiveMove, Seen, StopVm, Verb

pytestmark = pytest.mark.unit
OTHER = "01920000-0000-7000-8000-000000000002"


class Desk:
    """Does what it is told with verbs, and collects the answers."""

    def __init__(self, folder: Path, act: Callable[[Verb], object]) -> None:
        self.answers: dict[str, Answer] = {}
        self.answered = threading.Semaphore(0)
        self.work = Work(Journal(folder), act, self._take)

    def _take(self, answer: Answer) -> None:
        self.answers[answer.command_id] = answer
        self.answered.release()

    def give(self, command_id: str, verb: Verb, *, key: str = "") -> None:
        self.work.take(Command(id=command_id, key=key or command_id, patience_seconds=1, verb=verb))  # type: ignore[arg-type]

    def await_answers(self, count: int) -> None:
        for _ in range(count):
            assert self.answered.acquire(timeout=10)


def stop(vm_id: str = VM) -> StopVm:
    return StopVm(vm_id=vm_id, graceful_seconds=0.0)


def test_a_command_that_comes_twice_is_done_once_and_answered_twice(tmp_path: Path) -> None:
    done: list[Verb] = []
    desk = Desk(tmp_path, lambda verb: done.append(verb) or Nothing())
    desk.give("1", stop(), key="k")
    desk.await_answers(1)
    again = Desk(tmp_path, lambda verb: done.append(verb) or Nothing())  # as after kill -9
    again.give("1", stop(), key="k")
    again.await_answers(1)
    assert len(done) == 1
    assert again.answers["1"] == desk.answers["1"]


def test_an_answer_that_cannot_be_remembered_is_given_all_the_same(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "gone", lambda _: Nothing())
    desk.give("1", stop())
    desk.await_answers(1)
    assert desk.answers["1"].result == Nothing()
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_is_remembered_and_what_may_pass_is_tried_again(tmp_path: Path) -> None:
    errors: list[RingfenceError] = [
        HostPartDown(why="it hung up"),
        NotFound(kind="VM", ref=VM),
        NotFound(kind="x", ref="x"),
    ]

    def act(_: Verb) -> object:
        raise errors.pop(0)

    desk = Desk(tmp_path, act)
    for command_id in ("1", "2", "3"):
        desk.give(command_id, stop(), key="k")
        desk.await_answers(1)
    told = [answer.error.code if answer.error else "" for answer in desk.answers.values()]
    assert told == ["host-part-down", "not-found", "not-found"]
    assert len(errors) == 1


def test_a_window_is_opened_anew_for_one_who_asks_again(tmp_path: Path) -> None:
    done: list[Verb] = []
    asked = ReceiveMove(vm=spec(), source_host_id=OTHER, source_address="192.0.2.1", window_seconds=60)
    for command_id in ("1", "2"):
        desk = Desk(tmp_path, lambda verb: done.append(verb) or Nothing())  # another agent each time, as after kill -9
        desk.give(command_id, asked, key="k")
        desk.await_answers(1)
    assert done == [asked, asked]


def test_a_look_at_the_host_is_never_answered_from_memory(tmp_path: Path) -> None:
    looks: list[Verb] = []
    desk = Desk(tmp_path, lambda verb: looks.append(verb) or Seen(vms=(), disks=(), windows=(), listening=()))
    for command_id in ("1", "2"):
        desk.give(command_id, ObserveVms(), key="k")
        desk.await_answers(1)
    assert len(looks) == 2


def test_commands_of_one_vm_wait_for_one_another_and_those_of_another_do_not(tmp_path: Path) -> None:
    release, began = threading.Event(), threading.Semaphore(0)
    order: list[str] = []

    def act(verb: Verb) -> Nothing:
        assert isinstance(verb, StopVm)
        order.append(f"{verb.vm_id[-1]}{verb.graceful_seconds:g}")
        began.release()
        if verb.vm_id == VM and verb.graceful_seconds == 1:
            assert release.wait(10)
        return Nothing()

    desk = Desk(tmp_path, act)
    desk.give("1", StopVm(vm_id=VM, graceful_seconds=1))
    desk.give("2", StopVm(vm_id=VM, graceful_seconds=2))
    assert began.acquire(timeout=10)
    desk.give("3", StopVm(vm_id=OTHER, graceful_seconds=3))
    desk.await_answers(1)
    assert order == ["11", "23"]
    release.set()
    desk.await_answers(2)
    assert order == ["11", "23", "12"]


def test_a_command_under_way_is_not_begun_again(tmp_path: Path) -> None:
    release, began = threading.Event(), threading.Semaphore(0)

    def act(_: Verb) -> Nothing:
        began.release()
        assert release.wait(10)
        return Nothing()

    desk = Desk(tmp_path, act)
    desk.give("1", stop(), key="k")
    assert began.acquire(timeout=10)
    desk.give("1", stop(), key="k")
    release.set()
    desk.await_answers(1)
    assert not began.acquire(timeout=0.1)


def test_a_bug_is_answered_and_the_next_command_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults: list[Exception] = [ZeroDivisionError("bug")]

    def act(_: Verb) -> Nothing:
        if faults:
            raise faults.pop()
        return Nothing()

    desk = Desk(tmp_path, act)
    desk.give("1", stop())
    desk.give("2", stop())
    desk.await_answers(2)
    error = desk.answers["1"].error
    assert error is not None
    assert error.code == "host-tool-failed"
    assert desk.answers["2"].result == Nothing()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_journal_forgets_the_oldest_and_survives_a_torn_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, most_answers=10)
    for number in range(30):
        journal.keep(f"k{number}", Answer(command_id="1", result=Nothing()))
    assert len(list(tmp_path.glob("*.json"))) <= 10
    assert journal.answer("k29") is not None
    for file in tmp_path.glob("*.json"):
        file.write_bytes(b'{"comm')
    assert journal.answer("k29") is None
