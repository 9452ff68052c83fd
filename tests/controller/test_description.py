"""The API against its own description: whatever is asked, allowed or not, is answered as it says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks
from tests.controller.conftest import Cloud, Loop, settings_for, start_cloud
from tests.controller.tenants import Tenant, add_tenant, furnish_cloud, store_of
from tests.store.postgres import postgres_cluster

from ringfence.controller.api.application import routes
from ringfence.store import accounts, projects, tokens

pytestmark = [
    pytest.mark.store,
    # Schemathesis draws from `random`, which Hypothesis seeds.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
STREAMS = {
    "follow_changes": "it never ends; test_views.py",
    "follow_operation": "it ends with its operation; test_vms.py, test_access.py",
}
"""Not asked here, and why. The console, a WebSocket, is none of OpenAPI's; test_consoles.py."""
NEVER_DONE = {
    "create_session": "its password is sealed; test_signing_in.py",
    "change_own_password": "its password is sealed; test_signing_in.py",
    "create_setup": "its link is a secret; test_signing_in.py",
    "create_setup_link": "its recipient is a key; test_people.py",
    "delete_own_session": "a token has no session; test_signing_in.py",
    "begin_provider_session": "there is no provider; test_provider.py",
    "end_provider_session": "there is no provider; test_provider.py",
    "ask_to_sign_in": "passkeys need a name; test_passkeys.py",
    "create_session_by_passkey": "passkeys need a name; test_passkeys.py",
    "ask_for_passkey": "a token has no passkeys; test_passkeys.py",
    "create_passkey": "a token has no passkeys; test_passkeys.py",
    "delete_passkey": "a token has no passkeys; test_passkeys.py",
    "delete_vm": "its VM is still being made; test_vms.py",
    "start_vm": "its VM is still being made; test_vms.py",
    "stop_vm": "its VM is still being made; test_vms.py",
    "move_vm": "its VM is still being made; test_vms.py",
    "import_image": "its digest is a file's; test_images.py",
    "upload_image": "its digest is a file's; test_images.py",
    "accept_handover": "only the one it is offered to accepts it; test_access.py",
}
"""What an administrator's token, and data that the description allows, do not bring to its end."""
OPERATIONS = sorted(
    operation["operationId"]
    for methods in routes().openapi()["paths"].values()
    for operation in methods.values()
    if operation["operationId"] not in STREAMS
)
NOUNS_IN_PATHS = {
    "zones": "zone",
    "flavors": "flavor",
    "images": "image",
    "hosts": "host",
    "networks": "network",
    "projects": "project",
    "policies": "policy",
    "vms": "vm",
    "operations": "operation",
    "accounts": "account",
    "members": "second",
    "setup-link": "account",
    "handovers": "handover",
    "tokens": "token",
    "entries": "entry",
}
NOUNS_IN_BODIES = {
    "zone": "zone",
    "project": "project",
    "flavor": "flavor",
    "image": "image",
    "host": "host",
    "owner": "owner",
    "account": "owner",
    "to": "second",
    "policy": "policy",
}


@dataclass
class Described:
    """A controller, and its API as it describes itself."""

    cloud: Cloud
    asker: str
    schema: Any
    session: requests.Session
    numbers: Iterator[int]

    def furnish(self) -> dict[str, list[str]]:
        """Make one of everything that is used and, of some, one that is not; gives how they are called."""
        number = next(self.numbers)
        used, spare = f"-{number}", f"-spare-{number}"
        known = {}
        of_cloud = furnish_cloud(self.cloud, used, address=f"192.0.2.{2 * number + 1}")
        unused = furnish_cloud(self.cloud, spare, address=f"192.0.2.{2 * number + 2}")
        tenant: Tenant = add_tenant(self.cloud, f"shop-{number}", used)
        for noun, id_ in (tenant.ids | of_cloud).items():
            known[noun] = [each for each in (id_, tenant.names.get(noun), unused.get(noun)) if each]
        with store_of(self.cloud).transaction() as session:
            own, _ = tokens.add_token(session, account=self.asker, name=f"own-{number}")
            person = accounts.person_named(session, f"somebody-{number}")
            project = projects.add_project(session, name=f"empty-{number}", owner=tenant.names["owner"])
        known["account"].append(person.id)
        known["project"].append(project.id)
        known |= {"owner": [tenant.names["owner"]], "token": [own.id], "entry": ["0"]}
        return known


@pytest.fixture(scope="module")
def described(loop: Loop, tmp_path_factory) -> Iterator[Described]:
    with ExitStack() as stack:
        # Of both databases the one that takes less: no NUL, no number beyond its column.
        database = stack.enter_context(postgres_cluster()).database()
        cloud = start_cloud(loop, settings_for(tmp_path_factory.mktemp("described") / "data", database))
        stack.callback(cloud.close)
        session = stack.enter_context(requests.Session())
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {cloud.token}"
        told = cloud.get("/openapi.json")
        # Who is let in is test_access.py's: every request here is the administrator's.
        told.pop("security")
        schema = schemathesis.openapi.from_dict(told)
        yield Described(cloud, cloud.get("/v1/session")["account"]["id"], schema, session, itertools.count())


def called(known: Mapping[str, list[str]], noun: str, of: int) -> str:
    names = known[noun]
    return names[of % len(names)]


def about_what_is_there(case: Any, known: Mapping[str, list[str]], of: int) -> Any:
    """Have the case speak of what there is, where it would speak of anything."""
    parts = case.path.split("/")
    parameters = {
        part[1:-1]: called(known, NOUNS_IN_PATHS[parts[place - 1]], of)
        for place, part in enumerate(parts)
        if part.startswith("{") and parts[place - 1] in NOUNS_IN_PATHS
    }
    if parameters:
        case.path_parameters = {**case.path_parameters, **parameters}
    if isinstance(case.body, dict):
        case.body = renamed(case.body, known, of)
    declared = {parameter.name for parameter in case.operation.headers}
    if "if-match" in declared:
        case.headers["if-match"] = "*"
    if case.method == "DELETE":
        case.headers["Ringfence-Reason"] = "to see what is answered"
    return case


def renamed(body: Mapping[str, Any], known: Mapping[str, list[str]], of: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for field, value in body.items():
        if isinstance(value, str) and field in NOUNS_IN_BODIES:
            told[field] = called(known, NOUNS_IN_BODIES[field], of)
        elif isinstance(value, dict) and field in ("source", "target", "becomes"):
            told[field] = renamed(value, known, of)
        elif field == "networks" and value:
            told[field] = [called(known, "network", 0)]
        elif field == "cidr":
            told[field] = "10.7.0.0/24"
        elif field == "labels" and value:
            told[field] = {"app": "web"}
        else:
            told[field] = value
    return told


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_whatever_is_asked_is_answered_as_the_description_says(described, operation_id) -> None:
    operation = described.schema.find_operation_by_id(operation_id)
    known = described.furnish()
    base_url, statuses = str(described.cloud.http.base_url), set()
    kept = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=8,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )

    def ask(case: Any) -> None:
        response = case.call(base_url=base_url, session=described.session)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    @kept
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), st.integers(0, 3))
    def ask_what_is_allowed(case: Any, of: int) -> None:
        ask(about_what_is_there(case, known, of) if of else case)

    @kept
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask_what_is_not(case: Any) -> None:
        ask(case)

    ask_what_is_allowed()
    with suppress(Unsatisfiable):  # where nothing can be given, nothing can be wrong
        ask_what_is_not()
    assert described.cloud.get("/v1/session")["account"]["id"] == described.asker, "the rest would be answered 401"
    done = [status for status in statuses if 200 <= status < 300]
    assert bool(done) != (operation_id in NEVER_DONE), f"{operation_id} was answered {sorted(statuses)}"
