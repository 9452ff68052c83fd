"""Gives up, for good, what the password process does not need: core dumps, being traced, files, programs, connections.

Linux only; elsewhere (a laptop that runs `ringfence try`) core dumps alone are turned off.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 4, 38, 22
_SECCOMP_MODE_FILTER = 2
_ALLOW, _REFUSE_WITH_EPERM = 0x7FFF0000, 0x00050001
_LOAD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_OTHER_ABI = 0x40000000
"""From here on x86-64 takes system calls of its 32-bit ABI, under numbers that are not in the lists."""

# Numbers of: open, socket, connect, bind, socketpair, execve, creat, ptrace, openat, process_vm_readv and _writev,
# execveat, io_uring_setup, openat2, pidfd_getfd, as far as the architecture has them.
_REFUSED: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, (2, 41, 42, 49, 53, 59, 85, 101, 257, 310, 311, 322, 425, 437, 438)),
    "aarch64": (0xC00000B7, (56, 117, 198, 199, 200, 203, 221, 270, 271, 281, 425, 437, 438)),
}


def confine() -> None:
    """Give it all up. Call it with everything imported and open, before any thread but this one runs."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    # Not dumpable: only root can read this process's memory or trace it, not another process of the same user.
    _prctl(_PR_SET_DUMPABLE, 0, 0)
    if platform.machine() in _REFUSED:
        _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0)
        _filter_system_calls(*_REFUSED[platform.machine()])


def _filter_system_calls(architecture: int, refused: tuple[int, ...]) -> None:
    """Have the kernel refuse these system calls (seccomp, in its BPF: code, jump if true, jump if false, operand)."""
    refusal = len(refused) + 5
    """Where in the program the refusal stands: after all others. Jumps count from the line that follows."""
    program = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 0, refusal - 2, architecture),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
        (_JUMP_AT_LEAST, refusal - 4, 0, _OTHER_ABI),
    ]
    for number in refused:
        program.append((_JUMP_EQUAL, refusal - len(program) - 1, 0, number))
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE_WITH_EPERM)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def _prctl(option: int, first: int, second: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")
