"""Nobody who writes down every octet a car sends can tell that two of its pseudonyms are one car; and whoever could is noticed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import MonotonicNs
from shared.core.ids import HashedId3, HashedId8, ItsAid, StationId
from shared.core.itstime import Time32
from shared.pki.authority import hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ecdsa import Curve
from shared.security.hashing import hashed_id3
from shared.security.sign import SigningService, TicketCredential
from shared.stack.effects import Effect, Notice, Transmit
from shared.stack.station import Station, StationIdentity
from tests.helpers.identities import cam_of, ego, make_peer
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, Bench
from tests.unit.vehicle_agent.observer import INHERENT, Crowd, Link, Question, Sighting, links
from vehicle_agent.cam_service import CamService

TICKETS = 6


class WatchedBench(Bench):
    """A car with an observer beside the road, and two neighbours that speak to it."""

    sightings: list[Sighting]
    questions: list[Question]
    captured_mac: bytes | None = None
    """The link-layer address of every frame, where it is not the one the agent has at the time."""

    def take(self, effects: tuple[Effect, ...]) -> None:
        super().take(effects)
        now = self.clock.now()
        for effect in effects:
            if isinstance(effect, Notice) and effect.kind == "pseudonym_changed":
                self.epoch += 1
            if isinstance(effect, Transmit):
                mac = self.captured_mac or self.agent.identity.address.mac
                self.sightings.append(Sighting(packet=effect.packet, utc=now.require_utc(), source_mac=mac, epoch=self.epoch))

    def begin(self) -> None:
        """Start to watch."""
        self.epoch, self.sightings, self.questions = 0, [], []

    def be_asked(self, number: int) -> None:
        """Let a neighbour speak under a ticket the car cannot know, and another ask for our authority."""
        now = self.clock.now()
        stranger, asking = make_peer(HIERARCHY, number), make_peer(HIERARCHY, number + 1)
        unknown, authority = stranger._signing.ticket.certificate.hashed_id3, HIERARCHY.aa.certificate.hashed_id8
        asking._signing.asked_for[hashed_id3(authority)] = authority
        for peer in (stranger, asking):
            packets = [peer.send(cam_of(peer, now), position=ego(now), now=now) for _ in range(2)]
            self.hear(packets[-1] if peer is stranger else packets[0])
        self.questions += [
            Question(utc=now.require_utc(), unknown=unknown),
            Question(utc=now.require_utc(), asks_for=hashed_id3(authority)),
        ]


@dataclass(frozen=True, slots=True)
class Watched:
    """What an observer has of one car."""

    sightings: Sequence[Sighting]
    questions: Sequence[Question]
    reasons: Sequence[str]

    def links(self, crowd: Crowd) -> set[Link]:
        return links(self.sightings, crowd, self.questions)


def standard_tickets() -> tuple[TicketCredential, ...]:
    return tuple(HIERARCHY.ticket() for _ in range(TICKETS))


def drive(
    directory: Path,
    seed: int,
    *,
    tickets: tuple[TicketCredential, ...] = (),
    to_the_end: bool = True,
    captures_first_mac: bool = False,
) -> Watched:
    """Watch a car from its start: a change a minute after, asked by neighbours just before it, and two more if `to_the_end`."""
    with WatchedBench(directory, seed=seed, tickets=tickets or standard_tickets()) as bench:
        bench.begin()
        if captures_first_mac:
            bench.captured_mac = bench.agent.identity.address.mac
        bench.set(low_beam=True)
        bench.run(50.0)
        bench.set(speed_mps=15.0)
        bench.run(9.0)
        bench.be_asked(150)
        bench.run(0.5)
        bench.agent.lock_pseudonym(10.0, now=bench.clock.now().monotonic)
        bench.run(2.0)
        bench.be_asked(160)
        bench.agent.unlock_pseudonym()
        bench.run(6.0)
        bench.be_asked(170)
        bench.run(2.0)
        if to_the_end:
            for second in range(40):  # no two of them alike: whoever drives as a machine leaves the same steps behind everywhere
                bench.set(speed_mps=38.0 + 0.193 * second)
                bench.run(1.0)
            bench.set(speed_mps=0.0)
            bench.run(60.0)
            bench.set(ignition_on=False)
            bench.run(1.0)
            bench.set(ignition_on=True)
            bench.run(3.0)
            bench.set(speed_mps=15.0)
            bench.run(5.0)
        reasons = [notice["reason"] for notice in bench.notices("pseudonym_changed")]
        return Watched(bench.sightings, bench.questions, reasons)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    return Crowd(*(drive(tmp_path_factory.mktemp("crowd"), seed).sightings for seed in (101, 102)))


def test_an_observer_finds_nothing_that_links_two_pseudonyms_of_a_car(tmp_path: Path, crowd: Crowd) -> None:
    car = drive(tmp_path, 1)
    assert list(car.reasons) == ["ready", "first", "start"]
    assert {each.epoch for each in car.sightings} == {0, 1, 2, 3}
    assert len(car.sightings) > 500
    assert car.links(crowd) == set()


def test_the_observer_reads_every_layer(tmp_path: Path) -> None:
    car = drive(tmp_path, 1, to_the_end=False)
    paths = {path for each in car.sightings for path, _ in each.values}
    assert {
        "frame.source_mac",
        "basic.lifetime_ms",
        "gn.common.traffic_class.priority",
        "gn.extended.source.address.mac",
        "gn.extended.source.timestamp_ms",
        "btp.destination_port",
        "cam.station_id",
        "cam.generation_delta_time_ms",
        "header.inline_p2pcd_request[]",
        "header.requested_certificate.encoded",
        "signer.digest",
        "signer.certificates[].tbs.verification_key.x",
        "signer.certificates[].tbs.validity.start",
        "signature.r",
        *INHERENT,
    } <= paths


Spoil = Callable[[pytest.MonkeyPatch], None]


def keeps_address(patch: pytest.MonkeyPatch) -> None:
    _keep_of_identity(patch, "address")


def keeps_station_id(patch: pytest.MonkeyPatch) -> None:
    _keep_of_identity(patch, "station_id")


def _keep_of_identity(patch: pytest.MonkeyPatch, field: str) -> None:
    drawn, kept = StationIdentity.drawn, dict[str, Any]()

    def drawn_but_one(*args: Any) -> StationIdentity:
        fresh = drawn(*args)
        return replace(fresh, **{field: kept.setdefault(field, getattr(fresh, field))})

    patch.setattr(StationIdentity, "drawn", staticmethod(drawn_but_one))


def keeps_ticket(patch: pytest.MonkeyPatch) -> None:
    assume = Station.assume
    patch.setattr(Station, "assume", lambda station, identity, _: assume(station, identity, station._signing.ticket))


def _keep_of_cam_service(patch: pytest.MonkeyPatch, *attributes: str) -> None:
    assume = CamService.assume

    def assume_but_some(service: CamService, *, station_id: StationId, first_check: Any, granted: int) -> None:
        kept = {each: getattr(service, each) for each in attributes if hasattr(service, each)}
        assume(service, station_id=station_id, first_check=first_check, granted=granted)
        for name, value in kept.items():
            setattr(service, name, value)

    patch.setattr(CamService, "assume", assume_but_some)


def keeps_path(patch: pytest.MonkeyPatch) -> None:
    _keep_of_cam_service(patch, "_path", "_trace", "_behind_first")


def keeps_phase(patch: pytest.MonkeyPatch) -> None:
    _keep_of_cam_service(patch, "_next_check")


def keeps_low_frequency_clock(patch: pytest.MonkeyPatch) -> None:
    _keep_of_cam_service(patch, "_low_frequency_sent_at")


def _keep_of_signing(patch: pytest.MonkeyPatch, attribute: str) -> None:
    change = SigningService.change_ticket

    def change_but_one(service: SigningService, ticket: TicketCredential) -> None:
        kept = getattr(service, attribute).copy()
        change(service, ticket)
        getattr(service, attribute).update(kept)

    patch.setattr(SigningService, "change_ticket", change_but_one)


def keeps_questions(patch: pytest.MonkeyPatch) -> None:
    _keep_of_signing(patch, "asked_for")


def keeps_answers(patch: pytest.MonkeyPatch) -> None:
    _keep_of_signing(patch, "_authorities")


def believes_its_certificate_known(patch: pytest.MonkeyPatch) -> None:
    change = SigningService.change_ticket

    def change_as_if_shown(service: SigningService, ticket: TicketCredential) -> None:
        change(service, ticket)
        service._certificate_shown[ItsAid.CAM] = MonotonicNs(10**18)

    patch.setattr(SigningService, "change_ticket", change_as_if_shown)


SPOILED: dict[Spoil, set[str]] = {
    keeps_address: {"gn.extended.source.address.mac", "frame.source_mac", "octets"},
    keeps_station_id: {"cam.station_id"},
    keeps_ticket: {"signer.digest", "signer.certificates[].tbs.verification_key.x", "octets"},
    keeps_path: {"path_history"},
    keeps_phase: {"phase.of_the_checks_us"},
    keeps_low_frequency_clock: {"low_frequency"},
    keeps_questions: {"inline_p2pcd_request"},
    keeps_answers: {"requested_certificate"},
    believes_its_certificate_known: {"signer"},
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_an_agent_that_keeps_one_thing_is_caught_by_it(
    tmp_path: Path, crowd: Crowd, monkeypatch: pytest.MonkeyPatch, spoil: Spoil
) -> None:
    spoil(monkeypatch)
    car = drive(tmp_path, 1, to_the_end=False)
    assert list(car.reasons) == ["ready"]
    found = {link.what for link in car.links(crowd)}
    assert found >= SPOILED[spoil]
    if spoil is not keeps_ticket:
        assert found <= SPOILED[spoil] | {"octets"}, "the observer sees what was not spoiled"


def test_frames_captured_under_the_first_address_are_caught(tmp_path: Path, crowd: Crowd) -> None:
    car = drive(tmp_path, 1, to_the_end=False, captures_first_mac=True)
    assert {link.what for link in car.links(crowd)} == {"frame.source_mac", "octets"}


def odd_tickets(kind: str) -> Iterator[TicketCredential]:
    """Issue a batch that has one thing of its own."""
    start = Time32(HIERARCHY.start + (37 if kind == "start" else 0))
    for _ in range(TICKETS):
        signer = HIERARCHY.keys.generate(Curve.NIST_P256)
        certificate = HIERARCHY.aa.issue_ticket(
            public_key=signer.public_key,
            validity=hours(start, 167 if kind == "length" else 168),
            permissions=TICKET_PERMISSIONS[StationRole.VEHICLE][: 1 if kind == "permissions" else None],
        )
        yield TicketCredential(certificate=certificate, signer=signer)


@pytest.mark.parametrize(
    ("kind", "path"), [("start", "validity.start"), ("length", "validity.count"), ("permissions", "app_permissions")]
)
def test_a_batch_of_tickets_with_something_of_its_own_is_caught(tmp_path: Path, crowd: Crowd, kind: str, path: str) -> None:
    car = drive(tmp_path, 1, tickets=tuple(odd_tickets(kind)), to_the_end=False)
    found = {link.what for link in car.links(crowd)}
    assert any(path in what for what in found) or (kind == "permissions" and "octets" in found)


def test_what_a_notice_says_of_a_change_names_neither_pseudonym(tmp_path: Path) -> None:
    with Bench(tmp_path, tickets=standard_tickets()) as bench:
        before = bench.agent.identity
        bench.set(speed_mps=20.0)
        bench.run(62.0)
        after = bench.agent.identity
        (notice,) = bench.notices("pseudonym_changed")
        assert notice == {"reason": "ready", "is_ticket_reused": False, "tickets_unused": TICKETS - 2}
        assert before.station_id != after.station_id == bench.agent.status()["station_id"]
        told = str(bench.agent.status()["pseudonym"])
        names: tuple[HashedId3 | HashedId8 | bytes, ...] = (before.address.mac, after.address.mac)
        assert not any(name.hex() in told for name in names)
