"""Settings come from flags, then variables, then defaults; what is unsafe is refused."""

from __future__ import annotations

import pytest

from ringfence.controller.settings import Address, GroupInProject, read_settings
from ringfence.errors import Invalid
from ringfence.model.access import Role

pytestmark = pytest.mark.unit


def test_without_flags_the_controller_listens_on_loopback_only() -> None:
    settings = read_settings([], {})
    assert settings.listen == Address(host="127.0.0.1", port=8470)
    assert settings.agents_listen.loopback
    assert settings.database.startswith("sqlite:////var/lib/ringfence/")


def test_a_flag_wins_over_a_variable_and_a_variable_over_a_default() -> None:
    variables = {"RINGFENCE_LISTEN": "127.0.0.1:1", "RINGFENCE_AGENTS_LISTEN": "127.0.0.1:2"}
    settings = read_settings(["--listen", "[::1]:3"], variables)
    assert (settings.listen, settings.agents_listen.port) == (Address(host="::1", port=3), 2)


def test_beyond_loopback_the_api_needs_tls() -> None:
    with pytest.raises(Invalid, match="TLS"):
        read_settings(["--listen", "0.0.0.0:8470"], {})
    assert read_settings(["--listen", "0.0.0.0:8470", "--tls"], {}).url == "https://0.0.0.0:8470"


@pytest.mark.parametrize("address", ["8470", "example.org:1", "127.0.0.1:", "127.0.0.1:70000", "127.0.0.1:-1", ":1"])
def test_an_address_that_is_none_is_refused_by_the_flag_it_came_in(address) -> None:
    with pytest.raises(Invalid) as refused:
        read_settings(["--listen", address], {})
    assert refused.value.field == "listen"


def test_a_size_that_is_no_number_is_refused() -> None:
    with pytest.raises(Invalid, match="image-bytes-limit"):
        read_settings(["--image-bytes-limit", "lots"], {})


def test_a_group_has_a_role_of_the_cloud_or_one_in_a_project() -> None:
    settings = read_settings(["--oidc-roles", "ops=cloud-admin, cn=devs=project-member@shop"], {})
    assert settings.oidc_roles == (("ops", Role.CLOUD_ADMIN),)
    assert settings.oidc_members == (GroupInProject(group="cn=devs", role=Role.PROJECT_MEMBER, project="shop"),)


@pytest.mark.parametrize(
    "pair", ["ops=project-member", "ops=cloud-admin@shop", "ops=project-member@", "=auditor", "ops"]
)
def test_a_role_that_is_not_held_there_is_refused(pair) -> None:
    with pytest.raises(Invalid, match="oidc-roles"):
        read_settings(["--oidc-roles", pair], {})
