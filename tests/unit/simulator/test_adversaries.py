"""Each attacker does what its name says, with real packets, and an honest station refuses what it sends for the right reason."""

from random import Random

import pytest

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs
from shared.core.errors import V2xError
from shared.core.ids import StationType
from shared.messages.cam import Cam
from shared.pki.permission_sets import StationRole
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.stack.station import EgoPosition, Station, StationIdentity, make_station
from simulator.adversaries.forger import CAMS_PER_DENM, Forger
from simulator.adversaries.replayer import Replayer
from simulator.adversaries.rollback import drawn_rollback
from simulator.adversaries.tamperer import Tamperer, Target, tampered
from simulator.authorities import Authorities
from simulator.scenario import place, start_utc
from simulator.scenarios import crossing

HONEST = Authorities(Random(1), start_utc(), name="Honest")
FOREIGN = Authorities(Random(2), start_utc(), name="Foreign")


def station(ticket: TicketCredential, store: TrustStore, seed: int) -> Station:
    identity = StationIdentity.drawn(StationType.PASSENGER_CAR, Random(seed).randbytes)
    return make_station(identity=identity, ticket=ticket, trust_store=store, areas=NO_IDENTIFIED_AREAS)


def honest(seed: int) -> Station:
    return station(HONEST.ticket(StationRole.VEHICLE), HONEST.trust_store, seed)


def say(speaker: Station, now: Instant) -> bytes:
    position = EgoPosition(point=place(0.0, 0.0), taken_at=now.require_utc(), speed_mps=3.0, heading_deg=10.0)
    cam = Cam(
        station_id=speaker.identity.station_id,
        generation_delta_time_ms=now.require_utc() // NS_PER_MS % 65_536,
        station_type=StationType.PASSENGER_CAR,
        lat_deg=position.point.lat_deg,
        lon_deg=position.point.lon_deg,
        speed_mps=3.0,
    )
    return speaker.send(cam, position=position, now=now)


def verdict(receiver: Station, packet: bytes, now: Instant) -> str:
    try:
        indication = receiver.receive(packet, now)
    except V2xError as refusal:
        return refusal.code
    return "echo" if indication is None else "verified"


@pytest.mark.parametrize("chance", [0.0, 0.31, 0.77, 0.999])
@pytest.mark.parametrize(
    ("target", "reason"),
    [(Target.MESSAGE, "false_signature"), (Target.SIGNATURE, "false_signature"), (Target.LENGTH, "malformed")],
)
def test_a_tampered_packet_is_refused_and_the_original_still_believed(target: Target, reason: str, chance: float) -> None:
    now = ManualClock(start_utc()).now()
    packet = say(honest(1), now)
    receiver = honest(2)
    changed = tampered(packet, target, chance, bit=int(chance * 8))
    assert changed is not None
    assert changed != packet
    assert verdict(receiver, changed, now) == reason
    assert verdict(receiver, packet, now) == "verified"


@pytest.mark.parametrize("junk", [b"", b"\x12", bytes(64), b"\x12\x00\x05\x01" + bytes(40)])
def test_what_is_no_signed_packet_is_not_tampered_with(junk: bytes) -> None:
    assert tampered(junk, Target.MESSAGE, 0.5, 0) is None


def test_the_tamperer_sends_within_a_blink_and_never_the_original() -> None:
    clock = ManualClock(start_utc())
    speaker, attacker = honest(1), Tamperer(Random(3))
    originals, changed = set(), []
    for number in range(200):
        packet = say(speaker, clock.now())
        originals.add(packet)
        heard = clock.now().monotonic
        attacker.overhear(number, packet, clock.now())
        due = attacker.next_due()
        if due is not None:
            assert 0 < due - heard <= 80 * NS_PER_MS
            clock.advance_to(due)
            changed += [sent.packet for sent in attacker.act(clock.now())]
        clock.advance(100 * NS_PER_MS)
    assert len(changed) >= 5
    assert originals.isdisjoint(changed)


def test_replays_are_verbatim_some_too_soon_and_some_too_late() -> None:
    clock = ManualClock(start_utc())
    speaker, receiver, attacker = honest(1), honest(2), Replayer(Random(4))
    heard: list[bytes] = []
    verdicts: dict[str, int] = {}
    for number in range(400):
        packet = say(speaker, clock.now())
        heard.append(packet)
        assert verdict(receiver, packet, clock.now()) == "verified"
        attacker.overhear(number, packet, clock.now())
        clock.advance(100 * NS_PER_MS)
        for sent in attacker.act(clock.now()):
            assert sent.copy_of is not None
            assert sent.packet == heard[sent.copy_of]
            outcome = verdict(receiver, sent.packet, clock.now())
            verdicts[outcome] = verdicts.get(outcome, 0) + 1
    assert set(verdicts) == {"duplicate_message", "invalid_timestamp"}
    assert min(verdicts.values()) >= 3


def forger(tickets: list[TicketCredential]) -> Forger:
    stations = [station(ticket, FOREIGN.trust_store, seed) for seed, ticket in enumerate(tickets)]
    return Forger(stations, crossing.CENTRE, Random(5))


@pytest.mark.parametrize(
    ("ticket", "reasons"),
    [
        (FOREIGN.ticket(StationRole.VEHICLE), {"signer_certificate_not_found"}),
        (
            FOREIGN.counterfeit(StationRole.VEHICLE, HONEST.authorization.certificate),
            {"invalid_certificate", "signer_certificate_not_found"},
        ),
    ],
    ids=["an authority of its own", "an honest authority's name"],
)
def test_a_forger_is_believed_by_itself_alone(ticket: TicketCredential, reasons: set[str]) -> None:
    clock = ManualClock(start_utc())
    attacker = forger([ticket])
    fooled = station(FOREIGN.ticket(StationRole.VEHICLE), FOREIGN.trust_store, 9)
    receiver = honest(2)
    outcomes, believed = set(), set()
    packets = 0
    while packets < CAMS_PER_DENM + 1:
        clock.advance_to(attacker.next_due() or MonotonicNs(0))
        for sent in attacker.act(clock.now()):
            packets += 1
            outcomes.add(verdict(receiver, sent.packet, clock.now()))
            believed.add(verdict(fooled, sent.packet, clock.now()))
    assert outcomes == reasons
    if len(reasons) == 1:
        assert believed == {"verified"}, "with the right trust its messages are perfect: only the chain gives it away"


def test_a_forger_announces_a_hazard_now_and_then() -> None:
    clock = ManualClock(start_utc())
    attacker = forger([FOREIGN.ticket(StationRole.VEHICLE)])
    listener = station(FOREIGN.ticket(StationRole.VEHICLE), FOREIGN.trust_store, 9)
    kinds = []
    for _ in range(CAMS_PER_DENM):
        clock.advance_to(attacker.next_due() or MonotonicNs(0))
        for sent in attacker.act(clock.now()):
            indication = listener.receive(sent.packet, clock.now())
            assert indication is not None
            kinds.append(type(indication.message).__name__)
    assert kinds == ["Cam"] * CAMS_PER_DENM + ["Denm"]


def test_a_rollback_sets_the_cluster_back_once_and_well_within_the_run() -> None:
    for seed in range(20):
        rollback = drawn_rollback(Random(seed), 60.0)
        assert 10 * NS_PER_S < rollback.at < 40 * NS_PER_S
        assert rollback.by_m >= 10_000_000
        assert rollback(80_000_000.0, MonotonicNs(rollback.at - 1)) == 80_000_000.0
        assert rollback(80_000_000.0, rollback.at) == 80_000_000.0 - rollback.by_m


def test_the_same_seed_makes_the_same_certificates_octet_for_octet() -> None:
    one, other = (Authorities(Random(7), start_utc(), name="X") for _ in range(2))
    assert one.root.certificate.encoded == other.root.certificate.encoded
    assert one.ticket(StationRole.RSU).certificate.encoded == other.ticket(StationRole.RSU).certificate.encoded
    assert one.enrolled().certificate == other.enrolled().certificate
    assert Authorities(Random(8), start_utc(), name="X").root.certificate.encoded != one.root.certificate.encoded
