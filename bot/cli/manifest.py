"""`tflock manifest`: what to paste where Slack asks for an app's manifest. Needs no configuration."""

from __future__ import annotations

import typer

from bot.cli.frame import OK, WRONG, complain
from bot.slack.manifest import EXAMPLE, manifest, request_url
from handlers.typed.grammar import FORMS


def show_manifest(*, socket: bool, url: str | None) -> int:
    if socket and url is not None:
        return complain("--socket needs no --url: with Socket Mode Slack sends to no address", WRONG)
    try:
        address = EXAMPLE if url is None else request_url(url)
    except ValueError as wrong:
        return complain(f"--url {wrong}", WRONG)
    hint = " | ".join(form.name for form in FORMS)
    typer.echo(manifest(url=address, socket=socket, hint=hint), nl=False)
    return OK
