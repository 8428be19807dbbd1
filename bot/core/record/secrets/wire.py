"""What goes over the wire: addresses with a password in them, webhooks, headers, connection strings."""

from __future__ import annotations

import re

from bot.core.record.secrets.marking import Later, Spans, Step, Table, simply
from bot.core.record.secrets.values import MARK, PROSE, STAYS, is_password, is_random

_OF_ADDRESS = r"""[^\s"'<>`│¦"""
_ADDRESS = Later(
    rf"""://(?=(?:{_OF_ADDRESS}:]{{0,300}}+:(?!//)|{_OF_ADDRESS}@:]{{20,300}}+@))(?={_OF_ADDRESS}@]{{1,600}}+@)
      (?P<value>(?:{_OF_ADDRESS}:]++|:(?!//))++)""",
)
"""What has a user with a password in it, or a user who may be a token."""
_IN_PERCENTS = Later(
    r"""%3a%2f%2f(?:[a-z0-9_.-]|%(?!3a|40)[0-9a-f]{2}){0,80}+%3a
        (?P<value>(?:[^\s"'<>`%&]|%(?!40|2f)[0-9a-f]{2}){3,200}+)(?=%40)
      | :[56]432:[^:\s]{1,60}+:[^:\s]{1,60}+:(?P<line>[^\s:"'\[]{4,100}+)(?=\s|\Z)""",
)
"""An address with a password in it that is a part of another one, and PostgreSQL's password file."""
_DSN = Later(
    r""":(?P<value>[^\s:@/"'()\[]{3,100}+)(?=@(?:tcp|unix)\()
      | thin:[^\s:@/]{1,60}+/(?P<thin>[^\s@"'\[]{3,100}+)(?=@)""",
)
"""Of Go's MySQL driver, and of Oracle's."""
_USERINFO = Later(
    r""":(?P<value>[^\s:/@"'<>`,;()\[\]{}|¦\\]{4,100}+)@(?!sha\d|\{)(?P<host>[a-z0-9][a-z0-9_.-]{0,255}+)(?P<more>[:/])?""",
)
"""`USER:PASSWORD@HOST` without a scheme."""
_HOOKS = Later(
    r"""(?: hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers|commands|actions|app)
          | \.webhook\.office\.com/webhookb2 | outlook\.office\.com/webhook
          | discord(?:app)?\.com/api/webhooks/\d{1,30}+ | hooks\.zapier\.com/hooks/catch
          | maker\.ifttt\.com/trigger/[^/\s]{1,80}+/with/key | api\.telegram\.org/bot | tines\.com/webhook
          | hook\.\w{1,8}\.make\.com | events\.pagerduty\.com/integration | hc-ping\.com
          | alert\.victorops\.com/integrations/generic | /integrations/v1/[a-z_]{1,30}+ | /hooks(?=/[a-z0-9]{20})
        ) /? (?P<value>[a-z0-9@:/_-]{8,}+)""",
)
"""The services' own documentation of incoming webhooks: anyone who knows the address can post."""
_HEADER = Later(
    rf"""(?: authorization ["'\\]{{0,4}}+ \s{{0,3}} [:=] \s{{0,3}}+ [\["'\\]{{0,4}}+
            (?:(?:[a-z][a-z-]{{1,30}}+|aws4-hmac-sha256)\ ++)?+ (?:token=)?+ ["'\\]{{0,2}}+
            (?!{STAYS}|{PROSE}) (?P<value>(?=\S{{4}})(?:[^\s"',;\[\]\\]++|{MARK})++)
          | cookie ["'\\]{{0,4}}+ \s{{0,3}} : \s{{0,3}} [\["'\\]{{0,4}} (?P<cookie>[^\s=;"'\[]++=[^\r\n"']++)
          | (?:bearer|basic|ssws|geniekey|bot)(?<![a-z]bearer)(?<![a-z]basic)(?<![a-z]bot)
            \ {{1,3}} ["']? (?P<bearer>[a-z0-9._~+/:-]{{12,}}+=*+) )""",
)
"""RFC 9110 (Authorization, with schemes of all kinds), RFC 6265 (cookies)."""


def _header(text: str, found: re.Match[str]) -> Spans | None:
    if found["cookie"] is not None:
        return [(*found.span("cookie"), "[cookie removed]")]
    start, end = found.span("value" if found["bearer"] is None else "bearer")
    is_word = text[start:end].isalpha() and text[start:end].islower()
    return None if is_word else [(start, end, "[credentials removed]")]


def _address(text: str, found: re.Match[str]) -> Spans | None:
    """A password may itself have `@`, and outside the web also `/`, `?` or `#` in it."""
    start, end = found.span("value")
    is_web = text[start - 7 : start - 3].lower() == "http" or text[start - 8 : start - 3].lower() == "https"
    part = text[start:end]
    return _userinfo(_WEB_END.split(part, 1)[0] if is_web else part, start)


def _schemeless(text: str, found: re.Match[str]) -> Spans | None:
    """The user is all of the word before its first colon. In a `Who`, no user has a colon in their name."""
    start, end = found.span("value")
    password, host = text[start:end], found["host"]
    is_host = found["more"] is not None or not host.isalpha()
    is_sure = is_password(password) and (is_random(password, 6 if is_host else 10) or found["more"] is not None)
    before = text[max(0, start - _LONGEST_WORD) : start]
    if not is_sure and "ho" not in before:
        return None
    word = _BETWEEN_WORDS.split(before)[-1]
    user, colon, rest = word.partition(":")
    name = user.rpartition("=")[2].lower()
    if "//" in rest or not _USER.fullmatch(name) or name in _LABELS or not colon or _STAYS.fullmatch(password):
        return None
    is_secret = is_sure or _WHO.search(before[-len(word) - _LONGEST_LABEL : len(before) - len(word)]) is not None
    return [(start - len(word) + len(user) + 1, end, "[password removed]")] if is_secret else None


_LONGEST_WORD = 200
_LONGEST_LABEL = 30
_BETWEEN_WORDS = re.compile(r"[\s\"'<>`,;()\[\]{}|¦│/]")
_USER = re.compile(r"[\w.+\\-]{1,64}")
_WHO = re.compile(r"(?:\A|[^\w])who[\"'`*]{0,4}:[\"'`* \t]*\Z", re.IGNORECASE)
_LABELS = frozenset(
    {
        *(
            "who",
            "from",
            "to",
            "cc",
            "bcc",
            "by",
            "at",
            "user",
            "users",
            "username",
            "login",
            "account",
            "name",
            "mail",
            "email",
        ),
        *(
            "mailto",
            "e-mail",
            "serviceaccount",
            "group",
            "domain",
            "member",
            "principal",
            "principalset",
            "subject",
            "sub",
        ),
        *(
            "upn",
            "identity",
            "actor",
            "author",
            "owner",
            "contact",
            "assigned",
            "assignee",
            "reviewer",
            "approver",
            "creator",
        ),
        *(
            "requester",
            "created",
            "triggered",
            "started",
            "committer",
            "sip",
            "sips",
            "xmpp",
            "acct",
            "role",
            "team",
            "host",
        ),
        *(
            "npm",
            "pkg",
            "docker",
            "oci",
            "github",
            "git",
            "jsr",
            "gem",
            "pypi",
            "uses",
            "image",
            "repo",
            "ref",
            "branch",
        ),
        *("tag", "sha"),
    }
)
"""What comes before an address of mail, or before a package with its version."""


def _userinfo(part: str, place: int) -> Spans:
    before, at, after = part.rpartition("@")
    user, colon, password = before.partition(":")
    if not at or after.startswith("sha256:") or any(sign in user for sign in "/?#"):
        return []
    if not colon:
        return [(place, place + len(user), "[token removed]")] if is_random(user, _RANDOM_USER) else []
    if not password or _PORT.match(password) or _STAYS.fullmatch(password):
        return []
    place += len(user) + 1
    return [(place, place + len(password), "[password removed]")]


_RANDOM_USER = 20
_WEB_END = re.compile("[/?#]")
_PORT = re.compile(r"\d{1,5}+[/?#]")
_STAYS = re.compile(STAYS, re.VERBOSE | re.IGNORECASE)

WIRE = Table(
    (":", "=", "%3a", "bearer ", "basic ", "ssws ", "geniekey ", "bot "),
    (
        Step(("@",), _ADDRESS, _address),
        Step(("%3a%2f%2f", "432:"), _IN_PERCENTS, simply("[password removed]", "value", "line")),
        Step(("hook", "/integration", "ifttt", "telegram", "hc-ping"), _HOOKS, simply("[webhook removed]", "value")),
        Step(("@tcp(", "@unix(", "thin:"), _DSN, simply("[password removed]", "value", "thin")),
        Step(("@",), _USERINFO, _schemeless),
        Step(("authorization", "cookie", "bearer ", "basic ", "ssws ", "geniekey ", "bot "), _HEADER, _header),
    ),
)
