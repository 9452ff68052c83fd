"""The controller's certificate authority: makes it, and issues certificates of controllers, hosts and the OVN central.

Keys of hosts never come here: a host sends a PKCS #10 request. Revoking is not done with lists: whoever checks a host's
certificate also looks its host up. No sockets.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringfence.errors import Invalid
from ringfence.model.hosts import Certificate

CA_DAYS = 3650
CERTIFICATE_DAYS = 397
"""Of servers: the controller and the OVN central. A host's is for a few days, and renewed by itself."""
RENEW_DAYS = 30
_CLOCK_SKEW = dt.timedelta(minutes=10)
"""A host whose clock is a little behind must still find a fresh certificate valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """Files, PEM, of a key and its certificate."""

    key: Path
    certificate: Path


class Authority:
    """The CA in a folder of its own. Opening it makes it if it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_private_folder(folder)
        key_file, certificate_file = folder / "ca.key", folder / "ca.crt"
        # ORDER: the certificate is written last. A crash between leaves a key that no certificate belongs to, and both
        # are made anew.
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not certificate_file.exists():
                _make(key_file, certificate_file)
        loaded = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        self.certificate_file = certificate_file

    @property
    def certificate_pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the CA certificate's DER form, lower-case hex: what a join token carries."""
        return hashlib.sha256(self._certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def issue_for_host(
        self, host_id: str, csr_pem: str, underlay_address: str, *, good_seconds: float
    ) -> tuple[str, Certificate]:
        """Sign a host's request, PEM; everything but the public key is ours to say. Raises `Invalid`."""
        if len(csr_pem) > 16_384:
            raise Invalid(field="csr", why="it is longer than 16 KiB")
        try:
            csr = x509.load_pem_x509_csr(csr_pem.encode())
            signed = csr.is_signature_valid
            key = csr.public_key()
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise Invalid(field="csr", why="it is not a PKCS #10 certificate request in PEM") from None
        if not signed:
            raise Invalid(field="csr", why="its signature does not match its key")
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
            raise Invalid(field="csr", why="its key is neither of P-256 nor of P-384")
        issued = self._issue(host_id, key, [underlay_address], good=dt.timedelta(seconds=good_seconds))
        certificate = Certificate(
            serial=f"{issued.serial_number:x}",
            fingerprint=issued.fingerprint(hashes.SHA256()).hex(),
            expires_at=issued.not_valid_after_utc.isoformat(timespec="microseconds"),
        )
        return issued.public_bytes(_PEM).decode(), certificate

    def certify(self, folder: Path, *, name: str, addresses: Sequence[str]) -> KeyPair:
        """Have a key and certificate for `name` in the folder; new if missing, near its end, or for other addresses."""
        make_private_folder(folder)
        pair = KeyPair(key=folder / f"{name}.key", certificate=folder / f"{name}.crt")
        if not self._still_good(pair, addresses):
            key = ec.generate_private_key(ec.SECP256R1())
            issued = self._issue(name, key.public_key(), addresses, good=dt.timedelta(days=CERTIFICATE_DAYS))
            write_private(pair.key, _key_pem(key))
            write_private(pair.certificate, issued.public_bytes(_PEM))
        return pair

    def _still_good(self, pair: KeyPair, addresses: Sequence[str]) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
            key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            certificate.verify_directly_issued_by(self._certificate)
        except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
        same_key = certificate.public_key() == key.public_key()
        return same_key and left > dt.timedelta(days=RENEW_DAYS) and set(names) == set(_alternative_names(addresses))

    def _issue(
        self, name: str, key: ec.EllipticCurvePublicKey, addresses: Sequence[str], *, good: dt.timedelta
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        # Hosts are servers to one another during a move, and clients of the controller and the southbound.
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        ends = min(now + good, self._certificate.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_subject(name))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names := _alternative_names(addresses):
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


_PEM = serialization.Encoding.PEM


def server_context(pair: KeyPair, *, clients_of: Path | None = None) -> ssl.SSLContext:
    """Make a TLS server context; with `clients_of`, a client may show a certificate, which that CA must have issued."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if clients_of else ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair.certificate, pair.key)
    # One answer to "who is this": a resumed session would carry the certificate checked at its start.
    context.options |= ssl.OP_NO_TICKET
    if clients_of is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(clients_of)
    return context


def make_private_folder(folder: Path) -> None:
    """Have the folder, readable by nobody else."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def write_private(file: Path, content: bytes) -> None:
    """Write the file whole or not at all, readable by nobody else from its first byte on."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as writer:
        writer.write(content)
        writer.flush()
        os.fsync(writer.fileno())
    fresh.replace(file)


def _make(key_file: Path, certificate_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(key_file, _key_pem(key))
    write_private(certificate_file, _own_certificate(key).public_bytes(_PEM))


def _own_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    name = _subject("ringfence CA")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative_names(addresses: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for address in dict.fromkeys(addresses):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            names.append(x509.DNSName(address))
    return names


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
