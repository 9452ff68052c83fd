"""Signing in: attempts slowed down, passwords judged elsewhere, sessions begun. No shape of HTTP but cookies.

It runs apart from the threads of other requests, so that a flood of attempts delays only attempts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from starlette.responses import Response
from starlette.types import Scope

from ringfence.controller.admission import DEVICE_COOKIE, SESSION_COOKIE, actor_for, cookie_in, source_of
from ringfence.controller.gate import CLAIMED, DENIED
from ringfence.controller.parts import Parts
from ringfence.decide.access import Grants
from ringfence.decide.guessing import Heard, NotYet, Tally, tallies_of
from ringfence.model.sessions import DEVICE_SECONDS, LONGEST_SECONDS, Means, SignedIn
from ringfence.model.signins import SignInDenied, TooManyAttempts
from ringfence.store import accounts, passwords, sessions, sign_ins
from ringfence.store.acting import acting
from ringfence.store.engine import Session

logger = logging.getLogger(__name__)

ATTEMPTS_AT_ONCE = 8
SET_UP = "/set-up"
"""What attempts with a set-up link are counted by; no account can have this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt, as it is counted: of whom, from where, by which device of theirs."""

    account: str
    source: str
    tallies: Mapping[Tally, str]
    device_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A session that was begun, and whose. `device_secret` is None where the device was known before."""

    grants: Grants
    signed_in: SignedIn
    secret: str = field(repr=False)
    device_secret: str | None = field(repr=False, default=None)


class SignIns:
    """Attempts of one controller. `hear` first; then prove the attempt; then `begin`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.limiter = anyio.CapacityLimiter(ATTEMPTS_AT_ONCE)

    async def hear(self, scope: Scope, account: str) -> Attempt:
        """Count the attempt, and hold it for as long as it has to wait; raises `TooManyAttempts`."""
        scope["state"][CLAIMED] = account
        device_secret = cookie_in(scope, DEVICE_COOKIE)
        attempt, verdict = await anyio.to_thread.run_sync(
            self._count, account, source_of(scope), device_secret, limiter=self.limiter
        )
        if isinstance(verdict, NotYet):
            scope["state"][DENIED] = "sign-in: too many attempts"
            logger.warning("sign-in denied: %s from %s: too many attempts", account, attempt.source)
            raise TooManyAttempts(retry_after_seconds=verdict.retry_after_seconds)
        await anyio.sleep(verdict.hold_seconds)
        return attempt

    @staticmethod
    def unhindered(scope: Scope, account: str) -> Attempt:
        """Make an attempt that is not counted: where nothing can be guessed."""
        return Attempt(account=account, source=source_of(scope), tallies={})

    def _count(self, account: str, source: str, device_secret: str) -> tuple[Attempt, Heard | NotYet]:
        with self._parts.store.losable() as session:
            device_id = sessions.known_device(session, account, device_secret) if device_secret else None
            tallies = tallies_of(account, source, device_id)
            attempt = Attempt(account=account, source=source, tallies=tallies, device_id=device_id)
            return attempt, sign_ins.begin_attempt(session, tallies)

    def judge(self, attempt: Attempt, key_id: str, box: bytes) -> str:
        """Give the id of the account whose password is in the box; raises `SignInDenied`."""
        store = self._parts.store
        with store.reading() as session:
            account_id, stored = passwords.stored_password(session, attempt.account)
        judged = self._parts.passwords.verify(key_id, box, stored)
        if not judged.right:
            raise self.denied(attempt, "wrong password")
        if judged.fresh:
            with store.transaction() as session:
                passwords.refresh_password(session, account_id, old=stored, fresh=judged.fresh)
        return account_id

    def denied(self, attempt: Attempt, why: str) -> SignInDenied:
        """Note that the attempt was denied, and give the error that says so and no more."""
        logger.warning("sign-in denied: %s from %s: %s", attempt.account, attempt.source, why)
        return SignInDenied()

    def begin(self, scope: Scope, attempt: Attempt, account_id: str, means: Means) -> Begun:
        """Begin a session in place of the one that the request may have come with."""
        with self._parts.store.reading() as session:
            grants = accounts.grants_of(session, account_id)
        with acting(actor_for(grants.account, scope)), self._parts.store.transaction() as session:
            return self.begin_in(session, scope, attempt, grants, means)

    def begin_in(self, session: Session, scope: Scope, attempt: Attempt, grants: Grants, means: Means) -> Begun:
        """Do it in a transaction that does more."""
        self.forgive(session, attempt)
        # A fresh secret at each sign-in, and the one before is gone: who planted it has nothing.
        if before := cookie_in(scope, SESSION_COOKIE):
            sessions.remove_session_of(session, before)
        client = dict(scope["headers"]).get(b"user-agent", b"").decode("latin-1")
        account_id = grants.account.id
        signed_in, secret = sessions.add_session(session, account_id, means, source=attempt.source, client=client)
        device = sessions.add_known_device(session, account_id) if attempt.device_id is None else None
        return Begun(grants=grants, signed_in=signed_in, secret=secret, device_secret=device)

    @staticmethod
    def forgive(session: Session, attempt: Attempt) -> None:
        """Count the attempt as one that succeeded."""
        sign_ins.end_attempt(session, attempt.tallies)


def set_cookies(response: Response, begun: Begun) -> None:
    """Have the browser keep session and device, as cookies that no script reads and no other site sends."""
    _set(response, SESSION_COOKIE, begun.secret, int(LONGEST_SECONDS))
    if begun.device_secret is not None:
        _set(response, DEVICE_COOKIE, begun.device_secret, int(DEVICE_SECONDS))
    response.headers["Cache-Control"] = "no-store"


def forget_cookie(response: Response) -> None:
    """Have the browser forget the session."""
    _set(response, SESSION_COOKIE, "", 0)


def _set(response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict")
