"""`claim` and its wrapper, as real processes: nothing of the command may change, whatever becomes of the bot."""

import asyncio
import json
import os
import pty
import signal
import socket
import sys
from datetime import UTC, datetime

import pytest
from aiohttp import web

from bot.cli.claim import NoClaim, OwnRun, run_in
from bot.core.gate.attribution import Strength
from bot.core.gate.case import Ruling

EARLY, LATE = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

WITHOUT_SYS_ADMIN = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
"""Runs a command as root in a container, or as anybody: without the right to make a UTS namespace."""

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

    assert (ended.code, ended.out) == (7, "out\ngiven\n")
    said, own = ended.err.splitlines()
    assert said.startswith("tflock: host ")
    assert own == "err"


async def test_options_of_the_command_are_not_ours(bot, run, in_github):
    words = ("claim", "--state", "staging", "--", "echo", "--strict", "--state", "x", "--", "-h")

    assert (await run(*words, **in_github(bot.start_run()))).out == "--strict --state x -- -h\n"


async def claim_on(bot, host, state="staging"):
    """The newest claim that a job has made from this host, as it is written down, and its id."""
    ids = await bot.world.records.enlisted(
        "claims-by-host", f"{state}/{host.casefold()}", since=EARLY, until=LATE, limit=100
    )
    return (await bot.world.records.get("claim", ids[-1]), ids[-1]) if ids else (None, None)


async def test_a_sealed_command_has_a_host_name_of_its_own_and_its_end_releases_at_once(
    bot, namespaces, start, in_github, own_host
):
    record = bot.start_run()
    script = "import socket; print(socket.gethostname(), flush=True);" + LISTENER
    process = await start("claim", "--state", "staging", "--", sys.executable, "-c", script, **in_github(record))
    host = await line_of(process)
    assert await line_of(process) == "ready"
    _, claim_id = await claim_on(bot, own_host)

    lock = await bot.hold(host=host)
    alive, _ = await bot.decide()
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()
    dead, seen = await bot.decide()

    assert host == f"tflock-{claim_id}"
    assert err.decode() == f"tflock: host sealed as {host}\n"
    assert socket.gethostname() == own_host
    assert alive.ruling is Ruling.REFUSE
    assert process.returncode == 5
    assert seen.attribution.candidates[0].exited.code == 5
    assert dead.ruling is Ruling.ALLOW
    assert await bot.still_held(lock)


@pytest.mark.parametrize("how", ["never", "may not"])
async def test_the_end_of_a_command_that_is_not_sealed_proves_nothing(bot, run, start, in_github, own_host, how):
    words = ("claim", "--state", "staging", "--", "hostname")
    if how == "never":
        ended = await run(*words[:3], "--seal", "never", *words[3:], **in_github(bot.start_run()))
    else:
        ended = await run(*words, **in_github(bot.start_run()), within=WITHOUT_SYS_ADMIN)
    lock = await bot.hold(host=own_host)
    told, _ = await claim_on(bot, own_host)

    verdict, seen = await bot.decide()

    assert (ended.out, ended.code) == (f"{own_host}\n", 0)
    assert ended.err == ("" if how == "never" else "tflock: host not sealed: that takes root or CAP_SYS_ADMIN\n")
    assert (told["exit_code"], told["processes_left"]) == (0, 0)
    assert [candidate.exited for candidate in seen.attribution.candidates] == [None]
    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


@pytest.mark.parametrize(
    ("changes", "within", "words"),
    [
        ({}, WITHOUT_SYS_ADMIN, "that takes root or CAP_SYS_ADMIN"),
        ({"TFLOCK_URL": "http://127.0.0.1:9"}, (), "does not answer"),
    ],
)
async def test_a_command_that_has_to_be_sealed_does_not_run_without(
    bot, namespaces, run, in_github, own_host, changes, within, words
):
    always = ("claim", "--state", "staging", "--seal", "always", "--", "hostname")

    refused = await run(*always, **in_github(bot.start_run(), **changes), within=within)
    sealed = await run(*always, **in_github(bot.start_run()))

    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err
    assert "Nothing was run" in refused.err
    assert refused.err.count("\n") == 1
    assert (sealed.code, sealed.out[:7]) == (0, "tflock-")


async def test_a_seal_without_a_command_is_refused(bot, run, in_github):
    assert (await run("claim", "--state", "staging", "--seal", "always", **in_github(bot.start_run()))).code == 2
    assert (await run("claim", "--state", "staging", "--seal", "maybe", "--", "true")).code == 2


REST = "sleep 4711"
LEAVES = {
    "a background child": "REST & echo $!",
    "a child of its own session": "setsid REST & echo $!",
    "a double fork": "(setsid sh -c 'REST & echo $!' &) ; sleep 0.2",
    "a daemon without its output": "(setsid sh -c 'REST >&- 2>&- <&- & echo $!' &) ; sleep 0.2",
    "a shell that a signal ends": "REST & echo $!; wait; exit 9",
    "a killed parent": "REST & echo $!; kill -9 $$",
    "a child in a PID namespace": "unshare --pid --fork --kill-child REST & echo $!",
}


@pytest.mark.parametrize("case", LEAVES)
async def test_an_end_is_reported_only_when_nothing_is_left(bot, namespaces, start, in_github, own_host, case):
    """With heartbeats until then."""
    script = LEAVES[case].replace("REST", REST)
    process = await start("claim", "--state", "staging", "--", "sh", "-c", script, **in_github(bot.start_run()))
    rest = int(await line_of(process))
    if "signal" in case:
        process.send_signal(signal.SIGTERM)
    _, claim_id = await claim_on(bot, own_host)
    lock = await bot.hold(host=f"tflock-{claim_id}")

    async def beats():
        return (await claim_on(bot, own_host))[0]["heartbeat_at"] is not None

    await until(beats)
    open_, _ = await claim_on(bot, own_host)
    alive, _ = await bot.decide()
    assert process.returncode is None
    os.kill(rest, signal.SIGKILL)
    await process.communicate()
    closed, _ = await claim_on(bot, own_host)
    dead, _ = await bot.decide()

    code = {"a shell that a signal ends": -15, "a killed parent": -9}.get(case, 0)
    assert (open_["exit_code"], alive.ruling) == (None, Ruling.REFUSE)
    assert (closed["exit_code"], closed["processes_left"], process.returncode) == (code, 0, code)
    assert dead.ruling is (Ruling.ALLOW if code else Ruling.NEEDS_APPROVAL)
    assert await bot.still_held(lock)


async def test_a_service_in_the_background_does_not_hold_the_job_for_ever(bot, namespaces, start, in_github, own_host):
    """The command's end is reported then, with the number of processes left, and proves nothing."""
    words = ("claim", "--state", "staging", "--", "sh", "-c", f"{REST} >&- 2>&- & echo $!; exit 7")
    process = await start(*words, **in_github(bot.start_run()), short="child.REST_WAIT = 1")
    rest = int(await line_of(process))
    _, err = await process.communicate()
    told, claim_id = await claim_on(bot, own_host)
    lock = await bot.hold(host=f"tflock-{claim_id}")
    verdict, _ = await bot.decide()
    os.kill(rest, signal.SIGKILL)

    assert process.returncode == 7
    assert (told["exit_code"], told["processes_left"]) == (7, 1)
    assert f"sleep ({rest}) still left: the end of Terraform is not reported" in err.decode()
    assert verdict.ruling is Ruling.REFUSE
    assert await bot.still_held(lock)


async def test_what_is_left_of_a_command_gets_a_signal_that_was_meant_for_it(bot, start, in_github):
    script = f"{sys.executable} -c '{LISTENER}' & kill -9 $$"
    process = await start("claim", "--state", "staging", "--", "sh", "-c", script, **in_github(bot.start_run()))
    assert await line_of(process) == "ready"

    os.killpg(process.pid, signal.SIGINT)
    first = await line_of(process)
    process.send_signal(signal.SIGTERM)
    rest, _ = await process.communicate()

    assert (first, rest.decode()) == ("heard SIGINT 1", "heard SIGTERM 1\n")
    assert process.returncode == -signal.SIGKILL


async def test_without_a_claim_nobody_waits_for_what_is_left(start):
    process = await start("claim", "--state", "staging", "--", "sh", "-c", f"{REST} >&- 2>&- & echo $!")
    rest = int(await line_of(process))
    await process.communicate()

    os.kill(rest, signal.SIGKILL)  # it is still there
    assert process.returncode == 0


SELF = """
tr '\\0' '\\n' < /proc/$$/environ
for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd); done | grep / | grep -v -e pipe: -e $0 -e /proc/
pwd
ulimit -n
exec grep -E '^(Sig(Pnd|Blk|Ign)|Umask|Cap|Groups|Uid|NoNewPrivs)' /proc/self/status
"""
"""The last program takes the shell's place: a shell that starts another one blocks its signals for a moment."""


@pytest.mark.parametrize("environ", [{}, {"LANG": "C"}, {"LC_CTYPE": "POSIX"}, {"LANG": "C.UTF-8", "ODD": "a=b\nc"}])
@pytest.mark.parametrize("ignored", [(), (signal.SIGHUP, signal.SIGINT, signal.SIGCHLD)])
async def test_the_command_inherits_what_it_would_without_the_wrapper(tmp_path, environ, ignored):
    """Environment, descriptors, signals, rights, directory."""
    (tmp_path / "self.sh").write_text(SELF)
    given = {"PATH": os.environ["PATH"], "B": "2", "A": "1"} | environ
    seen = []
    with (tmp_path / "open").open("w") as first:
        os.dup2(first.fileno(), 77)
        for words in ((), (sys.executable, "-P", "-m", "bot", "claim", "--state", "staging", "--")):
            process = await asyncio.create_subprocess_exec(
                *words, "sh", str(tmp_path / "self.sh"),
                cwd=tmp_path, env=given, pass_fds=(first.fileno(), 77), stdout=asyncio.subprocess.PIPE,
                stdin=asyncio.subprocess.DEVNULL, umask=0o027, start_new_session=True,
                preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in ignored],
            )  # fmt: skip
            async with asyncio.timeout(90):
                out, _ = await process.communicate()
            seen.append((process.returncode, out.decode()))
        os.close(77)

    assert seen[0][1].splitlines() == seen[1][1].splitlines()
    assert seen[0][0] == seen[1][0] == 0
    assert f"\n77 {tmp_path}/open\n" in seen[1][1]
    assert "LC_CTYPE" not in seen[1][1] or "LC_CTYPE" in environ


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


async def test_a_bot_that_answers_late_gets_a_claim_that_is_not_sealed(namespaces, run, in_github, bot, own_host):
    news = []

    async def take(request):
        news.append(await request.json())
        await asyncio.sleep(3)
        return web.json_response({"id": "c1"}, status=201)

    async def hear(request):
        news.append(await request.json())
        return web.json_response({"id": "c1", "lock_id": None})

    app = web.Application()
    app.add_routes([web.post("/api/v1/claims", take), web.patch("/api/v1/claims/c1", hear)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    environ = in_github(bot.start_run(), TFLOCK_URL=f"http://127.0.0.1:{runner.addresses[0][1]}")

    ended = await run("claim", "--state", "staging", "--", "hostname", **environ)
    await runner.cleanup()

    assert (ended.code, ended.out) == (0, f"{own_host}\n")
    assert ended.err == "tflock: host not sealed: tflock did not answer within 2 s\n"
    assert news[0]["host"] == own_host
    assert news[-1] == {"exit_code": 0, "processes_left": 0}


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


@pytest.mark.parametrize(
    ("strict", "code"),
    [(("--strict",), 2), (("--strict", "--", "true"), 2), ((), 0), (("--", "sh", "-c", "exit 7"), 7)],
)
async def test_an_unknown_state_is_said_in_the_jobs_log(bot, run, in_github, strict, code):
    ended = await run("claim", "--state", "stagin", *strict, **in_github(bot.start_run()))

    assert ended.code == code
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
