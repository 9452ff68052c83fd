"""The gate to an OpenID Connect provider, the organisation's own sign-on: authorization code, PKCE, state and nonce.

It tells who somebody is and in which groups. What follows from that is `provider_sign_in`'s.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ringfence.controller.settings import Settings
from ringfence.errors import Invalid, Refused, Unreachable

with warnings.catch_warnings(record=True):
    # It would rather have a successor of httpx, and says so on the terminal of whoever starts a controller.
    from authlib.integrations.httpx_client import OAuth2Client

TIMEOUT_SECONDS = 10.0
CLOCK_SKEW_SECONDS = 60
ANSWER_BYTES = 1 << 20
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures with a key that the provider alone has; `none` and those with a shared secret are not among them."""


@dataclass(eq=False)
class NoProvider(Refused):
    """This controller has no provider for signing in.

    Sign in with password or passkey, or give the controller one (`--oidc-issuer`).
    """

    status: ClassVar[int] = 404


@dataclass(eq=False)
class ProviderUnreachable(Unreachable):
    """The provider {issuer} does not answer as it should: {why}.

    Try again; if it stays so, see whether the controller reaches it and `--oidc-issuer` is right.
    """

    issuer: str
    why: str


@dataclass(eq=False)
class ProviderDenied(Refused):
    """The provider did not sign you in here: {why}.

    Begin again; if it stays so, an administrator can see the reason in the controller's log.
    """

    status: ClassVar[int] = 401
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in under way: where to send the browser, and what has to be remembered until it is back."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, as the provider says. `email` is "" unless the provider verified it."""

    issuer: str
    subject: str
    name: str
    display_name: str
    email: str
    groups: frozenset[str]


class Provider:
    """The provider that the settings tell of."""

    def __init__(self, settings: Settings, redirect_uri: str) -> None:
        if not settings.oidc_issuer:
            raise NoProvider
        self._settings = settings
        self._issuer = settings.oidc_issuer
        self._redirect_uri = redirect_uri

    def begin(self) -> Begun:
        """Begin a sign-in."""
        nonce, verifier = generate_token(43), generate_token(64)
        with self._client() as client:
            endpoint = self._endpoint(client, "authorization_endpoint")
            url, state = client.create_authorization_url(endpoint, code_verifier=verifier, nonce=nonce)
        return Begun(url=url, state=state, nonce=nonce, verifier=verifier)

    def end(self, code: str, *, nonce: str, verifier: str) -> Identity:
        """Ask who it was that came back with this code; raises `ProviderDenied`."""
        with self._client() as client:
            endpoint, keys_at = self._endpoint(client, "token_endpoint"), self._endpoint(client, "jwks_uri")
            answer = client.fetch_token(endpoint, code=code, code_verifier=verifier, grant_type="authorization_code")
            claims = self._claims(str(answer.get("id_token", "")), self._read(client, keys_at), nonce)
        groups = claims.get(self._settings.oidc_groups_claim, [])
        verified = claims.get("email_verified") is True
        return Identity(
            issuer=self._issuer,
            subject=str(claims["sub"])[:255],
            name=str(claims.get("preferred_username", "")),
            display_name=str(claims.get("name", ""))[:200],
            email=str(claims.get("email", ""))[:254] if verified else "",
            groups=frozenset(str(group) for group in groups) if isinstance(groups, list) else frozenset(),
        )

    def _claims(self, token: str, keys: Any, nonce: str) -> Mapping[str, Any]:
        decoded = jwt.decode(token, KeySet.import_key_set(keys), algorithms=ALGORITHMS)
        client_id = self._settings.oidc_client_id
        jwt.JWTClaimsRegistry(
            leeway=CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(decoded.claims)
        # A token for several parties names the one that it was given to.
        if decoded.claims.get("azp", client_id) != client_id:
            raise ProviderDenied(why="its token is for another program")
        return decoded.claims

    @contextmanager
    def _client(self) -> Iterator[OAuth2Client]:
        settings = self._settings
        secret = (
            Path(settings.oidc_client_secret_file).read_text().strip() if settings.oidc_client_secret_file else None
        )
        client = OAuth2Client(
            client_id=settings.oidc_client_id,
            client_secret=secret,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            scope="openid profile email",
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        try:
            with client:
                yield client
        except (httpx.HTTPError, OSError) as error:
            raise ProviderUnreachable(issuer=self._issuer, why=str(error)[:200]) from error
        except (AuthlibBaseError, JoseError, ValueError) as error:
            raise ProviderDenied(why=str(error)[:200]) from error

    def _endpoint(self, client: OAuth2Client, name: str) -> str:
        told = self._read(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if told.get("issuer") != self._issuer:
            raise ProviderUnreachable(issuer=self._issuer, why=f"it calls itself {str(told.get('issuer'))[:200]}")
        return check_provider_url(str(told.get(name, "")), field=name)

    def _read(self, client: OAuth2Client, url: str) -> dict[str, Any]:
        answer = client.request("GET", url, withhold_token=True)
        if answer.status_code != httpx.codes.OK or len(answer.content) > ANSWER_BYTES:
            raise ProviderUnreachable(issuer=self._issuer, why=f"{url} answers {answer.status_code}")
        read = json.loads(answer.content)
        if not isinstance(read, dict):
            raise ProviderUnreachable(issuer=self._issuer, why=f"{url} is no JSON object")
        return read


def check_provider_url(url: str, *, field: str) -> str:
    """Give the URL back; refuses as `Invalid` what would send codes in clear beyond this machine."""
    parts = urlsplit(url)
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise Invalid(field=field, why=f"{url[:200]!r} is not an https URL")
    return url
