"""Every error says what happened and what to do, under a code of its own that programs may rely on."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass

import pytest
from tests.tidy.test_documents import generator

from ringfence.errors import RingfenceError, known_errors

pytestmark = pytest.mark.tidy

generator().load_everything()
ABSTRACT = {"error", "refused", "unreachable", "unfinished", "relayed"}
ERRORS = {code: error for code, error in known_errors().items() if error.__module__.startswith("ringfence.")}


@pytest.mark.parametrize("code", sorted(set(ERRORS) - ABSTRACT))
def test_an_error_says_what_and_what_to_do_with_facts_it_has(code: str) -> None:
    error: type[RingfenceError] = ERRORS[code]
    assert re.fullmatch(r"[a-z][a-z0-9-]*", code)
    assert is_dataclass(error)
    paragraphs = [part for part in (error.__doc__ or "").split("\n\n") if part.strip()]
    assert len(paragraphs) >= 2, "a message, and what to do"
    assert all(part.strip().endswith((".", ")")) for part in paragraphs[:2])
    named = set(re.findall(r"\{(\w+)\}", " ".join(paragraphs[:2])))
    assert named <= {field.name for field in fields(error)}
    assert error.family in ("refused", "unreachable", "unfinished")
    if error.family == "refused":
        assert 400 <= error.status < 500 or error.status == 507
    else:
        assert error.status >= 500
