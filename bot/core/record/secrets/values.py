"""What can come after a name, and which of it is not a secret.

The patterns are for text in lower case, or to be compiled with `re.IGNORECASE`; all are verbose.
"""

from __future__ import annotations

import re

MARK = r"\[[a-z0-9.\ -]{2,40}?\ removed\]"
"""What is put in a secret's place."""

WORD = rf"""(?:[^\s"'\[]++|{MARK})++"""
"""A word of a command line or a header, of which a part may have been taken out."""

MASKED = rf"(?:{MARK}|\[[a-z*\ _-]{{2,60}}+\])"

END = r"""(?=[\s"'`,;)\]}&<>|\\]|\Z)"""

_ATOM = rf"""(?: \$(?:\{{[^}}\n]{{0,120}}+\}}{{1,2}}|\([^)\n]{{0,120}}+\)|(?:env:)?[a-z_]\w{{0,80}}+)
      | %\w{{1,80}}+% | \{{\{{[^}}\n]{{0,120}}+\}}\}} | <[a-z][\w\ .:/'-]{{0,100}}+> | \([a-z][a-z\ ,-]{{2,60}}+\)
      | {MASKED} | <<[~-]?\w{{1,40}}+
      | \*{{2,}}+ | xxx x*+ | \.\.\.*+ | … | [•●?]++ | -{{1,3}}+ | -?\d{{1,5}}+(?:\.\d{{1,3}}+)?+
      | n(?:ull|one|il|o) | true | false | un(?:defined|set) | empty | redacted | removed | masked | hidden | sensitive
      | string | yes | o(?:n|ff)
      | (?: var|local|module|data|each|self|env|secrets|vars|inputs|params|steps|needs|github|config|settings
          | process\.env|os\.environ ) (?:\.[a-z_*][\w*-]{{0,60}}+|\[[^\]\n]{{0,60}}+\]){{1,8}}+ )"""
STAYS = rf"""(?: (?<=["'`]){_ATOM}(?=\\{{0,3}}["'`]|\Z) | (?<!["'`]){_ATOM}{END}
    | (?<!["'`])(?:[a-z_][a-z_.]{{0,60}}+|base64[a-z0-9]{{0,12}}+|(?:file)?(?:sha|md)\d{{1,3}})\(
    | env\[ | enc\[ | !(?:ref|sub|getatt|importvalue|secret|vault|reference)\b
    | \$ansible_vault | aqicah | arn:aws | (?<!["'`])[a-z][a-z0-9+-]{{1,12}}+:// | [a-z]:\\
    | (?:https?|wss?|tcp|ssh|git|ldaps?|postgres(?:ql)?|mysql|rediss?|amqps?|op|vault|s3|gs|file|env|akv|doppler
        |secrets?|ref\+\w{{1,20}}+|aws(?:sm|ps|-ssm)?|gcpsm|sm|ssm|bw|kms|keyvault|secretref|infisical)://
    | (?:vault|ssm|ref\+\w{{1,20}}+|awssm|gcpsm|sm|env|file|keyvault): | @microsoft\.keyvault
    | projects/[^/\s]{{1,60}}+/secrets/ | (?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\w{{1,20}}+)[\ ] )"""
"""No secret: a variable, a reference, a call, a placeholder, a name in a vault. What is masked already."""

_PROSE = """a an the is are was were be been has have had must may might can cannot could should will would for from in
    of on to with at as by and or but not no if it its this that expired invalid incorrect wrong missing required denied
    failed failure rejected refused revoked unauthorized forbidden unknown unexpected unsupported unable malformed
    accepted ok valid authentication error value optional disabled enabled default name see use used using please got
    read expected does doesn't did only too already never when which you your we
    falsch vergessen erforderlich incorrecte incorrecta incorreta invalide requis requise requerida obligatoire"""


def any_of(words: str) -> str:
    """A pattern for any of the words, by their first letters: so that not all of them are tried."""
    by_first: dict[str, list[str]] = {}
    for word in words.split():
        by_first.setdefault(word[0], []).append(word[1:])
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in by_first.items())


PROSE = rf"""(?:{any_of(_PROSE)})(?=[,.;:!?]?(?:[\s"'`)]|\Z))"""
"""How a sentence continues after the word: `invalid token: expired`."""

SLUG = re.compile(r"[a-z]{2,30}+(?:[-/._][a-z]{2,30}+|[-/._]\d{1,4}+){1,8}+")
"""A name of words, such as a secret's own: `prod/db-credentials`."""

REFERENCE = re.compile(r"[a-z]{2,30}+(?:_[a-z0-9]{1,30}+){1,8}+(?:\.[A-Za-z_*][\w*-]{0,60}+|\[[^\]\n]{0,60}+\]){1,8}+")
"""Another resource's attribute: `random_password.db.result`."""

PATH = re.compile(r"[~.]{0,2}+(?:/[a-z0-9_.-]{1,60}+){1,12}+/?")
"""A file. In upper and lower case it may as well be a key in base64."""

_WORDY = re.compile(
    r"""(?: \{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?  # a UUID
      | [\d.:,/+_-]++ | \d{4}-\d\d-\d\d[T\d:.Z+-]*+  # numbers, an instant
      | [A-Za-z]{2,}+(?:[-_/.:][A-Za-z]{2,}+|[-_/.:]v?\d{1,4}+)*+  # words
      | (?:sha\d{1,3}|md5|h1|zh)[:-].*+ )""",
    re.VERBOSE,
)
_ID = re.compile("[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[a-z]{1,10}-[0-9a-f]{8,17}")
"""A checksum, or one of AWS's IDs."""
_HUMP = re.compile("[a-z][A-Z]|[0-9][A-Z]{1,3}[a-z0-9]")


def is_random(text: str, least: int = 16) -> bool:
    """Whether nobody would call anything so: long, with digits between letters, and neither words nor a UUID."""
    if len(text) < least or not any(map(str.isdigit, text)) or not any(map(str.isalpha, text)):
        return False
    return _WORDY.fullmatch(text) is None


def is_id(text: str) -> bool:
    """Whether it is a checksum, or one of AWS's IDs."""
    return _ID.fullmatch(text) is not None


def is_password(text: str) -> bool:
    """Whether people would choose it, and no sentence has it: six characters with a digit or a sign among letters."""
    if len(text) < _SHORTEST or _NO_PASSWORD.match(text) or (text[0] in "/~." and PATH.fullmatch(text.lower())):
        return False
    if text.isdigit():
        return True
    return any(map(str.isalpha, text)) and (any(map(str.isdigit, text)) or any(sign in text for sign in "!@#$%^&*+="))


_SHORTEST = 6
_NO_PASSWORD = re.compile(
    r"""(?: base\d\d | sha-?\d | md\d | utf-?\d | aes | rsa | bcrypt | pbkdf | scram | oauth\d? | v\d | ntlm | x509 | s3
      | https?: | arn: | [\w.-]+=  # a name with a value of its own
      | \{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12} | \d{1,4}[-./:]\d | \d+[a-z]{1,2}\b )""",
    re.VERBOSE | re.IGNORECASE,
)
"""How something technical begins, an ID, an instant, a version."""


def is_piece(text: str) -> bool:
    """Whether this can be a part of a token that was broken in two: no word, name or path is such."""
    if _ID.fullmatch(text):
        return False
    return (is_random(text, 2) and "." not in text) or _HUMP.search(text) is not None


def is_deeper(line: str, column: int) -> bool:
    """Whether the line of YAML belongs to the name in that column of a line before it, both with the same prefix."""
    return not line.strip(" \t\r\n│┃|>+~-") or line[column : column + 1].isspace()
