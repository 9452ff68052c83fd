"""Where an image may be fetched from."""

from __future__ import annotations

import pytest

from ringfence.controller.image_fetching import SourceRefused, check_source, is_inside

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc/shadow",
        "ftp://example.org/a",
        "/etc/shadow",
        "http://",
        "https://user:secret@example.org/a",
        "http://exa mple.org/a",
        "http://example.org/a\r\nHost: b",
        "http://[::1",
        "gopher://example.org",
        "http://example.org:99999999/",
        "http://bücher.example/a",
    ],
)
def test_what_is_not_a_plain_web_address_is_refused(source) -> None:
    with pytest.raises(SourceRefused):
        check_source(source)


def test_a_refusal_of_credentials_does_not_repeat_them() -> None:
    with pytest.raises(SourceRefused) as refused:
        check_source("https://user:hunter2@example.org/a")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1",
     "::ffff:127.0.0.1", "::ffff:169.254.169.254", "240.0.0.1", "255.255.255.255", "2002:7f00:1::"],
)  # fmt: skip
def test_addresses_of_the_inside_are_known(address) -> None:
    assert is_inside(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.0.2.1", "8.8.8.8", "2001:db8::1", "fd00::1"])
def test_a_mirror_in_the_company_is_not_the_inside(address) -> None:
    assert not is_inside(address)
