"""The message of a request to end runs, from what was found to what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from bot.core.gate.ending import run_name, short_name
from bot.core.gate.stages import KillStage
from bot.core.phrase import Linked, Person, Phrase, Quoted, joined
from bot.core.reports.kill import KillReport, KillTarget, Stake
from bot.core.run import Phase, SwitchResult
from bot.ports.messenger import Message
from bot.slack.render.blocks import OPTION_VALUE, OPTIONS, Block, Newer, actions, context, folded, message, sections
from bot.slack.render.controls import TIE_WORDS, kill_controls, kill_value, target_of
from bot.slack.render.facts import Fact, command, going, loop_words, runs
from bot.slack.render.icons import Icon
from bot.slack.render.mrkdwn import mrkdwn
from bot.slack.render.page import CHECK, at_hand, dotted, lines, notification, sentence

_Facts: TypeAlias = Iterable[Fact]
_FEW = 5
_SIGNS = {Phase.ENDED: Icon.GOOD, Phase.UNKNOWN: Icon.UNKNOWN}
_GONE_ON = {KillStage.ENDED, KillStage.FAILED, KillStage.STOPPED, KillStage.CANCELLING, KillStage.ESCALATED}
_UNCHANGED = "Nothing was changed."

_SWITCHED = {
    SwitchResult.DENIED: "we have no right to do that",
    SwitchResult.NOT_FOUND: "CI does not know it",
    SwitchResult.NOT_KNOWN: "CI gave no clear answer",
}


def kill_message(report: KillReport) -> Message:
    """The request's message at its present stage."""
    told = at_hand(_WORDS[report.stage](report), report.request.asked_at)
    progress, buttons = _progress(report), actions(*kill_controls(report))
    below = (buttons, progress) if isinstance(progress, Newer) else (progress, buttons)
    return message(
        notification(told[0]),
        sections(lines(told), budget=4_000),
        *below,
        _found_runs(report),
        context(mrkdwn(_small(report), most=800)),
    )


def _progress(report: KillReport) -> Newer | list[Block]:
    """How each run is doing; behind one line where there are many, and once all have ended."""
    shown = report.progress if report.stage in _GONE_ON else ()
    facts = [Fact("", going(run), _SIGNS.get(run.phase, Icon.WAIT)) for run in shown]
    rows = lines(at_hand(facts, report.request.asked_at), most=CHECK)
    over = sum(run.phase is Phase.ENDED for run in shown)
    if shown and (over == len(shown) or len(shown) > _FEW):
        return folded(
            f"{over} of {runs(len(shown))} ended" if over < len(shown) else f"{runs(over)} ended", rows, budget=4_000
        )
    return sections(rows, budget=4_000, more=lambda n: f"… and {runs(n)} more")


def _found_runs(report: KillReport) -> Newer | list[Block]:
    """The runs of a loop, behind one line."""
    target = target_of(report)
    if report.stage is not KillStage.FOUND or target is None or target.loop is None or not target.runs:
        return []
    rows = lines(at_hand([Fact("", ("• ", *going(run))) for run in target.runs], report.request.asked_at), most=CHECK)
    count = len(target.runs)
    if target.tie is not Stake.CONTENDS:
        return folded(_active(count), rows, budget=4_000)
    title = "1 active run, without the lock" if count == 1 else f"{count} active runs, none has the lock"
    return folded(title, rows, budget=4_000)


def _active(count: int) -> str:
    return f"{runs(count)} {'is' if count == 1 else 'are'} active"


def _small(report: KillReport) -> Phrase:
    request, target = report.request, target_of(report)
    stops = report.stage is KillStage.FOUND and target is not None and target.loop is not None
    why: Phrase = (": ", Quoted(request.reason)) if request.reason else ()
    return dotted(
        ("stopping disables the workflow until someone re-enables it here",) if stops else (),
        (Person(request.user, ""), " asked", *why),
        ("request ", Quoted(request.id)),
    )


def _about(report: KillReport) -> str:
    return report.request.state or report.request.asked


# ── before anything is done


def _nothing(report: KillReport) -> _Facts:
    mark = Icon.UNKNOWN if report.unseen else Icon.GOOD
    yield Fact((f"There is nothing to end for {_about(report)}.",), (), mark)
    yield from _note(report)
    yield from _unseen(report)
    hidden: Phrase = ("Try again once CI answers: a run may be hidden there.",)
    yield Fact("Next:", hidden if report.unseen else _look(report))


def _look(report: KillReport) -> Phrase:
    return ("See where the lock is: ", command(f"status {report.request.state}".strip()), ".")


def _choose(report: KillReport) -> _Facts:
    yield Fact((f"{len(report.targets)} things can be ended for {_about(report)}.",), (" Choose one.",), Icon.UNKNOWN)
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
    yield Fact("", ("Nothing is ended before you confirm it.",))


def _found(report: KillReport) -> _Facts:
    target = target_of(report)
    if target is None:
        yield from _nothing(report)
        return
    yield _what(target)
    is_folded = bool(target.runs) and target.tie is Stake.CONTENDS  # the title of the list of runs says it
    if (target.loop is not None and not is_folded) or target.tie in _RISKY:
        yield _warning(target)
    yield from _states(target)
    yield from _details(target)
    yield from _note(report)
    yield from _unseen(report)
    if target.needs_second:
        yield Fact("", ("It takes two: after your click, a second person has to approve.",))


def _what(target: KillTarget) -> Fact:
    if target.loop is not None:
        return Fact(
            (Quoted(target.loop.pipeline.short), " is stuck in a loop:"), (*loop_words(target.loop), "."), Icon.LOOP
        )
    named = short_name(target.runs[0]) if target.runs else Linked(target.key, None)
    return Fact((named, f" {TIE_WORDS[target.tie]}."), (), Icon.WARNING if target.tie in _RISKY else Icon.NONE)


_RISKY = frozenset({Stake.HOLDS, Stake.UNREAD})


def _named(target: KillTarget) -> Phrase:
    if target.loop is not None:
        return (Quoted(target.loop.pipeline.title), ": ", *loop_words(target.loop))
    return going(target.runs[0]) if target.runs else (Quoted(target.key),)


def _warning(target: KillTarget) -> Fact:
    one = len(target.runs) == 1
    it = "it" if target.loop is None else "one of them"
    active = f"{_active(len(target.runs))}. " if target.loop is not None and target.runs else ""
    match target.tie:
        case Stake.HOLDS:
            held = f"{active}{it.capitalize()} may hold the lock and be in the middle of an apply. "
            left = "Ending it can leave half-made changes, and the lock may stay."
            return Fact("Careful:", (held, left), Icon.WARNING)
        case Stake.UNREAD:
            unread = f"{active}The lock table is throttled, so we can't tell whether {it} holds the lock. "
            return Fact("Careful:", (unread, "Ending it can leave half-made changes."), Icon.WARNING)
        case Stake.CONTENDS:
            none = "It does not hold the lock." if one else "None of them holds the lock."
            return Fact("", (f"{active}{none}",))
        case Stake.NO_LOCK:
            return Fact("", (f"{active}No lock is held there now.",))


def _states(target: KillTarget) -> _Facts:
    """Every state that it is mapped to, where there is more than the one that was asked for, or one is protected."""
    if len(target.ties) > 1 or any(tie.protected for tie in target.ties):
        rows = [(Quoted(tie.state), f"{' (protected)' if tie.protected else ''}: {tie.tie}") for tie in target.ties]
        more = len(rows) - _FEW
        rest: Phrase = (f"; and {more} more state{'s' if more > 1 else ''}",) if more > 0 else ()
        yield Fact("States:", (*joined(rows[:_FEW], "; "), *rest, "."))


def _details(target: KillTarget) -> _Facts:
    if target.loop is not None:
        return
    for run in target.runs[:1]:
        yield Fact("Run:", (*going(run), "."))
        about = (("", run.title), ("started by ", run.actor), ("trigger ", run.trigger), ("branch ", run.branch))
        said = [(word, Quoted(text)) for word, text in about if text]
        if said:
            yield Fact("About:", (*joined(said), "."))


def _approval(report: KillReport) -> _Facts:
    target = target_of(report)
    yield Fact((f"Ending {_ending(report)} needs a second person.",), (), Icon.APPROVAL)
    if target is not None:
        yield _warning(target)
        yield from _states(target)
        yield from _details(target)
    yield from _note(report)
    until: Phrase = (" until ", report.until) if report.until else ()
    second = "A second person whom that allows" if report.note else "Anyone else in this channel"
    asker = Person(report.by or report.request.user, "")
    yield Fact("", (f"{second} can approve", *until, ". ", asker, " asked and can't."))


# ── under way, and the end


def _going_down(report: KillReport) -> _Facts:
    forced = report.stage is KillStage.ESCALATED
    yield Fact((f"Ending {_ending(report)} {'by force ' if forced else ''}…",), (), Icon.WAIT)
    yield from _note(report)
    yield from _switch(report)
    asked = "CI was asked to end it. That is not yet the end."
    again = "It did not end when asked, so tflock asked CI to end it by force."
    yield Fact("", (again if forced else asked, " This message will show when it is really over."))


def _ended(report: KillReport) -> _Facts:
    target, switched = target_of(report), report.switched
    looped = switched is not None or (target is not None and target.loop is not None)
    over, total = sum(run.phase is Phase.ENDED for run in report.progress), len(report.progress)
    count = f"{runs(over)} ended." if over == total else f"{over} of {runs(total)} ended."
    if switched is not None and switched.result is SwitchResult.DONE:
        words: Phrase = (" ", Quoted(_source(report)), " is disabled. ", count if total else "No run was active.")
        yield Fact(("Loop stopped.",), words, Icon.GOOD)
    elif looped:
        yield Fact(("The runs ended, but the loop is not stopped: it can start more.",), (), Icon.WARNING)
        yield from _switch(report)
    else:
        were = "were" if total > 1 else "was"
        yield Fact((f"{_capital(_ending(report))} {were} ended.",), (), Icon.GOOD if over == total else Icon.WARNING)
        yield from [Fact("", (count,))] if over < total else []
    yield from _note(report)
    if report.request.state:
        yield Fact("", (f"This does not release the lock of {report.request.state}.",))


def _source(report: KillReport) -> str:
    target = target_of(report)
    if target is not None:
        return target.pipeline.short
    return report.progress[0].ref.pipeline.short if report.progress else report.source or "the workflow"


def _refused(report: KillReport) -> _Facts:
    yield Fact((f"Nothing was ended for {_about(report)}.",), (), Icon.BAD)
    yield from _note(report)
    yield from _unseen(report)
    yield Fact("Next:", (f"{_UNCHANGED} Try again: ", command(f"kill-job {_about(report)}"), "."))


def _failed(report: KillReport) -> _Facts:
    many = len(report.progress) > 1 and report.switched is None and target_of(report) is None
    yield Fact((f"{_capital(_ending(report))} {'were' if many else 'was'} not ended.",), (), Icon.BAD)
    yield from _note(report)
    yield from _switch(report)
    yield from _unseen(report)
    over, total = sum(run.phase is Phase.ENDED for run in report.progress), len(report.progress)
    yield Fact("", (f"{over} of {runs(total)} ended." if total else "We don't know what was changed.",))
    again = command(f"kill-job {_about(report)}")
    yield Fact("Next:", ("Open the run and end it there, or try again: ", again, "."))


def _stopped(report: KillReport) -> _Facts:
    yield Fact((f"Stopped: {_ending(report)} is no longer being ended.",), (), Icon.WARNING)
    yield from _note(report)
    yield from _switch(report)
    over = sum(run.phase is Phase.ENDED for run in report.progress)
    ended = f"{over} of {runs(len(report.progress))} ended." if report.progress else "We don't know what was changed."
    yield Fact("", (f"{ended} A run that was asked to end before may still do so.",))
    yield Fact("Next:", ("Check again: ", command(f"kill-job {_about(report)}"), ". Then it takes a second person."))


def _restarted(report: KillReport) -> _Facts:
    what: Phrase = (Quoted(report.source),) if report.source else ("The workflow",)
    if report.switched is not None and report.switched.result is not SwitchResult.DONE:
        yield Fact((*what, " was not re-enabled:"), (f"{_SWITCHED[report.switched.result]}.",), Icon.BAD)
        yield from _note(report)
        yield Fact("Next:", ("Press the button to try again, or enable it in CI.",))
        return
    yield Fact((*what, " is enabled again."), (" It can start again, also by its schedule.",), Icon.GOOD)
    yield from _note(report)
    yield Fact("Next:", ("Check that it does not loop again: ", command(f"status {report.request.state}"), "."))


def _still_off(report: KillReport) -> _Facts:
    what: Phrase = (Quoted(report.source),) if report.source else ("The workflow",)
    yield Fact((*what, " is still disabled:"), ("its loop was stopped here. It starts no runs.",), Icon.WARNING)
    yield from _note(report)
    yield Fact("Next:", ("Fix the cause, then re-enable the workflow.",))


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


def _capital(words: str) -> str:
    """As a sentence begins. Names of pipelines keep their letters."""
    return words.replace("the loop", "The loop", 1) if words.startswith("the loop") else words


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
        yield Fact(
            "", (Quoted(_source(report)), " is disabled, and starts no more runs until it is re-enabled."), Icon.GOOD
        )
        return
    failed = (f"It still starts runs: {_SWITCHED[switched.result]}. Disable it in CI.",)
    yield Fact("", failed, Icon.WARNING)
    if switched.detail:
        yield Fact("CI said:", (Quoted(switched.detail), "."))
