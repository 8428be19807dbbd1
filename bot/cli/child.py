"""Runs a command as if nothing were in between: same input and output, same signals, same environment, same end.

The command stays in the process group and on the caller's terminal, so a signal to the whole group reaches
it without help. A signal is passed on only if it was sent to nothing but this process: Terraform ends without saving
where it gets the same signal twice.

The command is not all that it starts. A shell may die of a signal that Terraform survives, so whatever is left when the
command has ended is waited for, for a while.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeAlias

from bot.cli.linux import (
    Process,
    become_subreaper,
    below,
    given_environment,
    leave_host_name,
    take_host_name,
)

NOT_FOUND, NOT_RUNNABLE = 127, 126
"""What a shell exits with for a command that it cannot run (POSIX, Shell Command Language 2.8.2)."""

REST_WAIT, TERRAFORM_WAIT = 30.0, 600.0
"""Seconds for which what the command has left is waited for: a background service, or Terraform itself, which may
still be saving the state."""

_TERRAFORM = frozenset({"terraform", "tofu", "terragrunt"})
_PASSED_ON = frozenset({
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2
})  # fmt: skip
_GROUP_HEARS_WITHIN = 0.1
_LOOKS_FOR_PARENT = 1.0
_LOOKS_FOR_REST = 0.5
_SAYS_AFTER = 2.0
_SHOWN = 3

Disposition: TypeAlias = Callable[[int, FrameType | None], object] | int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a command: its exit code, negative for a signal, and how many processes that it had started are left.

    `left` is None where that cannot be known.
    """

    code: int
    left: int | None


@dataclass(frozen=True, slots=True)
class ChildHooks:
    """What the caller does while a command is made ready.

    `name` is called once before the command runs, with the `errno` of leaving the machine's host name (0: it can have a
    name of its own), and returns the name or None. `ready` is called with the `errno` of taking that name, or None if
    there was no name to take, and returns an exit code if the command must not run. `waits` is asked when it has ended:
    whether anyone wants to know when nothing of it is left.
    """

    name: Callable[[int], str | None]
    ready: Callable[[int | None], int | None]
    waits: Callable[[], bool]
    ended: Callable[[Ended], object]
    say: Callable[[str], object]


def run_command(command: Sequence[str], wanted: ChildHooks, *, seal: bool) -> int:
    """Runs the command to its end and returns its exit code; dies by the signal that it died by.

    `wanted.ended` is called once nothing of it is left, or the time for that is over; not for a command that must not
    run. No thread may run yet.
    """
    before = _Before.now()
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take the exit code of every child away
    listener = _Listener.start()
    sees_rest = become_subreaper()
    child = _Child.start(command, before, seal=seal)

    refused = child.make_ready(wanted)
    if refused is not None:
        child.give_up()
        listener.stop()
        return refused

    problem = child.go()
    code = _wait(child.pid, listener)
    left = _wait_for_rest(listener, wanted.say) if sees_rest and wanted.waits() else None
    listener.stop()
    if problem:
        print(f"tflock: {command[0]}: {os.strerror(problem)}", file=sys.stderr)  # noqa: T201 - as a shell says it
        code = NOT_FOUND if problem == errno.ENOENT else NOT_RUNNABLE
    wanted.ended(Ended(code, left))
    return code if code >= 0 else _die_by(-code)


@dataclass(frozen=True, slots=True)
class _Before:
    """What Python changed of this process when it began, as the command has to have it."""

    mask: set[int]
    dispositions: dict[int, Disposition]
    environ: dict[bytes, bytes]

    @classmethod
    def now(cls) -> _Before:
        mask = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}
        # Python ignores these two from its start; whether its caller did cannot be known any more
        dispositions: dict[int, Disposition] = {signal.SIGPIPE: signal.SIG_DFL}
        if hasattr(signal, "SIGXFSZ"):
            dispositions[signal.SIGXFSZ] = signal.SIG_DFL
        for number in (signal.SIGINT, signal.SIGCHLD):
            how = signal.getsignal(number)
            dispositions[number] = signal.SIG_DFL if callable(how) else how
        return cls(mask, dispositions, given_environment())

    def restore(self) -> None:
        for number, how in self.dispositions.items():
            if how is not None:
                signal.signal(number, how)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


@dataclass(slots=True)
class _Child:
    """The process that becomes the command: forked before any thread runs, it waits for its host name and for a go."""

    pid: int
    said: int
    told: int

    @classmethod
    def start(cls, command: Sequence[str], before: _Before, *, seal: bool) -> _Child:
        said, say = os.pipe()
        hear, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(said)
            os.close(told)
            _become(command, before, hear, say, seal=seal)
        os.close(say)
        os.close(hear)
        return cls(pid, said, told)

    def make_ready(self, wanted: ChildHooks) -> int | None:
        """Returns an exit code if the command must not run."""
        name = wanted.name(self._heard())
        if name is None:
            self._tell(b"\n")
            return wanted.ready(None)
        self._tell(name.encode() + b"\n")
        return wanted.ready(self._heard())

    def go(self) -> int:
        """Returns 0 once the command runs, or the `errno` for which it does not."""
        self._tell(b"go\n")
        problem = self._heard(silent=0)
        os.close(self.said)
        os.close(self.told)
        return problem

    def give_up(self) -> None:
        os.close(self.told)
        os.waitpid(self.pid, 0)

    def _heard(self, *, silent: int = errno.ESRCH) -> int:
        """One `errno` of the child; `silent` if it is gone, or has become the command."""
        found = os.read(self.said, 4)
        return int.from_bytes(found, "little") if found else silent

    def _tell(self, words: bytes) -> None:
        try:
            os.write(self.told, words)
        except BrokenPipeError:
            return  # killed before it ran: its end says so


def _become(command: Sequence[str], before: _Before, hear: int, say: int, *, seal: bool) -> NoReturn:
    """Never returns. Everything of this process's own is closed when the command begins, and nothing else."""
    words = os.fdopen(hear, "rb")
    problem = leave_host_name() if seal else errno.ECANCELED
    os.write(say, problem.to_bytes(4, "little"))
    name = words.readline().strip()
    if name:
        os.write(say, take_host_name(name.decode()).to_bytes(4, "little"))
    if words.readline() != b"go\n":
        os._exit(NOT_RUNNABLE)
    before.restore()
    try:
        os.execvpe(command[0], list(command), before.environ)  # noqa: S606 - the caller's own command
    except OSError as error:
        os.write(say, (error.errno or errno.ENOEXEC).to_bytes(4, "little"))
    except ValueError:  # a command with a zero byte
        os.write(say, errno.EINVAL.to_bytes(4, "little"))
    os._exit(NOT_RUNNABLE)


def _wait(pid: int, listener: _Listener) -> int:
    while True:
        codes = _reaped()
        listener.is_over |= listener.pid in codes
        if pid in codes:
            return codes[pid]
        told = signal.sigwaitinfo(_PASSED_ON | {signal.SIGCHLD}).si_signo
        if told != signal.SIGCHLD and not listener.heard(told):
            os.kill(pid, told)


def _reaped() -> dict[int, int]:
    """The exit codes of all children that have ended since, by their ids; other people's orphans among them."""
    codes: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return codes
        if pid == 0:
            return codes
        codes[pid] = os.waitstatus_to_exitcode(status)


def _wait_for_rest(listener: _Listener, say: Callable[[str], object]) -> int:
    """How many processes are left when none is, or the time is over. Signals are passed on to those that are adopted.

    `/proc` may hide processes of other users; that there is no child at all proves that there are none.
    """
    began, has_said = time.monotonic(), False
    while True:
        listener.is_over |= listener.pid in _reaped()
        rest = [process for process in below(os.getpid()) if process.pid != listener.pid]
        if not rest:
            listener.stop()
            if not _has_children():
                return 0
        waited = time.monotonic() - began
        longest = TERRAFORM_WAIT if any(process.name in _TERRAFORM for process in rest) else REST_WAIT
        if waited >= longest:
            say(f"{_named(rest)} still left: the end of Terraform is not reported")
            return max(len(rest), 1)
        if waited >= _SAYS_AFTER and not has_said:
            has_said = True
            say(f"the command has ended, but not {_named(rest)}: waiting up to {longest:.0f} s")
        told = signal.sigtimedwait(_PASSED_ON | {signal.SIGCHLD}, _LOOKS_FOR_REST)
        if told is None or told.si_signo == signal.SIGCHLD or listener.is_over:
            continue
        if not listener.heard(told.si_signo):
            _pass_on(told.si_signo, rest)


def _has_children() -> bool:
    _reaped()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _pass_on(number: int, rest: Sequence[Process]) -> None:
    for process in rest:
        if process.parent == os.getpid():
            try:
                os.kill(process.pid, number)  # not waited for yet, so the number is still its own
            except (ProcessLookupError, PermissionError):
                continue


def _named(rest: Sequence[Process]) -> str:
    if not rest:
        return "a process that /proc does not show"
    shown = ", ".join(f"{process.name} ({process.pid})" for process in rest[:_SHOWN])
    more = f" and {len(rest) - _SHOWN} more" if len(rest) > _SHOWN else ""
    return shown + more


def _die_by(number: int) -> int:
    """Ends this process by a signal, as the command ended. Returns, as a shell would, where the signal does not end."""
    import resource  # noqa: PLC0415 - there is none on Windows, where nothing dies by a signal

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has left its own core, if any
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    return 128 + number


@dataclass(slots=True)
class _Listener:
    """A process in the same group that does nothing but hear signals: what it hears was sent to the whole group."""

    pid: int
    ear: int
    told: bytearray = field(default_factory=bytearray)
    is_over: bool = False

    @classmethod
    def start(cls) -> _Listener:
        """Forks; the signals must be blocked, and no thread may run yet."""
        ear, mouth = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _listen(mouth, parent)
        os.close(mouth)
        return cls(pid, ear)

    def heard(self, number: int) -> bool:
        """Whether the group has got this signal too."""
        if number not in self.told and select.select([self.ear], [], [], _GROUP_HEARS_WITHIN)[0]:
            self.told += os.read(self.ear, 64)
        if number not in self.told:
            return False
        self.told.remove(number)
        return True

    def stop(self) -> None:
        if not self.is_over:
            self.is_over = True
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _listen(mouth: int, parent: int) -> None:
    """Never returns. Holds nothing open but its pipe, so that nobody waits for the output of the job because of it."""
    os.dup2(mouth, 3)
    os.closerange(4, 1 + max((int(fd.name) for fd in Path("/dev/fd").iterdir()), default=256))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    while os.getppid() == parent:
        told = signal.sigtimedwait(_PASSED_ON, _LOOKS_FOR_PARENT)
        if told is not None:
            os.write(3, bytes([told.si_signo]))
    os._exit(0)
