"""The link to the controller: heartbeats out, commands in, answers out. It dials; nothing here listens.

What comes in is decoded strictly and done once. What a command means is the handlers' business.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import traceback
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from ringfence import __version__
from ringfence.agent import crash, posture
from ringfence.agent.ask_root import RootPart
from ringfence.agent.console import Consoles
from ringfence.agent.dial import Controller
from ringfence.agent.disks import Disks
from ringfence.agent.handlers import Handlers, subject
from ringfence.agent.identity import Identity
from ringfence.agent.journal import Journal
from ringfence.agent.moves import Door
from ringfence.agent.root_verbs import (
    AdmitFellows,
    AskCertificate,
    CertificateAsked,
    CloseWindow,
    Domains,
    KeepCertificate,
    ListDomains,
)
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid, RingfenceError, Unreachable
from ringfence.model.hosts import CommandUnknown, HostToolFailed
from ringfence.wire import (
    PROTOCOL,
    Answer,
    AnyVerb,
    Command,
    Heartbeat,
    HeartbeatAnswer,
    ReceiveMove,
    RenewalAnswer,
    RenewalRequest,
    encode,
)

_POLL_SECONDS = 30
_MOST_AT_ONCE = 8
_MOST_WAITING = 256
_LONGEST_KEY = 512
_ANSWER_TRIES_SECONDS = 600.0
_RENEW_AGAIN_SECONDS = 60.0
"""After a renewal that failed: each is an entry in the ledger."""
T = TypeVar("T")


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A command whose verb is not looked at yet, so that one that makes no sense can be answered."""

    id: str
    key: str
    patience_seconds: float
    verb: msgspec.Raw


class _Tag(msgspec.Struct, frozen=True):
    verb: str


def read_command(content: bytes) -> tuple[Envelope, Command | RingfenceError]:
    """Read a command; in its stead the error to answer with. Raises `Invalid` if nobody could be answered."""
    try:
        envelope = msgspec.json.decode(content, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(field="command", why=str(error)[:200]) from None
    if not 0 < len(envelope.id) <= _LONGEST_KEY or not 0 < len(envelope.key) <= _LONGEST_KEY:
        raise Invalid(field="command", why="its id or key is empty or too long")
    try:
        verb = msgspec.json.decode(envelope.verb, type=AnyVerb)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return envelope, _why_not(envelope.verb, str(error))
    return envelope, Command(id=envelope.id, key=envelope.key, patience_seconds=envelope.patience_seconds, verb=verb)


def _why_not(verb: msgspec.Raw, said: str) -> RingfenceError:
    try:
        tag = msgspec.json.decode(verb, type=_Tag).verb[:64]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Invalid(field="verb", why=said[:200])
    known = {str(kind.__struct_config__.tag) for kind in AnyVerb.__args__}
    return Invalid(field="verb", why=said[:200]) if tag in known else CommandUnknown(verb=tag)


class Backoff:
    """Longer and longer waits, with jitter, so that a thousand agents do not come back in one second."""

    def __init__(self, *, first_seconds: float = 0.2, longest_seconds: float = 10.0) -> None:
        self._first, self._longest = first_seconds, longest_seconds
        self._next = first_seconds

    def wait(self) -> None:
        time.sleep(self._next * random.uniform(0.5, 1.0))  # noqa: S311  (spreads load; no secret)
        self._next = min(self._next * 2, self._longest)

    def reset(self) -> None:
        self._next = self._first


class Work:
    """Does commands: several at once, those of one subject one after another, one that comes twice once."""

    def __init__(self, journal: Journal, handle: Callable[[AnyVerb], object], answer: Callable[[Answer], None]) -> None:
        self._journal, self._handle, self._answer = journal, handle, answer
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._lanes: dict[str, deque[Command]] = defaultdict(deque)
        self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="work")

    def take(self, command: Command) -> None:
        """Do the command in its turn. One that is under way is not taken again; its answer is on its way."""
        about = subject(command.verb)
        with self._lock:
            if command.key in self._under_way:
                return
            if len(self._under_way) >= _MOST_WAITING:
                return  # the controller gives it again
            self._under_way.add(command.key)
            lane = self._lanes[about]
            lane.append(command)
            if len(lane) > 1:
                return
        self._pool.submit(self._run_lane, about)

    def is_idle(self) -> bool:
        """Tell that no command is under way."""
        with self._lock:
            return not self._under_way

    def _run_lane(self, about: str) -> None:
        while True:
            with self._lock:
                command = self._lanes[about][0]
            try:
                self._answer(self._do(command))
            except Exception:  # noqa: BLE001  (one command's fault must not stop the others of its lane)
                traceback.print_exc()
            with self._lock:
                self._under_way.discard(command.key)
                lane = self._lanes[about]
                lane.popleft()
                if not lane:
                    del self._lanes[about]
                    return

    def _do(self, command: Command) -> Answer:
        point = command.verb.__struct_config__.tag
        crash.point(f"{point}/begun")
        known = self._journal.answer(command.key)
        if known is not None:
            return Answer(command_id=command.id, result=known.result, error=known.error)
        try:
            answer = Answer(command_id=command.id, result=self._handle(command.verb))  # type: ignore[arg-type]
        except RingfenceError as error:
            answer = Answer(command_id=command.id, error=error.record())
        except Exception as error:  # noqa: BLE001  (a bug is answered: the operation must not wait for ever)
            traceback.print_exc()
            answer = Answer(command_id=command.id, error=HostToolFailed(tool="the agent", why=repr(error)).record())
        crash.point(f"{point}/done")
        # A window is closed when its agent dies: who asks again then gets a new one, not the old answer.
        if not isinstance(command.verb, ReceiveMove):
            self._keep(command.key, answer)
        crash.point(f"{point}/kept")
        return answer

    def _keep(self, key: str, answer: Answer) -> None:
        try:
            self._journal.keep(key, answer)
        except OSError as error:
            # A full disk is no reason to be silent: whoever asked may be waiting to free it.
            sys.stderr.write(f"the answer to {key} is given, and not remembered: {error}\n")


class Link:
    """Runs the agent's networked part."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls = tls = Identity(settings).tls
        self._connections = threading.local()
        self._controller = Controller(settings.controller, tls)
        self._root = RootPart(settings.privileged_socket)
        self._disks = Disks(settings)
        self._door = Door(settings, self._root)
        handlers = Handlers(
            settings,
            root=self._root,
            disks=self._disks,
            door=self._door,
            consoles=Consoles(settings.controller, tls, self._root),
            controller=self._controller,
        )
        self._work = Work(Journal(settings.journal), handlers.handle, self._send_answer)

    def run(self) -> None:
        """Run until the process ends."""
        self._disks.begin()
        seen = _patiently(lambda: self._root.ask(ListDomains()))
        assert isinstance(seen, Domains)
        # A window whose listener died with an earlier agent lets nobody in: close it, so that the move fails at once.
        for vm_id in seen.windows:
            _patiently(lambda vm_id=vm_id: self._root.ask(CloseWindow(vm_id=vm_id)))  # type: ignore[misc]
        threading.Thread(target=self._beat_always, daemon=True, name="heartbeat").start()
        self._poll_always()

    def _poll_always(self) -> None:
        backoff, session = Backoff(), uuid.uuid4().hex
        while True:
            try:
                status, content = self._controller.request(
                    "GET",
                    f"/agent/v1/commands?session={session}&wait={_POLL_SECONDS}",
                    patience_seconds=_POLL_SECONDS + 15,
                )
            except RingfenceError as error:
                sys.stderr.write(f"fetching commands: {error}\n")
                # What a broken poll may have carried is given again to a new session.
                session = uuid.uuid4().hex
                backoff.wait()
                continue
            backoff.reset()
            if status == 200:
                self._take(content)
            elif self._work.is_idle():
                # What this host was given and does not know of was lost on the way: a new session is given it again.
                session = uuid.uuid4().hex

    def _take(self, content: bytes) -> None:
        try:
            envelope, command = read_command(content)
        except Invalid as error:
            sys.stderr.write(f"{error}\n")
            return
        if isinstance(command, Command):
            self._work.take(command)
        else:
            answer = Answer(command_id=envelope.id, error=command.record())
            threading.Thread(target=self._send_answer, args=(answer,), daemon=True).start()

    def _send_answer(self, answer: Answer) -> None:
        """Send until the controller has it; a controller that refuses it does not want it."""
        backoff, ends = Backoff(), time.monotonic() + _ANSWER_TRIES_SECONDS
        # A connection for each thread of the pool, kept: a new one would cost more than the answer.
        controller = self._connections.__dict__.setdefault("own", Controller(self._settings.controller, self._tls))
        while time.monotonic() < ends:
            try:
                controller.request("POST", "/agent/v1/answers", encode(answer))
            except Unreachable:
                backoff.wait()
            except RingfenceError as error:
                sys.stderr.write(f"answer to {answer.command_id}: {error}\n")
                return
            else:
                return

    def _beat_always(self) -> None:
        backoff, number = Backoff(longest_seconds=self._settings.heartbeat_seconds), -1
        facts = posture.facts()
        fellows: tuple[str, ...] | None = None
        renew_from = 0.0
        with self._controller.another() as controller:
            while True:
                try:
                    wait_seconds = 0.0 if number < 0 else self._settings.heartbeat_seconds
                    seen = self._root.ask(ListDomains(after=number, wait_seconds=wait_seconds))
                    assert isinstance(seen, Domains)
                    number = seen.number
                    beat = encode(self._heartbeat(seen, facts))
                    _, content = controller.request("POST", "/agent/v1/heartbeat", beat)
                    told = _read(content, HeartbeatAnswer)
                    if told.fellows != fellows:
                        self._root.ask(AdmitFellows(addresses=told.fellows))
                        fellows = told.fellows
                    if told.renew and time.monotonic() >= renew_from:
                        renew_from = time.monotonic() + _RENEW_AGAIN_SECONDS
                        self._renew(controller)
                        renew_from = 0.0
                except (RingfenceError, OSError) as error:
                    # Without the root part nothing is known of the VMs, and a host that knows nothing says nothing.
                    sys.stderr.write(f"heartbeat: {error}\n")
                    number, fellows = -1, None
                    backoff.wait()
                    continue
                backoff.reset()
                time.sleep(0.05)  # changes come in bursts: one heartbeat tells them all

    def _renew(self, controller: Controller) -> None:
        """Have a new key and certificate; the controller takes those of before until it is shown the new ones."""
        asked = self._root.ask(AskCertificate())
        assert isinstance(asked, CertificateAsked)
        _, content = controller.request("POST", "/agent/v1/certificate", encode(RenewalRequest(csr=asked.csr)))
        self._root.ask(KeepCertificate(certificate=_read(content, RenewalAnswer).certificate))

    def _heartbeat(self, seen: Domains, facts: dict[str, str]) -> Heartbeat:
        vcpus, memory_mib = posture.size(self._settings)
        return Heartbeat(
            protocol=PROTOCOL,
            agent_version=__version__,
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_bytes=self._disks.capacity_bytes(),
            facts=facts | seen.versions,
            vms=seen.vms,
        )


def _read(content: bytes, kind: type[T]) -> T:
    """Read what the controller answered; raises `Invalid`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(field="the controller's answer", why=str(error)[:200]) from None


def _patiently(attempt: Callable[[], T]) -> T:
    """Try until the root part is there: both start together."""
    backoff = Backoff(longest_seconds=2.0)
    while True:
        try:
            return attempt()
        except (Unreachable, HostToolFailed) as error:
            sys.stderr.write(f"{error}\n")
            backoff.wait()


def run(settings: Settings) -> int:
    """Run the link."""
    Link(settings).run()
    return 0
