"""The Markdown export reads well and takes no orders from those whose words it shows."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markupsafe import Markup

from bot.core.record.incident import Incident
from bot.core.record.timeline import Draft, Kind
from bot.errors import JournalAway
from bot.export.markdown.text import address, escaped, lines_of

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
async def incident(journal):
    made, _ = await journal.open(channel="C1", title="Staging is locked", by="U1", at=NOON)
    return made


@pytest.fixture
def lines(written):
    async def read(journal, incident, names=None, zone="UTC"):
        return (await written(incident, "markdown", names, zone)).read_text().splitlines()

    return read


def row_with(text, found):
    (row,) = [line for line in found if text in line]
    return row


async def note(journal, incident, text, kind=Kind.NOTE_ADDED, /, actor="U2", **facts):
    appended = await journal.append(incident.id, Draft(NOON + timedelta(minutes=5), kind, actor, text, facts))
    return appended.entry.id


async def test_it_tells_the_incident_from_its_title_to_the_hash_of_its_last_entry(journal, incident, lines):
    await note(journal, incident, "The job of elliott timed out at 09:15")
    closed = await journal.close(incident.id, by="U1", at=NOON + timedelta(minutes=65))

    found = await lines(journal, closed)

    assert found[0] == "# Staging is locked"
    assert "| Opened | 2026-11-21 12:00:00 UTC by U1 |" in found
    assert "| Closed | 13:05:00 UTC, after 1 h 5 min |" in found
    assert "| U2 | noted | 1 |" in found
    assert "| Entries | 3 recorded, 0 edited, 0 hidden |" in found
    assert "### Saturday, 21 November 2026" in found
    assert "- **12:05:00** U2: The job of elliott timed out at 09:15" in found
    assert found[-1].strip() == (await journal.tail(incident.id, 1))[0].hash


async def test_every_table_is_whole(journal, incident, lines):
    await note(journal, incident, "a | b\n\n| c")
    found = await lines(journal, incident)

    tables = "\n".join(found).split("\n\n")
    for table in (part.splitlines() for part in tables if part.startswith("|")):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1


async def test_an_open_incident_says_that_it_is_open(journal, incident, lines):
    assert "| Closed | not yet |" in await lines(journal, incident)


async def test_local_times_stand_beside_utc_with_their_date_where_it_is_another(journal, incident, lines):
    await note(journal, incident, "late")
    midnight = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    await journal.append(incident.id, Draft(midnight, Kind.NOTE_ADDED, "U2", "at night"))

    found = await lines(journal, incident, zone="Europe/Berlin")

    assert "- **12:05:00** (13:05:00) U2: late" in found
    assert "- **23:30:00** (2026-11-22 00:30:00) U2: at night" in found
    assert "| Opened | 2026-11-21 12:00:00 UTC (13:00:00 Europe/Berlin) by U1 |" in found


async def test_times_at_the_ends_of_the_calendar_are_shown(journal, incident, lines):
    for year in (1, 9999):
        edge = datetime(year, 12 if year > 1 else 1, 31 if year > 1 else 1, 23 if year > 1 else 0, 30, tzinfo=UTC)
        await journal.append(incident.id, Draft(edge, Kind.NOTE_ADDED, "U2", f"year {year}"))

    for zone in ("America/New_York", "Asia/Tokyo"):
        found = "\n".join(await lines(journal, incident, zone=zone))
        assert found.index("year 1") < found.index("year 9999")


async def test_the_chart_that_stands_beside_the_page_is_shown(journal, incident, written, lines):
    assert not [line for line in await lines(journal, incident) if line.startswith("![")]

    chart = await written(incident, "chart")

    assert [line for line in await lines(journal, incident) if line.endswith(f"]({chart.name})")]


async def test_where_an_entry_came_from_is_linked_if_it_is_a_web_page(journal, incident, lines):
    page = "https://acme.slack.com/archives/C1/p1?thread_ts=1.2&cid=C1"
    await note(journal, incident, "captured", Kind.MESSAGE_CAPTURED, permalink=page)
    await note(journal, incident, "evil", Kind.MESSAGE_CAPTURED, permalink="javascript:alert(1)")

    found = await lines(journal, incident)

    assert row_with("captured", found) == f"- **12:05:00** U2: captured ([message](<{page}>))"
    assert row_with("evil", found) == "- **12:05:00** U2: evil"


async def test_a_verdict_shows_the_checks_that_stand_in_the_way(journal, incident, lines):
    findings = [
        {"rule": "dead", "effect": "refuses", "reason": "deploy #1 is still running"},
        {"rule": "digest", "effect": "warns", "reason": "*x*"},
        {"rule": "quiet", "effect": "holds", "reason": "quiet for 3 h"},
        "nonsense",
    ]
    await note(journal, incident, "refused", Kind.GATE_DECIDED, verdict={"findings": findings})

    found = await lines(journal, incident)

    place = found.index(row_with("U2: refused", found))
    assert found[place + 1 : place + 4] == [
        "  - dead (refuses): deploy `#1` is still running",
        "  - digest (warns): \\*x\\*",
        "  - 1 of 3 checks hold",
    ]


async def test_key_moments_are_told_before_the_timeline(journal, incident, lines):
    key = await note(journal, incident, "The job is dead")
    await note(journal, incident, "", Kind.ENTRY_MARKED, entry=key)

    found = await lines(journal, incident)

    assert found.index("## Key moments") < found.index("## Timeline")
    assert "- **12:05:00** **Key moment** ★, U2: The job is dead" in found
    assert "- **12:05:00** U2: The job is dead *(key moment)*" in found


async def test_moments_of_several_days_have_their_dates(journal, incident, lines):
    key = await note(journal, incident, "The job is dead")
    late = Draft(NOON + timedelta(days=1), Kind.NOTE_ADDED, "U2", "It works")
    other = (await journal.append(incident.id, late)).entry.id
    await note(journal, incident, "", Kind.ENTRY_MARKED, entry=key, milestone="detected")
    await note(journal, incident, "", Kind.ENTRY_MARKED, entry=other, milestone="fixed")

    found = await lines(journal, incident)

    assert "- **2026-11-21 12:05:00** **Detected** ★, U2: The job is dead" in found
    assert "- **2026-11-22 12:00:00** **Fixed** ★, U2: It works" in found
    assert "- **12:05:00** U2: The job is dead *(detected)*" in found


async def test_a_verdict_that_repeats_itself_at_once_is_told_once(journal, incident, lines):
    for _ in range(3):
        await note(journal, incident, "staging may not be unlocked yet", Kind.GATE_DECIDED, state="staging")
    await note(journal, incident, "staging may not be unlocked yet", Kind.GATE_DECIDED, state="production")
    await note(journal, incident, "staging may be unlocked", Kind.GATE_DECIDED, state="staging")

    found = await lines(journal, incident)

    assert len([line for line in found if "may not be unlocked yet" in line]) == 2
    assert len([line for line in found if "staging may be unlocked" in line]) == 1


async def test_a_verdict_that_is_a_key_moment_is_told_though_it_repeats_itself(journal, incident, lines):
    await note(journal, incident, "staging may be unlocked", Kind.GATE_DECIDED, state="staging")
    key = await note(journal, incident, "staging may be unlocked", Kind.GATE_DECIDED, state="staging")
    await note(journal, incident, "", Kind.ENTRY_MARKED, entry=key)

    found = await lines(journal, incident)

    assert len([line for line in found if line.startswith("- **12:05:00** U2") and "may be unlocked" in line]) == 2


async def test_an_edited_entry_shows_its_new_text_with_a_mark(journal, incident, lines):
    entry_id = await note(journal, incident, "The lok is held")
    await note(
        journal, incident, "put right", Kind.ENTRY_EDITED, entry=entry_id, text="The lock is held", why="it was a typo"
    )

    found = await lines(journal, incident)

    place = found.index(row_with("The lock is held", found))
    assert found[place] == "- **12:05:00** U2: The lock is held *(edited)*"
    assert found[place + 1] == "  - edited by U2, 2026-11-21 12:30:00 UTC: it was a typo"
    assert not [line for line in found if "lok" in line]
    assert "| Entries | 3 recorded, 1 edited, 0 hidden |" in found


async def test_a_hidden_entry_is_left_out_and_counted(journal, incident, lines):
    entry_id = await note(journal, incident, "said in anger")
    await note(journal, incident, "", Kind.ENTRY_HIDDEN, entry=entry_id)

    found = "\n".join(await lines(journal, incident))

    assert "anger" not in found
    assert "1 hidden entry is left out here" in found


async def test_a_late_note_stands_where_it_happened(journal, incident, lines):
    await note(journal, incident, "second")
    await journal.append(incident.id, Draft(NOON + timedelta(minutes=2), Kind.NOTE_ADDED, "U2", "first"))
    moved = await note(journal, incident, "third")
    at = (NOON + timedelta(minutes=9)).isoformat()
    await note(journal, incident, "put right", Kind.ENTRY_EDITED, entry=moved, at=at)

    found = "\n".join(await lines(journal, incident))

    assert found.index(": first") < found.index(": second") < found.index(": third *(edited)*")


async def test_a_kind_that_this_version_does_not_know_is_shown(journal, incident, lines):
    await note(journal, incident, "The moon rose", "moon.rose")

    assert row_with("moon", await lines(journal, incident)).endswith("U2: The moon rose")


async def test_a_text_of_several_lines_keeps_them(journal, incident, lines):
    await note(journal, incident, "Error:\n  state is locked\n")

    found = await lines(journal, incident)

    place = found.index("- **12:05:00** U2: Error:\\")
    assert found[place + 1] == "  state is locked"


async def test_nothing_that_was_written_by_others_becomes_markup(journal, lines):
    evil = "<script>x</script> [a](javascript:b) ![i](//e) **b** `c` @channel #12 https://e.example"
    evil += " www.e.example a@b.c | _d_"
    incident, _ = await journal.open(channel=evil, title=evil, by=evil, at=NOON)
    await note(journal, incident, evil, actor=evil)

    text = "\n".join(await lines(journal, incident))

    assert "`@channel` `#12`" in text
    text = re.sub(r"(?<![\\`])`[^`]+`", "", text)
    assert "<script" not in text
    assert not re.search(r"(?<!\\)[\[\]`*_]", re.sub(r"\*\*[\d:]{8}\*\*", "", text))
    assert not re.search(r"[@#](?=[\w])", text)
    assert "https://" not in text
    assert "www.e" not in text


async def test_secrets_in_names_are_not_exported(journal, incident, lines):
    await note(journal, incident, "x")

    found = "\n".join(await lines(journal, incident, {"U2": "ghp_" + "a1B2" * 9}))

    assert "GitHub token removed" in found
    assert "ghp" not in found


async def test_an_incident_without_a_timeline_is_not_exported(journal, lines):
    with pytest.raises(JournalAway):
        await lines(journal, Incident("inc-nowhere", "C1", "x", NOON, "U1"))


HOSTILE = (
    "<img src=x onerror=alert(1)> <!-- --> </details> &lt;b&gt; &amp;",
    "[a](javascript:alert(1)) ![i](//e.example/x.png) [[wiki]] [r]: //e.example [^1] [ ] [x]",
    "**b** __u__ ~~s~~ ``c`` ```\nfence\n``` $x$ $$y$$ ==m== ^s^ {{ t }} {% t %}",
    "<https://e.example> https://e.example www.e.example mailto:a@e.example ftp://e.example",
    "@channel <!channel> @here #12 GH-12 !12 $12 &12 %12 ~12 acme/infra#1",
    "line\n\n- list\n1. one\n# head\n> quote\n---\n===\n| a | b |\n| - | - |\n    code\n\tcode\n:::",
    "\u202egnp.exe \u2066x\u2069 \x00\x07\x1b[31m \u2028 \ufeff \u200b",
    "trailing\\",
    "\\",
    "  ",
)


async def test_hostile_texts_in_every_field_are_words_to_a_renderer(journal, lines):
    """Held against a CommonMark renderer with tables: every tag is one of this page's own."""
    allowed = {"h1", "h2", "h3", "p", "ul", "ol", "li", "strong", "em", "br", "pre", "code"}
    allowed |= {"table", "thead", "tbody", "tr", "th", "td"}
    for evil in HOSTILE:
        made, _ = await journal.open(channel="C1", title=evil, by="U1", at=NOON)
        facts = {
            "permalink": evil,
            "url": evil,
            "verdict": {"findings": [{"rule": evil, "effect": evil, "reason": evil}]},
        }
        entry = await note(journal, made, evil, Kind.GATE_DECIDED, actor=evil, **facts)
        await note(journal, made, "moon", evil, actor="U3")
        await note(journal, made, evil, Kind.ENTRY_EDITED, entry=entry, text=evil + " ", why=evil)
        await note(journal, made, evil, Kind.ENTRY_MARKED, entry=entry)
        closed = await journal.close(made.id, by=evil, at=NOON)

        page = "\n".join(await lines(journal, closed, {"U1": evil, "C1": evil, "U3": "moon"}))
        html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(page)

        assert set(re.findall(r"<([a-z0-9]+)", html)) <= allowed
        assert html.count("<h2") == len(re.findall("^## ", page, re.MULTILINE))
        outside = re.sub(r"<code>[^<]*</code>", "", html)
        assert html.count("<pre") == 1
        assert not re.search(r"[@#](?=[A-Za-z0-9])", re.sub(r"&#\d+;", "", outside))
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", page)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_escaped_text_is_one_line_and_leaves_no_special_character_bare(text):
    found = re.sub(r"(?<![\\`])`[^`]+`", "", escaped(text))

    assert "\n" not in found
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]|~$]", found)
    assert "<" not in found
    assert ">" not in found
    assert not re.search(r"[@#](?!\s|$)", found)


def test_what_this_program_made_is_not_escaped_again():
    assert escaped(Markup("**x**")) == "**x**"


async def test_people_and_the_channel_are_called_by_name_where_the_name_is_known(journal, incident, lines):
    await note(journal, incident, "Killed the loop", actor="U2")
    names = {"U2": "parker | <b>", "C1": "#inc-staging"}

    found = await lines(journal, incident, names)

    assert "| Channel | `#inc-staging` (C1) |" in found
    assert row_with("Killed the loop", found) == "- **12:05:00** parker \\| &lt;b&gt;: Killed the loop"
    assert "| parker \\| &lt;b&gt; (U2) | noted | 1 |" in found


async def test_two_people_of_one_name_are_told_apart(journal, incident, lines):
    await note(journal, incident, "one", actor="U2")
    await note(journal, incident, "two", actor="U3")

    found = await lines(journal, incident, {"U2": "alex", "U3": "alex"})

    assert row_with(": one", found) == "- **12:05:00** alex (U2): one"
    assert row_with(": two", found) == "- **12:05:00** alex (U3): two"


async def test_a_text_of_a_hundred_thousand_characters_is_cut_with_a_word_about_it(journal, incident, lines):
    await note(journal, incident, "y" * 100_000)

    found = await lines(journal, incident)

    assert max(map(len, found)) < 6_000
    assert "  *… 95,000 more characters are in the JSON export*" in found


@pytest.mark.parametrize(
    "line", ["- x", "+ x", "# x", "## x", "1. x", "12) x", "---", "===", "> x", "| a |", "~~~", "    x"]
)
def test_no_line_of_a_text_begins_a_block(line):
    (found,) = lines_of(line)

    assert not re.match(r"(\s|[-+*#>=|~]|\d+[.)])", found)
    assert re.sub(r"\\(?=[^\w\s])", "", found).replace("&gt;", ">").replace("`", "") == line.strip()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://e.example/a?b=c&d=e#f", "https://e.example/a?b=c&d=e#f"),
        ("https://e.example/a>) [x](//y", None),
        ("https://e.example/(a)", "https://e.example/%28a%29"),
        ("https://e.example/%3Ca%3E", "https://e.example/%3Ca%3E"),
        ("https://user:pw@e.example/", None),
        ("javascript:alert(1)", None),
        ("https:///x", None),
        ("https://[/x", None),
        (7, None),
    ],
)
def test_only_an_address_that_ends_no_link_is_linked(url, found):
    assert address(url) == found
