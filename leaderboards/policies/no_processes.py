"""A filter of system calls (seccomp-BPF) with which a process can start threads, and nothing else.

A limit on the number of processes would do, but the kernel counts none of root's, who verifies in
most containers. The program is the classic one of seccomp(2): read a field of the call, compare,
jump, return.
"""

from __future__ import annotations

import platform
import struct

__all__ = ["no_processes"]

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
"""BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data."""
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
"""Return values; the error number is added to the last."""
EPERM, ENOSYS = 1, 38
CLONE_THREAD = 0x10000

MACHINES = {
    # architecture, clone, clone3, and the other calls that start a process
    "x86_64": (0xC000003E, 56, 435, (57, 58)),  # fork, vfork
    "aarch64": (0xC00000B7, 220, 435, ()),
}
OTHER_ABI = 0x40000000
"""Set in the number of a call of the x32 ABI, whose numbers are others."""


def no_processes() -> bytes:
    """Return the program for this machine; on one that it does not know, one that lets all pass."""
    if platform.machine() not in MACHINES:
        return _instruction(RETURN, ALLOW)
    architecture, clone, clone3, others = MACHINES[platform.machine()]
    refused = _instruction(RETURN, FAIL + EPERM)
    program = [
        _instruction(LOAD, ARCHITECTURE),
        _instruction(EQUAL, architecture, yes=1),
        _instruction(RETURN, KILL),
        _instruction(LOAD, NUMBER),
        _instruction(ANY_BIT, OTHER_ABI, no=1),
        refused,
        _instruction(EQUAL, clone3, no=1),
        _instruction(RETURN, FAIL + ENOSYS),  # the C library then takes clone
    ]
    for call in others:
        program += [_instruction(EQUAL, call, no=1), refused]
    program += [
        _instruction(EQUAL, clone, no=3),
        _instruction(LOAD, FIRST_ARGUMENT),
        _instruction(ANY_BIT, CLONE_THREAD, yes=1),
        refused,
        _instruction(RETURN, ALLOW),
    ]
    return b"".join(program)


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """Return one: a jump skips `yes` instructions if its test holds, else `no`."""
    return struct.pack("=HBBI", code, yes, no, value)
