"""Takes secrets out of text before it is recorded, exported or shown.

A secret is replaced by a mark that names its kind, so that a reader knows what stood there. The patterns follow the
formats that the issuers publish; what has no format of its own is found by the words beside it (`password=`, `Bearer`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True)
class _Secret:
    """`pattern` finds the secret; where it has a group `keep`, that part in front of the secret stays.

    Where none of the `hints` (in lower case) is in a text the pattern need not look: most texts hold no secret.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


_START = r"(?<![A-Za-z0-9])"
_GIVEN = r"[\"']?\s{0,3}(?:=>|[:=])\s{0,3}[\"']?"
"""Between a name and its value: in a shell, YAML, JSON, HCL or a header."""


def _secret(name: str, hints: str, *pieces: str, any_case: bool = False) -> _Secret:
    return _Secret(name, tuple(hints.split()), re.compile("".join(pieces), re.IGNORECASE if any_case else 0))


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
        r"(?:gh[pousr]_[A-Za-z0-9_]{30,255}|github_pat_[A-Za-z0-9_]{40,255})",
    ),
    _secret("GitHub token", "v1.", _START, r"v1\.[0-9a-f]{40}(?![A-Za-z0-9])"),
    _secret("GitLab token", "gl gr1348941", _START, r"(?:gl[a-z]{2,8}-|GR1348941)[A-Za-z0-9_.=-]{18,500}(?<![.=-])"),
    _secret("Slack token", "xox xapp-", _START, r"(?:xox[a-z](?:\.xox[a-z])?-|xapp-\d-)[A-Za-z0-9-]{8,500}"),
    _secret(
        "Slack webhook",
        "hooks.slack",
        r"(?P<keep>https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers|commands|actions|app)/)",
        r"[A-Za-z0-9/_-]{8,300}",
    ),
    _secret("AWS key id", "akia asia abia acca", _START, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
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
    _secret("JSON web token", "eyj", _START, r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
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
        r"(?P<keep>(?:password|passwd|pwd(?!=[/~.])|passphrase|secret|api[_-]?key|access[_-]?token|auth[_-]?token)",
        _GIVEN,
        r")(?=[^\s\"',;&\[]{6})(?![$<{(/])[^\s\"',;&\[]+",
        any_case=True,
    ),
)


_HINTED = tuple((hint, secret) for secret in _SECRETS for hint in secret.hints)

_SHORTEST = len("pwd=123456")


def redact(text: str) -> str:
    """The text without the secrets that can be told by their form. Redacting twice changes nothing more."""
    if len(text) < _SHORTEST:
        return text
    lower = text.lower()
    for secret in dict.fromkeys([secret for hint, secret in _HINTED if hint in lower]):
        text = secret.pattern.sub(partial(_mark, secret.name), text)
    return text


def _mark(name: str, found: re.Match[str]) -> str:
    return f"{found.groupdict().get('keep') or ''}[{name} removed]"
