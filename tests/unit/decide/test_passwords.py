"""Which new passwords are taken."""

from __future__ import annotations

import pytest

from ringfence.decide.passwords import refusal_of

pytestmark = pytest.mark.unit


def refusal(password: str, *names: str) -> str:
    octets = password.encode()
    return refusal_of(octets, bytearray(len(octets)), names=names)


@pytest.mark.parametrize(
    "password",
    [
        "my dog eats moss",
        "tr0ub4dor&3xx",
        "Übergrößenträger",
        "ключ от квартиры",
        "xK9#mQ2$vL7!",
        "🦊🐢🌵 under a lamp",
    ],
)
def test_a_password_of_ones_own_is_taken(password: str) -> None:
    assert refusal(password) == ""


@pytest.mark.parametrize("password", ["", "short", "elevenchars", "ключ дома", "ååååå"])
def test_a_short_password_is_refused_by_its_characters_not_its_bytes(password: str) -> None:
    assert "characters" in refusal(password)


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "PASSWORD1234",
        "Password2026!",
        "qwertyuiop123",
        "Summer2026Summer!",
        "abcdefghijkl",
        "987654321098",
        "correct horse battery staple",
        "administrator1",
        "ringfence-cloud",
    ],
)
def test_what_guessers_try_first_is_refused(password: str) -> None:
    assert "tried first" in refusal(password)


@pytest.mark.parametrize("password", ["aaaaaaaaaaaa", "abababababab", "xkcdxkcdxkcd"])
def test_a_password_that_repeats_itself_is_refused(password: str) -> None:
    assert "few" in refusal(password)


def test_a_password_that_leans_on_the_accounts_name_is_refused() -> None:
    assert refusal("ada-lovelace-99", "Ada-Lovelace")
    assert refusal("ada-lovelace-99", "grace") == ""


def test_no_kind_of_character_is_asked_for() -> None:
    assert refusal("wombatgreenly") == ""


def test_nothing_is_kept_of_a_password_but_what_the_caller_can_wipe() -> None:
    octets = b"My Dog Eats Moss"
    scratch = bytearray(len(octets))
    refusal_of(octets, scratch)
    assert scratch == octets.lower()
