from datetime import date, timedelta

import pytest

from bot.core.record.revision import Marking, Milestone
from handlers.typed.grammar import FORMS, form_of, parse
from handlers.typed.moments import Ago, ClockTime
from handlers.typed.values import (
    Close,
    Edit,
    Explain,
    Export,
    Help,
    KillJob,
    MarkEntry,
    Mistake,
    Misunderstood,
    Note,
    Open,
    Status,
    Timeline,
    Unlock,
    Watch,
    Who,
)

USAGE = {form.name: f"/tflock {form.usage}" for form in FORMS}
RUN = "https://github.com/acme/infra/actions/runs/7?a=1&b=2"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("", Help()),
        ("  \u00a0 ", Help()),
        ("help", Help()),
        ("?", Help()),
        ("-h", Help()),
        ("--help", Help()),
        ("\u2014help", Help()),
        ("help unlock", Help("unlock")),
        ("HELP Kill-Job", Help("kill-job")),
        ("unlock --help", Help("unlock")),
        ("close -h", Help("close")),
        ("status", Status()),
        ("Status: staging", Status("staging")),
        ("STATUS Staging", Status("Staging")),
        ("/tflock status", Status()),
        ("tflock status staging", Status("staging")),
        ("status `staging`", Status("staging")),
        ("who", Who()),
        ("who staging", Who(state="staging")),
        ("who <@U0ELLIOTT|elliott>", Who(user_id="U0ELLIOTT")),
        ("who <@W0ELLIOTT>", Who(user_id="W0ELLIOTT")),
        ("who <@U0ELLIOTT|Elliott of Ops>", Who(user_id="U0ELLIOTT")),
        ("unlock staging", Unlock("staging")),
        ("unlock\u00a0staging\u200b ", Unlock("staging")),
        ("unlock \u201cstaging\u201d", Unlock("staging")),
        ("unlock --dry-run staging", Unlock("staging", dry_run=True)),
        ("unlock staging --DRY-RUN", Unlock("staging", dry_run=True)),
        ("unlock staging \u2013dry-run", Unlock("staging", dry_run=True)),
        ("unlock staging -dry-run", Unlock("staging", dry_run=True)),
        ("unlock \u2014when-safe staging", Unlock("staging", when_safe=True)),
        ("unlock staging --when-safe --dry-run", Unlock("staging", dry_run=True, when_safe=True)),
        ("unlock staging because the job is dead", Unlock("staging", reason="the job is dead")),
        (
            "unlock staging --when-safe Because  it&apos;s &lt;!here&gt; &amp; <@U1|quinn> said so ",
            Unlock("staging", when_safe=True, reason="it&apos;s <!here> & @quinn said so"),
        ),
        ("unlock staging because it blocks us --when-safe", Unlock("staging", when_safe=True, reason="it blocks us")),
        (
            "unlock staging because it blocks us  \u2014Dry-Run --when-safe ",
            Unlock("staging", dry_run=True, when_safe=True, reason="it blocks us"),
        ),
        ("unlock staging because of --all", Unlock("staging", reason="of --all")),
        ("unlock staging because --dry-run is for others", Unlock("staging", reason="--dry-run is for others")),
        ("mark 12 as Detected", MarkEntry(12, Marking.KEY, milestone=Milestone.DETECTED)),
        ("mark 12 as fixed because it works", MarkEntry(12, Marking.KEY, "it works", Milestone.FIXED)),
        ("kill-job staging", KillJob("staging")),
        ("kill-job 7000123", KillJob("7000123")),
        ("kill-job <https://github.com/acme/infra/actions/runs/7?a=1&amp;b=2>", KillJob(RUN)),
        ("kill-job <https://github.com/acme/infra/actions/runs/7?a=1&amp;b=2|run 7>", KillJob(RUN)),
        ("kill-job https://github.com/acme/infra/actions/runs/7?a=1&amp;b=2", KillJob(RUN)),
        ("kill-job staging because it loops", KillJob("staging", "it loops")),
        ("timeline", Timeline()),
        ("timeline 5", Timeline(5)),
        ("timeline 1000", Timeline(1000)),
        ("note the table throttles", Note("the table throttles")),
        ("note the table throttles at 11:40", Note("the table throttles", ClockTime(11, 40))),
        ("note failed AT 9:05 ", Note("failed", ClockTime(9, 5))),
        ("note failed at 9:05:07", Note("failed", ClockTime(9, 5, second=7))),
        ("edit 7 at 2026-11-21 23:50:01", Edit(7, None, ClockTime(23, 50, day=date(2026, 11, 21), second=1))),
        ("note called quinn -12m", Note("called quinn", Ago(timedelta(minutes=12)))),
        ("note called quinn \u201312M", Note("called quinn", Ago(timedelta(minutes=12)))),
        ("note called quinn at -2h", Note("called quinn", Ago(timedelta(hours=2)))),
        ("note arrived at 11:40 sharp", Note("arrived at 11:40 sharp")),
        ("note usage fell by -90", Note("usage fell by -90")),
        (
            "note <@U1|quinn> saw <#C1|inc-db> and <https://x.example|x>",
            Note("@quinn saw #inc-db and https://x.example"),
        ),
        ("note first\nsecond", Note("first\nsecond")),
        ("watch staging", Watch("staging")),
        (
            "explain Error acquiring the state lock\n\nLock Info:",
            Explain("Error acquiring the state lock\n\nLock Info:"),
        ),
        ("open", Open()),
        ("open staging is stuck", Open("staging is stuck")),
        ("close", Close()),
        ("export", Export()),
    ],
)
def test_each_form_is_understood(text, command):
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "word", "nearest"),
    [
        ("stauts", "stauts", "status"),
        ("kill staging", "kill", "kill-job"),
        ("unlok staging", "unlok", "unlock"),
        ("force-unlock staging", "force-unlock", "unlock"),
        ("unlock-staging", "unlock-staging", "unlock"),
        ("help unlok", "unlok", "unlock"),
        ("<@U1|quinn> status", "@quinn", None),
        ("zzz", "zzz", None),
    ],
)
def test_an_unknown_word_gets_the_nearest_known_one(text, word, nearest):
    assert parse(text) == Misunderstood(Mistake.UNKNOWN_WORD, word, nearest)


@pytest.mark.parametrize(
    ("text", "command", "word"),
    [
        ("status a b", "status", "b"),
        ("status <@U1|quinn>", "status", "@quinn"),
        ("status --all", "status", "--all"),
        ("who @quinn", "who", "@quinn"),
        ("who <@U1> <@U2>", "who", "@U1"),
        ("unlock", "unlock", None),
        ("unlock because they left", "unlock", None),
        ("unlock ''", "unlock", None),
        ("mark 12 as fixd", "mark", "fixd"),
        ("mark 12 as", "mark", "as"),
        ("mark 12 fixed", "mark", "fixed"),
        ("hide 12 as fixed", "hide", "as fixed"),
        ("unlock staging because", "unlock", "because"),
        ("unlock staging because  ", "unlock", "because"),
        ("unlock staging because --when-safe", "unlock", "because"),
        ("unlock staging production", "unlock", "production"),
        ("unlock <@U1|quinn>", "unlock", "@quinn"),
        ("unlock #staging", "unlock", "#staging"),
        ("unlock --force staging", "unlock", "--force"),
        ("unlock --dry-run", "unlock", None),
        ("kill-job", "kill-job", None),
        ("kill-job 1 2", "kill-job", "2"),
        ("kill-job 1 --dry-run", "kill-job", "--dry-run"),
        ("timeline x", "timeline", "x"),
        ("timeline 0", "timeline", "0"),
        ("timeline -5", "timeline", "-5"),
        ("timeline 1001", "timeline", "1001"),
        ("timeline 5 6", "timeline", "5 6"),
        ("timeline \u0665", "timeline", "\u0665"),
        ("note", "note", None),
        ("note at 11:40", "note", None),
        ("note -12m", "note", None),
        ("note lunch at 25:00", "note", "25:00"),
        ("note lunch at 12:60", "note", "12:60"),
        ("watch", "watch", None),
        ("explain", "explain", None),
        ("close now", "close", "now"),
        ("export csv", "export", "csv"),
        ("help unlock now", "help", "now"),
    ],
)
def test_a_wrong_argument_gets_the_usage_of_its_command(text, command, word):
    wrong = parse(text)
    assert isinstance(wrong, Misunderstood)
    assert (wrong.kind, wrong.command, wrong.usage) == (Mistake.WRONG_ARGUMENT, command, USAGE[command])
    assert wrong.word == word
    assert wrong.detail


@pytest.mark.parametrize(("flag", "nearest"), [("--dryrun", "--dry-run"), ("\u2014whensafe", "--when-safe")])
def test_an_unknown_flag_gets_the_nearest_one(flag, nearest):
    assert parse(f"unlock staging {flag}").nearest == nearest


def test_every_form_has_a_word_of_its_own_and_a_usage_that_begins_with_it():
    assert len({form.name for form in FORMS}) == len(FORMS)
    assert all(form.usage.split()[0] == form.name == form.name.lower() for form in FORMS)


def test_forms_are_found_by_their_word_in_any_case():
    assert form_of("UNLOCK").name == "unlock"
    assert form_of("unlok") is None
