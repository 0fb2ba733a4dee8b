"""Notices as JSON lines: one each, flushed as they come, and a reader that goes away harms nobody."""

import io
import json
import os
from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ConfigError
from shared.service.notices import NoticeWriter, open_notices
from shared.stack.effects import Notice
from tests.helpers.hierarchy import NOON

NOW = ManualClock(NOON).now()
NOTICE = Notice("odometer_recorded", {"seq": 3, "odometer_m": 25_088_064, "flags": ["rollback"]})


def test_a_notice_is_one_line_of_json_with_its_kind_and_date() -> None:
    stream = io.StringIO()
    writer = NoticeWriter(stream)
    writer.write(NOTICE, NOW)
    writer.write(Notice("hazard_ahead", {"distance_m": 12.5, "text": "line\nbreak"}), NOW)
    first, second = stream.getvalue().splitlines()
    assert json.loads(first) == {
        "kind": "odometer_recorded",
        "utc": "2026-11-22T12:00:00.000Z",
        "seq": 3,
        "odometer_m": 25_088_064,
        "flags": ["rollback"],
    }
    assert json.loads(second)["text"] == "line\nbreak"
    assert writer.unwritten == 0


def test_a_notice_without_a_date_says_so() -> None:
    stream = io.StringIO()
    NoticeWriter(stream).write(NOTICE, ManualClock(None).now())
    assert json.loads(stream.getvalue())["utc"] is None


def test_who_follows_hears_every_notice_even_when_nobody_reads_the_stream() -> None:
    stream, heard = io.StringIO(), []
    writer = NoticeWriter(stream)
    writer.write(NOTICE, NOW)
    writer.follow(lambda notice, now: heard.append((notice, now)))
    writer.write(NOTICE, NOW)
    stream.close()
    writer.write(NOTICE, NOW)
    assert heard == [(NOTICE, NOW)] * 2
    assert writer.unwritten == 1


def test_a_notice_is_readable_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    with open_notices(path) as writer:
        writer.write(NOTICE, NOW)
        assert json.loads(path.read_text())["seq"] == 3


def test_a_file_of_notices_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    for _ in range(2):
        with open_notices(path) as writer:
            writer.write(NOTICE, NOW)
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("path", [None, Path("-")])
def test_without_a_file_notices_go_to_standard_output(path: Path | None, capsys: pytest.CaptureFixture[str]) -> None:
    with open_notices(path) as writer:
        writer.write(NOTICE, NOW)
    assert json.loads(capsys.readouterr().out)["kind"] == "odometer_recorded"


def test_a_file_that_cannot_be_written_is_the_operator_s_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="notices"), open_notices(tmp_path / "absent" / "notices.jsonl"):
        pass


def test_a_reader_that_went_away_is_counted_and_nothing_else() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w", buffering=1) as stream:
        writer = NoticeWriter(stream)
        for _ in range(3):
            writer.write(NOTICE, NOW)
        assert writer.unwritten == 3
        os.dup2(os.open(os.devnull, os.O_WRONLY), write_end)


def test_a_closed_stream_is_counted() -> None:
    stream = io.StringIO()
    stream.close()
    writer = NoticeWriter(stream)
    writer.write(NOTICE, NOW)
    assert writer.unwritten == 1
