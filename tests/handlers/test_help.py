"""`help` in Slack: the commands by what they are for, and one with its flags."""

from __future__ import annotations

from handlers.typed.grammar import FORMS
from handlers.typed.manual import GROUPS, PARTS


async def help_of(office, words=""):
    await office.types(f"help {words}".strip())
    await office.work()
    return office.told()[-1]


async def test_help_shows_every_command_under_its_heading(office):
    told = await help_of(office)

    assert [told.index(title) for title in GROUPS] == sorted(told.index(title) for title in GROUPS)
    assert all(f"/tflock {form.usage.split()[0]}" in told for form in FORMS)
    assert told.index("Act on a lock") < told.index("/tflock unlock") < told.index("/tflock note")
    assert told.count("/tflock unlock") == 1


async def test_help_of_unlock_says_what_each_flag_does(office):
    told = await help_of(office, "unlock")

    assert all(flag in told for flag in ("--dry-run", "--when-safe", "because REASON"))
    assert "change nothing" in told
    assert "/tflock status" not in told


def test_every_flag_of_a_usage_is_explained():
    for form in FORMS:
        flags = [word.strip("[]") for word in form.usage.split() if word.strip("[]").startswith("--")]
        assert set(flags) <= PARTS.get(form.name, {}).keys(), form.name
