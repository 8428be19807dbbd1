"""Whose lock it is: what points at a person, strongest first, and whether that is one person beyond doubt.

A wrong owner could be asked whether someone else's apply is dead. So a person who is not certain is only shown, where
their answer could count for the gate, and of several nobody is picked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from bot.core.gate.attribution import Attribution, Candidate
from bot.core.hold import is_hold
from bot.core.lock import LockInfo
from bot.core.phrase import Phrase, Quoted
from bot.core.policy import Holders, KnownPerson
from bot.core.run import Run, Start, start_of
from bot.core.systems import GITHUB

_BOTS = frozenset(
    {"bot", "dependabot", "renovate", "github-actions", "mergify", "web-flow", "system", "anonymous", "timer"}
)
_BOT_NAMES = re.compile(
    r".*\[bot\]|.*[-_. ]bot|(project|group)_\d+_bot.*|service_account_.*|microsoft\.visualstudio\.services\..*"
    r"|.*\bbuild service\b.*|(events-rule|chronos-schedule|ecs-svc)/.*",
    re.IGNORECASE,
)
_BOT_MAIL = re.compile(r".*(\[bot\]|\bno-?reply)@.*|bot@renovateapp\.com", re.IGNORECASE)
_GITHUB_MAIL = re.compile(r"(?:\d+\+)?(?P<login>[A-Za-z0-9-]+(?:\[bot\])?)@users\.noreply\.github\.com", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lead:
    """Something that points at a person. `person` is who that is by the configuration.

    `email` is for asking Slack where the configuration has no id. `certain` says that nobody else is meant,
    `alone` that every other run which may hold the lock has a known person.
    """

    name: str
    person: KnownPerson | None
    email: str
    source: Phrase
    certain: bool = True
    alone: bool = True

    @property
    def key(self) -> str:
        """Two leads of one key point at the same person."""
        if self.person is not None:
            return f"person {self.person.name}"
        return f"email {self.email.casefold()}" if self.email else f"name {self.name.casefold()}"


@dataclass(frozen=True, slots=True)
class Starters:
    """The people who started the runs in question: by Slack id, and by address (in lower case) where no id is known.

    `are_unknown`: one of them may have been started by a person without a known id or address.
    """

    ids: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    are_unknown: bool = False


NOBODY_STARTED = Starters()


def is_bot(name: str) -> bool:
    """Whether a login is that of a program: a bot, a service account, a schedule. By its shape: no system is asked."""
    return name.strip().casefold() in _BOTS or _BOT_NAMES.fullmatch(name.strip()) is not None


def leads(lock: LockInfo, tied: Attribution | None, holders: Holders) -> tuple[Lead, ...]:
    """The people that the strongest kind of evidence points at: one person, several, or nobody.

    In order: who started the runs that may hold the lock (as the CI system says, else as the job's claim does; the
    commit's author where a program started it), the patterns on the lock's `Who`, and the user in a `Who` that is no
    CI's. A claim is a job's own word: anyone who has its token can name anyone, so it is never certain without other
    evidence. A hold has its asker, and nobody who could say that a run is dead.
    """
    if is_hold(lock):
        return ()
    from_ci = holders.looks_like_ci(lock.who)
    by_who = _by_who(lock, holders)
    started = _of_runs(tied, holders)
    if not from_ci and (tied is None or not tied.is_exact):
        # a run that merely ran at that time says nothing of a lock that was taken on a person's own machine
        started = tuple(replace(lead, certain=False) for lead in started)
        return by_who or tuple({lead.key: lead for lead in (*_by_user(lock, holders), *started)}.values())
    if len(started) == 1 and started[0].certain:
        return started
    return by_who or started


def starters(tied: Attribution | None, holders: Holders) -> Starters:
    """Everyone who may have started the runs, by the word of the CI systems and by that of the claims."""
    ids, emails, are_unknown = set[str](), set[str](), False
    for candidate in tied.candidates if tied else ():
        views, is_whole = _as_started(candidate)
        said = "" if is_bot(candidate.actor) else candidate.actor
        people = [(view.actor, view.actor_email, _is_program(view, holders)) for view in views]
        people += [(said, said if "@" in said else "", False)] if said else []
        are_unknown = are_unknown or not is_whole
        for login, email, is_program in people:
            person = _known(login, email, candidate.run, holders)
            slack, address = (person.slack, person.email or email) if person else (None, email)
            if slack:
                ids.add(slack)
            elif address:
                emails.add(address.casefold())
            elif not is_program:
                are_unknown = True
    return Starters(frozenset(ids), frozenset(emails), are_unknown)


def started_by_bots(tied: Attribution | None) -> tuple[str, ...]:
    """The programs that started the runs, by name."""
    runs = [candidate.run for candidate in tied.candidates] if tied else []
    return tuple(sorted({run.actor for run in runs if run.actor and (run.by_bot or is_bot(run.actor))}))


def _as_started(candidate: Candidate) -> tuple[tuple[Run, ...], bool]:
    """The run as it was at the start of each attempt that may hold the lock, and whether each one's starter is known.

    GitHub tells who started the first attempt and the newest one; the others tell who started the first.
    """
    run = candidate.run
    attempts = {job.attempt for job in candidate.jobs} or set(range(1, max(run.attempt, 1) + 1))
    views = dict.fromkeys(view for number in sorted(attempts) if (view := _at_start(run, number)) is not None)
    return tuple(views), all(_at_start(run, number) is not None for number in attempts)


def _at_start(run: Run, attempt: int) -> Run | None:
    if attempt == run.attempt and run.first_actor:
        return run
    if attempt > 1:
        return None
    if not run.first_actor:
        return run
    return replace(run, actor=run.first_actor, by_bot=start_of(run.trigger) is Start.SCHEDULE)


def _is_program(run: Run, holders: Holders) -> bool:
    if run.by_bot:
        return True
    return is_bot(run.actor) and _known(run.actor, run.actor_email, run, holders) is None


def _of_runs(tied: Attribution | None, holders: Holders) -> tuple[Lead, ...]:
    candidates = tied.candidates if tied else ()
    found = [_of_run(candidate, holders) for candidate in candidates]
    named = {lead.key: lead for lead in reversed(found) if lead is not None}
    alone = None not in found
    certain = alone and all(lead.certain for lead in named.values())
    return tuple(replace(named[key], certain=certain, alone=alone) for key in sorted(named))


def _of_run(candidate: Candidate, holders: Holders) -> Lead | None:
    views, is_whole = _as_started(candidate)
    found = [_of_starter(view, holders) for view in views or (candidate.run,)]
    started = {lead.key: lead for lead in found if lead is not None}
    if started:
        *_, lead = started.values()
        return replace(lead, certain=is_whole and len(started) == 1)
    run = candidate.run
    person = _known(run.actor, run.actor_email, run, holders)
    return _claimed(candidate, holders) or _author(run, holders) or _scheduler(run, person)


def _of_starter(run: Run, holders: Holders) -> Lead | None:
    if not run.actor or _is_program(run, holders):
        return None
    person = _known(run.actor, run.actor_email, run, holders)
    return Lead(run.actor, person, run.actor_email, ("started the run as ", Quoted(run.actor)))


def _claimed(candidate: Candidate, holders: Holders) -> Lead | None:
    email = candidate.actor if "@" in candidate.actor else ""
    person = _known(candidate.actor, email, candidate.run, holders)
    if not candidate.actor or (person is None and is_bot(candidate.actor)):
        return None
    said: Phrase = ("the job said that ", Quoted(candidate.actor), " started it")
    return Lead(candidate.actor, person, email, said, certain=False)


def _author(run: Run, holders: Holders) -> Lead | None:
    """Who wrote the commit. Anyone can write any name into a commit, so that this is never certain."""
    noreply = _GITHUB_MAIL.fullmatch(run.author_email)
    login = noreply["login"] if noreply else ""
    person = holders.person_for(email=run.author_email, login=login, system=GITHUB.name)
    name = login or run.author or run.author_email
    if not name or (person is None and (is_bot(name) or is_bot(run.author) or _is_bot_mail(run.author_email))):
        return None
    by: Phrase = (Quoted(run.actor), " started the run") if run.actor else ("a program started the run",)
    email = "" if noreply else run.author_email
    return Lead(name, person, email, ("wrote the commit; ", *by), certain=False)


def _is_bot_mail(email: str) -> bool:
    return _BOT_MAIL.fullmatch(email) is not None


def _scheduler(run: Run, person: KnownPerson | None) -> Lead | None:
    if start_of(run.trigger) is not Start.SCHEDULE or not run.actor or (person is None and is_bot(run.actor)):
        return None
    said: Phrase = ("the run was started by a schedule of ", Quoted(run.actor))
    return Lead(run.actor, person, run.actor_email, said, certain=False)


def _known(login: str, email: str, run: Run, holders: Holders) -> KnownPerson | None:
    return holders.person_for(login=login, email=email, system=run.ref.pipeline.system)


def _by_who(lock: LockInfo, holders: Holders) -> tuple[Lead, ...]:
    people = holders.people_for_who(lock.who)
    said: Phrase = ("the lock's Who is ", Quoted(lock.who))
    return tuple(Lead(person.name, person, "", said, certain=len(people) == 1) for person in people)


def _by_user(lock: LockInfo, holders: Holders) -> tuple[Lead, ...]:
    """The person with the name of the user in `Who`: a user of some machine, so that it may be anyone."""
    people = holders.people_called(lock.who.partition("@")[0])
    said: Phrase = ("the user in the lock's Who, ", Quoted(lock.who), ", is called so")
    return tuple(Lead(person.name, person, "", said, certain=False) for person in people)
