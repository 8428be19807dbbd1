"""Messages of the channel on the timeline, on paper: marks, edits, deletions, and what was said before."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.evidence import Trouble, Unseen
from bot.core.record.message import SharedFile
from bot.core.record.revision import Marking
from bot.core.record.timeline import Kind, verify
from bot.core.reports.report import Notice
from bot.errors import JournalAway, NotPermitted
from bot.usecases.record import backfill, capture, correct
from bot.usecases.record.capture import Added, MessageEvent
from tests.worlds.memory.memory import WORKER, Killed
from tests.worlds.memory.world import CHANNEL

QUINN, PARKER, ELLIOTT, GUEST = "U0QUINN", "U0PARKER", "U0ELLIOTT", "U0GUEST"


class Room:
    """A channel on paper. Each event is given to the queue as the listeners do, and worked off."""

    def __init__(self, paper):
        self.paper = paper
        self.events = 0

    def say(self, raw, author=ELLIOTT, **facts):
        self.paper.pass_time(1)
        return self.paper.messages.say(facts.pop("channel", CHANNEL), author, raw, **facts)

    def happens(self, said, user, cause, *, event=None):
        self.events += 1
        name = event or f"Ev{self.events}"
        args = (said.channel, said.ts, user, str(cause), name)
        self.paper.run(self.paper.jobs.start("capture", *args, key=f"event:{name}"))
        self.paper.pass_time(400)

    def mark(self, said, user=PARKER, reaction="pushpin"):
        self.paper.messages.mark(said, user, reaction)
        self.happens(said, user, MessageEvent.MARKED)

    def unmark(self, said, user=PARKER, reaction="pushpin"):
        self.paper.messages.unmark(said, user, reaction)
        self.happens(said, user, MessageEvent.UNMARKED)

    def entries(self, *kinds):
        log = [entry for log in self.paper.journal.logs.values() for entry in log]
        return [entry for entry in log if entry.kind in (kinds or [entry.kind])]

    @property
    def captured(self):
        return self.entries(Kind.MESSAGE_CAPTURED)

    def shown(self, said):
        """The entry as it is to be shown now; None for a hidden one."""
        kept = self.paper.run(capture.find(self.paper.ports, said.channel, said.ts))
        known = self.paper.run(correct.revisions(self.paper.ports, kept.incident))
        return known.shown(self.paper.run(self.paper.journal.entry(kept.incident, kept.entry)))

    def changes(self, said):
        kept = self.paper.run(capture.find(self.paper.ports, said.channel, said.ts))
        return self.paper.run(correct.look(self.paper.ports, kept.incident, kept.entry)).after.changes

    def backfill(self, *, since=None, marked=False, seconds=60, user=PARKER):
        now = self.paper.clock.now()
        start = None if since is None else now - timedelta(seconds=since)
        self.paper.run(backfill.ask(self.paper.ports, backfill.BackfillCommand(CHANNEL, user, "", start, marked)))
        self.paper.pass_time(seconds)

    @property
    def last_notice(self):
        return self.paper.messenger.all(Notice)[-1]


@pytest.fixture
def room(make_paper):
    return Room(make_paper())


# ── marks


def test_a_marked_message_stands_on_the_timeline_at_its_own_time_with_its_author(room):
    said = room.say("the lock is <@U0ELLIOTT>'s, see <https://ci.example.com/1|the run> &amp; <#C0INC>")
    room.mark(said)
    (entry,) = room.captured
    assert (entry.at, entry.actor) == (said.at, ELLIOTT)
    assert entry.text == "the lock is @elliott's, see the run (https://ci.example.com/1) & #inc-c0inc"
    facts = entry.facts
    assert (facts["channel"], facts["ts"], facts["author"], facts["by"]) == (CHANNEL, said.ts, ELLIOTT, PARKER)
    assert (facts["how"], facts["thread_ts"], facts["files"]) == ("reaction", "", [])
    assert facts["permalink"].endswith(f"/archives/{CHANNEL}/p{said.ts.replace('.', '')}")
    verify(room.paper.journal.logs[room.paper.incident.id])


def test_a_reply_in_a_thread_is_captured_with_its_thread_and_its_files(room):
    root = room.say("what about staging?")
    log = SharedFile("apply.log", "The log", "text/plain", "https://files.example.com/1")
    reply = room.say("", author=QUINN, thread=root.ts, files=(log,))
    room.mark(reply)
    (entry,) = room.captured
    assert entry.text == "shared The log"
    assert entry.facts["thread_ts"] == root.ts
    assert f"thread_ts={root.ts}" in entry.facts["permalink"]
    assert entry.facts["files"] == [
        {"name": "apply.log", "title": "The log", "mimetype": "text/plain", "permalink": "https://files.example.com/1"}
    ]


def test_a_skin_tone_counts_as_the_reaction_itself(room):
    said = room.say("two hours old")
    room.mark(said, reaction="pushpin::skin-tone-2")
    assert len(room.captured) == 1


def test_a_post_of_a_bot_carries_the_bots_name(room):
    said = room.say("deploy failed", author="B0CI", bot="CI", by_person=False)
    room.mark(said)
    (entry,) = room.captured
    assert (entry.actor, entry.facts["bot"]) == ("B0CI", "CI")


def test_a_second_mark_adds_nothing(room):
    said = room.say("two hours old")
    room.mark(said, PARKER)
    before = len(room.entries())
    room.mark(said, QUINN)
    room.mark(said, QUINN, "round_pushpin")
    assert len(room.entries()) == before


def test_another_reaction_is_no_mark(room):
    said = room.say("two hours old")
    room.mark(said, reaction="eyes")
    assert not room.captured


def test_an_event_that_comes_twice_or_late_changes_nothing(room):
    said = room.say("two hours old")
    room.mark(said)
    room.happens(said, PARKER, MessageEvent.MARKED, event="Ev1")
    room.happens(said, PARKER, MessageEvent.UNMARKED)  # an old one: the mark is there again
    assert len(room.captured) == 1
    assert room.shown(said) is not None


def test_a_mark_opens_an_incident_where_none_is_open(room):
    room.paper.run(room.paper.journal.close(room.paper.incident.id, by=QUINN, at=room.paper.clock.now()))
    room.paper.pass_time(2 * 3600)
    said = room.say("it is back")
    room.mark(said)
    current = room.paper.run(room.paper.journal.current(CHANNEL))
    assert current.opened_by == PARKER
    assert [entry.kind for entry in room.paper.journal.logs[current.id]][-1] == Kind.MESSAGE_CAPTURED


def test_what_was_said_in_a_closed_incident_and_is_marked_the_next_day_comes_onto_its_timeline_and_is_exported(room):
    said, other = room.say("the job died"), room.say("the disk was full")
    room.paper.run(room.paper.journal.close(room.paper.incident.id, by=QUINN, at=room.paper.clock.now()))
    room.paper.pass_time(16 * 3600)

    room.mark(said)
    added = room.paper.run(capture.add(room.paper.ports, CHANNEL, other.ts, user=PARKER))

    assert added is Added.NEW
    assert room.paper.run(room.paper.journal.current(CHANNEL)) is None
    log = room.paper.journal.logs[room.paper.incident.id]
    assert [entry.text for entry in log if entry.kind == Kind.MESSAGE_CAPTURED] == ["the job died", "the disk was full"]
    assert len(room.entries(Kind.EXPORT_MADE)) == 1


def test_outside_an_incident_channel_a_mark_is_only_a_mark(room):
    room.paper.directory.add(PARKER, "parker", "C0LUNCH")
    channel = room.paper.directory.channels["C0LUNCH"]
    room.paper.directory.channels["C0LUNCH"] = replace(channel, name="lunch")
    room.mark(room.say("pizza", channel="C0LUNCH"))
    assert not room.captured
    assert not room.paper.messenger.whispers


def test_a_guest_marks_nothing_and_is_told_once(room):
    said, other = room.say("two hours old"), room.say("three hours old")
    room.mark(said, GUEST)
    room.mark(other, GUEST)
    assert not room.captured
    ((channel, user, notice),) = room.paper.messenger.whispers
    assert (channel, user) == (CHANNEL, GUEST)
    assert "Only full members" in notice.lines[0][0]
    room.mark(said, PARKER)
    assert room.captured[0].facts["by"] == PARKER


def test_a_member_of_another_workspace_marks_nothing_though_slack_calls_them_no_stranger(room):
    room.paper.directory.add("U0PARTNER", "sasha", CHANNEL)
    member = room.paper.directory.people["U0PARTNER"]
    room.paper.directory.people["U0PARTNER"] = replace(member, team_id="T0PARTNER")
    said = room.say("our side is fine", author="U0PARTNER")
    room.mark(said, "U0PARTNER")
    assert not room.captured
    room.mark(said, PARKER)
    assert (room.captured[0].actor, room.captured[0].facts["by"]) == ("U0PARTNER", PARKER)


def test_an_edit_while_the_message_is_being_captured_is_not_lost(room):
    said = room.say("two hours old")
    room.paper.messages.mark(said, PARKER)
    followed = []

    async def edited_meanwhile(name):
        if name == "permalink" and not followed:
            followed.append(await capture.is_followed(room.paper.ports, CHANNEL, said.ts))
            kept = room.paper.messages.kept[CHANNEL, said.ts]
            room.paper.messages.put(replace(kept, raw="three hours old"))
            args = (CHANNEL, said.ts, "", "changed", "EvEdit")
            await room.paper.jobs.start("capture", *args, key="event:EvEdit")

    room.paper.switchboard.fault = edited_meanwhile
    room.happens(said, PARKER, MessageEvent.MARKED)
    assert followed == [True]
    assert room.shown(said).entry.text == "three hours old"


def test_a_message_whose_incident_is_gone_is_forgotten(room):
    said = room.say("two hours old")
    room.mark(said)
    del room.paper.journal.kept[room.paper.incident.id]
    room.happens(said, "", MessageEvent.DELETED)
    assert room.paper.run(capture.find(room.paper.ports, CHANNEL, said.ts)) is None


def test_unmarking_hides_only_when_the_last_member_has_done_it(room):
    said = room.say("two hours old")
    room.mark(said, PARKER)
    room.mark(said, QUINN)
    room.unmark(said, PARKER)
    assert room.shown(said) is not None
    room.mark(said, GUEST)
    room.unmark(said, QUINN)
    assert room.shown(said) is None
    (change,) = room.changes(said)
    assert (change.kind, change.by, change.why) == (Kind.ENTRY_HIDDEN, QUINN, "the mark was taken off")


def test_a_new_mark_brings_back_what_an_unmark_hid(room):
    said = room.say("two hours old")
    room.mark(said, PARKER)
    room.unmark(said, PARKER)
    room.mark(said, QUINN)
    assert room.shown(said) is not None
    assert len(room.captured) == 1


def test_a_mark_does_not_bring_back_what_a_person_hid(room):
    said = room.say("my password, sorry")
    room.mark(said, PARKER)
    kept = room.paper.run(capture.find(room.paper.ports, CHANNEL, said.ts))
    room.paper.run(correct.mark(room.paper.ports, kept.incident, kept.entry, by=ELLIOTT, how=Marking.HIDE))
    room.mark(said, QUINN)
    assert room.shown(said) is None


# ── what becomes of them


def test_an_edit_follows_and_the_first_text_stays_in_the_log(room):
    said = room.say("two hours old")
    room.mark(said)
    room.paper.messages.put(replace(room.paper.messages.kept[CHANNEL, said.ts], raw="three hours old"))
    room.happens(said, "", MessageEvent.CHANGED)
    assert room.shown(said).entry.text == "three hours old"
    (change,) = room.changes(said)
    assert (change.by, change.why, change.was_text) == (ELLIOTT, "edited after capture", "two hours old")
    assert room.captured[0].text == "two hours old"


def test_a_change_that_changes_no_words_adds_nothing(room):
    said = room.say("see https://example.com")
    room.mark(said)
    before = len(room.entries())
    room.happens(said, "", MessageEvent.CHANGED)  # Slack shows a preview of the link now
    assert len(room.entries()) == before


@pytest.mark.parametrize("cause", [MessageEvent.DELETED, MessageEvent.CHANGED])
def test_a_deleted_message_is_hidden_also_where_slack_tells_of_a_change(room, cause):
    said = room.say("two hours old")
    room.mark(said)
    room.paper.messages.delete(said)
    room.happens(said, "", cause)
    assert room.shown(said) is None
    assert room.changes(said)[-1].why == "deleted after capture"


def test_what_was_never_captured_is_left_alone(room):
    said = room.say("two hours old")
    before = len(room.entries())
    for cause in (MessageEvent.CHANGED, MessageEvent.DELETED, MessageEvent.UNMARKED):
        room.happens(said, PARKER, cause)
    assert len(room.entries()) == before


def test_a_message_that_is_gone_before_we_look_is_not_captured(room):
    said = room.say("two hours old")
    room.paper.messages.mark(said, PARKER)
    room.paper.messages.delete(said)
    room.happens(said, PARKER, MessageEvent.MARKED)
    assert not room.captured


def test_a_channel_that_the_bot_was_taken_out_of_does_not_look_like_a_deletion(room):
    said = room.say("two hours old")
    room.mark(said)
    room.paper.messages.trouble = Unseen("Slack", Trouble.DENIED, "invite it", room.paper.clock.now())
    room.happens(said, PARKER, MessageEvent.UNMARKED)
    assert room.shown(said) is not None


def test_whoever_marks_what_cannot_be_read_is_told(room):
    room.paper.messages.trouble = Unseen("Slack", Trouble.DENIED, "invite it", room.paper.clock.now())
    room.mark(room.say("two hours old"))
    ((_, user, notice),) = room.paper.messenger.whispers
    assert (user, notice.headline) == (PARKER, "The marked message cannot be read")


def test_a_mark_is_not_lost_while_slack_or_redis_is_away(room):
    said = room.say("two hours old")
    tries = []

    async def away(name):
        if name in {"read message", f"append {Kind.MESSAGE_CAPTURED}"} and len(tries) < 4:
            tries.append(name)
            raise JournalAway("Redis cannot be reached")

    room.paper.switchboard.fault = away
    room.mark(said)
    assert len(tries) == 4
    assert len(room.captured) == 1


def test_a_late_edit_of_a_closed_incident_is_exported_again(room):
    said = room.say("two hours old")
    room.mark(said)
    room.paper.run(room.paper.journal.close(room.paper.incident.id, by=QUINN, at=room.paper.clock.now()))
    room.paper.messages.put(replace(room.paper.messages.kept[CHANNEL, said.ts], raw="three hours old"))
    ports, started = room.paper.ports, []

    async def listen(name):
        started.append(name)

    room.paper.switchboard.fault = listen
    room.paper.run(
        capture.follow(ports, CHANNEL, said.ts, user="", cause=MessageEvent.CHANGED, event="EvLate"),
    )
    assert [name for name in started if name in {"start export", "start reissue"}]
    assert room.shown(said).entry.text == "three hours old"


def test_the_incident_of_an_archived_channel_is_closed(room):
    room.paper.run(room.paper.jobs.start("archived", CHANNEL, key="event:EvArchive"))
    room.paper.pass_time(1)
    assert room.paper.run(room.paper.journal.current(CHANNEL)) is None


# ── by the shortcut


def test_the_shortcut_adds_a_message_that_no_unmark_hides(room):
    said = room.say("two hours old")
    assert room.paper.run(capture.add(room.paper.ports, CHANNEL, said.ts, user=PARKER)) is Added.NEW
    assert room.captured[0].facts["how"] == "shortcut"
    assert room.paper.run(capture.add(room.paper.ports, CHANNEL, said.ts, user=QUINN)) is Added.THERE
    room.mark(said, QUINN)
    room.unmark(said, QUINN)
    assert room.shown(said) is not None


def test_the_shortcut_brings_back_what_was_unmarked(room):
    said = room.say("two hours old")
    room.mark(said)
    room.unmark(said)
    assert room.paper.run(capture.add(room.paper.ports, CHANNEL, said.ts, user=QUINN)) is Added.RESTORED
    assert room.shown(said) is not None


def test_the_shortcut_on_a_message_that_is_gone_says_so(room):
    said = room.say("two hours old")
    room.paper.messages.delete(said)
    with pytest.raises(NotPermitted, match="That message is gone"):
        room.paper.run(capture.add(room.paper.ports, CHANNEL, said.ts, user=PARKER))
    assert not room.captured


# ── what was said before


def test_a_backfill_takes_what_people_said_since_the_incident_opened_with_the_threads(room):
    root = room.say("staging is locked")
    room.say("who is elliott?", author=QUINN, thread=root.ts)
    room.say("deploy failed", author="B0CI", bot="CI", by_person=False)
    marked = room.say("the job died")
    room.mark(marked)
    room.backfill()
    assert [entry.text for entry in room.captured] == ["the job died", "staging is locked", "who is elliott?"]
    assert {entry.facts["how"] for entry in room.captured[1:]} == {"backfill"}
    assert room.last_notice.headline == "2 messages were put on the timeline"
    assert room.last_notice.lines[1] == ("2 taken, 1 there already, 1 left out (bots, joins).",)


def test_a_backfill_takes_the_marked_ones_alone_if_asked_to(room):
    room.say("staging is locked")
    marked = room.say("the job died")
    room.paper.messages.mark(marked, QUINN)
    room.backfill(marked=True)
    assert [entry.text for entry in room.captured] == ["the job died"]
    room.unmark(marked, QUINN)
    assert room.shown(marked) is None


def test_a_backfill_reaches_no_further_back_than_asked(room):
    room.say("yesterday's lunch")
    room.paper.pass_time(3600)
    room.say("staging is locked")
    room.backfill(since=600)
    assert [entry.text for entry in room.captured] == ["staging is locked"]


def test_after_the_closing_a_backfill_takes_what_was_said_in_the_incident_and_nothing_of_later_days(room):
    room.say("staging is locked")
    room.paper.run(room.paper.journal.close(room.paper.incident.id, by=QUINN, at=room.paper.clock.now()))
    room.paper.pass_time(16 * 3600)
    room.say("what a night")

    room.backfill()

    assert [entry.text for entry in room.captured] == ["staging is locked"]
    assert room.paper.run(room.paper.journal.current(CHANNEL)) is None
    assert list(room.paper.journal.logs) == [room.paper.incident.id]


def test_a_second_backfill_takes_nothing_twice(room):
    room.say("staging is locked")
    room.backfill()
    before = len(room.captured)
    room.backfill()
    assert len(room.captured) == before
    assert room.last_notice.headline == "No message was put on the timeline"


@pytest.mark.parametrize("moment", ["append message.captured", "appended message.captured", "put captured"])
def test_a_backfill_of_many_pages_goes_on_after_its_worker_died(room, moment):
    room.paper.messages.page = 15
    for number in range(40):
        room.say(f"message {number}")
    seen = []

    async def dies(name):
        seen.append(name)
        if name == moment and seen.count(moment) == 20:
            room.paper.switchboard.dead.add(WORKER.get())
            raise Killed(WORKER.get())

    room.paper.switchboard.fault = dies
    room.backfill(seconds=120)
    assert sorted(int(entry.text.split()[1]) for entry in room.captured) == list(range(40))
    assert room.last_notice.headline.endswith("on the timeline")
    verify(room.paper.journal.logs[room.paper.incident.id])


def test_a_backfill_has_a_limit_and_says_what_was_left_out(room):
    room.paper.pass_time(5)
    for number in range(backfill.MOST_MESSAGES + 20):
        room.paper.messages.say(CHANNEL, ELLIOTT, f"message {number}")
    room.backfill()
    assert len(room.captured) == backfill.MOST_MESSAGES
    assert any("the most at a time" in line[0] for line in room.last_notice.lines)
    room.backfill()
    assert len(room.captured) == backfill.MOST_MESSAGES + 20


def test_a_backfill_waits_as_long_as_slack_asks_and_says_until_when(room):
    room.say("staging is locked")
    now = room.paper.clock.now()
    room.paper.messages.trouble = Unseen("Slack", Trouble.THROTTLED, "patience", now, retry_after=60.0)
    room.backfill(seconds=30)
    assert not room.captured
    assert room.last_notice.lines[-1][0].startswith("Slack asks for patience")
    room.paper.messages.trouble = None
    room.paper.pass_time(60)
    assert len(room.captured) == 1


def test_a_backfill_that_slack_never_lets_go_on_ends_after_its_time(room):
    room.say("staging is locked")
    room.paper.messages.trouble = Unseen("Slack", Trouble.THROTTLED, "patience", room.paper.clock.now(), 60.0)
    room.backfill(seconds=40 * 60)
    assert any("the time is up" in line[0] for line in room.last_notice.lines)
    assert not room.paper.jobs.waiting


def test_a_backfill_without_the_scope_says_what_is_missing(room):
    detail = "the app lacks the scope channels:history"
    room.paper.messages.trouble = Unseen("Slack", Trouble.DENIED, detail, room.paper.clock.now())
    room.backfill()
    assert any(getattr(part, "text", "") == detail for line in room.last_notice.lines for part in line)
