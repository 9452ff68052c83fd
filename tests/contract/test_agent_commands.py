"""The agent's gate to processes: each way a tool can fail is told as the tool's, in words."""

import pytest

from ringfence.agent import commands
from ringfence.model.hosts import HostToolFailed

pytestmark = pytest.mark.contract


def test_a_tool_that_is_not_installed_is_named():
    with pytest.raises(HostToolFailed, match=r"no-such-tool.*cannot be started"):
        commands.run(["no-such-tool"], timeout_seconds=5)


def test_a_tool_that_fails_is_told_with_its_own_words():
    with pytest.raises(HostToolFailed, match="there is no such thing"):
        commands.run(["sh", "-c", "echo there is no such thing >&2; exit 3"], timeout_seconds=5)


def test_a_tool_that_does_not_end_is_ended_with_its_children():
    with pytest.raises(HostToolFailed, match="had not ended"):
        commands.run(["sh", "-c", "sleep 60 & sleep 60"], timeout_seconds=0.2)


def test_a_tool_sees_nothing_of_the_agents_environment(monkeypatch):
    monkeypatch.setenv("SECRET", "of the agent's")
    assert "SECRET" not in commands.run(["env"], timeout_seconds=5).output
