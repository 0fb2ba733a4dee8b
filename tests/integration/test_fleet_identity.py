"""A fleet's whole life with its authorities, every part a process of its own: enrolled, authorized, renamed, refused, revoked.

`v2x pki serve`, a roadside unit, and one vehicle for each home of long-term keys: files, a PKCS#11 token, a TPM. They require every
list and authority to be in the transparency log. One car drives for all of them, on one bus. The story is told once; each test
looks at what came of one part of it. Every wait is for what it is about.
"""

import asyncio
import json
import os
import select
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import NS_PER_S, TimeSource, UtcNs
from shared.core.errors import V2xError
from shared.core.geo import displaced
from shared.core.ids import StationType
from shared.core.itstime import time32_of, time64_of, utc_from_text
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.authority import AuthorizationAuthority, hours
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import decode_certificate
from shared.security.crl import Crl
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.peek import peek_claims
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.security.sign import TicketCredential
from shared.security.trust_list import decode_trust_list
from shared.security.trust_store import TrustStore
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_authority, read_certificate_file
from shared.stack.station import Station, StationIdentity, make_station
from shared.transport.can_bus import CanBus, CanBusConfig
from shared.transport.pcap import read_pcap
from shared.transport.udp_radio import LOOPBACK_INTERFACE, UdpRadio
from simulator.ecu import KinematicSample, SimulatedEcu, load_sim_car
from tests.helpers.debian import missing
from tests.helpers.fleet import CAN_GROUP, RADIO_GROUP, TARGET_TICKETS, Agent, Air, make_rsu, make_vehicle
from tests.helpers.identities import HERE, cam_of, ego
from tests.helpers.multicast import ANY_INTERFACE, require_multicast
from tests.helpers.pki_node import PkiNode, serving, v2x_pki
from tests.helpers.tokens import soft_token, soft_tpm

CLOCK = SystemClock(TimeSource.ASSUME_TRUSTED)
LIST_PERIOD_S = 24
PATIENCE_S = 300.0
"""A deadline, not a measure."""

ASK_AGAIN_S = 0.2
"""Between two looks at the status of a program that goes on meanwhile."""

SPEED_MPS = 75.0
ODOMETER_M = 25_088_000.0
HOMES = ("file", "pkcs11", "tpm2")
ROGUE = "rogue"


class SharedCar:
    """The simulator's car on the bus all vehicles listen to, in a thread of its own."""

    def __init__(self, air: Air) -> None:
        options: dict[str, str | int | float | bool] = {"port": air.can_port, "hop_limit": 0}
        self._bus = CanBus(CanBusConfig(interface="udp_multicast", channel=CAN_GROUP, options=options), clock=CLOCK)
        self._parked = threading.Event()
        self._thread = threading.Thread(target=self._drive)

    def __enter__(self) -> None:
        self._bus.open()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._parked.set()
        self._thread.join()
        self._bus.close()

    def _drive(self) -> None:
        start = CLOCK.now().monotonic
        ecu = SimulatedEcu(load_sim_car(), channel="can0", start=start)
        parked = KinematicSample(position=HERE, heading_deg=90.0, speed_mps=SPEED_MPS, odometer_m=ODOMETER_M)
        while not self._parked.wait(max(0.0, (ecu.next_due() - CLOCK.now().monotonic) / NS_PER_S)):
            now = CLOCK.now().monotonic
            driven_m = SPEED_MPS * (now - start) / NS_PER_S
            sample = replace(parked, position=displaced(HERE, driven_m, 0.0), odometer_m=ODOMETER_M + driven_m)
            for frame in ecu.poll(sample, now):
                self._bus.send(frame)


@dataclass(slots=True)
class Story:
    """What came of it.

    Attributes:
        vehicles: by the home of their keys.
        skipped: why a home could not be used here.
        enrolled: what `enrol` printed.
        renamed: status after the first change of pseudonym.
        refused_tickets: status after the credential was revoked.
        refused_all: status of every agent after the root was revoked, when somebody still spoke under it.
        crl: the list that revoked the root.
        exit_codes: of every agent.
    """

    node: PkiNode
    rsu: Agent
    vehicles: dict[str, Agent]
    skipped: dict[str, str]
    enrolled: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard_by_rsu: dict[str, Any] = field(default_factory=dict)
    refused_tickets: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused_all: dict[str, dict[str, Any]] = field(default_factory=dict)
    crl: bytes = b""
    exit_codes: dict[str, int] = field(default_factory=dict)

    @property
    def agents(self) -> dict[str, Agent]:
        """Every agent by name."""
        return {"rsu": self.rsu, **self.vehicles}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    require_multicast(CAN_GROUP, ANY_INTERFACE)
    require_multicast(RADIO_GROUP, LOOPBACK_INTERFACE)
    directory, air = tmp_path_factory.mktemp("fleet"), Air()
    v2x_pki("init", directory / "pki")
    v2x_pki("issue", directory / "pki", "--kind", "aa", "--name", ROGUE, "--out", directory / "pki" / ROGUE)
    arguments = ("--list-period-s", str(LIST_PERIOD_S), "--requests-per-s", "1000")
    with ExitStack() as stack:
        node = stack.enter_context(serving(directory / "pki", *arguments))
        vehicles, skipped = vehicles_of(directory, node, air, stack)
        told = Story(node=node, rsu=make_rsu(directory / "rsu", node, air, its_id="rsu-1"), vehicles=vehicles, skipped=skipped)
        for agent in told.agents.values():
            stack.callback(agent.kill)
        enrol_and_start(told)
        with SharedCar(air):
            drive_until_renamed(told)
            asyncio.run(let_a_rogue_speak(told, air))
            revoke_credentials(told)
            revoke_root(told, air)
        told.exit_codes = {name: agent.stop() for name, agent in told.agents.items()}
        yield told


def vehicles_of(directory: Path, node: PkiNode, air: Air, stack: ExitStack) -> tuple[dict[str, Agent], dict[str, str]]:
    """Make one vehicle for each home of keys that this machine has."""
    vehicles: dict[str, Agent] = {}
    skipped: dict[str, str] = {}
    for home in HOMES:
        place = directory / home
        place.mkdir()
        uri, environment = "file:keys", {}
        try:
            if home == "pkcs11":
                token = stack.enter_context(soft_token(place / "token"))
                uri, environment = token.uri, dict(token.environment)
            if home == "tpm2":
                tpm = stack.enter_context(soft_tpm(place / "tpm"))
                uri = tpm.uri(place / "wrapped")
        except (pytest.skip.Exception, pytest.fail.Exception) as absent:
            skipped[home] = str(absent)
            continue
        vehicles[home] = make_vehicle(place / "car", node, air, its_id=f"car-{home}", keys=uri, environment=environment)
    return vehicles, skipped


def enrol_and_start(told: Story) -> None:
    told.enrolled["rsu"] = told.rsu.enrol(told.node, "rsu")
    for home, vehicle in told.vehicles.items():
        told.enrolled[home] = vehicle.enrol(told.node, "vehicle")
    for agent in told.agents.values():
        agent.start()
    for agent in told.agents.values():
        wait_until(agent, bool)


def wait_until(
    agent: Agent, condition: Callable[[dict[str, Any]], bool], *, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Wait until an agent's status says so, and return it; `meanwhile` is done before each look."""
    end = CLOCK.now().monotonic + round(PATIENCE_S * NS_PER_S)
    while True:
        meanwhile()
        status = agent.status()
        if status is not None and condition(status):
            return status
        assert CLOCK.now().monotonic < end, f"{agent.its_id}: {status}\n{agent.errors}"
        select.select([], [], [], ASK_AGAIN_S)


def drive_until_renamed(told: Story) -> None:
    for home, vehicle in told.vehicles.items():
        told.renamed[home] = wait_until(vehicle, lambda status: sum(status["pseudonym"]["changes"].values()) >= 1)
    expected = len(told.vehicles) + 1
    told.heard_by_rsu = wait_until(told.rsu, lambda status: len(status["peers"]) >= expected)


def rogue_station(node: PkiNode) -> Station:
    """Make a station whose ticket an unlisted authority issued; the root has signed that authority all the same."""
    return station_under(node, ROGUE)


def station_under(node: PkiNode, name: str) -> Station:
    """Make a station whose ticket an authority of the node's folder issued."""
    authority = AuthorizationAuthority(read_authority(node.directory / name))
    signer = SoftwareSigner.generate(Curve.NIST_P256)
    start = time32_of(time64_of(UtcNs(CLOCK.now().require_utc() - 30 * NS_PER_S)))
    certificate = authority.issue_ticket(
        public_key=signer.public_key, validity=hours(start, 1), permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]
    )
    known = {each.hashed_id8: each for each in (node.certificate("aa"), authority.certificate)}
    return make_station(
        identity=StationIdentity.drawn(StationType.PASSENGER_CAR, os.urandom),
        ticket=TicketCredential(certificate=certificate, signer=signer),
        trust_store=TrustStore.of_operator((node.certificate("root"),), tuple(known.values())),
        areas=NO_IDENTIFIED_AREAS,
    )


async def let_a_rogue_speak(told: Story, air: Air) -> None:
    """Let the rogue speak whenever somebody else does, and pass its authority on to whoever asks, until all have the evidence."""
    rogue = rogue_station(told.node)
    radio = UdpRadio.open(clock=CLOCK, group=RADIO_GROUP, port=air.radio_port)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not all(agent.evidence.exists() and any(agent.evidence.iterdir()) for agent in told.agents.values()):
                received = await radio.receive()  # the vehicles and the unit speak all the time
                with suppress(V2xError):
                    rogue.receive(received.packet, received.received)
                now = CLOCK.now()
                await radio.send(rogue.send(cam_of(rogue, now), position=ego(now), now=now), source_mac=rogue.identity.address.mac)
    finally:
        radio.close()


def revoke_credentials(told: Story) -> None:
    """Revoke every vehicle's credential, and let it want one ticket more than it has."""
    for home, vehicle in told.vehicles.items():
        credential = read_certificate_file(vehicle.directory / "state/credentials/credential-0001.oer")
        v2x_pki("block", told.node.directory, "--credential", credential.hashed_id8.hex().upper())
        assert vehicle.stop() == 0
        text = vehicle.config.read_text()
        vehicle.config.write_text(text.replace(f"target_tickets = {TARGET_TICKETS}", f"target_tickets = {TARGET_TICKETS + 1}"))
        vehicle.start()
        told.refused_tickets[home] = wait_until(
            vehicle,
            lambda status: bool(about(status, "tickets")) and status["sent"].get("cam", 0) >= 3,
        )


def about(status: dict[str, Any], subject: str) -> list[dict[str, Any]]:
    """Return what is in trouble about something."""
    return [trouble for trouble in status["upkeep"]["troubles"] if trouble["about"] == subject]


async def speak(station: Station, air: Air) -> None:
    """Say one CAM."""
    radio = UdpRadio.open(clock=CLOCK, group=RADIO_GROUP, port=air.radio_port)
    try:
        now = CLOCK.now()
        await radio.send(station.send(cam_of(station, now), position=ego(now), now=now), source_mac=station.identity.address.mac)
    finally:
        radio.close()


def revoke_root(told: Story, air: Air) -> None:
    """Put the root on its own revocation list: it vouches for nobody any more; somebody who has not heard of it speaks on."""
    for agent in told.agents.values():
        wait_until(agent, lambda status: sum(status["verified"].values()) > 0)
    root = told.node.certificate("root").hashed_id8.hex().upper()
    published = told.node.directory.with_name("revoked.crl")
    v2x_pki("crl", told.node.directory, "--revoke", root, "--whole-hierarchy", "--out", published)
    told.crl = published.read_bytes()
    ignorant = station_under(told.node, "aa")
    for name, agent in told.agents.items():
        told.refused_all[name] = wait_until(
            agent,
            has_understood,
            meanwhile=lambda: asyncio.run(speak(ignorant, air)),
        )


def has_understood(status: dict[str, Any]) -> bool:
    """Say whether an agent refuses what hangs below the revoked root, is silent itself, and has told its troubles."""
    return status["refused"].get("revoked_certificate", 0) >= 1 and bool(why_silent(status)) and bool(about(status, "tickets"))


def why_silent(status: dict[str, Any]) -> str:
    """Return why an agent sends nothing, empty while it does."""
    if "pseudonym" in status:
        return status["pseudonym"]["silent"] or ""
    if status["tickets"]["current"] is not None:
        return ""
    return "; ".join(status["tickets"].get("why_set_aside", ()))


def vehicle(story: Story, home: str) -> Agent:
    if home in story.skipped:
        missing(*story.skipped[home].rsplit(": apt install ", 1))
    return story.vehicles[home]


@pytest.mark.parametrize("home", HOMES)
def test_a_new_vehicle_enrols_and_gets_its_tickets(story: Story, home: str) -> None:
    car = vehicle(story, home)
    assert f"{TARGET_TICKETS} valid tickets" in story.enrolled[home]
    credential = read_certificate_file(car.directory / "state/credentials/credential-0001.oer")
    assert credential.hashed_id8.hex() in story.enrolled[home]
    assert credential.issuer.hashed_id8 == story.node.certificate("ea").hashed_id8


@pytest.mark.parametrize("home", HOMES)
def test_a_vehicle_that_drives_changes_its_pseudonym_and_everything_that_names_it(story: Story, home: str) -> None:
    packets = list(read_pcap(vehicle(story, home).directory / "state/radio.pcap"))
    names = {(packet.source_mac, claimed(packet.packet)) for packet in packets}
    assert len(names) >= 2
    assert len({mac for mac, _ in names}) == len({ticket for _, ticket in names}) == len(names)
    assert any(notice["kind"] == "pseudonym_changed" for notice in vehicle(story, home).notices)


def claimed(packet: bytes) -> str:
    """Return which ticket a packet says it is signed under."""
    claims = peek_claims(packet, BASIC_HEADER_OCTETS)
    assert claims is not None
    return claims.signer.hex()


def test_the_roadside_unit_believes_the_vehicles_under_every_name(story: Story) -> None:
    assert story.heard_by_rsu["verified"]["cam"] >= len(story.vehicles) + 1
    assert set(story.heard_by_rsu["refused"]) <= {"signer_certificate_not_found", "invalid_timestamp"}


@pytest.mark.parametrize("home", HOMES)
def test_a_revoked_credential_gets_no_more_tickets_and_the_vehicle_drives_on_with_what_it_has(story: Story, home: str) -> None:
    vehicle(story, home)
    status = story.refused_tickets[home]
    (trouble,) = about(status, "tickets")
    assert trouble["code"] == "deniedpermissions"
    assert status["pseudonym"]["tickets"]["held"] == TARGET_TICKETS
    assert status["sent"]["cam"] >= 3


@pytest.mark.parametrize("name", ["rsu", *HOMES])
def test_an_authority_that_was_never_logged_is_refused_with_evidence_though_its_chain_holds(story: Story, name: str) -> None:
    agent = story.rsu if name == "rsu" else vehicle(story, name)
    rogue = story.node.certificate(ROGUE)
    file = next(agent.evidence.glob(f"not_logged-{rogue.hashed_id8.hex().upper()}-*.json"))
    document = json.loads(file.read_text())
    chain = [b64decode(document["documents"][name]) for name in ("chain-0", "chain-1")]
    assert chain == [rogue.encoded, story.node.certificate("root").encoded]
    ticket = decode_certificate(b64decode(document["documents"]["ticket"]))
    assert ticket.issuer.hashed_id8 == rogue.hashed_id8
    assert "transparency log" in document["sentence"]
    assert any(notice["kind"] == "not_logged" for notice in agent.notices)


@pytest.mark.parametrize("name", ["rsu", *HOMES])
def test_the_tickets_of_a_revoked_root_are_refused_within_one_list_period(story: Story, name: str) -> None:
    agent = story.rsu if name == "rsu" else vehicle(story, name)
    assert story.refused_all[name]["refused"]["revoked_certificate"] >= 1
    root = story.node.certificate("root").hashed_id8.hex()
    told = [notice for notice in agent.notices if notice["kind"] == "trust_changed" and root in notice["revoked"]]
    published = time64_of(utc_from_text(told[0]["utc"])) // 1_000_000 - revocation(story).this_update
    assert published <= LIST_PERIOD_S


@pytest.mark.parametrize("name", ["rsu", *HOMES])
def test_under_a_revoked_root_every_agent_falls_silent_and_says_why(story: Story, name: str) -> None:
    agent = story.rsu if name == "rsu" else vehicle(story, name)
    status, root = story.refused_all[name], story.node.certificate("root").hashed_id8.hex()
    assert f"root {root} has revoked certificate" in why_silent(status)
    (trouble,) = about(status, "tickets")
    assert trouble["code"] == "revoked_certificate"
    assert trouble["detail"].startswith(f"{TARGET_TICKETS} ticket(s) are out of use")
    told = "ticket_set_aside" if name == "rsu" else "pseudonym_silent"
    assert any(notice["kind"] == told for notice in agent.notices)


def revocation(story: Story) -> Crl:
    """Return what the list that revoked the root says."""
    signed = decode_secured_data(story.crl).content
    assert isinstance(signed, SignedData)
    assert signed.payload is not None
    assert isinstance(signed.payload.content, UnsecuredData)
    stated = decode_trust_list(signed.payload.content.payload)
    assert isinstance(stated, Crl)
    return stated


@pytest.mark.parametrize("name", ["rsu", *HOMES])
def test_every_agent_ends_cleanly_and_says_no_secret(story: Story, name: str) -> None:
    agent = story.rsu if name == "rsu" else vehicle(story, name)
    assert story.exit_codes[name] == 0
    assert "Traceback" not in agent.errors
    assert "PRIVATE KEY" not in agent.errors


@pytest.mark.parametrize("home", ["pkcs11", "tpm2"])
def test_long_term_keys_in_a_token_are_in_no_file_of_the_vehicle(story: Story, home: str) -> None:
    car = vehicle(story, home)
    assert not (car.directory / "keys").exists()
    holding = [path.name for path in car.directory.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert holding == ["log.key"]  # of the ledger, which is another matter
