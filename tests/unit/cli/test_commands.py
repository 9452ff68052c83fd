"""The tree of commands: what its helps say, and what its exits mean."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer

from ringfence.cli.main import NOUNS, app, tell
from ringfence.cli.verification import show_findings
from ringfence.errors import ErrorRecord, NotFound, from_record
from ringfence.model.hosts import HostUnreachable

pytestmark = pytest.mark.unit

ROOT = typer.main.get_command(app)
CONTEXT = typer.Context(ROOT, info_name="ringfence")


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    for noun in NOUNS:
        group = ROOT.get_command(CONTEXT, noun)
        if hasattr(group, "list_commands"):
            for verb in group.list_commands(CONTEXT):
                yield f"{noun} {verb}", group.get_command(CONTEXT, verb)
        else:
            yield noun, group


@pytest.mark.parametrize(("name", "command"), commands(), ids=[name for name, _ in commands()])
def test_every_command_has_an_example_of_itself(name: str, command: typer.core.TyperCommand) -> None:
    assert f"Example: ringfence {name}" in (command.help or "")
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


@pytest.mark.parametrize("noun", sorted(set(NOUNS) - {"overview", "verify", "login", "logout", "setup", "whoami"}))
def test_the_help_of_the_root_says_what_the_noun_says_of_itself(noun: str) -> None:
    assert ROOT.get_command(CONTEXT, noun).help == NOUNS[noun][1]


def _future() -> ErrorRecord:
    return ErrorRecord(
        code="from-the-future", family="unreachable", status=503, message="Gone.", remedy="Wait.", facts={}
    )


def test_the_exit_code_tells_a_refusal_from_a_controller_out_of_reach(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(NotFound(kind="zone", ref="red")) == 1
    assert tell(HostUnreachable(host="h1", asked="start-vm", patience_seconds=5.0)) == 3
    assert tell(from_record(_future())) == 3
    told = capsys.readouterr().err
    assert "There is no zone red." in told
    assert "[not-found]" in told
    assert "What to do:" in told


def test_evidence_is_shown_promise_by_promise(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  # bound to the captured output

    findings = [
        {"promise": 2, "question": "Mixed?", "verdict": "broken", "seen": "a beside b", "items": ["a beside b", "c"]},
        {"promise": 1, "question": "Drift?", "verdict": "kept", "seen": "no difference", "items": []},
    ]
    show_findings(findings, Console(width=100))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1. Fence"
    assert lines[2] == "2. Company"
    assert lines[4].strip() == "c"
    assert lines[-1] == "1 kept, 1 broken, 0 unknown, 0 pending"


def test_an_option_that_is_none_of_the_choices_is_told_with_the_choices_and_no_more() -> None:
    with pytest.raises(typer.BadParameter) as wrong:
        ROOT(["zone", "list", "-o", "yml"], standalone_mode=False)
    assert wrong.value.message == "'yml' is not one of 'table', 'json', 'yaml'."
