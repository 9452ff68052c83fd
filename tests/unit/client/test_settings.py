"""Where settings come from, and which are refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ringfence.client.settings import SettingsRefused, UnsafeUrl, check_url, read_settings, write_settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("RINGFENCE_URL", "RINGFENCE_TOKEN", "RINGFENCE_CA"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("url", ["http://cloud.example.org:8470", "http://10.0.0.1", "http://localhost.example.org"])
def test_a_token_is_not_sent_in_clear_beyond_this_machine(url: str) -> None:
    with pytest.raises(UnsafeUrl):
        check_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8470", "http://localhost", "http://[::1]:1", "https://10.0.0.1"])
def test_loopback_and_tls_are_good_enough(url: str) -> None:
    assert check_url(url) == url


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings({"url": "https://file", "token": 'a"b\\c'})
    assert (read_settings().url, read_settings().token) == ("https://file", 'a"b\\c')
    monkeypatch.setenv("RINGFENCE_URL", "https://environment/")
    assert read_settings().url == "https://environment"
    assert read_settings("https://flag").url == "https://flag"


def test_only_the_owner_can_read_a_stored_token() -> None:
    path = write_settings({"token": "secret"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(SettingsRefused):
        read_settings()


def test_what_is_no_url_is_refused_with_where_it_may_have_been_given() -> None:
    with pytest.raises(SettingsRefused) as refused:
        check_url("nonsense")
    assert refused.value.message.startswith("nonsense was not used")
    assert "RINGFENCE_URL" in refused.value.remedy
