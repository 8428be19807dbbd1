"""People at every button, with Terraform, CI, Slack, Redis and dying workers in between, and an oracle of its own.

People act as they do in Slack: they type commands, and press what the messages show, also what they showed long ago,
and what nobody ever showed. The oracle knows who is alive, who said what and what they are at this moment, and judges
every delete at its instant. It shares no rule with the gate.

What it holds a delete to: the holder is dead and settled, the state is quiet; somebody who may had confirmed or armed
the release of this very lock, and nobody has taken that back, declined it or had its outcome since; the owner does
not object; what wants a second member has one, for just that, and not from too long ago. Whether the incident is open
does not count: a request outlives its incident, and its timeline still takes what becomes of it. That the channel is
archived does count: then nobody may act there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bot.core.gate.stages import UnlockStage
from bot.core.lock import PlaceKind
from bot.core.policy import ApprovalPolicy, Approvers, Holders, KnownPerson, Policy
from bot.core.reports.alert import Bulletin
from bot.core.reports.button import parse_button
from bot.core.reports.kill import KillReport
from bot.core.reports.owner_message import OwnerMessage, OwnerNews
from bot.core.reports.report import Notice
from bot.core.reports.unlock import UnlockReport
from bot.core.reports.waiting import QueueNews
from bot.core.run import Conclusion
from bot.core.run import Phase as RunPhase
from bot.errors import JournalAway, NotPermitted
from bot.slack.render import kill_message, owner_message, queue_message, unlock_message
from bot.slack.render.alert import alerts_message
from bot.usecases.record import lifecycle
from handlers import boundary, clicks, commands
from handlers.asker import Asker
from handlers.intake import KEPT_FOR, LEASE
from handlers.typed import values as command
from tests.usecases.unlock.machine import HALVES, IS_NIGHTLY, WORKERS, Machine, lengths
from tests.worlds.memory.memory import WORKER
from tests.worlds.memory.messenger import buttons_in
from tests.worlds.memory.world import CHANNEL, DEPLOY, STATE, MemoryWorld

QUINN, PARKER, ELLIOTT, TWIN, GUEST = "U0QUINN", "U0PARKER", "U0ELLIOTT", "U0TWIN", "U0GUEST"
GROUP = "S0OPS"
BEHIND = {QUINN: "quinn", TWIN: "quinn", PARKER: "parker", ELLIOTT: "elliott", GUEST: "gale"}
"""Who is really behind each account."""
HATS = ["quinn@example.com", "Quinn+2@Example.com", "q.uinn@example.com", "", None]
"""What Slack may say of the address of quinn's other account."""
ACTORS = {"elliott-ci": ELLIOTT, "parker-ci": PARKER}

ENDS = st.sampled_from(
    [Conclusion.FAILED, Conclusion.CANCELLED, Conclusion.TIMED_OUT, Conclusion.LOST, Conclusion.SUCCESS]
)
PEOPLE = st.sampled_from([QUINN, PARKER, ELLIOTT, TWIN, GUEST])
CHANGES = st.sampled_from(["guest", "deactivated", "left the channel", "left the group"])
TROUBLES = st.sampled_from(
    ["throttled", "cut before", "answer lost", "ci", "journal", "slack", "slack is busy", "people"]
)
AWAY = st.sampled_from(["throttled", "ci", "slack", "slack is busy", "people"])
EVENTS = st.sampled_from(["killed", "stalls", "rerun", "changes hands", "ends well", "press", "press", "state breaks"])
MOMENTS = st.integers(1, 60)
BUTTONS = st.tuples(st.integers(0, 60), PEOPLE)
TERRAFORM = st.sampled_from(
    ["takes", "takes by hand", "goes on", "ends well", "ends", "ends", "dies unnoticed", "rerun", "rerun ends",
     "changes hands", "state breaks"]
)  # fmt: skip
LOGINS = st.sampled_from(sorted(ACTORS))
TWISTS = ["none", "when safe", "declined", "asker leaves", "approver leaves", "approver leaves the group",
          "state breaks", "state breaks", "nobody works", "it takes long"]  # fmt: skip
PAIRS = st.sampled_from(
    [(QUINN, PARKER), (QUINN, ELLIOTT), (PARKER, ELLIOTT), (QUINN, TWIN), (TWIN, QUINN), (QUINN, QUINN)]
)
"""Who asks, and who approves."""
LEFT_BEHIND = st.tuples(ENDS, st.booleans(), st.sampled_from([False, False, True]), LOGINS)
BETWEEN = ["nothing", "disarmed", "changes hands", "armed again", "armed again too late", "rerun", "objection", "left"]
TYPED = [
    command.Unlock(STATE), command.Unlock(STATE, when_safe=True), command.Unlock(STATE, dry_run=True),
    command.Status(STATE), command.Watch(STATE), command.Watch(STATE), command.Watch(STATE, off=True),
    command.KillJob(STATE), command.KillJob(STATE), command.Open(), command.Close(), command.Reopen(),
]  # fmt: skip
ALWAYS = {("may act", GUEST), ("in the group", GUEST), ("in the group", TWIN)}
NOT_CHOSEN = {"alert.status", "alert.who", "status.share", "watch.look"}

SLACK = ("tell ", "told ", "letter", "call", "notif", "look for ", "notice", "permalink")

_POSITIVE = {"unlock.confirm": "confirmed", "unlock.when_safe": "armed", "unlock.approve": "approved"}
_LIFTING = {"owner.dead", "owner.undo"}
_BINDING = {"unlock.disarm", "unlock.decline", "owner.running", "owner.undo", "owner.later"}
"""Whoever was told that it is done may rely on it."""


@dataclass(frozen=True)
class Said:
    """What somebody has said about a request, or about a lock. `call` is when, counted in calls of the bot."""

    what: str
    user: str
    lock_id: str
    at: datetime
    call: int
    covers: frozenset[str] = frozenset()


@dataclass
class AskedUnlock:
    """A request to unlock, as people see it."""

    user: str
    at: datetime
    said: list[Said] = field(default_factory=list)


class PeopleMachine(Machine):
    """The bot may delete a lock only if its holder is really dead, and everybody's word is kept."""

    places: ClassVar = {
        "throttled": ("read lockfile", "read dynamodb", "read state", "delete "),
        "cut before": ("delete ",),
        "answer lost": ("deleted ",),
        "ci": ("list runs", "read run"),
        "journal": ("append", "update", "get ", "take", "start ", "put ", "enlist", "once", "swap", "open"),
        "slack": SLACK,
        "slack is busy": SLACK,
        "people": ("look up ",),
    }

    @initialize(
        kinds=HALVES,
        protected=st.sampled_from([True, True, False]),
        by=st.sampled_from([Approvers.MEMBER, Approvers.MEMBER, *Approvers]),
        not_by_actor=st.booleans(),
        in_groups=st.booleans(),
        how=ENDS,
        actor=st.sampled_from([*ACTORS, ""]),
        hat=st.sampled_from(HATS),
    )
    def begin(self, kinds, protected, by, not_by_actor, in_groups, how, actor, hat):
        groups = (GROUP,) if by is Approvers.GROUP else ()
        self.approvers = ApprovalPolicy(by, groups, not_by_run_actor=not_by_actor)
        self.unlock_groups = (GROUP,) if in_groups else ()
        policy = Policy(
            approval_timeout=timedelta(minutes=5), approval=self.approvers, unlock_groups=self.unlock_groups
        )
        self._enter(MemoryWorld(kinds=kinds, protected=protected, policy=policy))
        people = (
            KnownPerson("elliott", ELLIOTT, github="elliott-ci", who=("elliott@*",)),
            KnownPerson("parker", PARKER, github="parker-ci"),
        )
        self.world.ports = replace(self.world.ports, holders=Holders(people=people), alerts_channel="C0ALERTS")
        self.world.directory.add(TWIN, "quinn", CHANNEL)
        twin = self.world.directory.people[TWIN]
        self.world.directory.people[TWIN] = replace(twin, email=hat)
        self.world.directory.groups[GROUP] = [QUINN, PARKER, ELLIOTT]
        self.asked: dict[str, AskedUnlock] = {}
        self.answers: dict[str, list[Said]] = {}
        self.looked: dict[str, int] = {}
        self.moved: dict[str, int] = {}
        self.periods: Counter[str] = Counter()
        self.free_told: list[tuple[str, int, int]] = []
        self.interrupted: set[str] = set()
        self.read: Counter[str] = Counter()
        self.calls_heard = self.period = self.deliveries = self.webs = 0
        self._note_people()
        if actor:
            self._take_as(actor, self.world.kinds)
            self._end_as(how, 0.5)
            self.world.pass_time(700)

    # ── the truth about Terraform

    def _take(self, who, run_id, kinds, **more):
        if not self.world.store.texts:
            self.period += 1
        super()._take(who, run_id, kinds, **more)

    def _take_as(self, actor, kinds, host="runner-1"):
        run_id = f"{1001 + self.count}"
        self.world.ci.start(run_id, DEPLOY, host=host, actor=actor)
        self._take("runner@fv-az881-525", run_id, kinds, owner=ACTORS[actor])

    @rule(what=TERRAFORM, how=ENDS, lives_on=st.floats(0.0, 0.98), place=st.booleans(), actor=LOGINS)
    def terraform_or_its_ci_does_something(self, what, how, lives_on, place, actor):
        """The runner may live on for a while: less than the settle time, which is what that time is for."""
        holder = self._holder()
        match what:
            case "takes" | "takes by hand" if not self.world.store.texts:
                self._take_by(actor, place=place, by_hand=what == "takes by hand")
            case "goes on" if holder is not None:
                self.world.store.last_written = self.now
            case "ends well":
                self._end_well()
            case "ends":
                self._end_as(how, lives_on)
            case "dies unnoticed" if holder is not None:
                holder.dies_at = self.now
            case "rerun":
                self._rerun()
            case "rerun ends":
                self._end_runs(how, attempts_from=2)
            case "changes hands":
                self._change_hands()
            case "state breaks":
                self._break_state()

    def _take_by(self, actor, *, place, by_hand):
        if by_hand:
            self._take("elliott@laptop", None, self.world.kinds, owner=ELLIOTT)
        else:
            self._take_as(actor, self.world.kinds[:1] if place else self.world.kinds)

    def _rerun(self):
        self._note_kills()
        super()._rerun()

    def _note_kills(self):
        """Runs that the bot has ended meanwhile: their processes get as long as any other."""
        for holder in self.holders.values():
            run = self.world.ci.known.get(holder.run_id or "")
            if run is not None and holder.ended_at is None and run.phase is RunPhase.ENDED:
                self._saw_end(holder, 0.9)

    def _change_hands(self):
        if self.world.store.texts and self._holder() is None:
            self.world.store.texts.clear()
            self._take_as("parker-ci", self.world.kinds, host="runner-2")

    def _leave_behind(self, how, place, actor, *, by_hand):
        """Where a release may succeed: without this, most roads lead to a refusal."""
        self._end_well()
        if self._holder() is not None:
            return
        self.world.store.texts.clear()
        self._end_runs(how)
        if by_hand:
            self.world.pass_time(300)
        self._take_by(actor, place=place, by_hand=by_hand)
        self._end_as(how, 0.9)
        self.world.pass_time(700)

    def _break_state(self):
        self.world.store.fault = None if self.world.store.fault else "it is cut off"
        self._note("intact", is_bad=self.world.store.fault is not None)

    # ── what people are

    @rule(user=PEOPLE, what=CHANGES | st.sampled_from(["archives the channel", "makes the channel private"]))
    def somebody_changes(self, user, what):
        self._become(user, what)

    @precondition(lambda self: len(self.bad_since) > len(ALWAYS))
    @rule()
    def everybody_is_back(self):
        self._restore()

    def _restore(self):
        directory = self.world.directory
        for user, member in list(directory.people.items()):
            directory.people[user] = replace(member, is_guest=user == GUEST, is_deleted=False)
        directory.inside[CHANNEL] = list(directory.people)
        directory.groups[GROUP] = [QUINN, PARKER, ELLIOTT]
        directory.channels[CHANNEL] = replace(directory.channels[CHANNEL], is_archived=False, is_private=False)
        self._note_people()

    def _become(self, user, what):
        directory = self.world.directory
        match what:
            case "guest":
                directory.people[user] = replace(directory.people[user], is_guest=True)
            case "deactivated":
                directory.people[user] = replace(directory.people[user], is_deleted=True)
            case "left the channel":
                directory.inside[CHANNEL] = [one for one in directory.inside[CHANNEL] if one != user]
            case "left the group":
                directory.groups[GROUP] = [one for one in directory.groups[GROUP] if one != user]
            case "archives the channel":
                directory.channels[CHANNEL] = replace(directory.channels[CHANNEL], is_archived=True)
                self._start("archived", CHANNEL)
            case "makes the channel private":
                directory.channels[CHANNEL] = replace(directory.channels[CHANNEL], is_private=True)
        self._note_people()

    def _note_people(self):
        for user in self.world.directory.people:
            self._note("may act", user, is_bad=not self._may_act(user))
            self._note("in the group", user, is_bad=user not in self.world.directory.groups[GROUP])

    def _may_act(self, user):
        directory = self.world.directory
        member = directory.people[user]
        grouped = not self.unlock_groups or user in directory.groups[GROUP]
        channel = directory.channels[CHANNEL]  # which only its name makes an incident channel
        here = user in directory.inside[CHANNEL] and not channel.is_archived and not channel.is_private
        return here and grouped and not member.is_guest and not member.is_deleted

    # ── what people do

    @rule(user=PEOPLE, what=st.sampled_from(TYPED))
    def somebody_types_something(self, user, what):
        self._type(user, what)

    @rule(recent=st.integers(0, 3), user=PEOPLE)
    def somebody_presses_a_new_button(self, recent, user):
        self._press_one(recent, user)

    @rule(button=BUTTONS)
    def somebody_presses_any_button_there_ever_was(self, button):
        self._press_one(*button)

    @rule(
        first=BUTTONS,
        second=BUTTONS,
        action=st.sampled_from(["unlock.confirm", "unlock.approve", "unlock.when_safe", "unlock.rearm", "owner.dead"]),
        part=st.sampled_from(["lock_id", "request", "choice", "none"]),
    )
    def somebody_makes_a_button_up(self, first, second, action, part):
        """From pieces of two that there were: another lock's, another request's, or another action altogether."""
        one, other = self._button(first[0]), self._button(second[0])
        if one is None or other is None:
            return
        value, donor = parse_button(one[1]), parse_button(other[1])
        if value is not None and donor is not None:
            made = value if part == "none" else replace(value, **{part: getattr(donor, part)})
            self._press(action, str(made), first[1])

    @rule(who=PAIRS, lock=LEFT_BEHIND, twist=st.sampled_from(TWISTS), away=st.sampled_from([0, 60]))
    def an_unlock_goes_its_way(self, who, lock, twist, away):
        """What people do when all is well, and what may have changed before a worker comes to it."""
        asker, approver = who
        self._restore()
        self._prepare(lock)
        self._type(asker, command.Unlock(STATE, when_safe=twist == "when safe"))
        if twist == "declined":
            self._press_newest("unlock.decline", ELLIOTT)
        self._press_newest("unlock.confirm", asker)
        self._press_newest("unlock.approve", approver)
        match twist:
            case "asker leaves":
                self._become(asker, "left the channel")
            case "approver leaves":
                self._become(approver, "guest")
            case "approver leaves the group":
                self._become(approver, "left the group")
            case "state breaks" if self.world.store.fault is None:
                self._break_state()
        self.world.run(asyncio.sleep(400 if twist == "nobody works" else away))
        self.world.pass_time(331 if twist == "it takes long" else 30)
        self._press_newest("unlock.approve", approver)
        self.world.pass_time(30)

    @rule(
        who=PAIRS,
        lock=LEFT_BEHIND,
        moments=st.lists(st.tuples(MOMENTS, EVENTS, st.integers(0, 5), PEOPLE), min_size=1, max_size=3),
        trouble=st.one_of(st.none(), st.tuples(TROUBLES, st.integers(1, 4))),
        workers=WORKERS,
    )
    def an_unlock_is_disturbed(self, who, lock, moments, trouble, workers):
        asker, approver = who
        self._restore()
        self._prepare(lock)
        self._type(asker, command.Unlock(STATE))
        if trouble is not None:
            self.troubled[trouble[0]] = trouble[1]
        for moment, what, number, user in moments:
            self.plans[self.world.switchboard.calls + moment] = (what, number, user)
        self._press_newest("unlock.confirm", asker)
        self._press_newest("unlock.approve", approver)
        self.world.pass_time(30, workers=workers)

    @rule(who=PAIRS, lock=LEFT_BEHIND, between=st.sampled_from(BETWEEN), workers=WORKERS)
    def an_armed_unlock_waits(self, who, lock, between, workers):
        """It is armed too early, and something happens before it is safe."""
        asker, other = who
        self._restore()
        self._prepare(lock)
        self.world.store.last_written = self.now
        self._type(asker, command.Unlock(STATE, when_safe=True))
        self.world.pass_time(25, workers=workers)
        match between:
            case "disarmed":
                self._press_newest("unlock.disarm", other)
            case "changes hands" | "armed again" | "armed again too late":
                self._change_hands()
                self.world.pass_time(15, workers=workers)
                if between == "armed again too late":
                    self._end_well()
                    self._take_by(lock[3], place=False, by_hand=False)
                if between != "changes hands":
                    self._press_newest("unlock.rearm", other)
                self._end_as(Conclusion.FAILED, 0.2)
            case "rerun":
                self._rerun()
            case "objection":
                self._owner_says("owner.running")
            case "left":
                self._become(asker, "left the channel")
        self.world.pass_time(331, workers=workers)

    def _prepare(self, lock):
        """A lock that was left behind, if there is none that might be released."""
        how, place, by_hand, actor = lock
        if not self.world.store.texts or self._holder() is not None:
            self._leave_behind(how, place, actor, by_hand=by_hand)
        if by_hand and self._standing():
            self._type(QUINN, command.Unlock(STATE))
            self._dies_by_hand()

    def _dies_by_hand(self):
        self.world.pass_time(2)
        self._owner_says("owner.dead")

    def _owner_says(self, action):
        for lock_id in self._standing():
            self._press(action, f"{STATE} {lock_id} -", self.holders[lock_id].owner)

    @precondition(lambda self: self.world.messenger.rung)
    @rule(action=st.sampled_from(["owner.dead", "owner.running", "owner.later", "owner.undo"]), old=st.booleans())
    def the_owner_answers(self, action, old):
        owner, letter = self.world.messenger.rung[0 if old else -1]
        self._press(action, f"{STATE} {letter.lock.id} {letter.request or '-'}", owner)

    @rule(lock=LEFT_BEHIND, when=st.sampled_from(["before", "after"]), lets_go=st.booleans(), workers=WORKERS)
    def the_owner_objects_to_an_unlock(self, lock, when, lets_go, workers):
        self._restore()
        self._prepare(lock)
        self._type(QUINN, command.Unlock(STATE))
        actions = [lambda: self._owner_says("owner.running"), lambda: self._press_newest("unlock.confirm", QUINN)]
        for act in actions if when == "before" else reversed(actions):
            act()
        self._press_newest("unlock.approve", ELLIOTT)
        self.world.pass_time(5, workers=workers)
        if lets_go:
            self._owner_says("owner.undo")
        self.world.pass_time(30, workers=workers)
        self._press_newest("unlock.confirm", QUINN)
        self._press_newest("unlock.approve", ELLIOTT)
        self.world.pass_time(30, workers=workers)

    def _press_newest(self, action, user):
        for age in range(8):
            found = [(name, value) for name, value in self._buttons_of(age) if name == action]
            if found:
                self._press(*found[0], user)
                return

    def _press_one(self, number, user):
        found = self._button(number)
        if found is not None:
            self._press(*found, user)

    def _button(self, number):
        """A button, counted from the newest message on."""
        messages = self._messages()
        for index in range(len(messages)):
            found = self._buttons_of(index)
            if number < len(found):
                return found[number]
            number -= len(found)
        return None

    def _messages(self):
        """Everything that was ever shown, the newest last of its kind, each with what renders it."""
        world = self.world
        unlocks = [(unlock_message, report) for report in world.messenger.all(UnlockReport)]
        letters = [(owner_message, letter) for _, letter in world.messenger.rung]
        letters += [(owner_message, letter) for letter in world.messenger.now(OwnerMessage).values()]
        kills = [(kill_message, report) for report in world.messenger.all(KillReport)]
        alerts = [(alerts_message, bulletin) for bulletin in world.messenger.now(Bulletin).values()]
        calls = [(queue_message, news) for _, news in world.messenger.posted(QueueNews)]
        replies = [(_as_is, message.blocks) for message in world.messenger.replies]
        parts = [unlocks, letters, kills, alerts, calls, replies]
        return [part[-1 - age] for age in range(max(map(len, parts))) for part in parts if age < len(part)]

    def _buttons_of(self, index):
        messages = self._messages()
        if index >= len(messages):
            return []
        render, message = messages[index]
        shown = render(message)
        return [one for one in buttons_in(getattr(shown, "blocks", shown)) if one[0] not in NOT_CHOSEN]

    def _press(self, action, value, user):
        self.world.run(self._pressing(action, value, user))

    async def _pressing(self, action, value, user):
        said = parse_button(value)
        if said is None:
            return
        self._means(action, said, user)
        asked, covers = self.asked.get(said.request), frozenset(said.choice.split("+"))
        what = _POSITIVE.get(action, f"perhaps {action}" if action in _LIFTING else action)
        mine = Said(what, user, said.lock_id, self.now, self.world.switchboard.calls, covers)
        heard = (
            self.answers.setdefault(said.lock_id, []) if action.startswith("owner.") else asked.said if asked else []
        )
        if action in _POSITIVE or action in _LIFTING:
            heard.append(mine)  # from now on it may count
        before = self._known_requests()

        outcome = await self._acts(action, user, lambda asker: clicks.run(
            self.world.ports, action, value, asker))  # fmt: skip

        self._learn(before, user, outcome, armed=action == "unlock.rearm", lock_id=said.choice)
        if outcome == "broken":
            self.interrupted.add(said.request)
        if outcome == "refused" and mine in heard:
            heard.remove(mine)
        if outcome == "done" and action in _BINDING:
            heard.append(replace(mine, what=action, call=self.world.switchboard.calls))
        if action.startswith("watch."):
            self.periods[user] += 1

    def _means(self, action, said, user):
        """Who says of their own machine that it is dead has seen to it; nobody says so of a run that they see live."""
        holder = self.holders.get(said.lock_id)
        if action == "owner.dead" and holder is not None and holder.run_id is None and holder.owner == user:
            holder.dies_at = min(holder.dies_at or self.now, self.now)

    def _type(self, user, typed):
        self.world.run(self._typing(user, typed))

    async def _typing(self, user, typed):
        before = self._known_requests()
        text = typed.name
        outcome = await self._acts(text, user, lambda asker: commands.run(self.world.ports, typed, text, asker))
        self._learn(before, user, outcome, armed=getattr(typed, "when_safe", False))
        if isinstance(typed, command.Watch):
            self.periods[user] += 1

    async def _acts(self, name, user, work):
        """Slack delivers it twice at once. Whether it was done, refused, or went wrong on its way."""
        self.deliveries += 1
        asker = Asker(user, CHANNEL, "", "https://hooks.example.com/1", f"click/{self.deliveries}")
        outcomes = []

        async def watched():
            try:
                result = await work(asker)
            except NotPermitted:
                outcomes.append("refused")
                raise
            except BaseException:
                outcomes.append("broken")
                raise
            outcomes.append("done")
            return result

        inside = bool(WORKER.get())
        token = WORKER.set("" if inside else f"web.{self.webs}")
        before = len(self.deleted)

        async def delivered():
            try:
                is_new = await self.world.ports.records.accept(asker.delivery, {}, lease=LEASE, ttl=KEPT_FOR)
            except JournalAway:
                return  # it is not acked
            if is_new:
                await boundary.run(self.world.ports, name, asker, watched)

        try:
            ran = await asyncio.gather(delivered(), delivered(), return_exceptions=True)
        finally:
            WORKER.reset(token)
        if any(isinstance(each, BaseException) for each in ran):
            self.webs += 1
        assert inside or len(self.deleted) == before, "nothing that a person does deletes anything by itself"
        assert len(outcomes) <= 1, "a delivery is done once"
        return next((one for one in ("done", "broken", "refused") if one in outcomes), "broken")

    def _known_requests(self):
        return {key for use, kind, key in self.world.records._kept if (use, kind) == ("record", "unlock")}

    def _learn(self, before, user, outcome, *, armed, lock_id=""):
        """The requests that came of what somebody has just done."""
        for request in self._known_requests() - before:
            self.asked[request] = AskedUnlock(user, self.now)
            if outcome == "broken":
                self.interrupted.add(request)
            if armed:
                self.asked[request].said.append(Said("armed", user, lock_id, self.now, self.world.switchboard.calls))

    # ── time, troubles and crashes

    @rule(seconds=st.sampled_from([1, 5, 20, 61, 125, 331]), workers=WORKERS)
    def time_passes(self, seconds, workers):
        self.world.pass_time(seconds, workers=workers)

    @rule(what=st.sampled_from(["sweep", "tend", "tend quiet"]), workers=WORKERS)
    def the_bot_looks_after_everything(self, what, workers):
        if what == "sweep":
            self._start("watch_states")
            self.world.pass_time(5, workers=workers)
            return
        hours = 24 if what == "tend" else 0
        self.world.ports = replace(self.world.ports, close_after_quiet=timedelta(hours=hours, seconds=1))
        self.world.run(self._quietly(lifecycle.tend(self.world.ports)))

    async def _quietly(self, work):
        try:
            await work
        except JournalAway:
            return

    def _start(self, name, *args):
        self.world.run(self._quietly(self.world.jobs.start(name, *args, key=f"{name}:{self.now}")))

    @rule(what=TROUBLES, times=st.integers(1, 6))
    def a_system_has_a_bad_moment(self, what, times):
        self.troubled[what] = times

    @rule(who=PAIRS, lock=LEFT_BEHIND, what=AWAY, when_safe=st.booleans(), workers=WORKERS)
    def an_unlock_meets_a_system_that_stays_away_through_its_last_try(self, who, lock, what, when_safe, workers):
        asker, approver = who
        self._restore()
        self._prepare(lock)
        self._type(asker, command.Unlock(STATE, when_safe=when_safe))
        self.away_until[what] = self.now + timedelta(seconds=315)
        self._press_newest("unlock.confirm", asker)
        self._press_newest("unlock.approve", approver)
        self.world.pass_time(320, workers=workers)

    @rule(moment=MOMENTS, what=EVENTS, number=st.integers(0, 8), user=PEOPLE)
    def something_happens_in_the_middle(self, moment, what, number, user):
        self.plans[self.world.switchboard.calls + moment] = (what, number, user)

    async def _fault(self, name):
        self._listen()
        worker = WORKER.get()
        if not worker:
            return
        calls = self.world.switchboard.calls
        for planned in self._due():
            await self._happens(planned, worker)
        if name == "get owner-answer":
            self.looked[worker] = calls
        if name == "update unlock":
            self.moved[worker] = calls
        self._trouble(name)

    async def _happens(self, planned, worker):
        what, number, user = planned
        match what:
            case "state breaks":
                self._break_state()
            case "press":
                found = self._button(number)
                if found is not None:
                    await self._pressing(*found, user)
            case _:
                await super()._happens(what, worker)

    def _listen(self):
        """What became of the requests, as the timeline has it, at the instant that it was written there."""
        for name, log in self.world.journal.logs.items():
            for entry in log[self.read[name] :]:
                self._heard(entry)
            self.read[name] = len(log)
        calls = self.world.messenger.posted(QueueNews)
        for _, news in calls[self.calls_heard :]:
            if news.ending is None:
                self.free_told.append((news.user, self.periods[news.user], self.period))
        self.calls_heard = len(calls)

    def _heard(self, entry):
        asked = self.asked.get(str(entry.facts.get("request", "")))
        ends = {"unlock.released", "unlock.failed", "unlock.declined"}
        is_over = entry.kind in ends or (
            entry.kind == "unlock.withdrawn" and entry.facts["outcome"] not in {"checked", "refused"}
        )
        if asked is not None and is_over:
            asked.said.append(Said("over", entry.actor, "", self.now, self.world.switchboard.calls))

    # ── the oracle

    def _judge_delete(self, lock_id):
        holder, worker = self.holders[lock_id], WORKER.get()
        assert worker
        self._note_kills()

        self._judge_holder(holder)
        self._judge_owner(holder, self.looked[worker])
        asked, request = self._asked_for(lock_id)
        consent = self._consent(asked, lock_id, self.moved[worker])
        assert consent is not None, f"{lock_id} was deleted for {request}, which nobody wants (any more)"
        wanting, approvals = consent
        able = [user for user in wanting if self._has_been("may act", user)]
        assert able, f"none of {wanting} may release anything now"
        needed = self._needed(holder)
        if needed:
            why_not = [self._wrong_approval(one, by, needed, holder) for one in approvals for by in able]
            assert not all(why_not), f"nobody approved, and {needed} want it: {why_not}"

    def _judge_holder(self, holder):
        assert not self._is_alive(holder), f"{holder.lock_id} was deleted under its living holder"
        assert self.now >= self.world.store.last_written + self.world.policy.state_quiet
        if holder.run_id is None:
            return
        assert holder.ended_at is not None, "its run was not seen to end"
        assert self.now >= holder.ended_at + self.world.policy.settle_time(holder.ended_as)

    def _judge_owner(self, holder, looked):
        said = [one for one in self.answers.get(holder.lock_id, ()) if one.call <= looked]
        objections, is_dead = dict[str, datetime](), False
        for one in said:
            if one.what == "owner.running":
                objections[one.user] = one.at
            elif one.what in {"perhaps owner.dead", "perhaps owner.undo"}:
                objections.pop(one.user, None)
            if one.what != "perhaps owner.undo":
                is_dead = one.what == "perhaps owner.dead"
        assert holder.run_id is not None or is_dead, "its owner did not say that it is dead"
        standing = [user for user, at in objections.items() if holder.ended_at is None or holder.ended_at <= at]
        assert not standing, f"{standing} said that it is still running"

    def _asked_for(self, lock_id):
        """The request that the timeline says is being carried out."""
        found = [
            entry.facts["request"]
            for log in self.world.journal.logs.values()
            for entry in log
            if entry.kind == "unlock.releasing" and entry.facts["lock_id"] == lock_id
        ]
        assert found, "no intent was written down"
        live = [one for one in found if self._consent(self.asked[one], lock_id, self.moved[WORKER.get()])]
        request = (live or found)[-1]
        return self.asked[request], request

    def _consent(self, asked, lock_id, moved):
        """Who may count for wanting it, and what as an approval, as of the worker's last look; None if nobody wants it.

        Of a click that broke off, nobody but the bot knows what became of it: the clicks of others count as well.
        """
        wanting, approvals, is_wanted = [], [], False
        for said in asked.said:
            match said.what:
                case "confirmed" | "armed" if self._is_meant(said, asked, lock_id):
                    is_wanted = True
                    wanting.append(said.user)
                case "approved" if said.lock_id == lock_id:
                    is_wanted = True
                    approvals.append(said)
                case "unlock.disarm" | "unlock.decline" if said.call <= moved:
                    return None
                case "over" if said.call <= moved:
                    wanting, approvals, is_wanted = [], [], False
        return (wanting or [asked.user], approvals) if is_wanted else None

    def _is_meant(self, said, asked, lock_id):
        """Whoever armed a state that could not be read means the lock that it shows within the next minutes."""
        if said.lock_id:
            return said.lock_id == lock_id
        return self.holders[lock_id].taken_at <= asked.at + self.world.policy.release_deadline

    def _needed(self, holder):
        """What wants a second member, whatever the bot makes of it."""
        # by every attempt's own jobs: a run that failed with the lock and succeeded when it was run again has failed
        jobs = [job for run in self.world.ci.known.values() for job in run.jobs or ()]
        ended = [job.conclusion for job in jobs if job.phase is RunPhase.ENDED]
        wants = {
            "protected": self.world.protected,
            "human-held": holder.run_id is None,
            "whole": self.world.store.fault is not None and not self._has_been("intact"),
            "dead": holder.run_id is not None and set(ended) == {Conclusion.SUCCESS},
        }
        return {name for name, is_so in wants.items() if is_so}

    def _wrong_approval(self, approval, by, needed, holder):
        """Why this approval does not count; nothing if it does."""
        who = approval.user
        is_late = self.now > approval.at + self.world.policy.approval_timeout + self._grace()
        faults = {
            "whoever asked cannot approve": who == by,
            "the same person under another name": BEHIND[who] == BEHIND[by],
            f"approved for {approval.covers}": not needed <= approval.covers,
            "it is too old": is_late,
            f"{who} may not approve anything now": not self._has_been("may act", who),
            "nobody may approve here": self.approvers.by is Approvers.NOBODY,
            f"{who} is not in the group": self.approvers.by is Approvers.GROUP
            and not self._has_been("in the group", who),
            f"{who} is not the owner": self.approvers.by is Approvers.OWNER and who != holder.owner,
            f"{who} has started the run": self.approvers.not_by_run_actor and who == holder.owner and holder.run_id,
        }
        return "; ".join(words for words, is_so in faults.items() if is_so)

    # ── how it all ends

    def _check_the_end(self):
        entries = self._come_to_rest(lambda: self.world.pass_time(120))
        self._check_the_timeline(entries)
        self._check_what_was_told(entries)
        self._check_that_nothing_is_stuck()

    def _check_what_was_told(self, entries):
        letters = [letter.lock.id for _, letter in self.world.messenger.rung if letter.news is OwnerNews.RELEASED]
        assert len(letters) == len(set(letters)), "one letter for one release"
        self._check_the_ends_shown(entries, UnlockStage.ALREADY_FREE, UnlockStage.EXPIRED, UnlockStage.REFUSED)
        again = [name for name, times in Counter(self.free_told).items() if times > 1]
        assert not again, f"told twice that it is free: {again}"

    def _check_that_nothing_is_stuck(self):
        """Whoever waits for the bot does not wait in vain: what goes on has a job that goes on with it."""
        busy = {part for job in self.world.jobs.waiting.values() for part in job.args}
        told = {notice.reference for notice in self.world.messenger.all(Notice)}
        for request in self._known_requests() - told - self.interrupted:
            record = self.world.records._record("unlock", request)
            has_button = record.get("ts") and record.get("wanted") and not record.get("outcome")
            is_open = record["phase"] not in {"shown", "done"} or (record["phase"] == "shown" and has_button)
            assert not is_open or request in busy, f"{request} stays {record['phase']} for ever"


def _as_is(blocks):
    return blocks


TestPeopleMachine = PeopleMachine.TestCase
TestPeopleMachine.settings = lengths(150, 20, nightly=(10_000, 50))
if not IS_NIGHTLY:
    TestPeopleMachine.pytestmark = pytest.mark.timeout(1200)  # a failing history is made short, which takes its time


@pytest.fixture
def play():
    made = []

    def play(**world):
        made.append(PeopleMachine())
        made[-1].begin(
            kinds=(PlaceKind.FILE, PlaceKind.ITEM), by=Approvers.MEMBER, not_by_actor=False, how=Conclusion.FAILED,
            actor="elliott-ci", hat="Quinn+2@Example.com", **{"protected": True, "in_groups": False, **world},
        )  # fmt: skip
        return made[-1]

    yield play
    for machine in made:
        machine.teardown()


LOCK = (Conclusion.FAILED, False, False, "elliott-ci")


@pytest.mark.parametrize("who", [(QUINN, PARKER), (QUINN, TWIN)])
@pytest.mark.parametrize("twist", dict.fromkeys(TWISTS))
def test_what_a_machine_may_take_long_to_come_to_keeps_everybodys_word(play, who, twist):
    for away in (0, 60):
        play(in_groups=twist == "approver leaves the group").an_unlock_goes_its_way(who, LOCK, twist, away)


@pytest.mark.parametrize("between", BETWEEN)
def test_an_armed_unlock_keeps_everybodys_word_whatever_happens_before_it_is_safe(play, between):
    play(protected=False).an_armed_unlock_waits((QUINN, PARKER), LOCK, between, ("w1", "w2"))
