"""Values as Markdown text that says just that: it becomes no markup, HTML, link, mention, formula or reference.

GitHub and GitLab link and notify in the text that is left after Markdown has been read. A backslash does not help
there, but they leave code alone: so what would refer to someone or something is a code span. Secrets are taken out
where an incident is gathered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

from markupsafe import Markup

from bot.core.phrase import Linked, Part, Person, Phrase, duration, instant, one_line
from bot.export.values import linkable

LONGEST = 5_000
"""Characters of one entry that are shown."""

_SPECIAL = re.compile(
    r"[\\`*_\[\]~|!$^{=:.#](?:(?<=[\\`*_\[\]~|!$^])|(?<=[{=])(?=[{=%#])|(?<=:)(?=/)|(?<=[wW][wW][wW]\.)|(?<=#)(?=\s|$))"
)
"""What Markdown could read as its own. The signs come first, so that a search stops only at them."""
_REFERS = re.compile(
    r"(?:(?:(?<![\w./+-])[\w./+-]+)?[@#](?=\S)[\w./#@:+-]*|[!$%~&]\d\w*|\bGH-\d+|\b(?:mailto|xmpp):(?=\S)[\w.@+-]*)+",
    re.IGNORECASE,
)
"""A reference on GitHub or GitLab. It holds nothing that would end a code span or the cell of a table."""
_MAY_REFER = re.compile(r"[@#!$%~&gGoOpP](?:(?<=[@#!$%~&])|(?<=[gG])[hH]-|(?<=[oOpP]):)")
"""Without any of these there is no reference: `GH-12` and `mailto:` by their ends. Found in a tenth of the time."""

_BLOCK = re.compile(r"^(?:([-+#=])|(\d{1,9})([.)]))(?=[\s#=-]|$)")
_KEPT_IN_ADDRESS = ":/?&=%@,;+-._~#"


def escaped(value: object) -> Markup:
    """A value as one line of Markdown text. What is `Markup` already stays."""
    if isinstance(value, Markup):
        return value
    text, parts, at = one_line(str(value)), list[str](), 0
    if _MAY_REFER.search(text) is None:
        return Markup(_bare(text))  # noqa: S704  as below
    for found in _REFERS.finditer(text):
        parts += [_bare(text[at : found.start()]), f"`{found[0]}`"]
        at = found.end()
    return Markup("".join((*parts, _bare(text[at:]))))  # noqa: S704  this is the escaping


def _bare(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def lines_of(text: str) -> Iterator[Markup]:
    """The lines of a text that are not blank. None of them begins a list or a heading."""
    kept = text if len(text) <= LONGEST else text[:LONGEST]
    for line in kept.splitlines():
        if one_line(line):
            begun = _BLOCK.sub(lambda found: f"{found[2] or ''}\\{found[1] or found[3]}", escaped(line))
            yield Markup(begun)  # noqa: S704  escaped before
    if kept is not text:
        yield Markup("*… {:,} more characters are in the JSON export*").format(len(text) - len(kept))


def linked(words: object, url: object) -> Markup:
    """A link, or only the words where the URL is not one that may be linked."""
    page = address(url)
    return escaped(words) if page is None else Markup(f"[{escaped(words)}](<{page}>)")  # noqa: S704  percent-encoded


def address(url: object) -> str | None:
    """The URL of a web page, spelled so that it ends no link; None for everything else."""
    page = linkable(url)
    return None if page is None else quote(page, safe=_KEPT_IN_ADDRESS)


def said(phrase: Phrase, names: Mapping[str, str]) -> Markup:
    """A phrase of ours with the values of others in it."""
    return Markup().join(_part(part, names) for part in phrase)


def _part(part: Part, names: Mapping[str, str]) -> Markup:
    match part:
        case str():
            return escaped_words(part)
        case Linked(text, url):
            return linked(text, url)
        case Person(slack_id, name):
            return escaped(names.get(slack_id or "") or name or slack_id or "someone")
        case datetime():
            return escaped(instant(part))
        case timedelta():
            return escaped(duration(part))
        case _:
            return escaped(part.text)


def escaped_words(text: str) -> Markup:
    """Escaped like all others, with the blanks around it."""
    words = escaped(text)
    before = " " if text[:1].isspace() else ""
    after = " " if text[-1:].isspace() and words else ""
    return Markup(before) + words + Markup(after)  # noqa: S704  blanks
