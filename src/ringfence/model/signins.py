"""Every way in which signing in can be refused. Passwords themselves are seen in one process only: `passwords`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ringfence.errors import Refused, Unreachable


@dataclass(eq=False)
class SignInDenied(Refused):
    """The account and what was given to prove that it is yours do not belong together.

    Check both and try again; an administrator can make a new set-up link if the password is lost.
    """

    status: ClassVar[int] = 401


@dataclass(eq=False)
class TooManyAttempts(Refused):
    """There were too many wrong attempts; the next one counts in {retry_after_seconds} s.

    Wait that long. A device that this account has signed in from before, and a passkey, do not have to wait for others.
    """

    status: ClassVar[int] = 429
    retry_after_seconds: int


@dataclass(eq=False)
class PasswordUnfit(Refused):
    """The new password was not taken: {why}.

    Choose a longer one, for example four or more words that have nothing to do with each other.
    """

    status: ClassVar[int] = 422
    why: str


@dataclass(eq=False)
class SealedToAnotherKey(Refused):
    """The password was sealed to a key that this controller does not have, or was sent before.

    Get the key anew (`GET /v1/session/key`) and seal the password again, for each time it is sent.
    """


@dataclass(eq=False)
class SealRefused(Refused):
    """The sealed {what} does not open, or is empty or too long.

    Seal at most 1,024 bytes, as a libsodium sealed box, to the key that `GET /v1/session/key` gives.
    """

    status: ClassVar[int] = 422
    what: str


@dataclass(eq=False)
class SetUpRefused(Refused):
    """This set-up link is {why}.

    It serves once, for a day. An administrator can make another (`ringfence account invite`), or, on its machine,
    `ringfence-controller setup-link`.
    """

    status: ClassVar[int] = 403
    why: str


@dataclass(eq=False)
class SessionEnded(Refused):
    """This session has ended.

    Sign in again: `ringfence login`, or in the browser.
    """

    status: ClassVar[int] = 401


@dataclass(eq=False)
class SessionNeeded(Refused):
    """This is for a person's own session, and the request came with a token.

    Sign in: `ringfence login`, or in the browser.
    """

    status: ClassVar[int] = 403


@dataclass(eq=False)
class CsrfTokenWrong(Refused):
    """A change made with a session's cookie needs the X-CSRF-Token header, and it was missing or another session's.

    Send the `csrf_token` of `GET /v1/session`.
    """

    status: ClassVar[int] = 403


@dataclass(eq=False)
class PasskeyNeeded(Refused):
    """The password was right; this account needs its passkey too.

    Answer with the passkey in the browser, within five minutes; at a terminal, use a token of your account.
    """

    status: ClassVar[int] = 428
    challenge_id: str
    options: dict[str, Any]


@dataclass(eq=False)
class SignInsUnavailable(Unreachable):
    """The process that checks passwords does not answer.

    Try again in a moment; if it stays so, the controller's log says why.
    """
