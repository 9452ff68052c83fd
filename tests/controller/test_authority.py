"""The CA: made once, private, and good for nothing but what it says."""

from __future__ import annotations

import datetime as dt
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store

from ringfence.controller.authority import Authority
from ringfence.errors import Invalid
from ringfence.fakes.agent import certificate_request
from ringfence.model.hosts import Certificate

pytestmark = pytest.mark.store

HOST = "0197a1c2-0000-7000-8000-000000000001"


@pytest.fixture
def authority(tmp_path) -> Authority:
    return Authority(tmp_path / "ca")


def test_the_ca_is_made_once_and_is_private(authority, tmp_path) -> None:
    assert Authority(tmp_path / "ca").fingerprint == authority.fingerprint
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "ca" / "ca.key").stat().st_mode) == 0o600


def test_a_ca_whose_making_was_cut_short_is_made_anew(authority, tmp_path) -> None:
    (tmp_path / "ca" / "ca.crt").unlink()
    again = Authority(tmp_path / "ca")
    assert again.fingerprint != authority.fingerprint
    again.certify(tmp_path / "tls", name="x", addresses=["127.0.0.1"])


def issue(authority: Authority, csr: str, *, good_seconds: float = 3600) -> str:
    pem, kept = authority.issue_for_host(HOST, csr, "192.0.2.9", good_seconds=good_seconds)
    issued = x509.load_pem_x509_certificate(pem.encode())
    assert kept == Certificate(
        serial=f"{issued.serial_number:x}",
        fingerprint=issued.fingerprint(SHA256()).hex(),
        expires_at=issued.not_valid_after_utc.isoformat(timespec="microseconds"),
    )
    return pem


def test_a_hosts_certificate_is_good_for_as_long_as_was_said(authority) -> None:
    csr = certificate_request(ec.generate_private_key(ec.SECP256R1()), "h1")
    until = x509.load_pem_x509_certificate(issue(authority, csr, good_seconds=3600).encode()).not_valid_after_utc
    assert dt.timedelta(minutes=59) < until - dt.datetime.now(dt.UTC) < dt.timedelta(minutes=61)


def test_a_hosts_certificate_says_who_it_is_whatever_the_request_said(authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    issued = x509.load_pem_x509_certificate(issue(authority, certificate_request(key, "admin")).encode())
    assert issued.subject.rfc4514_string() == f"CN={HOST}"
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.9"]
    assert issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    root = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    chain = PolicyBuilder().store(Store([root])).build_client_verifier().verify(issued, [])
    assert chain.chain[0] == issued


@pytest.mark.parametrize(
    "csr", ["", "x" * 20000, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_what_is_no_request_is_refused(authority, csr) -> None:
    with pytest.raises(Invalid):
        issue(authority, csr)


def test_a_request_whose_signature_was_changed_is_refused(authority) -> None:
    csr = x509.load_pem_x509_csr(certificate_request(ec.generate_private_key(ec.SECP256R1()), "h1").encode())
    other = x509.load_pem_x509_csr(certificate_request(ec.generate_private_key(ec.SECP256R1()), "h1").encode())
    der = bytearray(csr.public_bytes(Encoding.DER))
    der = der.replace(
        csr.public_key().public_numbers().x.to_bytes(32, "big"),
        other.public_key().public_numbers().x.to_bytes(32, "big"),
    )
    with pytest.raises(Invalid):
        issue(authority, ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST"))


def test_a_key_of_another_kind_is_refused(authority) -> None:
    key = rsa.generate_private_key(65537, 2048)
    with pytest.raises(Invalid, match="P-256"):
        issue(authority, certificate_request(key, "h1"))  # type: ignore[arg-type]


def test_a_certificate_is_kept_while_it_is_good_and_made_anew_for_other_addresses(authority, tmp_path) -> None:
    pair = authority.certify(tmp_path / "tls", name="controller", addresses=["127.0.0.1", "localhost"])
    first = pair.certificate.read_bytes()
    authority.certify(tmp_path / "tls", name="controller", addresses=["127.0.0.1", "localhost"])
    assert pair.certificate.read_bytes() == first
    authority.certify(tmp_path / "tls", name="controller", addresses=["127.0.0.1", "192.0.2.1"])
    assert pair.certificate.read_bytes() != first
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600


def test_a_certificate_of_another_ca_is_made_anew(authority, tmp_path) -> None:
    pair = authority.certify(tmp_path / "tls", name="controller", addresses=["127.0.0.1"])
    first = pair.certificate.read_bytes()
    Authority(tmp_path / "other").certify(tmp_path / "tls", name="controller", addresses=["127.0.0.1"])
    assert pair.certificate.read_bytes() != first
