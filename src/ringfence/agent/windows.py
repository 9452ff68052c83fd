"""A move's window, as root holds it: who may dial this host, for which VM, until when. Part of the root part.

The firewall's own timers close a window, so that it closes even if everything of ours is dead. The port is closed at
all other times, whatever listens there. Tunnels and TLS are `moves.py`'s, which runs without root.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import time
from pathlib import Path

from ringfence.agent import company, rpc_gate
from ringfence.agent.firewall import Firewall
from ringfence.agent.root_verbs import Channel
from ringfence.agent.settings import Settings
from ringfence.errors import WrongState
from ringfence.model.hosts import HostToolFailed

LONGEST_SECONDS = 6 * 3600.0


class Windows:
    """All windows of the host. A restart of the root part closes them."""

    def __init__(self, settings: Settings, firewall: Firewall) -> None:
        self._settings, self._firewall = settings, firewall

    def reset(self) -> None:
        """Close every window, the firewall's too."""
        for file in self._settings.windows.glob("*.json"):
            company_entry = file.stem
            self._drop(company_entry)
        shutil.rmtree(self._settings.windows, ignore_errors=True)
        shutil.rmtree(self._settings.moves, ignore_errors=True)
        self._settings.windows.mkdir(mode=0o700, parents=True)
        self._settings.moves.mkdir(mode=0o711, parents=True)
        self._firewall.reset()

    def open(self, member: company.Member, xml: str, *, peer_address: str, window_seconds: float) -> bool:
        """Open the VM's window; again moves its end. False if it was open for this peer."""
        seconds = min(max(window_seconds, 1.0), LONGEST_SECONDS)
        until = time.time() + seconds
        # ORDER: the place first. What opens after it is then open for a VM that may come.
        company.admit(member._replace(until=until), self._settings.company)
        was = self.window(member.vm_id)
        folder = self._settings.moves / member.vm_id
        folder.mkdir(mode=0o700, exist_ok=True)
        qemu = pwd.getpwnam(self._settings.qemu_user)
        os.chown(folder, qemu.pw_uid, qemu.pw_gid)
        file = self._settings.windows / f"{member.vm_id}.json"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"until": until, "peer": peer_address, "xml": xml}))
        fresh.replace(file)
        self._firewall.admit_peer(peer_address, seconds=self._longest(peer_address, seconds))
        return was is None

    def _longest(self, peer_address: str, seconds: float) -> int:
        """The peer may have another VM's window open: the longest of them counts."""
        now = time.time()
        ends = [float(w["until"]) - now for w in map(self.window, self.open_ids()) if w and w["peer"] == peer_address]
        return max(1, round(max([seconds, *ends])))

    def close(self, vm_id: str, *, runs: bool) -> bool:
        """Close the VM's window, and give its place back unless it `runs`; False if there was none."""
        window = self.window(vm_id, even_late=True)
        shutil.rmtree(self._settings.moves / vm_id, ignore_errors=True)
        if window is None:
            return False
        (self._settings.windows / f"{vm_id}.json").unlink(missing_ok=True)
        others = [self.window(other) for other in self.open_ids()]
        if not any(other and other["peer"] == window["peer"] for other in others):
            self._firewall.refuse_peer(str(window["peer"]))
        if not runs:
            self._drop(vm_id)
        return True

    def _drop(self, vm_id: str) -> None:
        for member in company.members(self._settings.company):
            if member.vm_id == vm_id and member.until != 0:
                company.leave(vm_id, self._settings.company)

    def window(self, vm_id: str, *, even_late: bool = False) -> dict[str, float | str] | None:
        """Read the VM's window; None if there is none, or its time is over."""
        try:
            window: dict[str, float | str] = json.loads((self._settings.windows / f"{vm_id}.json").read_bytes())
        except FileNotFoundError:
            return None
        return window if even_late or float(window["until"]) > time.time() else None

    def open_ids(self) -> tuple[str, ...]:
        return tuple(sorted(file.stem for file in self._settings.windows.glob("*.json") if self.window(file.stem)))

    def end_late(self) -> None:
        """Tidy up behind windows whose time is over: the firewall has closed them already."""
        for file in self._settings.windows.glob("*.json"):
            if self.window(file.stem) is None:
                self.close(file.stem, runs=False)

    def channel(self, vm_id: str, channel: Channel) -> socket.socket:
        """Connect to this host's end of a stream of the move."""
        if self.window(vm_id) is None:
            raise WrongState(kind="move window", name=vm_id, state="closed", verb="a move", needs="open")
        try:
            if channel is Channel.CONTROL:
                return rpc_gate.guarded(self._settings.libvirt_socket)
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            stream.connect(str(self._settings.moves / vm_id / channel))
        except OSError as error:
            raise HostToolFailed(tool=f"the move's {channel} stream", why=str(error)) from None
        return stream

    def ready_send(self, vm_id: str) -> bool:
        """Make the folder in which the agent offers the sockets that QEMU and libvirt leave through."""
        folder = self._settings.moves / vm_id
        agent, qemu = pwd.getpwnam(self._settings.agent_user), pwd.getpwnam(self._settings.qemu_user)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        os.chown(folder, agent.pw_uid, qemu.pw_gid)
        # The set-group-ID bit gives the sockets made in it QEMU's group, so that QEMU alone can use them besides.
        folder.chmod(0o2710)
        return True


def runtime_folders(settings: Settings) -> None:
    """Make the folders below /run, each for those who need it."""
    runtime = Path(settings.runtime)
    runtime.mkdir(mode=0o711, parents=True, exist_ok=True)
    runtime.chmod(0o711)
    settings.company.mkdir(mode=0o700, exist_ok=True)
