"""Every error becomes a problem document with all its parts."""

from __future__ import annotations

import json

import pytest

from ringfence.controller.problems import Bug, TokenMissing, problem_response
from ringfence.errors import NotFound
from ringfence.model.hosts import HostUnreachable

pytestmark = pytest.mark.unit

PARTS = {"type", "title", "status", "detail", "code", "family", "remedy", "facts"}


@pytest.mark.parametrize(
    "error",
    [
        NotFound(kind="zone", ref="red"),
        TokenMissing(),
        Bug(incident="0a"),
        HostUnreachable(host="h1", asked="x", patience_seconds=1),
    ],
)
def test_a_problem_has_all_its_parts(error) -> None:
    response = problem_response(error)
    told = json.loads(bytes(response.body))
    assert set(told) == PARTS
    assert response.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["code"]) == (response.status_code, error.code)
    assert all(told[part] for part in PARTS - {"facts"})


def test_a_401_says_how_to_authenticate_and_a_503_when_to_come_back() -> None:
    assert problem_response(TokenMissing()).headers["www-authenticate"].startswith("Bearer")
    assert problem_response(HostUnreachable(host="h", asked="x", patience_seconds=1)).headers["retry-after"] == "1"
