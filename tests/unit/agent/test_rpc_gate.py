"""What another host's libvirt may call on this one's."""

from __future__ import annotations

import struct

import pytest

from ringfence.agent.rpc_gate import CallRefusedError, check_frame

pytestmark = pytest.mark.unit


def frame(*, length: int = 28, program: int = 0x20008086, procedure: int = 303, kind: int = 0) -> bytes:
    return struct.pack(">IIIiiIi", length, program, 1, procedure, kind, 7, 0)


@pytest.mark.parametrize("procedure", [1, 2, 60, 66, 303, 306, 360, 361])
def test_the_calls_of_a_move_pass(procedure: int) -> None:
    assert check_frame(frame(procedure=procedure, length=4000)) == 4000


def test_signs_of_life_pass() -> None:
    assert check_frame(frame(program=0x6B656570, procedure=1, kind=2)) == 28


@pytest.mark.parametrize(
    "refused",
    [
        frame(procedure=10),  # create a domain
        frame(procedure=11),  # define one
        frame(procedure=12),  # destroy one
        frame(procedure=209),  # download a volume
        frame(procedure=303, kind=4),  # with descriptors
        frame(procedure=303, kind=3),  # a stream
        frame(program=0x20008087, procedure=1),  # QEMU's monitor
        frame(program=0x06900690, procedure=1),  # the daemon's own settings
        frame(length=27),
        frame(length=1 << 31),
    ],
)
def test_no_other_call_passes(refused: bytes) -> None:
    with pytest.raises(CallRefusedError):
        check_frame(refused)
