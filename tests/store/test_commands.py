"""The mailbox: each command given out once a session, never after it was withdrawn, and answered once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from ringfence.errors import IdempotencyKeyReused, NotFound
from ringfence.store import commands, vms
from ringfence.store.engine import Store, make_engine
from ringfence.wire import Answer, Nothing, ObserveVms, RemoveVm, StartVm, StopVm

pytestmark = pytest.mark.store


@pytest.fixture
def host(cloud):
    return cloud.add_host("h1")


class Mailbox:
    """One host's mailbox, a transaction a call."""

    def __init__(self, store: Store, host: str) -> None:
        self.store, self.host = store, host

    def add(self, key: str, verb=None) -> str:
        with self.store.transaction() as session:
            return commands.add_command(session, self.host, verb or RemoveVm(vm_id=key), key=key, patience_seconds=1.5)

    def next(self, agent_session: str = "one", *, begins: bool = True):
        with self.store.transaction() as session:
            return commands.next_command(session, self.host, agent_session=agent_session, begins=begins)

    def has(self, agent_session: str = "one", *, begins: bool = True) -> bool:
        with self.store.reading() as session:
            return commands.has_command(session, self.host, agent_session=agent_session, begins=begins)

    def answer(self, command_id: str) -> bool:
        with self.store.transaction() as session:
            return commands.answer_command(session, self.host, Answer(command_id=command_id, result=Nothing()))

    def answered(self, key: str):
        with self.store.reading() as session:
            return commands.answer_of(session, self.host, key)

    def withdraw(self, key: str) -> bool:
        with self.store.transaction() as session:
            return commands.withdraw_command(session, self.host, key)


@pytest.fixture
def mailbox(cloud, host):
    return Mailbox(cloud.store, host)


def test_commands_are_given_out_oldest_first_and_once(mailbox):
    ids = [mailbox.add(key) for key in ("a", "b")]
    assert [mailbox.next().id, mailbox.next().id] == ids
    assert mailbox.next() is None
    assert not mailbox.has()


def test_the_same_key_is_the_same_command(mailbox):
    first = mailbox.add("a")
    assert mailbox.add("a") == first
    assert mailbox.next().id == first
    assert mailbox.add("a") == first
    assert mailbox.next() is None
    mailbox.answer(first)
    assert mailbox.add("a") == first
    assert mailbox.next() is None
    with pytest.raises(IdempotencyKeyReused):
        mailbox.add("a", ObserveVms())


def test_a_command_survives_the_database_whole(cloud, mailbox):
    vm = cloud.add_vm("r")
    with cloud.store.reading() as session:
        verb = StartVm(vm=vms.vm_spec(session, vm.id))
    mailbox.add("a", verb)
    given = mailbox.next()
    assert (given.verb, given.key, given.patience_seconds) == (verb, "a", 1.5)


def test_a_command_that_no_agent_had_says_what_was_asked_last(mailbox):
    mailbox.add("a", StopVm(vm_id="v", graceful_seconds=1))
    mailbox.add("a", StopVm(vm_id="v", graceful_seconds=2))
    assert mailbox.next().verb.graceful_seconds == 2
    mailbox.add("a", StopVm(vm_id="v", graceful_seconds=3))
    assert mailbox.next("two").verb.graceful_seconds == 2


def test_an_agent_that_starts_anew_gets_again_what_the_killed_one_did_not_answer(mailbox):
    done, undone = mailbox.add("a"), mailbox.add("b")
    mailbox.next(), mailbox.next()
    mailbox.answer(done)
    assert mailbox.has("two")
    assert mailbox.next("two").id == undone
    assert mailbox.next("two") is None


def test_an_agent_that_was_replaced_gets_nothing_any_more(mailbox):
    mailbox.add("a")
    assert mailbox.next("one").key == "a"
    assert mailbox.next("two").key == "a"
    mailbox.add("b")
    assert not mailbox.has("one")
    assert mailbox.next("one") is None
    assert mailbox.next("two").key == "b"


def test_a_poll_that_has_waited_takes_nothing_from_an_agent_that_came_after_its_own(mailbox):
    for agent_session in ("one", "two", "three"):
        mailbox.next(agent_session)
    mailbox.add("a")
    assert not mailbox.has("one", begins=False)
    assert mailbox.next("one", begins=False) is None
    assert mailbox.next("three", begins=False).key == "a"
    assert mailbox.next("one", begins=False) is None


def test_a_withdrawn_command_is_never_given_out(mailbox):
    command_id = mailbox.add("a")
    assert mailbox.withdraw("a")
    assert mailbox.withdraw("a")
    assert mailbox.withdraw("none")
    assert mailbox.next() is None
    assert not mailbox.answer(command_id)
    assert mailbox.answered("a") is None


def test_a_command_that_an_agent_had_is_withdrawn_only_from_agents_to_come(mailbox):
    command_id = mailbox.add("a")
    mailbox.next("one")
    assert not mailbox.withdraw("a")
    assert mailbox.next("two") is None
    assert mailbox.answer(command_id)
    assert mailbox.answered("a").result == Nothing()


def test_a_command_asked_for_again_after_it_was_withdrawn_is_given_out_again(mailbox):
    first = mailbox.add("a")
    mailbox.withdraw("a")
    assert mailbox.add("a") == first
    assert mailbox.next("one").id == first
    mailbox.withdraw("a")
    assert mailbox.next("two") is None
    mailbox.add("a")
    assert mailbox.next("two").id == first


def test_the_first_answer_stays(cloud, mailbox, host):
    command_id = mailbox.add("a")
    mailbox.next()
    assert mailbox.answer(command_id)
    refusal = Answer(command_id=command_id, error=NotFound(kind="VM", ref="v").record())
    with cloud.store.transaction() as session:
        assert not commands.answer_command(session, host, refusal)
    assert mailbox.answered("a").error is None


def test_a_host_cannot_answer_for_another(cloud, mailbox):
    command_id = mailbox.add("a")
    other = Mailbox(cloud.store, cloud.add_host("h2"))
    with pytest.raises(NotFound):
        other.answer(command_id)
    assert other.next() is None


def test_bells_ring_for_the_host_and_for_who_waits_for_the_answer(cloud, mailbox, host):
    rung = []
    cloud.store.on_change(lambda *change: rung.append(change))
    command_id = mailbox.add("a")
    mailbox.next()
    mailbox.answer(command_id)
    assert rung == [("command", host), ("answer", command_id)]


def test_a_command_for_no_host_is_refused(cloud):
    with pytest.raises(NotFound):
        Mailbox(cloud.store, "01a207dd-0000-7000-8000-000000000000").add("a")


def test_controllers_that_ask_at_once_never_give_out_a_command_twice(url, mailbox, host):
    wanted = {mailbox.add(f"k{number}") for number in range(12)}
    mailbox.next("none-yet")
    mailbox.next("one")
    mailboxes = [Mailbox(Store(make_engine(url)), host) for _ in range(2)]
    start = threading.Barrier(4, timeout=20)

    def fetch(number: int) -> list[str]:
        start.wait()
        given = iter(lambda: mailboxes[number % 2].next("one"), None)
        return [command.id for command in given]

    with ThreadPoolExecutor(4) as threads:
        given = [command_id for got in threads.map(fetch, range(4)) for command_id in got]
    for each in mailboxes:
        each.store.close()
    assert len(given) == len(set(given)) == len(wanted) - 1


def test_a_command_added_twice_at_once_is_one(url, host):
    mailboxes = [Mailbox(Store(make_engine(url)), host) for _ in range(2)]
    start = threading.Barrier(4, timeout=20)

    def add(number: int) -> str:
        start.wait()
        return mailboxes[number % 2].add("a")

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(add, range(4)))) == 1
    for each in mailboxes:
        each.store.close()


def test_only_commands_that_ended_long_ago_are_pruned(cloud, mailbox):
    mailbox.answer(mailbox.add("old"))
    mailbox.answer(mailbox.add("new"))
    mailbox.add("waiting")
    with cloud.store.transaction() as session:
        past = "2020-01-01T00:00:00.000000+00:00"
        session.execute(text("UPDATE commands SET ended_at = :past WHERE key = 'old'"), {"past": past})
        session.execute(text("UPDATE commands SET created_at = :past"), {"past": past})
        assert commands.prune_commands(session) == 1
        assert sorted(session.execute(text("SELECT key FROM commands")).scalars()) == ["new", "waiting"]
