"""Tokens with a form of their own: recognised anywhere, also where a frame or a console broke them in two.

A row is the kind, how such a token begins, the characters that follow and how many of them at least, and the
source: the issuer's documentation, or the rule (gitleaks, kingfisher) or detector (trufflehog) that names it.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from bot.core.record.secrets.marking import MOST, REST
from bot.core.record.secrets.values import END, is_piece

LETTERS = "A-Za-z0-9"
WORD = "A-Za-z0-9_"
URL = "A-Za-z0-9_-"
DOTTED = "A-Za-z0-9_.-"
BASE64 = "A-Za-z0-9+/=_-"
HEX = "0-9a-fA-F"
UPPER = "A-Z0-9"


class Form(NamedTuple):
    """`begins` in one of several ways, apart by a blank. `most` characters and no more, where the length is fixed;
    `whole` is how many are issued now.

    A beginning that has no fixed first character is looked for only in a text that has its `mark`.
    """

    kind: str
    begins: str
    goes_on: str
    least: int
    source: str
    most: int = 0
    mark: str = ""
    whole: int = 0


FORMS = (
    Form("GitHub token", "gh[pousr]_", DOTTED, 30, "docs.github.com: token formats", whole=36),
    Form("GitHub token", "github_pat_", WORD, 40, "docs.github.com: token formats", whole=82),
    Form("GitHub token", r"v1\.", HEX, 40, "docs.github.com: installation tokens before 2021", 40),
    Form("GitLab token", "gl[a-z]{2,8}-", DOTTED, 18, "docs.gitlab.com: token prefixes", whole=20),
    Form("GitLab token", "GR1348941", DOTTED, 18, "docs.gitlab.com: runner registration tokens"),
    Form("Atlassian token", "ATATT ATCTT ATSTT ATBB", BASE64, 28, "gitleaks atlassian-api-token, trufflehog bitbucket"),
    Form("Bitbucket token", "BBDC-", BASE64, 36, "trufflehog bitbucketdatacenter"),
    Form("AWS key id", "AKIA ASIA ABIA ACCA", UPPER, 16, "docs.aws.amazon.com: IAM identifiers", 16),
    Form("AWS session token", "FwoGZXIvYXdz IQoJb3JpZ2lu", BASE64, 40, "STS, as issued"),
    Form("AWS key", "ABSK", BASE64, 100, "gitleaks aws-amazon-bedrock-api-key-long-lived"),
    Form("AWS key", "bedrock-api-key-", BASE64, 28, "gitleaks aws-amazon-bedrock-api-key-short-lived"),
    Form("Google token", r"ya29\.", DOTTED, 20, "trufflehog googleoauth2"),
    Form("Google token", "1//0 4/0A", URL, 30, "kingfisher google"),
    Form("Google API key", "AIza", URL, 35, "gitleaks gcp-api-key", whole=35),
    Form("Google client secret", "GOCSPX-", URL, 24, "kingfisher google"),
    Form(
        "Google service account", "ewogICJ0eXBlIjogInNlcnZpY2VfYWNj eyJ0eXBlIjoic2VydmljZV9hY2Nv", BASE64, 20, "base64"
    ),
    Form("private key", "LS0tLS1CRUdJTi(?:BSU0Eg|BFQyBQ|BPUEVO|BQUklW|BFTkNS|BEU0Eg|BQR1AgUFJJ)", BASE64, 16, "base64"),
    Form("Slack token", r"xox[a-z](?:\.xox[a-z])?- xapp-\d-", "A-Za-z0-9%-", 8, "docs.slack.dev: tokens"),
    Form(
        "Terraform token",
        rf"[{LETTERS}]{{14}}\.atlasv1\.",
        DOTTED + "=",
        40,
        "gitleaks hashicorp-tf-api-token",
        mark=".atlasv1.",
    ),
    Form("Vault token", r"hv[sbr]\.", DOTTED, 20, "developer.hashicorp.com/vault: token prefixes"),
    Form("Vault token", r"s\. b\. r\.", LETTERS, 24, "gitleaks vault-service-token", 24),
    Form("npm token", "npm_", LETTERS, 36, "gitleaks npm-access-token", 36),
    Form("PyPI token", "pypi-", BASE64, 50, "gitleaks pypi-upload-token"),
    Form("RubyGems token", "rubygems_", HEX, 42, "gitleaks rubygems-api-token", whole=48),
    Form("crates.io token", "cio", LETTERS, 32, "kingfisher crates.io", 32),
    Form("NuGet key", "oy2", "a-z0-9", 43, "kingfisher nuget", 43),
    Form("Clojars token", "CLOJARS_", "a-z0-9", 60, "gitleaks clojars-api-token"),
    Form("Docker token", "dckr_[po]at_", URL, 20, "trufflehog dockerhub", whole=27),
    Form("Artifactory key", "AKC", LETTERS, 61, "kingfisher artifactory"),
    Form("Artifactory token", "cmVmd", LETTERS, 55, "gitleaks artifactory-reference-token"),
    Form("API key", "sk_(?:live|test|prod)_ rk_(?:live|test|prod)_ whsec_", BASE64, 16, "docs.stripe.com: keys"),
    Form("API key", "sk-", URL, 20, "gitleaks openai-api-key, anthropic-api-key; trufflehog openrouter"),
    Form("API key", "sk_", LETTERS, 40, "trufflehog elevenlabs, paystack"),
    Form("API key", "gsk_ xai- pplx- r8_ nvapi- lsv2_[ps][tk]_ pcsk_", WORD, 37, "trufflehog groq, xai, replicate, …"),
    Form("Hugging Face token", "hf_ api_org_", LETTERS, 34, "gitleaks huggingface-access-token", whole=34),
    Form("DigitalOcean token", "do[oprt]_v1_", HEX, 64, "gitleaks digitalocean-pat", whole=64),
    Form("Cloudflare token", "cf[ua]t_ cfk_", LETTERS, 48, "trufflehog cloudflareapitoken"),
    Form("Cloudflare key", r"v1\.0-[0-9a-f]{24}-", "0-9a-f", 100, "gitleaks cloudflare-origin-ca-key"),
    Form(
        "New Relic key",
        "NR(?:AK|II|IQ|JS|BR|AA)-",
        URL,
        19,
        "gitleaks new-relic-user-api-key; trufflehog newrelic",
        whole=27,
    ),
    Form("Databricks token", "dapi dkea dose", "0-9a-f-", 32, "gitleaks databricks-api-token", whole=32),
    Form("SendGrid key", r"SG\.", DOTTED, 60, "gitleaks sendgrid-api-token", whole=66),
    Form("Brevo key", "xkeysib-", URL, 70, "gitleaks sendinblue-api-token"),
    Form("Mailgun key", "key-", "0-9a-z", 32, "gitleaks mailgun-private-api-token", 32),
    Form("Mailchimp key", r"[0-9a-f]{32}-us", "0-9", 1, "gitleaks mailchimp-api-key", mark="-us"),
    Form("Doppler token", r"dp\.[a-z]{2,5}\.", DOTTED, 36, "trufflehog doppler"),
    Form("Tailscale key", "tskey-[a-z]{3,10}-", URL, 16, "trufflehog tailscale"),
    Form("Pulumi token", "pul-", "0-9a-f", 40, "gitleaks pulumi-api-token", 40),
    Form("Sentry token", "sntry[a-z]_", BASE64, 40, "gitleaks sentry-org-token, sentry-user-token", whole=64),
    Form("Grafana token", "glsa_ glc_", BASE64, 30, "gitleaks grafana-service-account-token, grafana-cloud-api-token"),
    Form("Grafana key", "eyJrIjoi", BASE64, 60, "gitleaks grafana-api-key"),
    Form("Dynatrace token", r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.", UPPER, 60, "kingfisher dynatrace"),
    Form("LaunchDarkly key", "sdk- mob- api-", "0-9a-f-", 36, "trufflehog launchdarkly", 36),
    Form("Shopify token", "shp(?:at|ca|pa|ss)_", HEX, 30, "gitleaks shopify-access-token", whole=32),
    Form("Square token", "sq0[a-z]{3}- EAAA", URL, 22, "gitleaks square-access-token"),
    Form("Facebook token", "EAA[A-Z]", LETTERS, 60, "gitleaks facebook-page-access-token"),
    Form("Twilio key", "SK", HEX, 32, "gitleaks twilio-api-key", 32),
    Form("Telegram token", r"\d{8,10}:A", URL, 34, "gitleaks telegram-bot-api-token", 34, mark=":A"),
    Form("Notion token", "ntn_ secret_", LETTERS, 40, "gitleaks notion-api-token; trufflehog notion"),
    Form("Linear key", "lin_(?:api|oauth)_", LETTERS, 40, "gitleaks linear-api-key", whole=40),
    Form("Figma token", "fig[dpour]{1,2}_", URL, 40, "trufflehog figmapersonalaccesstoken; kingfisher figma"),
    Form("Airtable token", r"pat[A-Za-z0-9]{14}\.", "0-9a-z", 62, "kingfisher airtable"),
    Form("HubSpot token", "pat-[a-z]{2}\\d-", "0-9A-Za-z-", 36, "trufflehog hubspotapikey", 36),
    Form("Harness token", r"pat\. sat\.", DOTTED, 60, "gitleaks harness-api-key"),
    Form("Postman key", "PMAK-", "0-9a-zA-Z-", 58, "gitleaks postman-api-token"),
    Form("PlanetScale token", "pscale_[a-z]{2,5}_", DOTTED, 30, "gitleaks planetscale-api-token"),
    Form("Supabase token", "sbp_", LETTERS, 40, "trufflehog supabasetoken"),
    Form("Fly token", r"fo1_ fm\d[a-z]?_", BASE64, 40, "gitleaks flyio-access-token"),
    Form("Netlify token", "nfp_", LETTERS, 36, "trufflehog netlify", whole=36),
    Form("Heroku key", "HRKU-", URL, 36, "gitleaks heroku-api-key-v2"),
    Form("Alibaba key id", "LTAI", LETTERS, 12, "gitleaks alibaba-access-key-id"),
    Form("Yandex key", "AQVN YC[A-Z]", URL, 35, "gitleaks yandex-api-key, yandex-aws-access-token"),
    Form("CircleCI token", "CCI(?:PAT|PRJ)_", WORD, 40, "trufflehog circleci"),
    Form("Buildkite token", "bkua_", LETTERS, 40, "trufflehog buildkite", 40),
    Form("Bannerbear key", "bb_(?:pr|ma)_", HEX, 30, "trufflehog bannerbear"),
    Form("Sonar token", "sq[aup]_", LETTERS, 40, "kingfisher sonarqube", 40),
    Form("Snyk token", r"snyk_[a-z]{3}\.", DOTTED, 30, "kingfisher snyk"),
    Form("Sourcegraph token", "sg[pdt]_ slk_", WORD, 40, "gitleaks sourcegraph-access-token"),
    Form("Prefect key", "pn[ub]_", LETTERS, 36, "gitleaks prefect-api-token", 36),
    Form("Infracost key", "ico-", LETTERS, 32, "gitleaks infracost-api-token", 32),
    Form("Rootly key", "rootly_", HEX, 64, "trufflehog rootly"),
    Form("Robinhood key", "rh-api-", "0-9a-fA-F-", 36, "trufflehog robinhoodcrypto", 36),
    Form("1Password token", "ops_eyJ", BASE64, 60, "gitleaks 1password-service-account-token"),
    Form("1Password key", r"A3-[A-Z0-9]{6}-", "A-Z0-9-", 20, "gitleaks 1password-secret-key"),
    Form("Age key", "AGE-(?:SECRET-KEY|PLUGIN-[A-Z0-9]{1,20})-1", UPPER, 40, "gitleaks age-secret-key", whole=58),
    Form("Octopus key", "API-", UPPER, 26, "gitleaks octopus-deploy-api-key", 26),
    Form("Contentful token", "CFPAT-", URL, 40, "kingfisher contentful"),
    Form("OpenShift token", "sha256~", URL, 43, "gitleaks openshift-user-token", 43),
    Form("Okta token", "00", URL, 40, "gitleaks okta-access-token", 40),
    Form("Salesforce token", "00[A-Za-z0-9]{13}!", DOTTED, 80, "trufflehog salesforce"),
    Form("Zoho token", r"1000\.[0-9a-f]{32}\.", "0-9a-f", 32, "kingfisher zohocrm", 32),
    Form("EasyPost key", "EZ[AT]K", LETTERS, 54, "gitleaks easypost-api-token"),
    Form("Shippo token", "shippo_(?:live|test)_", HEX, 40, "gitleaks shippo-api-token"),
    Form("Duffel token", "duffel_(?:live|test)_", BASE64, 40, "gitleaks duffel-api-token"),
    Form("Adobe secret", "p8e-", LETTERS, 32, "gitleaks adobe-client-secret", 32),
    Form("Frame.io token", "fio-u-", BASE64, 60, "gitleaks frameio-api-token"),
    Form("ReadMe key", "rdme_", LETTERS, 60, "gitleaks readme-api-token"),
    Form("Typeform token", "tfp_", DOTTED, 40, "gitleaks typeform-api-token"),
    Form("SettleMint token", "sm_[aps]at_", LETTERS, 16, "gitleaks settlemint-application-access-token"),
    Form("MaxMind key", "[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mm", "k", 1, "gitleaks maxmind-license-key", 1, mark="_mmk"),
    Form("ClickHouse key", "4b1d", LETTERS, 38, "gitleaks clickhouse-cloud-api-secret-key", 38),
    Form("Flutterwave key", "FLWSECK(?:_TEST)?-", "a-zA-Z0-9-", 12, "gitleaks flutterwave-secret-key"),
    Form("Dropbox token", r"sl\.", BASE64, 130, "gitleaks dropbox-short-lived-api-token"),
    Form("Jenkins token", "11", "0-9a-f", 32, "Jenkins core: ApiTokenStore", 32),
    Form("JSON web token", "eyJ", DOTTED, 24, "RFC 7519, RFC 7516"),
)

_CLOCK = (
    r"[^\n│┃]{0,80}?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9}+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?\]?[ \t]++"
    r"(?:-[ ][\w.]{1,30}+[ ]){0,4}(?:-[ ])?(?:[0-9]{2}[OE][ +])?(?:##\[\w{1,12}\])?"
)
_JOINT = (
    rf"(?:(?:\r?\n|\\n)(?:[^\n│┃]{{0,80}}+[│┃][│┃|> \t]*+(?:{_CLOCK})?|(?:{_CLOCK}){{1,2}}|[ \t]*+(?:[|>]++[ \t]*+)?))"
)
_PIECE = rf"""[A-Za-z0-9_+/=.%~-]++{END}"""
_AFTER_OTHERS = r"(?<![A-Za-z0-9])"
_AFTER_SIGNS = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-F][0-9A-F])|(?<=[0-9;]m))"
"""Nothing of the same word: a line break that is spelled out, a character in percents and a colour are none."""


@cache
def _compiled(places: Sequence[int], before: str) -> tuple[re.Pattern[str], Sequence[int]]:
    """A pattern for all these rows, by their first character: at most places one look is enough.

    It is made where it is needed first: it takes a tenth of a second, for which a command line need not wait.
    An empty group marks where a token's beginning ends; its number tells the row. All characters that there are are
    taken, so that no run of them is read twice. If there are few, the rest has to begin the next line.
    """
    by_first: dict[str, list[str]] = {}
    ways = [(begins, place) for place in places for begins in FORMS[place].begins.split()]
    ways.sort(key=lambda way: way[0][0])
    for begins, place in ways:
        row, cut = FORMS[place], 0 if FORMS[place].mark else 1
        body = f"[{row.goes_on}]"
        broken = rf"(?={_JOINT}[A-Za-z0-9_+/=.%~-]{{{min(max(row.least - 7, 9), 16)}}})"
        rest = rf"()(?:{body}{{{min(row.least, 8)},}}+|{body}*+{broken})"
        by_first.setdefault(begins[:cut], []).append(f"{begins[cut:]}{rest}")
    looks = "|".join(f"{first}(?:{'|'.join(rows)})" for first, rows in by_first.items())
    return re.compile(f"{before}(?:{looks})"), tuple(place for _, place in ways)


_FIXED = tuple(place for place, row in enumerate(FORMS) if not row.mark)


def _beginnings(before: str) -> re.Pattern[str]:
    """Finds where one of the rows may begin, no later than their own pattern, and is made in a fiftieth of its time."""
    by_first: dict[str, list[str]] = {}
    for begins in sorted(begins for place in _FIXED for begins in FORMS[place].begins.split()):
        by_first.setdefault(begins[:1], []).append(begins[1:])
    looks = "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in by_first.items())
    return re.compile(rf"{before}(?:{looks})(?:[A-Za-z0-9_+/=.%~-]{{8}}|[A-Za-z0-9_+/=.%~-]*+(?:\r?\n|\\n))")


_BEGINNINGS_AFTER_SIGNS = _beginnings(_AFTER_SIGNS)
_BEGINNINGS_AFTER_OTHERS = _beginnings("[^A-Za-z0-9]")
"""For a text with a blank before it: a search that has to find one such sign jumps over words."""
_HEADED = tuple((row.mark, (place,)) for place, row in enumerate(FORMS) if row.mark)
_NEXT = re.compile(f"({_JOINT})({_PIECE})")


_SHORTEST = 13


def without_tokens(text: str) -> str:
    """The text with a mark in the place of each token that its form shows."""
    if len(text) < _SHORTEST:
        return text
    if not text.isascii() and ("│" in text or "┃" in text):
        text = _without_broken_beginnings(text)
    if "\\" in text or "%" in text or "\x1b" in text:
        before, begins = _AFTER_SIGNS, _BEGINNINGS_AFTER_SIGNS.search(text)
    else:
        before, begins = _AFTER_OTHERS, _BEGINNINGS_AFTER_OTHERS.search(f" {text}")
    if begins is not None:
        text = _without(text, _compiled(_FIXED, before), begins.start())
    for mark, places in _HEADED:
        if mark in text:
            text = _without(text, _compiled(places, _AFTER_SIGNS))
    return text


def _without(text: str, look: tuple[re.Pattern[str], Sequence[int]], begin: int = 0) -> str:
    pattern, places = look
    first = pattern.search(text, begin)
    if first is None:
        return text
    done, copied, left = list[str](), 0, MOST
    place: int | None = first.start()
    while place is not None:
        matches, place = pattern.finditer(text, place), None
        for found in matches:
            group = found.lastindex or 1
            end = found.end()
            row, token = FORMS[places[group - 1]], text[found.end(group) : end]
            if text.startswith(_BREAKS, end):
                left -= 1
                if left < 0:
                    return "".join([*done, text[copied : found.start()], REST])
                end, token = _whole(row, token, text, end)
            if text[end : end + 1].isalnum():
                continue
            bare = token.rstrip(".-") if row.goes_on == DOTTED else token
            if len(bare) < row.least or 0 < row.most < len(bare) or not _is_issued(row, bare):
                continue
            left -= 1
            if left < 0:
                return "".join([*done, text[copied : found.start()], REST])
            done += (text[copied : found.start()], f"[{row.kind} removed]")
            copied = end - len(token) + len(bare)
            if end > found.end():
                place = copied
                break
    return "".join([*done, text[copied:]]) if done else text


_BROKEN = re.compile(r"\r?\n[^\n│┃]{0,80}+[│┃][│┃|> \t]*+(?P<rest>[A-Za-z0-9_.+/=-]{12,}+)")
_BEGINNING = string.ascii_letters + string.digits + "_.-"
_LONGEST_BEGINNING = 40


def _without_broken_beginnings(text: str) -> str:
    """Without the tokens of which a frame broke the very beginning in two: the joined lines show them."""
    done, copied = list[str](), 0
    for broken in _BROKEN.finditer(text):
        line = text[max(copied, broken.start() - _LONGEST_BEGINNING - 1) : broken.start()]
        begins = line[len(line.rstrip(_BEGINNING)) :]
        whole = begins + broken["rest"]
        if not 0 < len(begins) <= _LONGEST_BEGINNING or _BEGINNINGS_AFTER_OTHERS.search(f" {whole}") is None:
            continue
        pattern, places = _compiled(_FIXED, _AFTER_OTHERS)
        for found in pattern.finditer(whole):
            group = found.lastindex or 1
            row, token = FORMS[places[group - 1]], found.string[found.end(group) : found.end()]
            fits = row.least <= len(token) and not 0 < row.most < len(token) and _is_issued(row, token)
            if found.start() < len(begins) < found.end(group) and fits:
                done += (text[copied : broken.start() - len(begins) + found.start()], f"[{row.kind} removed]")
                copied = broken.start("rest") + found.end() - len(begins)
                break
    return "".join([*done, text[copied:]]) if done else text


_BREAKS = ("\n", "\r\n", "\\n")


def _whole(row: Form, token: str, text: str, end: int) -> tuple[int, str]:
    """Where the token ends, with what the next lines begin with, and all of it."""
    previous = len(token)
    while more := _NEXT.match(text, end):
        is_framed, piece = any(sign in more[1] for sign in "│┃|>"), more[2]
        if re.fullmatch(f"[{row.goes_on}]++", piece) is None:
            break
        if len(token) < row.least:
            # all rows but the last are filled, and hardly ever is a token broken right behind its beginning
            is_last = len(token) + len(piece) >= row.least and ((is_framed and previous >= _FEW) or is_piece(piece))
            goes_on = is_last or len(piece) >= _FILLS
        elif len(token) < row.whole == len(token) + len(piece):
            goes_on = True
        else:
            is_broken = is_framed or previous >= _FILLED
            is_rest = is_piece(piece) or (is_framed and not piece[1:].islower() and _fills_line(text, end))
            goes_on = not row.most and is_broken and is_rest
        if not goes_on:
            break
        end, token, previous = more.end(), token + piece, len(piece)
    return end, token


def _fills_line(text: str, end: int) -> bool:
    """Whether the line that ends here is as wide as a terminal: what follows in the next one was one word with it."""
    return text.rfind("\n", max(0, end - _WIDTH), end) < 0


_WIDTH = 76
_FEW, _FILLS, _FILLED = 4, 16, 56
"""Characters: of a token before its first break, of a row that it fills, and of one that it fills of a console."""


def _is_issued(row: Form, token: str) -> bool:
    """Whether a machine made it: with digits, or with upper and lower case; some kinds have more to show."""
    match row.kind:
        case "AWS key id" | "GitHub token":
            return True
        case "Yandex key" | "Alibaba key id" | "Artifactory key" | "AWS key":  # a request's ID may begin so
            return any(map(str.islower, token)) and any(map(str.isdigit, token))
        case "JSON web token":
            return "." in token
        case _:
            return any(map(str.isdigit, token)) or (token != token.lower() and token != token.upper())


_INSIDE = (
    ("Azure DevOps token", "AZDO", r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}", "kingfisher azuredevops"),
    ("Azure client secret", "Q~", r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}", "gitleaks azure-ad-client-secret"),
    ("Azure key", "+ASt", r"[A-Za-z0-9+/]{76,78}\+ASt[A-Za-z0-9+/]{5,6}==", "Azure Storage, as issued"),
    ("Azure key", "+ACR", r"[A-Za-z0-9+/]{42}\+ACR[A-Za-z0-9]{6}", "trufflehog azurecontainerregistry"),
    ("password hash", "$", r"\$(?:apr1|1|2[abxy]|5|6|y|argon2id?)\$[A-Za-z0-9./$=,+]{20,}+", "crypt(5)"),
    # no mark: 52 letters and digits of one kind, which nothing else has
    ("Azure DevOps token", "", r"(?=[a-z]{0,51}[2-7])[a-z2-7]{52}", "learn.microsoft.com: tokens before 2025"),
)
_MARKED = tuple(
    (f"[{kind} removed]", mark, re.compile(rf"(?<![A-Za-z0-9+/_~.-])(?:{pattern})(?![A-Za-z0-9+/=_~-])"))
    for kind, mark, pattern, _ in _INSIDE
)
_SHARED = re.compile(r"_[A-Za-z0-9]{32,}+(?![A-Za-z0-9_+/=-])")
"""The shape that issuers have in common: a few words in lower case, an underscore, random letters of all kinds."""
_BASE32_RUN = b"a" * 52
_AS_RUNS = bytes(97 if chr(code) in "abcdefghijklmnopqrstuvwxyz234567" else 32 for code in range(256))


def without_marked(text: str) -> str:
    """The text without tokens that their content shows."""
    if len(text) < _SHARED_LEAST:
        return text
    for put, mark, pattern in _MARKED:
        if mark in text if mark else _has_base32_run(text):
            text = pattern.sub(put, text)
    if _KEY_ID in text:
        text = _BESIDE_ID.sub(r"\1[AWS key removed]", text)
    return _SHARED.sub(_shared, text) if "_" in text else text


_KEY_ID = "[AWS key id removed]"
_BESIDE_ID = re.compile(
    rf"({re.escape(_KEY_ID)}[^\n]{{0,120}}?[\s,;|])(?![0-9a-f]{{40}})[A-Za-z0-9/+]{{40}}(?![A-Za-z0-9/+=])"
)
"""A secret key in the line of its id, as `aws sts` and the console's CSV have it."""


def _has_base32_run(text: str) -> bool:
    return len(text) >= len(_BASE32_RUN) and _BASE32_RUN in text.encode("latin-1", "replace").translate(_AS_RUNS)


_SHARED_LEAST = 33


def _shared(found: re.Match[str]) -> str:
    token, before = found[0], found.string[max(0, found.start() - 12) : found.start()]
    kinds = (any(map(kind, token)) for kind in (str.isdigit, str.isupper, str.islower))
    return "_[token removed]" if all(kinds) and _WORDS_BEFORE.search(before) else token


_WORDS_BEFORE = re.compile(r"(?:\A|[^A-Za-z0-9_])[a-z][a-z0-9]{0,9}(?:_[a-z]{1,8})?\Z|[a-z]{2,8}_[a-z]{1,8}\Z")
