"""`/api/v1/claims`: what it takes, what it refuses and in which words, and what a claim comes to."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.gate.attribution import Strength
from bot.core.gate.case import Rule, Ruling
from bot.core.phrase import plain
from bot.errors import JournalAway
from bot.usecases.decide.claims import claims_on


async def test_a_claim_is_recorded_under_an_id_that_nobody_guesses(bot):
    ids = {await bot.claim() for _ in range(20)}

    assert len(ids) == 20
    assert all(len(claim_id) >= 32 for claim_id in ids)


@pytest.mark.parametrize("method_path", [("POST", "/api/v1/claims"), ("PATCH", "/api/v1/claims/x")])
async def test_without_a_token_in_the_bots_environment_claims_are_off(bot, method_path):
    answer = await bot.ask(*method_path, json=bot.body(), url=bot.off)

    assert answer.status == 404
    assert "claims are off" in answer.error


@pytest.mark.parametrize("token", [None, "", "wrong", "claims-distinctive-471", "ü"])
async def test_a_missing_or_wrong_token_is_refused_before_anything_is_read(bot, token):
    headers = {"Authorization": "Bearer ü"} if token == "ü" else None
    answer = await bot.ask("POST", "/api/v1/claims", data=b"{", token=token, headers=headers)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "token" in answer.error


async def test_another_scheme_is_refused(bot):
    answer = await bot.ask("POST", "/api/v1/claims", json=bot.body(), headers={"Authorization": f"Basic {bot.token}"})

    assert answer.status == 401


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b'"x"', b"null", b"[" * 9000])
async def test_what_is_not_a_json_object_is_refused(bot, data):
    assert (await bot.ask("POST", "/api/v1/claims", data=data)).status == 400


async def test_another_content_type_is_refused(bot):
    answer = await bot.ask("POST", "/api/v1/claims", data=b"state=staging", headers={"Content-Type": "text/plain"})

    assert answer.status == 415
    assert "application/json" in answer.error


async def test_a_large_body_is_refused(bot):
    answer = await bot.ask("POST", "/api/v1/claims", json=bot.body(host="x" * 20_000))

    assert answer.status == 413


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"state": "stagin"}, "did you mean staging?"),
        ({"state": None}, "state: "),
        ({"state": 7}, "state: "),
        ({"host": ""}, "host: "),
        ({"host": " "}, "host: "),
        ({"host": "a\nb"}, "host: "),
        ({"host": "x" * 256}, "host: "),
        ({"run_url": "javascript:alert(1)"}, "run_url: "),
        ({"run_url": "https://user:secret@ci.example.com/1"}, "run_url: "),
        ({"run_url": "https://["}, "run_url: "),
        ({"run_url": 5}, "run_url: "),
        ({"attempt": 0}, "attempt: "),
        ({"attempt": True}, "attempt: "),
        ({"attempt": "one"}, "attempt: "),
        ({"attempt": 1.5}, "attempt: "),
        ({"attempt": "9" * 400}, "attempt: "),
        ({"actor": 5}, "actor: "),
        ({"actor": ["quinn"]}, "actor: "),
        ({"actor": "a\nb"}, "actor: "),
        ({"actor": "x" * 256}, "actor: "),
        ({"private_host": "yes"}, "private_host: "),
        ({"private_host": 1}, "private_host: "),
        ({"age_ms": -1}, "age_ms: "),
        ({"age_ms": 600_001}, "age_ms: "),
    ],
)
async def test_a_wrong_field_is_named(bot, changes, named):
    answer = await bot.ask("POST", "/api/v1/claims", json=bot.body(**changes))

    assert answer.status == 422
    assert named in answer.error


@pytest.mark.parametrize("attempt", [2, "2"])
async def test_an_attempt_may_be_quoted_as_shells_do(bot, attempt):
    assert await bot.claim(attempt=attempt)


@pytest.mark.parametrize(
    ("actor", "said", "owner", "is_certain"),
    [
        ("elliott-ci", "quinn", "elliott-ci", True),  # a job may say what it likes
        ("renovate[bot]", "quinn", "quinn", False),
        ("elliott-ci", "", "elliott-ci", True),
        ("elliott-ci", None, "elliott-ci", True),
    ],
)
async def test_a_claim_says_who_started_its_run_where_the_ci_system_names_nobody(bot, actor, said, owner, is_certain):
    lock, run = await bot.hold(host="fv-az1-1"), bot.start_run(ago=timedelta(minutes=30), actor=actor)
    await bot.claim(run, actor=said, host="fv-az1-1", age_ms=600_000)

    _, inspection = await bot.decide()

    assert (inspection.owner.name, inspection.owner.is_certain) == (owner, is_certain)
    assert await bot.still_held(lock)


@pytest.mark.parametrize(
    "news",
    [
        {"exit_code": "x"},
        {"exit_code": True},
        {"exit_code": 2**40},
        {"exit_code": 1, "processes_left": -1},
        {"exit_code": 1, "processes_left": "none"},
        {"exit_code": 1, "processes_left": True},
        {"lock_id": ""},
        {"lock_id": 5},
        {"lock_id": "a\nb"},
    ],
)
async def test_wrong_news_is_refused(bot, news):
    claim_id = await bot.claim()

    assert (await bot.tell(claim_id, **news)).status == 422


async def test_news_of_an_unknown_claim_is_told_so(bot):
    assert (await bot.tell("nobody")).status == 404
    assert (await bot.tell("nobody", exit_code=1)).status == 404


async def test_without_redis_the_job_is_told_to_try_again(bot_without_redis):
    answer = await bot_without_redis.ask("POST", "/api/v1/claims", json=bot_without_redis.body())

    assert answer.status == 503
    assert answer.error.startswith("the timeline (Redis) is away: nothing was recorded")
    assert answer.headers["Retry-After"]


async def test_nothing_is_decided_without_the_claims(bot_without_redis):
    lock = await bot_without_redis.hold()

    with pytest.raises(JournalAway):
        await bot_without_redis.decide()
    assert await bot_without_redis.still_held(lock)


def seal(claim_id):
    return f"tflock-{claim_id}"


async def test_an_id_fits_a_host_name(bot):
    host = seal(await bot.claim())

    assert re.fullmatch(r"tflock-[a-z0-9]+", host)
    assert len(host) <= 63


async def test_a_sealed_run_is_the_holder_and_a_live_one_refuses(bot):
    run, other = bot.start_run(), bot.start_run("dependency-update.yml")
    lock = await bot.hold(host=seal(await bot.claim(run)))
    bot.github.runs.finish(other.id, "failure")

    verdict, seen = await bot.decide()

    assert seen.attribution.strength is Strength.CLAIM
    assert [candidate.run.ref.id for candidate in seen.attribution.candidates] == [str(run.id)]
    assert verdict[Rule.DEAD].effect.name == "REFUSES"
    assert await bot.still_held(lock)


@pytest.mark.parametrize(
    ("sealed", "left", "ruling"),
    [
        (True, {"processes_left": 0}, Ruling.ALLOW),
        (True, {"processes_left": 1}, Ruling.REFUSE),
        (True, {}, Ruling.REFUSE),
        (False, {"processes_left": 0}, Ruling.REFUSE),
    ],
)
async def test_a_reported_end_is_enough_only_sealed_and_with_nothing_left(bot, sealed, left, ruling):
    run = bot.start_run()
    claim_id = await bot.claim(run)
    lock = await bot.hold(host=seal(claim_id) if sealed else "fv-az881-525")
    answer = await bot.tell(claim_id, exit_code=1, **left)

    verdict, seen = await bot.decide()

    assert answer.status == 200
    assert [candidate.run.ref.id for candidate in seen.attribution.candidates] == [str(run.id)]
    assert verdict.ruling is ruling
    assert await bot.still_held(lock)


async def test_the_first_reported_end_counts(bot):
    claim_id = await bot.claim(bot.start_run())
    lock = await bot.hold(host=seal(claim_id))
    await bot.tell(claim_id, exit_code=1, processes_left=1)
    await asyncio.gather(*(bot.tell(claim_id, exit_code=1, processes_left=0) for _ in range(5)))

    verdict, _ = await bot.decide()

    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


async def test_a_seal_of_another_states_claim_is_nobodys(bot):
    claim_id = await bot.claim(bot.start_run(), state="production")
    lock = await bot.hold(host=seal(claim_id))
    await bot.tell(claim_id, exit_code=1, processes_left=0)

    verdict, seen = await bot.decide()

    assert seen.attribution.tie is None
    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


async def test_a_claim_from_before_seals_and_private_hosts_is_still_read(bot):
    """Its end is that of its command alone."""
    claim_id = await bot.claim(bot.start_run())
    lock = await bot.hold()
    await bot.tell(claim_id, exit_code=1)
    before = await bot.world.records.get("claim", claim_id)
    old = {name: value for name, value in before.items() if name not in {"private_host", "processes_left"}}
    await bot.world.records.put("claim", claim_id, old, ttl=timedelta(days=1))
    assert "private_host" not in await bot.world.records.get("claim", claim_id)

    verdict, seen = await bot.decide()

    assert seen.attribution.strength is Strength.CLAIM
    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


@pytest.mark.parametrize("changes", [{}, {"private_host": True}, {"private_host": False}])
async def test_a_host_is_private_only_where_its_job_says_so(bot, changes):
    await bot.claim(bot.start_run(), host="959fcba5e7a7", **changes)
    lock = await bot.hold(host="959fcba5e7a7")

    claimed = await claims_on(bot.world, bot.world.state("staging"), bot.info(lock))

    assert [one.claim.private_host for one in claimed] == [changes.get("private_host", False)]


@pytest.mark.parametrize("again", ["another run", "another state", "its next attempt"])
async def test_a_host_that_another_job_claims_as_well_is_private_to_neither(bot, again):
    run = bot.start_run()
    await bot.claim(run, host="959fcba5e7a7", private_host=True)
    lock = await bot.hold(host="959fcba5e7a7")
    changes = {"another run": {}, "another state": {"state": "production"}, "its next attempt": {"attempt": 2}}
    await bot.claim(run if again == "its next attempt" else bot.start_run(), host="959FCBA5E7A7", **changes[again])

    claimed = await claims_on(bot.world, bot.world.state("staging"), bot.info(lock))

    assert [one.claim.private_host for one in claimed if one.claim.run_url.endswith(str(run.id))][:1] == [False]
    assert await bot.still_held(lock)


async def test_a_lock_that_a_claim_names_only_after_its_end_is_not_that_of_the_process_which_ended(bot):
    run = bot.start_run()
    claim_id = await bot.claim(run, host="somewhere-else")
    await bot.tell(claim_id, exit_code=1, processes_left=0)
    lock = await bot.hold(created=datetime.now(UTC) + timedelta(milliseconds=50))
    answer = await bot.tell(claim_id, lock_id=lock.id)
    await bot.tell(claim_id, exit_code=1, processes_left=0, lock_id=lock.id)

    verdict, seen = await bot.decide()

    assert answer.status == 200
    assert seen.attribution.strength is Strength.WINDOW
    assert verdict[Rule.DEAD].effect.name == "REFUSES"
    assert await bot.still_held(lock)


async def test_a_run_of_an_unknown_system_is_never_taken_for_dead(bot):
    await bot.claim(run_url="https://ci.elsewhere.example.com/1")
    lock = await bot.hold()

    verdict, seen = await bot.decide()

    assert seen.attribution.strength is Strength.CLAIM
    assert verdict.ruling is Ruling.REFUSE
    assert "no configured CI system knows it" in plain(verdict[Rule.DEAD].reason)
    assert await bot.still_held(lock)


async def test_a_lock_that_a_claim_of_another_host_names_is_not_its_own(bot):
    run = bot.start_run()
    claim_id = await bot.claim(run, host="somewhere-else")
    lock = await bot.hold()
    await bot.tell(claim_id, lock_id=lock.id)
    await bot.tell(claim_id, exit_code=1, processes_left=0)

    verdict, seen = await bot.decide()

    assert seen.attribution.strength is Strength.WINDOW
    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


async def test_a_claim_of_another_state_or_host_does_not_count(bot):
    await bot.claim(bot.start_run(), host="fv-az1-1")
    await bot.hold()

    _, seen = await bot.decide()

    assert seen.attribution.strength is Strength.WINDOW


async def test_a_heartbeat_is_told_the_lock_that_its_host_has(bot):
    claim_id = await bot.claim(bot.start_run())
    before = await bot.tell(claim_id)
    lock = await bot.hold()
    after = await bot.tell(claim_id)

    assert before.body["lock_id"] is None
    assert after.body["lock_id"] == lock.id
    assert datetime.fromisoformat(after.body["created"]) == lock.created


async def test_a_heartbeat_is_not_told_a_lock_that_may_be_anothers(bot):
    first = await bot.claim(bot.start_run())
    older = await bot.hold(created=datetime.now(UTC) - timedelta(seconds=5))
    assert (await bot.tell(first)).body["lock_id"] is None  # taken before the claim

    await bot.aws.delete_item(older.path)
    await bot.claim(bot.start_run())
    await bot.hold()
    assert (await bot.tell(first)).body["lock_id"] is None  # two jobs claimed the state on that host


async def test_a_heartbeat_is_told_its_sealed_lock_though_another_job_claimed_the_state(bot):
    claim_id = await bot.claim(bot.start_run(), host="runnervmmklqx")
    await bot.claim(bot.start_run(), host="runnervmmklqx")
    lock = await bot.hold(host=seal(claim_id), created=datetime.now(UTC) - timedelta(hours=1))

    assert (await bot.tell(claim_id)).body["lock_id"] == lock.id


async def test_a_heartbeat_on_a_host_name_of_every_machine_is_told_nothing(bot):
    claim_id = await bot.claim(bot.start_run(), host="runnervmmklqx")
    await bot.hold(host="runnervmmklqx")

    assert (await bot.tell(claim_id)).body["lock_id"] is None
