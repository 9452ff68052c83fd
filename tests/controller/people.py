"""A person at a real controller: sets up, signs in, seals what is secret; and the programs that are run for it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ringfence.client.sealing import seal

COMMAND = [sys.executable, "-c", "from ringfence.controller.main import run; run()"]
TOLD = {"API": "url", "admin token": "token", "set-up link": "link"}


@dataclass
class Program:
    """A controller that runs as a program of its own, as its user would start it."""

    process: subprocess.Popen[str]
    folder: Path
    url: str
    token: str
    link: str

    @property
    def pids(self) -> dict[str, int]:
        """Every process of the server, by what it is."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        names = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
        passwords = [pid for pid, name in names.items() if "ringfence.passwords" in name]
        assert len(passwords) == len(names) == 1, names
        return {"controller": self.process.pid, "password process": passwords[0]}


@contextlib.contextmanager
def program(folder: Path, *flags: str) -> Iterator[Program]:
    """Run a controller until the block is left."""
    command = [*COMMAND, "--data", str(folder), "--listen", "127.0.0.1:0", "--agents-listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = dict.fromkeys(TOLD.values(), "")
            for line in process.stdout:
                if line == "ready\n":
                    break
                for words, name in TOLD.items():
                    if line.startswith(f"  {words} "):
                        told[name] = line.removeprefix(f"  {words} ").split()[0]
            yield Program(process=process, folder=folder, **told)
        finally:
            process.terminate()
            process.wait(20)


class Person:
    """One who uses the API as a browser would: with cookies, and the CSRF token of the session."""

    def __init__(self, url: str, **how: Any) -> None:
        # Cookies are marked Secure; a browser sends them to loopback in clear, and Python's cookie jar does not.
        self._cookies: dict[str, str] = {}
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=60, **how)
        self.csrf = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), **headers}
        if self.csrf and method != "GET":
            sent.setdefault("X-CSRF-Token", self.csrf)
        response = self.http.request(method, path, json=body, headers={k: v for k, v in sent.items() if v})
        for cookie in response.headers.get_list("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if response.status_code == 201 and "csrf_token" in response.json():
            self.csrf = response.json()["csrf_token"]
        return response

    def cookie(self, name: str = "__Host-ringfence") -> str:
        return self._cookies.get(name, "")

    def drop(self, name: str) -> None:
        self._cookies.pop(name, None)

    def sealed(self, **secrets: str) -> dict[str, str]:
        """Seal each secret to the key of now: the parts of a body."""
        key = self.http.get("/v1/session/key").json()
        return {"key_id": key["key_id"], **{f"sealed_{name}": seal(secret, key) for name, secret in secrets.items()}}

    def set_up(self, link: str, account: str | None, password: str) -> httpx.Response:
        secret = link.partition("#")[2]
        body = {**self.sealed(secret=secret, password=password), **({"account": account} if account else {})}
        return self.ask("POST", "/v1/setup", body)

    def sign_in(self, account: str, password: str) -> httpx.Response:
        return self.ask("POST", "/v1/session", {"account": account, **self.sealed(password=password)})

    def close(self) -> None:
        self.http.close()
