"""How long redaction takes: of a fact of every day, of a long message, and of 1 MiB of what is worst for it."""

from __future__ import annotations

from statistics import median
from typing import Any

import pytest

from bot.core.record.redact import redact
from tests.worlds.own_time import processor_seconds

pytestmark = pytest.mark.bench

ROUNDS = 5
MEBIBYTE = 2**20
FACTS = (
    "acme-tfstate/environments/production/terraform.tfstate",
    "runner@fv-az1-1",
    "097f0e45-7bd5-49d7-8fd2-57d7844e60c4",
    "The lock of staging was released",
    "https://github.com/acme/infra/actions/runs/11900000002/job/32871",
    "apply on main by parker: Merge pull request #12 from acme/fix-tokens",
)
LOG = "│ Error: Error acquiring the state lock\n│ ConditionalCheckFailedException: The conditional request failed\n"
MIXTURES = (  # the worst of some hundred random ones, before and after they were made faster
    "Alogin x password ?Q~pw${htpasswd -b cookie: \tsecret: a://b:c@&key=a1a://b:c@pw:",
    (
        "Atokenkind: Secret\nx-amz-signaturemysql -p---openssl -k Q~kind: Secret<<EOTeyJa-passworddata:&--token a "
        'MIIEowIBAAKCAQEAxoxb-1234\nsk-"-\\n ---\n</a://b:c@│ password ║ -----END PRIVATE] KEY-----cookie: 11xoxb-'
    ),
    (
        'a://b:c@--token axoxb-1234\n │ kind: Secretpwd=abcdef nullapi_ke\tyhtpasswd -b "sensitive":true,-----BEGIN '
        "htpasswd -b siga://b:c@-----END PRIVATE KEY-----with password a1 \r\nbearer ?\npassworda-\\var.xdocker loa b"
    ),
)
WORST = (
    *MIXTURES,
    *("a", " ", "-", "│ ", "a b ", "token", "token=a ", "pwd=abcdef ", "secret: ", 'password="', "password: ${"),
    *('password="a" -> ', "key=a1", "--token a ", "-----BEGIN ", "-----END RSA PRIVATE KEY-----\n", "eyJa-", "sk-\n"),
    *("a://b:c@", "authorization: token ", "curl -u a:b\n", "mysql -p", "password: |\n a\n", "kind: Secret\n", "a1Q~"),
    *("xoxb-1234\n", "htpasswd -b ", "echo x | docker login --password-stdin"),
    '"sensitive":true,-----BEGIN htpasswd -b siga://b:c@-----END PRIVATE KEY-----',
    *("theu:aB3dE?5gH@h Au:aB3dE5gH@h ", "token a1b2c3d4 ", "| password | x |\n", "a | token\n---|---\n"),
)


async def test_facts_and_messages_and_the_worst(bench: Any) -> None:
    async def seconds(text: str, times: int = 1) -> float:
        return processor_seconds(lambda: [redact(text) for _ in range(times)]) / times

    async def fact() -> float:
        return sum([await seconds(text, 500) for text in FACTS]) / len(FACTS)

    message = (LOG * 100)[:10_000]
    found = await bench.in_turns(ROUNDS, fact=fact, message=lambda: seconds(message, 10))
    texts = {piece: (piece * (MEBIBYTE // len(piece) + 1))[:MEBIBYTE] for piece in WORST}
    worst = {piece: min([await seconds(text) for _ in range(3)]) for piece, text in texts.items()}
    piece = max(worst, key=worst.__getitem__)

    bench.compared(
        "redact: a fact and a message of 10,000",
        f"{found.best('fact') * 1e6:.1f} µs and {found.best('message') * 1e6:.0f} µs",
        ratio=f"{found.best('message') / found.best('fact'):.0f} times",
        target="-",
    )
    bench.compared(
        "redact: 1 MiB of each of the worst",
        f"{median(worst.values()) * 1e3:.0f} ms in the middle, {worst[piece] * 1e3:.0f} ms of {piece!r}",
        ratio="",
        target="<= 200 ms",
    )
    quarter = (piece * (MEBIBYTE // len(piece) + 1))[: MEBIBYTE // 4]
    growth = worst[piece] / min([await seconds(quarter) for _ in range(ROUNDS)])
    bench.compared(
        "redact: 1 MiB of the worst and a quarter of it", repr(piece), ratio=f"{growth:.1f} times", target="4"
    )
    assert growth < 4 * 4
    assert all(redact((piece * 3_000)[:6_000]) != piece * 3_000 for piece in ("pwd=abcdef ", "token=abcd "))
