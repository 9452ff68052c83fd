"""Which controllers can have passkeys."""

from __future__ import annotations

import pytest

from ringfence.controller.passkeys import PasskeysNeedName, RelyingParty

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("url", ["https://192.0.2.1", "http://127.0.0.1:8470", "https://[2001:db8::1]:8470"])
def test_a_controller_without_a_name_says_that_passkeys_need_one(url: str) -> None:
    with pytest.raises(PasskeysNeedName, match="public-url"):
        RelyingParty(url)


@pytest.mark.parametrize(
    ("url", "name"), [("https://cloud.example.org:8470", "cloud.example.org"), ("http://localhost", "localhost")]
)
def test_a_passkey_belongs_to_the_name_in_the_url(url: str, name: str) -> None:
    _, options = RelyingParty(url).ask_to_sign_in()
    assert options["rpId"] == name
