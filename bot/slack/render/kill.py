"""The message of a request to end runs, from what was found to what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from bot.core.gate.ending import run_name
from bot.core.gate.stages import KillStage
from bot.core.phrase import Person, Phrase, Quoted, joined
from bot.core.reports.kill import KillReport, Target, Tie
from bot.core.run import Phase, Run, SwitchResult
from bot.ports.messenger import Message
from bot.slack.render.blocks import (
    OPTION_VALUE,
    OPTIONS,
    Block,
    actions,
    context,
    message,
    sections,
)
from bot.slack.render.controls import kill_controls, kill_value, target_of, tie_words
from bot.slack.render.facts import Fact, Mark, command, going, loop_words, runs
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import CHECK, asked_by, lines, notification, sentence

_Facts: TypeAlias = Iterable[Fact]
_FEW = 5
_GONE_ON = {KillStage.ENDED, KillStage.FAILED, KillStage.CANCELLING, KillStage.ESCALATED}

_SWITCHED = {
    SwitchResult.DENIED: "the bot has no right to do that",
    SwitchResult.NOT_FOUND: "the CI system does not know it",
    SwitchResult.NOT_KNOWN: "the CI system gave no clear answer",
}


def kill_message(report: KillReport) -> Message:
    """The request's message at its present stage."""
    told = list(_WORDS[report.stage](report))
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_000),
        _progress(report),
        context(mrkdwn(_footer(report))),
        actions(*kill_controls(report)),
    )


def _about(report: KillReport) -> str:
    return report.request.state or report.request.asked


# ── before anything is done


def _nothing(report: KillReport) -> _Facts:
    yield Fact(f"Nothing to end for {_about(report)}.", (), Mark.GOOD if not report.unseen else Mark.UNKNOWN)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing.",))
    yield Fact("Next:", _after_nothing(report))


def _after_nothing(report: KillReport) -> Phrase:
    if report.unseen:
        return ("ask again once the CI system answers. A run may be hidden there.",)
    return _look(report)


def _look(report: KillReport) -> Phrase:
    return ("see where the lock stands: ", command(f"status {report.request.state}".strip()), ".")


def _choose(report: KillReport) -> _Facts:
    yield Fact(f"{len(report.targets)} things to end for {_about(report)}.", (), Mark.UNKNOWN)
    yield from _note(report)
    for target in report.targets[:_FEW]:
        yield Fact("", ("• ", *_named(target), f": {tie_words(target)}."))
    if len(report.targets) > _FEW:
        yield Fact("", (f"… and {len(report.targets) - _FEW} more.",))
    listed = sum(len(str(kill_value(report, target))) <= OPTION_VALUE for target in report.targets)
    if min(listed, OPTIONS) < len(report.targets):
        words: Phrase = (f"has {min(listed, OPTIONS)} of them. Any other by its id: ", command("kill-job RUN_ID"), ".")
        yield Fact("The list:", words, Mark.WARNING)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing yet.",))
    yield Fact("Next:", ("choose one. You are asked once more before it is ended.",))


def _found(report: KillReport) -> _Facts:
    target = target_of(report)
    if target is None:
        yield from _nothing(report)
        return
    kind = "A loop" if target.loop else "A run"
    yield Fact(f"{kind} for {_about(report)}:", (*_named(target), "."), Mark.WARNING if target.loop else Mark.NONE)
    yield _warning(target)
    yield from _details(target)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing yet.",))
    yield Fact("Next:", _how_to_end(target))


def _named(target: Target) -> Phrase:
    if target.loop is not None:
        return loop_words(target.loop)
    return going(target.runs[0]) if target.runs else (Quoted(target.key),)


def _warning(target: Target) -> Fact:
    match target.tie:
        case Tie.HOLDS:
            words: Phrase = (
                "it may hold the lock and be in the middle of an apply. Ending it can leave half-made changes, ",
                "and the lock stays.",
            )
            return Fact("Careful:", words, Mark.WARNING)
        case Tie.UNREAD:
            words = ("the lock table is throttled, so nobody can see whether this holds the lock. Ending it can leave ",
                     "half-made changes.")  # fmt: skip
            return Fact("Careful:", words, Mark.WARNING)
        case Tie.CONTENDS:
            return Fact("Lock:", ("it wants the lock and does not hold it.",))
        case Tie.NO_LOCK:
            return Fact("Lock:", ("no lock is held there now.",))


def _details(target: Target) -> _Facts:
    if target.loop is not None:
        yield Fact("Going on now:", (f"{runs(len(target.runs))}.",))
        for run in target.runs[:_FEW]:
            yield Fact("", ("• ", *going(run)))
        return
    for run in target.runs[:1]:
        said = [(word, Quoted(text)) for word, text in _about_run(run) if text]
        if said:
            yield Fact("About:", (*joined(said), "."))


def _about_run(run: Run) -> tuple[tuple[str, str], ...]:
    return (("", run.title), ("started by ", run.actor), ("trigger ", run.trigger), ("branch ", run.branch))


def _how_to_end(target: Target) -> Phrase:
    if target.needs_second:
        return ("press the button. It takes two: another member then has to approve it.",)
    if target.loop is None:
        return ("press the button to end this run.",)
    only = " Or end only the runs: then it starts again." if target.runs else ""
    return (f"press the button. The workflow then stays switched off until somebody starts it again.{only}",)


def _approval(report: KillReport) -> _Facts:
    target = target_of(report)
    yield Fact(f"A second member is wanted to end {_ending(report)}.", (), Mark.APPROVAL)
    if target is not None:
        yield _warning(target)
        yield from _details(target)
    yield from _note(report)
    yield Fact("Changed:", ("nothing yet.",))
    until: Phrase = (" until ", report.until) if report.until else ()
    asker = Person(report.by or report.request.user, "")
    yield Fact("Next:", ("another full member of this channel can approve", *until, ". ", asker, " asked and cannot."))


# ── under way, and the end


def _cancelling(report: KillReport) -> _Facts:
    yield Fact(f"Ending {_ending(report)} …", (), Mark.WAIT)
    yield from _note(report)
    yield from _switch(report)
    yield Fact("Changed:", ("the CI system was asked to end it. That is not yet the end.",))
    yield Fact("Next:", ("nothing to do. This message says when it is really over.",))


def _escalated(report: KillReport) -> _Facts:
    yield Fact(f"Ending {_ending(report)} by force …", (), Mark.WAIT)
    yield from _note(report)
    yield from _switch(report)
    yield Fact("Changed:", ("it did not end when asked, so the CI system was told to end it by force.",))
    yield Fact("Next:", ("nothing to do. This message says when it is really over.",))


def _ended(report: KillReport) -> _Facts:
    yield _what_ended(report)
    yield from _note(report)
    yield from _switch(report)
    yield Fact("Changed:", (_count_ended(report),))
    yield Fact("Next:", (*_look(report), " Ending a run releases no lock."))


def _what_ended(report: KillReport) -> Fact:
    target, switched = target_of(report), report.switched
    looped = switched is not None or (target is not None and target.loop is not None)
    if not looped or (switched is not None and switched.result is SwitchResult.DONE):
        return Fact(f"Ended: {_ending(report)}.", (), Mark.GOOD)
    return Fact("The runs ended, the loop is not stopped:", ("it can start more.",), Mark.WARNING)


def _refused(report: KillReport) -> _Facts:
    yield Fact(f"Nothing was ended for {_about(report)}.", (), Mark.BAD)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing.",))
    yield Fact("Next:", ("ask again with ", command(f"kill-job {_about(report)}"), "."))


def _failed(report: KillReport) -> _Facts:
    yield Fact(f"Not ended: {_ending(report)}.", (), Mark.BAD)
    yield from _note(report)
    yield from _switch(report)
    yield from _unseen(report)
    over = [run for run in report.progress if run.phase is Phase.ENDED]
    yield Fact(
        "Changed:", (f"{len(over)} of {runs(len(report.progress))} ended." if report.progress else "not known.",)
    )
    yield Fact(
        "Next:", ("open the run and end it there, or ask again with ", command(f"kill-job {_about(report)}"), ".")
    )


def _count_ended(report: KillReport) -> str:
    over = sum(run.phase is Phase.ENDED for run in report.progress)
    if not report.progress:
        return "no run was going on." if report.stage is KillStage.ENDED else "what ended is not known."
    return f"{runs(over)} ended." if over == len(report.progress) else f"{over} of {runs(len(report.progress))} ended."


def _restarted(report: KillReport) -> _Facts:
    what: Phrase = (Quoted(report.source),) if report.source else ("the workflow",)
    if report.switched is not None and report.switched.result is not SwitchResult.DONE:
        yield Fact("Not switched on again:", (*what, f", because {_SWITCHED[report.switched.result]}."), Mark.BAD)
        yield from _note(report)
        yield Fact("Changed:", ("nothing is known to have changed.",))
        yield Fact("Next:", ("press the button to try again, or switch it on in the CI system.",))
        return
    yield Fact("Switched on again:", (*what, "."), Mark.GOOD)
    yield from _note(report)
    yield Fact("Changed:", ("it can be started again, by its schedule too.",))
    yield Fact("Next:", ("watch that it does not loop again: ", command(f"status {report.request.state}"), "."))


def _still_off(report: KillReport) -> _Facts:
    what: Phrase = (Quoted(report.source),) if report.source else ("the workflow",)
    yield Fact("Still switched off:", (*what, ", since a loop of it was ended here."), Mark.WARNING)
    yield from _note(report)
    yield Fact("Changed:", ("nothing. It starts no runs until somebody starts it again.",))
    yield Fact("Next:", ("once its cause is mended, press the button.",))


_WORDS: Mapping[KillStage, Callable[[KillReport], _Facts]] = {
    KillStage.NOTHING: _nothing,
    KillStage.CHOOSE: _choose,
    KillStage.FOUND: _found,
    KillStage.APPROVAL: _approval,
    KillStage.CANCELLING: _cancelling,
    KillStage.ESCALATED: _escalated,
    KillStage.ENDED: _ended,
    KillStage.REFUSED: _refused,
    KillStage.FAILED: _failed,
    KillStage.RESTARTED: _restarted,
    KillStage.STILL_OFF: _still_off,
}
"""Every stage, with its words; a test holds it complete."""


# ── pieces


def _ending(report: KillReport) -> str:
    """What is being ended: the chosen target, else what the progress shows."""
    target = target_of(report)
    if target is not None and target.loop is not None:
        return f"the loop of {target.loop.pipeline.title}"
    going_down = report.progress or (target.runs if target is not None else ())
    if not going_down:
        return report.source or f"what was asked for {_about(report)}"
    title = going_down[0].ref.pipeline.title
    if report.switched is not None:
        return f"the loop of {title}"
    return run_name(going_down[0]).text if len(going_down) == 1 else f"{runs(len(going_down))} of {title}"


def _note(report: KillReport) -> _Facts:
    if report.note:
        yield Fact("", sentence(report.note))


def _unseen(report: KillReport) -> _Facts:
    if report.unseen:
        yield Fact("Not seen:", (*report.unseen, ". A run may be hidden there."), Mark.WARNING)


def _switch(report: KillReport) -> _Facts:
    """What became of the loop's source."""
    switched = report.switched
    if switched is None:
        return
    if switched.result is SwitchResult.DONE:
        words: Phrase = ("it is switched off, and starts no more runs. Remember to start it again.",)
        yield Fact("Source:", words, Mark.GOOD)
        return
    failed = (f"it still starts runs: {_SWITCHED[switched.result]}. Switch it off in the CI system.",)
    yield Fact("Source:", failed, Mark.WARNING)
    yield from _detail(report)


def _detail(report: KillReport) -> _Facts:
    if report.switched is not None and report.switched.detail:
        yield Fact("It said:", (Quoted(report.switched.detail), "."))


def _progress(report: KillReport) -> list[Block]:
    """Each run as last read."""
    if report.stage not in _GONE_ON or not report.progress:
        return []
    rows = [f":{_sign(run).emoji}: {mrkdwn(going(run), most=CHECK)}" for run in report.progress]
    return sections(rows, budget=4_000, more=lambda n: f"… and {runs(n)} more")


def _sign(run: Run) -> Mark:
    if run.phase is Phase.ENDED:
        return Mark.GOOD
    return Mark.UNKNOWN if run.phase is Phase.UNKNOWN else Mark.WAIT


def _footer(report: KillReport) -> Phrase:
    return (*asked_by(report.request), " Request ", Quoted(report.request.id), ".")
