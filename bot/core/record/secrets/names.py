"""Secrets without a form, recognised by the name before them, in all that Terraform and its surroundings write.

`password = "…"`, `~ token = "old" -> "new"`, `{"name": "DB_PASSWORD", "value": "…"}`, `--api-key …`, `?sig=…`, a
heredoc. The names are those of providers, backends, CI systems and clients.
"""

from __future__ import annotations

import re

from bot.core.record.secrets.marking import Spans, Step, Table, simply
from bot.core.record.secrets.values import (
    END,
    MARK,
    MASKED,
    PATH,
    PROSE,
    REFERENCE,
    SLUG,
    STAYS,
    is_deeper,
    is_piece,
    is_random,
)

_KEY = r"[_\ -]?key (?:[_-]?data|\ \d)?"
_NAME = rf"""(?:
  (?: p(?: assw(?:or)?ds? | assphrase | asscode
      | ass(?![a-z])(?:(?<![a-z]pass)|(?<=(?:db|pg)pass)|(?<=(?:root|user)pass)|(?<=(?:key|ssh)pass)
          |(?<=(?:store|admin)pass))
      | wd(?![a-z])(?:(?<![a-z]pwd)|(?<=dbpwd)) | w(?![a-z])(?<![a-z]pw) | sk(?![a-z])(?<![a-z]psk)
      | at(?<![a-z]pat)(?=["']?[=:])
      | rivate{_KEY} | re[_-]?shared{_KEY} | hpsessid )
    | s(?: ecret(?<![0-9]{{12}}:secret)
          (?: (?:[_\ -]?access)?{_KEY} | [_-]?(?:string|binary|text) | [_-]?id(?=["'\\:=\s]{{1,8}}[0-9a-f]{{8}}-) )?
      | haredaccesssignature | (?:hared(?:[_\ -]?access)?|igning|torage|ubscription|as){_KEY}
      | amlresponse | ig(?:(?<=[?&;]sig)|(?<=u0026sig)) )
    | t(?: oken(?<!nexttoken)(?<!pagetoken)(?<!(?:next|page)[_-]token)(?<!continuation[_-]token)
          (?<!continuationtoken)(?<!request[_-]token)
      | f_token_[a-z0-9_-]{{1,80}}+ )
    | a(?:pi|pp|pplication|ccount|uth|ccess|dmin){_KEY}
    | c(?: lient(?:[_-]assertion|{_KEY}) | onsumer{_KEY} | redentials?[_-]json | onnect\.sid )
    | encryption{_KEY} | master{_KEY} | unseal{_KEY} | recovery{_KEY} | functions{_KEY}
    | x-(?:amz|goog)-(?:signature|credential|security-token) | _gitlab_session | jsessionid
  ) (?:[_-]?(?:value|plain|b64|base64|wo|old|new|raw|[0-9]{{1,2}}))?+
)"""
"""The end of a name. What would be a secret's place, its kind or a page's token is none."""
_CAMEL = r"(?:Pass(?<=[a-z0-9]Pass)|Pwd(?<=[a-z0-9]Pwd)|Psk(?<=[a-z0-9]Psk))(?![a-z])"
"""`dbPass`, which only its capital tells from `bypass`."""

_GIVEN = r"""(?:\ \[(?:none|\*{2,20}+\w{0,8}+)\])?+ (?: ["'\\\]]{0,5}+
    (?: [ \t]*+ (?:=>|:=|\+=|==?|:|%3d|%3a) [ \t]*+
      | (?:,[\s│¦|+~-]{0,80}+|[\s│¦|+~-]{1,80}+|[ \t]*+:[\s│¦]{0,40}+\{[^{}]{0,160}?
        |,?[ \t]*+\r?\n[^\n=]{0,90}?[\s"'])
        ["'\\]{0,4} value ["'\\]{0,4}+ [ \t]*+ [:=] [ \t]*+ ) )"""
"""Between a name and its value; a container's environment and an output have it as a value of its own. `aws configure`
shows the value that there was."""
_OPEN = rf"""(?: (?:(?!{MASKED})\[(?=[^\]\n]))?+ (?:[bu]?\\{{0,3}}["'`])?+ )"""
_BARE = rf"""(?: [^\s"'`,;&<>\[\]{{}}()\\|]++ | {MARK} | [,;&](?!\s|\Z|[\w.%-]{{1,40}}+=|["'}}\])])
    | [(\[{{<|](?!\s|\Z) | [)\]}}>](?![\s,;.:)\]}}"'|]|\Z) | \\(?![nrtu"'\\]|\Z) )++"""
"""Continues over a sign that ends a value elsewhere, unless the next thing begins behind it."""
_WRAPPED = r"\n[^\n│┃¦]{0,80}+[│┃¦][│┃¦|>\ \t]*+"
_VALUE = rf"""(?: (?<=\\")(?:[^"\\\n]|\\++(?!["\\]))++ | (?<=")(?:[^"\\\n]|\\.|{_WRAPPED})++
    | (?<=')(?:[^'\n]|{_WRAPPED})++ | (?<=`)[^`\n]++ | (?<!["'`]){_BARE} )"""
_NO_STAY = rf"""(?=[^\s"'`]) (?:(?<=["'`])(?=[^\n"'`]{{3}})|(?<!["'`])(?=[^\s"'`]{{3}})(?!{PROSE})) (?!{STAYS})"""
_ARROW = r"""(?: (?:[\s│¦]{0,80}+|[ \t]*+\r?\n[^\n="']{0,90}?) (?:->|=>) [ \t]*+ )"""
_TAIL = rf"""{_GIVEN}
    (?: {_OPEN} {_NO_STAY} (?P<value>{_VALUE})
        (?: (?:\\?["'`])?+ {_ARROW} {_OPEN} {_NO_STAY} (?P<after>{_VALUE}) )?+
        (?P<words>(?:\ [a-z]{{1,20}}+){{1,8}}+(?=[ \t]*+(?:\r?\n|\Z)))?+
      | (?:\\?["'])?(?:{STAYS})?(?:\\?["'])? {_ARROW} {_OPEN} {_NO_STAY} (?P<new>{_VALUE}) )"""
"""A value that may have a new one behind it, or a new one behind a value that is not secret: both halves of a plan's
change.
"""

_NAMED = re.compile(rf"(?P<name>{_NAME}){_TAIL}", re.VERBOSE)
_HUMPED = re.compile(rf"(?P<name>{_CAMEL})(?i:{_TAIL})", re.VERBOSE)
_FLAG = re.compile(
    rf"""-(?<![\w-]-)-?[\w.-]{{0,30}}?(?P<name>{_NAME}) (?:["']?,\s{{0,40}}+|[ \t]++) {_OPEN}
         (?!-) {_NO_STAY} (?P<value>{_VALUE})""",
    re.VERBOSE,
)
_ELEMENT = re.compile(
    rf"<[\w.:-]{{0,40}}?(?P<name>{_NAME})>(?!{STAYS})(?P<value>[^<\s][^<\n]{{2,}}+)(?=</)", re.VERBOSE
)
_BLOCK = re.compile(
    rf"""(?P<name>{_NAME}) {_GIVEN} (?:<<[~-]?["']?(?P<until>\w{{1,40}})["']?|[|>][+-]?) [ \t]*+ \r?\n""", re.VERBOSE
)
_SPOKEN = re.compile(
    r"""(?: login\ \S{1,80}+\ {0,20}+(?:\r?\n[^\n]{0,60}?|(?<=\ ))password\  | identified\ by\ ["']
          | with\ password\ ["']
          | convertto-securestring\ (?:-string\ )?["'] | issecret=true\] | ::add-mask::
          | (?:setx?|env|arg)\ [\w./:-]{0,60}?(?:secret|key|token|password)\ ++["']?
          | (?:define|setenv|putenv|setproperty|setdefault)\(\s{0,3}["'][\w.-]{0,60}?
              (?:secret|key|token|password|passwd|pwd)["'],\s{0,3}["']
          | "sensitive\\?":\s{0,9}+true,\s{0,40}+(?:\\?"type\\?":[^{}]{1,80}?,\s{0,40}+)?\\?"value\\?":\s{0,9}+\\?" )
        (?P<value>[^\s"'\[$]{3,}+)""",
    re.VERBOSE,
)
"""Each tool's own way: netrc, SQL, PowerShell, Azure DevOps, GitHub Actions, `aws configure`, Docker, an output."""
_LIKELY = re.compile(
    r"""(?: (?P<sure>auth(?<![a-z]auth)|jwt|bearer|signature|response|ingest(?:ion)?[_-]?key|insert[_-]?key
              |integration[_-]?key|routing[_-]?key|license[_-]?key|deploy[_-]?key|write[_-]?key|primary[_-]?key
              |secondary[_-]?key)
          | key(?:(?<![a-z_-]key)|(?<=[_-]key)(?<!cache.key)(?<!kms.key)(?<!public.key)(?<!partition.key)(?<!hash.key)
              (?<!sort.key)) )
        ["'\\]{0,4}+ [ \t]*+ (?:=>|[:=]) [ \t]*+ ["'\\]{0,4}+ (?P<value>[a-z0-9+/=_~%-]{16,}+)(?![.:@])""",
    re.VERBOSE,
)
"""Names that may have anything under them: a secret, where it looks like one."""

_SAID = re.compile(
    r"""(?<![a-z0-9_-]) (?: passw(?:or)?d | passphrase | pw | token | secret | api[ _-]key ) (?:\ [a-z]{1,12}){0,4}
        (?:\ is|:) \ {1,3} ["'`]?(?P<value>[a-z0-9_+=!\#$%^&*~]{8,100}+)(?=[.,;!]?(?:[\s"'`)]|\Z))""",
    re.VERBOSE,
)
"""As people say it: `the password is …`, `here is the token for now: …`."""

_IS_TELLING = re.compile(rf"{_NAME}\Z|(?:\A|[_.-])(?:cookie|authorization|credentials?|webhook[_-]?url)\Z", re.VERBOSE)


def is_named_secret(name: str) -> bool:
    """Whether a value under this name is a secret."""
    return _IS_TELLING.search(name.lower()) is not None


def _named(text: str, found: re.Match[str]) -> Spans | None:
    """Reads the groups by their places: there may be very many."""
    regs, name = found.regs, found["name"]
    (start, end), after, words = regs[_VALUE_AT], regs[_AFTER_AT], regs[_WORDS_AT]
    if start < 0:
        return [(*found.span("new"), _mark(name))]
    if _is_a_name(text, start, end, is_secret=name == "secret"):
        return None
    mark = _MARKS.get(name) or _mark(name)
    if after[0] >= 0:
        return [(start, end, mark), (*after, mark)]
    if words[0] >= 0:
        whole = mark == "[password removed]" and _begins_line(text, found)
        return [(start, words[1] if whole else end, mark)]
    return [(start, _pieces(text, end) if text.startswith(_BREAKS, end) else end, mark)]


def _is_a_name(text: str, start: int, end: int, *, is_secret: bool) -> bool:
    """Whether the value only says where the secret is: its name in a store, a file, a variable of the environment."""
    if text[start] in "/.~":
        return PATH.fullmatch(text, start, end) is not None
    if text[start].isupper():
        return _VARIABLE.fullmatch(text, start, end) is not None and is_named_secret(text[start:end])
    return REFERENCE.fullmatch(text, start, end) is not None or (
        is_secret and SLUG.fullmatch(text, start, end) is not None
    )


_BREAKS = ("\n", "\r\n")
_VARIABLE = re.compile(r"[A-Z]++(?:_[A-Z]++)++")
"""The name of an environment's variable: `token: SLACK_BOT_TOKEN is not set`."""
_MARKS = {"password": "[password removed]", "token": "[token removed]", "secret": "[secret removed]"}
_VALUE_AT, _AFTER_AT, _WORDS_AT = (_NAMED.groupindex[group] for group in ("value", "after", "words"))


def _mark(name: str) -> str:
    kind = "token" if "token" in name else "password" if name[0] in "pP" and "key" not in name else "secret"
    return f"[{kind} removed]"


def _begins_line(text: str, found: re.Match[str]) -> bool:
    """Whether it is a line of YAML, on which the rest is the value, and no sentence."""
    before = text[max(0, found.start() - 80) : found.start()]
    return _BEGINS.search(before) is not None and ":" in text[found.end("name") : found.start("value")]


_BEGINS = re.compile(r"(?:\A|\n)[\s│┃|>+~\"'-]*+[\w.-]*+\Z")


def _pieces(text: str, end: int) -> int:
    """Where a value ends that a frame broke in two."""
    while (line := _LINE.match(text, end)) and "=" not in line[1].rstrip("=") and is_piece(line[1]):
        end = line.end()
    return end


_LINE = re.compile(rf"\r?\n[^\n│┃]{{0,80}}+[│┃][│┃|>\ \t]*+([\w+/=.%~-]++){END}", re.VERBOSE)


def _by_name(_: str, found: re.Match[str]) -> Spans | None:
    return [(*found.span("value"), _mark(found["name"]))]


def _likely(text: str, found: re.Match[str]) -> Spans | None:
    start, end = found.span("value")
    value = text[start:end]
    mixed = any(map(str.isupper, value)) and any(map(str.islower, value)) and "-" not in value
    fits = is_random(value) if found["sure"] else mixed and is_random(value, 20)
    return [(start, end, "[secret removed]")] if fits else None


def _said(text: str, found: re.Match[str]) -> Spans | None:
    value = found.start("value"), found.end("value")
    said = text[slice(*value)]
    is_mixed = all(any(map(kind, said)) for kind in (str.isdigit, str.isupper, str.islower))
    return [(*value, "[secret removed]")] if is_mixed else None


def _block(text: str, found: re.Match[str]) -> Spans | None:
    """A heredoc continues to the line of its word, or to the end of what was pasted; YAML as far as it is indented."""
    line_start = text.rfind("\n", max(0, found.start() - 200), found.start()) + 1
    column = len(text[line_start : found.start()].rstrip(_OF_NAME))
    place, until = found.end(), found["until"]
    while place < len(text):
        end = text.find("\n", place) + 1 or len(text)
        line = text[place:end]
        if _is_word(line.strip().lower(), until) if until else not is_deeper(line, column):
            break
        place = end
    return [(found.end(), place, f"{_mark(found['name'])}\n")] if place > found.end() else None


def _is_word(line: str, word: str) -> bool:
    """Whether that is all there is in the line, or all behind a prefix."""
    return line.endswith(word) and not line[: -len(word)][-1:].isalnum()


_OF_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-\"'"


_SEPARATORS = ("=", ":", "%3")
NAMED = Table(
    (
        "pass",
        "pw",
        "psk",
        "pat",
        "secret",
        "token",
        "key",
        "credential",
        "sig",
        "session",
        "assertion",
        "saml",
        "t.sid",
    ),
    (
        Step(("<<", "|\n", ">\n", "|-\n", ">-\n", "|+\n", ">+\n"), _BLOCK, _block),
        Step(_SEPARATORS, _NAMED, _named),
        Step(("pass", "pwd", "psk"), _HUMPED, _named, is_exact=True),
        Step((" -", '"-'), _FLAG, _by_name),
        Step(("</",), _ELEMENT, _by_name),
        Step((" is ", ": "), _SAID, _said),
    ),
)
SPOKEN = Table(
    (
        *("login ", "identified by", "with password", "securestring", "issecret=true", "::add-mask"),
        *("set", "env", "arg ", '"sensitive', "define("),
    ),
    (Step(("",), _SPOKEN, simply("[secret removed]", "value")),),
)
LIKELY = Table(_SEPARATORS, (Step(("key", "auth", "jwt", "bearer", "signature", "response"), _LIKELY, _likely),))
