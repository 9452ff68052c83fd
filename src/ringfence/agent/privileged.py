"""The root part of the agent: a closed list of verbs on a Unix socket, for the part that talks to the network.

It opens no network socket, decides nothing, and trusts the other part no further than the verbs go: what comes in is
decoded strictly and checked again, and company (promise 2) is kept here whatever is asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import signal
import socket
import stat
import struct
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ringfence.agent import accelerator, company, crash, posture, switch
from ringfence.agent.admission import check_address, check_qcow2_header, check_vm, check_vm_id
from ringfence.agent.domain_xml import DISK, SEED, domain_name, domain_xml
from ringfence.agent.domains import LibvirtHypervisor
from ringfence.agent.firewall import Firewall
from ringfence.agent.renewal import Renewal
from ringfence.agent.root_verbs import (
    LONGEST_BYTES,
    AdmitFellows,
    AnyRootResult,
    AnyRootVerb,
    AskCertificate,
    CertificateAsked,
    CloseWindow,
    Domains,
    Done,
    Figures,
    KeepCertificate,
    ListDomains,
    Migrate,
    OpenChannel,
    OpenDisplay,
    OpenTerminal,
    OpenWindow,
    ReadySend,
    RemoveDomain,
    RootAnswer,
    StartDomain,
    StopDomain,
)
from ringfence.agent.settings import Settings
from ringfence.agent.windows import Windows, runtime_folders
from ringfence.errors import Invalid, NotFound, Refused, RingfenceError, WrongState
from ringfence.model.hosts import HostToolFailed
from ringfence.model.vms import VmSpec
from ringfence.model.zones import ZoneForbids
from ringfence.wire import SeenVm

_MOST_PEERS = 64
_TIDY_SECONDS = 15.0


class Root:
    """Everything the root part can do; one method does one verb."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._hypervisor = LibvirtHypervisor(host=settings.name)
        self._datapath = switch.datapath(settings)
        self._firewall = Firewall(settings, userspace=bool(settings.host_id) and self._datapath == "netdev")
        self._windows = Windows(settings, self._firewall)
        self._renewal = Renewal(settings)
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._accelerator = settings.accelerator or accelerator.find_accelerator(user=settings.qemu_user)

    def begin(self) -> None:
        """Bring the host to where a fresh start of this part leaves it; again is no harm."""
        runtime_folders(self._settings)
        self._windows.reset()
        if self._settings.host_id:
            switch.apply_switch(self._settings)
        with contextlib.suppress(HostToolFailed):
            self._reconcile()

    def tidy(self) -> None:
        """End what is late, and bring the company in line with libvirt."""
        if self._firewall.put_back():
            sys.stderr.write("what keeps strangers from the tunnel was gone, and is there again\n")
        self._windows.end_late()
        self._reconcile()

    def do(self, verb: AnyRootVerb) -> tuple[AnyRootResult, int | None]:
        """Do one verb; gives its result and a descriptor to pass on, if it has one."""
        match verb:
            case ListDomains():
                return self._list(verb), None
            case AdmitFellows():
                return Done(changed=self._firewall.admit_fellows(verb.addresses)), None
            case AskCertificate():
                return CertificateAsked(csr=self._renewal.request()), None
            case KeepCertificate():
                self._renewal.keep(verb.certificate)
                return Done(), None
            case OpenTerminal():
                return Done(), self._open_terminal(verb)
            case OpenDisplay():
                return Done(), self._hypervisor.display(check_vm_id(verb.vm_id))
            case OpenChannel():
                return Done(), self._windows.channel(check_vm_id(verb.vm_id), verb.channel).detach()
        vm_id = check_vm_id(verb.vm.vm_id if isinstance(verb, StartDomain | OpenWindow) else verb.vm_id)
        with self._locks[vm_id]:
            return self._do_locked(vm_id, verb), None

    def _do_locked(self, vm_id: str, verb: AnyRootVerb) -> AnyRootResult:
        match verb:
            case StartDomain():
                return self._start(check_vm(verb.vm))
            case StopDomain():
                seconds = min(max(verb.graceful_seconds, 0.0), 600.0)
                return Done(changed=self._hypervisor.stop(vm_id, graceful_seconds=seconds))
            case RemoveDomain():
                return self._remove(vm_id)
            case OpenWindow():
                return self._open_window(verb)
            case CloseWindow():
                runs = self._hypervisor.state(vm_id) != "absent"
                return Done(changed=self._windows.close(vm_id, runs=runs))
            case ReadySend():
                return Done(changed=self._windows.ready_send(vm_id))
            case Migrate():
                return self._migrate(vm_id, verb)
        raise AssertionError(verb)

    def _start(self, spec: VmSpec) -> Done:
        if self._hypervisor.state(spec.vm_id) in {"running", "paused"}:
            return Done(changed=False)
        member = self._admitted(spec, until=0.0)
        self._check_disks(spec.vm_id)
        try:
            return Done(changed=self._hypervisor.start(spec.vm_id, self._xml(spec)))
        except RingfenceError:
            if self._hypervisor.state(spec.vm_id) == "absent":
                company.leave(member.vm_id, self._settings.company)
            raise

    def _admitted(self, spec: VmSpec, *, until: float) -> company.Member:
        member = company.Member(spec.vm_id, spec.name, spec.zone_id, spec.zone, tuple(sorted(spec.mixes_with)), until)
        try:
            company.admit(member, self._settings.company)
        except company.NotAdmittedError:
            # An entry that is out of date refuses; libvirt knows better. The second refusal stands.
            self._reconcile()
            try:
                company.admit(member, self._settings.company)
            except company.NotAdmittedError as refused:
                raise ZoneForbids(zone=refused.zone, host=self._settings.name, beside=refused.beside) from None
        return member

    def _check_disks(self, vm_id: str) -> None:
        """Refuse files that would show the guest more than its own disk."""
        folder = self._settings.vms / vm_id
        for name in (DISK, SEED):
            try:
                descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            except OSError:
                raise NotFound(kind=f"{name} of VM", ref=vm_id) from None
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                # SAFETY: libvirt gives the file to QEMU as root would: it must be a file of the VM's own.
                if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                    raise Invalid(field=name, why="it is not a file of its own")
                if name == DISK:
                    check_qcow2_header(file.read(104))

    def _xml(self, spec: VmSpec) -> str:
        return domain_xml(
            spec,
            self._accelerator,
            folder=str(self._settings.vms / spec.vm_id),
            bridge=self._settings.integration_bridge,
            userspace_datapath=self._datapath == "netdev",
        )

    def _remove(self, vm_id: str) -> Done:
        changed = self._hypervisor.stop(vm_id, graceful_seconds=0)
        changed |= self._windows.close(vm_id, runs=False)
        company.leave(vm_id, self._settings.company)
        for log in Path(self._settings.qemu_logs).glob(f"{domain_name(vm_id)}.log*"):
            log.unlink(missing_ok=True)
        return Done(changed=changed)

    def _list(self, verb: ListDomains) -> Domains:
        if verb.wait_seconds > 0:
            self._hypervisor.wait_for_change(verb.after, timeout_seconds=min(verb.wait_seconds, 60.0))
        number = self._hypervisor.number
        vms = self._reconcile()
        shown = posture.listening() if verb.listening else ()
        tunnel = self._firewall.tunnel() if verb.listening else None
        versions = self._hypervisor.versions() | {"accelerator": self._accelerator, "datapath": self._datapath}
        return Domains(
            vms=tuple(vms),
            windows=self._windows.open_ids(),
            number=number,
            versions=versions,
            listening=shown,
            tunnel=tunnel,
        )

    def _reconcile(self) -> list[SeenVm]:
        now = time.time()
        seen = self._hypervisor.observe()
        present = [member for vm, member in seen if member is not None and vm.state not in {"shutoff", "crashed"}]
        company.reconcile(present, {vm.vm_id for vm, _ in seen}, now=now, folder=self._settings.company)
        return [vm for vm, _ in seen]

    def _open_terminal(self, verb: OpenTerminal) -> int:
        path = self._hypervisor.terminal(check_vm_id(verb.vm_id))
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            # One reader at a time: two would each get half of what the guest says.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise WrongState(
                kind="console of VM", name=verb.vm_id, state="in use", verb="attaching", needs="free"
            ) from None
        return descriptor

    def _open_window(self, verb: OpenWindow) -> Done:
        spec = check_vm(verb.vm)
        peer = check_address(verb.peer_address, field="peer_address")
        if self._hypervisor.state(spec.vm_id) != "absent":
            if self._windows.window(spec.vm_id) is not None:
                return Done(changed=False)  # it comes, or has come, through this window
            raise WrongState(kind="VM", name=spec.name, state="on this host", verb="receiving it", needs="elsewhere")
        member = self._admitted(spec, until=time.time() + verb.window_seconds)
        changed = self._windows.open(member, self._xml(spec), peer_address=peer, window_seconds=verb.window_seconds)
        return Done(changed=changed)

    def _migrate(self, vm_id: str, verb: Migrate) -> Figures:
        folder = str(self._settings.moves / vm_id)
        was_here = self._hypervisor.state(vm_id) != "absent"
        seconds = min(max(verb.timeout_seconds, 1.0), 24 * 3600.0)
        figures = self._hypervisor.migrate(vm_id, folder, timeout_seconds=seconds) or {}
        return Figures(gone_before=not was_here, **figures)


def serve(settings: Settings) -> int:
    """Listen on the Unix socket until told to end."""
    root = Root(settings)
    root.begin()
    path = settings.privileged_socket
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with _umask(0o177):
        listener.bind(str(path))
    agent = pwd.getpwnam(settings.agent_user)
    os.chown(path, agent.pw_uid, agent.pw_gid)
    listener.listen(_MOST_PEERS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(target=_tidy_always, args=(root,), daemon=True, name="tidy").start()
    _tell_ready()
    places = threading.BoundedSemaphore(_MOST_PEERS)
    allowed = {0, agent.pw_uid}
    while True:
        peer, _ = listener.accept()
        # SAFETY: the kernel says who is there, not the peer.
        _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in allowed or not places.acquire(blocking=False):
            peer.close()
            continue
        threading.Thread(target=_answer_peer, args=(peer, root, places), daemon=True, name="peer").start()


def _answer_peer(peer: socket.socket, root: Root, places: threading.BoundedSemaphore) -> None:
    """Answer one verb, and hang up."""
    try:
        with peer, contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST_BYTES)
            peer.settimeout(30)
            asked = peer.recv(LONGEST_BYTES)
            peer.settimeout(None)
            descriptor = None
            try:
                verb = msgspec.json.decode(asked, type=AnyRootVerb)
                point = f"root/{verb.__struct_config__.tag}"
                crash.point(f"{point}/begun")
                result, descriptor = root.do(verb)
                crash.point(f"{point}/done")
                answer = RootAnswer(result=result)
            except msgspec.MsgspecError as error:
                answer = RootAnswer(error=Invalid(field="verb", why=str(error)[:200]).record())
            except RingfenceError as error:
                answer = RootAnswer(error=error.record())
            except Exception as error:  # noqa: BLE001  (a bug answers as an error, and the next verb is served)
                traceback.print_exc()
                answer = RootAnswer(error=HostToolFailed(tool="the agent", why=repr(error)[:500]).record())
            message = msgspec.json.encode(answer)
            if descriptor is None:
                peer.sendall(message)
            else:
                try:
                    socket.send_fds(peer, [message], [descriptor])
                finally:
                    os.close(descriptor)
    finally:
        places.release()


def _tidy_always(root: Root) -> None:
    while True:
        time.sleep(_TIDY_SECONDS)
        try:
            root.tidy()
        except (Refused, HostToolFailed, OSError) as error:
            sys.stderr.write(f"tidying: {error}\n")


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    was = os.umask(mask)
    try:
        yield
    finally:
        os.umask(was)


def _tell_ready() -> None:
    """Tell systemd, if it started us (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, contextlib.suppress(OSError):
            told.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
            told.send(b"READY=1")
