"""Incidents as exports are written from them, and a browser to read the pages in."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest
from playwright.sync_api import sync_playwright

from bot.core.account.values import (
    Account,
    Cause,
    FollowUp,
    LockEnd,
    LockSpan,
    LoopSpan,
    Mark,
    Participant,
    Role,
    RunSpan,
    Sample,
    StateSummary,
    Summary,
    Table,
)
from bot.core.phrase import Linked, Person, Quoted
from bot.core.record.incident import Incident
from bot.core.record.kinds import MarkKind
from bot.core.record.revision import Change, ShownEntry
from bot.core.record.timeline import GENESIS, Entry
from bot.export.html.page import write_html
from bot.sandbox.page.document import PHONE, page_of

LOCK = "6d2f1c0e-4b7a-9a53-1f0e-2c8d7b5a9e31"


@dataclass(frozen=True)
class Recorded:
    """Implements `bot.export.material.Material` for the page."""

    account: Account
    shown: tuple[ShownEntry, ...]

    def lines(self) -> Iterator[ShownEntry]:
        return iter(self.shown)

    def records(self):
        raise NotImplementedError


def at(clock: str) -> datetime:
    hour, minute, *second = map(int, clock.split(":"))
    return datetime(2026, 11, 21, hour, minute, *second, tzinfo=UTC)


def findings(*rows: tuple[str, str, str]) -> dict:
    return {
        "ruling": "refuse" if any(row[1] == "refuses" for row in rows) else "allow",
        "findings": [dict(zip(("rule", "effect", "reason"), row, strict=True)) for row in rows],
    }


_RUN = {
    "ci": "github",
    "pipeline": "deploy.yml",
    "id": "9915240871",
    "url": "https://ci.example.com/infra/actions/runs/9915240871",
    "attempt": 1,
    "actor": "elliott",
    "conclusion": "timed out",
    "ended_at": "2026-11-21T09:15:08.000000Z",
}
_REFUSED = findings(
    ("same lock", "holds", f"the lock is {LOCK}, the one that was asked about"),
    ("requester", "holds", "parker is a full member of #inc-staging"),
    ("attributed", "holds", "deploy.yml 9915240871 held a job's time window around 09:05:31"),
    ("dead", "holds", "deploy.yml 9915240871 ended at 09:15:08: timed out"),
    ("quiet", "holds", "the state was last written at 09:12:44"),
    ("fresh", "refuses", "the lock table refused to be read: nobody can tell what stands there"),
)
_ALLOWED = findings(
    *((row["rule"], "holds", row["reason"]) for row in _REFUSED["findings"][:5]),
    ("digest", "warns", "the digest item could not be compared while the table throttled"),
    ("fresh", "holds", "everything was looked at within the last 4 s"),
)
_STORY = (
    ("11:00:12", "message.captured", "U1", "staging deploy is blocked: Error acquiring the state lock", {
        "permalink": "https://example.slack.com/archives/C1/p1763722812000100", "files": ["deploy.log"]}),
    ("11:01:40", "command.received", "U1", "/tflock status staging", {"state": "staging"}),
    ("11:01:40", "incident.opened", "U1", "opened by the first command", {"channel": "C1"}),
    ("11:01:43", "lock.observed", "tflock", "staging is locked by elliott@fv-az1204-118 since 09:05:31 (apply)", {
        "state": "staging",
        "seen": {"held": [{"half": "dynamodb", "lock_id": LOCK}], "free": [], "unseen": [],
                 "locks": [{"id": LOCK, "operation": "OperationTypeApply", "who": "elliott@fv-az1204-118"}]}}),
    ("11:01:52", "owner.notified", "tflock", "told elliott that their lock blocks others (On PTO until Monday)", {
        "state": "staging", "lock_id": LOCK}),
    ("11:04:10", "message.captured", "U2", "same here since 10:52. can we force-unlock? elliott is on PTO", {
        "permalink": "https://example.slack.com/archives/C1/p1763723050000200"}),
    ("11:05:02", "unlock.requested", "U2", "asked for the release of the lock (staging)", {
        "state": "staging", "lock_id": LOCK, "reason": "blocks the 11:00 release"}),
    ("11:05:06", "gate.decided", "tflock", "unlock of staging: refuse (fresh: the lock table refused to be read)", {
        "lock_id": LOCK, "verdict": _REFUSED,
        "evidence": {"state": "staging", "contenders": 47, "holder": {"strength": "window", "runs": [_RUN]},
                     "table": {"name": "terraform-locks", "throttled": True, "billing": "PROVISIONED",
                               "refused": 2810}}}),
    ("11:05:20", "alert.raised", "tflock",
     "dependency-update.yml was started 75 times, every 60 s since 09:50: 47 runs want the lock", {"starts": 75}),
    ("11:06:03", "command.received", "U1", "/tflock kill-job staging because it hammers the lock table", {}),
    ("11:06:31", "kill.requested", "U1", "asked to end 47 runs of dependency-update.yml and to stop the loop", {
        "runs": [{**_RUN, "pipeline": "dependency-update.yml", "id": str(n)} for n in range(9915250000, 9915250047)]}),
    ("11:07:44", "kill.confirmed", "U1", "47 runs have ended; the workflow is disabled", {"ended": True}),
    ("11:08:20", "alert.resolved", "tflock", "the lock table answers again", {}),
    ("11:08:29", "gate.decided", "tflock", "unlock of staging: allow", {"lock_id": LOCK, "verdict": _ALLOWED}),
    ("11:08:30", "unlock.releasing", "U2", "releases the lock (staging)", {"state": "staging", "lock_id": LOCK}),
    ("11:08:31", "unlock.released", "U2", "released the lock (staging)", {
        "state": "staging", "lock_id": LOCK, "outcome": "released",
        "halves": [{"half": "dynamodb", "place": "terraform-locks", "result": "released", "detail": ""}]}),
    ("11:12:05", "note.added", "U1", "deploy of 2026.47 went through,\nrelease train is back on time", {
        "back_dated": True}),
    ("11:30:00", "followup.filed", "U2", "filed: switch terraform-locks to on-demand capacity", {
        "ticket": "https://tickets.example.com/INFRA-2214"}),
    ("12:02:00", "incident.closed", "U2", "closed", {}),
)  # fmt: skip
_KEYS = {"9", "12", "16"}


def _line(number: int, row) -> ShownEntry:
    clock, kind, actor, text, facts = row
    ids, when = str(number), at(clock)
    changes = ()
    if kind == "note.added":
        changes = (
            Change("U2", at("12:01:10"), "entry.edited", "wrong one", "deploy of 2026.46 went through", at("11:14")),
        )  # fmt: skip
    entry = Entry(ids, when, when + timedelta(milliseconds=40), kind, actor, text, facts, GENESIS, "0")
    return ShownEntry(entry, changes, ids in _KEYS)


def _summary() -> Summary:
    return Summary(
        states=(StateSummary("staging", timedelta(hours=2, minutes=3), is_free=True),),
        first_command_at=at("11:01:40"),
        unlocked_at=at("11:08:31"),
        causes=(Cause.TIMED_OUT, Cause.LOOP, Cause.THROTTLING),
        parts=(
            Participant("U1", 6, ("asked", "killed", "noted")),
            Participant("U2", 6, ("unlocked", "filed", "closed")),
            Participant("tflock", 8, ("looked", "decided", "told the owner")),
            Participant("U3", 0, ()),
        ),
        most_contenders=47,
        told=(
            (Quoted("staging"), " was locked at ", at("09:05:31"), " by ", Person("U3", "elliott"), "'s run ",
             Linked("deploy.yml 9915240871", _RUN["url"]), ", which timed out at ", at("09:15:08"),
             " and left the lock behind."),
            (Quoted("dependency-update.yml"), " was started 75 times, every ", timedelta(seconds=60),
             ", so that 47 runs wanted the lock and the lock table throttled."),
            (Person("U1", "quinn"), " had the loop ended; ", Person("U2", "parker"), " released the lock at ",
             at("11:08:31"), ", ", timedelta(minutes=6, seconds=51), " after the first command."),
        ),
    )  # fmt: skip


def _followups() -> tuple[FollowUp, ...]:
    return (
        FollowUp(
            "table-capacity/terraform-locks",
            "Give terraform-locks on-demand capacity",
            (Quoted("terraform-locks"), " is provisioned and refused 2,810 requests while 47 runs wanted the lock."),
            (("Set ", Quoted('billing_mode = "PAY_PER_REQUEST"'), " on the table."),),
            "https://tickets.example.com/INFRA-2214",
        ),
        FollowUp(
            "loop/dependency-update.yml",
            "Let dependency-update.yml back off",
            (Quoted("dependency-update.yml"), " was started 75 times, every ", timedelta(seconds=60), "."),
            (("Set a concurrency group.",), ("Retry with growing pauses, a few times at most.",)),
        ),
    )


def _account() -> Account:
    last = Entry("19", at("12:02"), at("12:02"), "incident.closed", "U2", "closed", {}, "a" * 64, "3f9c" * 16)
    return Account(
        incident=Incident("inc-20261121-staging-7f3ah", "C1", "Staging is locked", at("11:01:40"), "U1", at("12:02")),
        now=at("12:02:03"),
        last=last,
        recorded=21,
        edited=1,
        hidden=1,
        summary=_summary(),
        followups=_followups(),
        locks=(
            LockSpan("staging", LOCK, "elliott@fv-az1204-118", "OperationTypeApply", at("09:05:31"), at("11:08:31"),
                     LockEnd.RELEASED),
        ),
        runs=(
            RunSpan("staging", "deploy.yml", "9915240871", _RUN["url"], 1, "elliott", Role.HOLDER, at("09:02"),
                    at("09:15:08"), "timed out", "window"),
            RunSpan("staging", "dependency-update.yml", "9915250046", "", 1, "renovate", Role.CONTENDER, at("11:05"),
                    at("11:07:40"), "cancelled"),
        ),
        loops=(
            LoopSpan("staging", "dependency-update.yml", "schedule", "renovate", at("09:50"), at("11:06"), 75,
                     timedelta(seconds=60), at("11:07:44")),
        ),
        samples=(Sample(at("11:01:43"), "staging", 44, throttled=True),
                 Sample(at("11:08:20"), "staging", 0, throttled=False)),
        tables=(Table("terraform-locks", ("staging",), "PROVISIONED", throttled=True, refused=2810),),
        marks=(
            Mark(at("11:01:40"), MarkKind.COMMAND, "status staging", "U1", "2"),
            Mark(at("11:05:20"), MarkKind.KEY, "dependency-update.yml was started 75 times", "tflock", "9"),
            Mark(at("11:07:44"), MarkKind.KILL, "47 runs have ended; the workflow is disabled", "U1", "12"),
            Mark(at("11:08:31"), MarkKind.UNLOCK, "released the lock (staging)", "U2", "16"),
            Mark(at("11:08:31"), MarkKind.KEY, "released the lock (staging)", "U2", "16"),
        ),
        key_moments=frozenset(_KEYS),
        names={"U1": "quinn", "U2": "parker", "U3": "elliott", "C1": "inc-staging"},
        zone="Europe/Berlin",
    )  # fmt: skip


@pytest.fixture(scope="session")
def scenario() -> Recorded:
    """The incident that the project exists for, as it goes with the bot."""
    return Recorded(_account(), tuple(_line(number, row) for number, row in enumerate(_STORY, 1)))


@pytest.fixture(scope="session")
def crowded(scenario) -> Recorded:
    """20,000 entries in three days."""
    told = tuple(
        replace(
            line, entry=replace(line.entry, id=str(n), at=at("11:00") + timedelta(seconds=n * 10)), is_key=n % 1000 == 7
        )
        for n, line in zip(range(20_000), cycle(scenario.shown[:18]), strict=False)
    )
    return Recorded(replace(scenario.account, recorded=len(told), key_moments=frozenset()), told)


@pytest.fixture(scope="session")
def contrast() -> str:
    """A script: which texts of a page stand out from what is behind them by less than 4.5 to 1."""
    return """() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (at) => {
    for (; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const at of document.body.querySelectorAll("*:not(svg *, script, option)")) {
    if (![...at.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) || !at.checkVisibility()) continue;
    const [a, b] = [light(numbers(getComputedStyle(at).color)), light(behind(at))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) weak.push(`${at.className || at.tagName} ${ratio.toFixed(2)} ${at.textContent.slice(0, 30)}`);
  }
  return weak;
}"""


@pytest.fixture(scope="module")
def browser(chromium):
    """One browser for a module. It must end with it: its event loop stands in the way of tests that have their own."""
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes a material's page, once, and gives its address."""
    directory, pages = tmp_path_factory.mktemp("pages"), {}

    def write(material) -> str:
        if id(material) not in pages:
            path = write_html(material, directory / f"{len(pages)}.html")
            pages[id(material)] = (material, path.as_uri())
        return pages[id(material)][1]

    return write


@pytest.fixture
def visit(browser, written):
    """Opens a material's page, and holds it to silence: no request but for the file, no message, no dialog."""
    troubles, contexts = [], []

    def at_request(route):
        if not route.request.url.startswith("file:"):
            troubles.append(f"asked for {route.request.url}")
        route.continue_()

    def at_dialog(dialog):
        troubles.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def open_(material, *, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        context.route("**/*", at_request)
        page = context.new_page()
        page.set_default_timeout(90_000)
        page.on("console", lambda message: troubles.append(f"console {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error {error}"))
        page.on("dialog", at_dialog)
        page.goto(written(material))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def drawn(browser):
    """Draws blocks as Slack would, in a window so wide; gives the page. The message is its `.message`."""
    pages = []

    def draw(blocks, *, width=PHONE, reader=None):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        page.set_content(page_of(blocks, width, reader=reader))
        return page

    yield draw
    for page in pages:
        page.close()


@pytest.fixture
def height_of(drawn):
    """How tall a message is, in CSS pixels, with its author's line, as it arrives: what is folded is folded."""

    def measure(blocks, *, width=PHONE, reader=None):
        return drawn(blocks, width=width, reader=reader).locator(".message").bounding_box()["height"]

    return measure
