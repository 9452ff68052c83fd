"""What the controller is told at its start, by flags or `RINGFENCE_*` variables. Reads no file, starts nothing."""

from __future__ import annotations

import argparse
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.errors import Invalid
from ringfence.model.access import Role

GIB = 1 << 30
CLOUD_ROLES = (Role.CLOUD_ADMIN, Role.SECURITY_OFFICER, Role.AUDITOR)
PROJECT_ROLES = (Role.PROJECT_OWNER, Role.PROJECT_MEMBER, Role.PROJECT_VIEWER)
"""From the one that permits most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a listener listens. `host` is an IP address, or `localhost`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogTarget:
    """Where the ledger is forwarded. `ca` is the PEM file that alone is trusted, None: the machine's own trust."""

    host: str
    port: int
    ca: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupInProject:
    """What a group of the provider's is in a project, which is named by its name or its id."""

    group: str
    role: Role
    project: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One controller's settings. `names` are further names and addresses that its certificate is good for.

    `southbound_for_hosts` is what hosts' switches dial; `southbound` what this controller reads. `agents_address` is
    what a join token tells hosts to dial; `public_url` is what people's browsers open. Sizes are bytes.
    """

    data: Path
    database: str
    listen: Address
    agents_listen: Address
    agents_address: str
    tls: bool
    names: tuple[str, ...] = ()
    public_url: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: str = ""
    oidc_groups_claim: str = "groups"
    oidc_roles: tuple[tuple[str, Role], ...] = ()
    oidc_members: tuple[GroupInProject, ...] = ()
    northbound: str = ""
    southbound: str = ""
    southbound_for_hosts: str = ""
    host_certificate_seconds: float = 72 * 3600.0
    image_bytes_limit: int = 64 * GIB
    virtual_bytes_limit: int = 2048 * GIB
    import_from_loopback: bool = False
    import_seconds: float = 3600.0
    syslog: SyslogTarget | None = None

    def __post_init__(self) -> None:
        # SAFETY: tokens would cross a network in the clear.
        if not self.listen.loopback and not self.tls:
            raise Invalid(field="listen", why="beyond loopback the API is served over TLS only; add --tls")

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.listen}"

    def page_url(self, listening: Address) -> str:
        """Tell where people's browsers find this controller, which listens there."""
        return self.public_url or f"{'https' if self.tls else 'http'}://{listening}"

    @property
    def images(self) -> Path:
        return self.data / "images"


_FLAGS: tuple[tuple[str, str, str], ...] = (
    ("data", "/var/lib/ringfence/controller", "folder of the CA, the SQLite database and the images"),
    ("database", "", "SQLAlchemy URL; SQLite in the data folder if empty"),
    ("listen", "127.0.0.1:8470", "address and port of the API"),
    ("agents-listen", "127.0.0.1:8471", "address and port that hosts dial"),
    ("agents-address", "", "what a join token tells hosts to dial, HOST:PORT; the agents' listener if empty"),
    ("names", "", "further names and addresses the certificate is good for, comma-separated"),
    ("public-url", "", "what people's browsers open, https://NAME[:PORT]; the API's own address if empty"),
    ("oidc-issuer", "", "URL of the OpenID Connect provider that people sign in by; none if empty"),
    ("oidc-client-id", "", "what the provider knows this controller by"),
    ("oidc-client-secret-file", "", "file with the secret that the provider gave this controller, if any"),
    ("oidc-groups-claim", "groups", "the claim in which the provider lists somebody's groups"),
    ("oidc-roles", "", "which groups have which roles, GROUP=ROLE, or GROUP=ROLE@PROJECT, comma-separated"),
    ("northbound", "", "OVN northbound, as unix:PATH or ssl:HOST:PORT; no fence is applied if empty"),
    ("southbound", "", "OVN southbound this controller reads; tells where ports are bound"),
    ("southbound-for-hosts", "", "OVN southbound that hosts' switches dial, as ssl:HOST:PORT"),
    ("host-certificate-seconds", "259200", "how long a host's certificate is good; renewed when two thirds are left"),
    ("image-bytes-limit", str(64 * GIB), "largest image file, in bytes"),
    ("virtual-bytes-limit", str(2048 * GIB), "largest disk an image may unfold to, in bytes"),
    ("import-seconds", "3600", "longest an import from a URL may take"),
    ("syslog", "", "HOST:PORT of a syslog receiver (RFC 5424 over TLS) that the ledger is forwarded to"),
    ("syslog-ca", "", "PEM file of the CA that the syslog receiver's certificate is of; else the machine's trust"),
)


def add_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Give the parser every setting as a flag whose default comes from the environment."""
    for name, default, told in _FLAGS:
        variable = f"RINGFENCE_{name.upper().replace('-', '_')}"
        parser.add_argument(f"--{name}", default=environment.get(variable, default), help=f"{told} [{variable}]")
    for name, told in (
        ("tls", "serve the API over TLS, with a certificate of the controller's own CA"),
        ("import-from-loopback", "let images be imported from loopback and link-local addresses too"),
    ):
        variable = f"RINGFENCE_{name.upper().replace('-', '_')}"
        on = environment.get(variable, "") in ("1", "true", "yes")
        parser.add_argument(f"--{name}", action="store_true", default=on, help=f"{told} [{variable}]")


def from_flags(given: argparse.Namespace) -> Settings:
    """Build the settings; raises `Invalid` with the flag's name."""
    data = Path(given.data).resolve()
    agents_listen = parse_address(given.agents_listen, field="agents-listen")
    cloud_roles, in_projects = _roles(given.oidc_roles, field="oidc-roles")
    return Settings(
        data=data,
        database=given.database or f"sqlite:///{data / 'ringfence.db'}",
        listen=parse_address(given.listen, field="listen"),
        agents_listen=agents_listen,
        agents_address=given.agents_address or str(agents_listen),
        tls=given.tls,
        names=tuple(name.strip() for name in given.names.split(",") if name.strip()),
        public_url=_origin(given.public_url, field="public-url"),
        oidc_issuer=given.oidc_issuer,
        oidc_client_id=given.oidc_client_id,
        oidc_client_secret_file=given.oidc_client_secret_file,
        oidc_groups_claim=given.oidc_groups_claim,
        oidc_roles=cloud_roles,
        oidc_members=in_projects,
        northbound=given.northbound,
        southbound=given.southbound,
        southbound_for_hosts=given.southbound_for_hosts,
        host_certificate_seconds=float(_whole(given.host_certificate_seconds, field="host-certificate-seconds")),
        image_bytes_limit=_whole(given.image_bytes_limit, field="image-bytes-limit"),
        virtual_bytes_limit=_whole(given.virtual_bytes_limit, field="virtual-bytes-limit"),
        import_from_loopback=given.import_from_loopback,
        import_seconds=float(_whole(given.import_seconds, field="import-seconds")),
        syslog=_syslog(given.syslog, given.syslog_ca),
    )


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read flags, then variables, then defaults; raises `Invalid`."""
    parser = argparse.ArgumentParser(prog="ringfence-controller", allow_abbrev=False)
    add_flags(parser, environment)
    return from_flags(parser.parse_args(arguments))


def parse_address(text: str, *, field: str) -> Address:
    """Parse `HOST:PORT` or `[V6]:PORT`; raises `Invalid`. Port 0 lets the system choose."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise Invalid(field=field, why=f"{text!r} is not ADDRESS:PORT")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise Invalid(field=field, why=f"{host!r} is not an IP address to listen on") from None
    return Address(host=host, port=int(port))


def _syslog(text: str, ca: str) -> SyslogTarget | None:
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise Invalid(field="syslog", why=f"{text!r} is not HOST:PORT")
    if ca and not Path(ca).is_file():
        raise Invalid(field="syslog-ca", why=f"there is no file {ca}")
    return SyslogTarget(host=host.removeprefix("[").removesuffix("]"), port=int(port), ca=Path(ca) if ca else None)


def _origin(text: str, *, field: str) -> str:
    if text and not re.fullmatch(
        r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?", text
    ):
        raise Invalid(field=field, why=f"{text!r} is not https://NAME or https://NAME:PORT")
    return text.lower()


def _roles(text: str, *, field: str) -> tuple[tuple[tuple[str, Role], ...], tuple[GroupInProject, ...]]:
    cloud, in_projects = [], []
    for pair in (pair.strip() for pair in text.split(",") if pair.strip()):
        group, _, held = pair.rpartition("=")
        role, at, project = held.partition("@")
        known = PROJECT_ROLES if at else CLOUD_ROLES
        if not group or role not in known or (at and not project):
            shape = "GROUP=ROLE@PROJECT" if at else "GROUP=ROLE"
            raise Invalid(field=field, why=f"{pair} is not {shape} with one of {', '.join(known)}")
        if at:
            in_projects.append(GroupInProject(group=group, role=Role(role), project=project))
        else:
            cloud.append((group, Role(role)))
    return tuple(cloud), tuple(in_projects)


def _whole(text: str, *, field: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise Invalid(field=field, why=f"{text!r} is not a positive whole number")
    return int(text)
