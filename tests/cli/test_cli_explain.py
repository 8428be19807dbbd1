"""`explain` on the command line: standard input in, words or one JSON document out."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.explain.kinds import ErrorKind
from bot.store.connect import connect
from bot.store.embedded import redis_for
from bot.store.redis_records import RedisRecords
from tests.worlds.terraform_says import MESSAGES, print_diagnostic, print_plain

CONFIG = Path(__file__).parents[1] / "core/explain/cases_tflock.yml"
HELD = print_diagnostic(MESSAGES[0])


def explained(raw, *words, cwd, **environ):
    """Without any variable that the configuration names: `explain` asks nobody, so it needs no token."""
    path = {"PATH": os.environ["PATH"], "HOME": str(cwd)} | environ
    command = [sys.executable, "-m", "bot", "explain", *words]
    return subprocess.run(command, input=raw, capture_output=True, cwd=cwd, env=path, timeout=120, check=False)


def test_the_document_has_the_keys_of_the_contract(tmp_path):
    ended = explained(HELD.encode(), "--json", cwd=tmp_path, TFLOCK_CONFIG=str(CONFIG))
    document = json.loads(ended.stdout)

    assert ended.returncode == 0
    assert list(document) == ["kind", "lock", "state", "summary", "do", "dont", "certain"]
    assert document["kind"] in {str(kind) for kind in ErrorKind}
    assert (document["kind"], document["state"], document["certain"]) == ("held lock", "staging", True)
    assert document["lock"] == {
        "id": "6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42",
        "who": "runner@fv-az881-525",
        "operation": "OperationTypeApply",
        "created": "2026-11-21T22:41:43.311804Z",
        "version": "1.11.4",
        "path": "acme-tfstate/environments/staging/terraform.tfstate",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_standard_input_may_have_any_of_these_encodings(tmp_path, encoding):
    document = json.loads(explained(HELD.encode(encoding), "--json", cwd=tmp_path).stdout)
    assert (document["kind"], document["lock"]["who"], document["state"]) == ("held lock", "runner@fv-az881-525", None)


def test_the_words_say_what_to_do_and_what_not(tmp_path):
    told = explained(HELD.encode(), cwd=tmp_path, TFLOCK_CONFIG=str(CONFIG)).stdout.decode()

    assert told.startswith("The lock is held by another run\n\n")
    assert "What to do: /tflock status staging" in told
    assert "Don't run terraform force-unlock" in told


PATTERN = """\
states:
  "{env}":
    discover: true
    backend: {type: s3, bucket: acme-tfstate, key: "environments/{env}/terraform.tfstate", use_lockfile: true}
aws: {region: eu-west-1}
"""


@pytest.mark.parametrize("found", [True, False])
async def test_a_state_that_a_pattern_means_is_named_if_a_bot_has_found_it(tmp_path, found):
    (tmp_path / "tflock.yml").write_text(PATTERN)
    async with redis_for(None, tmp_path / "var") as url:
        keys = ["environments/staging/terraform.tfstate"] if found else []
        client = connect(url)
        await RedisRecords(client, rng=random.Random(7)).put(
            "discovered", "{env}", {"listed_as": keys, "named": keys}, ttl=timedelta(minutes=5)
        )
        await client.aclose()
        ended = await asyncio.to_thread(explained, HELD.encode(), "--json", cwd=tmp_path)

    document = json.loads(ended.stdout)
    assert document["state"] == ("staging" if found else None)
    assert ("tflock has not found it yet" in document["summary"]) is not found


def test_without_a_bot_the_pattern_that_would_mean_the_state_is_named(tmp_path):
    (tmp_path / "tflock.yml").write_text(PATTERN)
    document = json.loads(explained(HELD.encode(), "--json", cwd=tmp_path).stdout)
    assert document["state"] is None
    assert (
        "The pattern {env} would mean it, as staging. What tflock has found could not be read from Redis. "
        "tflock status staging asks the store." in document["summary"]
    )
    assert document["do"][0].startswith("/tflock status staging shows")


@pytest.mark.parametrize("raw", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_without_a_text_it_says_how_to_give_one(tmp_path, raw):
    ended = explained(raw, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"tflock explain < error.txt" in ended.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_of_a_text_that_is_too_long_both_ends_are_read_and_the_answer_is_not_certain(tmp_path, encoding):
    log = "aws_x.y: Still creating... [10s elapsed]\n" * 400_000
    saved = print_plain(next(message for message in MESSAGES if message.kind == "state not saved"))
    raw = ("\ufeff" + saved + log + HELD).encode(encoding)

    document = json.loads(explained(raw, "--json", cwd=tmp_path).stdout)

    assert (document["kind"], document["certain"]) == ("state not saved", False)
    assert "held lock" in document["summary"]
    assert "its middle was not read" in document["summary"]


def test_no_secret_of_the_paste_is_in_the_answer(tmp_path):
    token = "glpat-" + "myAcnF6qauRs8JaAjvBt"
    raw = HELD.replace("runner@fv-az881-525", f"{token}@host").replace("acme-tfstate/", f"https://x:{token}@host/")
    answer = explained(raw.encode(), "--json", cwd=tmp_path).stdout

    assert b"held lock" in answer
    assert token.encode() not in answer
