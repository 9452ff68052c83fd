"""Secrets that are asked for: without echo on a terminal, else a line of standard input each. Never an argument."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from ringfence.client.connection import Client, Json
from ringfence.client.sealing import seal
from ringfence.errors import RingfenceError

T = TypeVar("T")


def ask_secret(prompt: str, *, twice: bool = False) -> str:
    """Ask for a secret; on a terminal twice, if what is typed cannot be seen to be right."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def with_sealed(client: Client, send: Callable[[Json], T], **secrets: str) -> T:
    """Seal the secrets to the controller's key and send them; once more if it has another key by then."""
    try:
        return send(_sealed(client, secrets))
    except RingfenceError as error:
        if error.code != "sealed-to-another-key":
            raise
    return send(_sealed(client, secrets))


def _sealed(client: Client, secrets: dict[str, str]) -> Json:
    key = client.get("/v1/session/key")
    return {"key_id": key["key_id"], **{f"sealed_{name}": seal(secret, key) for name, secret in secrets.items()}}
