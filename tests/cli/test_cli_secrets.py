"""What the command line prints and logs has no secret in it, no matter who wrote it."""

import io
import json

import pytest
import structlog

from bot.app import logs
from bot.cli.explain import explain_stream
from bot.cli.frame import complain, output
from bot.core.account.ticket import ticket_of
from bot.core.account.values import FollowUp
from bot.core.phrase import Linked, Person, Quoted

TOKEN = "gh" + "s_hunter2hunter2hunter2hunter2hunter2x"
SAID = (
    f"remote: https://x-access-token:{TOKEN}@github.com/acme/infra",
    'password                = "hunter2hunter2" -> "hunter2hunter3"',
    f"│ fatal: {TOKEN[:20]}\n│ {TOKEN[20:]} was refused",
    "curl -u ci:hunter2hunter2 https://jenkins.acme.example",
)
HELD = """Error: Error acquiring the state lock

Error message: ConditionalCheckFailedException: The conditional request failed
Lock Info:
  ID:        6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42
  Path:      acme-tfstate/x/https://ci:hunter2hunter2@example.com/terraform.tfstate
  Operation: OperationTypeApply --token hunter2hunter2
  Who:       password=hunter2hunter2@fv-az881-525
  Version:   1.9.8
  Created:   2026-11-21 22:41:43.311804893 +0000 UTC
"""


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("before", SAID)
def test_explain_prints_no_secret_of_the_paste(capsys, before, as_json):
    assert explain_stream(io.BytesIO(f"{before}\n{HELD}".encode()), {}, as_json=as_json) == 0
    said = capsys.readouterr().out

    assert "hunter2" not in said
    assert "6638e4a0-7b1c-4c2e-9a51-0c8c1e6a7f42" in said
    assert "fv-az881-525" in said or "removed]" in said


@pytest.mark.parametrize("said", SAID)
def test_whatever_a_command_prints_is_redacted(capsys, said):
    output([said, "a line of its own"])
    output({"detail": said, "lock": {"password": "hunter2", "id": "6638e4a0"}})
    complain(said)

    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err
    assert "a line of its own" in printed.out
    assert '"id": "6638e4a0"' in printed.out


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("said", SAID)
def test_nothing_that_is_logged_has_a_secret(capsys, form, said):
    logs.set_up(form=form, level="info")
    structlog.get_logger().info("ci.refused", detail=said, attempt=3)

    logged = capsys.readouterr().err
    assert "hunter2" not in logged
    assert "ci.refused" in logged
    assert form == "console" or json.loads(logged)["attempt"] == 3


@pytest.mark.parametrize("said", SAID)
def test_a_ticket_is_filed_without_a_secret(said):
    parts = (said, Quoted(said), Linked(said, "https://u:hunter2hunter2@example.com/"), Person(None, said))
    ticket = ticket_of(FollowUp("key", said, parts, (parts,)), "inc-1", (("Cause", parts),), {"U1": said})

    assert "hunter2" not in repr(ticket)
    assert "removed]" in ticket.title
