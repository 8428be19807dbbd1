"""`claim` and its wrapper, as real processes: nothing of the command may change, whatever becomes of the bot."""

import asyncio
import json
import os
import pty
import signal
import sys
from datetime import UTC, datetime

import pytest
from aiohttp import web

from bot.cli.claim import NoClaim, OwnRun, run_in
from bot.core.gate.attribution import Strength
from bot.core.gate.case import Ruling

EARLY, LATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

LISTENER = """
import os, signal, sys, time
count = {n: 0 for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)}
def heard(number, frame):
    count[number] += 1
    os.write(1, f"heard {signal.Signals(number).name} {count[number]}\\n".encode())
    if number == signal.SIGTERM:
        time.sleep(0.5)
        sys.exit(5)
for number in count:
    signal.signal(number, heard)
os.write(1, b"ready\\n")
while True:
    time.sleep(0.05)
"""


async def line_of(process):
    async with asyncio.timeout(90):
        return (await process.stdout.readline()).decode().strip()


async def until(condition):
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  the bot's Redis has no event to wait for
            await asyncio.sleep(0.05)


@pytest.fixture
async def silent_bot():
    """Takes connections and never answers: its address, and who has given it up."""
    taken, given_up = [], []

    async def take(reader, writer):
        taken.append(writer)
        await reader.read()
        given_up.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", given_up
    server.close()
    for writer in taken:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for writer in taken), return_exceptions=True)


async def test_a_claim_is_recorded_with_run_and_host_and_its_id_printed(bot, run, in_github, own_host):
    record = bot.start_run()

    ended = await run("claim", "--state", "staging", **in_github(record))
    await bot.hold(host=own_host)
    _, seen = await bot.decide()

    assert ended.code == 0
    assert len(ended.out.strip()) >= 32
    assert seen.attribution.strength is Strength.CLAIM
    assert seen.attribution.candidates[0].run.ref.id == str(record.id)


async def test_output_and_exit_code_of_the_command_are_its_own(bot, run, in_github):
    script = "import sys; print('out'); print('err', file=sys.stderr); print(sys.stdin.read()); sys.exit(7)"

    ended = await run(
        "claim", "--state", "staging", "--", sys.executable, "-c", script, given=b"given", **in_github(bot.start_run())
    )

    assert (ended.code, ended.out, ended.err) == (7, "out\ngiven\n", "err\n")


async def test_options_of_the_command_are_not_ours(bot, run, in_github):
    words = ("claim", "--state", "staging", "--", "echo", "--strict", "--state", "x", "--", "-h")

    assert (await run(*words, **in_github(bot.start_run()))).out == "--strict --state x -- -h\n"


async def test_the_end_of_the_command_is_reported_and_without_a_seal_proves_nothing(bot, start, in_github, own_host):
    record = bot.start_run()
    process = await start("claim", "--state", "staging", "--", sys.executable, "-c", LISTENER, **in_github(record))
    assert await line_of(process) == "ready"

    async def claimed():
        return bool(await bot.world.records.enlisted(
            "claims-by-host", f"staging/{own_host.casefold()}", since=EARLY, until=LATE, limit=1
        ))  # fmt: skip

    await until(claimed)
    lock = await bot.hold(host=own_host)
    alive, _ = await bot.decide()
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    dead, seen = await bot.decide()

    assert alive.ruling is Ruling.REFUSE
    assert process.returncode == 5
    assert seen.attribution.candidates[0].exited is None
    assert dead.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT", "SIGABRT"])
async def test_a_command_that_dies_by_a_signal_is_died_after(run, name):
    number = signal.Signals[name]

    ended = await run("claim", "--state", "staging", "--", "sh", "-c", f"kill -{number.value} $$")

    assert ended.code == -number


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize("whom", ["the wrapper", "the group"])
async def test_a_signal_reaches_the_command_once_whomever_it_was_sent_to(start, name, whom):
    process = await start("claim", "--state", "staging", "--", sys.executable, "-c", LISTENER)
    assert await line_of(process) == "ready"

    if whom == "the group":
        os.killpg(process.pid, signal.Signals[name])
    else:
        process.send_signal(signal.Signals[name])
    first = await line_of(process)
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()

    assert first == f"heard {name} 1"
    assert rest.decode() == "heard SIGTERM 1\n"
    assert process.returncode == 5


async def test_the_command_keeps_its_terminal(tmp_path):
    controller, terminal = pty.openpty()
    script = "import sys; print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty(), flush=True)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "claim", "--state", "staging", "--", sys.executable, "-c", script,
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, stdin=terminal, stdout=terminal, stderr=terminal,
    )  # fmt: skip
    async with asyncio.timeout(90):
        assert await process.wait() == 0
    os.close(terminal)
    shown = await asyncio.to_thread(os.read, controller, 4096)
    os.close(controller)

    assert b"True True True" in shown


async def test_no_process_of_ours_outlives_the_command(start, tmp_path):
    process = await start("claim", "--state", "staging", "--", sys.executable, "-c", LISTENER)
    await line_of(process)
    process.kill()
    os.killpg(process.pid, signal.SIGTERM)
    await process.communicate()

    async def gone():
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(gone)


async def test_a_command_that_cannot_be_run_ends_as_in_a_shell(run, tmp_path):
    (tmp_path / "plain").write_text("")

    missing = await run("claim", "--state", "staging", "--", "no-such-command")
    plain = await run("claim", "--state", "staging", "--", f"{tmp_path}/plain")

    assert (missing.code, plain.code) == (127, 126)
    assert "no-such-command" in missing.err


async def test_a_bot_that_never_answers_does_not_make_the_command_wait(run, start, in_github, bot, silent_bot):
    url, given_up = silent_bot
    environ = in_github(bot.start_run(), TFLOCK_URL=url)

    process = await start("claim", "--state", "staging", "--", "echo", "at once", **environ)
    assert await line_of(process) == "at once"
    assert not given_up
    _, err = await process.communicate()

    assert process.returncode == 0
    assert b"warning" in err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TFLOCK_URL": "http://127.0.0.1:9"}, "does not answer"),
        ({"TFLOCK_URL": "nonsense"}, "does not answer"),
        ({"TFLOCK_URL": ""}, "TFLOCK_URL is not set"),
        ({"TFLOCK_CLAIM_TOKEN": "wrong"}, "answered 401: the bearer token"),
        ({"GITHUB_RUN_ID": ""}, "not run in a CI system that tflock knows"),
    ],
)
async def test_a_claim_that_cannot_be_made_is_a_warning_or_with_strict_a_failure(bot, run, in_github, changes, words):
    environ = in_github(bot.start_run(), **changes)

    plain = await run("claim", "--state", "staging", **environ)
    wrapped = await run("claim", "--state", "staging", "--", "echo", "done", **environ)
    strict = await run("claim", "--state", "staging", "--strict", **environ)
    strict_wrapped = await run("claim", "--state", "staging", "--strict", "--", "echo", "done", **environ)

    assert (plain.code, wrapped.code, strict.code, strict_wrapped.code) == (0, 0, 1, 1)
    assert (wrapped.out, strict_wrapped.out) == ("done\n", "")
    for ended in (plain, wrapped, strict, strict_wrapped):
        assert words in ended.err
        assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "changes", [{"TFLOCK_CLAIM_TOKEN": "hidden-word\nx"}, {"TFLOCK_URL": "http://u:hidden-word@127.0.0.1:9"}]
)
async def test_a_warning_shows_neither_the_token_nor_a_password_in_the_address(bot, run, in_github, changes):
    ended = await run("claim", "--state", "staging", **in_github(bot.start_run(), **changes))

    assert "warning" in ended.err
    assert "hidden-word" not in ended.err + ended.out


async def test_an_unknown_state_is_said_in_the_jobs_log(bot, run, in_github):
    ended = await run("claim", "--state", "stagin", "--strict", **in_github(bot.start_run()))

    assert ended.code == 1
    assert "did you mean staging?" in ended.err


async def test_without_a_state_the_usage_is_shown(run):
    assert (await run("claim", "--", "true")).code == 2


GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/infra",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "2",
}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        (GITHUB, OwnRun("https://github.com/acme/infra/actions/runs/7", 2)),
        (
            GITHUB | {"GITHUB_ACTOR": "quinn", "GITHUB_TRIGGERING_ACTOR": "elliott-ci"},
            OwnRun("https://github.com/acme/infra/actions/runs/7", 2, "elliott-ci"),
        ),
        (
            GITHUB | {"GITHUB_ACTOR": "quinn", "GITHUB_TRIGGERING_ACTOR": "x" * 256},
            OwnRun("https://github.com/acme/infra/actions/runs/7", 2, "quinn"),
        ),
        (
            {
                "GITLAB_CI": "true",
                "CI_PIPELINE_URL": "https://gl.example.com/p/3",
                "GITLAB_USER_EMAIL": "e@example.com",
            },
            OwnRun("https://gl.example.com/p/3", actor="e@example.com"),
        ),
        (
            {
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
                "SYSTEM_TEAMPROJECT": "infra",
                "BUILD_BUILDID": "42",
                "BUILD_REQUESTEDFOREMAIL": "elliott@example.com",
            },
            OwnRun("https://dev.azure.com/acme/infra/_build/results?buildId=42", actor="elliott@example.com"),
        ),
        (
            {"BUILD_URL": "https://ci.example.com/job/a/5/", "BUILD_USER_ID": "elliott"},
            OwnRun("https://ci.example.com/job/a/5/", actor="elliott"),
        ),
        (GITHUB | {"GITHUB_RUN_ATTEMPT": "x"}, OwnRun("https://github.com/acme/infra/actions/runs/7")),
        (
            {"GITLAB_CI": "true", "CI_PIPELINE_URL": "https://gl.example.com/a/b/-/pipelines/3", "CI_JOB_URL": "x"},
            OwnRun("https://gl.example.com/a/b/-/pipelines/3"),
        ),
        (
            {
                "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
                "SYSTEM_TEAMPROJECT": "Infra Team",
                "BUILD_BUILDID": "42",
                "SYSTEM_JOBATTEMPT": "3",
            },
            OwnRun("https://dev.azure.com/acme/Infra%20Team/_build/results?buildId=42", 3),
        ),
        ({"BUILD_URL": "https://ci.example.com/job/a/job/b/5/"}, OwnRun("https://ci.example.com/job/a/job/b/5/")),
    ],
)
def test_the_run_is_found_from_the_ci_systems_own_variables(environ, found):
    assert run_in(environ) == found


@pytest.mark.parametrize(
    "environ", [{}, {"GITLAB_CI": "true"}, {"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:9"}]
)
def test_where_no_run_can_be_found_that_is_said(environ):
    with pytest.raises(NoClaim):
        run_in(environ)


async def test_an_ecs_task_knows_its_own_arn(bot):
    arn = "arn:aws:ecs:eu-west-1:123456789012:task/terraform/0f9de17a6465404e8b1b2356dc13c2f8"

    async def task(request):
        return web.Response(text=json.dumps({"Cluster": "terraform", "TaskARN": arn}))

    app = web.Application()
    app.router.add_get("/v4/abc/task", task)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    metadata = f"http://127.0.0.1:{runner.addresses[0][1]}/v4/abc"

    found = await asyncio.to_thread(run_in, {"ECS_CONTAINER_METADATA_URI_V4": metadata})
    await runner.cleanup()

    assert found == OwnRun(arn)
