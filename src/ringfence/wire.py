"""The messages between controller and agent: JSON, decoded strictly, each verb defined once.

An agent long-polls `GET /agent/v1/commands` for a `Command`, does it, and posts an `Answer`. A command carries a key:
the same key means the same command, and an agent that has answered it answers the same again without doing it twice.
Every verb is idempotent besides. No transport here, and no decisions.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, ClassVar

import msgspec

from ringfence.errors import ErrorRecord
from ringfence.model.hosts import JoinTokenRefused
from ringfence.model.vms import VmSpec

PROTOCOL = 1
"""Raised when an old agent could misread a new controller; both sides refuse another number."""


class Verb(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"):
    """What a host is asked to do. Each subclass names its result in its docstring."""


class HoldImage(Verb, frozen=True, kw_only=True, tag="hold-image"):
    """Have the image in the host's cache, digest checked → `Held`."""

    digest: str
    format: str
    file_bytes: int


class PrepareVm(Verb, frozen=True, kw_only=True, tag="prepare-vm"):
    """Make the VM's disk and cloud-init seed from the cached image → `Nothing`."""

    vm: VmSpec


class StartVm(Verb, frozen=True, kw_only=True, tag="start-vm"):
    """Have the VM running; refuses (`zone-forbids`) beside a zone that does not mix → `Nothing`."""

    vm: VmSpec


class StopVm(Verb, frozen=True, kw_only=True, tag="stop-vm"):
    """Have the VM not running; asks the guest first, pulls the plug after `graceful_seconds` → `Nothing`."""

    vm_id: str
    graceful_seconds: float


class RemoveVm(Verb, frozen=True, kw_only=True, tag="remove-vm"):
    """Have nothing of the VM on the host: domain, disks, seed, logs, windows → `Nothing`."""

    vm_id: str


class ReceiveMove(Verb, frozen=True, kw_only=True, tag="receive-move"):
    """Get ready to receive the VM from `source_address`: admission, disk, and an open window for that peer alone.

    The window closes by itself after `window_seconds` → `Nothing`.
    """

    vm: VmSpec
    source_host_id: str
    source_address: str
    window_seconds: float


class SendMove(Verb, frozen=True, kw_only=True, tag="send-move"):
    """Migrate the VM live, with its disk, to a host that is ready for it → `Moved`."""

    vm_id: str
    destination_host_id: str
    destination_address: str
    timeout_seconds: float


class CloseMove(Verb, frozen=True, kw_only=True, tag="close-move"):
    """Close the VM's move window. `keep` False: also remove what a move that failed left here → `Nothing`."""

    vm_id: str
    keep: bool


class ObserveVms(Verb, frozen=True, kw_only=True, tag="observe-vms"):
    """Tell what is on the host now → `Seen`."""


class OpenConsole(Verb, frozen=True, kw_only=True, tag="open-console"):
    """Attach the VM's serial console to the controller's session `session_id`, by dialling out to it → `Nothing`."""

    vm_id: str
    session_id: str


class OpenScreen(Verb, frozen=True, kw_only=True, tag="open-screen"):
    """Attach the VM's screen, keyboard and pointer (RFB) to the controller's session, as `OpenConsole` → `Nothing`."""

    vm_id: str
    session_id: str


AnyVerb = (
    HoldImage
    | PrepareVm
    | StartVm
    | StopVm
    | RemoveVm
    | ReceiveMove
    | SendMove
    | CloseMove
    | ObserveVms
    | OpenConsole
    | OpenScreen
)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is the idempotency key; `patience_seconds` is how long the controller waits for the answer."""

    id: str
    key: str
    patience_seconds: float
    verb: AnyVerb


class Result(msgspec.Struct, frozen=True, kw_only=True, tag_field="result"):
    """What came of a verb."""


class Nothing(Result, frozen=True, kw_only=True, tag="nothing"):
    """It is as it was asked to be. `changed` False: it was so before."""

    changed: bool = True


class Held(Result, frozen=True, kw_only=True, tag="held"):
    """The image is in the cache. `fetched_bytes` 0: it was there before."""

    fetched_bytes: int


class Moved(Result, frozen=True, kw_only=True, tag="moved"):
    """The VM runs at the destination. Times as QEMU tells them."""

    downtime_ms: int
    total_ms: int
    sent_bytes: int


class SeenVm(msgspec.Struct, frozen=True, kw_only=True):
    """A domain on the host. `state` is libvirt's word: running, paused, shutoff, … `zone_id` "" if it carries none."""

    vm_id: str
    name: str
    state: str
    zone_id: str
    zone: str
    mixes_with: tuple[str, ...] = ()


class Tunnel(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a host lets into its overlay tunnel, and how many packets of theirs and of others came, by its firewall."""

    fellows: tuple[str, ...]
    admitted_packets: int
    refused_packets: int


class Seen(Result, frozen=True, kw_only=True, tag="seen"):
    """Everything on the host that is, or was, a VM's: domains, and the folders of disks by VM id.

    `listening` are the host's non-loopback listening sockets in its own network, as `tcp ADDRESS:PORT PROCESS`;
    `tunnel` is what the firewall holds of the overlay tunnel, None if it holds nothing.
    """

    vms: tuple[SeenVm, ...]
    disks: tuple[str, ...]
    windows: tuple[str, ...]
    listening: tuple[str, ...]
    tunnel: Tunnel | None = None


AnyResult = Nothing | Held | Moved | Seen


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one command: exactly one of `result` and `error`."""

    command_id: str
    result: AnyResult | None = None
    error: ErrorRecord | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent reports every few seconds, and at once when a VM's state changes."""

    protocol: int
    agent_version: str
    vcpus: int
    memory_mib: int
    disk_bytes: int
    facts: dict[str, str]
    vms: tuple[SeenVm, ...]


class HeartbeatAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is told with each report: `fellows`, the underlay addresses of all other hosts of the cloud.

    `renew`: it is time for a new certificate.
    """

    fellows: tuple[str, ...]
    renew: bool = False


class RenewalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`csr` a PKCS #10 request, PEM, of a new key."""

    csr: str


class RenewalAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The host's next certificate, PEM. The one it has is good until the controller is shown this one."""

    certificate: str


class JoinRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`secret` from the join token; `csr` a PKCS #10 request, PEM, whose key never leaves the host."""

    protocol: int
    secret: str
    csr: str
    underlay_address: str
    agent_version: str


class JoinAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The host's certificate, and where its switch finds the southbound. PEM texts."""

    host_id: str
    name: str
    certificate: str
    ca_certificate: str
    southbound: str


class JoinToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a new host is given on paper: where the controller is, how to know it, and a secret that serves once.

    `u`: URL of the agents' listener; `s`: the secret; `f`: SHA-256 of the CA certificate (DER), hex; `n`: host name;
    `h`: the id of the host that it lets join again, "" if it makes a new one.
    """

    PREFIX: ClassVar[str] = "rf1."
    LONGEST: ClassVar[int] = 2048

    u: str
    s: str
    f: str
    n: str
    h: str = ""

    def text(self) -> str:
        return self.PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> JoinToken:
        """Read a token back; raises `JoinTokenRefused` for anything that is none."""
        text = text.strip()
        if not text.startswith(cls.PREFIX) or len(text) > cls.LONGEST:
            raise JoinTokenRefused(why="not a join token")
        body = text.removeprefix(cls.PREFIX)
        try:
            token = msgspec.json.decode(base64.b64decode(body + "=" * (-len(body) % 4), b"-_", validate=True), type=cls)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise JoinTokenRefused(why="damaged: copy it again, whole") from None
        if not token.u.startswith("https://") or len(token.f) != 64 or not token.s or not token.n:
            raise JoinTokenRefused(why="damaged: copy it again, whole")
        return token


def encode(message: Any) -> bytes:
    """Encode any message of this module."""
    return msgspec.json.encode(message)
