"""What is HCP Terraform's own: who holds the lock, what 404 means, versions, rights, signed addresses, listings."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends.hcp import kind
from bot.backends.hcp.kind import KIND
from bot.backends.hcp.section import Backend
from bot.backends.hcp.store import OF_ACCOUNTS, OF_RUNS
from bot.core.evidence import Found, NotFound, Trouble, Unseen
from bot.core.lock import Fence, ReleaseResult, StateAbsent
from bot.hcp.api import ADMIN, APPLY, READ, Extent, way_to
from bot.http.client import Failed
from tests.backends.hcp.world import ORGANIZATION, STATE
from tests.worlds.clocks import WallClock
from tests.worlds.proxy import Answer, Delay, Deny, Meanwhile, Throttle

as_user = pytest.mark.parametrize("world_param", [("user",)])
THEN = datetime(2026, 11, 21, 9, 5, tzinfo=UTC)


async def held(hcp):
    await hcp.take(hcp.lock())
    (place,) = (await hcp.backend().read_lock()).held
    return place


def posted(hcp):
    return [line for line in hcp.hcp.asked if line.startswith("POST ")]


# who holds it


async def test_a_runs_lock_names_the_run_and_is_released_by_its_end_alone(hcp):
    place = await held(hcp)
    run = hcp.hcp.runs.all[place.info.id]

    outcome = await hcp.backend().release(place)

    assert outcome.result is ReleaseResult.RELEASED
    assert (place.can, run.status) == (OF_RUNS, "discarded")
    assert posted(hcp) == [f"POST /api/v2/runs/{run.id}/actions/discard"]


@as_user
async def test_an_accounts_lock_says_who_and_why_and_that_nothing_makes_its_release_conditional(hcp):
    place = await held(hcp)

    assert place.info.who == "first@"
    assert place.info.info == "Locked by Terraform"
    assert (place.can, place.can.conditional, place.can.fence) == (OF_ACCOUNTS, False, Fence.NONE)


async def test_a_teams_lock_has_its_name(hcp):
    hcp.hcp.runs.lock(hcp.workspace, hcp.hcp.runs.account("platform", "team"))

    (place,) = (await hcp.backend().read_lock()).held

    assert place.info.who == "platform@"


async def test_the_lock_began_when_the_runs_turn_came_and_not_when_it_was_made(hcp):
    run = hcp.hcp.runs.start_run(hcp.workspace, at=THEN, queued=True)
    hcp.hcp.runs.begin(run, THEN + timedelta(hours=2))

    (place,) = (await hcp.backend().read_lock()).held

    assert place.info.created == THEN + timedelta(hours=2)


@as_user
async def test_where_the_api_says_since_when_an_account_has_the_lock_other_changes_leave_it_the_same_one(hcp):
    await hcp.take(hcp.lock())
    hcp.hcp.shows = {"locked-at": "2026-11-21T09:05:00.000Z"}
    first = await hcp.backend().read_lock()
    hcp.workspace.updated_at += timedelta(minutes=5)

    assert (await hcp.backend().read_lock()).lock == first.lock
    assert first.lock.created == THEN


@as_user
async def test_where_it_does_not_say_so_an_accounts_lock_after_any_change_is_another_one_and_is_left(hcp):
    place = await held(hcp)
    hcp.workspace.updated_at += timedelta(minutes=5)

    changed = await hcp.backend().release(place)

    assert changed.result is ReleaseResult.HOLDER_CHANGED
    assert hcp.workspace.is_locked
    assert posted(hcp) == []


@pytest.mark.parametrize(
    "data",
    [{"type": "users"}, {"type": "runs", "id": "run-1/../../users"}, {"type": "agents", "id": "agent-1234567890"}, "x"],
)
async def test_a_holder_that_cannot_be_made_out_is_held_and_never_released(hcp, data):
    place = await held(hcp)
    hcp.workspace.odd = {"locked-by": {"data": data}}

    (odd,) = (await hcp.backend().read_lock()).held

    assert odd.garbage
    assert (await hcp.backend().release(odd)).result is ReleaseResult.DENIED
    assert (await hcp.backend().release(place)).result is ReleaseResult.HOLDER_CHANGED
    assert posted(hcp) == []


async def test_a_run_that_cannot_be_read_makes_the_lock_unseen_and_never_free(hcp):
    await hcp.take(hcp.lock())
    hcp.proxy.fault(lambda call: "/runs/" in call.path, Answer(404, b"{}"))

    seen = await hcp.backend().read_lock()

    assert not seen.is_free
    assert isinstance(seen.unseen[0][1], NotFound)


@pytest.mark.parametrize(
    "attributes",
    [{"locked": None}, {"locked": "false"}, {"locked": 0}, {"name": "another", "locked": False}, {}],
)
async def test_what_does_not_say_in_so_many_words_that_it_is_unlocked_is_not_free(hcp, attributes):
    document = {"data": {"type": "workspaces", "id": "ws-1", "attributes": {"name": "network", **attributes}}}
    hcp.proxy.fault(hcp.reads(hcp.kinds[0]), Answer(200, json.dumps(document).encode()))

    ((_, why),) = (await hcp.backend().read_lock()).unseen

    assert why.trouble is Trouble.GARBLED


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": []}', b'{"data": {"type": "runs", "id": "run-1"}}', b"<html>"])
async def test_an_answer_of_another_shape_is_not_free(hcp, body):
    hcp.proxy.fault(hcp.reads(hcp.kinds[0]), Answer(200, body))

    assert (await hcp.backend().read_lock()).unseen[0][1].trouble is Trouble.GARBLED


# what may be missing


async def test_a_workspace_that_is_not_there_or_not_to_be_seen_is_not_a_free_state(hcp):
    hcp.section = hcp.section.model_copy(update={"workspace": "nowhere"})
    backend = KIND.open(hcp.section, hcp.new_means()).backend
    hcp.hcp.runs.workspaces.clear()

    seen, check = await asyncio.gather(backend.read_lock(), backend.read_state())

    assert not seen.is_free
    assert "acme/nowhere, or the token may not see it" in seen.unseen[0][1].what
    assert not isinstance(check.state, Found)


async def test_a_token_that_is_not_accepted_is_said_to_be_that_and_shown_nowhere(hcp):
    await hcp.take(hcp.lock())
    secret = "distinctive-token-4711"

    ((_, why),) = (await hcp.backend(token=secret).read_lock()).unseen

    assert (why.trouble, "TFE_TOKEN is wrong" in why.detail) == (Trouble.DENIED, True)
    assert secret not in repr(why)


@pytest.mark.parametrize(("world_param", "right"), [(("run",), APPLY), (("user",), ADMIN)])
async def test_a_release_without_the_right_is_denied_though_the_api_says_not_found(hcp, right):
    place = await held(hcp)

    outcome = await hcp.backend(token=hcp.hcp.reading_token).release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert right in outcome.detail
    assert hcp.workspace.is_locked
    assert (await hcp.backend().release(place)).result is ReleaseResult.RELEASED


@pytest.mark.parametrize(
    ("lacks", "rights"),
    [
        ({}, ()),
        ({"can-force-unlock": False}, (ADMIN,)),
        ({"can-read-state-versions": False, "can-queue-apply": False}, (READ, APPLY)),
    ],
)
async def test_the_doctor_reads_the_rights_from_the_workspace_and_tries_nothing(hcp, lacks, rights):
    await hcp.take(hcp.lock())
    hcp.hcp.permissions = lacks

    (probe,) = await hcp.backend().probe("0a1b2c3d")

    assert (probe.missing_rights, probe.is_tried, probe.trouble) == (rights, False, None)
    assert posted(hcp) == []


async def test_a_limit_that_is_used_up_is_waited_out_as_long_as_it_says(hcp):
    hcp.hcp.remaining = 0

    ((_, why),) = (await hcp.backend().read_lock()).unseen

    assert (why.trouble, why.retry_after) == (Trouble.THROTTLED, 0.4)


async def test_a_request_that_was_held_up_is_never_sent(hcp):
    place = await held(hcp)

    outcome = await hcp.backend().release(place, before=WallClock().running() - 1)

    assert outcome.result is ReleaseResult.NOT_SENT
    assert posted(hcp) == []
    assert hcp.workspace.is_locked
    assert (await hcp.backend().release(place)).result is ReleaseResult.RELEASED


# the state


async def test_a_state_is_read_from_its_signed_address_without_the_token(hcp):
    await hcp.put_state()

    state = (await hcp.backend().read_state()).state.value

    assert (state.fault, state.serial, state.lineage) == (None, STATE["serial"], STATE["lineage"])
    assert state.version_id == hcp.workspace.states[-1].id


async def test_a_state_behind_the_api_is_asked_for_with_the_token_which_does_not_follow_the_redirect(hcp):
    hcp.hcp.states_need_token = True
    hcp.section = hcp.section.model_copy(update={"endpoint_url": hcp.hcp.origin})
    await hcp.put_state()

    state = (await hcp.backend().read_state()).state.value

    assert state.serial == STATE["serial"]


def test_the_token_goes_to_paths_of_the_api_and_nowhere_else(hcp):
    client = hcp.backend()._store.client
    own = client.base_url

    assert way_to(client, f"{own}/api/state-versions/sv-1/hosted_state") == "/api/state-versions/sv-1/hosted_state"
    for signed in (f"{own}/_archivist/v1/object/x", "https://archivist.terraform.io/v1/object/x", f"{own}.evil/api/x"):
        assert way_to(client, signed) == signed
    for odd in ("", "/api/x", "file:///etc/passwd", "http://[", "//evil/api/x"):
        with pytest.raises(Failed):
            way_to(client, odd)


async def test_a_state_that_was_never_written_is_absent_without_traces(hcp):
    assert (await hcp.backend().read_state()).state.value == StateAbsent()


async def test_a_list_of_states_that_is_empty_for_want_of_the_right_is_not_called_never_written(hcp):
    await hcp.put_state()
    hcp.hcp.permissions = {"can-read-state-versions": False}

    state = (await hcp.backend().read_state()).state

    assert isinstance(state, Unseen)
    assert READ in state.detail


async def test_a_state_that_is_being_uploaded_is_a_write_and_the_newest_whole_one_is_read(hcp):
    await hcp.put_state()
    whole = hcp.workspace.states[-1]
    whole.at = THEN
    late = hcp.hcp.runs.put_state(hcp.workspace, b"", status="pending")

    state = (await hcp.backend().read_state()).state.value

    assert state.version_id == whole.id
    assert abs(state.last_written - late.at) < timedelta(seconds=5)


async def test_a_first_state_that_is_being_uploaded_is_not_called_never_written(hcp):
    hcp.hcp.runs.put_state(hcp.workspace, b"", status="pending")

    assert isinstance((await hcp.backend().read_state()).state, Unseen)


async def test_a_broken_state_names_its_last_good_version(hcp):
    good = hcp.hcp.runs.put_state(hcp.workspace, json.dumps(STATE).encode())
    hcp.hcp.runs.put_state(hcp.workspace, b'{"version": 4')

    state = (await hcp.backend().read_state()).state.value

    assert state.fault == "it is not valid JSON"
    assert state.last_good_version == good.id


async def test_versions_are_listed_newest_first_over_all_pages(hcp):
    for serial in range(205):
        made = hcp.hcp.runs.put_state(hcp.workspace, json.dumps({**STATE, "serial": serial}).encode())
        made.at = THEN + timedelta(minutes=serial)

    found = (await hcp.backend().versions(150)).value

    assert [one.id for one in found] == [one.id for one in hcp.workspace.states[:-151:-1]]
    assert [one.is_newest for one in found[:2]] == [True, False]


# many states


@pytest.fixture
def sections(hcp):
    for number in range(230):
        hcp.hcp.runs.add_workspace(ORGANIZATION, f"team-{number:03}")
    names = ["network", "team-007", "team-229"]
    return {name: hcp.section.model_copy(update={"workspace": name}) for name in names}


async def test_the_locks_of_an_organization_are_read_page_by_page_and_only_what_is_locked_by_itself(hcp, sections):
    await hcp.take(hcp.lock())
    hcp.hcp.asked.clear()

    seen = await KIND.sweep(sections, hcp.new_means()).read_locks(tuple(sections))

    assert {name: lock.is_free for name, lock in seen.items()} == {
        "network": False,
        "team-007": True,
        "team-229": True,
    }
    assert seen["network"] == replace(await hcp.backend().read_lock(), at=seen["network"].at)
    assert len([line for line in hcp.hcp.asked if "/workspaces?" in line]) == 3


async def test_a_list_is_read_no_farther_than_it_shows_what_is_wanted(hcp, sections):
    await KIND.sweep({"network": sections["network"]}, hcp.new_means()).read_locks(("network",))

    assert len([line for line in hcp.hcp.asked if "/workspaces?" in line]) == 1


async def test_a_workspace_that_the_list_does_not_show_is_asked_for_and_is_never_free_unseen(hcp, sections):
    sections["gone"] = hcp.section.model_copy(update={"workspace": "gone"})

    seen = await KIND.sweep(sections, hcp.new_means()).read_locks(tuple(sections))

    assert not seen["gone"].is_free
    assert isinstance(seen["gone"].unseen[0][1], NotFound)


async def test_nothing_is_free_that_could_not_be_listed(hcp, sections):
    hcp.proxy.fault(lambda call: call.path.endswith("/workspaces"), Deny())

    seen = await KIND.sweep(sections, hcp.new_means()).read_locks(tuple(sections))

    assert not any(lock.is_free for lock in seen.values())
    assert all(READ in lock.unseen[0][1].detail for lock in seen.values())


async def test_a_listing_that_takes_too_long_leaves_all_unseen(hcp, sections):
    hcp.proxy.fault(lambda call: call.path.endswith("/workspaces"), Delay(30))
    sweep = KIND.sweep(sections, hcp.new_means())
    sweep._timeout = 0.3

    seen = await sweep.read_locks(tuple(sections))

    assert [lock.unseen[0][1].trouble for lock in seen.values()] == [Trouble.TIMED_OUT] * 3


# a run in each of its states, as a release finds it


async def test_a_run_that_was_confirmed_in_between_is_not_discarded_and_keeps_its_lock(hcp):
    place = await held(hcp)
    run = hcp.hcp.runs.all[place.info.id]
    confirmed = Meanwhile(lambda: hcp.hcp.runs.confirm(run))
    hcp.proxy.fault(hcp.deletes(hcp.kinds[0]), confirmed, times=1)

    outcome = await hcp.backend().release(place)

    assert outcome.result is not ReleaseResult.RELEASED
    assert (run.status, run.canceled_at) == ("applying", None)
    assert hcp.workspace.locked_by == ("runs", run.id)


@pytest.mark.parametrize("answer", [Throttle(), Deny(), Answer(404, b"{}"), Answer(200, b"<html>")])
async def test_what_became_of_a_request_that_was_sent_is_not_known_while_the_workspace_cannot_be_read(hcp, answer):
    place = await held(hcp)
    run = hcp.hcp.runs.all[place.info.id]
    unseen = Meanwhile(lambda: hcp.proxy.fault(hcp.reads(hcp.kinds[0]), answer))
    hcp.proxy.fault(hcp.deletes(hcp.kinds[0]), unseen, times=1)

    outcome = await hcp.backend().release(place)

    assert outcome.result is ReleaseResult.NOT_KNOWN
    assert "accepted the request to discard" in outcome.detail
    assert run.status == "discarded"


async def test_a_lock_that_cannot_be_made_out_after_the_request_is_not_called_released(hcp):
    place = await held(hcp)
    blurred = Meanwhile(lambda: setattr(hcp.workspace, "odd", {"locked-by": {"data": None}}), Answer(202))
    hcp.proxy.fault(hcp.deletes(hcp.kinds[0]), blurred, times=1)

    outcome = await hcp.backend().release(place)

    assert outcome.result is not ReleaseResult.RELEASED
    assert hcp.workspace.is_locked


async def test_a_run_that_heeds_no_cancel_keeps_its_lock_until_force_is_let_and_that_is_said(hcp):
    hcp.hcp.runs.cancel_delay = timedelta(hours=1)
    hcp.hcp.runs.cool_off = timedelta(seconds=30)
    run = hcp.hcp.runs.start_run(hcp.workspace)
    (place,) = (await hcp.backend().read_lock()).held

    asked = await hcp.backend().release(place)
    cooling = await hcp.backend().release(place)
    status = run.status
    run.canceled_at -= timedelta(minutes=1)
    forced = await hcp.backend().release(place)

    assert (asked.result, cooling.result) == (ReleaseResult.NOT_KNOWN, ReleaseResult.THROTTLED)
    assert status == "planning"
    assert 0 < cooling.retry_after <= 30
    assert (forced.result, run.status, hcp.workspace.is_locked) == (ReleaseResult.RELEASED, "force_canceled", False)


async def test_a_run_that_is_over_and_keeps_its_lock_is_an_admins_matter(hcp):
    place = await held(hcp)
    run = hcp.hcp.runs.all[place.info.id]
    run.status = "errored"

    outcome = await hcp.backend().release(place)

    assert outcome.result is ReleaseResult.DENIED
    assert "has ended (errored)" in outcome.detail
    assert hcp.workspace.is_locked
    assert posted(hcp) == []


async def test_the_next_run_in_the_queue_that_has_the_lock_by_then_is_not_touched(hcp):
    place = await held(hcp)
    first = hcp.hcp.runs.all[place.info.id]
    second = hcp.hcp.runs.start_run(hcp.workspace, queued=True)
    hcp.hcp.runs.discard(first)

    outcome = await hcp.backend().release(place)

    assert outcome.result is ReleaseResult.HOLDER_CHANGED
    assert second.id in outcome.detail
    assert (second.status, hcp.workspace.locked_by) == ("planning", ("runs", second.id))
    assert posted(hcp) == []


async def test_when_the_run_ends_and_the_next_one_has_the_lock_at_once_that_one_stays(hcp):
    place = await held(hcp)
    second = hcp.hcp.runs.start_run(hcp.workspace, queued=True)

    outcome = await hcp.backend().release(place)

    assert outcome.result is ReleaseResult.RELEASED
    assert (second.status, second.canceled_at) == ("planning", None)
    assert hcp.workspace.locked_by == ("runs", second.id)


# configuration


@pytest.mark.parametrize(
    ("given", "address", "path"),
    [
        ({}, "https://app.terraform.io", "acme/network"),
        ({"hostname": "tfe.example.com:8443"}, "https://tfe.example.com:8443", "acme/network"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "http://127.0.0.1:9", "acme/network"),
    ],
)
def test_a_workspace_is_where_the_cloud_block_says(given, address, path):
    section = Backend(type="hcp", organization="acme", workspace="network", **given)

    assert (section.address, section.lock_path) == (address, path)


@pytest.mark.parametrize("hostname", ["https://tfe.example.com", "tfe.example.com/app", "", "a b"])
def test_a_hostname_is_only_that(hostname):
    with pytest.raises(ValueError, match="host"):
        Backend(type="hcp", organization="acme", workspace="network", hostname=hostname)


# listing


async def names(hcp, *, beginning="", **keys):
    section = hcp.section.model_copy(update=keys)
    return await KIND.states(section, hcp.new_means(), beginning)


@pytest.fixture(params=[True, False], ids=["filters", "no filters"])
def acme(hcp, request):
    """Workspaces in two projects, with tags, in an installation that knows the filters or one that does not."""
    hcp.hcp.filters = request.param
    for name, project, tags in (
        ("net-dev", "Platform", ("app",)),
        ("net-prod", "Platform", ("app", "live")),
        ("shop-prod", "Shop", ("app", "live")),
    ):
        hcp.hcp.runs.add_workspace("acme", name, project=project, tags=tags)
    hcp.hcp.runs.add_workspace("other", "net-qa", project="Platform", tags=("app",))
    return hcp


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({}, {"net-dev", "net-prod", "shop-prod", "network"}),
        ({"beginning": "net-"}, {"net-dev", "net-prod"}),
        ({"project": "Platform"}, {"net-dev", "net-prod"}),
        ({"tags": ("live",)}, {"net-prod", "shop-prod"}),
        ({"project": "Shop", "tags": ("app", "live")}, {"shop-prod"}),
        ({"tags": ("app", "none")}, set()),
    ],
)
async def test_the_workspaces_of_a_project_with_all_tags_are_listed(acme, keys, found):
    assert set((await names(acme, **keys)).value) == found


async def test_a_project_that_is_not_shown_has_no_list_and_not_an_empty_one(acme):
    found = await names(acme, project="Nobody's")
    assert isinstance(found, NotFound)
    assert "project Nobody's in acme" in found.what


async def test_a_list_of_workspaces_is_read_to_its_last_page(hcp):
    for number in range(1_001):
        hcp.hcp.runs.workspaces[f"ws-{number}"] = replace(hcp.workspace, id=f"ws-{number}", name=f"s{number:04}")
    found = await names(hcp)
    assert len(set(found.value)) == len(found.value) == 1_002


async def test_a_list_of_too_many_workspaces_is_no_list(hcp, monkeypatch):
    monkeypatch.setattr(kind, "MANY", Extent(2, at_once=6))
    for number in range(201):
        hcp.hcp.runs.workspaces[f"ws-{number}"] = replace(hcp.workspace, id=f"ws-{number}", name=f"s{number:04}")
    found = await names(hcp)
    assert found.trouble is Trouble.TOO_MUCH
    assert "more than 200 entries of the workspaces of acme" in found.detail
