"""The command line. The only place that reads the environment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import structlog
import typer

from bot.app import logs
from bot.config.load import DEFAULT_PATH, Config, load
from bot.errors import ChainBroken, ConfigInvalid, TflockError, UnknownState

if TYPE_CHECKING:
    from aiohttp import web

log = structlog.get_logger()

FAILED, WRONG, TIMED_OUT = 1, 2, 3

_MOST_LISTED = 10

T = TypeVar("T")

cli = typer.Typer(
    name="tflock",
    help="Resolves Terraform state-lock incidents with proof, in the Slack channel where they happen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document with stable keys.")]


@cli.command()
def serve(
    *,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave the durable jobs to another process.")] = False,
) -> None:
    """Take Slack's requests; run the durable jobs too, unless another process does."""
    config = _config()
    _run(_serve(config, run_jobs=not no_worker))


@cli.command()
def worker() -> None:
    """Run the durable jobs: unlocks, kills, exports."""
    _run(_work(_config()))


@cli.command()
def demo(
    *, serve: Annotated[bool, typer.Option("--serve", help="Keep the sandbox running, for a browser.")] = False
) -> None:
    """Play a real lock incident on this machine: no account needed."""
    try:
        from bot.sandbox.demo.demo import play  # noqa: PLC0415 - the sandbox's packages are not needed to serve
    except ModuleNotFoundError as missing:
        _fail(f"the demo needs the sandbox extra ({missing.name} is missing): pip install 'tflock[sandbox]'", WRONG)
    raise typer.Exit(asyncio.run(play(keep_serving=serve)))


@cli.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Check config, Slack scopes, Redis, AWS permissions and CI tokens; exit 1 if anything would stop an unlock."""
    from bot.doctor.examine import examine  # noqa: PLC0415 - only this command looks at everything

    config = _config(need_slack=False)
    raise typer.Exit(_run(examine(config, as_json=as_json)))


@cli.command()
def status(
    state: Annotated[str | None, typer.Argument(help="A configured state.")] = None, *, as_json: AsJson = False
) -> None:
    """Show whether a state is locked, by which run, and what would stand in the way of an unlock. Reads only."""
    from bot.cli.show import show_status  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(_run(show_status(_config(need_slack=False), state, as_json=as_json)))


@cli.command()
def who(state: Annotated[str, typer.Argument(help="A configured state.")], *, as_json: AsJson = False) -> None:
    """Show who is behind a state's lock. Reads only."""
    from bot.cli.show import show_who  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(_run(show_who(_config(need_slack=False), state, as_json=as_json)))


@cli.command()
def timeline(incident: Annotated[str, typer.Argument(help="The incident's id.")], *, as_json: AsJson = False) -> None:
    """Print an incident's timeline."""
    from bot.cli.show import show_timeline  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(_run(show_timeline(_config(need_slack=False), incident, as_json=as_json)))


@cli.command()
def export(
    incident: Annotated[str, typer.Argument(help="The incident's id, or a JSON export (FILE.json).")],
    *,
    form: Annotated[
        str | None, typer.Option("--format", help="Only this format: markdown, html, json, csv or chart.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="The directory; default as configured, or that of FILE.json.")
    ] = None,
) -> None:
    """Write an incident's record as files, from its timeline or again from its JSON export."""
    from bot.cli.show import write_again, write_export  # noqa: PLC0415 - keeps the other commands quick

    if incident.endswith(".json"):
        raise typer.Exit(_checked(lambda: write_again(Path(incident), form=form, directory=output), incident))
    raise typer.Exit(_run(write_export(_config(need_slack=False), incident, form=form, directory=output)))


@cli.command()
def verify(
    what: Annotated[str, typer.Argument(metavar="FILE|INCIDENT", help="A JSON export, or an incident's id.")],
) -> None:
    """Check that an export or a live timeline was not altered; names the first broken entry."""
    file = Path(what)
    if file.exists() or file.suffix or len(file.parts) > 1:
        _verify_file(file)
        return
    from bot.cli.show import show_verified  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(_run(show_verified(_config(need_slack=False), what)))


@cli.command("import")
def import_(file: Annotated[Path, typer.Argument(help="A JSON export.")]) -> None:
    """Put the timeline of an export back into Redis, entry by entry as it was recorded."""
    from bot.cli.restore import put_back  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(_run(put_back(_config(need_slack=False), file)))


def _verify_file(file: Path) -> None:
    from bot.export.json.read import verify_json  # noqa: PLC0415 - keeps the other commands quick

    found = _checked(lambda: verify_json(file), str(file))
    counted = f"{found.entries} entries of {found.incident.id}; last hash {found.last}"
    if not found.redacted:
        typer.echo(f"{file}: whole. {counted}")
        return
    listed = ", ".join(found.redacted[:_MOST_LISTED]) + (" …" if len(found.redacted) > _MOST_LISTED else "")
    typer.echo(f"{file}: not proven in all its words. {counted}")
    typer.echo(f"Redacted in the export: {listed}. Their places in the chain are proven, their words are not.")
    typer.echo(f"Where the timeline itself still is, this proves them: tflock verify {found.incident.id}")
    raise typer.Exit(1)


@cli.command(context_settings={"allow_interspersed_args": False})
def claim(
    command: Annotated[list[str] | None, typer.Argument(help="A command to run, after --.", show_default=False)] = None,
    *,
    state: Annotated[str, typer.Option("--state", help="The state that this job runs Terraform on.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail if the claim cannot be recorded.")] = False,
) -> None:
    """For CI jobs: record which run this is, on which host; with a command, run it and report its end."""
    from bot.cli.claim import claim as make  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(make(state, command or (), os.environ, strict=strict))


@cli.command()
def wait(
    state: Annotated[str, typer.Argument(help="A configured state.")],
    *,
    timeout: Annotated[str, typer.Option("--timeout", help="How long at most: 90s, 30m, 2h.")] = "30m",
) -> None:
    """For pipelines: return when the state's lock is free and no other run of its pipelines is at work."""
    from bot.cli.wait import timeout_of, wait_for  # noqa: PLC0415 - keeps the other commands quick

    try:
        longest = timeout_of(timeout)
    except ValueError as wrong:
        _fail(f"--timeout {wrong}", WRONG)
    raise typer.Exit(_run(wait_for(_config(need_slack=False), state, os.environ, timeout=longest)))


@cli.command()
def explain() -> None:
    """Read a pasted Terraform error on standard input; say what it is, what to do, and what not to do."""
    from bot.cli.explain import explain_text  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(explain_text(sys.stdin.buffer.read(), os.environ))


def main() -> None:
    """The console script."""
    cli()


async def _serve(config: Config, *, run_jobs: bool) -> None:
    from aiohttp import web  # noqa: PLC0415 - a job's command must not wait for what only a server needs

    from bot.app.run import introduced, socket_mode, working  # noqa: PLC0415 - same
    from bot.app.web import web_app  # noqa: PLC0415 - same
    from bot.app.wiring import build  # noqa: PLC0415 - same

    stop = _stop_signal()
    async with build(config) as bot, introduced(bot), working(bot, run_jobs=run_jobs):
        runner = web.AppRunner(web_app(bot), access_log=None, handle_signals=False, shutdown_timeout=3)
        await runner.setup()
        try:
            await _listen(runner, config.port)
            address = runner.addresses[0] if runner.addresses else ("", config.port)
            log.info("serving", port=address[1], jobs=run_jobs, socket_mode=config.slack.app_token is not None)
            async with socket_mode(bot):
                await stop.wait()
                log.info("stopping")
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> None:
    """Raises TflockError if the port is taken or may not be had."""
    from aiohttp import web  # noqa: PLC0415 - a job's command must not wait for what only a server needs

    try:
        await web.TCPSite(runner, host=None, port=port).start()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise TflockError(f"Port {port} cannot be served ({why}): free it, or name another one in PORT") from error


async def _work(config: Config) -> None:
    from bot.app.run import introduced, working  # noqa: PLC0415 - a job's command must not wait for a server's imports
    from bot.app.wiring import build  # noqa: PLC0415 - same

    stop = _stop_signal()
    async with build(config) as bot, introduced(bot), working(bot, run_jobs=True):
        log.info("working", name=bot.worker_name)
        await stop.wait()
        log.info("stopping")


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT. Asked for first, so that a process that is still starting stops cleanly too."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _config(*, need_slack: bool = True) -> Config:
    path = os.environ.get("TFLOCK_CONFIG") or DEFAULT_PATH
    try:
        config = load(path, os.environ, need_slack=need_slack)
    except ConfigInvalid as invalid:
        problems = invalid.problems
        typer.echo(f"The configuration has {len(problems)} problem{'s' if len(problems) != 1 else ''}:", err=True)
        for problem in problems:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(WRONG) from None
    # the answers of the commands that only read say themselves what went wrong
    is_quiet = not need_slack and not os.environ.get("LOG_LEVEL", "").strip()
    logs.set_up(form=config.log_format, level="error" if is_quiet else config.log_level)
    return config


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        return asyncio.run(work)
    except UnknownState as error:
        meant = f" Did you mean {error.nearest}?" if error.nearest else ""
        _fail(f"There is no state called {error.name}.{meant} Configured: {', '.join(error.known)}", WRONG)
    except ConfigInvalid as invalid:
        _fail("\n".join(invalid.problems), WRONG)
    except TflockError as error:
        _fail(str(error), FAILED)


def _checked(work: Callable[[], T], file: str) -> T:
    """Reads a file that must be an unaltered export."""
    try:
        return work()
    except ChainBroken as broken:
        _fail(f"{file}: the chain is broken at {broken}", FAILED)
    except TflockError as error:
        _fail(str(error), FAILED)


def _fail(words: str, code: int) -> NoReturn:
    typer.echo(words, err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
