"""The situation at each look: who wanted a lock, what its table took, whether its digest matched. Bounded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from bot.core.account.values import Digest, Sample, Table
from bot.core.lock import DigestMatch
from bot.core.record.evidence import Evidence, StateFacts, TableFacts

MOST_SAMPLES = 2_000
_MOST_TABLES = 500
_PAIR = 2


@dataclass(slots=True)
class _Kept:
    """A sample that the next one of a plateau may take the place of."""

    sample: Sample


@dataclass(slots=True)
class Samples:
    """Samples, tables and digests. Of samples that say the same the first and the last are kept."""

    _kept: list[_Kept] = field(default_factory=list)
    _tables: dict[str, Table] = field(default_factory=dict)
    _digests: dict[str, Digest] = field(default_factory=dict)
    _last: dict[str, tuple[_Kept, ...]] = field(default_factory=dict)

    def take(self, state: str, evidence: Evidence, at: datetime) -> None:
        """One look at a state, as the evidence of a verdict holds it."""
        table, unread = evidence.table, evidence.lock.unseen
        throttled = any(place.why.startswith("throttled") for place in unread) or bool(table and table.throttled)
        if evidence.contenders is not None:
            self._sample(Sample(at, state, evidence.contenders, throttled))
        if table is not None and table.name:
            self._table(state, table, throttled=throttled)
        if isinstance(evidence.state_object, StateFacts):
            self._digest(state, evidence.state_object, at)

    def refused(self, state: str, at: datetime) -> None:
        """The table of a state turned a release away: as telling as a look, with as many contenders as at the last."""
        last = self._last.get(state, ())
        self._sample(Sample(at, state, last[-1].sample.contenders if last else 0, throttled=True))
        for name, table in self._tables.items():
            if state in table.states:
                self._tables[name] = replace(table, throttled=True)

    @property
    def shown(self) -> tuple[Sample, ...]:
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

    def _table(self, state: str, table: TableFacts, *, throttled: bool) -> None:
        if table.name not in self._tables and len(self._tables) >= _MOST_TABLES:
            return
        known = self._tables.get(table.name) or Table(table.name, (), "", throttled=False, refused=None)
        ttl, attribute = table.ttl, known.ttl_attribute
        if ttl is not None:
            attribute = (ttl.attribute or "an attribute that was not told") if ttl.enabled else ""
        self._tables[table.name] = replace(
            known,
            states=tuple(sorted({*known.states, state}))[:_MOST_TABLES],
            billing=table.billing or known.billing,
            throttled=known.throttled or throttled,
            refused=known.refused if table.refused is None else max(table.refused, known.refused or 0),
            read_units=known.read_units if table.read_units is None else table.read_units,
            write_units=known.write_units if table.write_units is None else table.write_units,
            ttl_attribute=attribute,
        )

    def _digest(self, state: str, seen: StateFacts, at: datetime) -> None:
        if seen.digest == DigestMatch.DIFFERS and len(self._digests) < _MOST_TABLES:
            sums = seen.digest_key or "", seen.digest_item or "", seen.digest_actual or ""
            self._digests[state] = Digest(state, *sums, at)
        elif seen.digest and seen.digest != DigestMatch.UNSEEN:
            self._digests.pop(state, None)


def _same(kept: _Kept, other: Sample) -> bool:
    return (kept.sample.contenders, kept.sample.throttled) == (other.contenders, other.throttled)


def _thinned(samples: list[_Kept]) -> list[_Kept]:
    """About half of them: of two neighbours the one that tells more, and always the last."""
    pairs = zip(samples[::2], samples[1::2], strict=False)
    kept = [max(pair, key=lambda kept: (kept.sample.throttled, kept.sample.contenders)) for pair in pairs]
    return kept if kept and kept[-1] is samples[-1] else [*kept, samples[-1]]
