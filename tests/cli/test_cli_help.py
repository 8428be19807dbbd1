"""The command line's own words: version, help with examples, and lists that end."""

from __future__ import annotations

import re
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import typer
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from bot.__main__ import cli
from bot.cli import frame
from bot.errors import UnknownState

COMMANDS = sorted(get_command(cli).commands)


def shown(*words):
    ended = CliRunner().invoke(cli, list(words), env={"COLUMNS": "200", "TERM": "dumb"})
    return SimpleNamespace(code=ended.exit_code, out=ended.output)


def test_the_version_is_that_of_the_package():
    ended = shown("--version")

    assert (ended.code, ended.out.strip()) == (0, f"tflock {version('tflock')}")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_has_two_examples_of_its_own(command):
    words = shown(*filter(None, [command]), "--help").out

    assert "Examples:" in words
    examples = re.findall(rf"\btflock {command}\b" if command else r"\btflock \w+", words.split("Examples:")[1])
    assert len(examples) >= 2


def test_of_a_thousand_problems_the_first_are_listed_and_the_rest_counted(tmp_path, monkeypatch, capsys):
    broken = {f"state-{number}": {"backend": {"type": "s3"}} for number in range(500)}
    (tmp_path / "tflock.yml").write_text(yaml.safe_dump({"states": broken}))
    monkeypatch.setenv("TFLOCK_CONFIG", str(tmp_path / "tflock.yml"))

    with pytest.raises(typer.Exit) as ended:
        frame.configuration(need_slack=False)

    said = capsys.readouterr().err.splitlines()
    assert ended.value.exit_code == 2
    assert len(said) == 32
    assert re.fullmatch(r"The configuration has \d{4} problems:", said[0])
    assert re.fullmatch(r"  … and \d{4} more, once these are fixed", said[-1])


def test_of_many_states_a_few_are_named_to_someone_who_asks_for_none_of_them(capsys):
    async def work():
        raise UnknownState("stagin", nearest="staging", known=tuple(f"state-{number}" for number in range(20_000)))

    with pytest.raises(typer.Exit) as ended:
        frame.run(work())

    said = capsys.readouterr().err
    assert ended.value.exit_code == 2
    assert "Did you mean staging?" in said
    assert "and 19980 more" in said
    assert len(said) < 1_000
