"""Runs a command as if nothing were in between: same input and output, same signals, same end.

The command stays in the process group and on the terminal of whoever called, so a signal to the whole group reaches
it by itself. Only a signal that was sent to this process alone is passed on: Terraform ends without saving where it
gets the same signal twice.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

NOT_FOUND, NOT_RUNNABLE = 127, 126
"""What a shell exits with for a command that it cannot run (POSIX, Shell Command Language 2.8.2)."""

_PASSED_ON = frozenset({
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2
})  # fmt: skip
_GROUP_HEARS_WITHIN = 0.1
_LOOKS_FOR_PARENT = 1.0


def run_command(command: Sequence[str], *, started: Callable[[], object], ended: Callable[[int], object]) -> int:
    """Runs the command to its end and returns its exit code; dies by the signal that it died by.

    `started` is called once it runs, `ended` with its exit code, negative for a signal. A command that cannot be run
    calls neither.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
    listener = _Listener.start()
    try:
        child = subprocess.Popen(  # noqa: S603 - the caller's own command
            list(command),
            preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before),  # noqa: PLW1509 - no thread runs yet
        )
    except OSError as error:
        listener.stop()
        print(f"tflock: {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - as a shell says it
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE
    started()
    code = _wait(child, listener)
    listener.stop()
    ended(code)
    return code if code >= 0 else _die_by(-code)


def _wait(child: subprocess.Popen[bytes], listener: _Listener) -> int:
    while (code := child.poll()) is None:
        told = signal.sigwaitinfo(_PASSED_ON | {signal.SIGCHLD}).si_signo
        if told != signal.SIGCHLD and not listener.heard(told):
            child.send_signal(told)
    return code


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
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.ear)


def _listen(mouth: int, parent: int) -> None:
    """Never returns. Holds nothing open but its pipe, so that nobody waits for the output of the job because of it."""
    os.dup2(mouth, 3)
    os.closerange(4, 256)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    while os.getppid() == parent:
        told = signal.sigtimedwait(_PASSED_ON, _LOOKS_FOR_PARENT)
        if told is not None:
            os.write(3, bytes([told.si_signo]))
    os._exit(0)
