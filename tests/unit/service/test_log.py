import io
import json

import pytest

from shared.service.log import Availability, make_logger
from shared.transport.radio import NOT_YET


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_journal_gets_one_json_object_a_line() -> None:
    stream = io.StringIO()
    make_logger(stream).bind(agent="rsu").info("ready", neighbours=3)
    (line,) = lines(stream)
    assert {k: line[k] for k in ("event", "level", "agent", "neighbours")} == {
        "event": "ready",
        "level": "info",
        "agent": "rsu",
        "neighbours": 3,
    }
    assert str(line["timestamp"]).endswith("Z")


def test_a_person_gets_text() -> None:
    stream = Terminal()
    make_logger(stream).info("ready", neighbours=3)
    assert "ready" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    log = make_logger(stream, level="warning")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize("as_json", [True, False])
def test_the_form_can_be_chosen(as_json: bool) -> None:  # noqa: FBT001
    stream = io.StringIO()
    make_logger(stream, as_json=as_json).error("broken")
    assert stream.getvalue().startswith("{") is as_json


def test_two_loggers_do_not_share_anything() -> None:
    first, second = io.StringIO(), io.StringIO()
    make_logger(first).bind(agent="a").info("one")
    make_logger(second).info("two")
    assert "agent" not in lines(second)[0]
    assert len(lines(first)) == len(lines(second)) == 1


def test_unavailability_is_logged_once_and_recovery_once() -> None:
    stream = io.StringIO()
    can0 = Availability(make_logger(stream), "can0")
    can0.works()
    for _ in range(5):
        can0.lost("network is down")
    down = can0.is_available
    can0.works()
    can0.works()
    assert (down, can0.is_available) == (False, True)
    assert [(line["event"], line["what"]) for line in lines(stream)] == [("unavailable", "can0"), ("recovered", "can0")]
    assert lines(stream)[0]["reason"] == "network is down"
    assert lines(stream)[1]["failures"] == 5


def test_what_was_not_tried_yet_is_no_failure_until_it_fails() -> None:
    stream = io.StringIO()
    broker = Availability(make_logger(stream), "radio mqtt")
    broker.lost(NOT_YET)
    broker.lost(NOT_YET)
    assert broker.is_available
    broker.lost("nobody answers there")
    broker.works()
    broker.lost(NOT_YET)
    broker.works()
    broker.works()
    assert [(line["level"], line["event"]) for line in lines(stream)] == [
        ("info", "awaited"),
        ("warning", "unavailable"),
        ("info", "recovered"),
        ("info", "awaited"),
        ("info", "available"),
    ]
