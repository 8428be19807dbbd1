"""The states that patterns mean, found in a real S3 by a wired bot, with a real Redis for what it remembers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from moto.s3.models import s3_backends

from bot.app import discovery
from bot.app.discovery import MOST_RETIRED, LiveStates
from bot.app.remembered import found_before
from bot.app.wiring import beside_a_bot, wired
from bot.config.load import load
from bot.doctor import configuration
from bot.doctor.check import Level
from bot.errors import TflockError, UnknownState
from bot.sandbox.machine.aws import CREDENTIALS, REGION, WrittenLock
from bot.sandbox.machine.proxy import fault_proxy
from bot.store.embedded import redis_for
from bot.usecases.decide.inspect import overview
from tests.worlds.ci.hcp.server import HcpStandIn
from tests.worlds.proxy import Answer


@pytest.fixture
async def redis(tmp_path):
    async with redis_for(None, tmp_path / "var") as url:
        yield url


@pytest.fixture
async def proxy(own_aws):
    async with fault_proxy(own_aws.endpoint) as proxy:
        yield proxy


@pytest.fixture
def config(own_aws, proxy, tmp_path, monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def config(pipelines=(), **states):
        backend = {"type": "s3", "bucket": own_aws.bucket, "region": REGION, "endpoint_url": proxy.url}
        pattern = {
            "discover": True,
            "protected": {"env": "prod"},
            "pipelines": [{"ci": "github", "repo": "acme/infra", "workflow": workflow} for workflow in pipelines],
            "backend": {**backend, "key": "services/{service}/{env}.tfstate", "dynamodb_table": own_aws.table},
        }
        fixed = {name: {"backend": {**backend, "key": key, "use_lockfile": True}} for name, key in states.items()}
        path = tmp_path / "tflock.yml"
        ci = {"ci": {"github": {"type": "github_actions"}}} if pipelines else {}
        path.write_text(yaml.safe_dump({"states": {"{env}-{service}": pattern, **fixed}, **ci}), encoding="utf-8")
        return load(path, {**CREDENTIALS, "GITHUB_TOKEN": "ghp-of-a-test"}, need_slack=False)

    return config


@asynccontextmanager
async def found(config, redis):
    """A wired bot after its first look."""
    async with wired(config, redis) as wiring:
        await wiring.discovery.start()
        yield wiring


def key_of(service, env):
    return f"services/{service}/{env}.tfstate"


async def hold(aws, key, **places):
    lock = WrittenLock("1-2-3", datetime.now(UTC), f"{aws.bucket}/{key}", who="runner@x")
    await aws.hold(key, lock.text, **(places or {"item": True, "file": False}))


async def test_states_are_found_by_listing_and_can_be_asked_for(own_aws, config, redis):
    for service, env in (("billing", "dev"), ("billing", "prod"), ("shop", "dev")):
        await own_aws.put_state(key_of(service, env))
    await own_aws.put_state("services/too/deep/dev.tfstate")
    await own_aws.put_state("fixed.tfstate")

    async with found(config(fixed="fixed.tfstate"), redis) as wiring:
        world = wiring.world
        seen = await overview(world)

        assert sorted(world.states) == ["dev-billing", "dev-shop", "fixed", "prod-billing"]
        assert world.state("prod-billing").name.protected
        assert not world.state("dev-billing").name.protected
        assert all(lock.is_free for _, lock in seen.states)
        assert wiring.named("DEV-SHOP") == "dev-shop"
        with pytest.raises(UnknownState) as unknown:
            wiring.named("dev-shpo")
        assert unknown.value.nearest == "dev-shop"


async def test_only_a_pipeline_of_one_state_of_the_pattern_works_on_one(own_aws, config, redis):
    """Its log may be of a state that is not listed yet: `prod-billing`, say, which it applies for the first time."""
    await own_aws.put_state(key_of("billing", "dev"))

    async with found(config(("deploy.yml", "{service}.yml", "{env}-{service}.yml")), redis) as wiring:
        pipelines = wiring.world.states["dev-billing"].pipelines
        of_one = {each.get("workflow"): wiring.world.has_one_state(each) for each in pipelines}
        assert of_one == {"deploy.yml": False, "billing.yml": False, "dev-billing.yml": True}


async def test_a_state_that_only_has_a_lockfile_yet_is_found(own_aws, config, redis):
    await hold(own_aws, key_of("new", "dev"), item=True, file=True)
    async with found(config(), redis) as wiring:
        seen = await overview(wiring.world)
        assert [(name.name, bool(lock.held)) for name, lock in seen.states] == [("dev-new", True)]


async def test_new_states_are_picked_up_and_gone_ones_are_retired(own_aws, config, redis):
    await own_aws.put_state(key_of("old", "dev"))
    async with found(config(), redis) as wiring:
        before = wiring.world.states["dev-old"]
        await overview(wiring.world)
        assert b'lock_held{state="dev-old"}' in wiring.metrics.exposition()
        await own_aws.put_state(key_of("new", "dev"))
        await own_aws.delete_object(key_of("old", "dev"))
        await wiring.discovery.look()

        assert list(wiring.world.states) == ["dev-new"]
        assert "dev-old" not in wiring.world.states
        assert wiring.world.states["dev-old"] is before  # what was begun for it ends
        assert (await wiring.world.sweep.read_locks(("dev-new",)))["dev-new"].is_free
        await overview(wiring.world)
        assert b'state="dev-old"' not in wiring.metrics.exposition()
        assert b'lock_held{state="dev-new"}' in wiring.metrics.exposition()


async def test_a_state_that_is_not_listed_any_more_stays_while_its_lock_is_held(own_aws, config, redis):
    await own_aws.put_state(key_of("old", "dev"))
    async with found(config(), redis) as wiring:
        await hold(own_aws, key_of("old", "dev"))
        await own_aws.delete_object(key_of("old", "dev"))
        await wiring.discovery.look()
        assert list(wiring.world.states) == ["dev-old"]

        await own_aws.delete_item(f"{own_aws.bucket}/{key_of('old', 'dev')}")
        await wiring.discovery.look()
        assert list(wiring.world.states) == []


async def test_a_state_that_is_not_listed_any_more_stays_while_its_lock_cannot_be_read(own_aws, config, redis, proxy):
    await own_aws.put_state(key_of("old", "dev"))
    async with found(config(), redis) as wiring:
        await own_aws.delete_object(key_of("old", "dev"))
        proxy.fault(lambda call: call.method == "POST", Answer(400, b"not what DynamoDB says"))
        await wiring.discovery.look()
        assert list(wiring.world.states) == ["dev-old"]


async def test_a_locked_state_stays_through_a_restart(own_aws, config, redis, proxy):
    await own_aws.put_state(key_of("old", "dev"))
    async with found(config(), redis):
        pass
    await own_aws.delete_object(key_of("old", "dev"))
    await hold(own_aws, key_of("old", "dev"))
    async with found(config(), redis) as wiring:
        assert list(wiring.world.states) == ["dev-old"]


async def test_while_the_store_is_away_the_states_of_before_are_known(own_aws, config, redis, proxy):
    await own_aws.put_state(key_of("billing", "dev"))
    async with found(config(), redis):
        pass
    proxy.fault(lambda call: call.method == "GET", Answer(503, b""))
    async with found(config(), redis) as wiring:
        assert list(wiring.world.states) == ["dev-billing"]
        (problem,) = wiring.discovery.problems
        assert problem.startswith("the states of {env}-{service} could not be listed: ")


@pytest.mark.parametrize(("status", "level"), [(503, Level.UNPROVEN), (403, Level.FAIL)])
async def test_the_doctor_does_not_say_that_a_pattern_means_no_state_if_its_store_could_not_be_listed(
    config, redis, proxy, status, level
):
    settings = config()
    async with found(settings, redis) as wiring:
        (_, empty) = await configuration.checks(settings, wiring)
    proxy.fault(lambda call: call.method == "GET", Answer(status, b""))
    async with found(settings, redis) as wiring:
        (_, unlisted) = await configuration.checks(settings, wiring)

    assert (empty.level, empty.detail) == (Level.WARN, "{env}-{service} means no state that its store lists")
    assert (unlisted.level, unlisted.stops) == (level, True)
    assert unlisted.detail.startswith("the states of {env}-{service} could not be listed: ")


async def test_who_asks_for_a_state_that_could_not_be_listed_is_not_sent_away(own_aws, config, redis, proxy):
    proxy.fault(lambda call: call.method == "GET", Answer(503, b""))
    async with found(config(), redis) as wiring:
        with pytest.raises(TflockError, match="dev-billing is not among the states that are known, and the states of"):
            wiring.named("dev-billing")
        with pytest.raises(UnknownState) as unknown:
            wiring.named("nosuch")
    assert unknown.value.left_out == ()


async def test_the_pattern_of_a_lock_whose_state_is_not_listed_is_known(own_aws, config, redis):
    async with found(config(), redis) as wiring:
        path = f"{own_aws.bucket}/{key_of('billing', 'dev')}"
        assert wiring.world.meant(path) == ("{env}-{service}", "dev-billing")
        assert wiring.world.meant(f"{path}.old") is None


async def test_why_a_state_is_left_out_is_said_to_who_asks_for_a_name_of_its_pattern(own_aws, config, redis):
    await own_aws.put_state(key_of("b-c", "a"))
    await own_aws.put_state(key_of("c", "a-b"))
    async with found(config(), redis) as wiring:
        for name, count in (("A-b-c", 1), ("nosuch", 0)):
            with pytest.raises(UnknownState) as unknown:
                wiring.named(name)
            assert len(unknown.value.left_out) == count


async def test_the_names_of_two_keys_that_are_one_name_are_known_by_neither(own_aws, config, redis):
    await own_aws.put_state(key_of("b-c", "a"))
    await own_aws.put_state(key_of("c", "a-b"))
    await own_aws.put_state(key_of("shop", "dev"))
    async with found(config(), redis) as wiring:
        assert list(wiring.world.states) == ["dev-shop"]
        (problem,) = wiring.discovery.problems
        assert problem.startswith("2 states would be called a-b-c (")


async def test_a_state_keeps_its_name_when_another_one_would_have_it_too(own_aws, config, redis):
    await own_aws.put_state(key_of("b-c", "a"))
    async with found(config(), redis) as wiring:
        before = wiring.world.states["a-b-c"]
        await own_aws.put_state(key_of("c", "a-b"))
        await wiring.discovery.look()
        assert wiring.world.states["a-b-c"] is before
        assert len(wiring.discovery.problems) == 1


async def test_a_state_keeps_its_name_also_through_a_restart(own_aws, config, redis):
    """Else whoever may write any key could take a state from the bot, and a hold from who looks after it."""
    await own_aws.put_state(key_of("b-c", "a"))
    async with found(config(), redis):
        pass
    await own_aws.put_state(key_of("c", "a-b"))
    async with found(config(), redis) as wiring:
        assert wiring.world.states["a-b-c"].path.endswith(key_of("b-c", "a"))
        assert len(wiring.discovery.problems) == 1
    async with found(config(), redis) as wiring:
        assert wiring.world.states["a-b-c"].path.endswith(key_of("b-c", "a"))
        assert len(wiring.discovery.problems) == 1


async def test_a_fixed_state_keeps_its_name(own_aws, config, redis):
    await own_aws.put_state(key_of("shop", "dev"))
    async with found(config(**{"dev-shop": "fixed.tfstate"}), redis) as wiring:
        assert wiring.world.states["dev-shop"].path.endswith("/fixed.tfstate")
        assert len(wiring.discovery.problems) == 1


async def test_a_key_whose_name_would_be_no_name_is_left_out(own_aws, config, redis):
    await own_aws.put_state(key_of("x" * 70, "dev"))
    await own_aws.put_state(key_of("shop", "dev"))
    async with found(config(), redis) as wiring:
        assert list(wiring.world.states) == ["dev-shop"]
        assert "which cannot be a state's name" in wiring.discovery.problems[0]


async def test_a_key_that_can_be_read_in_two_ways_is_left_out_and_said(own_aws, config, redis):
    await own_aws.put_state("services/pay-api-dev.tfstate")
    await own_aws.put_state("services/shop-dev.tfstate")
    settings = config()
    (pattern,) = settings.patterns
    listing = replace(pattern.listing, name="services/{service}-{env}.tfstate")
    backend = pattern.template.backend.model_copy(update={"key": listing.name})
    beside = replace(pattern, listing=listing, template=replace(pattern.template, backend=backend))
    async with found(replace(settings, patterns=(beside,)), redis) as wiring:
        assert list(wiring.world.states) == ["dev-shop"]
        (problem,) = wiring.discovery.problems
        assert "1 of the keys of {env}-{service} can be read in two ways" in problem
        assert "(services/pay-api-dev.tfstate: service=pay-api, env=dev or service=pay, env=api-dev)" in problem


async def test_commands_beside_a_bot_find_them_too(own_aws, config):
    await own_aws.put_state(key_of("shop", "dev"))
    async with beside_a_bot(config()) as wiring:
        assert wiring.named("dev-shop") == "dev-shop"


async def test_what_a_bot_found_is_known_without_a_look_and_no_command_changes_it(own_aws, config, redis, proxy):
    await own_aws.put_state(key_of("shop", "dev"))
    settings = config()
    async with found(settings, redis):
        pass
    await own_aws.put_state(key_of("new", "dev"))
    async with beside_a_bot(settings) as wiring:
        assert sorted(wiring.world.states) == ["dev-new", "dev-shop"]
    proxy.log.clear()

    known = await found_before(settings)

    assert list(known) == ["dev-shop"]
    assert known["dev-shop"].backend.lock_path == f"{own_aws.bucket}/{key_of('shop', 'dev')}"
    assert not proxy.log


async def test_thousands_are_found_in_one_look(own_aws, config, redis):
    """Objects of moto's are made at once here, beside its HTTP."""
    count = 1_500
    backend = s3_backends["123456789012"]["aws"]
    for number in range(count):
        backend.put_object(own_aws.bucket, key_of(f"s{number:04}", "dev"), b"{}")
    async with found(config(), redis) as wiring:
        assert len(wiring.world.states) == count
        assert wiring.world.named("DEV-S1499") == "dev-s1499"
        with pytest.raises(UnknownState) as unknown:
            wiring.world.state("dev-s14999")
        assert unknown.value.nearest == "dev-s1499"


def test_states_of_one_moment_stay_while_they_are_looked_at():
    states = LiveStates({"a": 1, "b": 2})
    items = states.items()
    states.replace({"c": 3})

    assert dict(items) == {"a": 1, "b": 2}
    assert (list(states), "a" in states, states.get("a"), states["c"]) == (["c"], False, 1, 3)
    assert states.get("never") is None


def test_of_retired_states_the_last_ones_are_kept_and_one_that_comes_back_is_not_retired():
    states = LiveStates({"first": "state"})
    names = [f"s{number}" for number in range(MOST_RETIRED)]
    for name in names:
        states.replace({name: "state"})
    states.replace({"s1": "again"})
    assert (states["first"], states["s0"], states["s1"], list(states)) == ("state", "state", "again", ["s1"])

    states.replace({"last": "state"})

    assert [name for name in ("first", *names) if name in states or states.get(name)] == names
    states.replace(dict.fromkeys(many := [f"m{number}" for number in range(2 * MOST_RETIRED)], "state"))
    states.replace({})
    assert [name for name in ("last", *names, *many) if states.get(name)] == many[-MOST_RETIRED:]


@pytest.fixture
async def hcp():
    async with HcpStandIn() as hcp:
        yield hcp


@pytest.fixture
def projects(hcp, tmp_path, monkeypatch):
    """Two patterns for the workspaces of two projects, and one workspace with an entry of its own."""
    monkeypatch.chdir(tmp_path)
    backend = {"type": "hcp", "organization": "acme", "endpoint_url": hcp.origin}
    states = {
        f"{project}-{{ws}}": {"discover": True, "backend": {**backend, "workspace": "{ws}", "project": project}}
        for project in ("shop", "net")
    }
    states["own"] = {"backend": {**backend, "workspace": "Own", "project": "other"}}
    path = tmp_path / "tflock.yml"
    path.write_text(yaml.safe_dump({"states": states}), encoding="utf-8")
    for name, project in (("a", "shop"), ("z", "shop"), ("b", "net"), ("own", "net")):
        hcp.runs.add_workspace("acme", name, project=project)
    return load(path, {"TFE_TOKEN": hcp.token}, need_slack=False)


async def test_a_workspace_with_an_entry_of_its_own_that_names_another_project_has_that_entry(projects, redis):
    async with found(projects, redis) as wiring:
        assert sorted(wiring.world.states) == ["net-b", "own", "shop-a", "shop-z"]
        (problem,) = wiring.discovery.problems
        assert problem == "own is found by net-{ws} and has an entry of its own, which counts: correct that"


async def test_a_workspace_that_moves_while_it_is_locked_is_one_state_until_it_is_free(hcp, projects, redis):
    async with found(projects, redis) as wiring:
        moved = hcp.runs.add_workspace("acme", "a")
        hcp.runs.lock(moved, hcp.runs.account("quinn"))
        moved.project = "net"
        await wiring.discovery.look()
        assert sorted(wiring.world.states) == ["net-b", "own", "shop-a", "shop-z"]
        assert any("a is found by net-{ws} and by shop-{ws}" in problem for problem in wiring.discovery.problems)

        hcp.runs.unlock(moved)
        await wiring.discovery.look()
        assert sorted(wiring.world.states) == ["net-a", "net-b", "own", "shop-z"]
        assert len(wiring.discovery.problems) == 1


async def test_more_states_than_there_may_be_are_no_list_so_that_none_is_retired(projects, redis, hcp, monkeypatch):
    async with found(projects, redis) as wiring:
        monkeypatch.setattr(discovery, "_MOST_STATES", 1)
        hcp.runs.add_workspace("acme", "c", project="net")
        await wiring.discovery.look()
        assert sorted(wiring.world.states) == ["net-b", "own", "shop-a", "shop-z"]
        assert any("3 are more than 1: begin" in problem for problem in wiring.discovery.problems)
