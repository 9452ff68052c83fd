"""Joining: from a token to a certificate, and a switch that dials the southbound. Run by root, by hand.

The private key is made here and never leaves. Nothing is written before the controller has answered. What a host is, it
does not lose by mistake: see `check_may_join`.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from ringfence import __version__
from ringfence.agent import switch
from ringfence.agent.dial import Controller, own_address
from ringfence.agent.identity import certificate_request, write_identity, write_whole
from ringfence.agent.settings import JOINED_FILE, Settings, read_settings
from ringfence.errors import Invalid
from ringfence.model.hosts import JoinedAlready, JoinTokenRefused, VmsHere
from ringfence.wire import PROTOCOL, JoinAnswer, JoinRequest, JoinToken, encode

Tell = Callable[[str], None]


def read_token(file: Path | None) -> str:
    """Read the token from the file, or ask for it unseen, or take it from standard input; raises `Invalid`."""
    if file is not None:
        try:
            with file.open(encoding="utf-8") as told:
                return told.read(JoinToken.LONGEST + 2)
        except (OSError, UnicodeDecodeError) as error:
            # Not the file's name: it may be a token that was meant for elsewhere.
            why = error.strerror if isinstance(error, OSError) else None
            raise Invalid(field="--token-file", why=why or "it is not text") from None
    if sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            return getpass.getpass("Join token: ")
        return ""
    return sys.stdin.readline(JoinToken.LONGEST + 2)


def check_may_join(token: JoinToken, settings: Settings, *, anew: bool) -> None:
    """Refuse to lose what this host is: its identity unless it is to join `anew`, and its VMs in any case.

    A token that gives this very host a new certificate takes nothing away.
    """
    if token.h and (not settings.host_id or (token.h == settings.host_id and token.f == _known_ca(settings))):
        return
    # SAFETY: each VM's folder holds its owner's data, and a host of another name would know nothing of it.
    if settings.vms.exists() and (vms := sorted(folder.name for folder in settings.vms.iterdir())):
        raise VmsHere(vms=vms, folder=str(settings.vms))
    if not anew and settings.identity_file.exists():
        raise JoinedAlready(name=settings.name or "NAME")


def _known_ca(settings: Settings) -> str:
    try:
        return _fingerprint(settings.ca_file.read_text())
    except (OSError, ValueError):
        return ""


def _fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()


def join(text: str, settings: Settings, *, anew: bool, tell: Tell) -> JoinAnswer:
    """Join the cloud the token speaks of; raises what refuses it."""
    token = JoinToken.parse(text)
    check_may_join(token, settings, anew=anew)
    address = settings.underlay_address or own_address(token.u)
    tell(f"controller: {token.u}")
    ca = fetch_ca(token)
    tell("its certificate authority is the one the token names")
    key = ec.generate_private_key(ec.SECP256R1())
    asked = JoinRequest(
        protocol=PROTOCOL,
        secret=token.s,
        csr=certificate_request(key, token.n),
        underlay_address=address,
        agent_version=__version__,
    )
    trusting = ssl.create_default_context(cadata=ca)
    trusting.minimum_version = ssl.TLSVersion.TLSv1_3
    _, content = Controller(token.u, lambda: trusting).request("POST", "/agent/v1/join", encode(asked))
    try:
        answer = msgspec.json.decode(content, type=JoinAnswer)
    except msgspec.MsgspecError as error:
        raise Invalid(field="the controller's answer", why=str(error)[:200]) from None
    tell(f"admitted as {answer.name} ({answer.host_id})")
    _store(settings, answer, key, {"controller": token.u, "underlay_address": address})
    switch.apply_switch(read_settings(Path(settings.config, "agent.toml")))
    tell(f"the switch dials {answer.southbound}; tunnels end at {address}")
    return answer


def fetch_ca(token: JoinToken) -> str:
    """Fetch the CA's certificate, PEM; raises `JoinTokenRefused` unless it is the one the token names."""
    # SAFETY: nothing secret is sent on this connection, and what comes is believed only by its fingerprint.
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    _, content = Controller(token.u, lambda: unverified).request("GET", "/agent/v1/ca")
    try:
        pem = content.decode("ascii")
        fingerprint = _fingerprint(pem)
    except ValueError:
        raise JoinTokenRefused(why="of another controller: what answers there gives no certificate") from None
    if fingerprint != token.f:
        raise JoinTokenRefused(why="of another controller: the certificate's fingerprint differs")
    return pem


def _store(settings: Settings, answer: JoinAnswer, key: ec.EllipticCurvePrivateKey, found: dict[str, str]) -> None:
    Path(settings.config).mkdir(mode=0o755, parents=True, exist_ok=True)
    # ORDER: the settings last: what they refer to is there by then.
    write_identity(settings, key, answer.certificate)
    write_whole(settings.ca_file, answer.ca_certificate.encode(), mode=0o644, group=0)
    told = found | {"host_id": answer.host_id, "name": answer.name, "southbound": answer.southbound}
    lines = [f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in told.items()]
    write_whole(Path(settings.config, JOINED_FILE), "".join(lines).encode(), mode=0o644, group=0)
