"""libvirt's domains: the only module that imports libvirt, and where its errors become ours.

Domains are transient: once a VM has stopped, or the host has crashed, nothing is left that could start by itself or by
hand. It decides nothing about company, opens no window, and reads no file of a VM.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import xml.etree.ElementTree as ET
from typing import Any

import libvirt

from ringfence.agent import company
from ringfence.agent.domain_xml import domain_name
from ringfence.errors import NotFound
from ringfence.model.hosts import HostToolFailed, MoveFailed, NoScreen
from ringfence.model.zones import ZoneForbids
from ringfence.wire import SeenVm

_STATES = ("nostate", "running", "running", "paused", "shutdown", "shutoff", "crashed", "suspended")
"""By libvirt's virDomainState; "blocked" is a running guest that waits."""
_POLL_SECONDS = 0.1


class LibvirtHypervisor:
    """The host's hypervisor. Safe to use from many threads; connects again when libvirt was restarted."""

    def __init__(self, *, host: str, uri: str = "qemu:///system") -> None:
        self._host, self._uri = host, uri
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._connection: Any = None
        self._number = 0
        self._figures: dict[str, dict[str, int]] = {}
        libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; none is printed besides
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self._run_events, daemon=True, name="libvirt-events").start()

    # ---- seeing

    @property
    def number(self) -> int:
        """The number of the last change of any domain's state."""
        return self._number

    def wait_for_change(self, after: int, *, timeout_seconds: float) -> None:
        """Return once something changed after `after`, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._number != after, timeout=timeout_seconds)

    def observe(self) -> list[tuple[SeenVm, company.Member | None]]:
        """Tell every domain, with what its metadata say of its company."""
        with self._errors():
            seen = []
            for domain in self._connect().listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):  # it went away while we looked
                    seen.append(_seen(domain))
            return seen

    def versions(self) -> dict[str, str]:
        with self._errors():
            connection = self._connect()
            return {"libvirt": _version(connection.getLibVersion()), "qemu": _version(connection.getVersion())}

    def state(self, vm_id: str) -> str:
        """Say the domain's state in libvirt's word; "absent" if there is none."""
        domain = self._domain(vm_id)
        if domain is None:
            return "absent"
        try:
            return _state(domain)
        except libvirt.libvirtError:
            return "absent"

    def terminal(self, vm_id: str) -> str:
        """Name the pseudo-terminal that is the VM's serial port."""
        domain = self._domain(vm_id)
        if domain is None:
            raise NotFound(kind="running VM", ref=vm_id)
        with self._errors():
            source = ET.fromstring(domain.XMLDesc()).find("devices/serial[@type='pty']/source")  # noqa: S314
        path = (source.get("path") or "") if source is not None else ""
        if not path.startswith("/dev/pts/"):
            raise NotFound(kind="terminal of VM", ref=vm_id)
        return path

    def display(self, vm_id: str) -> int:
        """Join the VM's screen: gives a descriptor, which does not block, at whose other end QEMU speaks RFB.

        libvirt hands QEMU one end of a new pair of sockets; nothing listens for it anywhere, and nobody else has it.
        """
        domain = self._domain(vm_id)
        if domain is None:
            raise NotFound(kind="running VM", ref=vm_id)
        with self._errors():
            if ET.fromstring(domain.XMLDesc()).find("devices/graphics") is None:  # noqa: S314
                raise NoScreen(vm_id=vm_id, why="it was started before its host gave VMs one; stop it and start it")
            descriptor: int = domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
        os.set_blocking(descriptor, False)
        return descriptor

    # ---- changing

    def start(self, vm_id: str, xml: str) -> bool:
        """Create the domain; False if it ran before."""
        if self.state(vm_id) in {"running", "paused"}:
            return False
        try:
            self._connect().createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE)
        except libvirt.libvirtError as error:
            # Two starts at once: the one that lost finds what it was to make.
            if self.state(vm_id) == "running":
                return False
            raise self._translated(error) from None
        return True

    def stop(self, vm_id: str, *, graceful_seconds: float) -> bool:
        """Ask the guest to end, then pull the plug; False if it did not run."""
        domain = self._domain(vm_id)
        if domain is None:
            return False
        if graceful_seconds > 0:
            with contextlib.suppress(libvirt.libvirtError):
                domain.shutdown()
            ends = time.monotonic() + graceful_seconds
            while (left := ends - time.monotonic()) > 0 and self.state(vm_id) not in {"absent", "shutoff"}:
                # The lifecycle event wakes this; the bound is for a daemon that was restarted meanwhile.
                self.wait_for_change(self._number, timeout_seconds=min(left, 1.0))
        # SAFETY: the guest loses what it had not written; that is what stopping it after its time means.
        try:
            domain.destroy()
        except libvirt.libvirtError as error:
            if self._domain(vm_id) is not None and self.state(vm_id) != "shutoff":
                raise self._translated(error) from None
        self._forget(vm_id)
        return True

    def _forget(self, vm_id: str) -> None:
        """Undefine a domain that somebody defined by hand; ours are transient and gone by now."""
        domain = self._domain(vm_id)
        if domain is not None:
            flags = libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
            with contextlib.suppress(libvirt.libvirtError):
                domain.undefineFlags(flags)

    def migrate(self, vm_id: str, folder: str, *, timeout_seconds: float) -> dict[str, int] | None:
        """Move the domain live, with its disks, through the sockets in `folder`; None if it is not here.

        Asked again while a move is under way, it waits for that one. Raises `MoveFailed`; the VM then runs here.
        """
        ends = time.monotonic() + timeout_seconds
        while (domain := self._domain(vm_id)) is not None and _has_job(domain):
            if time.monotonic() > ends:
                with contextlib.suppress(libvirt.libvirtError):
                    domain.abortJob()
                raise MoveFailed(vm_id=vm_id, why=f"it had not ended after {timeout_seconds:g} s")
            time.sleep(_POLL_SECONDS)
        if domain is None or self.state(vm_id) in {"absent", "shutoff"}:
            return self._figures.get(vm_id)
        self._figures.pop(vm_id, None)
        flags = (
            libvirt.VIR_MIGRATE_LIVE
            | libvirt.VIR_MIGRATE_PEER2PEER
            | libvirt.VIR_MIGRATE_NON_SHARED_DISK
            | libvirt.VIR_MIGRATE_AUTO_CONVERGE
            | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        )
        parameters = {
            libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{folder}/memory",
            libvirt.VIR_MIGRATE_PARAM_DISKS_URI: f"unix://{folder}/disk",
        }
        late = threading.Timer(timeout_seconds, lambda: domain.abortJob())  # noqa: PLW0108  (bound at the time it fires)
        late.daemon = True
        late.start()
        began = time.monotonic()
        try:
            domain.migrateToURI3(f"qemu+unix:///system?socket={folder}/control", parameters, flags)
        except libvirt.libvirtError as error:
            refusal = company.read_refusal(str(error))
            if refusal is not None and refusal.beside:
                raise ZoneForbids(zone=refusal.zone, host="of the move's end", beside=refusal.beside) from None
            raise MoveFailed(vm_id=vm_id, why=refusal.why if refusal else str(error)[:500]) from None
        finally:
            late.cancel()
        with self._changed:
            self._changed.wait_for(lambda: vm_id in self._figures, timeout=2.0)
        figures = {"downtime_ms": 0, "sent_bytes": 0} | self._figures.get(vm_id, {})
        figures["total_ms"] = round((time.monotonic() - began) * 1000)
        self._figures[vm_id] = figures
        return figures

    # ---- libvirt's ways

    def _connect(self) -> Any:
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(libvirt.libvirtError):
                    if self._connection.isAlive():
                        return self._connection
            self._connection = None
            connection = libvirt.open(self._uri)
            connection.setKeepAlive(5, 6)
            any_domain = None
            connection.domainEventRegisterAny(any_domain, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_change, None)
            connection.domainEventRegisterAny(any_domain, libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, self._on_job, None)
            self._connection = connection
            return connection

    def _run_events(self) -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    def _on_change(self, *_: Any) -> None:
        with self._changed:
            self._number += 1
            self._changed.notify_all()

    def _on_job(self, _connection: Any, domain: Any, told: dict[str, Any], _opaque: Any) -> None:
        with self._changed:
            self._figures[domain.UUIDString()] = {
                "downtime_ms": int(told.get("downtime", 0)),
                "sent_bytes": int(told.get("data_processed", 0)),
            }
            while len(self._figures) > 1000:
                self._figures.pop(next(iter(self._figures)))
            self._number += 1
            self._changed.notify_all()

    def _domain(self, vm_id: str) -> Any:
        with self._errors():
            try:
                return self._connect().lookupByName(domain_name(vm_id))
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return None
                raise

    @contextlib.contextmanager
    def _errors(self) -> Any:
        try:
            yield
        except libvirt.libvirtError as error:
            raise self._translated(error) from None

    def _translated(self, error: Any) -> Exception:
        refusal = company.read_refusal(str(error))
        if refusal is not None and refusal.beside:
            return ZoneForbids(zone=refusal.zone, host=self._host, beside=refusal.beside)
        if refusal is not None:
            return HostToolFailed(tool="the host's guard", why=refusal.why)
        return HostToolFailed(tool="libvirt", why=str(error)[:1000])


def _seen(domain: Any) -> tuple[SeenVm, company.Member | None]:
    state = _state(domain)
    try:
        member = company.member_of(domain.XMLDesc())
    except company.NotAdmittedError:
        return SeenVm(vm_id=domain.UUIDString(), name=domain.name(), state=state, zone_id="", zone=""), None
    seen = SeenVm(
        vm_id=member.vm_id,
        name=member.name,
        state=state,
        zone_id=member.zone_id,
        zone=member.zone,
        mixes_with=member.mixes_with,
    )
    return seen, member


def _state(domain: Any) -> str:
    number = domain.state()[0]
    return _STATES[number] if 0 <= number < len(_STATES) else "unknown"


def _has_job(domain: Any) -> bool:
    try:
        return bool(domain.jobInfo()[0] in {libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED})
    except libvirt.libvirtError:
        return False


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
