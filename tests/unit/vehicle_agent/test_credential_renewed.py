"""A credential renewed while driving: who signs the records before, at and after the hand-over, through failures and restarts."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from shared.cli.passport import verify_with_trust
from shared.core.errors import ConfigError
from shared.pki.authority import years
from shared.security.ecdsa import Curve
from shared.security.sign import TicketCredential
from shared.service.record_key import EnrolledSigner, signing_next
from tests.helpers.faulty_sqlite import Faults
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, Bench
from vehicle_agent.composition import make_agent, make_passport

EVERY = 7
"""Of so many steps one fails: each takes a drive."""


def renewed() -> tuple[EnrolledSigner, TicketCredential]:
    """Return a new credential as records sign under it and as its authority granted it."""
    key = HIERARCHY.keys.generate(Curve.NIST_P256)
    certificate = HIERARCHY.ea.issue_credential(public_key=key.public_key, validity=years(HIERARCHY.start, 3))
    credential = TicketCredential(certificate=certificate, signer=key)
    return EnrolledSigner(credential, authority=HIERARCHY.ea.certificate), credential


def driving(bench: Bench, seconds: float) -> None:
    bench.set(speed_mps=20.0)
    bench.run(seconds)


def signers(bench: Bench) -> list[int]:
    """Return which credential each record is under, and check that a stranger believes all of them."""
    verified = verify_with_trust(make_passport(bench.parts), store=HIERARCHY.trust_store, policy=bench.parts.policy, at=None)
    assert verified.is_clean
    return [reading.credential for reading in verified.readings]


def test_the_next_reading_hands_over_and_everything_after_it_is_under_the_new_credential(tmp_path: Path) -> None:
    with Bench(tmp_path, every_m=50) as bench:
        driving(bench, 5.0)
        successor, credential = renewed()
        bench.agent.renew_credential(credential, HIERARCHY.ea.certificate)
        assert bench.notices("records_signed_anew") == []
        driving(bench, 5.0)
        (told,) = bench.notices("records_signed_anew")
        assert [each.id for each in bench.spool.credentials()] == [bench.parts.enrolled.credential.id, successor.credential.id]
        under = signers(bench)
        assert under == sorted(under)
        assert under.index(2) - 1 == told["seq"]
        assert bench.status("odometer")["recorded"] == len(bench.notices("odometer_recorded")) + 1


def test_a_car_that_has_recorded_nothing_yet_begins_under_the_new_credential(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        successor, credential = renewed()
        bench.agent.renew_credential(credential, HIERARCHY.ea.certificate)
        bench.run(3.0)
        assert bench.notices("records_signed_anew") == []
        assert [each.id for each in bench.spool.credentials()] == [successor.credential.id]
        bench.parts = replace(bench.parts, enrolled=successor)
        assert set(signers(bench)) == {1}


def test_renewed_twice_before_the_next_reading_the_last_credential_takes_over(tmp_path: Path) -> None:
    with Bench(tmp_path, every_m=50) as bench:
        driving(bench, 5.0)
        bench.agent.renew_credential(renewed()[1], HIERARCHY.ea.certificate)
        successor, credential = renewed()
        bench.agent.renew_credential(credential, HIERARCHY.ea.certificate)
        driving(bench, 5.0)
        assert len(bench.notices("records_signed_anew")) == 1
        assert [each.id for each in bench.spool.credentials()][-1] == successor.credential.id


@pytest.mark.parametrize("persists", [False, True], ids=["before it took effect", "after it took effect"])
def test_a_store_that_fails_at_some_step_of_the_hand_over_loses_nothing_and_it_is_made_good(
    tmp_path: Path, *, persists: bool
) -> None:
    steps = statements_of_a_hand_over(tmp_path / "measured")
    assert steps > 3
    for step in range(int(persists), steps, EVERY):
        faults = Faults()
        directory = tmp_path / f"step-{step}"
        directory.mkdir()
        with Bench(directory, every_m=50, connect=faults.connect()) as bench:
            driving(bench, 5.0)
            successor, credential = renewed()
            bench.agent.renew_credential(credential, HIERARCHY.ea.certificate)
            faults.arm(step, persists=persists)
            driving(bench, 3.0)
            faults.arm(None, persists=False)
            driving(bench, 10.0)
            assert [each.id for each in bench.spool.credentials()][-1] == successor.credential.id
            bench.parts = replace(bench.parts, enrolled=successor)
            under = signers(bench)
            assert under == sorted(under)
            assert set(under) == {1, 2}


def statements_of_a_hand_over(directory: Path) -> int:
    """Count the statements from a renewal to the second record after it."""
    directory.mkdir()
    faults = Faults()
    with Bench(directory, every_m=50, connect=faults.connect()) as bench:
        driving(bench, 5.0)
        bench.agent.renew_credential(renewed()[1], HIERARCHY.ea.certificate)
        faults.arm(None, persists=False)
        while not bench.notices("records_signed_anew"):
            driving(bench, 0.5)
        return len(faults.executed)


def test_after_a_restart_between_renewal_and_hand_over_the_old_credential_still_hands_over(tmp_path: Path) -> None:
    with Bench(tmp_path, every_m=50) as bench:
        driving(bench, 5.0)
        before = bench.parts.enrolled
        successor, credential = renewed()
        bench.agent.renew_credential(credential, HIERARCHY.ea.certificate)
        assert signing_next((before, successor), bench.spool.credentials()) is before
        bench.agent = make_agent(bench.parts, entropy=Random(3).randbytes, started=bench.clock.now())
        bench.agent.renew_credential(credential, HIERARCHY.ea.certificate)
        driving(bench, 5.0)
        assert signing_next((before, successor), bench.spool.credentials()) is successor
        assert len(bench.notices("records_signed_anew")) == 1
        assert set(signers(bench)) == {1, 2}


def test_a_credential_records_cannot_be_signed_under_is_refused(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        ticket = HIERARCHY.ticket(curve=Curve.NIST_P384)
        with pytest.raises(ConfigError, match="P-256"):
            bench.agent.renew_credential(ticket, HIERARCHY.aa.certificate)
        with pytest.raises(ConfigError, match="was not issued by"):
            bench.agent.renew_credential(renewed()[1], HIERARCHY.aa.certificate)
