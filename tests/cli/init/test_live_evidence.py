"""Times beside times, and names into forms: what `init --live` makes of what it was told. No system is asked."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends.azurerm.section import Backend as Azure
from bot.backends.gcs.section import Backend as Gcs
from bot.backends.gitlab.section import Backend as GitLab
from bot.backends.hcp.section import Backend as Hcp
from bot.backends.s3.section import Backend as Bucket
from bot.cli.init.join import Gathered, State
from bot.cli.init.keys import Keys
from bot.cli.init.live.containers import list_stores
from bot.cli.init.live.context import Context
from bot.cli.init.live.evidence import COUNTED, SLACK, Coincidence, beside_all, coincidence, spans_of, words
from bot.cli.init.live.listed import called, forms, like_states, values_at
from bot.cli.init.tree import Place
from bot.cli.init.write import written
from bot.config.load import load
from bot.config.patterns import readings
from bot.core.evidence import Found
from bot.core.run import Conclusion, Phase, Pipeline, Run, RunRef

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run(begin, end, *, phase=Phase.ENDED, attempt=1, created=None):
    ref = RunRef(Pipeline("github", (("repo", "a/b"),)), "1")
    ended = Conclusion.SUCCESS if phase is Phase.ENDED else None
    return Run(ref, "", "", "", phase, ended, attempt, created or begin, begin, end)


def test_runs_become_the_times_when_any_went_on():
    runs = [
        run(NOON, NOON + HOUR),
        run(NOON + HOUR / 2, NOON + 2 * HOUR),
        run(NOON + 5 * HOUR, None, phase=Phase.RUNNING),
        run(None, None, phase=Phase.WAITING, created=NOON),
        run(None, NOON + 4 * HOUR, attempt=2, created=NOON - 9 * HOUR),
    ]
    assert spans_of(runs, NOON + 6 * HOUR) == (
        (NOON - SLACK, NOON + 2 * HOUR + SLACK),
        (NOON + 5 * HOUR - SLACK, NOON + 6 * HOUR + SLACK),
    )


def test_only_what_was_written_in_the_time_that_is_known_counts():
    spans = ((NOON, NOON + HOUR), (NOON + 5 * HOUR, NOON + 6 * HOUR))
    written = [NOON - HOUR, NOON + HOUR / 2, NOON + 3 * HOUR, NOON + 5 * HOUR]
    assert coincidence(written, spans, (NOON, NOON + 8 * HOUR)) == Coincidence(2, 3, 0.25)


def test_nothing_is_said_of_the_time_of_which_one_pipeline_shows_no_runs():
    long = ((NOON, NOON + HOUR),), (NOON - 30 * HOUR, NOON + 8 * HOUR)
    short = ((NOON + 5 * HOUR, NOON + 6 * HOUR),), (NOON - HOUR / 2, NOON + 8 * HOUR)
    written = [NOON - HOUR, NOON + HOUR / 2, NOON + 3 * HOUR, NOON + 5 * HOUR]
    assert beside_all(written, [long]) == Coincidence(1, 4, 0.0)
    assert beside_all(written, [long, short]) == Coincidence(2, 3, 0.0)


@pytest.mark.parametrize(
    ("within", "of", "share", "tells"),
    [
        (7, 8, 0.03, True),
        (7, 8, 0.6, False),  # it nearly always runs
        (3, 8, 0.03, False),  # most were written by something else
        (4, 8, 0.03, True),
        (1, 1, 0.005, True),
        (1, 1, 0.03, False),  # one of thirty moments would do
        (0, 8, 0.03, False),
        (0, 0, 0.0, False),
        (2, 2, 0.0, True),
    ],
)
def test_it_tells_where_chance_would_not_do(within, of, share, tells):
    assert Coincidence(within, of, share).tells is tells


@pytest.mark.parametrize(
    ("seen", "states", "said"),
    [
        (Coincidence(7, 8, 0.034), 1, "7 of its last 8 versions were written while it ran (3 % of the time)"),
        (Coincidence(1, 1, 0.004), 1, "its last version was written while it ran (less than 1 % of the time)"),
        (Coincidence(0, 1, 0.2), 1, "its last version was not written while it ran (20 % of the time)"),
        (Coincidence(0, 5, 0.2), 1, "none of its last 5 versions was written while it ran (20 % of the time)"),
        (Coincidence(1, 5, 0.2), 1, "1 of its last 5 versions was written while it ran (20 % of the time)"),
        (
            Coincidence(31, 40, 0.02), 5,
            "31 of the last 40 versions of 5 of its states were written while it ran (2 % of the time)",
        ),
    ],
)  # fmt: skip
def test_the_evidence_is_said_in_words_that_are_no_difference_by_themselves(seen, states, said):
    assert words(seen, states) == said
    assert COUNTED.sub("", f"x  # guessed: {said} (a.yml:6)") == "x  # guessed:  (a.yml:6)"


IN_S3 = {"type": "s3", "bucket": "acme", "key": "a/b.tfstate", "region": "eu-west-1", "use_lockfile": True}
IN_AZURE = {"type": "azurerm", "storage_account": "acme", "container": "ten", "key": "a"}
IN_HCP = {"type": "hcp", "organization": "acme", "workspace": "one"}


@pytest.mark.parametrize(
    ("section", "values", "name", "changed"),
    [
        (Bucket, IN_S3, "c.tfstate", {"key": "c.tfstate"}),
        (Bucket, IN_S3, "env:/dev/c.tfstate", {"key": "c.tfstate", "workspace": "dev"}),
        (Bucket, {**IN_S3, "workspace": "dev"}, "c.tfstate", {"key": "c.tfstate", "workspace": None}),
        (Bucket, {**IN_S3, "workspace_key_prefix": "ws"}, "ws/x/k", {"key": "k", "workspace": "x"}),
        (Bucket, IN_S3, "env:/{env}/c.tfstate", {"key": "c.tfstate", "workspace": "{env}"}),
        (Azure, IN_AZURE, "c.tfstateenv:dev", {"key": "c.tfstate", "workspace": "dev"}),
        (Gcs, {"type": "gcs", "bucket": "acme", "prefix": "a"}, "b/c/dev.tfstate",
         {"prefix": "b/c", "workspace": "dev"}),
        (Gcs, {"type": "gcs", "bucket": "acme", "prefix": "a"}, "default.tfstate", {"prefix": None}),
        (GitLab, {"type": "gitlab", "project": "a/b", "state": "one"}, "two", {"state": "two"}),
        (Hcp, IN_HCP, "two", {"workspace": "two"}),
    ],
)  # fmt: skip
def test_a_listed_name_becomes_the_keys_of_the_state_that_is_listed_so(section, values, name, changed):
    made = values_at(section.model_validate(values), values, name)

    expected = {**values, **changed}
    assert made == {key: value for key, value in expected.items() if value is not None}
    assert section.model_validate(made).listing.name == name


def test_a_name_that_no_state_can_have_is_none():
    section = Bucket.model_validate(IN_S3)
    assert values_at(section, IN_S3, "env:/dev//c.tfstate") is None


def test_what_looks_like_a_state_is_told_by_its_end_or_by_the_form_of_known_ones():
    names = ["a/b.tfstate", "a/b.tfstate.backup", "c/d", "e", "f/g.zip", "h.tfstateenv:dev"]
    bucket, blobs = Bucket.model_validate(IN_S3), Azure.model_validate(IN_AZURE)
    assert like_states(bucket, names, []) == (["a/b.tfstate"], [])
    assert like_states(bucket, names, ["x/y"]) == (["a/b.tfstate"], ["c/d"])
    assert like_states(blobs, names, []) == (["a/b.tfstate", "h.tfstateenv:dev"], [])
    assert like_states(Hcp.model_validate(IN_HCP), ["network", "a-b"], []) == (["network", "a-b"], [])


def found(names, known=(), taken=()):
    made, rest = forms(names, known, where="acme", is_free=lambda name: name not in taken)
    assert len({form.name for form in made}) == len(made)
    return {form.name: (form.text, form.production) for form in made}, rest


ALL = [f"live/{env}/{service}.tfstate" for env in ("dev", "prod") for service in ("api", "web", "db")]


def test_many_of_one_form_become_one_entry_that_means_them_all_and_each_in_one_way():
    made, rest = found([*ALL, "odd.tfstate"])
    assert (made, rest) == (
        {"{env}-{service}": ("live/{env}/{service}.tfstate", {"env": ("prod",)})},
        ["odd.tfstate"],
    )
    assert all(len(readings("live/{env}/{service}.tfstate", name)) == 1 for name in ALL)


def test_no_entry_for_many_means_a_state_that_is_known():
    made, rest = found(ALL, known=["live/dev/known.tfstate"])
    assert made == {}
    assert rest == sorted(ALL)
    more = [f"live/prod/{service}.tfstate" for service in "vwxyz"]
    made, rest = found([*ALL, *more], known=["live/dev/known.tfstate"])
    assert made == {"prod-{service}": ("live/prod/{service}.tfstate", {})}
    assert rest == sorted(name for name in ALL if "/dev/" in name)


def test_few_stay_what_they_are():
    assert found(ALL[:4])[0] == {}


def test_states_that_would_have_one_name_or_a_taken_one_get_longer_names_or_stay_single():
    keys = [f"a/{service}.tfstate" for service in ("api", "web", "db", "dns", "vpn")]
    assert list(found(keys)[0]) == ["{service}"]
    assert list(found(keys, taken=("api",))[0]) == ["a-{service}"]
    assert list(found(keys, taken=("api", "a-api"))[0]) == ["acme-a-{service}"]
    assert list(found(keys, taken=("{service}",))[0]) == ["a-{service}"]
    assert found(keys, taken=("api", "a-api", "acme-a-api")) == ({}, sorted(keys))


def test_two_entries_for_many_have_two_names_and_none_is_called_as_if_it_were_the_only_one():
    keys = [f"{team}/{env}/vpc.tfstate" for team in ("b", "c") for env in ("dev", "qa", "test", "stage", "prod")]
    made, rest = found(keys, known=["a/uat/vpc.tfstate"])
    assert ({name: text for name, (text, _) in made.items()}, rest) == (
        {"b-{env}": "b/{env}/vpc.tfstate", "c-{env}": "c/{env}/vpc.tfstate"},
        [],
    )
    more = [f"{service}.tfstate" for service in ("api", "web", "db", "dns", "vpn")]
    longer = [f"live/{service}/main.tfstate" for service in ("api", "web", "db", "dns", "vpn")]
    assert list(found([*more, *longer])[0]) == ["{service}", "{service}-main"]


class TwoBuckets:
    """Each lists the same names, and one of them one more."""

    def lacking(self, _section):
        return ""

    async def listed(self, section, _known):
        names = [f"{service}/terraform.tfstate" for service in ("api", "web", "db", "dns", "vpn")]
        return Found((*names, *(["api.tfstate"] if section.bucket == "acme-prod" else [])), NOON)


class SideBySide(TwoBuckets):
    """Each lists one object that has to be looked into, and no look ends before that at the other has begun."""

    def __init__(self):
        self.looked, self.at_both = set(), asyncio.Event()

    async def listed(self, section, _known):
        return Found((f"state-of-{section.bucket}",), NOON)

    async def is_state(self, section):
        self.looked.add(section.bucket)
        if len(self.looked) > 1:
            self.at_both.set()
        async with asyncio.timeout(30):
            return await self.at_both.wait()


async def test_buckets_are_looked_into_side_by_side(tmp_path):
    context = in_two_buckets(tmp_path, SideBySide())

    await list_stores(context)

    assert [state.keys.values["key"] for state in context.found.states] == [
        "net", "net", "state-of-acme-dev", "state-of-acme-prod",
    ]  # fmt: skip


async def test_the_same_names_in_two_buckets_are_two_entries_with_two_names_that_load(tmp_path):
    context = in_two_buckets(tmp_path, TwoBuckets())
    await list_stores(context)

    gained = context.found
    text = written("a checkout", gained.states, [], gained.sections, {}).text

    assert re.findall(r"(?m)^  (\S+):  #", text) == [
        "dev", "prod", '"{service}"', '"acme-prod-{service}"', "api.tfstate",
    ]  # fmt: skip


def in_two_buckets(tmp_path, systems):
    states = [
        State(
            "",
            Place(f"{name}.tf", 1),
            Keys("s3", {"type": "s3", "bucket": f"acme-{name}", "key": "net", "use_lockfile": True}),
            name=name,
        )
        for name in ("dev", "prod")
    ]
    gained = Gathered("a checkout", states, [], {key: {} for key in ("github", "gitlab", "ecs")}, [])
    file = tmp_path / "tflock.yml"
    file.write_text("states: {none: {backend: {type: http, address: 'https://localhost/'}}}", encoding="utf-8")
    return Context(gained, None, load(file, {}, need_slack=False, need_tokens=False), systems)


def test_one_state_has_a_short_name_that_is_free():
    assert called("environments/billing/terraform.tfstate", is_free=lambda _: True) == "billing"
    assert called("env:/dev/network.tfstate", is_free=lambda _: True) == "dev-network"
    assert called("net.tfstateenv:dev", is_free=lambda _: True) == "net-dev"
    assert called("a/b/c/d.tfstate", is_free=lambda name: name != "b-c-d") == "a-b-c-d"
    assert called("a.tfstate", is_free=lambda name: name not in {"a", "a.tfstate"}) == "a-2"
