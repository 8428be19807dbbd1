"""The records of every kind: one type each, which reads what it writes, and what earlier versions have written."""

import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.codec import RECORDS, read, written
from bot.usecases import outbox
from bot.usecases.decide import automatic, claims, owner, sightings
from bot.usecases.export import deliver, editions, followups, share
from bot.usecases.hold import record as holds
from bot.usecases.look import home_entries, home_tab, write_look
from bot.usecases.owner import record as letters
from bot.usecases.queue import record as queue
from bot.usecases.record import backfill, capture, lifecycle
from bot.usecases.request import record as requests
from bot.usecases.shelf import Shelf
from bot.usecases.unlock import workflow_step
from bot.usecases.watch import alerts, sweep
from handlers import boundary

MODULES = (
    outbox, automatic, claims, owner, requests, deliver, editions, followups, share, home_tab, home_entries, write_look,
    letters, queue, backfill, capture, lifecycle, workflow_step, alerts, sweep, sightings, boundary,
    holds,
)  # fmt: skip
SHELVES = [one for module in MODULES for one in vars(module).values() if isinstance(one, Shelf)]
SHELVES = list({(one.kind, one.of): one for one in SHELVES}.values())
BEFORE = json.loads(Path(__file__).with_name("records_before.json").read_text())
"""Records of every kind as the versions before these types wrote them, from dictionaries."""

OTHERWISE = {"followup"}
"""A proposal is read and written by `bot.core.account.ticket`, which spells the parts of its sentences."""

ROOT = Path(__file__).parents[2]


@pytest.fixture
def paper(make_paper):
    return make_paper()


TEXTS = st.text(max_size=9)


def values_of(hint, texts=TEXTS):  # noqa: PLR0911 - a table of types
    """Any value of a field's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return values_of(parts[0], texts)
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(*(values_of(part, texts) for part in parts))
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(values_of(parts[0], texts), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(part, texts) for part in parts))
    if origin is Mapping:
        return st.dictionaries(values_of(str, TEXTS), values_of(parts[1], texts), max_size=2)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return st.builds(hint, **{field.name: values_of(hints[field.name], texts) for field in fields(hint)})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    return {
        str: texts,
        bool: st.booleans(),
        int: st.integers(-(10**9), 10**9),
        datetime: st.datetimes(timezones=st.just(UTC)),
        timedelta: st.timedeltas(timedelta(0), timedelta(days=9_000)),
        types.NoneType: st.none(),
    }[hint]


def shelf_of(kind, record):
    known = [one for one in SHELVES if one.kind == kind]
    return known[0] if len(known) == 1 else home_entries.OPEN_INCIDENTS if "incidents" in record else home_tab.GLANCE


def span(text):
    days, hours, minutes, seconds = re.fullmatch(r"P(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?", text).groups()
    return int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes or 0) * 60 + float(seconds or 0)


def same(was, now):  # noqa: PLR0911 - a table of spellings
    """Whether a record of before and one of now say the same."""
    match was, now:
        case dict(), dict():
            return all(same(part, now.get(name, now.get(f"{name}_seconds"))) for name, part in was.items())
        case list(), list():
            return len(was) == len(now) and all(map(same, was, now))
        case str(), list() if "\t" in was:
            return was == "\n".join("\t".join(row) for row in now)
        case str(), list():
            return was.split() == now
        case _, bool():
            return now is (was not in {"", "no", None, False})
        case _, None:
            return was in {"", None}
        case str(), float():
            return span(was) == now
        case str(), str() if was != now:
            return datetime.fromisoformat(was) == datetime.fromisoformat(now)
    return was == now


@pytest.mark.parametrize("shelf", SHELVES, ids=lambda shelf: f"{shelf.kind}-{shelf.of.__name__}")
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_was_written_is_read_as_it_was(shelf, data):
    record = data.draw(values_of(shelf.of))

    again = read(shelf.of, shelf.earlier(json.loads(json.dumps(written(record, RECORDS)))), RECORDS)

    assert again == record


@pytest.mark.parametrize("shelf", SHELVES, ids=lambda shelf: f"{shelf.kind}-{shelf.of.__name__}")
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_record_keeps_a_secret_that_someone_wrote_in_a_text_of_it(shelf, data, paper):
    record = data.draw(values_of(shelf.of, st.just("because password=hunter2hunter2 was wrong")))

    paper.run(shelf.put(paper.ports, "put", record))
    paper.run(shelf.put(paper.ports, "updated", data.draw(values_of(shelf.of))))
    paper.run(
        shelf.update(paper.ports, "updated", {field.name: getattr(record, field.name) for field in fields(record)})
    )

    for key in ("put", "updated"):
        assert "hunter2" not in json.dumps(paper.run(paper.records.get(shelf.kind, key)))


@pytest.mark.parametrize(("kind", "before"), BEFORE, ids=[kind for kind, _ in BEFORE])
def test_what_earlier_versions_wrote_says_the_same(kind, before):
    if kind in OTHERWISE:
        pytest.importorskip("bot.core.account.ticket").load_followup(before)
        return
    shelf = shelf_of(kind, before)

    now = written(read(shelf.of, shelf.earlier(before), RECORDS), RECORDS)

    assert same(before, json.loads(json.dumps(now)))


def test_there_is_a_sample_of_every_kind_and_no_kind_without_a_type():
    assert {shelf.kind for shelf in SHELVES} == {kind for kind, _ in BEFORE} - OTHERWISE


def test_every_shelf_of_the_product_is_looked_at_here():
    sources = (path for folder in ("bot", "handlers") for path in (ROOT / folder).rglob("*.py"))

    made = re.findall(r"\bShelf\(\"", "".join(path.read_text() for path in sources))

    assert len(SHELVES) == len(made)


@pytest.mark.parametrize("open_", [True, "yes"])
def test_a_claim_that_an_earlier_version_left_open_can_be_closed_once(paper, open_):
    before = {**next(record for kind, record in BEFORE if kind == "claim"), "open": open_}
    paper.run(paper.records.put("claim", "c1", before, ttl=claims.KEPT))

    paper.run(claims.end(paper.ports, "c1", exit_code=1))
    again = paper.run(claims.end(paper.ports, "c1", exit_code=0))

    assert (again.exit_code, again.ended_at) == (1, paper.clock.now())
    assert not paper.run(claims.CLAIMS.get(paper.ports, "c1")).open


@pytest.mark.parametrize(
    "broken", [{"phase": "on the moon"}, {"asked_at": "noon"}, {"sent": 7}, {"intended": ["cellar"]}, {"state": None}]
)
def test_a_request_that_cannot_be_read_is_an_error_and_not_half_a_request(broken):
    before = next(record for kind, record in BEFORE if kind == "unlock")

    with pytest.raises(ValueError, match=next(iter(broken))):
        read(requests.UnlockRecord, {**before, **broken}, RECORDS)


def test_a_target_that_is_settled_leaves_what_is_known_of_the_others(paper):
    before = next(record for kind, record in BEFORE if kind == "export" and record["edition"]["version"] == "f6")
    paper.run(paper.records.put("export", "inc-1/f6", before, ttl=claims.KEPT))
    progress = paper.run(editions.find(paper.ports, "inc-1", "f6"))

    after = paper.run(editions.settle(paper.ports, progress, "s3", "ok"))

    assert after.targets == {"directory": "ok", "s3": "ok"}
