"""`status` and `who`, without Slack, without Redis, and with both."""

from datetime import UTC, datetime, timedelta

from bot.store.connect import connect
from bot.store.embedded import redis_for
from tests.worlds.proxy import Deny

WEEK = timedelta(days=7)


async def test_a_locked_state_is_told_with_its_run_and_the_checklist_and_exits_0(around, terminal):
    lock = await around.hold()

    ended = await terminal.run("status", "staging")

    assert ended.code == 0
    assert "staging is locked" in ended.out
    assert "deploy.yml" in ended.out
    assert "checks passed" in ended.out
    assert "Match: shown by the job's log or its machine (the log of job" in ended.out
    assert "tflock claim" not in ended.out
    assert "In Slack the asker must also be an eligible member" in ended.out
    assert await around.still_held(lock)


async def test_without_redis_status_answers_and_says_what_it_could_not_check(around, terminal):
    lock = await around.hold()

    ended = await terminal.run("status", "staging")

    assert ended.code == 0
    assert "the timeline (Redis) is away" in ended.out
    assert "Whether the owner has said that it is still running is not known" in ended.out
    assert not (terminal.home / "var").exists()
    assert await around.still_held(lock)


async def test_the_json_of_a_state_has_the_documented_keys(around, terminal, redis, described):
    lock = await around.hold()

    ended = await terminal.run("status", "staging", "--json", REDIS_URL=redis)

    assert ended.code == 0
    named = described("commands-json.md", "`status STATE` and `who STATE`: both have")
    named |= described("commands-json.md", "`status STATE` has, too")
    assert set(ended.document) == {name for name in named if "." not in name}
    assert ended.document["lock"]["id"] == lock.id
    assert ended.document["journal_away"] is False
    assert ended.document["journal_trouble"] is None
    assert ended.document["attribution"]["tie"] == "shown"
    assert ended.document["verdict"]["ruling"] == "allow"
    assert ended.document["not_checked"] == ["requester"]


async def test_how_well_a_run_is_tied_to_the_lock_is_told_with_what_would_make_it_certain(around, terminal, redis):
    await around.hold()
    (run,) = around.github.runs.runs("acme/infra")
    run.jobs[-1].is_log_expired = True

    told, ended = [await terminal.run("status", "staging", *how, REDIS_URL=redis) for how in ((), ("--json",))]

    assert ended.document["attribution"]["tie"] == "by_time"
    assert "Match: weak: only the timing fits (it was the only configured run" in told.out
    words = " ".join(told.out.split())
    assert "wrap the job's Terraform with tflock claim to be certain (docs/claims.md)" in words


async def test_the_checklist_is_the_gates_without_the_asker(around, terminal, redis):
    await around.hold()

    ended = await terminal.run("status", "staging", "--json", REDIS_URL=redis)

    rules = [check["rule"] for check in ended.document["verdict"]["checks"]]
    assert "requester" not in rules
    assert {"same lock", "attributed", "dead", "settled", "quiet", "whole", "owner", "protected", "fresh"} <= set(rules)


async def test_a_run_that_goes_on_is_a_refusal_and_still_an_answer(around, terminal):
    lock = await around.hold(ended=None)

    ended = await terminal.run("status", "staging", "--json")

    assert ended.code == 0
    assert ended.document["verdict"]["ruling"] == "refuse"
    assert await around.still_held(lock)


async def test_what_the_owner_answered_is_read_from_redis(around, terminal, redis, store_at):
    lock = await around.hold()
    said = {"owner": "U0ELLIOTT", "says": "running", "at": datetime.now(UTC).isoformat()}
    async with store_at(redis) as store:
        await store.records.put("owner-answer", f"staging/{lock.id}", said, ttl=WEEK)

    ended = await terminal.run("status", "staging", "--json", REDIS_URL=redis)

    assert ended.document["owner_answer"]["says"] == "running"
    assert ended.document["verdict"]["ruling"] == "refuse"
    assert await around.still_held(lock)


async def test_a_redis_that_is_away_takes_the_owners_rule_off_the_checklist(around, terminal):
    await around.hold()

    ended = await terminal.run("status", "staging", "--json", REDIS_URL="redis://:distinctive@127.0.0.1:1/0")

    assert ended.code == 0
    assert ended.document["journal_away"] is True
    assert ended.document["journal_trouble"] == "the timeline (Redis) is away"
    assert ended.document["not_checked"] == ["requester", "owner"]
    assert "owner" not in [check["rule"] for check in ended.document["verdict"]["checks"]]


async def test_a_redis_that_refuses_is_not_called_away(around, terminal, redis):
    lock, client = await around.hold(), connect(redis)
    await client.config_set("maxmemory", "1")

    told, document = [await terminal.run("status", *how, REDIS_URL=redis) for how in (("staging",), ("--json",))]

    await client.aclose()
    assert "nothing can be unlocked now: Redis's memory is full" in " ".join(told.out.split())
    assert "away" not in told.out
    assert document.document["journal_trouble"] == "Redis's memory is full"
    assert await around.still_held(lock)


async def test_an_embedded_redis_that_runs_is_used(around, terminal):
    await around.hold()
    async with redis_for(None, terminal.home / "var"):
        ended = await terminal.run("status", "staging", "--json")

    assert ended.document["journal_away"] is False


async def test_an_embedded_redis_that_does_not_run_is_not_started(around, terminal):
    await around.hold()
    async with redis_for(None, terminal.home / "var"):
        pass

    ended = await terminal.run("status", "staging", "--json")

    assert ended.code == 0
    assert ended.document["journal_away"] is True


async def test_a_free_state_exits_0(terminal):
    ended = await terminal.run("status", "staging")

    assert ended.code == 0
    assert "staging is free" in ended.out


async def test_all_states_are_listed_without_a_name(around, terminal, described):
    await around.hold()

    told, document = await terminal.run("status"), await terminal.run("status", "--json")

    assert (told.code, document.code) == (0, 0)
    assert "staging" in told.out
    (state,) = document.document["states"]
    assert set(document.document) == {"looked_at", "journal_away", "journal_trouble", "states"}
    assert set(state) == {"state", "description", "protected", "locked", "lock", "hold", "unseen"}
    assert state["locked"] is True


async def test_a_lock_that_cannot_be_read_exits_1_and_says_why(around, terminal):
    lock = await around.hold()
    for name in ("dynamodb:GetItem", "dynamodb:BatchGetItem", "s3:GetObject"):
        around.proxy.fault(name, Deny())

    one, everything = await terminal.run("status", "staging"), await terminal.run("status", "--json")

    assert (one.code, everything.code) == (1, 1)
    assert "dynamodb:GetItem" in one.out
    assert everything.document["states"][0]["locked"] is None
    assert await around.still_held(lock)


async def test_an_unknown_state_exits_2_with_the_name_that_was_meant(terminal):
    for words in (("status", "stagin"), ("who", "stagin"), ("status", "stagin", "--json")):
        ended = await terminal.run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert "Did you mean staging?" in ended.err


async def test_a_name_that_no_state_of_an_unlisted_pattern_can_have_is_an_unknown_state(around, terminal):
    one = terminal.settings["states"]["staging"]
    of_many = {"discover": True, "backend": one["backend"] | {"key": "services/{env}/{service}.tfstate"}}
    terminal.settings["states"]["{env}-{service}"] = of_many
    around.proxy.fault("s3:ListObjects", Deny())

    never, maybe = await terminal.run("status", "nosuch"), await terminal.run("status", "dev-billing")

    assert (never.code, maybe.code) == (2, 1)
    assert "There is no state called nosuch." in never.err
    assert "could not be listed" in maybe.err


async def test_who_names_the_owner_and_says_that_slack_was_not_asked(around, terminal):
    await around.hold()

    ended = await terminal.run("who", "staging")

    assert ended.code == 0
    assert "elliott" in ended.out
    assert "SLACK_BOT_TOKEN is not set" in ended.out
    assert "/tflock who staging" in ended.out


async def test_with_slack_who_tells_whether_the_owner_can_be_reached(around, terminal, slack):
    await around.hold()
    slack.change_user("U0ELLIOTT", status_text="on leave")

    told = await terminal.run("who", "staging", **slack.environment())
    document = (await terminal.run("who", "staging", "--json", **slack.environment())).document

    assert "on leave" in told.out
    assert document["member"]["name"] == "elliott"
    assert document["whereabouts"]["status_text"] == "on leave"
    assert document["stand_ins"] is None


async def test_the_json_of_who_has_the_documented_keys(around, terminal, described):
    await around.hold()

    ended = await terminal.run("who", "staging", "--json")

    common = described("commands-json.md", "`status STATE` and `who STATE`: both have")
    own = described("commands-json.md", "`who STATE` has, too")
    assert set(ended.document) == {name for name in (*common, *own) if "." not in name}


async def test_nothing_is_logged_beside_an_answer_unless_asked_for(around, terminal):
    around.github.answer_next("/runs", status=500, times=9)
    await around.hold()

    quiet = await terminal.run("status", "staging")
    loud = await terminal.run("status", "staging", LOG_LEVEL="info")

    assert quiet.err == ""
    assert quiet.code == loud.code == 0
