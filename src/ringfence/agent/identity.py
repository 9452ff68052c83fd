"""Who this host is to others: its key and certificate, in one file, and the TLS contexts made of them.

One file, so that it is replaced in one step: whoever reads it, Open vSwitch's programs included, finds a key and a
certificate that belong together. Only root writes it.
"""

from __future__ import annotations

import datetime as dt
import os
import pwd
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringfence.agent.settings import Settings
from ringfence.errors import Invalid
from ringfence.model.hosts import CertificateExpired


class Identity:
    """What this host shows the controller, as its file has it now. For many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._tls: ssl.SSLContext | None = None
        self._expires = dt.datetime.min.replace(tzinfo=dt.UTC)

    def tls(self) -> ssl.SSLContext:
        """Give the context for dialling; another one once the file was replaced. Raises `CertificateExpired`."""
        file = self._settings.identity_file
        with self._lock:
            try:
                status = file.stat()
            except FileNotFoundError:
                raise Invalid(field="certificate", why="this host has not joined: ringfence-agent join") from None
            if self._tls is None or self._read_at != (status.st_ino, status.st_mtime_ns):
                self._expires = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
                self._tls = client_tls(self._settings)
                self._read_at = (status.st_ino, status.st_mtime_ns)
            if self._expires <= dt.datetime.now(dt.UTC):
                raise CertificateExpired(host=self._settings.name, at=self._expires.isoformat(timespec="seconds"))
            return self._tls


def client_tls(settings: Settings) -> ssl.SSLContext:
    """Make the context for dialling: our certificate, and the controller's CA as the only one."""
    return _context(ssl.PROTOCOL_TLS_CLIENT, settings)


def peer_tls(settings: Settings, *, listens: bool) -> ssl.SSLContext:
    """Make the context for the two ends of a move. Who the peer is, its certificate's name tells: `check_peer`."""
    context = _context(ssl.PROTOCOL_TLS_SERVER if listens else ssl.PROTOCOL_TLS_CLIENT, settings)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _context(protocol: int, settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cafile=settings.ca_file)
    context.load_cert_chain(settings.identity_file)
    return context


def certificate_request(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """Make a PKCS #10 request, PEM; its name is for readers, since the CA says itself who a host is."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def write_identity(settings: Settings, key: ec.EllipticCurvePrivateKey, certificate: str) -> None:
    """Put the key and its certificate in the place of those before, which are gone."""
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    group = pwd.getpwnam(settings.agent_user).pw_gid
    write_whole(settings.identity_file, pem + certificate.encode(), mode=0o640, group=group)


def write_whole(file: Path, content: bytes, *, mode: int, group: int) -> None:
    """Write a whole file or none; it never exists with wider rights than `mode`."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        os.fchown(descriptor, 0, group)
        os.fchmod(descriptor, mode)
        out.write(content)
        out.flush()
        os.fsync(descriptor)
    fresh.replace(file)
