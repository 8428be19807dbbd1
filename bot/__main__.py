"""The signatures of the commands. Each imports what it needs when it is called: a job must not wait for the rest."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.form import PolicyForm
from bot.cli.frame import FAILED, OK, WRONG, checked, configuration, fail, run
from bot.cli.seal import Seal

gc.set_threshold(20_000, 20, 100)
"""Imports and the configuration make objects that stay: looking among them again and again costs a tenth of a start."""

cli = typer.Typer(
    name="tflock",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _examples(*commands: str) -> str:
    """The end of a command's help: at least two ways to use it."""
    return "\n\n".join(("Examples:", *commands))


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"tflock {version('tflock')}")
        raise typer.Exit(OK)


@cli.callback(epilog=_examples("tflock demo", "tflock doctor", "tflock status staging"))
def tflock(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Resolves Terraform state-lock incidents with proof, in the Slack channel where they happen."""


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document with stable keys.")]


@cli.command(epilog=_examples("tflock serve", "tflock serve --no-worker"))
def serve(
    *,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave the durable jobs to another process.")] = False,
) -> None:
    """Take Slack's requests; run the durable jobs too, unless another process does."""
    config = configuration()
    from bot.app.run import serve as take_requests  # noqa: PLC0415 - a wrong configuration is reported at once

    run(take_requests(config, run_jobs=not no_worker))


@cli.command(epilog=_examples("tflock worker", "LOG_FORMAT=console tflock worker"))
def worker() -> None:
    """Run the durable jobs: unlocks, kills, exports."""
    config = configuration()
    from bot.app.run import work  # noqa: PLC0415 - a wrong configuration is reported at once

    run(work(config))


@cli.command(epilog=_examples("tflock demo", "tflock demo --serve", "tflock demo --own"))
def demo(
    *,
    serve: Annotated[bool, typer.Option("--serve", help="Keep it running, unresolved, for you in a browser.")] = False,
    own: Annotated[
        bool, typer.Option("--own", help="Your own states and CI systems, with only Slack on this machine.")
    ] = False,
) -> None:
    """Play a real lock incident on this machine: no account needed."""
    if own:
        config = configuration(need_slack=False)
        from bot.sandbox.own import try_own  # noqa: PLC0415 - needs none of the sandbox's packages

        raise typer.Exit(try_own(config.path, os.environ))
    try:
        from bot.sandbox.demo.demo import play  # noqa: PLC0415 - the sandbox's packages are not needed to serve
    except ModuleNotFoundError as missing:
        fail(f"the demo needs the sandbox extra ({missing.name} is missing): pip install 'tflock[sandbox]'", WRONG)
    raise typer.Exit(asyncio.run(play(keep_serving=serve)))


@cli.command(epilog=_examples("tflock doctor", "tflock doctor --state staging --all"))
def doctor(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Print the checks that are ok, too.")] = False,
    state: Annotated[str | None, typer.Option(help="Check only this state, and what all states share.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check config, Slack scopes, Redis, AWS permissions and CI tokens; exit 1 if anything would stop an unlock."""
    from bot.doctor.examine import examine  # noqa: PLC0415 - only this command looks at everything

    config = configuration(need_slack=False)
    raise typer.Exit(OK if run(examine(config, as_json=as_json, everything=everything, state=state)) else FAILED)


@cli.command(epilog=_examples("tflock status", "tflock status staging --json"))
def status(
    state: Annotated[str | None, typer.Argument(help="A configured state.")] = None, *, as_json: AsJson = False
) -> None:
    """Show whether a state is locked, by which run, and what would block an unlock. Reads only."""
    from bot.cli.show import show_status  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(run(show_status(configuration(need_slack=False), state, as_json=as_json)))


@cli.command(epilog=_examples("tflock who staging", "tflock who staging --json"))
def who(state: Annotated[str, typer.Argument(help="A configured state.")], *, as_json: AsJson = False) -> None:
    """Show who holds a state's lock, and how to reach them. Reads only."""
    from bot.cli.show import show_who  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(run(show_who(configuration(need_slack=False), state, as_json=as_json)))


@cli.command(epilog=_examples("tflock recover staging", "tflock recover staging --json"))
def recover(
    state: Annotated[str, typer.Argument(help="A configured state.")],
    run_url: Annotated[str, typer.Argument(help="The page of another run than the last lock's.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a dead run made that no state has, with import blocks, and the state's versions. Reads only."""
    from bot.cli.show import show_recovery  # noqa: PLC0415 - keeps the other commands quick

    config = configuration(need_slack=False)
    raise typer.Exit(run(show_recovery(config, state, run_url=run_url, as_json=as_json)))


@cli.command(
    epilog=_examples("tflock timeline inc-20261121-staging-7f3a", "tflock timeline inc-20261121-staging-7f3a --json")
)
def timeline(incident: Annotated[str, typer.Argument(help="The incident's id.")], *, as_json: AsJson = False) -> None:
    """Print an incident's timeline."""
    from bot.cli.record import show_timeline  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(run(show_timeline(configuration(need_slack=False), incident, as_json=as_json)))


@cli.command(
    epilog=_examples(
        "tflock export inc-20261121-staging-7f3a --format html",
        "tflock export exports/inc-20261121-staging-7f3a.json --output .",
    )
)
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
    from bot.cli.record import write_again, write_export  # noqa: PLC0415 - keeps the other commands quick

    if incident.endswith(".json"):
        raise typer.Exit(checked(lambda: write_again(Path(incident), form=form, directory=output), incident))
    raise typer.Exit(run(write_export(configuration(need_slack=False), incident, form=form, directory=output)))


@cli.command(
    epilog=_examples("tflock verify exports/inc-20261121-staging-7f3a.json", "tflock verify inc-20261121-staging-7f3a")
)
def verify(
    what: Annotated[str, typer.Argument(metavar="FILE|INCIDENT", help="A JSON export, or an incident's id.")],
) -> None:
    """Check that an export or a live timeline was not altered; names the first broken entry."""
    file = Path(what)
    if file.exists() or file.suffix or len(file.parts) > 1:
        from bot.cli.verify import verify_file  # noqa: PLC0415 - keeps the other commands quick

        raise typer.Exit(verify_file(file))
    from bot.cli.record import show_verified  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(run(show_verified(configuration(need_slack=False), what)))


@cli.command(
    "import",
    epilog=_examples(
        "tflock import inc-20261121-staging-7f3a.json",
        "TFLOCK_CONFIG=prod.yml tflock import inc-20261121-staging-7f3a.json",
    ),
)
def import_(file: Annotated[Path, typer.Argument(help="A JSON export.")]) -> None:
    """Put the timeline of an export back into Redis, entry by entry as it was recorded."""
    from bot.cli.record import put_back  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(run(put_back(configuration(need_slack=False), file)))


@cli.command(epilog=_examples("tflock manifest --socket", "tflock manifest --url https://tflock.example.com"))
def manifest(
    *,
    socket: Annotated[bool, typer.Option("--socket", help="For Socket Mode: no public address is needed.")] = False,
    url: Annotated[str | None, typer.Option("--url", help="The bot's public address, to which Slack sends.")] = None,
) -> None:
    """Print the manifest of the Slack app, to paste at https://api.slack.com/apps."""
    from bot.cli.manifest import show_manifest  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(show_manifest(socket=socket, url=url))


@cli.command(epilog=_examples("tflock policy", "tflock policy --format json > policy.json"))
def policy(
    *,
    form: Annotated[PolicyForm, typer.Option("--format", help="text, json or terraform.")] = PolicyForm.TEXT,
) -> None:
    """Print the least rights in AWS, Azure, Google, each CI system, the ticket system and Slack. Asks nobody."""
    from bot.cli.policy import show_policy  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(show_policy(configuration(need_slack=False, need_tokens=False), form))


@cli.command(
    context_settings={"allow_interspersed_args": False},
    epilog=_examples(
        "tflock claim --state staging", "tflock claim --state staging --strict -- terraform apply -auto-approve"
    ),
)
def claim(
    command: Annotated[list[str] | None, typer.Argument(help="A command to run, after --.", show_default=False)] = None,
    *,
    state: Annotated[str, typer.Option("--state", help="The state that this job runs Terraform on.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail if the claim cannot be recorded.")] = False,
    seal: Annotated[
        Seal,
        typer.Option(
            "--seal", help="Give the command its own host name: auto (if it may have one), always (or fail), never."
        ),
    ] = Seal.AUTO,
) -> None:
    """For CI jobs: record which run this is, on which host; with a command, run it and report its end."""
    from bot.cli.claim import claim as make  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(make(state, command or (), os.environ, strict=strict, seal=seal))


@cli.command(epilog=_examples("tflock wait staging", "tflock wait staging --timeout 90s"))
def wait(
    state: Annotated[str, typer.Argument(help="A configured state.")],
    *,
    timeout: Annotated[str, typer.Option("--timeout", help="How long at most: 90s, 30m, 2h.")] = "30m",
) -> None:
    """For pipelines: return when the state's lock is free and no other run of its pipelines is active."""
    from bot.cli.wait import timeout_of, wait_for  # noqa: PLC0415 - keeps the other commands quick

    try:
        longest = timeout_of(timeout)
    except ValueError as wrong:
        fail(f"--timeout {wrong}", WRONG)
    raise typer.Exit(run(wait_for(configuration(need_slack=False), state, os.environ, timeout=longest)))


@cli.command(
    epilog=_examples("tflock init", "tflock init --live", "tflock init ../infra ../network --output tflock.yml")
)
def init(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH …]", help="Folders of checkouts.", show_default="this one")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", help="The file to write; - prints it.")] = Path("tflock.yml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask stores and CI systems, too, with the credentials at hand. Only reads."),
    ] = False,
) -> None:
    """Read the Terraform backends and CI files of a checkout; write a configuration to start from. Runs nothing."""
    from bot.cli.init.command import init as find  # noqa: PLC0415 - only this command reads HCL

    raise typer.Exit(find(paths or [Path()], output, os.environ, force=force, live=live))


@cli.command(
    epilog=_examples("tflock explain < apply.log", "terraform apply 2>&1 | tee apply.log | tflock explain --json")
)
def explain(*, as_json: AsJson = False) -> None:
    """Read a pasted Terraform error on standard input; say what it is, what to do, and what not to do."""
    from bot.cli.explain import explain_stream  # noqa: PLC0415 - keeps the other commands quick

    raise typer.Exit(explain_stream(sys.stdin.buffer, os.environ, as_json=as_json))


def main() -> None:
    """The console script."""
    cli()


if __name__ == "__main__":
    main()
