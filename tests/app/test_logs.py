"""What is in the log: short plain fields; no words of people, no whole objects, no secrets."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import timedelta

import pytest
import stamina
import structlog
from slack_bolt.logger import messages

from bot.app import logs
from bot.errors import Unreachable

TYPED = "the intern unplugged it"


@pytest.fixture(params=["json", "console"])
def form(request):
    return request.param


@pytest.fixture
def logged(form, capsys):
    """Sets logging up as a process does, and gives what has been written since then. To be called in the test itself,
    since pytest gives each of its phases another `sys.stderr`.
    """

    def set_up():
        logs.set_up(form=form, level="info")
        return lambda: capsys.readouterr().err

    return set_up


@dataclass
class Request:
    reason: str = TYPED
    padding: str = "x" * 100_000


def broken(request):
    raise ValueError(f"cannot read {request}")


def raised(error, cause=None):
    raise error from cause


def test_a_trace_names_errors_and_places_and_none_of_what_they_say(logged):
    written = logged()
    try:
        broken(Request())
    except ValueError as error:
        try:
            raised(KeyError(TYPED), error)
        except KeyError:
            structlog.get_logger().exception("job.broke", job="release")

    said = written()
    assert "ValueError at" in said
    assert "in broken" in said
    assert "KeyError at" in said
    assert TYPED not in said
    assert len(said) < 2_000


def test_what_another_system_said_is_told_and_cut(logged):
    written = logged()
    try:
        raised(Unreachable("GitHub", "HTTP 502 " + "y" * 10_000))
    except Unreachable:
        structlog.get_logger().exception("job.broke")

    said = written()
    assert "GitHub: HTTP 502" in said
    assert len(said) < 1_000


def test_no_field_is_a_whole_object_or_long(logged):
    written = logged()
    structlog.get_logger().info(
        "x", request=Request(), many=[Request()] * 99, long="z" * 10_000, took=timedelta(1), n=3
    )

    said = written()
    assert TYPED not in said
    assert "Request" in said
    assert "1 day" in said
    assert len(said) < 1_500


def test_a_try_that_is_made_again_is_one_short_line_without_its_arguments(logged):
    written = logged()
    tries = []

    @stamina.retry(on=ValueError, attempts=25, wait_initial=0, wait_max=0, wait_jitter=0)
    def work(request, *, because):
        tries.append(request)
        raise ValueError(f"{request} {because}")

    with pytest.raises(ValueError, match="intern"):
        work(Request(), because=TYPED)

    said = written()
    assert len(tries) == 25
    assert said.count("retry.scheduled") == 24
    assert TYPED not in said
    assert len(said) < 24 * 400


def test_a_library_that_logs_an_error_with_its_words_is_cut_to_its_type(logged):
    written = logged()
    try:
        broken(Request())
    except ValueError:
        logging.getLogger("some.library").exception("it broke: %s", "w" * 10_000)

    said = written()
    assert "ValueError at" in said
    assert TYPED not in said
    assert len(said) < 1_500


def test_pydockets_own_line_about_a_failed_job_is_left_out(logged):
    written = logged()
    try:
        broken(Request())
    except ValueError:
        logging.getLogger("docket.dependencies").exception("↩ [%s] %s", "1ms", f"step(...){{step:{TYPED}}}")
    logging.getLogger("docket.worker").warning("the connection was lost")

    said = written()
    assert TYPED not in said
    assert "the connection was lost" in said


def test_what_bolt_warns_of_at_every_start_is_left_out(logged):
    written = logged()
    logger = logging.getLogger("slack_bolt.AsyncApp")
    logger.setLevel(logging.NOTSET)  # Bolt has set it to the root's of then where another test made an app
    logger.warning(messages.warning_client_prioritized_and_token_skipped())
    logger.warning(messages.warning_token_skipped())
    logger.warning("something else")

    assert written() == "WARNING slack_bolt.AsyncApp something else\n"


def test_a_secret_is_nowhere(logged):
    written = logged()
    token = "ghp_" + "a1B2" * 9
    structlog.get_logger().info("x", url=f"https://x/{token}", parts={"k": [token]})

    assert token not in written()


@pytest.mark.parametrize("form", ["json"])
def test_as_json_each_event_is_one_line(logged):
    written = logged()
    try:
        broken(Request())
    except ValueError:
        structlog.get_logger().exception("job.broke", job="release")

    (line,) = written().splitlines()
    assert json.loads(line)["event"] == "job.broke"
