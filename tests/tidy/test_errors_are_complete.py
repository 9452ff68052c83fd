"""Every error says what happened and what to do, under a code of its own that programs may rely on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import pytest
from tests.tidy.test_documents import generator

from ringfence.errors import RingfenceError, known_errors

pytestmark = pytest.mark.tidy

ABSTRACT = {"error", "refused", "unreachable", "unfinished", "relayed"}
STATUSES = {
    "refused": {*range(400, 500), 501, 502, 507},
    "unreachable": {502, 503, 504},
    "unfinished": {500, 502, 507},
}


def shortcomings(code: str, error: type[RingfenceError]) -> Iterator[str]:
    paragraphs = [part.strip() for part in (error.__doc__ or "").split("\n\n") if part.strip()][:2]
    if not re.fullmatch(r"[a-z][a-z0-9-]*", code):
        yield f"{code}: a code has lower-case words with hyphens"
    if not is_dataclass(error):
        yield f"{code}: its facts are the fields of a dataclass"
        return
    if len(paragraphs) < 2:
        yield f"{code}: it needs a message, and what to do"
    # A message may end with what another program said.
    elif not re.search(r"[.})`]$", paragraphs[0]) or not paragraphs[1].endswith((".", ")")):
        yield f"{code}: message and remedy are sentences"
    named = set(re.findall(r"\{(\w+)\}", " ".join(paragraphs)))
    if unknown := named - {field.name for field in fields(error)}:
        yield f"{code}: it shows facts it has not: {', '.join(sorted(unknown))}"
    if error.status not in STATUSES[error.family]:
        yield f"{code}: a {error.family} error has status {error.status}"


def test_every_error_says_what_happened_and_what_to_do_with_facts_it_has() -> None:
    generator().load_everything()
    errors = {code: error for code, error in known_errors().items() if error.__module__.startswith("ringfence.")}
    assert len(errors) > len(ABSTRACT)
    assert [each for code in sorted(set(errors) - ABSTRACT) for each in shortcomings(code, errors[code])] == []
