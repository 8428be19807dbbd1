"""Whatever Terraform prints, whatever put a prefix before it and whatever carried it, it is told as what it is."""

from __future__ import annotations

import re
from itertools import cycle, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.explain.decode import text_of
from bot.core.explain.explain import document_of, explain
from bot.core.explain.kinds import ErrorKind
from tests.worlds import terraform_says as model

STATES = {"acme-tfstate/environments/staging/terraform.tfstate": "staging"}
NAMES = [f"{number} {message.kind}" for number, message in enumerate(model.MESSAGES)]


def told(message, raw):
    """The answer, reduced to what the message says: its kind and its lock."""
    answer = document_of(explain(text_of(raw), STATES))
    lock = answer["lock"]
    shown = None if lock is None else (lock["id"], lock["path"], lock["operation"], lock["who"], lock["version"])
    return answer["kind"], shown


def expected(message):
    lock = message.lock
    return message.kind, None if lock is None else (lock.id, lock.path, lock.operation, lock.who, lock.version)


@pytest.mark.parametrize("printed", model.PRINTS)
@pytest.mark.parametrize("message", model.MESSAGES, ids=NAMES)
def test_each_message_is_told_as_what_it_is(message, printed):
    assert told(message, printed(message).encode()) == expected(message)


@pytest.mark.parametrize("prefix", model.PREFIXES)
def test_behind_each_prefix_and_in_each_carrier_it_is_the_same(prefix):
    some = cycle(range(0, len(model.MESSAGES), 7))
    for (carrier, carried), printed in product(model.CARRIERS.items(), model.PRINTS):
        message = model.MESSAGES[next(some)]
        raw = carried(model.PREFIXES[prefix](printed(message)))
        assert told(message, raw) == expected(message), (carrier, printed.__name__, message.summary)


@pytest.mark.parametrize("message", model.MESSAGES, ids=NAMES)
def test_in_colours_and_in_a_json_text_within_another_one_it_is_the_same(message):
    assert told(message, model.CARRIERS["json in json"](model.print_coloured(message))) == expected(message)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(model.MESSAGES),
    st.sampled_from(model.PRINTS),
    st.sampled_from(sorted(model.PREFIXES)),
    st.sampled_from(sorted(set(model.CARRIERS) - {"python bytes"})),
    st.sampled_from(model.BEFORE),
    st.sampled_from(model.AFTER),
)
def test_what_stands_around_it_changes_nothing(message, printed, prefix, carrier, before, after):
    text = model.PREFIXES[prefix](before + printed(message) + after)
    assert told(message, model.CARRIERS[carrier](text)) == expected(message)


@pytest.mark.parametrize("stored", [model.as_item, model.as_metadata])
@pytest.mark.parametrize("prefix", ["none", "github", "quoted"])
def test_lock_info_out_of_the_store_is_a_held_lock(stored, prefix):
    message = model.Message("held lock", "", lock=model.Lock())
    assert told(message, model.PREFIXES[prefix](stored(model.Lock())).encode()) == expected(message)


@given(st.permutations(range(4)))
def test_what_endangers_the_state_is_told_first_in_whatever_order_it_was_printed(order):
    kinds = ["state not saved", "digest mismatch", "release failed", "held lock"]
    messages = [next(message for message in model.MESSAGES if message.kind == kind) for kind in kinds]
    for dropped in range(4):
        text = "\n".join(model.print_plain(messages[number]) for number in order if number >= dropped)
        answer = document_of(explain(text, STATES))
        assert answer["kind"] == kinds[dropped]
        assert all(kind in answer["summary"] for kind in kinds[dropped + 1 :])


UNSAFE = re.compile(r"-lock=false|force-unlock|-force\b|apply again|apply it again", re.IGNORECASE)


def test_no_kind_advises_what_could_harm_a_state_and_each_of_them_is_reached():
    answers = [document_of(explain(model.print_plain(message), STATES)) for message in model.MESSAGES]
    orphan = "EOF on the first try\n" + model.print_plain(model.MESSAGES[0])
    answers.append(
        document_of(
            explain(orphan.replace("operation error", "read: connection reset by peer; operation error"), STATES)
        )
    )

    assert {answer["kind"] for answer in answers} == set(ErrorKind)
    for answer in answers:
        assert not [step for step in answer["do"] if UNSAFE.search(step)], answer["kind"]
        assert all(step.startswith("Don't ") for step in answer["dont"])
        assert answer["dont"]
        if answer["kind"] == ErrorKind.NOT_SAVED:
            assert not any("apply" in step for step in answer["do"])
            assert any("Don't apply again" in step for step in answer["dont"])
