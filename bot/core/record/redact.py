"""Takes secrets out of text before it is recorded, exported or shown.

A secret is replaced by a mark that names its kind, so that a reader knows what stood there. The patterns follow the
formats that the issuers publish; what has no format of its own is found by the words beside it (`password=`, `Bearer`)
or, in JSON, by the name that it stands under.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class _Secret:
    """`pattern` finds the secret; where it has a group `keep`, that part in front of the secret stays.

    Where none of the `hints` (in lower case) is in a text the pattern need not look: most texts hold no secret. Nor
    need it in a text of less than 34 characters if it `is_long`.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    is_long: bool = False


_START = r"(?<![A-Za-z0-9])"
_END = r"(?![A-Za-z0-9])"
_GIVEN = r"\\?[\"']?\s{0,3}(?:=>|[:=])\s{0,3}\\?[\"']?"
"""Between a name and its value: in a shell, YAML, JSON (also within a text), HCL or a header."""


def _secret(name: str, hints: str, *pieces: str, any_case: bool = False, is_long: bool = False) -> _Secret:
    pattern = re.compile("".join(pieces), re.IGNORECASE if any_case else 0)
    return _Secret(name, tuple(hints.split()), pattern, is_long)


_SECRETS = (
    _secret(
        "private key",
        "-----begin",
        r"-----BEGIN (?P<label>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----(?:(?!-----BEGIN )[\s\S])*?",
        r"(?:-----END (?P=label)-----|(?=-----BEGIN )|\Z)",
    ),
    _secret(
        "password",
        "://",
        r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://[^\s/?#:@'\"<>]{0,200}:)[^\s/?#'\"<>]+(?=@)",
        any_case=True,
    ),
    _secret(
        "GitHub token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        _START,
        r"(?:gh[pousr]_[A-Za-z0-9_]{30,600}(?:\.[A-Za-z0-9_-]{8,2000}){0,2}|github_pat_[A-Za-z0-9_]{40,255})",
        is_long=True,
    ),
    _secret("GitHub token", "v1.", _START, r"v1\.[0-9a-f]{40}(?![A-Za-z0-9])", is_long=True),
    _secret("GitLab token", "gl gr1348941", _START, r"(?:gl[a-z]{2,8}-|GR1348941)[A-Za-z0-9_.=-]{18,500}(?<![.=-])"),
    _secret("Slack token", "xox xapp-", _START, r"(?:xox[a-z](?:\.xox[a-z])?-|xapp-\d-)[A-Za-z0-9%-]{8,500}"),
    _secret(
        "Slack webhook",
        "hooks.slack",
        r"(?P<keep>https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers|commands|actions|app)/)",
        r"[A-Za-z0-9/_-]{8,300}",
    ),
    _secret("AWS key id", "akia asia abia acca", _START, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    _secret(
        "AWS session token",
        "fwogzxivyxdz iqojb3jpz2lu",
        _START,
        r"(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+_-]{40,4000}={0,2}",
        is_long=True,
    ),
    _secret("Azure DevOps token", "azdo", _START, r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}", _END, is_long=True),
    _secret("Jenkins token", "11", _START, r"11[0-9a-f]{32}", _END, is_long=True),
    _secret(
        "AWS secret",
        "key token",
        r"(?P<keep>(?:secret_?access_?key|session_?token|security_?token)",
        _GIVEN,
        r")[A-Za-z0-9/+=]{16,2000}",
        any_case=True,
    ),
    _secret(
        "AWS signature",
        "x-amz-",
        r"(?P<keep>X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"'<>\[]+",
        any_case=True,
    ),
    _secret("Terraform token", ".atlasv1.", _START, r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,120}"),
    _secret(
        "JSON web token",
        "eyj",
        # looks once at each run of such characters, or a text with thousands of beginnings would take minutes
        r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]++\.eyJ[A-Za-z0-9_-]{8,}+\.)(?P<keep>(?:[A-Za-z0-9_-]*?[_-])??)",
        r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    ),
    _secret(
        "credentials",
        "bearer basic",
        r"(?P<keep>\b(?:bearer|basic)\s{1,3})(?=[A-Za-z0-9._~+/-]*[0-9=_+/])[A-Za-z0-9._~+/-]{12,}=*",
        any_case=True,
    ),
    _secret(
        "credentials",
        "authorization",
        r"(?P<keep>\b(?:proxy-)?authorization",
        _GIVEN,
        r"(?:token|bearer|basic)\s{1,3})[^\s\"',;\[]+",
        any_case=True,
    ),
    _secret(
        "token",
        "token x-api-key",
        r"(?P<keep>\b(?:private-token|job-token|x-api-key|x-vault-token)",
        _GIVEN,
        r")[^\s\"',;\[]+",
        any_case=True,
    ),
    _secret(
        "password",
        "pass pwd secret key token",
        r"(?P<keep>(?:password|passwd|pwd(?!=[/~.])|passphrase|(?<![0-9]{12}:)secret|api[_-]?key",
        r"|access[_-]?token|auth[_-]?token)",
        _GIVEN,
        r")(?![$<{(/\[])(?:(?<=\")[^\"\r\n\\]{6,200}|(?<=')[^'\r\n\\]{6,200}",
        r"|(?=[^\s\"',;&\[]{6})[^\s\"',;&\[]+)",
        any_case=True,
    ),
    _secret(
        "token",
        "token",
        r"(?P<keep>\b(?:[a-z0-9]{1,20}[_-]){0,4}token",
        _GIVEN,
        r")(?=[A-Za-z_~+/=.-]{0,200}\d)[A-Za-z0-9._~+/=-]{16,2000}",
        any_case=True,
    ),
)

_BASE32 = re.compile(f"{_START}(?=[a-z]{{0,51}}[2-7])[a-z2-7]{{52}}{_END}")
"""Azure DevOps' older tokens have no mark of their own: 52 letters and digits of one kind, which nothing else has."""

_BASE32_RUN = b"a" * 52
_AS_RUNS = bytes(97 if chr(code) in "abcdefghijklmnopqrstuvwxyz234567" else 32 for code in range(256))

_TELLING = re.compile(
    r"(?:passw(?:or)?d|pwd|passphrase|secret|token|credentials?|authorization|cookie"
    r"|(?:api|access|private|secret|session|signing|encryption)[_\- ]?key|webhook[_\- ]?url)$",
    re.IGNORECASE,
)
_REMOVED = "[secret removed]"


_Hints: TypeAlias = tuple[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], ...]


def _hinted(secrets: Sequence[_Secret]) -> _Hints:
    """The hints of these secrets with their places in the table, by a single character that a hint has in it.

    To look for one character is far cheaper than for a word, and most texts lack most of them.
    """
    groups: dict[str, dict[str, list[int]]] = {}
    for secret in secrets:
        for hint in secret.hints:
            mark = next((char for char in "_-.:" if char in hint), "")
            groups.setdefault(mark, {}).setdefault(hint, []).append(_SECRETS.index(secret))
    return tuple(
        (mark, tuple((hint, tuple(places)) for hint, places in hints.items())) for mark, hints in groups.items()
    )


_LONG = 34
"""Characters: no secret that is told by its length alone is shorter."""

_ALL = _hinted(_SECRETS)
_SHORT = _hinted([secret for secret in _SECRETS if not secret.is_long])

_SHORTEST = len("pwd=123456")


def redact(text: str) -> str:
    """The text without the secrets that can be told by their form. Redacting twice changes nothing more."""
    if len(text) < _SHORTEST:
        return text
    lower = text.lower()
    for place in _suspected(lower):
        secret = _SECRETS[place]
        text = secret.pattern.sub(partial(_mark, secret.name), text)
    return _without_base32(text) if len(text) >= len(_BASE32_RUN) else text


def _suspected(lower: str) -> Sequence[int]:
    """The places of the secrets of which a hint is in the text, in order."""
    found: set[int] = set()
    for mark, hints in _ALL if len(lower) >= _LONG else _SHORT:
        if mark in lower:
            for hint, places in hints:
                if hint in lower:
                    found.update(places)
    return sorted(found)


def redacted(value: object) -> object:
    """JSON without secrets: neither in its texts and names, nor under a name that tells of one."""
    return _redacted(value, secret=False)


@lru_cache(4096)
def is_telling(name: str) -> bool:
    """Whether what stands under this name is a secret: `password`, `clientSecret`, `GITHUB_TOKEN`."""
    return _TELLING.search(name) is not None


def hidden(value: object) -> object:
    """What is shown in place of a value that stands under a telling name. Nothing at all stays nothing."""
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str) and value.startswith("[") and value.endswith(" removed]"):
        return value
    return _REMOVED


def _redacted(value: object, *, secret: bool) -> object:
    match value:
        case Mapping():
            return {
                redact(str(name)): _redacted(part, secret=secret or is_telling(str(name)))
                for name, part in value.items()
            }
        case list() | tuple():
            return [_redacted(part, secret=secret) for part in value]
        case _ if secret:
            return hidden(value)
        case str():
            return redact(value)
        case _:
            return value


def _without_base32(text: str) -> str:
    runs = text.encode("latin-1", "replace").translate(_AS_RUNS)
    return _BASE32.sub("[Azure DevOps token removed]", text) if _BASE32_RUN in runs else text


def _mark(name: str, found: re.Match[str]) -> str:
    return f"{found.groupdict().get('keep') or ''}[{name} removed]"
