"""`explain` on the command line: needs neither Slack nor Redis, and no configuration either.

With a configuration it also says to which state the lock in the message belongs.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.app.adapters import address_of
from bot.cli.frame import OK, WRONG, complain, output
from bot.config.load import DEFAULT_PATH, load
from bot.core.explain.explain import explain, notice_of
from bot.core.phrase import plain
from bot.errors import ConfigInvalid


def explain_text(raw: bytes, environ: Mapping[str, str]) -> int:
    """Prints what the text is. Returns the exit code: 2 if there is no text."""
    text = raw.decode(errors="replace")
    if not text.strip():
        return complain("Paste the text of a Terraform error: tflock explain < error.txt", WRONG)
    notice = notice_of(explain(text, _paths(environ)))
    output([notice.headline, "", *(plain(line) for line in notice.lines)])
    return OK


def _paths(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The configured states by the path of their locks; none without a configuration that can be read."""
    try:
        config = load(environ.get("TFLOCK_CONFIG") or DEFAULT_PATH, environ, need_slack=False)
    except ConfigInvalid:
        return {}
    return {address_of(settings.backend).lock_key: name for name, settings in config.states.items()}
