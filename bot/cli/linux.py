"""What only Linux has for a wrapper: a host name for just one command, and being the parent of every orphan below it.

Where there is none of it (macOS, other Unix), each function says so by its answer. Numbers are from `linux/prctl.h` and
`linux/sched.h`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
_NEW_UTS = 0x04000000
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process as `/proc` shows it; `name` is that of its program, 15 characters at most."""

    pid: int
    parent: int
    name: str


def become_subreaper() -> bool:
    """Whether this process is now the parent of everything below it whose own parent ends (`prctl(2)`)."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def leave_host_name() -> int:
    """Gives this process a UTS namespace of its own, in which its host name is its own. Returns 0 or an `errno`."""
    if sys.platform != "linux":
        return errno.ENOSYS
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.unshare(_NEW_UTS) == 0 else ctypes.get_errno()


def take_host_name(name: str) -> int:
    """Returns 0 or an `errno`. Only for a process that has left the machine's host name."""
    try:
        socket.sethostname(name)
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def given_environment() -> dict[bytes, bytes]:
    """The environment as this process got it: Python adds `LC_CTYPE` to its own where the locale is C (PEP 538)."""
    try:
        raw = (_PROC / "self" / "environ").read_bytes()
    except OSError:
        return _without_coercion(dict(os.environb))
    found: dict[bytes, bytes] = {}
    for entry in raw.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if name and equals:
            found.setdefault(name, value)
    return found


def _without_coercion(environ: dict[bytes, bytes]) -> dict[bytes, bytes]:
    is_coerced = environ.get(b"LC_CTYPE") in {b"C.UTF-8", b"C.utf8", b"UTF-8"}
    if is_coerced and environ.get(b"LANG", b"C") in {b"", b"C", b"POSIX"} and not environ.get(b"LC_ALL"):
        del environ[b"LC_CTYPE"]
    return environ


def processes() -> dict[int, Process]:
    """Every process that can be seen and is not a zombie, by its id; none where there is no `/proc`."""
    try:
        ids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    except OSError:
        return {}
    found = map(_process, ids)
    return {process.pid: process for process in found if process is not None}


def below(pid: int) -> list[Process]:
    """Every process that descends from this one, parents first."""
    children: dict[int, list[Process]] = {}
    for process in processes().values():
        children.setdefault(process.parent, []).append(process)
    found = children.get(pid, [])
    for process in found:
        found += children.get(process.pid, [])
    return found


def above(pid: int) -> Iterator[Process]:
    """The parents of a process, nearest first, as far up as this PID namespace goes: the last one's parent is 0.

    One that cannot be seen has no name, and ends the line.
    """
    known = processes()
    process = known.get(pid, Process(pid, pid, ""))
    while process.parent != 0:
        if process.parent not in known:
            yield Process(process.parent, 0, "")
            return
        process = known[process.parent]
        yield process


def _process(pid: int) -> Process | None:
    """From `/proc/PID/stat`: the name is in brackets and may hold some itself; then come the state and the parent."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    start, _, rest = text.rpartition(")")
    state, parent = rest.split()[:2]
    return None if state in {"Z", "X"} else Process(pid, int(parent), start.partition("(")[2])
