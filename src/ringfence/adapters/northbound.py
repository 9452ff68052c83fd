"""The fence in OVN: writes the northbound, and reads in the southbound which hosts follow it and who has bound what.

Decides nothing: what to write comes compiled, what to change is told by `diff_fabric`. The only door to OVSDB's client
library, with `southbound`. One thread owns each connection and its replica; callers from any thread hand it their work.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import ovs.db.error
import ovs.db.idl
import ovs.jsonrpc
import ovs.poller
import ovs.stream
from ovs.db.idl import Transaction

from ringfence.adapters.northbound_rows import COLUMNS, Parsed, Rows, write_changes
from ringfence.adapters.southbound_rows import SOUTHBOUND_COLUMNS, drop_chassis, release_bindings
from ringfence.decide.fabric import Fabric
from ringfence.decide.fabric_changes import diff_fabric
from ringfence.model.names import HostId
from ringfence.model.networks import FenceLate, FenceUnreachable, FenceUnsound

T = TypeVar("T")

REVISION = "ringfence-revision"
CHANGES = "ringfence-changes"
TRIES = 50
"""How often a transaction is made anew because another controller wrote in between."""
RECONNECT_SECONDS = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files for `ssl:` remotes; OVSDB's client takes one identity for the whole process."""

    key: str
    certificate: str
    ca: str


class _Waker:
    """Wakes a poller from another thread."""

    def __init__(self) -> None:
        self._out, self._in = socket.socketpair()
        self._out.setblocking(False)
        self._in.setblocking(False)

    def wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._in.send(b"!")

    def wait(self, poller: Any) -> None:
        poller.fd_wait(self._out, ovs.poller.POLLIN)

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._out.recv(4096):
                pass

    def close(self) -> None:
        self._in.close()
        self._out.close()


class OvsdbLink:
    """A connection to one OVSDB database, with a replica of some columns, owned by a thread of its own."""

    def __init__(self, remote: str, database: str, columns: Mapping[str, Sequence[str]], tls: TlsFiles | None) -> None:
        if tls is not None:
            ovs.stream.Stream.ssl_set_private_key_file(tls.key)
            ovs.stream.Stream.ssl_set_certificate_file(tls.certificate)
            ovs.stream.Stream.ssl_set_ca_cert_file(tls.ca)
        self.remote, self.database = remote, database
        self._columns = columns
        self.parsed = Parsed()
        self._why = "no connection yet"
        self._jobs: queue.SimpleQueue[tuple[Callable[[OvsdbLink], Any], Future[Any]]] = queue.SimpleQueue()
        self._waker = _Waker()
        self._closing = False
        self.idl: Any = None
        self._thread = threading.Thread(target=self._run, name=f"ovsdb {database}", daemon=True)
        self._thread.start()

    def ask(self, job: Callable[[OvsdbLink], T | None], *, timeout_seconds: float) -> T:
        """Do the job in the link's thread, again after every change of the replica until it gives something.

        Raises `TimeoutError` if there was a connection and the job gave nothing, `FenceUnreachable` if there was none.
        """
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        self._waker.wake()
        try:
            answer: T = future.result(timeout_seconds)
        except TimeoutError:
            future.cancel()
            if not self._is_connected():
                raise self.unreachable() from None
            raise
        return answer

    def unreachable(self) -> FenceUnreachable:
        return FenceUnreachable(database=self.database, where=self.remote, why=self._why)

    def close(self) -> None:
        self._closing = True
        self._waker.wake()
        self._thread.join(timeout=5)

    def transact(self, build: Callable[[Any], T], *, deadline: float) -> T:
        """Commit what `build` puts into a transaction; in the link's thread only.

        When what was read meanwhile changed on the server, it is built anew on the newer state.
        """
        for _ in range(TRIES):
            seqno = self.idl.change_seqno
            transaction = Transaction(self.idl)
            try:
                told = build(transaction)
            except BaseException:
                transaction.abort()
                raise
            status = self._commit(transaction, deadline)
            if status in (Transaction.SUCCESS, Transaction.UNCHANGED):
                return told
            if status != Transaction.TRY_AGAIN:
                raise FenceUnsound(differences=[str(transaction.get_error())])
            while self.idl.change_seqno == seqno and monotonic() < deadline:
                self._turn(deadline)
        raise FenceUnsound(differences=["another writer was always faster"])

    def _commit(self, transaction: Any, deadline: float) -> str:
        status: str = transaction.commit()
        while status == Transaction.INCOMPLETE:
            if monotonic() >= deadline:
                transaction.abort()
                raise self.unreachable()
            self._turn(deadline, transaction)
            status = transaction.commit()
        return status

    def _turn(self, deadline: float, transaction: Any = None) -> None:
        self.idl.run()
        poller = ovs.poller.Poller()
        self.idl.wait(poller)
        if transaction is not None:
            transaction.wait(poller)
        poller.timer_wait(max(1, int(1000 * min(deadline - monotonic(), 1.0))))
        poller.block()

    def _run(self) -> None:
        while not self._closing and self.idl is None:
            try:
                self.idl = self._connect()
            except (OSError, ovs.db.error.Error) as error:
                self._why = str(error)
                self._sleep()
        waiting: list[tuple[Callable[[OvsdbLink], Any], Future[Any]]] = []
        seen = -1
        while not self._closing:
            self.idl.run()
            fresh: list[tuple[Callable[[OvsdbLink], Any], Future[Any]]] = []
            while not self._jobs.empty():
                fresh.append(self._jobs.get())
            if self._is_connected():
                # A job waits for a change; without one it would give nothing again.
                due, seen = (waiting + fresh if self.idl.change_seqno != seen else fresh), self.idl.change_seqno
                left = [pair for pair in due if not self._tried(*pair)]
                waiting = left if due is not fresh else waiting + left
            else:
                waiting, seen = waiting + fresh, -1
            waiting = [pair for pair in waiting if not pair[1].cancelled()]
            if not self._is_connected() or self.idl.change_seqno == seen:
                self._sleep()
        if self.idl is not None:
            self.idl.close()
        self._waker.close()

    def _tried(self, job: Callable[[OvsdbLink], Any], future: Future[Any]) -> bool:
        """Do the job once; True if it is over."""
        if future.cancelled():
            return True
        try:
            answer = job(self)
        except Exception as error:  # noqa: BLE001  it is raised again in the thread that asked
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return True
        if answer is None:
            return False
        if future.set_running_or_notify_cancel():
            future.set_result(answer)
        return True

    def _sleep(self) -> None:
        poller = ovs.poller.Poller()
        if self.idl is not None:
            self.idl.wait(poller)
        else:
            poller.timer_wait(int(RECONNECT_SECONDS * 1000))
        self._waker.wait(poller)
        poller.block()
        self._waker.drain()

    def _is_connected(self) -> bool:
        idl = self.idl
        return idl is not None and idl.has_ever_connected() and idl._session.is_connected()  # noqa: SLF001

    def _connect(self) -> Any:
        error, stream = ovs.stream.Stream.open_block(ovs.stream.Stream.open(self.remote), timeout=5000)
        if error:
            raise OSError(error, f"cannot connect ({error})")
        rpc = ovs.jsonrpc.Connection(stream)
        try:
            error, reply = rpc.transact_block(ovs.jsonrpc.Message.create_request("get_schema", [self.database]))
        finally:
            rpc.close()
        if error or reply.error:
            raise OSError(error or 0, f"no schema ({reply.error if reply else error})")
        helper = ovs.db.idl.SchemaHelper(schema_json=reply.result)
        for table, columns in self._columns.items():
            helper.register_columns(table, list(columns))
        idl = ovs.db.idl.Idl(self.remote, helper)
        idl.notify = lambda _event, row, _updates=None: self.parsed.forget(row.uuid)
        return idl


WAITS_SECONDS = (0.1, 0.9, 4.0)
"""When a wait looks for bindings that keep a host from following, before it waits to its end."""


class OvnFence:
    """The fence as OVN keeps it; implements `ports.Fence`. Safe to call from many threads and many controllers."""

    def __init__(
        self, *, northbound: str, southbound: str, tls: TlsFiles | None = None, patience_seconds: float = 30
    ) -> None:
        """Take remotes as OVSDB writes them: `unix:PATH` or `ssl:HOST:PORT`."""
        self._patience_seconds = patience_seconds
        self._north = OvsdbLink(northbound, "OVN_Northbound", COLUMNS, tls)
        self._south = OvsdbLink(southbound, "OVN_Southbound", SOUTHBOUND_COLUMNS, tls)

    def close(self) -> None:
        self._north.close()
        self._south.close()

    def apply(self, wanted: Fabric) -> Sequence[str]:
        """Make the northbound say `wanted`, in one transaction; an older revision than the last one changes nothing."""
        deadline = monotonic() + self._patience_seconds

        def job(link: OvsdbLink) -> tuple[str, ...]:
            told = link.transact(lambda transaction: _put(link, transaction, wanted), deadline=deadline)
            if told is None:
                return ()
            # SAFETY: OVSDB's client logs a value it does not take, and goes on; a port without its group or a switch
            # without its floor would stay unseen. What was written is read back.
            if _revision(link.idl) == wanted.revision and (astray := diff_fabric(_seen(link), wanted)):
                raise FenceUnsound(differences=[str(change) for change in astray])
            return told

        return self._ask(self._north, job)

    def observe(self, wanted: Fabric) -> Sequence[str]:
        """Tell what `apply(wanted)` would change, changing nothing."""
        return self._ask(self._north, lambda link: tuple(str(change) for change in diff_fabric(_seen(link), wanted)))

    def wait_in_force(self, host_ids: Sequence[HostId], *, timeout_seconds: float) -> None:
        """Return once these hosts' switches follow the northbound as it is now; no other host is waited for.

        Raises `FenceLate` with those that do not.
        """
        deadline = monotonic() + timeout_seconds
        missing = set(host_ids)
        if not missing:
            return
        number = self._ask(self._north, lambda link: link.transact(lambda _: _count_up(link.idl), deadline=deadline))

        def follow(link: OvsdbLink) -> bool | None:
            rows = link.idl.tables["Chassis_Private"].rows.values()
            missing.difference_update(row.name for row in rows if row.nb_cfg >= number)
            return None if missing else True

        for turn, seconds in enumerate((*WAITS_SECONDS, timeout_seconds)):
            with contextlib.suppress(TimeoutError):
                self._south.ask(follow, timeout_seconds=max(min(seconds, deadline - monotonic()), 0))
                return
            if monotonic() >= deadline:
                break
            self._ask(self._south, partial(release_bindings, handing_over=turn > 0, deadline=deadline))
        raise FenceLate(hosts=sorted(missing), timeout_seconds=timeout_seconds)

    def bound_hosts(self, port_id: str) -> Sequence[HostId]:
        """Tell which hosts have the port bound; the first is the one that sends and receives."""

        def job(link: OvsdbLink) -> tuple[HostId, ...]:
            for row in link.idl.tables["Port_Binding"].rows.values():
                if row.logical_port == port_id:
                    chassis = [*row.chassis, *sorted(row.additional_chassis, key=lambda other: str(other.name))]
                    return tuple(dict.fromkeys(HostId(each.name) for each in chassis))
            return ()

        return self._ask(self._south, job)

    def release_address(self, address: str, *, keep: HostId | None) -> None:
        """Have no switch at this underlay address but the one of host `keep`."""
        deadline = monotonic() + self._patience_seconds
        self._ask(self._south, partial(drop_chassis, address=address, keep=keep, deadline=deadline))

    def _ask(self, link: OvsdbLink, job: Callable[[OvsdbLink], T | None]) -> T:
        try:
            return link.ask(job, timeout_seconds=self._patience_seconds)
        except TimeoutError:
            raise link.unreachable() from None


def _seen(link: OvsdbLink) -> Fabric:
    return Rows(link.idl, link.parsed).fabric


def _put(link: OvsdbLink, transaction: Any, wanted: Fabric) -> tuple[str, ...] | None:
    root = _root(link.idl, transaction)
    tags = dict(root.external_ids)
    # ORDER: the guard and the rows are one transaction, and the guard counts every one: whoever read before another
    # controller wrote is refused by the server, and compares anew.
    root.verify("external_ids")
    if int(tags.get(REVISION, -1)) > wanted.revision:
        return None
    rows = Rows(link.idl, link.parsed)
    changes = diff_fabric(rows.fabric, wanted)
    if changes or tags.get(REVISION) != str(wanted.revision):
        write_changes(rows, transaction, changes)
        count = int(tags.get(CHANGES, 0)) + 1
        root.external_ids = {**tags, REVISION: str(wanted.revision), CHANGES: str(count)}
    return tuple(str(change) for change in changes)


def _revision(idl: Any) -> int:
    return int(next(iter(idl.tables["NB_Global"].rows.values())).external_ids.get(REVISION, -1))


def _root(idl: Any, transaction: Any) -> Any:
    for row in idl.tables["NB_Global"].rows.values():
        return row
    row = transaction.insert(idl.tables["NB_Global"])
    row.external_ids = {}
    return row


def _count_up(idl: Any) -> int:
    for row in idl.tables["NB_Global"].rows.values():
        row.verify("nb_cfg")
        row.nb_cfg = row.nb_cfg + 1
        return int(row.nb_cfg)
    raise FenceUnsound(differences=["the northbound is empty: no fence was ever applied"])
