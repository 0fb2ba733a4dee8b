"""The crossing as `make demo` runs it, but shorter: every attack is caught, nobody honest is accused, every passport verifies."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rsu_agent.cli import app as rsu_agent
from shared.cli.evidence import judge_evidence
from shared.cli.passport import verify_with_trust
from shared.core.clock import NS_PER_MS, NS_PER_S, UtcNs
from shared.core.errors import RecordError
from shared.core.itstime import utc_text
from shared.ledger.policy import parse_policy
from shared.records.evidence import parse_evidence
from shared.records.passport import parse_passport
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_store import TrustStore
from shared.service.trust_directory import read_trust_directory
from simulator.options import AttackerKind, Options
from simulator.run import Outcome, simulate
from simulator.scenario import signal_plan, start_utc
from simulator.unit_evidence import EVIDENCE_FILE, STORE_FILE
from simulator.words import everything_caught
from tests.helpers.tshark import complaints

OPTIONS = Options(duration_s=24.0, vehicles=8, attackers=0.5, seed=1)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return simulate(OPTIONS, tmp_path_factory.mktemp("crossing"), progress=lambda _: None)


def test_every_attack_is_caught_and_nobody_honest_is_accused(outcome: Outcome) -> None:
    attacks = outcome.story.summary["attacks"]
    assert everything_caught(outcome.story.summary)
    for kind in AttackerKind:
        attack = attacks[kind.value]
        assert (attack["senders"], attack["detected"], attack["false_accusations"]) == (1, 1, 0), kind
    assert all(attack.get("accepted", 0) == 0 for attack in attacks.values())
    assert all(attacks[kind]["deliveries"] > 50 for kind in ("forged", "tampered", "replayed"))


def test_each_attack_is_refused_for_its_own_reasons(outcome: Outcome) -> None:
    attacks = outcome.story.summary["attacks"]
    assert {"invalid_certificate", "signer_certificate_not_found"} == set(attacks["forged"]["reasons"])
    assert {"false_signature", "malformed"} <= set(attacks["tampered"]["reasons"])
    assert {"duplicate_message", "invalid_timestamp"} <= set(attacks["replayed"]["reasons"])


def test_honest_messages_are_refused_only_while_their_signer_is_unknown(outcome: Outcome) -> None:
    summary = outcome.story.summary
    attacks = summary["attacks"].values()
    honest = {reason: n - sum(a.get("reasons", {}).get(reason, 0) for a in attacks) for reason, n in summary["rejected"].items()}
    assert {reason for reason, n in honest.items() if n} <= {"signer_certificate_not_found"}
    assert honest.get("signer_certificate_not_found", 0) < 0.02 * summary["verified"]


def test_the_rollback_is_in_that_car_s_passport_and_in_no_other(outcome: Outcome) -> None:
    flagged = [car.name for car in outcome.story.cars if "rollback" in car.flags]
    set_back = [car.name for car in outcome.story.cars if car.rolled_back_m is not None]
    assert flagged == set_back
    assert len(flagged) == 1
    assert outcome.story.summary["odometer"]["rollbacks_flagged"] == 1


def test_every_odometer_record_is_anchored_and_every_passport_verifies_from_its_files(outcome: Outcome) -> None:
    odometer = outcome.story.summary["odometer"]
    assert odometer["records"] == odometer["anchored"] >= 2 * OPTIONS.vehicles
    directory = outcome.passports.parent
    store = read_trust_directory(directory / "trust")
    policy = parse_policy((outcome.passports / "ledger.policy").read_bytes())
    passports = sorted(outcome.passports.glob("car-*.json"))
    assert len(passports) == OPTIONS.vehicles
    for file in passports:
        verify_with_trust(parse_passport(file.read_bytes()), store=store, policy=policy, at=None)


def test_an_odometer_reading_in_a_passport_is_what_the_car_showed(outcome: Outcome) -> None:
    directory = outcome.passports.parent
    store = read_trust_directory(directory / "trust")
    policy = parse_policy((outcome.passports / "ledger.policy").read_bytes())
    for car in outcome.story.cars:
        passport = parse_passport((directory / str(car.passport)).read_bytes())
        readings = verify_with_trust(passport, store=store, policy=policy, at=None).readings
        last = readings[-1].odometer_m
        assert last is not None
        assert 0 <= car.odometer_m[1] - last <= 10
        assert readings[0].odometer_m == pytest.approx(car.odometer_m[0], abs=20)


def test_a_changed_digit_in_a_passport_is_refused(outcome: Outcome, tmp_path: Path) -> None:
    directory = outcome.passports.parent
    text = (outcome.passports / "car-1.json").read_text()
    token = json.loads(text)["records"][0]["sd_jwt"]
    place = len(token) // 3
    changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
    store = read_trust_directory(directory / "trust")
    policy = parse_policy((outcome.passports / "ledger.policy").read_bytes())
    with pytest.raises(RecordError):
        verify_with_trust(parse_passport(text.replace(token, changed).encode()), store=store, policy=policy, at=None)


def test_what_the_lights_showed_half_way_through_is_proven_by_a_file_and_public_keys_alone(
    outcome: Outcome, tmp_path: Path
) -> None:
    directory = outcome.passports.parent
    trust = read_trust_directory(directory / "trust")
    roots = TrustStore.of_operator(tuple(trust.roots.values()), ())
    policy = parse_policy((outcome.passports / "ledger.policy").read_bytes())
    octets = (directory / "evidence" / EVIDENCE_FILE).read_bytes()
    answer = judge_evidence(parse_evidence(octets), store=roots, policy=policy, areas=NO_IDENTIFIED_AREAS)
    assert answer.at == start_utc() + 12 * NS_PER_S
    assert {each.group for each in answer.lights} == set(signal_plan().signal_groups)
    assert not any(each.is_serious for each in answer.findings)
    altered = bytearray(octets)
    altered[len(octets) // 2] ^= 1
    with pytest.raises(RecordError):
        parse_evidence(bytes(altered))
    asked = ["evidence", "--store", str(directory / "state" / STORE_FILE), "--group", "1", "--warnings"]
    moment = utc_text(UtcNs(start_utc() + 7_300 * NS_PER_MS))
    said = CliRunner().invoke(rsu_agent, [*asked, "--at", moment, "--out", str(tmp_path / "evidence.json")])
    assert said.exit_code == 0, said.output
    answer = judge_evidence(
        parse_evidence((tmp_path / "evidence.json").read_bytes()), store=roots, policy=policy, areas=NO_IDENTIFIED_AREAS
    )
    assert [each.group for each in answer.lights] == [1]
    assert answer.warnings


def test_cars_warn_each_other_of_what_happens_to_one_of_them(outcome: Outcome) -> None:
    hazards = outcome.story.summary["hazards"]
    assert set(hazards) == {"emergency_vehicle_approaching", "dangerous_situation", "stationary_vehicle"}
    for cause, hazard in hazards.items():
        assert hazard["announced"] == 1, cause
        assert hazard["drivers_told"] >= 1, cause
    # Nobody is behind it when it brakes: who is on other roads is not told, and the first to turn onto its road is, as it turns.
    assert hazards["dangerous_situation"]["first_told_s"] < 2.5
    assert outcome.story.notices["emergency_vehicle_approaching"] >= 1


def test_everything_honest_in_the_air_is_well_formed_to_others(outcome: Outcome) -> None:
    assert not complaints(outcome.radio_pcap)


def test_drivers_hear_of_lights_and_roadworks(outcome: Outcome) -> None:
    assert outcome.story.notices["signal_ahead"] > OPTIONS.vehicles
    # Ten a second are made. After a warning, or lights with a certificate, the channel is not the unit's for 100 ms: of the lights
    # that wait then, the newest leave.
    assert outcome.story.summary["sent"]["spatem"] >= 9 * OPTIONS.duration_s
    assert outcome.story.summary["sent"]["denm"] >= OPTIONS.duration_s
