"""Odometer evidence from the bus to the ledger: when a reading becomes a record, and that none is lost on the way."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from shared.cli.passport import verify_with_trust
from shared.core.clock import NS_PER_S
from shared.core.errors import ProofError
from shared.records.issuers import Issuer, IssuerRole
from shared.records.odometer import OdometerSource
from shared.records.passport import verify_passport
from shared.records.record import read_record
from shared.records.recorder import Recorder
from shared.records.sd_jwt import Es256PublicKey, parse_sd_jwt
from shared.security.certificate import decode_certificate
from shared.service.record_key import signing_next
from tests.helpers.faulty_sqlite import Faults
from tests.helpers.ledger import policy_of
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, ODOMETER_M, Bench, enrolled
from vehicle_agent.composition import make_agent, make_passport
from vehicle_agent.vehicle_state import SignalUpdate


def test_a_drive_is_recorded_at_ignition_on_by_distance_and_at_ignition_off_and_every_record_is_anchored(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=50.0)
        bench.run(45.0)
        bench.set(ignition_on=False, speed_mps=0.0)
        bench.run(5.0)
        recorded = bench.notices("odometer_recorded")
        assert [n["reason"] for n in recorded] == ["ignition_on", "distance", "distance", "ignition_off"]
        readings = [n["odometer_m"] for n in recorded]
        assert [n["seq"] for n in recorded] == [0, 1, 2, 3]
        assert all(1_000 <= b - a <= 1_050 for a, b in pairwise(readings[:-1]))
        assert readings[-1] == pytest.approx(ODOMETER_M + 45 * 50, abs=30)
        assert [n["seq"] for n in bench.notices("odometer_anchored")] == [0, 1, 2, 3]
        status = bench.status("odometer")
        assert set(status.pop("judgement")["witnesses"]) == {"wheels", "gnss"}
        assert status == {
            "recorded": 4,
            "flags": {},
            "unrecorded": {},
            "last_recorded_m": readings[-1],
            "waiting": None,
            "anchored": 4,
            "ledger_contradiction": None,
            "ledger": {
                "log": "log.example/odometer",
                "trusted_size": 4,
                "records": {"pending": 0, "submitted": 0, "sequenced": 0, "included": 4, "witnessed": 0},
                "contradiction": None,
            },
            "store_restored": None,
            "log_restored": None,
        }


def test_a_cluster_that_talks_on_with_the_ignition_off_begins_no_new_drive(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        bench.set(ignition_on=False)
        bench.run(60.0)
        assert [n["reason"] for n in bench.notices("odometer_recorded")] == ["ignition_on", "ignition_off"]
        bench.set(ignition_on=True)
        bench.run(3.0)
        assert [n["reason"] for n in bench.notices("odometer_recorded")] == ["ignition_on", "ignition_off", "ignition_on"]


def test_a_car_that_never_says_whether_it_is_on_is_recorded_all_the_same(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        for n in range(3):
            now = bench.clock.advance(NS_PER_S)
            reading = SignalUpdate(field="odometer_m", value=4_000.0 + n, at=now.monotonic, max_age_ns=NS_PER_S)
            bench.take(bench.agent.on_signals((reading,), now))
        assert [n["odometer_m"] for n in bench.notices("odometer_recorded")] == [4_000]


def test_a_parked_car_records_by_time(tmp_path: Path) -> None:
    with Bench(tmp_path, every_s=20) as bench:
        bench.run(45.0)
        assert [n["reason"] for n in bench.notices("odometer_recorded")] == ["ignition_on", "time", "time"]


def test_a_rolled_back_odometer_is_recorded_flagged_and_told(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        bench.set(odometer_m=ODOMETER_M - 8_000_000.0)
        bench.run(6.0)
        first, flagged = bench.notices("odometer_recorded")
        assert first["flags"] == []
        assert (flagged["reason"], flagged["flags"]) == ("flag", ["rollback"])
        assert flagged["odometer_m"] == ODOMETER_M - 8_000_000
        assert bench.status("odometer")["flags"] == {"rollback": 1}
        assert bench.status("odometer")["anchored"] == 2


def test_a_rollback_while_the_agent_did_not_run_is_flagged_when_it_runs_again(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
    with Bench(tmp_path, seed=2) as bench:
        bench.set(odometer_m=ODOMETER_M - 1.0)
        bench.run(3.0)
        assert [n["flags"] for n in bench.notices("odometer_recorded")] == [["rollback"]]


def test_a_restart_resumes_the_sequence_and_says_what_was_recorded_last(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.run(3.0)
        before = list(bench.spool.records())
    with Bench(tmp_path, seed=2) as bench:
        assert bench.status("odometer")["last_recorded_m"] == ODOMETER_M
        bench.run(3.0)
        records = list(bench.spool.records())
        assert records[: len(before)] == before
        assert [r.seq for r in records] == [0, 1]
        assert read_record(parse_sd_jwt(records[1].sd_jwt)).prev == before[-1].commitment
        assert [n["seq"] for n in bench.notices("odometer_anchored")] == [1]


def test_what_was_not_anchored_before_a_restart_is_anchored_after_it(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        while not bench.notices("odometer_recorded"):
            bench.run(0.01)
        assert not bench.notices("odometer_anchored")
    with Bench(tmp_path, seed=2) as bench:
        bench.run(0.1)
        assert [n["seq"] for n in bench.notices("odometer_anchored")] == [0]


def test_stopping_records_the_last_reading_and_anchors_it(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        bench.take(bench.agent.stop(bench.clock.now()))
        recorded = bench.notices("odometer_recorded")
        assert [n["reason"] for n in recorded] == ["ignition_on", "ignition_off"]
        assert recorded[-1]["odometer_m"] == pytest.approx(ODOMETER_M + 100, abs=15)
        assert [n["seq"] for n in bench.notices("odometer_anchored")] == [0, 1]


def test_stopping_before_anything_was_read_records_nothing(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        assert bench.agent.stop(bench.clock.now()) == ()


def test_a_store_that_fails_is_counted_told_once_and_asked_again(tmp_path: Path) -> None:
    faults = Faults()
    with Bench(tmp_path, connect=faults.connect()) as bench:
        bench.run(1.0, each=lambda _now: faults.arm(0, persists=False))
        assert bench.status("odometer")["recorded"] == 0
        faults.arm(None, persists=False)
        bench.run(3.0)
        assert bench.kinds().count("odometer_not_recorded") == 1
        assert [n["seq"] for n in bench.notices("odometer_recorded")] == [0]
        assert bench.status("odometer")["unrecorded"]["storage"] >= 1
        assert bench.status("odometer")["anchored"] == 1


def test_a_last_reading_that_could_not_be_stored_is_stored_as_soon_as_it_can_be(tmp_path: Path) -> None:
    faults = Faults()
    with Bench(tmp_path, connect=faults.connect()) as bench:
        bench.run(3.0)
        bench.set(ignition_on=False)
        bench.run(0.2, each=lambda _now: faults.arm(0, persists=False))
        assert "odometer_not_recorded" in bench.kinds()
        faults.arm(None, persists=False)
        bench.run(5.0)
        assert [n["reason"] for n in bench.notices("odometer_recorded")] == ["ignition_on", "ignition_off"]
        assert bench.status("odometer")["anchored"] == 2


def test_a_last_reading_stays_owed_while_the_next_drive_begins_and_the_store_still_fails(tmp_path: Path) -> None:
    faults = Faults()
    with Bench(tmp_path, connect=faults.connect()) as bench:
        bench.run(3.0)
        for is_on in (False, True):
            bench.set(ignition_on=is_on)
            bench.run(0.9, each=lambda _now: faults.arm(0, persists=False))
        faults.arm(None, persists=False)
        bench.run(5.0)
        assert [n["reason"] for n in bench.notices("odometer_recorded")] == ["ignition_on", "ignition_off", "ignition_on"]


def test_a_car_speaks_on_while_its_store_fails(tmp_path: Path) -> None:
    faults = Faults()
    with Bench(tmp_path, connect=faults.connect()) as bench:
        bench.run(3.0, each=lambda _now: faults.arm(0, persists=False))
        assert len(bench.packets) == 3
        assert bench.status("odometer")["recorded"] == 0
        assert bench.kinds() == ["odometer_not_recorded"]


def test_a_policy_that_does_not_know_the_log_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ProofError):
        Bench(tmp_path, policy=policy_of(origin="another.example/log"))


def test_what_the_car_recorded_makes_a_passport_that_verifies(tmp_path: Path) -> None:
    with Bench(tmp_path, every_m=50) as bench:
        bench.set(speed_mps=20.0)
        bench.run(10.0)
        passport = make_passport(bench.parts)
        key = Es256PublicKey(decode_certificate(bench.parts.enrolled.certificate).public_key().sec1)
        issuers = {bench.parts.enrolled.credential.id: Issuer(key=key, role=IssuerRole.VEHICLE)}
        verified = verify_passport(passport, policy=bench.parts.policy, issuers=issuers)
        assert verified.is_clean
        assert [r.odometer_m for r in verified.readings] == [n["odometer_m"] for n in bench.notices("odometer_recorded")]


def test_a_car_enrolled_anew_has_one_passport_under_both_credentials(tmp_path: Path) -> None:
    """The spool keeps the first credential; nothing else of it is left when the passport is made."""
    with Bench(tmp_path, every_m=50) as bench:
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        before, renewed = bench.parts.enrolled, enrolled()
        recorder = Recorder(signer=before, store=bench.spool, entropy=Random(2).randbytes, boot_id=bytes(16))
        head = bench.spool.head()
        assert head is not None
        assert head.odometer_m is not None
        source = OdometerSource(name="cluster", odometer_m=head.odometer_m, age_ms=0)
        recorder.change_signer(renewed, odometer_m=head.odometer_m, sources=(source,), flags=(), at=bench.clock.now())
        assert signing_next((before, renewed), bench.spool.credentials()) is renewed
        bench.parts = replace(bench.parts, enrolled=renewed)
        bench.agent = make_agent(bench.parts, entropy=Random(3).randbytes, started=bench.clock.now())
        bench.run(10.0)
        passport = make_passport(bench.parts)
        assert passport.credentials == (before.credential, renewed.credential)
        verified = verify_with_trust(passport, store=HIERARCHY.trust_store, policy=bench.parts.policy, at=None)
        assert verified.is_clean
        assert [r.hands_over for r in verified.readings].count(True) == 1
        assert {r.credential for r in verified.readings} == {1, 2}


def test_records_under_a_credential_nobody_introduced_are_told_once(tmp_path: Path) -> None:
    """The key before was lost: the records go on, and whoever verifies them sees the break, so the owner is told too."""
    with Bench(tmp_path, every_m=50) as bench:
        bench.set(speed_mps=20.0)
        bench.run(5.0)
        assert bench.notices("records_not_introduced") == []
        bench.parts = replace(bench.parts, enrolled=enrolled())
        bench.agent = make_agent(bench.parts, entropy=Random(3).randbytes, started=bench.clock.now())
        bench.run(10.0)
        (told,) = bench.notices("records_not_introduced")
        assert "handed over" in told["reason"]
