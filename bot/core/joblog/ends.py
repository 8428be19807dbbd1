"""What a log says of the job's end: did the process report it, or did only the server declare it? Pure.

Source for Jenkins: durable-task's `BourneShellScript` (JENKINS-48300, exit codes -1 and -2), `DurableTaskStep` of
workflow-durable-task-step (`Cannot contact`, the signal that was not heard) and its `ExecutorStepExecution` (agents
that were removed), remoting's `Channel`. For the others: the last lines of their runners and agents.
"""

from __future__ import annotations

import re

from bot.core.joblog.values import LogEnd

_LOST = re.compile(
    r"does not seem to be touching the log file|JENKINS-48300|[Aa]gent \S.{0,200}? (?:was|has been) (?:deleted|removed)"
    r"|Could not connect to \S.{0,200}? to send interrupt signal|After [0-9]+ ?\w* process did not stop"
    r"|was marked offline|Node is being removed|process apparently never started|RemovedNodeCause|AgentOfflineException"
    r"|(?:Closed)?Channel(?:Closed)?Exception|Backing channel .{0,200} is disconnected"
    r"|[Cc]hannel is (?:already closed|closing down|closed)|Unexpected termination of the channel"
    r"|command execution failed|(?:agent|node|connection|channel) (?:went|was) (?:offline|terminated|lost|broken)"
    r"|Agent (?:went|is) offline|Remote call on \S.{0,200} failed|Slave went offline|RequestAbortedException"
    r"|returned exit code -[0-9]|^Hard kill!|^Terminating \S|Pod .{0,200} (?:was )?(?:deleted|evicted)"
)
_AWAY = re.compile(r"Cannot contact \S|Waiting to resume part of ")
_OWN_EXIT = re.compile(r"returned exit code [0-9]+\b|script returned exit code [0-9]+\b")
_STEP = re.compile(r"\[Pipeline\] (?!End of|\{|\}|//)\w")
_SEVERAL = re.compile(r"\[Pipeline\] parallel\b|\[Pipeline\] \{ \(Branch: ")
_JENKINS = re.compile(r"\[Pipeline\]|Started by |Building (?:remotely |in workspace |on )|Running on \S.* in [/A-Z]")
_FINISHED = re.compile(r"Finished: (?P<result>[A-Z_]+)\s*$")

_SERVER_SAYS = re.compile(r"lost communication with the server|topped hearing from agent|Job failed \(system failure\)")
_RUNNER_SAYS = re.compile(
    r"Cleaning up orphan processes|##\[error\](?:Process completed with exit code [0-9]+|The operation was cancell?ed)"
    r"|##\[error\]\S+ exited with code '[0-9]+'|##\[section\]Finishing: |Job succeeded\s*$"
    r"|ERROR: Job failed: (?:exit (?:code|status) [0-9]+|cancell?ed|execution took longer)"
)
_LOST_HINTS = (
    *("log file", "JENKINS-48300", "gent ", "lave ", "interrupt signal", "process did not stop", "marked offline"),
    *("being removed", "never started", "Node", "Channel", "channel", "execution failed", "onnection", "node "),
    *("Remote call", "Request", "exit code", "Hard kill", "Terminating", "Pod ", "Cannot contact", "Waiting to"),
)
_HINTS = ("orphan", "##[", "Job ", "communication with", "hearing from")


def says_lost(line: str) -> bool:
    """Whether a line says that a CI system lost contact with a step, or ended it without hearing from it."""
    return any(hint in line for hint in (*_LOST_HINTS, *_HINTS)) and bool(
        _LOST.search(line) or _SERVER_SAYS.search(line)
    )


class EndReader:
    """Takes a log's lines in order, without times and colours. `of` says what they come to."""

    def __init__(self) -> None:
        self._is_jenkins = False
        self._is_lost = self._may_be_lost = self._is_away = False
        self._are_several = False
        self._is_declared = self._is_reported = self._is_finished = False
        self._has_gap = False

    def gap(self) -> None:
        self._has_gap = True

    def line(self, line: str) -> None:
        if any(hint in line for hint in _HINTS):
            self._is_reported |= _RUNNER_SAYS.search(line) is not None
            self._is_declared |= _SERVER_SAYS.search(line) is not None
        if not self._is_jenkins:
            self._is_jenkins = _JENKINS.match(line) is not None
        if self._is_jenkins:
            self._jenkins(line)

    def _jenkins(self, line: str) -> None:
        """A step that was lost may come back and report its own exit code; the code of a later step is not its own."""
        if _SEVERAL.search(line):
            self._are_several = True
        if _STEP.match(line) and self._may_be_lost:
            self._is_lost = True
        if not any(hint in line for hint in _LOST_HINTS):
            pass
        elif _LOST.search(line):
            self._may_be_lost = True
        elif _AWAY.search(line):
            self._is_away = True
        elif _OWN_EXIT.search(line) and not self._are_several:
            self._may_be_lost = self._is_away = False
        found = _FINISHED.match(line)
        if found is not None:
            self._is_finished = True
            # a step that was away and then succeeded says nothing more of it
            self._is_away = self._is_away and found["result"] != "SUCCESS"

    def of(self) -> LogEnd:
        if self._is_lost or self._may_be_lost or self._is_away or self._is_declared:
            return LogEnd.DECLARED
        if self._has_gap:
            return LogEnd.UNKNOWN
        return LogEnd.REPORTED if self._is_finished or self._is_reported else LogEnd.UNKNOWN
