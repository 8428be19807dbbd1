"""Secrets without a form, recognised by the name before them, in all that Terraform and its surroundings write.

`password = "…"`, `~ token = "old" -> "new"`, `{"name": "DB_PASSWORD", "value": "…"}`, `--api-key …`, `?sig=…`, a
heredoc. The names are those of providers, backends, CI systems and clients.
"""

from __future__ import annotations

import re
import string

from bot.core.record.secrets.marking import Later, Spans, Step, Table, simply
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
    is_id,
    is_password,
    is_piece,
    is_random,
)

_KEY = r"[_\ -]?key (?:[_-]?data|\ \d)?"
_NAME = rf"""(?:
  (?: p(?: assw(?:or)?ds? | assphrase | asscode
      | ass(?![a-z])(?:(?<![a-z]pass)|(?<=(?:db|pg)pass)|(?<=(?:root|user)pass)|(?<=(?:key|ssh)pass)
          |(?<=(?:store|admin)pass)|(?<=mypass))
      | wd(?![a-z])(?:(?<![a-z]pwd)|(?<=dbpwd)) | w(?![a-z])(?<![a-z]pw) | /w(?<![\w/]p/w) | sk(?![a-z])(?<![a-z]psk)
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
    (?: [ \t]*+ (?:=>|:=|\+=|==?|:|\uff1a|\uff1d|%3d|%3a) [ \t]*+
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
    )"""
"""A value that may have a new one behind it: both halves of a plan's change."""
_CHANGE = rf"""{_TAIL.rstrip()[:-1]}
      | (?:\\?["'])?+(?:{STAYS})?(?:\\?["'])?+ {_ARROW} {_OPEN} {_NO_STAY} (?P<new>{_VALUE}) )"""
"""The same, or a new value behind one that is no secret."""

_NAMED = Later(rf"(?P<name>{_NAME}){_TAIL}")
_CHANGED = Later(rf"(?P<name>{_NAME}){_CHANGE}")
_LATIN = r"""passwort | passord | kennwort | mot\ de\ passe | contrase[ñn]a | senha | wachtwoord | parola
  | l[öo]senord | salasana | adgangskode | heslo | lozinka | jelsz[óo]"""
_OTHER = r"""密[码碼] | 口令 | 暗証番号 | パスワード | 비밀번호 | [пП]ароль | ПАРОЛЬ | [κΚ]ωδικός | [şŞ]ifre
  | [hH]asło | HASŁO | [mM]ật\ khẩu | סיסמה | كلمة\ المرور | पासवर्ड | รหัสผ่าน"""
_ABROAD = Later(rf"(?P<name>{_LATIN}){_TAIL}")
_FAR_ABROAD = Later(rf"(?P<name>{_OTHER})(?i:{_TAIL})")
_SAID_ABROAD = Later(
    rf"""(?: {_OTHER} ) (?:[^\S\n]?[^\W\d_]{{1,20}}){{0,3}}? \s{{0,2}}[:=\uff1a\uff1dは是为為]\s{{0,2}}["'「『]?
        (?P<value>[^\s"'」』,;\[\]]{{4,100}}+)""",
)
"""A password in other languages."""
_HUMPED = Later(rf"(?P<name>{_CAMEL})(?i:{_CHANGE})")
_FLAG = Later(
    rf"""-(?<![\w-]-)-?+[\w.-]{{0,30}}?(?P<name>{_NAME})
         (?:["']?,\s{{0,40}}+|[ \t]++|["']?\r?\n(?:[^\n\w-]{{0,40}}+|[^\n]{{1,80}}?\s)-\ )
         {_OPEN} (?!-) {_NO_STAY} (?P<value>{_VALUE})""",
)
"""`--token x`, also in a list of arguments, in one line or one a line."""
_ELEMENT = Later(rf"<[\w.:-]{{0,40}}?(?P<name>{_NAME})>(?!{STAYS})(?P<value>[^<\s][^<\n]{{2,}}+)(?=</)")
_BLOCK = Later(rf"""(?P<name>{_NAME}) {_GIVEN} (?:<<[~-]?["']?(?P<until>\w{{1,40}})["']?|[|>][+-]?) [ \t]*+ \r?\n""")
_SET = rf"""\ [\w./:-]{{0,60}}?(?:secret|key|token|password)\ ++(?!{PROSE}|(?:first|again|yourself)\b)["']?"""
_CALL = r"""\(\s{0,3}["'][\w.-]{0,60}?(?:secret|key|token|password|passwd|pwd)["'],\s{0,3}["']"""
_ROLE = rf"""\ ["']?[\w.-]{{1,60}}+["']?\ (?:encrypted\ )?password\ '(?!{PROSE})"""
_SPOKEN = Later(
    rf"""(?: login\ \S{{1,80}}+\ {{0,20}}+(?:\r?\n[^\n]{{0,60}}?|(?<=\ ))password\  | identified\ by\ ["']
          | with\ password\ ["'] | =\ password\(["']
          | role{_ROLE} | user{_ROLE}
          | password\ for\ '[^'\n]{{1,200}}':\  | send\ ["'](?=[^"'\n]{{6,100}}\\[rn])
          | convertto-securestring\ (?:-string\ )?["'] | issecret=true\] | ::add-mask::
          | setx?{_SET} | env{_SET} | arg{_SET} | define{_CALL} | setenv{_CALL} | putenv{_CALL} | setproperty{_CALL}
          | setdefault{_CALL}
          | "sensitive\\?":\s{{0,9}}+true,\s{{0,40}}+(?:\\?"type\\?":[^{{}}]{{1,80}}?,\s{{0,40}}+)?
              \\?"value\\?":\s{{0,9}}+\\?" )
        (?P<value>[^\s"'\[$]{{3,}}+)""",
)
"""Each tool's own way: netrc, SQL, PowerShell, Azure DevOps, GitHub Actions, `aws configure`, Docker, an output."""
_LIKELY = Later(
    r"""(?: auth(?<![a-z]auth) | jwt | bearer | signature | response | ingest(?:ion)?[_-]?key | insert[_-]?key
          | integration[_-]?key | routing[_-]?key | license[_-]?key | deploy[_-]?key | write[_-]?key | primary[_-]?key
          | secondary[_-]?key
          | key(?:(?<![a-z_-]key)|(?<=[_-]key)(?<!cache.key)(?<!kms.key)(?<!public.key)(?<!partition.key)(?<!hash.key)
              (?<!sort.key)) )
        ["'\\]{0,4}+ [ \t]*+ (?:=>|[:=]) [ \t]*+ ["'\\]{0,4}+ (?P<value>[a-z0-9+/=_~%-]{16,}+)(?![.:@])""",
)
"""Names that may have anything under them: a secret, where it looks like one."""

_SAID = Later(
    r"""(?: passw(?:or[dt]|d) | pass\ ?phrase | passord | p/?w | pwd | token | secret | api[ _-]key | kennwort
          | mot\ de\ passe | contrase[ñn]a | senha | wachtwoord | parola | l[öo]senord ) (?:\ [a-zß-ÿ]{1,16}){0,4}
        (?: \ ?:\ {1,3} ["'`]?(?P<value>[a-z0-9_+=!\#$%^&*~]{8,100}+)
          | (?: ['?]s | \ (?:is|was|has\ been|set|changed|reset|ist|lautet|est|es|é|è|är|er)
            (?:\ (?:now|still|set|changed|reset|updated|rotated)){0,2} ) (?:\ to)?:?\ {1,3} ["'`]?
            (?P<told>[a-z0-9_+=!\#$%^&*~@/.-]{4,100}+) )
        (?=[.,;!]?(?:[\s"'`)]|\Z))""",
)
"""As people say it: `the password is …`, `here is the token for now: …`."""
_NOTED = Later(
    rf"""(?: passw(?:or[dt]|d) | pass\ ?phrase | passcode | p/?w | pwd )
        (?: \ (?:for|of|on|to|f[üu]r|fuer)(?:\ [\w.@'-]{{1,40}}+){{1,3}} | \ ?\([\w.@\ -]{{1,40}}+\) | )
        (?: \ ?(?::|=|[-?\u2013]|->|=>)\ {{1,3}} | \ (?P<round>\()
          | :[ \t*]*+\r?\n(?:[^\n]{{0,80}}[\s│|¦>])?(?P<below>) )
        ["'`*]{{0,2}}+ (?!{STAYS}) (?P<value>[^\s"'`,;()\[\]|¦<>]{{6,100}}+) (?=[.,;!]?["'`*]{{0,2}}(?:[\s)]|\Z))""",
)
"""As people note it: `password for admin: …`, `password - …`, `password (…)`, `Password:` and the next line."""
_AS = Later(
    r"""["'`]?\ (?: as | (?:as|is|was|ist|war)\ (?:the|your|my|our|a|its|her|their|das|dein|mein|unser) )
          (?:\ (?:new|old|db|database|root|admin|initial|temporary|default|current|correct|right|real)){0,2}
          \ (?:passw(?:or[dt]|d)|pass\ ?phrase|pw|pwd)
        (?=[.,;:!?)\]]|\ ?(?:\r?\n|\Z)|\ (?:for|of|to|on|at|in|now|here|again|please|and|then|but)\b)""",
)
"""The word before it is the password: `log in with … as the password`, `… is the new password`."""
_WITH = Later(
    rf"""(?: (?:\b(?:as|user(?:name)?|login|account|role)\ ["'`]?[\w.@+\\-]{{1,60}}+["'`]?,?
                   \ (?:and|with|using)\ (?:the\ |this\ |a\ )?
               |\b(?:with|using)\ (?:the\ |this\ |a\ )?)
             (?:passw(?:or[dt]|d)|pass\ ?phrase|pw|pwd)\ )
         ["'`]?(?!{PROSE}|{STAYS}) (?P<value>[^\s"'`,;()\[\]|¦<>=:]{{4,100}}+)
         (?P<end>["'`]?[.!?]?\ ?(?:\r?\n|\Z)|["'`]?[,;)]|\ (?:for|of|on|at|to|please|now|but|and)\b)""",
)
"""A word of everyday may be a password, too: `log in as admin with password sunflower`."""
_PAIR = Later(
    r"""(?: creds? | credentials? | u(?:ser(?:name)?)?/p(?:ass(?:word)?|w)? | logins? ) (?:\ (?:are|is|was))?:? \ {1,2}
        [\w.@+-]{1,60}(?:[:/]|\ /\ )(?P<value>[^\s"'`,;:@\[\]]{6,100}+)(?=\s|\Z|[,;"'`])""",
)
"""A user and a password, as people write them: `creds are admin:…`."""
_BESIDE_IT = r"""[^\s"'`|¦,;<>()\[\]{}]{3,4000}+"""
_BESIDE = Later(
    rf"""(?P<name>{_NAME}) (?=["'`*\ \t|¦])
         (?: (?P<bar>["'`*]{{0,4}}+[ \t]*+[|¦][ \t*`"']*+) (?={_NO_STAY} (?P<cell>{_BESIDE_IT}))
           | (?: (?<=ith\ token)|(?<=ing\ token)|(?<=ith\ secret)|(?<=ing\ secret)
               | (?<![^a-z0-9_]token)(?<![^a-z0-9_]secret) )
             [ \t]++
             (?: (?<=password\ )["'`](?={_NO_STAY} (?P<quoted>[^"'`\n|]{{4,100}}+)["'`])
               | (?=[^\s]{{0,60}}?[0-9!@\#$%^&*+=]) (?={_NO_STAY} (?P<value>{_BESIDE_IT})) ) )""",
)
"""A name and its value with nothing but blanks or a table's bar between them."""

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
    if _is_a_name(text, start, end, is_secret=name == "secret") or _is_progress(text, found, start):
        return None
    mark = _MARKS.get(name) or _mark(name)
    if after[0] >= 0:
        return [(start, end, mark), (*after, mark)]
    if words[0] >= 0:
        whole = mark == "[password removed]" and _begins_line(text, found)
        return [(start, words[1] if whole else end, mark)]
    if text.startswith(" ", end) and text[start - 1] not in "\"'`":
        end = _to_quote(text, found.start(), end)
    return [(start, _pieces(text, end) if text.startswith(_BREAKS, end) else end, mark)]


def _word_begin(text: str, place: int) -> int:
    """Where the word begins that continues at the place."""
    near = text[max(0, place - 60) : place]
    return place - len(near) + len(near.rstrip(_OF_WORD))


def _to_quote(text: str, begin: int, end: int) -> int:
    """Where the value ends if the quotes were opened before its name: `-var='password=a b'`."""
    quote = text[_word_begin(text, begin) - 1]
    if quote not in "\"'" or not begin:
        return end
    close = text.find(quote, end, end + 200)
    return close if close >= 0 and "\n" not in text[end:close] else end


def _is_a_name(text: str, start: int, end: int, *, is_secret: bool) -> bool:
    """Whether the value only says where the secret is: its name in a store, a file, a variable of the environment."""
    if text[start:end].lower() in _PASSWORDS or text[start:end].lower() in {"token", "secret"}:
        return True  # `creating Secret: password is required`
    if text[start] in "/.~":
        return PATH.fullmatch(text, start, end) is not None
    if text[start].isupper():
        return _VARIABLE.fullmatch(text, start, end) is not None and is_named_secret(text[start:end])
    return REFERENCE.fullmatch(text, start, end) is not None or (
        is_secret and SLUG.fullmatch(text, start, end) is not None
    )


def _is_progress(text: str, found: re.Match[str], start: int) -> bool:
    """Whether Terraform says what it does with a resource of such a name: `random_password.password: Creating...`."""
    if not text[start].isupper() or _PROGRESS.match(text, start) is None:
        return False
    begin = found.start()
    key = max(text.rfind('["', max(0, begin - 100), begin), text.rfind('[\\"', max(0, begin - 100), begin))
    if key >= 0 and not {"\n", "]"} & set(text[key:begin]):
        begin = key  # the name is in the key of an instance
    return _RESOURCE.search(text, max(0, begin - 200), begin) is not None


_PROGRESS = re.compile(
    r"(?:Still [a-z]{4,12}ing|(?:Creat|Destroy|Modify|Read|Refresh|Import|Provision|Open|Renew|Clos)ing"
    r"(?: state)?)\.\.\."
    r"|(?:Creation|Destruction|Deletion|Modifications?|Update|Read|Refresh|Import|Provisioning|Opening|Renewal|Closing)"
    r" (?:complete|errored)\b"
    r"|Preparing import\.\.\.|Import prepared!|Importing from ID |Provisioning with '|Drift detected \("
    r"|Plan to (?:create|read|update|replace|delete|import|move|forget|noop)\b|Resuming "
)
"""Terraform's `internal/command/views/{hook_ui,operation}.go` and `views/json/{hook,message}*.go`, OpenTofu's too."""
_RESOURCE = re.compile(r"[\w\]\")]\.[\w-]*\Z")
_BREAKS = ("\n", "\r\n")
_VARIABLE = re.compile(r"[A-Z]++(?:_[A-Z]++)++")
"""The name of an environment's variable: `token: SLACK_BOT_TOKEN is not set`."""
_MARKS = {"password": "[password removed]", "token": "[token removed]", "secret": "[secret removed]"}
_VALUE_AT, _AFTER_AT, _WORDS_AT = 2, 3, 4
"""The places of `_TAIL`'s groups, behind a pattern's first, the name."""


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


def _by_name(text: str, found: re.Match[str]) -> Spans | None:
    start, end = found.span("value")
    if "\n" in text[found.end("name") : start] and not text[max(0, found.start() - 4) : found.start()].rstrip(
        "\"'"
    ).endswith("- "):
        return None  # no list
    if text[start:end].isupper() and is_named_secret(text[start:end]):
        return None  # `--token TOKEN`, as a manual has it
    return [(start, end, _mark(found["name"]))]


def _likely(text: str, found: re.Match[str]) -> Spans | None:
    start, end = found.span("value")
    value = text[start:end]
    mixed = any(map(str.isupper, value)) and any(map(str.islower, value)) and "-" not in value
    is_key = found.string.startswith("key", found.start())  # a bare key may be anything: only what is mixed is one
    fits = mixed and is_random(value, 20) if is_key else is_random(value)
    return [(start, end, "[secret removed]")] if fits else None


def _said(text: str, found: re.Match[str]) -> Spans | None:
    before = text[found.start() - 1 : found.start()]
    if before.isalnum() or before == "-":
        return None
    start, end = found.span("value" if found["told"] is None else "told")
    said = text[start:end]
    is_mixed = all(any(map(kind, said)) for kind in (str.isdigit, str.isupper, str.islower))
    if found["told"] is not None:
        said = said.rstrip(".!")
        end = start + len(said)
        is_mixed = is_password(said) if found[0][0] in "pkmcswl" and found[0][:2] != "se" else is_random(said, 12)
    return [(start, end, "[secret removed]")] if is_mixed else None


def _noted(text: str, found: re.Match[str]) -> Spans | None:
    """In parentheses or on the next line anything may be: what is there has to be as mixed as passwords are."""
    start, end = found.span("value")
    value = text[start:end].rstrip(".!?*")
    is_mixed = all(any(map(kind, value)) for kind in (str.isdigit, str.isupper, str.islower))
    is_loose = found["round"] is not None or found["below"] is not None
    is_secret = is_mixed and is_password(value) and not value.endswith(_PROMPTS) if is_loose else is_password(value)
    begin = found.start()
    is_part = text[begin - 1 : begin].isalnum() or text[begin - 1 : begin] in {"/", "."} if begin else False
    if not is_secret or is_part or _TICKET.fullmatch(value) is not None:
        return None
    return [(start, start + len(value), "[password removed]")]


_PROMPTS = ("#", "$", ">", "%", "~", ":")
_TICKET = re.compile(r"[A-Z]{2,10}-\d{1,6}")


def _as(text: str, found: re.Match[str]) -> Spans | None:
    before = text[max(0, found.start() - 100) : found.start()]
    value = re.split(r"[\s\"'`,;()\[\]|│<>]", before)[-1]
    is_secret = is_password(value) and _TICKET.fullmatch(value) is None and value[0] not in "$%{"
    return [(found.start() - len(value), found.start(), "[password removed]")] if is_secret else None


def _with(text: str, found: re.Match[str]) -> Spans | None:
    start, end = found.span("value")
    value = text[start:end].rstrip(".!?")
    is_noun = not _BEHIND_PASSWORD.isdisjoint(
        {value.lower(), value.lower().removesuffix("s")}
    ) or value.lower().endswith(("ed", "ing", "tion", "ment", "ance", "ity"))
    return None if is_noun and not is_password(value) else [(start, start + len(value), "[password removed]")]


_BEHIND = """access account algorithm anonymous@ attribute attributes auth change changes check checks column cracker
    database entry error errors expiry expires field fields file files flow flows form format forms generator
    grant grants hash hashes hint hints history input length lifetime list lock login logins lookup manager
    managers mechanism mismatch mode module option options only output page pair part parts parameter param
    policies policy portal problem problems prompt prompts properties property question recovery reset resets
    resource resources rule rules safe screen secret secrets server sharing spray state store stores string
    strength support sync type update updates user username validator value variable vault version which while
    without works manually instead first again soon though once until since because after before between through
    under here there them they some both what such same each none unless issues issue yourself either neither
    rather"""
_BEHIND_PASSWORD = frozenset(_BEHIND.split())
"""What a sentence has behind the word, apart from `PROSE`: a noun that goes with it, or how it continues."""


def _said_abroad(text: str, found: re.Match[str]) -> Spans | None:
    start, end = found.span("value")
    return [(start, end, "[secret removed]")] if is_password(text[start:end]) else None


def _pair(text: str, found: re.Match[str]) -> Spans | None:
    start, end = found.span("value")
    value = text[start:end]
    is_mixed = all(any(map(kind, value)) for kind in (str.isdigit, str.isupper, str.islower))
    is_secret = is_random(value, _SHORTEST) or (is_mixed and "login" not in found[0] and is_password(value))
    return [(start, end, "[password removed]")] if is_secret else None


def _beside(text: str, found: re.Match[str]) -> Spans | None:
    """What is behind blanks or a bar has to look like a secret, too: any sentence may have the name before a word."""
    begin, group = found.start(), found.lastgroup or ""
    start, end = found.span(group)
    value = text[start:end].rstrip(".:!")
    if group == "value" and len(value) < _SHORTEST:
        return None
    end = start + len(value)
    word_begin = _word_begin(text, begin)
    whole = text[word_begin : found.end("name")]
    before = text[max(0, word_begin - 40) : word_begin].lower()
    if group == "cell":
        is_secret = before.rstrip(" \t*`\"'")[-1:] in {"|", "│", "┃", "║"} and _is_in_table(text, value, end)
    elif group == "quoted":
        is_secret = whole.lower() in _PASSWORDS and (
            is_password(value) or _FOR_USER.match(text, found.end("quoted") + 1) is not None
        )
    elif whole.lower() in _PASSWORDS:
        is_secret = is_password(value) if before.endswith(_LEADS) else is_random(value, 8)
    elif before.endswith(_LEADS) and whole.lower() in {"token", "secret", "api key", "access key"}:
        is_secret = is_random(value) and not is_id(value)
    elif found["name"].endswith(" key"):
        is_secret = is_random(value)
    else:
        is_wide = text[found.end("name") : start] not in {" ", " '", ' "'}
        is_secret = _is_compound(whole) and (
            is_random(value, 8) or (is_wide and is_password(value) and len(value) >= _LONG)
        )
    return [(start, end, _mark(found["name"]))] if is_secret else None


_SHORTEST, _LONG = 6, 8
_OF_WORD = string.ascii_letters + string.digits + "_.-"
_PASSWORDS = frozenset({"password", "passwd", "passphrase", "pw", "pwd", "passcode", "passwort"})
_LEADS = tuple(
    f"{lead}{the}"
    for lead in ("with ", "using ", "use ", "by ", "and ", "is ")
    for the in ("", "the ", "a ", "this ", "my ", "our ", "your ", "new ", "the new ", "old ", "the old ")
)
_FOR_USER = re.compile(
    r"\s(?:for|of|as)\s(?:the\s)?(?:user|login|account|database|db|role|admin|root|\w+@)", re.IGNORECASE
)


def _is_compound(name: str) -> bool:
    """`DB_PASSWORD`, `secret_access_key`, `SecretAccessKey`: a program's name, which no sentence has."""
    return name[:1] not in "-." and ("_" in name or re.search("[a-z][A-Z]", name) is not None) and "." not in name


def _is_in_table(text: str, value: str, end: int) -> bool:
    """Whether the cell has nothing but the value, and a table of names with their meaning would not have it."""
    line_end = text.find("\n", end, end + 500)
    rest = text[end : line_end if line_end >= 0 else end + 500].strip(" \t\r*`\"'")
    if rest and rest[0] not in "|│┃║":
        return False
    if rest.strip(" \t|│┃║") or rest.endswith(("||",)):
        return is_password(value)
    following = text[line_end + 1 : line_end + 40].strip(" \t│┃║") if line_end >= 0 else ""
    return value.lower() not in _DOCUMENTED and not following.startswith(("|-", "|:-", "| -", "| :-", "+-", "---"))


_DOCUMENTED = frozenset(
    {
        "type",
        "value",
        "description",
        "purpose",
        "meaning",
        "bool",
        "number",
        "list",
        "map",
        "any",
        "object",
        "status",
        "created",
        "updated",
        "expires",
        "count",
        "masked",
        "write-only",
        "sensitive",
        "opaque",
    }
)


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


_OF_NAME = _OF_WORD + "\"'"


_ARROWS = ("->", "=>")
_ALONG = tuple(f"{last} {name}" for last in "hgdesa" for name in ("pass", "pw"))
"""A password behind `with`, `using`, `and`, and behind their `the`, `this` or `a`: by their last letters."""
_SEPARATORS = ("=", ":", "%3")
NAMED = Table(
    (
        "pass",
        "pw",
        "p/w",
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
        Step(_SEPARATORS, _NAMED, _named, unless=_ARROWS),
        Step(_ARROWS, _CHANGED, _named),
        Step(("pass", "pwd", "psk"), _HUMPED, _named, is_exact=True),
        Step(("--", " -", '"-', "\n-", "-token", "-pass", "-secret"), _FLAG, _by_name),
        Step((" ", "\t", "|", "¦"), _BESIDE, _beside),
        Step(("</",), _ELEMENT, _by_name),
    ),
)
SAID = Table(
    (
        "pass",
        "pw",
        "p/w",
        "u/p",
        "secret",
        "token",
        "key",
        "kennwort",
        "contrase",
        "senha",
        "wachtwoord",
        "parola",
        "senord",
        "cred",
        "login",
    ),
    (
        Step(
            (
                " is ",
                "'s ",
                "?s ",
                ": ",
                " was ",
                " to ",
                " ist ",
                " est ",
                " es ",
                " é ",
                " è ",
                " är ",
                " er ",
                " lautet ",
            ),
            _SAID,
            _said,
        ),
        Step(("cred", "/pass", "login", "u/p", "/pw"), _PAIR, _pair),
        Step((" as ", " is ", " was ", " ist ", " war "), _AS, _as),
        Step(("pass", "pw", "p/w"), _NOTED, _noted),
        Step(_ALONG, _WITH, _with),
    ),
)
SPOKEN = Table(
    (
        *(
            "login ",
            "identified by",
            "with password",
            "password for '",
            "password '",
            "= password(",
            "send ",
            "securestring",
            "issecret=true",
            "::add-mask",
        ),
        *("set", "env", "arg ", '"sensitive', "define("),
    ),
    (Step(("",), _SPOKEN, simply("[secret removed]", "value")),),
)
ABROAD = Table(
    (
        *("asswort", "passord", "kennwort", "mot de passe", "contrase", "senha", "wachtwoord", "parola", "senord"),
        *("salasana", "adgangskode", "heslo", "lozinka", "jelsz", "??", "?ifre", "has?o"),
    ),
    (
        Step(_SEPARATORS, _ABROAD, _named),
        Step(("??", "?ifre", "has?o"), _FAR_ABROAD, _named, is_exact=True),
        Step(("??", "?ifre", "has?o"), _SAID_ABROAD, _said_abroad, is_exact=True),
    ),
)
LIKELY = Table(_SEPARATORS, (Step(("key", "auth", "jwt", "bearer", "signature", "response"), _LIKELY, _likely),))
