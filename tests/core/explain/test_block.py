"""The block of a lock, in all the ways in which people and programs hand it on."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from bot.core.explain.block import lock_in
from bot.core.explain.decode import lines_of, text_of
from tests.worlds.terraform_says import Lock, lock_block

LOCK = Lock()
HEAD = "Error: Error acquiring the state lock\n\nError message: the conditional request failed\n"
BLOCK = lock_block(LOCK)
ERROR = HEAD + BLOCK
FIELDS = BLOCK.splitlines()[1:-1]
PAIRS = [tuple(part.strip() for part in line.split(":", 1)) for line in FIELDS]


def each(form, text=ERROR):
    return "\n".join(form.format(line=line, n=number) for number, line in enumerate(text.splitlines(), 95))


def cut_at(width, text=ERROR):
    """As a terminal breaks lines, in the middle of words."""
    return "\n".join(line[i : i + width] for line in text.splitlines() for i in range(0, max(len(line), 1), width))


def changed(**fields):
    return Lock(**{**LOCK.__dict__, **fields})


WRITTEN = {
    "as Terraform does": ERROR,
    "with tabs": ERROR.replace("  ", "\t"),
    "with blanks that do not break": ERROR.replace("  ", "\u00a0\u00a0"),
    "with blank lines between": ERROR.replace("\n", "\n\n"),
    "with another line between": ERROR.replace("  Operation", "aws_x.y: Still creating... [10s elapsed]\n  Operation"),
    "bold keys": "**Lock Info:**\n\n" + "\n".join(f"* **{key}**: {value}" for key, value in PAIRS),
    "bold keys and colons": "**Lock Info:**\n" + "\n".join(f"- **{key}:** `{value}`" for key, value in PAIRS),
    "code": HEAD + "Lock Info:\n" + "\n".join(f"  {key}: `{value}`" for key, value in PAIRS),
    "a table": "| Lock Info: | |\n|---|---|\n" + "\n".join(f"| {key}: | {value} |" for key, value in PAIRS),
    "on one line": " ".join(ERROR.split()),
    "on one line with semicolons": HEAD.replace("\n", " ")
    + "Lock Info: "
    + "; ".join(": ".join(pair) for pair in PAIRS),
    "cut at 50": cut_at(50),
    "cut at 60 in a frame": "\n".join(f"│ {line}" for line in cut_at(60).splitlines()),
    "with a bar": each("| {line}"),
    "with question marks": each("? {line}"),
    "with line numbers": each("{n}\t{line}"),
    "with columns": each("2026-11-21 22:50:00 | ERROR | {line}"),
    "with a level": each("ERROR {line}"),
    "with a level that is a field's name": each("Info: {line}"),
    "as a removed line": each("-{line}"),
    "quoted twice": each(">> {line}"),
    "of stern": each("tf-5fd5f-x9 \u203a terraform {line}"),
    "in spans": each('<span class="term-fg-l-red">{line}</span>'),
    "in JSON with a message": "\n".join(json.dumps({"message": line, "level": "error"}) for line in ERROR.splitlines()),
    "in JSON of Google's": json.dumps([{"textPayload": line} for line in ERROR.splitlines()], indent=1),
    "in JSON of Loki's": json.dumps({"streams": [{"values": [["1", line] for line in ERROR.splitlines()]}]}),
    "in JSON in JSON": json.dumps({"Type": "Notification", "Message": json.dumps({"error": ERROR})}),
    "in YAML": f'error: "{ERROR}"'.replace("\n", "\\n"),
    "in XML": f'<failure message="{ERROR}"/>'.replace("\n", "&#10;"),
    "in a URL": quote(ERROR),
    "of TeamCity": f"##teamcity[message text='{ERROR}' status='ERROR']".replace("\n", "|n"),
    "without its first line": "who is this?\n" + "\n".join(FIELDS),
    "read twice in the wrong encoding": each("│ {line}")
    .encode()
    .decode("cp1252", "replace")
    .encode()
    .decode("cp1252", "replace"),
    "in code page 850": each("│ {line}").encode().decode("cp850"),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_block_is_read_however_it_is_written(written):
    lock = lock_in(lines_of(written)[0])
    assert (lock.id, lock.path, lock.operation) == (LOCK.id, LOCK.path, LOCK.operation)
    assert (lock.who, lock.version) == (LOCK.who, LOCK.version)
    assert lock.created.isoformat() == "2026-11-21T22:41:43.311804+00:00"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "latin-1"])
def test_a_block_is_read_in_each_encoding(encoding):
    assert lock_in(lines_of(text_of(ERROR.encode(encoding)))[0]).who == LOCK.who


@pytest.mark.parametrize(
    ("written", "who"),
    [
        ("ACME\\parker@LAPTOP-9", "ACME\\parker@LAPTOP-9"),
        ("Parker P. Example@LAPTOP-9", "Parker P. Example@LAPTOP-9"),
        ("@terraformer-6965b5fbc-cvzn6", "@terraformer-6965b5fbc-cvzn6"),
        ("root@", "root@"),
        ("j\u00fcrgen@b\u00fcro-3", "j\u00fcrgen@b\u00fcro-3"),
        ("somebody", "somebody"),
        ("<mailto:elliott@mac-6.acme.example|elliott@mac-6.acme.example>", "elliott@mac-6.acme.example"),
        ("[elliott@mac-6](mailto:elliott@mac-6)", "elliott@mac-6"),
        ("[elliott@mac-6|mailto:elliott@mac-6]", "elliott@mac-6"),
        ("elliott@mac-6 <mailto:elliott@mac-6>", "elliott@mac-6"),
        ("runner@x + export AWS_SECRET_ACCESS_KEY=hsvYzVh5hD4nA9KERftyFRF5", "runner@x"),
        ("export TOKEN=abc", ""),
    ],
)
def test_the_holder_ends_with_their_host(written, who):
    assert lock_in(lines_of(HEAD + lock_block(changed(who=written)))[0]).who == who


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-11-21 22:41:43 +0000 UTC", "2026-11-21T22:41:43+00:00"),
        ("2026-11-21 17:41:43.5 -0500 EST", "2026-11-21T22:41:43.500000+00:00"),
        ("2026-11-22 04:11:43.5 +0530 IST", "2026-11-21T22:41:43.500000+00:00"),
        ("2026-11-21 22:41:43.5 +0000 UTC m=+0.123", "2026-11-21T22:41:43.500000+00:00"),
        ("2026-11-21T22:41:43Z", "2026-11-21T22:41:43+00:00"),
        ("<tel:20261121|2026-11-21> 22:41:43.5 +0000 UTC", "2026-11-21T22:41:43.500000+00:00"),
        ("2026-11-21 22:41:43", None),
        ("yesterday", None),
    ],
)
def test_an_instant_is_read_only_with_its_zone(written, at):
    created = lock_in(lines_of(HEAD + lock_block(changed(created=written)))[0]).created
    assert (None if created is None else created.isoformat()) == at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Lock Info:",
        "ID: sg-1\nPath: /service-role/",
        "  ID:   x\n  Who: me",
        '{"LockID": {"S": "acme/x-md5"}, "Digest": {"S": "d41d8cd98f00b204e9800998ecf8427e"}}',
        '{"ID": "i-1", "Path": "/", "Operation": "RunInstances"}',
        "Operation: OperationTypeApply\nWho: a@b\nID: 1",
        *("eyJJRCI6" + "a" * length for length in range(40, 48)),
        "aeyJJRCI6" * 900,
    ],
)
def test_what_is_no_block_is_no_lock(text):
    assert lock_in(lines_of(text)[0]) is None
