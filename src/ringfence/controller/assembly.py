"""Builds a controller once, from its settings: every part, joined; starts it, and stops it. The parts do the rest."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import anyio.to_thread

from ringfence.adapters.bells import Bells
from ringfence.adapters.changes import Changes
from ringfence.adapters.mailbox import MailboxHypervisors
from ringfence.controller.agents import agents_app
from ringfence.controller.api.application import api_app
from ringfence.controller.authority import Authority, KeyPair, make_private_folder, server_context, write_private
from ringfence.controller.consoles import Consoles
from ringfence.controller.fences import fence_for
from ringfence.controller.image_files import ImageFiles
from ringfence.controller.image_imports import ImageImports
from ringfence.controller.ledger import LedgerKeeper
from ringfence.controller.ledger_key import LedgerKey
from ringfence.controller.listeners import Listener, bind, bound_address
from ringfence.controller.parts import Parts
from ringfence.controller.passwords import Passwords
from ringfence.controller.settings import Address, Settings
from ringfence.controller.setup_link import print_first_link
from ringfence.controller.syslog import SyslogForwarder
from ringfence.errors import Refused
from ringfence.model.names import HostId
from ringfence.model.operations import Operation, OperationKind
from ringfence.ports import Fence
from ringfence.store import (
    challenges,
    commands,
    hosts,
    idempotency,
    images,
    invitations,
    sessions,
    setup_links,
    sign_ins,
    tokens,
)
from ringfence.store.acting import acting
from ringfence.store.engine import Store, open_store
from ringfence.store.records import StoredRecords
from ringfence.wire import Answer, AnyVerb
from ringfence.workflows.runtime import Patience, Runtime, SystemClock, World

logger = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 3600.0
THREADS = 80
"""Requests that wait for the database each hold one; the database admits 40 at once."""


@dataclass(eq=False)
class FolderInUse(Refused):
    """Another controller runs in {folder}.

    Stop it first, or give this one a folder of its own (`--data`).
    """

    folder: str


@dataclass(eq=False)
class FolderOfAnotherKind(Refused):
    """The folder {folder} belongs to a controller whose hosts are {theirs}; here they are {ours}.

    Give this one a folder of its own (`--data`): what is simulated and what is real are never mixed.
    """

    folder: str
    theirs: str
    ours: str


class _StoredMailbox:
    """The mailbox adapter's view of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, host_id: HostId, verb: AnyVerb, *, key: str, patience_seconds: float) -> str:
        with self._store.transaction() as session:
            return commands.add_command(session, host_id, verb, key=key, patience_seconds=patience_seconds)

    def answer(self, host_id: HostId, key: str) -> Answer | None:
        with self._store.reading() as session:
            return commands.answer_of(session, host_id, key)

    def withdraw(self, host_id: HostId, key: str) -> bool:
        with self._store.transaction() as session:
            return commands.withdraw_command(session, host_id, key)

    def name_and_reachable(self, host_id: HostId) -> tuple[str, bool]:
        with self._store.reading() as session:
            host = hosts.host(session, host_id)
        return host.name, host.reachable


class _WorkflowRecords(StoredRecords):
    """The records without the operations that this controller runs itself: no workflow is to take them up."""

    def unfinished_operations(self) -> Sequence[Operation]:
        return [one for one in super().unfinished_operations() if one.kind is not OperationKind.IMPORT_IMAGE]


class Controller:
    """One controller. `start`, then `stop`; not twice.

    A `fence` is given only where hosts are simulated, and the controller then says so in everything it tells.
    `patience` is given by tests only.
    """

    def __init__(self, settings: Settings, *, fence: Fence | None = None, patience: Patience | None = None) -> None:
        self.settings = settings
        self._fence = fence
        # SAFETY: not a setting of its own, so that no fence that only pretends can go without the label.
        self._simulated = fence is not None
        self._patience = patience
        self._clock = SystemClock()
        self._passwords = Passwords()
        self._stopping: list[Callable[[], None]] = []
        self._listeners: list[Listener] = []
        self._housekeeping: asyncio.Task[None] | None = None
        self.first_token: str | None = None
        self.fingerprint = ""
        self.api_address: Address = settings.listen
        self.agents_address: str = settings.agents_address

    @property
    def store(self) -> Store:
        """The store of a controller that has started, for whoever shares its process."""
        return self._parts.store

    async def start(self) -> None:
        """Open everything, go on with what was unfinished, and return once requests are taken."""
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        try:
            await self._open()
        except BaseException:
            await asyncio.gather(*(listener.stop() for listener in self._listeners))
            await anyio.to_thread.run_sync(self._stop_parts)
            raise
        self._housekeeping = asyncio.create_task(self._keep_house())

    async def _open(self) -> None:
        parts, api_socket, agents_socket = await anyio.to_thread.run_sync(self._build)
        self._parts = parts
        pair = await anyio.to_thread.run_sync(self._certify, parts.authority)
        agents_tls = server_context(pair, clients_of=parts.authority.certificate_file)
        api_tls = server_context(pair) if self.settings.tls else None
        self._contexts = [context for context in (agents_tls, api_tls) if context is not None]
        for app, bound, tls in (
            (agents_app(parts), agents_socket, agents_tls),
            (api_app(parts), api_socket, api_tls),
        ):
            listener = Listener(app, bound, tls=tls)
            self._listeners.append(listener)
            await listener.start()

    def print_setup_link(self) -> None:
        """Print a link for the first administrator, if nobody can sign in yet: the one before it serves no more."""
        print_first_link(self._parts.store, self._passwords, self._parts.page_url)

    async def stop(self) -> None:
        """End within a few seconds: unfinished operations stay as they are, and go on at the next start."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.gather(self._housekeeping, return_exceptions=True)
        # ORDER: workflows are told first. Their hosts will seem unreachable: not knowing why, they would undo.
        self._clock.stopping.set()
        # ORDER: bells before servers. Long polls, event streams and questions to hosts end, so servers can.
        self._parts.bells.stop()
        self._parts.consoles.stop()
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
        await anyio.to_thread.run_sync(self._stop_parts)

    def _build(self) -> tuple[Parts, socket.socket, socket.socket]:
        settings = self.settings
        lock = _lock(settings.data)
        self._stopping.append(lock.close)
        _mark(settings.data, simulated=self._simulated)
        store = open_store(settings.database)
        self._stopping.append(store.close)
        keeper = self._keep_ledger(store)
        bells, changes = _rung_by(store)
        authority = Authority(settings.data / "ca")
        self.fingerprint = authority.fingerprint
        api_socket, agents_socket = bind(settings.listen), bind(settings.agents_listen)
        self.api_address = bound_address(api_socket)
        if settings.agents_listen.port == 0 and settings.agents_address == str(settings.agents_listen):
            self.agents_address = str(bound_address(agents_socket))
        files = _image_files(settings, store)
        records, for_workflows = StoredRecords(store), _WorkflowRecords(store, seal=keeper.key)
        hypervisors = MailboxHypervisors(_StoredMailbox(store), bells)
        world = World(
            records=for_workflows,
            hypervisors=hypervisors,
            fence=self._fence or self._ovn(authority),
            acting=acting,
            simulated=self._simulated,
        )
        runtime = Runtime(
            world,
            database=_workflows_database(settings),
            executor_id=_controller_id(settings.data),
            patience=self._patience or Patience(),
            clock=self._clock,
        )
        imports = ImageImports(store, records, files, bells, settings)
        with store.transaction() as session:
            self.first_token = tokens.first_token(session)
        unfinished = records.unfinished_operations()
        runtime.launch()
        # ORDER: stopped in reverse: workflows are told, then the bells wake them, then they are waited for.
        self._stopping += [self._passwords.stop, runtime.stop, imports.stop, bells.stop, self._clock.stopping.set]
        imports.launch(unfinished)
        parts = Parts(
            settings=settings,
            store=store,
            bells=bells,
            changes=changes,
            authority=authority,
            hypervisors=hypervisors,
            fence=world.fence,
            operations=runtime,
            images=files,
            imports=imports,
            consoles=Consoles(),
            passwords=self._passwords,
            ledger=keeper,
            agents_address=self.agents_address,
            page_url=settings.page_url(self.api_address),
            simulated=self._simulated,
        )
        return parts, api_socket, agents_socket

    def _keep_ledger(self, store: Store) -> LedgerKeeper:
        settings = self.settings
        keeper = LedgerKeeper(store, LedgerKey(settings.data / "ledger"), _controller_id(settings.data))
        keeper.start()
        self._stopping.append(keeper.stop)
        if settings.syslog is not None:
            forwarder = SyslogForwarder(store, keeper, settings.syslog)
            forwarder.start()
            self._stopping.append(forwarder.stop)
        return keeper

    def _ovn(self, authority: Authority) -> Fence:
        fence = fence_for(self.settings, self._certify(authority), authority.certificate_file)
        self._stopping.append(fence.close)
        return fence

    def _stop_parts(self) -> None:
        while self._stopping:
            stop = self._stopping.pop()
            try:
                stop()
            except Exception:
                logger.exception("while stopping")

    def _certify(self, authority: Authority) -> KeyPair:
        return authority.certify(self.settings.data / "tls", name="controller", addresses=self._names())

    def _names(self) -> Sequence[str]:
        dialled = self.agents_address.rpartition(":")[0].removeprefix("[").removesuffix("]")
        listened = (self.settings.listen.host, self.settings.agents_listen.host)
        names = ("localhost", "127.0.0.1", dialled, *listened, *self.settings.names)
        return [name for name in dict.fromkeys(names) if name not in ("0.0.0.0", "::")]  # noqa: S104

    async def _keep_house(self) -> None:
        """Forget what has ended long ago, and renew the certificate before it ends."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                await anyio.to_thread.run_sync(_prune, self._parts.store)
                pair = await anyio.to_thread.run_sync(self._certify, self._parts.authority)
                for context in self._contexts:
                    context.load_cert_chain(pair.certificate, pair.key)
            except Exception:
                logger.exception("housekeeping failed; it is tried again in an hour")


def _rung_by(store: Store) -> tuple[Bells, Changes]:
    """Make the bells that the store's changes ring, and the counts of these changes by kind."""
    bells = Bells()
    changes = Changes(bells)
    store.on_change(lambda kind, id_: bells.ring(f"{kind}:{id_}"))
    store.on_change(lambda kind, _id: changes.note(kind))
    return bells, changes


def _lock(folder: Path) -> TextIO:
    """Make the folder, and hold it for this process; the kernel lets go of it however the process ends."""
    make_private_folder(folder)
    lock = (folder / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise FolderInUse(folder=str(folder)) from None
    return lock


def _mark(folder: Path, *, simulated: bool) -> None:
    """Keep the simulated and the real apart: a folder stays what its first controller was."""
    mark = folder / "simulated"
    # SAFETY: real hosts must never be told what a pretended fence let through, nor records of theirs be changed by it.
    if (folder / "ca").exists() and mark.exists() != simulated:
        kinds = ("simulated", "real")
        theirs, ours = kinds if mark.exists() else kinds[::-1]
        raise FolderOfAnotherKind(folder=str(folder), theirs=theirs, ours=ours)
    if simulated:
        mark.touch()


def _workflows_database(settings: Settings) -> str:
    """Tell where the workflows keep what they did: in a SQLite file of their own, or in a schema of PostgreSQL."""
    if settings.database.startswith("sqlite"):
        return f"sqlite:///{settings.data / 'workflows.db'}"
    return settings.database


def _controller_id(folder: Path) -> str:
    """Give this controller's id, the same at each start: workflows that it left are its own to go on with."""
    file = folder / "controller-id"
    with contextlib.suppress(FileNotFoundError):
        return file.read_text().strip()
    write_private(file, f"{uuid.uuid4()}\n".encode())
    return file.read_text().strip()


def _image_files(settings: Settings, store: Store) -> ImageFiles:
    """Open the folder of images, and remove those that no image has."""
    files = ImageFiles(
        settings.images, bytes_limit=settings.image_bytes_limit, virtual_bytes_limit=settings.virtual_bytes_limit
    )
    known: set[str] = set()
    after: str | None = None
    with store.reading() as session:
        while True:
            page = images.images(session, limit=1000, after=after)
            known.update(image.digest for image in page.items)
            after = page.next
            if after is None:
                break
    if swept := files.sweep(known):
        logger.info("removed %d image files that no image has", swept)
    return files


def _prune(store: Store) -> None:
    for prune in (
        commands.prune_commands,
        idempotency.prune_requests,
        invitations.prune_invitations,
        sessions.prune_sessions,
        setup_links.prune_setup_links,
        sign_ins.prune_failures,
        challenges.prune_challenges,
    ):
        with store.transaction() as session:
            prune(session)


def restrict_files() -> None:
    """Have every file this process makes readable by its owner alone."""
    os.umask(0o077)
