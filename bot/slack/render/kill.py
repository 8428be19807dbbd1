"""The message of a request to end runs, from what was found to what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from bot.core.gate.ending import run_name
from bot.core.gate.stages import KillStage
from bot.core.phrase import Person, Phrase, Quoted, joined
from bot.core.reports.kill import KillReport, KillTarget, Stake
from bot.core.run import Phase, SwitchResult
from bot.ports.messenger import Message
from bot.slack.render.blocks import OPTION_VALUE, OPTIONS, actions, context, message, sections
from bot.slack.render.controls import TIE_WORDS, kill_controls, kill_value, target_of
from bot.slack.render.facts import Fact, command, going, loop_words, runs
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import CHECK, asked_by, lines, notification, sentence

_Facts: TypeAlias = Iterable[Fact]
_FEW = 5
_SIGNS = {Phase.ENDED: Icon.GOOD, Phase.UNKNOWN: Icon.UNKNOWN}
_GONE_ON = {KillStage.ENDED, KillStage.FAILED, KillStage.STOPPED, KillStage.CANCELLING, KillStage.ESCALATED}

_SWITCHED = {
    SwitchResult.DENIED: "the bot has no right to do that",
    SwitchResult.NOT_FOUND: "the CI system does not know it",
    SwitchResult.NOT_KNOWN: "the CI system gave no clear answer",
}


def kill_message(report: KillReport) -> Message:
    """The request's message at its present stage."""
    told = list(_WORDS[report.stage](report))
    shown = report.progress if report.stage in _GONE_ON else ()
    rows = [f":{_SIGNS.get(run.phase, Icon.WAIT).emoji}: {mrkdwn(going(run), most=CHECK)}" for run in shown]
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_000),
        sections(rows, budget=4_000, more=lambda n: f"… and {runs(n)} more"),
        context(mrkdwn((*asked_by(report.request), " Request ", Quoted(report.request.id), "."))),
        actions(*kill_controls(report)),
    )


def _about(report: KillReport) -> str:
    return report.request.state or report.request.asked


# ── before anything is done


def _nothing(report: KillReport) -> _Facts:
    yield Fact(f"Nothing to end for {_about(report)}.", (), Icon.GOOD if not report.unseen else Icon.UNKNOWN)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing.",))
    hidden: Phrase = ("ask again once the CI system answers. A run may be hidden there.",)
    yield Fact("Next:", hidden if report.unseen else _look(report))


def _look(report: KillReport) -> Phrase:
    return ("see where the lock stands: ", command(f"status {report.request.state}".strip()), ".")


def _choose(report: KillReport) -> _Facts:
    yield Fact(f"{len(report.targets)} things to end for {_about(report)}.", (), Icon.UNKNOWN)
    yield from _note(report)
    for target in report.targets[:_FEW]:
        yield Fact("", ("• ", *_named(target), f": {TIE_WORDS[target.tie]}."))
    if len(report.targets) > _FEW:
        yield Fact("", (f"… and {len(report.targets) - _FEW} more.",))
    listed = sum(len(str(kill_value(report, target))) <= OPTION_VALUE for target in report.targets)
    if min(listed, OPTIONS) < len(report.targets):
        words: Phrase = (f"has {min(listed, OPTIONS)} of them. Any other by its id: ", command("kill-job RUN_ID"), ".")
        yield Fact("The list:", words, Icon.WARNING)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing yet.",))
    yield Fact("Next:", ("choose one. You are asked once more before it is ended.",))


def _found(report: KillReport) -> _Facts:
    target = target_of(report)
    if target is None:
        yield from _nothing(report)
        return
    kind = "A loop" if target.loop else "A run"
    yield Fact(f"{kind} for {_about(report)}:", (*_named(target), "."), Icon.WARNING if target.loop else Icon.NONE)
    yield _warning(target)
    yield from _states(target)
    yield from _details(target)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing yet.",))
    yield Fact("Next:", _how_to_end(target))


def _named(target: KillTarget) -> Phrase:
    if target.loop is not None:
        return loop_words(target.loop)
    return going(target.runs[0]) if target.runs else (Quoted(target.key),)


def _warning(target: KillTarget) -> Fact:
    match target.tie:
        case Stake.HOLDS:
            held = "it may hold the lock and be in the middle of an apply. Ending it can leave half-made changes, "
            return Fact("Careful:", (held, "and the lock stays."), Icon.WARNING)
        case Stake.UNREAD:
            unread = "the lock table is throttled, so nobody can see whether this holds the lock. "
            return Fact("Careful:", (unread, "Ending it can leave half-made changes."), Icon.WARNING)
        case Stake.CONTENDS:
            return Fact("Lock:", ("it wants the lock and does not hold it.",))
        case Stake.NO_LOCK:
            return Fact("Lock:", ("no lock is held there now.",))


def _states(target: KillTarget) -> _Facts:
    """Every state that it is mapped to, where there is more than the one that was asked for, or one is protected."""
    if len(target.ties) > 1 or any(tie.protected for tie in target.ties):
        rows = [(Quoted(tie.state), f"{' (protected)' if tie.protected else ''}: {tie.tie}") for tie in target.ties]
        more = len(rows) - _FEW
        rest: Phrase = (f"; and {more} more state{'s' if more > 1 else ''}",) if more > 0 else ()
        yield Fact("States:", (*joined(rows[:_FEW], "; "), *rest, "."))


def _details(target: KillTarget) -> _Facts:
    if target.loop is not None:
        yield Fact("Going on now:", (f"{runs(len(target.runs))}.",))
        for run in target.runs[:_FEW]:
            yield Fact("", ("• ", *going(run)))
        return
    for run in target.runs[:1]:
        about = (("", run.title), ("started by ", run.actor), ("trigger ", run.trigger), ("branch ", run.branch))
        said = [(word, Quoted(text)) for word, text in about if text]
        if said:
            yield Fact("About:", (*joined(said), "."))


def _how_to_end(target: KillTarget) -> Phrase:
    if target.needs_second:
        return ("press the button. It takes two: another member then has to approve it.",)
    if target.loop is None:
        return ("press the button to end this run.",)
    only = " Or end only the runs: then it starts again." if target.runs else ""
    return (f"press the button. The workflow then stays switched off until somebody starts it again.{only}",)


def _approval(report: KillReport) -> _Facts:
    target = target_of(report)
    yield Fact(f"A second member is wanted to end {_ending(report)}.", (), Icon.APPROVAL)
    if target is not None:
        yield _warning(target)
        yield from _states(target)
        yield from _details(target)
    yield from _note(report)
    yield Fact("Changed:", ("nothing yet.",))
    until: Phrase = (" until ", report.until) if report.until else ()
    asker = Person(report.by or report.request.user, "")
    second = "a second member whom that allows" if report.note else "another full member of this channel"
    yield Fact("Next:", (f"{second} can approve", *until, ". ", asker, " asked and cannot."))


# ── under way, and the end


def _going_down(report: KillReport) -> _Facts:
    forced = report.stage is KillStage.ESCALATED
    yield Fact(f"Ending {_ending(report)} {'by force ' if forced else ''}…", (), Icon.WAIT)
    yield from _note(report)
    yield from _switch(report)
    asked = "the CI system was asked to end it. That is not yet the end."
    again = "it did not end when asked, so the CI system was told to end it by force."
    yield Fact("Changed:", (again if forced else asked,))
    yield Fact("Next:", ("nothing to do. This message says when it is really over.",))


def _ended(report: KillReport) -> _Facts:
    target, switched = target_of(report), report.switched
    looped = switched is not None or (target is not None and target.loop is not None)
    if not looped or (switched is not None and switched.result is SwitchResult.DONE):
        yield Fact(f"Ended: {_ending(report)}.", (), Icon.GOOD)
    else:
        yield Fact("The runs ended, the loop is not stopped:", ("it can start more.",), Icon.WARNING)
    yield from _note(report)
    yield from _switch(report)
    over, total = sum(run.phase is Phase.ENDED for run in report.progress), len(report.progress)
    count = f"{runs(over)} ended." if over == total else f"{over} of {runs(total)} ended."
    yield Fact("Changed:", (count if total else "no run was going on.",))
    yield Fact("Next:", (*_look(report), " Ending a run releases no lock."))


def _refused(report: KillReport) -> _Facts:
    yield Fact(f"Nothing was ended for {_about(report)}.", (), Icon.BAD)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Changed:", ("nothing.",))
    yield Fact("Next:", ("ask again with ", command(f"kill-job {_about(report)}"), "."))


def _failed(report: KillReport) -> _Facts:
    yield Fact(f"Not ended: {_ending(report)}.", (), Icon.BAD)
    yield from _note(report)
    yield from _switch(report)
    yield from _unseen(report)
    over, total = sum(run.phase is Phase.ENDED for run in report.progress), len(report.progress)
    yield Fact("Changed:", (f"{over} of {runs(total)} ended." if total else "not known.",))
    again = command(f"kill-job {_about(report)}")
    yield Fact("Next:", ("open the run and end it there, or ask again with ", again, "."))


def _stopped(report: KillReport) -> _Facts:
    yield Fact(f"Stopped: {_ending(report)} is no longer being ended.", (), Icon.WARNING)
    yield from _note(report)
    yield from _switch(report)
    over = sum(run.phase is Phase.ENDED for run in report.progress)
    ended = f"{over} of {runs(len(report.progress))} ended." if report.progress else "not known."
    changed = f"{ended} A run that was asked to end before may still do so."
    yield Fact("Changed:", (changed,))
    yield Fact("Next:", ("look again: ", command(f"kill-job {_about(report)}"), ". Then it takes a second member."))


def _restarted(report: KillReport) -> _Facts:
    what: Phrase = (Quoted(report.source),) if report.source else ("the workflow",)
    if report.switched is not None and report.switched.result is not SwitchResult.DONE:
        yield Fact("Not switched on again:", (*what, f", because {_SWITCHED[report.switched.result]}."), Icon.BAD)
        yield from _note(report)
        yield Fact("Changed:", ("nothing is known to have changed.",))
        yield Fact("Next:", ("press the button to try again, or switch it on in the CI system.",))
        return
    yield Fact("Switched on again:", (*what, "."), Icon.GOOD)
    yield from _note(report)
    yield Fact("Changed:", ("it can be started again, by its schedule too.",))
    yield Fact("Next:", ("watch that it does not loop again: ", command(f"status {report.request.state}"), "."))


def _still_off(report: KillReport) -> _Facts:
    what: Phrase = (Quoted(report.source),) if report.source else ("the workflow",)
    yield Fact("Still switched off:", (*what, ", since a loop of it was ended here."), Icon.WARNING)
    yield from _note(report)
    yield Fact("Changed:", ("nothing. It starts no runs until somebody starts it again.",))
    yield Fact("Next:", ("once its cause is fixed, press the button.",))


_WORDS: Mapping[KillStage, Callable[[KillReport], _Facts]] = {
    KillStage.NOTHING: _nothing,
    KillStage.CHOOSE: _choose,
    KillStage.FOUND: _found,
    KillStage.APPROVAL: _approval,
    KillStage.CANCELLING: _going_down,
    KillStage.ESCALATED: _going_down,
    KillStage.ENDED: _ended,
    KillStage.REFUSED: _refused,
    KillStage.FAILED: _failed,
    KillStage.STOPPED: _stopped,
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
        yield Fact("Not seen:", (*report.unseen, ". A run may be hidden there."), Icon.WARNING)


def _switch(report: KillReport) -> _Facts:
    """What became of the loop's source."""
    switched = report.switched
    if switched is None:
        return
    if switched.result is SwitchResult.DONE:
        words: Phrase = ("it is switched off, and starts no more runs. Remember to start it again.",)
        yield Fact("Source:", words, Icon.GOOD)
        return
    failed = (f"it still starts runs: {_SWITCHED[switched.result]}. Switch it off in the CI system.",)
    yield Fact("Source:", failed, Icon.WARNING)
    if switched.detail:
        yield Fact("It said:", (Quoted(switched.detail), "."))
