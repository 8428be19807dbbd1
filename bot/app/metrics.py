"""What Prometheus gets. Names and labels are public: extend, never rename.

Labels only ever hold configured names and words of ours (a state, a rule, an outcome), never what a person typed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

_UPSTREAM_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_UNLOCK_BUCKETS = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """The measurements of one process, on a registry of their own, so that two may live side by side."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self._commands = counter(
            "tflock_commands_total", "Commands that people gave, by outcome.", ("command", "outcome")
        )
        self._unlocks = counter("tflock_unlocks_total", "Unlocks that were tried, by outcome.", ("state", "outcome"))
        self._gate_refusals = counter(
            "tflock_gate_refusals_total", "Refusals of the gate, by each rule that blocked.", ("rule",)
        )
        self._lock_age = gauge(
            "tflock_lock_age_seconds",
            "Age of a state's lock by its holder's clock; 0 where there is none, nothing where it is not known.",
            ("state",),
        )
        self._lock_held = gauge("tflock_lock_held", "1 if a state was locked when last seen, else 0.", ("state",))
        self._unread = gauge("tflock_states_unread", "States whose lock the last sweep could not read.")
        self._unlisted = gauge("tflock_patterns_unlisted", "Patterns whose states the last look could not list.")
        self._left_out = gauge("tflock_states_left_out", "States that patterns mean and that are known by no name.")
        upstream = ("system", "call", "outcome")
        self._upstream = histogram(
            "tflock_upstream_seconds", "How long other systems took to answer.", upstream, buckets=_UPSTREAM_BUCKETS
        )
        seconds = "From the first command about a lock to its release."
        self._time_to_unlock = histogram("tflock_time_to_unlock_seconds", seconds, buckets=_UNLOCK_BUCKETS)

    def command(self, command: str, outcome: str) -> None:
        self._commands.labels(command, outcome).inc()

    def unlock(self, state: str, outcome: str) -> None:
        self._unlocks.labels(state, outcome).inc()

    def refusal(self, rule: str) -> None:
        self._gate_refusals.labels(rule).inc()

    def lock(self, state: str, *, held: bool, age_seconds: float | None) -> None:
        """What was last seen of a state's lock; its age counts as 0 where none is held. None: it is not known."""
        self._lock_held.labels(state).set(held)
        if held and age_seconds is None:
            self._lock_age.remove(state)
        else:
            self._lock_age.labels(state).set((held and age_seconds) or 0)

    def forget(self, states: Iterable[str]) -> None:
        """Shows nothing more of what was last seen of these locks: their states are gone."""
        for state in states:
            self._lock_held.remove(state)
            self._lock_age.remove(state)

    def unread(self, states: int) -> None:
        self._unread.set(states)

    def discovered(self, *, unlisted: int, left_out: int) -> None:
        """What the last look for the states of patterns could not list, and what it found and could not take."""
        self._unlisted.set(unlisted)
        self._left_out.set(left_out)

    def upstream(self, system: str, call: str, *, outcome: str, seconds: float) -> None:
        self._upstream.labels(system, call, outcome).observe(seconds)

    def time_to_unlock(self, seconds: float) -> None:
        self._time_to_unlock.observe(seconds)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format, to be served as `content_type`."""
        return generate_latest(self.registry)
