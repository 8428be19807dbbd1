"""What a dead run left behind, as it is read at night: the answer, what to do, and nothing that warns behind a fold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.gate.inspection import StateName
from bot.core.lock import DigestMatch, DigestSeen
from bot.core.phrase import plain
from bot.core.recovery.compare import Difference, Made
from bot.core.recovery.contents import Contents, Instance, Version
from bot.core.recovery.recovery import HowFound, Recovery, next_steps
from bot.core.recovery.versions import beside
from bot.slack.render.recovery import recovery_lines, recovery_message

BLOCK = 'import {\n  to = aws_instance.web\n  id = "i-0abc"\n}'


def contents(resources, *, serial):
    kept = tuple(Instance(f"aws_x.y[{number}]", f"i-{number}") for number in range(resources))
    return Contents(48_100, "0" * 32, serial, "8d1f", "1.9.8", kept)


def flat(sent):
    """All texts of a message, in their order."""

    def texts(part):
        if isinstance(part, dict):
            yield from ([part["text"]] if isinstance(part.get("text"), str) else ())
            for inner in part.values():
                yield from texts(inner)
        elif isinstance(part, list | tuple):
            for inner in part:
                yield from texts(inner)

    return "\n".join(texts(sent.blocks)).replace("`", "").replace("*", "")


@pytest.fixture
def recovery(scene):
    def made(*held, **changed):
        now = scene.now
        versions = beside(
            [(Version(f"v{n}", now - timedelta(hours=n), 100, n == 0), one, "") for n, one in enumerate(held)]
        )
        base = Recovery(
            state=StateName("staging", "", protected=False), at=now, run=scene.run(), found=HowFound.HELD, lock=None,
            is_locked=False, difference=Difference(recorded=("aws_x.y[0]",)), why_not=(), gaps=(), newest=held[0],
            versions=versions, no_versions="", digest=DigestSeen(DigestMatch.MATCHES, "k", "x", "x"),
        )  # fmt: skip
        return replace(base, **changed)

    return made


def open_part(message):
    """What is not behind a fold."""
    return replace(message, blocks=tuple(block for block in message.blocks if block["type"] != "container"))


def test_what_to_do_comes_before_the_list_and_the_blocks_that_it_names(recovery):
    left = Difference(made=(Made("aws_instance.web", "i-0abc", BLOCK),))

    told = flat(recovery_message(recovery(contents(3, serial=7), difference=left)))

    assert told.index("left objects behind") < told.index("Import 1 object") < told.index("to = aws_instance.web")
    assert told.index("Do not apply before the import") < told.index("Made, and not recorded")


def test_a_newest_version_that_looks_wrong_is_the_answer_and_is_not_folded(recovery):
    emptied, fine = (
        recovery(contents(0, serial=8), contents(3, serial=7)),
        recovery(contents(3, serial=8), contents(3, serial=7)),
    )

    message = recovery_message(emptied)

    shown = flat(open_part(message))
    assert shown.index("The newest state of staging looks wrong.") < shown.index("it has no resources")
    assert "Compare the newest state with the version before, v1" in flat(message)
    assert "Do not apply before you know that this state is the right one" in flat(message)
    assert any("looks wrong" in line for line in recovery_lines(emptied))
    assert "Nothing was left behind in staging" in flat(recovery_message(fine))
    assert "looks wrong" not in flat(recovery_message(fine))


def test_a_state_that_was_not_saved_is_copied_before_the_unlock_and_pushed_after_it(recovery):
    held = recovery(contents(3, serial=7), is_locked=True, left_state=True)

    steps = [plain(step) for step in next_steps(held)]
    copied, unlocked, pushed = (
        next(number for number, step in enumerate(steps) if words in step)
        for words in ("keep a copy", "unlock staging", "state push errored.tfstate")
    )
    assert copied < unlocked < pushed
    assert "let no other run start" in steps[unlocked]
    assert "unlock staging" not in " ".join(plain(step) for step in next_steps(replace(held, is_locked=False)))


def test_where_nothing_could_be_compared_nothing_is_called_a_list(recovery):
    told = flat(recovery_message(recovery(contents(3, serial=7), difference=None, why_not=("its log has expired",))))

    assert "We can't tell what was left behind in staging" in told
    assert "Do not take this for a clean state: nothing was compared." in told
    assert "Nothing was left behind" not in told


def test_versions_that_were_not_read_are_not_counted(recovery):
    one = recovery(contents(3, serial=7))

    assert "Versions of the state: 1" in flat(recovery_message(one))
    unread = flat(recovery_message(replace(one, versions=(), no_versions="not found")))
    assert "Versions of the state: none read" in unread
    assert "not read: not found." in unread
