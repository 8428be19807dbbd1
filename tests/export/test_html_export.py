"""The HTML export as a file: from the real pipeline, the same every time, in bounded memory, under its policy."""

import base64
import hashlib
import re
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.phrase import Linked, Person, Quoted
from bot.core.record.timeline import Draft, Kind
from bot.export.chart.svg import drawing
from bot.export.gather import gathered
from bot.export.html.page import write_html
from bot.export.html.text import Pen, link, text, web_page
from bot.export.values import zone_of

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKEN = "ghp_" + "a1B2" * 9


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Stäging <b>", by="U1", at=NOON)
    verdict = {
        "ruling": "refuse",
        "findings": [{"rule": "quiet", "effect": "refuses", "reason": "written 3 s ago"}, {"rule": "dead"}, "odd"],
    }
    for draft in (
        Draft(NOON, Kind.COMMAND_RECEIVED, "U1", "/tflock status staging", {"state": "staging"}),
        Draft(
            NOON + timedelta(minutes=1),
            Kind.GATE_DECIDED,
            "tflock",
            "refuse",
            {"verdict": verdict, "n": [], "deep": _deep()},
        ),
        Draft(NOON + timedelta(minutes=2), Kind.NOTE_ADDED, "U2", f"<i>token</i> {TOKEN}", {"big": "y" * 9_000}),
        Draft(
            NOON + timedelta(minutes=3),
            Kind.MESSAGE_CAPTURED,
            "U2",
            "secret plan",
            {"permalink": "https://x.example/p1"},
        ),
        Draft(
            NOON + timedelta(minutes=4),
            Kind.ENTRY_EDITED,
            "U2",
            "edited",
            {"entry": "4", "text": "a <token>", "why": "<why>"},
        ),
        Draft(NOON + timedelta(minutes=4), Kind.ENTRY_HIDDEN, "U2", "hidden", {"entry": "5"}),
        Draft(NOON + timedelta(minutes=5), Kind.ENTRY_MARKED, "U2", "marked", {"entry": "3"}),
    ):
        await journal.append(made.id, draft)
    return await journal.close(made.id, by="U1", at=NOON + timedelta(hours=1))


def _deep(levels: int = 60):
    return {"in": _deep(levels - 1)} if levels else "bottom"


async def test_the_page_tells_what_is_to_be_shown(written, incident):
    page = (await written(incident, "html", {"U1": "quinn", "C1": "inc"}, "Europe/Berlin")).read_text()

    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert '<h1 dir="auto">Stäging &lt;b&gt;</h1>' in page
    assert '12:00:00<small> UTC</small></time></a> <span class="lt">13:00:00 CET</span>' in page
    assert "secret plan" not in page
    assert "a &lt;token&gt;" in page
    assert "&lt;why&gt;" in page
    assert page.count('<li class="e key"') == 1
    assert '<li class="no"><b>quiet</b> <i>refuses</i>' in page
    assert "cut here: the JSON export holds all of it" in page
    assert TOKEN not in page
    assert "Slack id" in page


async def test_the_same_entries_make_the_same_page(written, incident, tmp_path):
    first = await written(incident, "html", to=tmp_path / "a")
    again = await written(incident, "html", to=tmp_path / "b")

    assert first.read_bytes() == again.read_bytes()


async def test_the_policy_names_each_style_and_script_by_its_hash_and_nothing_else(written, incident):
    page = (await written(incident, "html")).read_text()

    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(part.split(" ", 1) for part in policy.replace("&#39;", "'").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"].split() == [
        digest(style) for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    ]
    assert rules["script-src"].split() == [
        digest(code) for code in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ]
    assert " style=" not in page.split("</style>")[-1].split("<script>")[0]


def digest(said: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(said.encode()).digest()).decode()}'"


async def test_an_incident_with_one_entry_is_a_page_too(written, journal):
    incident, _ = await journal.open(channel="C2", title="", by="U1", at=NOON)

    page = (await written(incident, "html")).read_text()

    assert f"Incident {incident.id}" in page
    assert "1 entry was recorded" in page
    assert "The facts call for none." in page


class Repeated:
    """Implements `bot.export.material.Material` for the page: one line, many times."""

    def __init__(self, material, times):
        self.account = replace(material.account, recorded=times)
        self._line, self._times = next(material.lines()), times

    def lines(self):
        facts = {"said": "y" * 2_000}
        for n in range(self._times):
            entry = replace(self._line.entry, id=str(n), text=f"{n} {'x' * 2_000}", facts=facts)
            yield replace(self._line, entry=entry)


async def test_memory_does_not_grow_with_the_entries(journal, incident, tmp_path):
    async with gathered(journal, incident, names={}, zone="UTC") as material:
        write_html(material, tmp_path / "warm.html")

        tracemalloc.start()
        page = write_html(Repeated(material, 4_000), tmp_path / "long.html")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert page.stat().st_size > 16_000_000
    assert peak < 6_000_000


@pytest.mark.parametrize("url", ["https://ci.example/run/7?a=1&b=2", "HTTP://x.example"])
def test_a_web_page_is_linked_as_it_is_spelled(url):
    assert web_page(url) == url
    assert f'href="{text(url)}" rel="noopener noreferrer nofollow"' in link(url, "run")


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//x.example", "https://", "https://u:p@x.example/", "https://[",
     "https://x.example/ y",
     f"https://x.example/?token={TOKEN}", "https://x.example/\u202e", None, 7],
)  # fmt: skip
def test_anything_else_is_words(url):
    assert web_page(url) is None
    assert link(url, "<run>") == "<bdi>&lt;run&gt;</bdi>"


def test_a_phrase_quotes_others_and_names_people():
    pen = Pen({"U1": "quinn"}, zone_of("Asia/Kolkata"), {"U1": 2})

    said = pen.phrase(
        (Quoted("<a>"), " by ", Person("U1", "q"), Person(None, "x"), Linked("r", None), timedelta(seconds=61), NOON)
    )

    assert said == (
        '<code class="quoted"><bdi>&lt;a&gt;</bdi></code> by <span class="who c2" title="U1"><bdi>quinn</bdi></span>'
        '<span class="who c0" title=""><bdi>x</bdi></span><bdi>r</bdi>1 min 01 s<span class="when">'
        '<time datetime="2026-11-21T12:00:00Z">21 Nov 2026, 12:00:00 UTC</time> '
        '<span class="lt">17:30:00 IST</span></span>'
    )


def test_an_instant_of_the_only_day_has_no_date():
    pen = Pen({}, zone_of("UTC"), {}, day=NOON.date())

    assert ">12:00:00 UTC<" in pen.when(NOON)
    assert ">21 Nov 2026, 12:00:00 UTC<" in pen.when(NOON, dated=True)
    assert ">20 Nov 2026, 12:00:00 UTC<" in pen.when(NOON - timedelta(days=1))


def test_a_local_time_of_another_day_says_which():
    assert Pen({}, zone_of("Pacific/Auckland"), {}).local(NOON) == "22 Nov 01:00:00 NZDT"
    assert Pen({}, zone_of("no/where"), {}).local(NOON) == ""


def test_a_drawing_keeps_its_looks_in_rules_and_its_words_as_text():
    drawn = drawing(
        '<svg xmlns="http://www.w3.org/2000/svg"><style>a{b:c}</style><g style="fill: red" class="x"/>'
        '<text style="fill: red">&lt;b> style="x" \x00</text></svg>'
    )

    assert drawn.rules == "a{b:c}\n.tfc0{fill: red}"
    assert drawn.svg == '<svg><g class="x tfc0" /><text class="tfc0">&lt;b&gt; style="x" \ufffd</text></svg>'
