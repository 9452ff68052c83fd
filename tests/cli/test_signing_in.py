"""Signing in at a terminal: the program, a real controller, and the settings file between."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.test_commands_on_a_controller import PROGRAM
from tests.controller.conftest import Cloud

from ringfence.store import setup_links
from ringfence.store.ids import digest_of

pytestmark = pytest.mark.contract

PASSWORD, NEW = "my dog eats moss", "a quiet purple kettle"


@dataclass
class Terminal:
    """The program, with a settings file of its own and no token in the environment."""

    url: str
    config: Path

    def __call__(self, words: str, *, typed: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RINGFENCE_")}
        environment |= {"XDG_CONFIG_HOME": str(self.config), "NO_COLOR": "1"}
        command = [PROGRAM, "--url", self.url, *words.split()]
        done = subprocess.run(
            command, env=environment, input=typed, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    @property
    def file(self) -> Path:
        return self.config / "ringfence" / "config.toml"


@pytest.fixture
def terminal(cloud: Cloud, tmp_path: Path) -> Terminal:
    return Terminal(url=str(cloud.http.base_url).rstrip("/"), config=tmp_path / "config")


@pytest.fixture
def link(cloud: Cloud) -> str:
    secret = "f" * 43
    with cloud.controller._parts.store.transaction() as session:
        setup_links.add_setup_link(session, digest_of(secret))
    return f"{str(cloud.http.base_url).rstrip('/')}/setup#{secret}"


def test_set_up_sign_out_sign_in_and_change_the_password(terminal, link) -> None:
    assert "not signed in" in terminal("zone list", code=1).stderr
    terminal("setup --account ada", typed=f"{link}\n{PASSWORD}\n")
    assert stat.S_IMODE(terminal.file.stat().st_mode) == 0o600
    assert PASSWORD not in terminal.file.read_text()
    terminal("zone create red")
    terminal("logout")
    assert "session" not in terminal.file.read_text()
    terminal("zone list", code=1)
    assert "do not belong together" in terminal("login ada", typed="something else\n", code=1).stderr
    signed_in = terminal("login ada", typed=f"{PASSWORD}\n")
    assert "Signed in as ada" in signed_in.stderr
    assert PASSWORD not in signed_in.stdout + signed_in.stderr
    assert "red" in terminal("zone list").stdout
    assert "12 are the least" in terminal("account password", typed=f"{PASSWORD}\nshort\n", code=1).stderr
    terminal("account password", typed=f"{PASSWORD}\n{NEW}\n")
    terminal("login ada", typed=f"{PASSWORD}\n", code=1)
    terminal("login ada", typed=f"{NEW}\n")


def test_a_session_is_listed_and_revoked(terminal, link, tmp_path) -> None:
    terminal("setup --account ada", typed=f"{link}\n{PASSWORD}\n")
    other = Terminal(url=terminal.url, config=tmp_path / "other")
    other("login ada", typed=f"{PASSWORD}\n")
    listed = json.loads(terminal("account sessions -o json").stdout)
    assert [each["current"] for each in listed] == [True, False]
    terminal(f"account revoke {listed[1]['id']}")
    assert "not known here" in other("zone list", code=1).stderr
    terminal("zone list")


def test_an_administrator_invites_somebody_by_a_link(cloud, terminal, link, tmp_path) -> None:
    terminal("setup --account ada", typed=f"{link}\n{PASSWORD}\n")
    cloud.post("/v1/projects", {"name": "payments", "owner": "grace@example.org"}, expect=201)
    made = json.loads(terminal("account invite grace@example.org -o json").stdout)
    grace = Terminal(url=terminal.url, config=tmp_path / "grace")
    told = grace("setup", typed=f"{made['link']}\n{NEW}\n")
    assert "You are grace@example.org" in told.stderr


def test_a_stored_token_is_there_again_after_signing_out(cloud, terminal, link) -> None:
    terminal("config set --token-stdin", typed=f"{cloud.token}\n")
    terminal("setup --account ada", typed=f"{link}\n{PASSWORD}\n")
    assert len(json.loads(terminal("account sessions -o json").stdout)) == 1
    terminal("logout")
    assert json.loads(terminal("account sessions -o json").stdout) == []
