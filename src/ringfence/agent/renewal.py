"""A new key and certificate for this host, before the ones it has expire. Root's part: it speaks to no network.

The key is made here and leaves this process for its file only. A key that was asked for and not certified is forgotten
with the process: the controller certifies another.
"""

from __future__ import annotations

import threading

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringfence.agent.identity import certificate_request, write_identity
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid, WrongState


class Renewal:
    """One renewal after the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._key: ec.EllipticCurvePrivateKey | None = None

    def request(self) -> str:
        """Make a key, and give the request for its certificate, PEM."""
        with self._lock:
            self._key = ec.generate_private_key(ec.SECP256R1())
            return certificate_request(self._key, self._settings.host_id)

    def keep(self, pem: str) -> None:
        """Be whom the certificate names from now on. Raises `Invalid` unless that is this very host, with that key."""
        with self._lock:
            if self._key is None:
                raise WrongState(
                    kind="host", name=self._settings.name, state="not renewing", verb="a certificate", needs="renewing"
                )
            # SAFETY: what comes from the part that talks to the network must not cut the switch off the southbound.
            _check(pem, self._key, self._settings)
            write_identity(self._settings, self._key, pem)
            self._key = None


def _check(pem: str, key: ec.EllipticCurvePrivateKey, settings: Settings) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(settings.ca_file.read_bytes()))
    except (ValueError, TypeError, InvalidSignature):
        raise Invalid(field="certificate", why="it is none of this host's CA") from None
    names = [part.value for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [settings.host_id] or certificate.public_key() != key.public_key():
        raise Invalid(field="certificate", why="it is of another host or key")
