"""Consoles and screens over a WebSocket: `GET /v1/vms/{id}/console` and `…/screen`, binary frames both ways."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, WebSocket

from ringfence.controller import consoles
from ringfence.controller.admission import Access, renewed
from ringfence.controller.enforcement import Need, Of, access_in, check_subject
from ringfence.controller.parts import Parts
from ringfence.errors import NotFound, WrongState
from ringfence.model.access import NotPermitted, Permission
from ringfence.model.hosts import HostUnreachable
from ringfence.model.names import HostId, VmId
from ringfence.model.vms import Vm, VmState
from ringfence.store import hosts, vms
from ringfence.wire import OpenConsole, OpenScreen

router = APIRouter()

PATIENCE_SECONDS = 30.0
"""A host that is silent is given up sooner; one that is alive may be slow. Clients wait longer than this."""
PERMITTED_SECONDS = 2.0
"""How often an open console looks whether it still may be."""


@dataclass(frozen=True)
class Line:
    """What of a VM somebody is joined to, and the verb that has its host come."""

    name: str
    verb: type[OpenConsole | OpenScreen]

    @property
    def subprotocol(self) -> str:
        """What a browser, which must offer one, is answered with."""
        return f"ringfence.{self.name}"


CONSOLE, SCREEN = Line("console", OpenConsole), Line("screen", OpenScreen)


@router.websocket("/v1/vms/{vm_id}/console")
async def open_console(socket: WebSocket, vm_id: str) -> None:
    """Attach to a VM's serial console."""
    await _attach(socket, vm_id, CONSOLE)


@router.websocket("/v1/vms/{vm_id}/screen")
async def open_screen(socket: WebSocket, vm_id: str) -> None:
    """Attach to a VM's screen, keyboard and pointer: RFB (RFC 6143), without authentication of its own."""
    await _attach(socket, vm_id, SCREEN)


async def _attach(socket: WebSocket, vm_id: str, line: Line) -> None:
    """Join the socket to the VM's host until one of them ends.

    The handshake succeeds once the host has come; until then every failure is an ordinary problem document. It ends
    within seconds when who opened it may no longer do so.
    """
    parts: Parts = socket.app.state.parts
    vm, host_name = await anyio.to_thread.run_sync(_running, parts, vm_id, line)
    assert vm.host_id is not None
    async with parts.consoles.session(vm.host_id) as session:
        asking = asyncio.create_task(anyio.to_thread.run_sync(_ask, parts, vm.host_id, vm.id, session.id, line))
        either: set[asyncio.Future[Any]] = {session.came, asking}
        try:
            # The host may come before its answer does, and its refusal may come instead of it.
            await asyncio.wait(either, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not session.came.done() and asking.done():
                asking.result()
                await asyncio.wait({session.came}, timeout=1.0)
            if not session.came.done():
                raise HostUnreachable(host=host_name, asked=f"open-{line.name}", patience_seconds=PATIENCE_SECONDS)
            offered = line.subprotocol if line.subprotocol in socket.scope.get("subprotocols", []) else None
            # ORDER: told in the ledger, then shown.
            opened = await anyio.to_thread.run_sync(parts.ledger.console_opened, vm, line.name)
            watching = asyncio.create_task(_end_when_forbidden(parts, access_in(socket), vm.id, session.ended))
            try:
                await socket.accept(subprotocol=offered)
                await consoles.join(socket, session.came.result(), session.ended)
            finally:
                watching.cancel()
                # Also when this task is cancelled: who looked is told to the end.
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(parts.ledger.console_closed, opened, line.name)
        finally:
            session.ended.set()
            # Its outcome is known by whether the host came; a thread that still waits ends by its own patience.
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())


async def _end_when_forbidden(parts: Parts, access: Access, vm_id: VmId, ended: asyncio.Event) -> None:
    while not ended.is_set() and await anyio.to_thread.run_sync(_is_permitted, parts, access, vm_id):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), PERMITTED_SECONDS)
    ended.set()


def _is_permitted(parts: Parts, access: Access, vm_id: VmId) -> bool:
    still = renewed(parts.store, access)
    if still is None:
        return False
    try:
        check_subject(parts, still.grants, Need(Permission.VM_CONSOLE, Of.VM), vm_id)
    except (NotFound, NotPermitted):
        return False
    return True


def _running(parts: Parts, vm_id: str, line: Line) -> tuple[Vm, str]:
    with parts.store.reading() as session:
        vm = vms.vm(session, VmId(vm_id))
        if vm.state not in (VmState.RUNNING, VmState.MOVING) or vm.host_id is None:
            raise WrongState(kind="VM", name=vm.name, state=vm.state, verb=line.name, needs=VmState.RUNNING)
        return vm, hosts.host(session, vm.host_id).name


def _ask(parts: Parts, host_id: HostId, vm_id: VmId, session_id: str, line: Line) -> None:
    verb = line.verb(vm_id=vm_id, session_id=session_id)
    parts.hypervisors.ask(host_id, verb, key=f"{line.name}/{session_id}", patience_seconds=PATIENCE_SECONDS)
