"""What the doctor says of a Redis's settings, of its replicas and of the Sentinels, by what they answer."""

import pytest

from bot.doctor import durability
from bot.doctor.check import Level
from bot.store.durability import Durability, version_of
from bot.store.sentinels import Watch

SAFE = {
    "version": "Redis 7.0.15",
    "role": "master",
    "appendonly": True,
    "appendfsync": "always",
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
    "faults": (),
    "replicas": 2,
    "min_replicas": 1,
}
WATCHED = {"named": 3, "away": (), "known": 3, "quorum": 2, "trouble": ""}


def said(settings=None, watching=None):
    """What is not ok: the levels, and the words together."""
    watch = None if watching is None else Watch(**WATCHED | watching)
    results = list(durability.results(Durability(**SAFE | (settings or {})), watch))
    found = [result for result in results if result.level is not Level.OK]
    return [result.level for result in found], " ".join(f"{result.detail} {result.fix}" for result in found)


def test_a_safe_redis_behind_three_sentinels_has_nothing_to_say():
    assert said(watching={}) == ([], "")


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru", "volatile-ttl"])
def test_every_policy_that_evicts_stops_unlocks(policy):
    levels, words = said({"maxmemory_policy": policy})

    assert levels == [Level.FAIL]
    assert policy in words
    assert "noeviction" in words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"appendonly": False}, "appendonly yes"),
        ({"appendfsync": "everysec"}, "waits for the disk"),
        ({"min_replicas": 0}, "without a replica nothing is then written or unlocked"),
        ({"min_replicas": 2}, "the loss of one stops all writes"),
        ({"faults": ("the last snapshot failed",)}, "at its disk"),
    ],
)
def test_what_may_lose_something_is_a_warning_that_says_what_it_costs(settings, words):
    levels, told = said(settings)

    assert levels == [Level.WARN]
    assert words in told


def test_without_replicas_nothing_is_asked_about_them():
    assert said({"replicas": 0, "min_replicas": 0}) == ([], "")


@pytest.mark.parametrize(
    ("watching", "words"),
    [
        ({"known": 1, "quorum": 1, "named": 1}, "1 Sentinel watches"),
        ({"known": 2, "quorum": 2}, "2 Sentinels watch"),
        ({"quorum": 1}, "quorum 1: a single Sentinel"),
        ({"quorum": 3}, "losing 1 stops fail-overs"),
        ({"away": ("10.0.0.7:26379",)}, "10.0.0.7:26379 did not answer"),
        ({"trouble": "NOQUORUM 1 usable Sentinels"}, "NOQUORUM"),
        ({"named": 1}, "names only one of the Sentinels"),
    ],
)
def test_sentinels_that_could_fail_to_fail_over_are_a_warning(watching, words):
    levels, told = said(watching=watching)

    assert levels == [Level.WARN]
    assert words in told


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "7.0.15"}, "Redis 7.0.15"),
        ({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.0.1"}, "Valkey 9.0.1"),
        ({"redis_version": "7.4.0", "dragonfly_version": "df-v1.34.2"}, "Dragonfly df-v1.34.2"),
        ({"redis_version": "6.3.4", "server_name": "another"}, "another 6.3.4"),
        ({}, None),
    ],
)
def test_a_server_has_its_own_name_and_version(info, words):
    found = version_of(info)

    assert found == words if words is None else found.startswith(words)
