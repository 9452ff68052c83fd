"""The short, closed list of what the agent's root part does for the part that talks to the network. No code beside it.

One message is one datagram on a SOCK_SEQPACKET Unix socket; the answer may carry one descriptor.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ringfence.errors import ErrorRecord
from ringfence.model.vms import VmSpec
from ringfence.wire import SeenVm, Tunnel

LONGEST_BYTES = 1 << 20


class Channel(StrEnum):
    """What a stream of a move carries: libvirt's calls, guest memory, disk content."""

    CONTROL = "control"
    MEMORY = "memory"
    DISK = "disk"


class RootVerb(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"):
    """What root is asked to do."""


class StartDomain(RootVerb, frozen=True, kw_only=True, tag="start"):
    """→ `Done`; refuses beside a zone that does not mix."""

    vm: VmSpec


class StopDomain(RootVerb, frozen=True, kw_only=True, tag="stop"):
    """→ `Done`."""

    vm_id: str
    graceful_seconds: float


class RemoveDomain(RootVerb, frozen=True, kw_only=True, tag="remove"):
    """Pull the plug, and leave no domain, company entry or window → `Done`."""

    vm_id: str


class ListDomains(RootVerb, frozen=True, kw_only=True, tag="list"):
    """→ `Domains`. Waits up to `wait_seconds` for a change after `after`.

    `listening`: look for listening sockets and at the tunnel's firewall as well.
    """

    after: int = -1
    wait_seconds: float = 0.0
    listening: bool = False


class AdmitFellows(RootVerb, frozen=True, kw_only=True, tag="admit-fellows"):
    """Let these addresses and nobody else into the overlay tunnel → `Done`."""

    addresses: tuple[str, ...]


class AskCertificate(RootVerb, frozen=True, kw_only=True, tag="ask-certificate"):
    """Make a key for the host, in the place of the one it has → `CertificateAsked`."""


class KeepCertificate(RootVerb, frozen=True, kw_only=True, tag="keep-certificate"):
    """Show this certificate, of the key that was made last, from now on → `Done`."""

    certificate: str


class OpenTerminal(RootVerb, frozen=True, kw_only=True, tag="terminal"):
    """→ `Done`, with the descriptor of the VM's serial terminal."""

    vm_id: str


class OpenDisplay(RootVerb, frozen=True, kw_only=True, tag="display"):
    """→ `Done`, with a descriptor at whose other end QEMU speaks RFB for the VM's screen."""

    vm_id: str


class OpenWindow(RootVerb, frozen=True, kw_only=True, tag="open-window"):
    """Keep the VM's place and admit one peer to the move port for a time → `Done`."""

    vm: VmSpec
    peer_address: str
    window_seconds: float


class CloseWindow(RootVerb, frozen=True, kw_only=True, tag="close-window"):
    """→ `Done`."""

    vm_id: str


class OpenChannel(RootVerb, frozen=True, kw_only=True, tag="open-channel"):
    """→ `Done`, with a descriptor of this host's end of a stream of the move; only while the window is open."""

    vm_id: str
    channel: Channel


class ReadySend(RootVerb, frozen=True, kw_only=True, tag="ready-send"):
    """Make the folder of sockets through which the VM leaves → `Done`."""

    vm_id: str


class Migrate(RootVerb, frozen=True, kw_only=True, tag="migrate"):
    """Move the VM through the sockets made ready → `Figures`."""

    vm_id: str
    timeout_seconds: float


AnyRootVerb = (
    StartDomain
    | StopDomain
    | RemoveDomain
    | ListDomains
    | AdmitFellows
    | AskCertificate
    | KeepCertificate
    | OpenTerminal
    | OpenDisplay
    | OpenWindow
    | CloseWindow
    | OpenChannel
    | ReadySend
    | Migrate
)


class RootResult(msgspec.Struct, frozen=True, kw_only=True, tag_field="result"):
    """What came of a root verb."""


class Done(RootResult, frozen=True, kw_only=True, tag="done"):
    """It is so. `changed` False: it was so before."""

    changed: bool = True


class Domains(RootResult, frozen=True, kw_only=True, tag="domains"):
    """The VMs libvirt knows, the VMs with an open window, and the number of the last change."""

    vms: tuple[SeenVm, ...]
    windows: tuple[str, ...]
    number: int
    versions: dict[str, str]
    listening: tuple[str, ...] = ()
    tunnel: Tunnel | None = None


class Figures(RootResult, frozen=True, kw_only=True, tag="figures"):
    """A move that ended, as QEMU tells it. `gone_before`: it was not here when asked."""

    gone_before: bool
    downtime_ms: int = 0
    total_ms: int = 0
    sent_bytes: int = 0


class CertificateAsked(RootResult, frozen=True, kw_only=True, tag="certificate-asked"):
    """A PKCS #10 request, PEM, for the controller."""

    csr: str


AnyRootResult = Done | Domains | Figures | CertificateAsked


class RootAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of the two."""

    result: AnyRootResult | None = None
    error: ErrorRecord | None = None
