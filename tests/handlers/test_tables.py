"""What `handlers/__init__.py` promises: a row in a table is all that a new handler needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.core.reports import hold, report
from bot.slack import render
from handlers.clicks import CLICKS
from handlers.commands import COMMANDS
from handlers.dialogs import DIALOGS
from handlers.typed import values
from handlers.typed.grammar import FORMS, parse
from handlers.typed.values import Command, Misunderstood

LINK = "home.open"


def test_every_command_has_its_function():
    kinds = {one for one in vars(values).values() if isinstance(one, type) and issubclass(one, Command)}
    assert COMMANDS.keys() == kinds - {Command}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_row_of_the_grammar_reads_a_command_of_its_own_name(form):
    read = [parse(f"{form.name} {argument}") for argument in ("", "staging", "1", "1 text")]
    assert {command.name for command in read if not isinstance(command, Misunderstood)} == {form.name}


def test_every_button_that_is_drawn_does_something():
    drawn = re.compile(
        r'"((?:unlock|hold|recover|kill|owner|status|alert|step|followup|watch|timeline|home|incident)\.[a-z_]+)"'
    )
    pages = [*Path(render.__file__).parent.glob("*.py"), Path(report.__file__), Path(hold.__file__)]
    assert {name for page in pages for name in drawn.findall(page.read_text())} == {*CLICKS, *DIALOGS, LINK}
