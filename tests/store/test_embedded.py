"""The embedded Redis: real servers, really killed."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import ConfigInvalid, JournalAway
from bot.store.connect import connect
from bot.store.embedded import find_binary, redis_for, trouble_at

WRITER = """
import asyncio, sys
from pathlib import Path
from bot.store.connect import connect
from bot.store.embedded import redis_for

async def main():
    async with redis_for(None, Path(sys.argv[1])) as url:
        client = connect(url)
        for n in range(int(sys.argv[2]), 1_000_000):
            await client.rpush("numbers", n)
            print(n, flush=True)

asyncio.run(main())
"""

HOLDER = """
import asyncio, sys
from pathlib import Path
from bot.store.embedded import redis_for

async def main():
    async with redis_for(None, Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


async def ask(url, *command):
    client = connect(url)
    try:
        return await client.execute_command(*command)
    finally:
        await client.aclose()


async def server_pid(url):
    return (await ask(url, "INFO", "server"))["process_id"]


async def eventually(question, limit=60.0):
    async with asyncio.timeout(limit):
        while not (answer := await question()):  # noqa: ASYNC110  another process does it, and has no event for us
            await asyncio.sleep(0.02)
    return answer


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def is_gone(pid):
    return gone(pid)


async def restarted(url, old_pid):
    try:
        return await server_pid(url) != old_pid
    except Exception:  # noqa: BLE001  whatever a dying server answers is a no
        return False


def mode_of(path):
    return Path(path).stat().st_mode & 0o777


def names_in(path):
    return {found.name for found in path.iterdir()}


def environment_of(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


def python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def end(process):
    process.kill()
    process.communicate()


async def test_a_url_that_is_given_is_used_as_it_is(directory):
    async with redis_for("redis://example.com:7000/1", directory) as url:
        assert url == "redis://example.com:7000/1"
    assert list(directory.iterdir()) == []


async def test_a_bad_url_is_said_before_anything_starts(directory):
    with pytest.raises(ConfigInvalid):
        async with redis_for("http://example.com", directory):
            pass


async def test_without_a_url_a_private_redis_runs_and_ends_with_the_context(directory):
    async with redis_for(None, directory) as url:
        assert url.startswith("unix:///")
        pid = await server_pid(url)
        config = await ask(url, "CONFIG", "GET", "*")
        modes = [mode_of(path) for path in (directory / "redis", url.removeprefix("unix://"))]
        names = names_in(directory / "redis")

    assert modes == [0o700, 0o700]
    assert "redis.log" in names
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "always"
    assert config["port"] == "0"
    assert config["aof-load-truncated"] == "yes"
    assert gone(pid)


async def test_what_was_written_is_there_at_the_next_start(directory):
    async with redis_for(None, directory) as url:
        await ask(url, "SET", "kept", "yes")
    async with redis_for(None, directory) as url:
        assert await ask(url, "GET", "kept") == "yes"


async def test_the_server_gets_none_of_the_environment(directory, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    async with redis_for(None, directory) as url:
        environment = environment_of(await server_pid(url))

    assert b"xoxb-secret" not in environment


async def test_a_killed_server_is_started_again_with_what_it_had(directory):
    async with redis_for(None, directory) as url:
        for n in range(3):
            await ask(url, "RPUSH", "numbers", n)
            pid = await server_pid(url)
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda pid=pid: restarted(url, pid))
        assert await ask(url, "LRANGE", "numbers", 0, -1) == ["0", "1", "2"]


async def test_every_acknowledged_write_outlives_kill_9_of_the_bot_and_of_redis(directory):
    acknowledged = []
    async with redis_for(None, directory) as url:
        await ask(url, "PING")
    for round_number in range(6):
        writer = python(WRITER, directory, len(acknowledged))
        try:
            for _ in range(40):
                line = await asyncio.to_thread(writer.stdout.readline)
                acknowledged.append(line.strip())
            if round_number % 2:
                os.kill(await server_pid(url), signal.SIGKILL)
        finally:
            writer.send_signal(signal.SIGKILL)
        rest, _ = await asyncio.to_thread(writer.communicate)
        acknowledged = [line for line in [*acknowledged, *rest.split("\n")[:-1]] if line.isdecimal()]

        async with redis_for(None, directory) as url:
            kept = await ask(url, "LRANGE", "numbers", 0, -1)
            missing = set(acknowledged) - set(kept)
            assert not missing
            acknowledged = kept


async def test_a_log_that_was_cut_in_the_middle_of_a_write_is_loaded_up_to_there(directory):
    async with redis_for(None, directory) as url:
        await ask(url, "SET", "first", "1")
        await ask(url, "SET", "second", "2")
    home = directory / "redis"
    log = next(path for path in [*home.glob("appendonlydir/*.incr.aof"), home / "appendonly.aof"] if path.exists())
    os.truncate(log, log.stat().st_size - 3)

    async with redis_for(None, directory) as url:
        assert await ask(url, "GET", "first") == "1"
        assert await ask(url, "GET", "second") is None


async def test_a_server_left_by_a_killed_bot_is_found_again(directory):
    holder = python(HOLDER, directory)
    try:
        url = (await asyncio.to_thread(holder.stdout.readline)).strip()
        pid = await server_pid(url)
    finally:
        end(holder)

    async with redis_for(None, directory) as found:
        assert found == url
        assert await server_pid(url) == pid
    assert gone(pid)


async def test_two_processes_share_one_server_and_the_last_stops_it(directory):
    async with redis_for(None, directory) as url:
        pid = await server_pid(url)
        holder = python(HOLDER, directory)
        try:
            assert (await asyncio.to_thread(holder.stdout.readline)).strip() == url
        except BaseException:
            end(holder)
            raise
    try:
        assert await server_pid(url) == pid
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: restarted(url, pid))
        pid = await server_pid(url)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert await asyncio.to_thread(holder.wait, 20) == 0
        assert gone(pid)
    finally:
        end(holder)


async def test_many_starts_at_once_make_one_server(directory):
    async def use():
        async with redis_for(None, directory) as url:
            pid = await server_pid(url)
            await everybody.wait()
            return pid

    everybody = asyncio.Barrier(5)
    pids = await asyncio.gather(*(use() for _ in range(5)))

    assert len(set(pids)) == 1
    assert gone(pids[0])


async def test_starting_and_stopping_in_a_hurry_never_loses_the_server(directory):
    async def come_and_go(n):
        for turn in range(4):
            async with redis_for(None, directory) as url:
                await ask(url, "RPUSH", "visits", f"{n}.{turn}")

    await asyncio.gather(*(come_and_go(n) for n in range(3)))

    async with redis_for(None, directory) as url:
        assert await ask(url, "LLEN", "visits") == 12


async def test_a_stale_socket_and_pid_file_do_not_stand_in_the_way(directory):
    home = directory / "redis"
    home.mkdir()
    (home / "redis.pid").write_text("1\n")
    (home / "redis.sock").write_text("")

    async with redis_for(None, directory) as url:
        assert await ask(url, "PING")


async def test_a_directory_with_a_long_and_odd_name_works(directory):
    deep = directory / ("long name with spaces, % and ? " * 3) / ("ü" * 40)
    async with redis_for(None, deep) as url:
        await ask(url, "SET", "kept", "yes")
        recorded = Path((deep / "redis" / "socket").read_text())
        assert len(os.fsencode(recorded)) < 104
        assert recorded.parent.stat().st_mode & 0o777 == 0o700
    async with redis_for(None, deep) as again:
        assert again == url
        assert await ask(url, "GET", "kept") == "yes"
    recorded.parent.rmdir()


async def test_a_log_that_redis_cannot_load_is_said_with_its_own_words(directory):
    async with redis_for(None, directory) as url:
        await ask(url, "SET", "first", "1")
    home = directory / "redis"
    for log in [*home.glob("appendonlydir/*.incr.aof"), *home.glob("appendonly.aof")]:
        log.write_bytes(b"garbage\r\n" * 20)

    with pytest.raises(JournalAway, match="Bad file format"):
        async with redis_for(None, directory):
            pass


async def test_a_server_too_old_for_the_files_is_refused_instead_of_starting_empty(directory):
    (directory / "redis" / "appendonlydir").mkdir(parents=True)
    old = directory / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.2.14 sha=0:0 malloc=libc bits=64'\n")
    old.chmod(0o755)

    with pytest.raises(ConfigInvalid, match="Redis 7"):
        async with redis_for(None, directory, binary=old):
            pass


async def test_a_directory_that_is_a_file_is_said_clearly(directory):
    (directory / "var").write_text("")

    with pytest.raises(ConfigInvalid, match="var"):
        async with redis_for(None, directory / "var"):
            pass


async def test_a_program_that_is_no_redis_is_said_clearly(directory):
    with pytest.raises(ConfigInvalid, match="embedded Redis cannot use"):
        async with redis_for(None, directory, binary=directory / "nothing"):
            pass


def test_there_is_a_server_on_this_machine():
    assert os.access(find_binary(), os.X_OK)


@pytest.mark.parametrize(
    ("free", "words"),
    [(0, "is full (0 KiB are free)"), (15 * 1024**2, "is nearly full (15360 KiB are free)"), (16 * 1024**2, "")],
)
def test_a_disk_is_called_full_only_where_nothing_can_be_written(tmp_path, free, words):
    trouble = trouble_at(tmp_path / "var", free_at=lambda _: free)
    assert trouble.endswith(words)
    assert bool(trouble) == bool(words)
