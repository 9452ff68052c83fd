"""What a host may do to the southbound, with its own certificate and the role `ringfence-host`, over TLS."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.contract.ovn import Central, Certificates, SwitchHost, lab_root
from tests.contract.test_fence import H1, H2, intent

from ringfence.adapters.northbound import OvnFence
from ringfence.adapters.southbound import ROLE, bootstrap_southbound
from ringfence.decide.segmentation import compile_fabric
from ringfence.model.names import HostId

pytestmark = pytest.mark.contract

REFUSED = "permission error"


class Authority:
    """A CA of a test, and certificates by common name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        self._write("ca.crt", self._signed(self.name, self.key, is_ca=True))

    def certificates(self, common_name: str) -> Certificates:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Certificates(
            key=self._write(f"{common_name}.key", pem),
            certificate=self._write(f"{common_name}.crt", self._signed(subject, key, is_ca=False)),
            ca=self.folder / "ca.crt",
        )

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> bytes:
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, content: bytes) -> Path:
        (self.folder / name).write_bytes(content)
        return self.folder / name


class Deployment:
    """A southbound that hosts reach over TLS only, with the role."""

    def __init__(self, central: Central, authority: Authority, remote: str) -> None:
        self.central, self.authority, self.remote = central, authority, remote
        self.identities = {name: authority.certificates(name) for name in ("h1", "h2", "h3")}
        self.fence = OvnFence(northbound=central.northbound, southbound=central.southbound)
        self.revision = 0

    def as_host(self, name: str, *arguments: str, identity: Certificates | None = None) -> str:
        """Do it with the host's certificate; tell what is said, refusals included."""
        flags = (identity or self.identities[name]).flags()
        return self.central.programs.run(
            "ovn-sbctl", "--no-leader-only", "--timeout=5", f"--db={self.remote}", *flags, *arguments, check=False
        )

    def may_bind(self, *hosts: str) -> None:
        self.revision += 1
        self.fence.apply(compile_fabric(intent(self.revision, *hosts)))
        self.central.sync()

    def chassis(self, name: str) -> str:
        return self.central.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={name}").strip()

    def binding(self, column: str = "chassis") -> str:
        return self.central.sbctl("--bare", f"--columns={column}", "find", "Port_Binding", "logical_port=port0").strip()


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    folder = Path(mkdtemp(prefix="rf"))
    central, authority = Central(lab_root(), folder), Authority(folder / "pki")
    fence = None
    try:
        central.start(tls=authority.certificates("central"))
        bootstrap_southbound(central.southbound)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        central.sbctl("set-connection", f"role={ROLE}", f"pssl:{port}:127.0.0.1")
        made = Deployment(central, authority, f"ssl:127.0.0.1:{port}")
        fence = made.fence
        central.programs.await_true(lambda: "h" not in made.as_host("h1", "show"), "the listener")
        for name in made.identities:
            told = made.as_host(name, "chassis-add", name, "geneve", f"127.0.0.{10 + int(name[1])}")
            assert REFUSED not in told, told
            told = made.as_host(name, "create", "Chassis_Private", f"name={name}")
            assert REFUSED not in told, told
        yield made
    finally:
        if fence is not None:
            fence.close()
        central.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_host_binds_the_port_that_is_given_to_it(deployment: Deployment) -> None:
    deployment.may_bind(H1)
    deployment.as_host("h1", "set", "Port_Binding", "port0", f"chassis={deployment.chassis('h1')}")
    assert deployment.binding() == deployment.chassis("h1")
    assert REFUSED not in deployment.as_host("h1", "set", "Port_Binding", "port0", "up=true")


def test_a_host_cannot_bind_the_port_of_another(deployment: Deployment) -> None:
    deployment.may_bind(H1)
    deployment.as_host("h1", "set", "Port_Binding", "port0", f"chassis={deployment.chassis('h1')}")
    for change in (f"chassis={deployment.chassis('h2')}", "chassis=[]", "up=false", "options:x=y"):
        assert REFUSED in deployment.as_host("h2", "set", "Port_Binding", "port0", change)
    assert deployment.binding() == deployment.chassis("h1")


def test_no_host_can_bind_a_port_that_is_given_to_none(deployment: Deployment) -> None:
    deployment.may_bind()
    deployment.central.sbctl("clear", "Port_Binding", "port0", "chassis", "additional_chassis")
    for name in deployment.identities:
        change = f"chassis={deployment.chassis(name)}"
        assert REFUSED in deployment.as_host(name, "set", "Port_Binding", "port0", change)


def test_both_hosts_of_a_move_may_bind_its_port_and_the_source_no_longer_after_it(deployment: Deployment) -> None:
    deployment.may_bind(H1)
    deployment.as_host("h1", "set", "Port_Binding", "port0", f"chassis={deployment.chassis('h1')}")
    deployment.may_bind(H1, H2)
    also = f"additional_chassis={deployment.chassis('h2')}"
    assert REFUSED not in deployment.as_host("h2", "set", "Port_Binding", "port0", also)
    assert deployment.binding("additional_chassis") == deployment.chassis("h2")
    assert REFUSED in deployment.as_host("h3", "set", "Port_Binding", "port0", "additional_chassis=[]")
    deployment.may_bind(H2)
    taken = f"chassis={deployment.chassis('h2')}"
    assert REFUSED not in deployment.as_host("h2", "set", "Port_Binding", "port0", taken)
    back = f"chassis={deployment.chassis('h1')}"
    assert REFUSED in deployment.as_host("h1", "set", "Port_Binding", "port0", back)
    assert deployment.binding() == deployment.chassis("h2")


@pytest.mark.parametrize(
    "attempt",
    [
        ("set", "Port_Binding", "port0", "external_ids:rf-host-b=h2"),
        ("set", "Port_Binding", "port1", "external_ids:rf-host-a=h2"),
        ("set", "Port_Binding", "port0", "mac=unknown"),
        ("set", "Port_Binding", "port0", 'port_security="52:54:00:00:00:01"'),
        ("set", "Chassis", "h1", "external_ids:a=b"),
        ("set", "Chassis_Private", "h1", "nb_cfg=99999"),
        ("chassis-del", "h1"),
        ("destroy", "Port_Binding", "port0"),
        ("create", "Chassis", "name=h9"),
        ("create", "FDB", 'mac="52:54:00:00:00:01"', "dp_key=1", "port_key=1"),
        ("create", "MAC_Binding", "logical_port=port0", "ip=10.1.0.10", 'mac="52:54:00:00:00:99"'),
        ("create", "RBAC_Role", "name=mine"),
        ("set", "RBAC_Role", ROLE, "name=other"),
        ("del-connection",),
        ("set", "SB_Global", ".", "nb_cfg=99999"),
        ("--all", "destroy", "Logical_Flow"),
        ("--all", "destroy", "Address_Set"),
        ("--all", "destroy", "Port_Group"),
        ("--all", "destroy", "RBAC_Permission"),
    ],
    ids=lambda attempt: "-".join(attempt[:3]),
)
def test_a_host_cannot_widen_its_rights_or_touch_what_is_not_its_own(
    deployment: Deployment, attempt: tuple[str, ...]
) -> None:
    deployment.may_bind(H1)
    told = deployment.as_host("h2", *attempt)
    assert REFUSED in told, told


def test_a_stranger_s_certificate_is_not_let_in(deployment: Deployment, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").certificates("h1")
    identity = Certificates(key=stranger.key, certificate=stranger.certificate, ca=deployment.identities["h1"].ca)
    assert "_uuid" not in deployment.as_host("h1", "list", "Chassis", identity=identity)


def test_the_role_is_as_it_was_after_northd_restarts_and_after_a_second_bootstrap(deployment: Deployment) -> None:
    def role() -> str:
        return deployment.central.sbctl("--columns=name,permissions", "find", "RBAC_Role", f"name={ROLE}")

    before = role()
    deployment.central.programs.stop("northd")
    (deployment.central.folder / "northd.ctl").unlink(missing_ok=True)
    deployment.central.start_northd()
    bootstrap_southbound(deployment.central.southbound)
    assert role() == before
    assert before.count("name") == 1


def test_the_role_is_enough_for_ovn_controller_through_a_move(deployment: Deployment) -> None:
    for name in deployment.identities:
        deployment.as_host(name, "chassis-del", name)
    deployment.may_bind(H1)
    central = deployment.central
    hosts = [SwitchHost(central, central.folder / f"c{n}", f"h{n}", f"127.0.0.{20 + n}") for n in (1, 2)]
    try:
        for host in hosts:
            host.start(southbound=deployment.remote, tls=deployment.identities[host.name])
            host.plug("port0")
        fence = deployment.fence
        central.programs.await_true(lambda: fence.bound_hosts("port0") == (H1,), "the port to be bound")
        # A move, one that is taken back, one to a host that never has the guest, and a port that nobody may bind.
        for given, held in (
            ((H1, H2), (H1, H2)),
            ((H2,), (H2,)),
            ((H2, H1), (H2, H1)),
            ((H2,), (H2,)),
            ((HostId("h3"),), ()),
            ((H1,), (H1,)),
            ((), ()),
            ((H2,), (H2,)),
        ):
            deployment.may_bind(*given)
            fence.wait_in_force([H1, H2], timeout_seconds=20)
            central.programs.await_true(
                lambda held=held: fence.bound_hosts("port0") == held, f"{held} to have the port"
            )
        refused = "".join((host.folder / "controller.log").read_text() for host in hosts)
        assert set(re.findall(r'prohibit .*?table \\"(\w+)', refused)) <= {"Port_Binding"}
    finally:
        for host in hosts:
            host.stop()
