"""How it stood at each look: who wanted a lock, what its table took, whether its digest matched. Bounded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.account.values import Digest, Sample, Table
from bot.core.lock import DigestMatch
from bot.core.record.untrusted import Facts, count, part, rows, says, text

MOST_SAMPLES = 2_000
_MOST_TABLES = 500
_PAIR = 2


@dataclass(slots=True)
class _Kept:
    """A sample that the next one of a plateau may take the place of."""

    sample: Sample


@dataclass(slots=True)
class Looks:
    """Samples, tables and digests. Of samples that say the same the first and the last are kept."""

    _kept: list[_Kept] = field(default_factory=list)
    _tables: dict[str, Table] = field(default_factory=dict)
    _digests: dict[str, Digest] = field(default_factory=dict)
    _last: dict[str, tuple[_Kept, ...]] = field(default_factory=dict)

    def take(self, state: str, evidence: Facts, at: datetime) -> None:
        """One look at a state, as the evidence of a verdict holds it."""
        table = part(evidence, "table")
        throttled = says(table, "throttled") or any(
            text(place, "why").startswith("throttled") for place in rows(part(evidence, "lock"), "unseen")
        )
        contenders = count(evidence, "contenders")
        if contenders is not None:
            self._sample(Sample(at, state, contenders, throttled))
        if text(table, "name"):
            self._table(state, table, throttled=throttled)
        self._digest(state, part(evidence, "state_object"), at)

    def refused(self, state: str, at: datetime) -> None:
        """The table of a state turned a release away: as telling as a look, with as many contenders as at the last."""
        last = self._last.get(state, ())
        self._sample(Sample(at, state, last[-1].sample.contenders if last else 0, throttled=True))
        for name, table in self._tables.items():
            if state in table.states:
                self._tables[name] = replace(table, throttled=True)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return tuple(sorted((kept.sample for kept in self._kept), key=lambda sample: sample.at))

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(self._tables[name] for name in sorted(self._tables))

    @property
    def digests(self) -> tuple[Digest, ...]:
        """Those that did not match when last read."""
        return tuple(self._digests[state] for state in sorted(self._digests))

    def _sample(self, sample: Sample) -> None:
        last = self._last.get(sample.state, ())
        if len(last) == _PAIR and all(_same(one, sample) for one in last):
            last[-1].sample = sample
            return
        added = _Kept(sample)
        self._kept.append(added)
        if len(self._last) < _MOST_TABLES or sample.state in self._last:
            self._last[sample.state] = (*last, added)[-_PAIR:]
        if len(self._kept) > MOST_SAMPLES:
            self._kept = _thinned(self._kept)
            self._last.clear()

    def _table(self, state: str, told: Facts, *, throttled: bool) -> None:
        name = text(told, "name")
        if name not in self._tables and len(self._tables) >= _MOST_TABLES:
            return
        known = self._tables.get(name) or Table(name, (), "", throttled=False, refused=None)
        ttl, refused = part(told, "ttl"), count(told, "refused")
        self._tables[name] = replace(
            known,
            states=tuple(sorted({*known.states, state}))[:_MOST_TABLES],
            billing=text(told, "billing") or known.billing,
            throttled=known.throttled or throttled,
            refused=known.refused if refused is None else max(refused, known.refused or 0),
            read_units=_newer(count(told, "read_units"), known.read_units),
            write_units=_newer(count(told, "write_units"), known.write_units),
            ttl_attribute=_ttl(ttl) if "enabled" in ttl else known.ttl_attribute,
        )

    def _digest(self, state: str, told: Facts, at: datetime) -> None:
        match = text(told, "digest")
        if match == DigestMatch.DIFFERS and len(self._digests) < _MOST_TABLES:
            self._digests[state] = Digest(
                state, text(told, "digest_key"), text(told, "digest_item"), text(told, "digest_actual"), at
            )
        elif match and match != DigestMatch.UNSEEN:
            self._digests.pop(state, None)


def _ttl(told: Facts) -> str:
    return (text(told, "attribute") or "an attribute that was not told") if says(told, "enabled") else ""


def _newer(told: int | None, known: int | None) -> int | None:
    return known if told is None else told


def _same(kept: _Kept, other: Sample) -> bool:
    return (kept.sample.contenders, kept.sample.throttled) == (other.contenders, other.throttled)


def _thinned(samples: list[_Kept]) -> list[_Kept]:
    """About half of them: of two neighbours the one that tells more, and always the last."""
    pairs = zip(samples[::2], samples[1::2], strict=False)
    kept = [max(pair, key=lambda kept: (kept.sample.throttled, kept.sample.contenders)) for pair in pairs]
    return kept if kept and kept[-1] is samples[-1] else [*kept, samples[-1]]
