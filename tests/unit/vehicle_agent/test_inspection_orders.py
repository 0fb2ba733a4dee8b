"""An inspector's challenge is answered once, with a reading of the moment, and not without end."""

from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError, StorageError
from shared.records.challenge import Answer, challenge_text, check_answer
from shared.records.exchange import parse_issued
from shared.records.issuers import Issuer, IssuerRole
from shared.records.odometer import RecordReason, nonce_of
from shared.records.record import DisclosedRecord, verify_record
from shared.records.sd_jwt import Es256PublicKey
from shared.security.certificate import decode_certificate
from shared.service.qr_code import qr_file
from simulator.ecu import SimulatedEcu
from tests.unit.vehicle_agent.agent_bench import DBC, Bench
from vehicle_agent.inspection_orders import (
    ANSWERS_NS,
    MAX_ANSWERS,
    SHOWN,
    InspectionDesk,
    given_answers,
    inspected_json,
    read_inspection_order,
)
from vehicle_agent.mileage import NoReadingError

NONCE = bytes(range(16))
TEXT = challenge_text(NONCE)


def desk_of(bench: Bench) -> InspectionDesk:
    """A desk as it is after a start of the agent."""
    return InspectionDesk(bench.agent, partial(given_answers, bench.spool))


def verified(told: dict[str, Any]) -> DisclosedRecord:
    """What an inspector makes of the file."""
    issued = parse_issued(told["record"].encode())
    key = Es256PublicKey(decode_certificate(issued.credential.certificate).public_key().sec1)
    return verify_record(issued.token, Issuer(key=key, role=IssuerRole.VEHICLE))


def test_a_challenge_is_answered_with_the_reading_of_the_moment(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=20.0)
        bench.run(3.0)
        desk = desk_of(bench)
        bench.clock.advance(NS_PER_S // 2)
        inspected = desk.answer(TEXT.lower(), bench.clock.now())
        assert [notice.kind for notice in inspected.notices][-1] == "odometer_recorded"
        told = inspected_json(inspected.signed)
        record = verified(told)
        assert (record.reason, record.nonce, record.odometer_m) == (RecordReason.INSPECTION, NONCE, told["odometer_m"])
        assert record.odometer_m == pytest.approx(bench.sample.odometer_m, abs=30)
        assert set(record.hidden) == {"boot"}
        assert set(SHOWN) <= {*record.fields, "occurred"}
        utc = bench.clock.now().require_utc()
        (source, *_) = record.sources
        answer = Answer(
            seq=record.seq,
            nonce=record.nonce,
            is_own=True,
            odometer_m=record.odometer_m,
            occurred=record.occurred,
            reading_age_ms=source.age_ms,
        )
        answered = check_answer((answer,), NONCE, utc)
        assert answered.is_fresh
        assert 0 <= (answered.age_ns or 0) <= 3 * NS_PER_S
        assert qr_file(str(told["record"]), ".svg", "--qr").lstrip().startswith(b"<?xml"), "it fits one code"


def test_a_challenge_is_answered_once(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        desk = desk_of(bench)
        desk.answer(TEXT, bench.clock.now())
        recorded = bench.spool.head()
        with pytest.raises(RecordError, match="it was answered before: draw a fresh one"):
            desk.answer(TEXT.replace("-", ""), bench.clock.now())
        assert bench.spool.head() == recorded


def test_only_so_many_are_answered_in_an_hour(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        desk, draw = desk_of(bench), Random(1)
        for _ in range(MAX_ANSWERS):
            desk.answer(challenge_text(draw.randbytes(16)), bench.clock.now())
        bench.clock.advance(60 * NS_PER_S)
        late = challenge_text(draw.randbytes(16))
        with pytest.raises(RecordError, match=rf"{MAX_ANSWERS} were answered within the hour; the next one in 3540 s"):
            desk.answer(late, bench.clock.now())
        bench.clock.advance(ANSWERS_NS)
        bench.ecu = SimulatedEcu(DBC, channel="can0", start=bench.clock.now().monotonic)  # the car has driven on meanwhile
        bench.run(1.0)
        assert nonce_of(desk.answer(late, bench.clock.now()).signed.record.fields) is not None


def test_a_challenge_answered_before_a_restart_is_refused_after_it(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        desk_of(bench).answer(TEXT, bench.clock.now())
    with Bench(tmp_path, utc=None, seed=2) as bench:
        bench.run(3.0)
        recorded, desk = bench.spool.head(), desk_of(bench)
        with pytest.raises(RecordError, match="it was answered before: draw a fresh one"):
            desk.answer(TEXT, bench.clock.now())
        assert bench.spool.head() == recorded
        desk.answer(challenge_text(bytes(16)), bench.clock.now())


def test_only_so_many_are_answered_in_an_hour_whatever_restarts_in_it(tmp_path: Path) -> None:
    draw = Random(2)
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        for _ in range(MAX_ANSWERS - 1):
            desk_of(bench).answer(challenge_text(draw.randbytes(16)), bench.clock.now())
        stopped = bench.clock.now().require_utc()
    with Bench(tmp_path, utc=UtcNs(stopped + 600 * NS_PER_S), seed=2) as bench:
        bench.run(3.0)
        desk = desk_of(bench)
        desk.answer(challenge_text(draw.randbytes(16)), bench.clock.now())
        with pytest.raises(RecordError, match=rf"{MAX_ANSWERS} were answered within the hour; the next one in 299\d s"):
            desk.answer(challenge_text(draw.randbytes(16)), bench.clock.now())
        with pytest.raises(RecordError, match="within the hour"):
            desk_of(bench).answer(challenge_text(draw.randbytes(16)), bench.clock.now())
    with Bench(tmp_path, utc=UtcNs(stopped + ANSWERS_NS), seed=3) as bench:
        bench.run(3.0)
        desk_of(bench).answer(challenge_text(draw.randbytes(16)), bench.clock.now())


def test_no_challenge_is_answered_while_those_before_cannot_be_read(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        desk_of(bench).answer(TEXT, bench.clock.now())
        recorded, desk, now = bench.spool.head(), desk_of(bench), bench.clock.now()
        bench.spool.close()
        with pytest.raises(StorageError):
            desk.answer(challenge_text(bytes(16)), now)
    with Bench(tmp_path) as bench:
        assert bench.spool.head() == recorded


def test_without_a_reading_nothing_is_recorded_and_the_challenge_may_come_again(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        desk = desk_of(bench)
        for _ in range(MAX_ANSWERS + 1):
            with pytest.raises(NoReadingError):
                desk.answer(TEXT, bench.clock.now())
        assert bench.spool.head() is None
        bench.run(3.0)
        desk.answer(TEXT, bench.clock.now())


@pytest.mark.parametrize("text", ["", "V2X1", TEXT[:-1], TEXT[:-1] + ("0" if TEXT[-1] != "0" else "1"), "x" * 100_000])
def test_what_is_no_challenge_makes_no_record(tmp_path: Path, text: str) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        before, now = bench.spool.head(), bench.clock.now()
        with pytest.raises(DecodeError, match="challenge"):
            desk_of(bench).answer(text, now)
        assert bench.spool.head() == before


@pytest.mark.parametrize(
    "order", [{}, {"order": "inspect"}, {"order": "inspect", "challenge": 7}, {"order": "inspect", "challenge": "x", "y": 1}]
)
def test_an_order_of_another_form_is_refused(order: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="order"):
        read_inspection_order(order)
    assert read_inspection_order({"order": "inspect", "challenge": TEXT}).challenge == TEXT
