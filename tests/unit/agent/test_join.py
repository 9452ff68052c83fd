"""What a join refuses on the host itself, before anything is asked of anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringfence.agent.join import check_may_join, read_token
from ringfence.agent.main import EXIT_REFUSED, run
from ringfence.agent.settings import Settings
from ringfence.errors import Invalid
from ringfence.model.hosts import JoinedAlready, VmsHere
from ringfence.wire import JoinToken

TOKEN = JoinToken(u="https://192.0.2.1:8471", s="secret", f="0" * 64, n="h1").text()
NEW = JoinToken(u="https://192.0.2.1:8471", s="secret", f="0" * 64, n="h2")
# Any certificate; its fingerprint is what the tokens below carry.
CA = """-----BEGIN CERTIFICATE-----
AAEC
-----END CERTIFICATE-----
"""
CA_FINGERPRINT = "ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc"
AGAIN = JoinToken(u="https://192.0.2.1:8471", s="secret", f=CA_FINGERPRINT, n="h1", h="id-of-h1")


@pytest.mark.parametrize(
    "arguments",
    [[TOKEN], ["--token", TOKEN], [f"--token={TOKEN}"], ["--anew", TOKEN], ["--token-file", "/dev/null", TOKEN],
     ["--tok", TOKEN], ["--", TOKEN]],
)  # fmt: skip
def test_a_token_among_the_arguments_is_refused_and_not_repeated(arguments, capfd, tmp_path) -> None:
    settings = tmp_path / "agent.toml"
    assert run(["--settings", str(settings), "join", *arguments]) == EXIT_REFUSED
    said = "".join(capfd.readouterr())
    assert "[token-in-arguments]" in said
    assert TOKEN[4:] not in said


def test_a_token_given_as_the_name_of_its_file_is_not_repeated() -> None:
    with pytest.raises(Invalid) as refused:
        read_token(Path(TOKEN))
    assert TOKEN not in str(refused.value)


def test_a_token_is_read_from_its_file(tmp_path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert JoinToken.parse(read_token(tmp_path / "token")).n == "h1"


def host(tmp_path: Path, *, host_id: str = "id-of-h1", vms: tuple[str, ...] = ()) -> Settings:
    """Settings of a host that has joined, if it has an id."""
    for vm in vms:
        (tmp_path / "state" / "vms" / vm).mkdir(parents=True)
    if host_id:
        for name, content in (("host.pem", ""), ("ca.crt", CA)):
            (tmp_path / name).write_text(content)
    return Settings(config=str(tmp_path), state=str(tmp_path / "state"), host_id=host_id, name="h1" if host_id else "")


def test_a_host_that_has_joined_joins_as_another_only_if_told_to(tmp_path) -> None:
    settings = host(tmp_path)
    with pytest.raises(JoinedAlready) as refused:
        check_may_join(NEW, settings, anew=False)
    assert "--again h1" in str(refused.value)
    check_may_join(NEW, settings, anew=True)


def test_a_key_that_is_left_is_enough_to_have_joined(tmp_path) -> None:
    settings = host(tmp_path, host_id="")
    check_may_join(NEW, settings, anew=False)
    settings.identity_file.write_text("")
    with pytest.raises(JoinedAlready):
        check_may_join(NEW, settings, anew=False)


@pytest.mark.parametrize("host_id", ["id-of-h1", ""])
@pytest.mark.parametrize("anew", [False, True])
def test_a_host_with_vms_becomes_no_other(tmp_path, host_id, anew) -> None:
    with pytest.raises(VmsHere) as refused:
        check_may_join(NEW, host(tmp_path, host_id=host_id, vms=("one", "two")), anew=anew)
    assert refused.value.vms == ["one", "two"]


def test_a_host_joins_again_as_what_it_is_with_its_vms(tmp_path) -> None:
    check_may_join(AGAIN, host(tmp_path, vms=("one",)), anew=False)


def test_a_host_that_was_installed_anew_joins_again(tmp_path) -> None:
    check_may_join(AGAIN, host(tmp_path, host_id=""), anew=False)


@pytest.mark.parametrize("host_id", ["id-of-h2", "id-of-h1"])
def test_a_token_of_another_host_or_cloud_makes_it_no_other(tmp_path, host_id) -> None:
    settings = host(tmp_path, host_id=host_id)
    if host_id == AGAIN.h:
        settings.ca_file.write_text(CA.replace("AAEC", "AAED"))
    with pytest.raises(JoinedAlready):
        check_may_join(AGAIN, settings, anew=False)
