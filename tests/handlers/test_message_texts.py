"""The words of a message that a shortcut is used on, wherever its author put them."""

import pytest

from handlers.asker import asker_of_shortcut, text_of_message


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"text": "Error: a"}, "Error: a"),
        ({"text": "", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Error: b"}}]}, "Error: b"),
        ({"text": "", "attachments": [{"title": "Failed", "text": "Error: c"}]}, "\nFailed\nError: c"),
        (
            {
                "blocks": [
                    {"elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "Error: d"}]}]}
                ]
            },
            "Error: d",
        ),
        ({"text": "seen", "attachments": [{"fields": [{"title": "Log", "value": "Error: e"}]}]}, "seen\nLog\nError: e"),
        ({"text": None, "blocks": None, "attachments": None}, ""),
        ({}, ""),
    ],
)
def test_all_words_of_a_message_are_read(message, text):
    assert text_of_message({"message": message}) == text


def test_a_shortcut_is_answered_to_whoever_used_it_where_it_was_used():
    body = {
        "user": {"id": "U0QUINN"},
        "channel": {"id": "C0STAGING"},
        "message": {"thread_ts": "1.2"},
        "response_url": "https://hooks.example.com/1",
        "action_ts": "3.4",
    }
    asker = asker_of_shortcut(body)

    assert (asker.user, asker.channel, asker.thread) == ("U0QUINN", "C0STAGING", "1.2")
    assert asker.response_url == "https://hooks.example.com/1"
    assert asker.delivery == "shortcut/U0QUINN/3.4"
