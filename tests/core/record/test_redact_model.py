"""A model writes secrets into all that Terraform and its surroundings print, and looks for what is left of them.

It knows the issuers' formats and the places by lists of its own, and nothing of the tables that are judged.
"""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.record.redact import redact

HEX, LOWER, UPPER = "0123456789abcdef", string.ascii_lowercase, string.ascii_uppercase
ALNUM, CAPITAL = string.ascii_letters + string.digits, string.ascii_uppercase + string.digits
URL = ALNUM + "_-"
FORMATS = {
    "GitHub": ("gh" + "p_", ALNUM, 36),
    "GitHub app": ("gh" + "s_", ALNUM, 36),
    "GitLab": ("gl" + "pat-", URL, 20),
    "GitLab trigger": ("gl" + "ptt-", HEX, 40),
    "AWS": ("AK" + "IA", UPPER + "234567", 16),
    "npm": ("np" + "m_", ALNUM, 36),
    "Vault": ("hv" + "s.", URL, 95),
    "DigitalOcean": ("dop" + "_v1_", HEX, 64),
    "Google": ("AI" + "za", URL, 35),
    "Atlassian": ("ATATT" + "3xFfGF0", URL, 170),
    "Docker": ("dckr" + "_pat_", URL, 27),
    "Grafana": ("gl" + "sa_", ALNUM, 41),
    "Sentry": ("sntry" + "u_", HEX, 64),
    "Shopify": ("shp" + "at_", HEX, 32),
    "age": ("AGE-SECRET-" + "KEY-1", CAPITAL, 58),
    "New Relic": ("NR" + "AK-", CAPITAL, 27),
    "Databricks": ("da" + "pi", HEX, 32),
    "Pulumi": ("pu" + "l-", HEX, 40),
    "Linear": ("lin" + "_api_", ALNUM, 40),
    "PyPI": ("py" + "pi-AgEIcHlwaS5vcmc", URL, 90),
    "OpenAI": ("sk" + "-proj-", URL, 80),
}
NAMES = (
    "password",
    "db_password",
    "PGPASSWORD",
    "TF_VAR_admin_password",
    "client_secret",
    "ARM_CLIENT_SECRET",
    "clientSecret",
    "secret_key",
    "AWS_SECRET_ACCESS_KEY",
    "api_key",
    "apiKey",
    "token",
    "GITHUB_TOKEN",
    "access_token",
    "master_password",
    "AccountKey",
    "passphrase",
    "dbPassword",
    "app_key",
    "CONSUL_HTTP_TOKEN",
    "administrator_login_password",
)
PLAIN = (
    "{name}={s}",
    "export {name}={s}",
    "{name}: {s}",
    "{name} = {s}",
    "-var '{name}={s}'",
    "--set a.{name}={s}",
    "({name}={s})",
    "https://h.example/p?{name}={s}&x=1",
    "a;{name}={s};b=c",
    "--{name} {s} --x",
    "--{name}={s} --x",
    "{name}={s}\nPATH=/usr/bin",
    "`{name}={s}`",
    "{name}%3D{s}",
    "- {name}={s}",
    "map[{name}:[{s}]]",
    "<{name}>{s}</{name}>",
)
QUOTED = (
    '{name} = "{s}"',
    '  + {name}                 = "{s}"',
    '  ~ {name} = "{s}" -> "{t}"',
    '  - {name} = "{s}" -> null',
    '  ~ {name} = (sensitive value) -> "{s}"',
    '  ~ {name} = "{s}" -> (known after apply)',
    '  ~ {name} = "{s}"\n      -> "{t}"',
    '{{"a":1,"{name}":"{s}","b":2}}',
    '{{"name":"{name}","value":"{s}"}}',
    '- name: {name}\n  value: "{s}"',
    "{name}: '{s}'",
    '{{"name": "{name}",\n  "value": "{s}"}}',
    '"{name}" = "{s}"',
    'os.environ["{name}"] = "{s}"',
    '{name}: "{s}" => "{t}"',
    "{name} = <<EOT\n{s}\nEOT",
    "{name} = <<-END\n    {s}\n  END",
)
TYPED = (
    "curl -u ci:{s} https://x",
    "curl -s --user 'ci:{s}' https://x",
    "docker login -u x -p {s} r.io",
    "sshpass -p {s} ssh x",
    "az login --service-principal -u x -p {s} --tenant y",
    "mysql -uroot -p{s} x",
    "redis-cli -a {s} ping",
    "Authorization: Bearer {s}",
    "authorization: token {s}",
    '-H "X-Auth-Token: {s}"',
    "PRIVATE-TOKEN: {s}",
    "Cookie: sid={s}; a=b",
    "https://u:{s}@h.example/x",
    "postgres://tf:{s}@db:5432/x?sslmode=disable",
    "echo {s} | docker login --password-stdin",
)
BARE = (
    "{s}",
    "remote: {s} was refused",
    '"{s}"',
    "x={s}",
    "https://{s}@github.com/x",
    "({s})",
    "\\n{s}\\n",
    "{s}, {s}.",
    "\x1b[31m{s}\x1b[0m",
    "a?b={s}&c",
    "<{s}>",
    "*{s}*",
)
HARMLESS = (
    "6638e2a1-8b2c-4b5a-9d2c-0f6d4d9e5f11",
    "1fbce12a4d7231c08238db33f237d58988b50c1e",
    "runner@fv-az881-525",
    "arn:aws:iam::123456789012:role/terraform-apply",
    "password = (sensitive value)",
    "token = var.x",
    "serial: 42",
    "h1:DEckuT9GRn6wpFufmdMWdKkXGnJv+7lfJcNnhRE8vcw=",
    "2026-11-21T22:41:43.311804893Z",
    "i-8a856af3fd976412c",
    'ETag: "d41d8cd98f00b204e9800998ecf8427e"',
    "RequestID: KK2OFQZRER764LPJKLGFXI83AB1VZLY4E51MXOU5OHMMQWSIEA4H",
    "Error: Error acquiring the state lock",
    "docker run -p 8080:80 -u 1000:1000 app",
    "PASSWORD=***",
    'secret_name = "prod/db"',
)
PREFIXES = (
    "",
    "│ ",
    "> ",
    "+ ",
    "2026-11-21T22:41:43.3118048Z ",
    "[2026-11-21T22:41:43.311Z] ",
    "job\tstep\t2026-11-21T22:41:43.31Z ",
    "web-1  | ",
    "##[error]",
)


def made_of(alphabet, least, most):
    """What a machine makes: with a digit and a letter, and neither end a sign."""
    letters = st.text(alphabet, min_size=least - 3, max_size=most - 3)
    ends = [character for character in alphabet if character.isalpha()]
    return st.builds("{0}{1}7{2}".format, st.sampled_from(ends), letters, st.sampled_from(ends))


issued = st.sampled_from(sorted(FORMATS)).flatmap(
    lambda name: made_of(FORMATS[name][1], FORMATS[name][2], FORMATS[name][2]).map(FORMATS[name][0].__add__)
)
plain = made_of(ALNUM + "_+-.!%^*~", 8, 24)
quoted = made_of(ALNUM + "_+-.!%^*~@:/ $&;,()[]{}<>|", 8, 24)
lines = st.lists(st.sampled_from(HARMLESS), max_size=3)
prefixes = st.sampled_from(PREFIXES)


def holds(prefix, before, core, secrets, after):
    text = "\n".join(prefix + line for line in "\n".join([*before, core, *after]).split("\n"))

    shown = redact(text)

    harmless, shown_else = text, re.sub(r"\[[A-Za-z -]+ removed\]", " ", shown)
    for secret in secrets:
        harmless = harmless.replace(secret, " ")
    parts = {secret[at : at + 6] for secret in secrets for at in range(max(1, len(secret) - 5))}
    assert not [part for part in parts if part in shown_else and part not in harmless], (text, shown)
    assert all(prefix + line in shown for line in (*before, *after)), (text, shown)
    assert redact(shown) == shown


@pytest.mark.parametrize("place", BARE)
@settings(max_examples=15)
@given(prefixes, lines, issued, lines)
def test_a_token_is_told_by_its_form_wherever_it_stands(place, prefix, before, secret, after):
    holds(prefix, before, place.format(s=secret), [secret], after)


@pytest.mark.parametrize("place", PLAIN)
@settings(max_examples=15)
@given(prefixes, lines, st.sampled_from(NAMES), plain, lines)
def test_what_stands_under_a_telling_name_is_taken_out(place, prefix, before, name, secret, after):
    holds(prefix, before, place.format(name=name, s=secret), [secret], after)


@pytest.mark.parametrize("place", QUOTED)
@settings(max_examples=15)
@given(prefixes, lines, st.sampled_from(NAMES), quoted, quoted, lines)
def test_both_halves_of_what_is_quoted_are_taken_out_whatever_signs_they_have(
    place, prefix, before, name, secret, other, after
):
    secrets = [secret, other] if "{t}" in place else [secret]
    holds(prefix, before, place.format(name=name, s=secret, t=other), secrets, after)


@pytest.mark.parametrize("place", TYPED)
@settings(max_examples=15)
@given(prefixes, lines, made_of(ALNUM, 8, 30), lines)
def test_what_is_typed_or_sent_is_taken_out(place, prefix, before, secret, after):
    holds(prefix, before, place.format(s=secret), [secret], after)


@settings(max_examples=100)
@given(st.sampled_from(["│ ", "│ │ ", "  │ "]), issued, st.integers(12, 30), st.sampled_from(["", "token ", "error: "]))
def test_a_token_that_a_frame_broke_in_two_leaves_neither_half(frame, secret, cut, before):
    cut = min(cut, len(secret) - 12)
    first, second = secret[:cut], secret[cut:]
    if not (any(map(str.isdigit, second)) and any(map(str.isalpha, second))):
        return

    shown = redact(f"{frame}{before}{first}\n{frame}{second} was refused\n{frame}on main.tf line 3")

    assert not [part for part in (secret[at : at + 6] for at in range(len(secret) - 5)) if part in shown], shown
    assert shown.endswith(f" was refused\n{frame}on main.tf line 3")


@pytest.mark.parametrize("frame", ["│ ", "> ", "2026-11-21T22:41:43.3118048Z │ "])
@pytest.mark.parametrize("left", range(1, 7))
@pytest.mark.parametrize("name", ["GitHub", "GitLab", "Google", "DigitalOcean", "AWS", "npm"])
def test_of_a_token_of_known_length_not_even_the_last_letters_are_left_in_the_next_line(name, left, frame):
    begins, alphabet, length = FORMATS[name]
    secret = begins + "".join(alphabet[(7 * place + left) % len(alphabet)] for place in range(length))

    shown = redact(f"{frame}token {secret[:-left]}\n{frame}{secret[-left:]} was refused")

    assert re.fullmatch(rf"{re.escape(frame)}token \[[^]]+ removed\] was refused", shown), shown


def test_a_line_as_wide_as_a_terminal_goes_on_in_the_next_one_and_words_stay():
    secret = "sk" + "-proj-" + "aB3dE5gH" * 9

    assert redact(f"│ Error: token {secret}\n│ XY was refused") == "│ Error: token [API key removed] was refused"
    assert redact(f"│ Error: token {secret}\n│ was refused") == "│ Error: token [API key removed]\n│ was refused"
