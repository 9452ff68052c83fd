"""A lab with a controller and joined hosts: the whole cloud on one machine, as the demo, tests and benches use it.

The controller is the one that users run, on its default store, its API on loopback and its agents' listener on the
lab's underlay. All that can be asked through the public API is asked through it. `down` takes everything away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ringfence.adapters.southbound import ROLE, bootstrap_southbound
from ringfence.client.connection import Client, ControllerUnreachable, has_ended
from ringfence.client.settings import Settings
from ringfence.errors import ErrorRecord, Unfinished, from_record
from ringfence.lab import agents, commands, guests, namespaces
from ringfence.lab.captures import Capture
from ringfence.lab.central import Certificates
from ringfence.lab.cloud import Lab, Tell
from ringfence.lab.guest_shell import GuestShell
from ringfence.lab.hosts import Host
from ringfence.lab.probes import await_address

Json = dict[str, Any]
AGENTS_PORT = 8471
_READY_SECONDS = 60.0
_CONTROLLER = str(Path(sys.executable).with_name("ringfence-controller"))


@dataclass(eq=False)
class ControllerSilent(Unfinished):
    """The lab's controller is not there: {said}.

    Its log is {log}.
    """

    said: str
    log: str


class Cloud:
    """The cloud of one lab. Its database may be another than SQLite; then it is the caller's to make and remove."""

    def __init__(self, *, name: str, host_count: int = 3, tell: Tell = lambda _line: None, database: str = "") -> None:
        self.lab = Lab(name)
        self.host_count = host_count
        self.database = database
        self._tell = tell
        self._port = 0
        self._tls_at = ""
        self._certificate_seconds = 0

    # up and down

    def up(self) -> None:
        """Bring up the lab, the controller, and the joined hosts; what an earlier run left is taken away first."""
        self.lab.down()
        self.lab.up(self.host_count, tell=self._tell)
        self.start_controller()
        self._secure_southbound()
        package = agents.package()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda host: self._join(host, package), self.lab.hosts))
        self.await_hosts()

    def down(self) -> None:
        self.__dict__.pop("client", None)
        self.lab.down()

    @property
    def data(self) -> Path:
        return self.lab.places.disk / "controller"

    @property
    def log(self) -> Path:
        return self.data / "controller.log"

    @property
    def token_file(self) -> Path:
        return self.data / "token"

    @property
    def url(self) -> str:
        return f"https://{self._tls_at}:{self._port}" if self._tls_at else f"http://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        """The CA that the controller made for itself."""
        return self.data / "ca" / "ca.crt"

    @property
    def agents_url(self) -> str:
        """Where hosts dial the controller."""
        return f"https://{self.lab.controller_address}:{AGENTS_PORT}"

    @cached_property
    def client(self) -> Client:
        ca = self.ca_file if self._tls_at else None
        token = self.token_file.read_text().strip()
        return Client(Settings(url=self.url, token=token, ca=ca, reason="tried in the lab"))

    # the controller's process

    def start_controller(self) -> None:
        """Start the controller, and return when it answers."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._port = self._port or _free_port()
        commands.start(self.controller_argv(), marks=namespaces.marks(self.lab.name, ""), log=self.log)
        self.await_controller()

    def await_controller(self) -> None:
        self._await(self._answers, "it does not answer")

    @contextlib.contextmanager
    def over_tls(self) -> Iterator[None]:
        """Have the API on the underlay, over TLS, while the context lasts, instead of on loopback."""
        self._listen_at(self.lab.controller_address)
        try:
            yield
        finally:
            self._listen_at("")

    def _listen_at(self, tls_at: str) -> None:
        self.kill_controller()
        self._tls_at = tls_at
        self.__dict__.pop("client", None)
        self.start_controller()

    @contextlib.contextmanager
    def certificates_good_for(self, seconds: int) -> Iterator[None]:
        """Have hosts that join or renew get certificates for so long while the context lasts."""
        self._give_certificates_for(seconds)
        try:
            yield
        finally:
            self._give_certificates_for(0)

    def _give_certificates_for(self, seconds: int) -> None:
        self.kill_controller()
        self._certificate_seconds = seconds
        self.start_controller()
        self.await_hosts()

    def kill_controller(self) -> None:
        """Kill it -9, and wait until it is gone."""
        for pid in self.controller_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._await(lambda: not self.controller_pids(), "it does not die")

    def controller_pids(self) -> list[int]:
        """The controller's processes: those that bear the lab's mark and belong to no host."""
        own = [found.pid for found in namespaces.marked() if found.lab == self.lab.name and not found.host]
        return [pid for pid in own if b"ringfence-controller" in _command_line(pid)]

    def controller_argv(self) -> list[str]:
        """Give the command that runs this lab's controller."""
        central = self.lab.central
        flags = {
            "data": str(self.data),
            "listen": f"{self._tls_at or '127.0.0.1'}:{self._port}",
            "agents-listen": f"{self.lab.controller_address}:{AGENTS_PORT}",
            "northbound": central.northbound,
            "southbound": central.southbound,
            "southbound-for-hosts": central.southbound_for_hosts,
        }
        if self._certificate_seconds:
            flags["host-certificate-seconds"] = str(self._certificate_seconds)
        if self.database:
            flags["database"] = self.database
        given = [_CONTROLLER, *(part for name, value in flags.items() for part in (f"--{name}", value))]
        return [*given, "--tls"] if self._tls_at else given

    def _answers(self) -> bool:
        if not self.token_file.exists() and not self._keep_token():
            return False
        try:
            self.client.get("/v1/zones")
        except ControllerUnreachable:
            return False
        return True

    def _keep_token(self) -> bool:
        """Keep the admin token, which the controller shows once, at its first start."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip().startswith("admin token"):
                self.token_file.touch(mode=0o600)
                self.token_file.write_text(line.split()[-1] + "\n", encoding="utf-8")
                return True
        return False

    def _secure_southbound(self) -> None:
        central, out = self.lab.central, self.data / "central"
        argv = [_CONTROLLER, "--data", str(self.data), "certify"]
        argv += ["--name", "central", "--address", central.address, "--out", str(out)]
        commands.run(argv, timeout_seconds=30)
        bootstrap_southbound(central.southbound)
        keys = Certificates(
            private_key=(out / "central.key").read_text(),
            certificate=(out / "central.crt").read_text(),
            ca=(out / "ca.crt").read_text(),
        )
        central.secure_southbound(keys, role=ROLE)

    # hosts

    def _join(self, host: Host, package: Path) -> None:
        agents.install(host, package, accelerator=self.lab.record.accelerator)
        token = self.client.create("/v1/hosts/invitations", {"name": host.name})["token"]
        agents.join(host, token)
        self._start(host)
        self._tell(f"{host.name}: joined")

    def rejoin(self, host: Host, *, token: str = "") -> None:
        """Have a host that the controller removed join anew, as its operator would; it has no VMs."""
        agents.kill(host)
        host.stop_ovn_controller()
        token = token or self.client.create("/v1/hosts/invitations", {"name": host.name})["token"]
        agents.join(host, token, anew=True)
        self._start(host)
        self.await_hosts()

    def power_on(self, host: Host) -> None:
        """Have a joined host that was powered off run again, with all that starts with it."""
        self.lab.power_on(host)
        self._start(host)
        self.await_hosts()

    def _start(self, host: Host) -> None:
        agents.start(host)
        host.start_ovn_controller()

    def await_hosts(self) -> None:
        """Return when every host of the lab is ready and its agent answers."""
        self._await(
            lambda: (
                [h["state"] == "ready" and h["reachable"] for h in self.client.pages("/v1/hosts", limit=100)]
                == [True] * self.host_count
            ),
            "not all hosts joined",
        )

    def on_host(self, name: str, argv: Sequence[str]) -> str:
        """Run a command in a lab host, and give what it printed; looking only, the cloud is not changed by it."""
        return self.lab.host(name).run(argv).out

    def ports_in_ovn(self) -> set[str]:
        """The ids of all VM ports that OVN's northbound holds."""
        listed = self.lab.central.run(
            ["ovn-nbctl", "--no-leader-only", "--bare", "--columns=name", "list", "Logical_Switch_Port"]
        )
        return set(listed.out.split())

    def capture(self, hosts: Sequence[str], expression: str) -> Capture:
        """Count the packets that match a pcap expression at these hosts' interfaces, while the context lasts."""
        return Capture([self.lab.host(name) for name in hosts], expression)

    # what tests and the demo ask for again and again

    def follow(self, operation: Json) -> Json:
        """Follow an operation to its end, telling its steps, and give it as it ended."""
        told: set[int] = set()
        last = operation
        for last in self.client.follow(operation["id"]):
            for step in last["steps"]:
                if step["state"] != "running" and step["number"] not in told:
                    told.add(step["number"])
                    self._tell(
                        f"{last['subject_name']}: {step['name']}" + (f" ({step['detail']})" if step["detail"] else "")
                    )
        assert has_ended(last)
        return last

    def follow_all(self, operations: Sequence[Json]) -> list[Json]:
        """Follow several at once; in the order given."""
        with ThreadPoolExecutor(max(len(operations), 1)) as pool:
            return list(pool.map(self.follow, operations))

    def finish(self, answer: Json) -> Json:
        """Follow the operation that an answer names, where it names one."""
        operation = answer.get("operation", answer)
        return self.follow({"id": operation} if isinstance(operation, str) else operation)

    def done(self, operation: Json) -> Json:
        """Follow an operation that must come to a good end; raises its error otherwise."""
        ended = self.follow(operation)
        if ended["error"]:
            raise from_record(ErrorRecord(**ended["error"]))
        return ended

    def policy(self, wanted: Json) -> Json:
        """Create a policy, and return when it is in force."""
        made = self.client.create("/v1/policies", wanted)
        self.finish(made)
        return made

    def import_tiny_image(self) -> Json:
        """Import the tiny guest's image, as `tiny`."""
        file = guests.tiny(self._tell)
        size = file.stat().st_size
        return self.client.upload(
            "/v1/images/tiny/file", _chunks(file), size=size, digest=f"sha256:{guests.digest(file)}"
        )

    def shell(self, vm: Json, *, timeout_seconds: float = 60) -> GuestShell:
        """Open a shell in a guest, on its console, once the guest has booted and has its address."""
        url = f"{self.url.replace('http', 'ws', 1)}/v1/vms/{vm['id']}/console"
        token = self.token_file.read_text().strip()
        shell = GuestShell(vm=vm["name"], url=url, token=token, timeout_seconds=timeout_seconds)
        for port in vm["ports"]:
            await_address(shell, port["address"], timeout_seconds=timeout_seconds)
        return shell

    def _await(self, there: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not there():
            if time.monotonic() > deadline:
                last = self.log.read_text(errors="replace")[-600:] if self.log.exists() else ""
                raise ControllerSilent(said=f"{otherwise}; {last}", log=str(self.log))
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            yield chunk
