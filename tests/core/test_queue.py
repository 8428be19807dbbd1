"""The queue of those who wait: whatever happens in whatever order, it is fair, and nobody hears twice or is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.reports import waiting
from bot.core.reports.waiting import MOST_CALLS, Ending, Queue, Waiter

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WAIT = timedelta(minutes=60)
PEOPLE = st.sampled_from("abcd")
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), PEOPLE),
        st.tuples(st.just("leave"), PEOPLE),
        st.tuples(st.just("lock"), st.sampled_from(["a", "b", "", ""])),
        st.tuples(st.sampled_from(["free", "free", "stale"]), st.just("")),
        st.tuples(st.sampled_from(["tell", "tell", "tell and die", "fail"]), st.just("")),
        st.tuples(st.just("tick"), st.integers(1, 900)),
    ),
    max_size=60,
)


class Course:
    """Plays events, and remembers what each person really heard."""

    def __init__(self, head_start: timedelta) -> None:
        self.head_start = head_start
        self.queue, self.now, self.tickets = Queue(), NOON, 0
        self.heard: list[tuple[str, int]] = []
        self.joined: list[str] = []

    def play(self, event: str, what: object) -> None:
        self.now += timedelta(seconds=1)
        {
            "join": self.join,
            "leave": lambda user: self.step(waiting.left(self.queue, user, Ending.STOPPED, self.now)),
            "lock": lambda taker: self.look(is_free=False, taker=taker or None),
            "free": lambda _: self.look(is_free=True, taker=None),
            "stale": lambda _: self.look_late(),
            "tell": lambda _: self.tell(),
            "tell and die": lambda _: self.tell(dies=True),
            "fail": lambda _: self.tell(fails=True),
            "tick": self.tick,
        }[event](what)
        self.check()

    def step(self, queue: Queue) -> None:
        self.queue = queue

    def join(self, user: str) -> None:
        self.tickets += 1
        ticket = f"{self.tickets:03}"
        known = self.queue.of(user)
        self.step(waiting.joined(self.queue, Waiter(ticket, user, "C1", self.now, self.now + WAIT)))
        if known is None:
            self.joined.append(ticket)

    def look(self, *, is_free: bool, taker: str | None) -> None:
        self.step(waiting.seen(self.queue, is_free=is_free, at=self.now, taker=taker, head_start=self.head_start))

    def look_late(self) -> None:
        """An answer that was on its way for long, and says the opposite of what is known."""
        before = self.queue
        if before.seen_at is not None:
            at, is_free = before.seen_at - timedelta(seconds=1), before.free_since is None
            assert waiting.seen(before, is_free=is_free, at=at, taker=None, head_start=self.head_start) == before

    def tick(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.step(waiting.aged(self.queue, self.now, self.head_start))

    def tell(self, *, dies: bool = False, fails: bool = False) -> None:
        """What a worker does in its turn: settles what a dead one began, else writes down, says, writes down."""
        self.step(waiting.aged(self.queue, self.now, self.head_start))
        turn = waiting.next_to_tell(self.queue)
        if turn is None:
            return
        if turn.telling:
            if (turn.ticket, turn.telling) in self.heard:
                self.step(waiting.told(self.queue, turn.ticket, self.now))
                return
            if self.queue.free_since is None or turn.telling != self.queue.period:
                self.step(waiting.not_told(self.queue, turn.ticket))
                return
        else:
            self.step(waiting.telling(self.queue, turn.ticket, self.now))
        if fails:
            return
        self.say(turn)
        if not dies:
            self.step(waiting.told(self.queue, turn.ticket, self.now))

    def say(self, turn: Waiter) -> None:
        assert self.queue.free_since is not None
        assert (turn.ticket, self.queue.period) not in self.heard, "told twice while it stayed free"
        earlier = [one for one in self.queue.waiters if one.ticket < turn.ticket]
        assert all((one.ticket, self.queue.period) in self.heard for one in earlier), "told before their turn"
        assert not self.head_start or not earlier, "told while another has a head start"
        self.heard.append((turn.ticket, self.queue.period))

    def check(self) -> None:
        tickets = [one.ticket for one in self.queue.waiters]
        assert tickets == sorted(tickets), "the order of arrival is kept"
        assert len({one.user for one in self.queue.waiters}) == len(tickets)
        gone = [departure.waiter.ticket for departure in self.queue.departures]
        assert sorted([*tickets, *gone]) == self.joined, "nobody is lost, nobody leaves twice"
        for departure in self.queue.departures:
            if departure.ending is Ending.TOLD:
                assert any(ticket == departure.waiter.ticket for ticket, _ in self.heard)
            if departure.ending is Ending.EXPIRED:
                assert departure.at >= departure.waiter.until
        assert all(one.calls <= MOST_CALLS for one in self.queue.waiters)


@given(events=EVENTS, head_start=st.sampled_from([timedelta(0), timedelta(minutes=5)]))
@settings(max_examples=300, deadline=None)
def test_in_any_course_of_events_the_order_is_kept_nobody_hears_twice_and_nobody_is_lost(events, head_start):
    course = Course(head_start)

    for event, what in events:
        course.play(event, what)


@given(events=EVENTS, head_start=st.sampled_from([timedelta(0), timedelta(minutes=5)]))
@settings(max_examples=150, deadline=None)
def test_after_any_course_of_events_a_state_that_stays_free_is_told_to_everybody(events, head_start):
    course = Course(head_start)
    for event, what in events:
        course.play(event, what)
    waiting = [one.ticket for one in course.queue.waiters]

    course.play("free", "")
    for _ in range(3 * len(waiting) + 1):
        course.play("tell", "")
        course.play("tick", 300)

    assert course.queue.waiters == ()
    period = course.queue.period
    heard_now = [ticket for ticket, of in course.heard if of == period]
    expired = {gone.waiter.ticket for gone in course.queue.departures if gone.ending is Ending.EXPIRED}
    spent = {ticket for ticket in waiting if [one for one, _ in course.heard].count(ticket) >= MOST_CALLS}
    assert set(waiting) <= set(heard_now) | expired | spent


def test_a_queue_tells_each_ones_place_and_when_it_changes_by_itself():
    queue = waiting.joined(Queue(), Waiter("001", "a", "C1", NOON, NOON + WAIT))

    assert (queue.place("a"), queue.place("b")) == (1, None)
    assert waiting.next_at(queue, timedelta(minutes=5)) == NOON + WAIT
    assert waiting.next_at(Queue(), timedelta(minutes=5)) is None
