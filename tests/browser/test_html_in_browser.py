"""The HTML page in a real browser: silent, harmless, readable and usable, whatever stands in it."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import cycle, pairwise

import pytest

from bot.core.phrase import Linked
from bot.core.record.timeline import Kind

HOSTILE = (
    "<script>window.hacked = 1; alert(1)</script>",
    "</script><script>window.hacked = 2</script>",
    "</style><style>body { display: none }</style>",
    '"><img src=x onerror="window.hacked = 3">',
    "' onmouseover='window.hacked = 4' style='position:fixed",
    "<svg onload=window.hacked=5><animate onbegin=window.hacked=6 attributeName=x dur=1s>",
    "javascript:window.hacked=7//",
    "data:text/html,<script>window.hacked=8</script>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}{# x #}${7*7}#{7*7}",
    "</title></textarea></noscript><!-- --><base href=https://evil.example/>",
    "]]><![CDATA[<iframe src=https://evil.example>",
    "<meta http-equiv=refresh content=0;url=https://evil.example><link rel=stylesheet href=//evil.example>",
    "https://good.example@evil.example/<b>",
    "&lt;b&gt; &amp;amp; &#x3C;script&#x3E;",
    "x" * 3000,
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
)


def spoilt(value, texts):
    """The value with a hostile text in the place of each text in it."""
    if isinstance(value, Enum | datetime | timedelta | bool | int | None):
        return value
    if isinstance(value, str):
        return next(texts)
    if isinstance(value, tuple | list):
        return type(value)(spoilt(part, texts) for part in value)
    if isinstance(value, dict):
        return {spoilt(name, texts): spoilt(part, texts) for name, part in value.items()}
    if is_dataclass(value):
        return replace(value, **{part.name: spoilt(getattr(value, part.name), texts) for part in fields(value)})
    return value


def with_entry(shown, **changes):
    return replace(shown, entry=replace(shown.entry, **changes))


@pytest.fixture
def hostile(scenario):
    texts = cycle(HOSTILE)
    account = replace(
        spoilt(scenario.account, texts),
        key_moments=scenario.account.key_moments,
        names=dict(zip(("U1", "U2", "U3", "C1"), HOSTILE, strict=False)),
    )
    lines = tuple(
        with_entry(
            spoilt(line, texts),
            id=line.entry.id,
            text=HOSTILE[number % len(HOSTILE)],
            kind=line.entry.kind,
            actor=line.entry.actor,
        )
        for number, line in enumerate(scenario.shown)
    )
    return replace(scenario, account=account, shown=lines)


def shown(page) -> int:
    return page.locator(".e:visible").count()


def says(page, words: str) -> None:
    there = "words => document.getElementById('count').textContent.includes(words)"
    page.wait_for_function(there, arg=words, timeout=60_000)


def unfold(page) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def test_everything_is_there_at_first_sight(visit, scenario):
    page = visit(scenario)

    assert page.title() == "Staging is locked · incident record"
    assert shown(page) == len(scenario.shown)
    assert page.locator("h2").all_inner_texts() == [
        "Summary", "Key moments", "Chart", "Timeline", "Follow-ups", "People", "Integrity",
    ]  # fmt: skip
    assert page.locator("#chart svg").first.bounding_box()["width"] > 600
    assert "12:08:31 CET" in page.locator("#e-16").inner_text()
    assert page.locator(".moments .chosen").count() == 2


def test_an_incident_of_one_day_has_its_date_once_beside_the_drawing(visit, scenario):
    page = visit(scenario)
    page.locator("#chart svg").evaluate_all("drawings => drawings.forEach((one) => one.remove())")

    said = page.locator("body").inner_text()

    assert len(re.findall(r"21 Nov\w* 2026", said)) == 1


def test_what_others_wrote_is_shown_and_does_nothing(visit, hostile):
    page = visit(hostile)
    unfold(page)
    page.mouse.move(400, 400)

    assert page.evaluate("window.hacked") is None
    assert page.evaluate("[...document.scripts].length") == 1
    assert page.locator("style").count() == 2
    assert page.locator("img, iframe, object, embed, base, link, animate, foreignObject, [style]").count() == 0
    attributes = "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
    assert [name for name in page.evaluate(attributes) if name.startswith("on")] == []
    body = page.evaluate("document.body.textContent")
    assert [text for text in HOSTILE if text not in body] == []
    links = page.evaluate("[...document.links].map(a => [a.protocol, a.getAttribute('href')[0], a.rel])")
    assert all(start == "#" or (kind == "https:" and "noopener" in rel) for kind, start, rel in links)


def test_a_character_that_turns_the_text_around_is_named_instead(visit, scenario):
    line = with_entry(scenario.shown[0], text="run \u202egpj.exe\u2066 \x00\x1b[31m")
    page = visit(replace(scenario, shown=(line,)))

    assert page.locator("#e-1 .said").inner_text() == "run [U+202E]gpj.exe[U+2066] [U+0000][U+001B][31m"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a@evil.example/", "ftp://x.example"]
)
def test_what_is_no_page_is_not_linked(visit, scenario, url):
    account = replace(scenario.account, summary=replace(scenario.account.summary, told=((Linked("run 7", url),),)))
    page = visit(replace(scenario, account=account))

    assert page.locator(".told").inner_text() == "run 7"
    assert page.locator(".told a").count() == 0


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_makes_the_page_scroll_sideways(visit, scenario, hostile, width):
    for material in (scenario, hostile):
        page = visit(material, width=width)
        unfold(page)

        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(visit, scenario, scheme, contrast):
    page = visit(scenario, color_scheme=scheme)
    unfold(page)

    assert page.evaluate(contrast) == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 17, 20)"
    assert dark == (scheme == "dark")


def test_without_scripts_everything_is_shown_and_unfolds(visit, scenario):
    page = visit(scenario, java_script_enabled=False)

    assert shown(page) == len(scenario.shown)
    assert page.locator("#filters").is_hidden()
    assert "21 entries were recorded, 1 of them is hidden" in page.locator("#count").inner_text()
    page.locator("#e-8 summary", has_text="Checks").click()
    assert page.locator("#e-8 .checks").is_visible()


def test_filters_work_from_the_keyboard_and_say_what_they_left(visit, scenario):
    page = visit(scenario)

    page.locator("#f-text").focus()
    page.keyboard.type("force-unlock PTO")
    says(page, "Shows 1 of 19")
    assert page.locator(".e:visible").get_attribute("id") == "e-6"

    page.locator("#f-text").fill("")
    page.keyboard.press("Tab")
    page.keyboard.type("par")
    says(page, "Shows 6 of 19")

    page.get_by_label("Unlock", exact=True).focus()
    page.keyboard.press("Space")
    says(page, "Shows 3 of 19")

    page.get_by_role("button", name="Show all").focus()
    page.keyboard.press("Enter")
    says(page, "Shows all 19")
    assert shown(page) == 19


def test_groups_add_up_and_key_moments_narrow(visit, scenario):
    page = visit(scenario)

    page.get_by_role("checkbox", name="Commands").check()
    says(page, "Shows 2 of 19")
    page.get_by_role("checkbox", name="Runs").check()
    says(page, "Shows 4 of 19")
    page.get_by_role("checkbox", name="Key moments").check()
    says(page, "Shows 1 of 19")
    page.locator("#f-text").fill("nothing has this")
    says(page, "None of 19 entries fits")


def test_a_link_to_an_entry_that_is_filtered_away_brings_it_back(visit, scenario):
    page = visit(scenario)
    page.locator("#f-text").fill("quinn")
    says(page, "Shows 7 of 19")

    page.locator(".moments a").last.click()

    says(page, "Shows all 19")
    assert page.locator("#e-16").is_visible()


def test_the_second_clock_can_be_the_readers(visit, scenario):
    page = visit(scenario, timezone_id="Asia/Tokyo")

    page.get_by_label("Second clock").select_option("mine: Asia/Tokyo")
    page.wait_for_function("document.querySelector('#e-16 .lt').textContent === '20:08:31 GMT+9'")
    page.get_by_label("Second clock").select_option("Europe/Berlin")
    page.wait_for_function("document.querySelector('#e-16 .lt').textContent === '12:08:31 CET'")


@pytest.mark.parametrize("asked", [False, True], ids=["without evidence", "with the evidence"])
def test_paper_shows_all_of_it_and_no_controls(visit, scenario, contrast, asked):
    page = visit(scenario)
    page.locator("#f-text").fill("quinn")
    says(page, "Shows 7 of 19")
    if asked:
        page.get_by_label("Print the evidence").check(force=True)

    page.emulate_media(media="print")

    assert shown(page) == 19
    assert page.locator("pre:visible").count() == (19 if asked else 0) + 2
    assert page.locator(".checks:visible").count() == 2
    assert page.locator("form:visible, nav:visible, .skip:visible").count() == 0
    assert page.evaluate(contrast) == []


def test_a_screen_reader_finds_its_way(visit, scenario):
    page = visit(scenario)

    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.locator("html").get_attribute("lang") == "en"
    for landmark in ("banner", "navigation", "main", "search", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1, landmark
    assert page.evaluate("[...document.querySelectorAll('input,select')].every(e => e.labels.length === 1)")
    assert page.evaluate("[...document.querySelectorAll('th')].every(e => e.scope)")
    assert page.evaluate("[...document.querySelectorAll('table')].every(e => e.caption)")
    assert page.get_by_role("status").get_attribute("aria-live") == "polite"
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    astray = "[...document.links].filter(a => a.hash && !document.getElementById(a.hash.slice(1))).map(a => a.hash)"
    assert page.evaluate(astray) == []


def test_the_first_stop_of_the_keyboard_leads_past_the_menu(visit, scenario):
    page = visit(scenario)

    page.keyboard.press("Tab")

    skip = page.locator(":focus")
    assert skip.inner_text() == "Skip to the record"
    assert skip.bounding_box()["height"] > 20
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_every_kind_is_in_words(visit, scenario):
    told = tuple(with_entry(scenario.shown[0], id=f"k{n}", kind=kind) for n, kind in enumerate([*Kind, "newer.kind"]))
    page = visit(replace(scenario, shown=told))

    words = page.locator(".e .kind").all_inner_texts()
    assert [word for word in words if "." in word] == ["newer.kind"]
    assert page.locator(".e[data-g=other]").count() == 1


def test_a_page_of_20_000_entries_answers_while_it_filters(visit, crowded):
    page = visit(crowded)
    page.evaluate("""() => {
      window.longest = 0; let last = window.began = performance.now();
      setInterval(() => { const now = performance.now(); longest = Math.max(longest, now - last); last = now; }, 10);
    }""")

    page.locator("#f-text").fill("hammers")
    says(page, "Shows 1111 of 20000")
    page.locator("#f-text").fill("")
    says(page, "Shows all 20000")

    longest, whole = page.evaluate("[window.longest, performance.now() - window.began]")
    assert longest < max(3000, whole / 4)
