"""Untrusted, expired and under-privileged senders at a roadside unit: each refused for its reason, in status, table and metrics."""

from random import Random

import pytest
from msgspec.structs import replace
from rich.console import Console

from rsu_agent.agent import RsuAgent
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.metrics import metrics_text
from rsu_agent.refused_senders import MAX_LOOKS_PER_S, MAX_REFUSED_SENDERS, REFUSED_SENDER_LIFETIME_NS
from rsu_agent.status_view import status_tables
from shared.cli.status_words import items, section
from shared.core.clock import NS_PER_S, Instant, ManualClock
from shared.core.geo import displaced
from shared.core.ids import BtpPort, ItsAid, StationId
from shared.core.itstime import time64_of, timestamp_its
from shared.messages.cam import encode_cam
from shared.messages.denm import Termination
from shared.messages.spatem import encode_spatem
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.security.trust_store import TrustStore
from shared.stack.effects import Notice, Transmit
from shared.stack.station import Station
from shared.trust.suspicion import Standing
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer, spatem_of
from tests.helpers.pools import pool_of
from tests.helpers.unmannered import forged_message, roadworks_by

HIERARCHY = Hierarchy(1)
FOREIGN = Hierarchy(2)
UNIT_TICKET = HIERARCHY.ticket(StationRole.RSU)


def unit(trust_store: TrustStore | None = None) -> RsuAgent:
    parts = RsuParts(
        station_id=StationId(4049),
        position=HERE,
        ticket=UNIT_TICKET,
        trust_store=trust_store or HIERARCHY.trust_store,
        tickets=pool_of(UNIT_TICKET),
    )
    return make_agent(parts, entropy=Random(3).randbytes)


def cam(station: Station, now: Instant, *, east_m: float = 0.0) -> bytes:
    point = displaced(HERE, east_m, 0.0)
    return station.send(cam_of(station, now, point), position=ego(now, point), now=now)


def told(agent: RsuAgent, now: Instant) -> tuple[dict[str, object], str, str]:
    """Return what a unit says of itself: as a document, as tables, as metrics."""
    status = agent.status(now)
    console = Console(width=240)
    with console.capture() as capture:
        console.print(status_tables(status))
    return status, " ".join(capture.get().replace("│", " ").split()), metrics_text(status)


def test_a_peer_under_a_root_nobody_here_trusts_is_named_with_its_place_and_is_no_peer() -> None:
    known_but_not_trusted = TrustStore.of_operator(
        (HIERARCHY.root.certificate,), (HIERARCHY.aa.certificate, FOREIGN.aa.certificate)
    )
    agent, now, stranger = unit(known_but_not_trusted), clock_at().now(), make_peer(FOREIGN, 7)
    assert agent.on_packet(cam(stranger, now, east_m=40.0), now) == ()
    status, tables, metrics = told(agent, now)
    assert status["refused"] == {"untrusted_root": 1}
    assert status["peers"] == []
    (sender,) = items(status["refused_senders"])
    assert sender["refused"] == {"untrusted_root": 1}
    assert sender["lon_deg"] == pytest.approx(displaced(HERE, 40.0, 0.0).lon_deg, abs=1e-6)
    assert "which is no root this station trusts" in str(sender["why"])
    assert f"{sender['claimed_ticket']} 0.0 untrusted root 1" in tables
    assert 'v2x_rsu_packets_refused_total{reason="untrusted_root"} 1\n' in metrics
    assert "v2x_rsu_refused_senders 1\n" in metrics


def test_a_peer_under_an_authority_nobody_here_knows_is_named_and_a_ticket_not_shown_yet_is_not() -> None:
    agent, clock = unit(), clock_at()
    stranger, shy = make_peer(FOREIGN, 7), make_peer(HIERARCHY, 8)
    agent.on_packet(cam(stranger, clock.now()), clock.now())
    cam(shy, clock.now())  # shows its certificate to nobody who listens
    now = clock.advance(NS_PER_S // 5)
    agent.on_packet(cam(shy, now), now)
    status, _, _ = told(agent, now)
    assert status["refused"] == {"signer_certificate_not_found": 2}
    (sender,) = items(status["refused_senders"])
    assert "issuing authority" in str(sender["why"])


def test_a_peer_under_a_ticket_that_has_run_out_is_refused_for_that_and_named() -> None:
    agent, clock = unit(), clock_at()
    ticket = HIERARCHY.ticket(valid_hours=1)
    station = make_peer(HIERARCHY, 7)
    message = encode_cam(cam_of(station, clock.now()))
    agent.on_packet(forged_message(ticket, message, BtpPort.CAM, ItsAid.CAM, clock.now()), clock.now())
    status, tables, metrics = told(agent, clock.now())
    assert status["refused"] == {"expired_certificate": 1}
    (sender,) = items(status["refused_senders"])
    assert sender["claimed_ticket"] == ticket.certificate.hashed_id8.hex()
    assert "expired certificate 1" in tables
    assert 'v2x_rsu_packets_refused_total{reason="expired_certificate"} 1\n' in metrics
    agent.on_packet(cam(station, clock.now()), clock.now())
    assert agent.status(clock.now())["refused"] == {"expired_certificate": 1}


def test_a_car_that_warns_of_roadworks_is_refused_as_under_privileged_and_its_own_signature_makes_it_doubted() -> None:
    agent, clock = unit(), clock_at()
    ticket = HIERARCHY.ticket()
    station = make_peer(HIERARCHY, 7, ticket=ticket)
    agent.on_packet(cam(station, clock.now()), clock.now())
    now = clock.advance(NS_PER_S // 5)
    agent.on_packet(roadworks_by(station, ticket, now), now)
    status, tables, metrics = told(agent, now)
    assert status["refused"] == {"permission_denied": 1}
    assert status["refused_senders"] == [], "it is shown who said it: no mere name"
    assert status["events"] == []
    (peer,) = items(status["peers"])
    assert (peer["station_id"], peer["messages"], peer["refused"]) == (7, {"cam": 1}, {"permission_denied": 1})
    assert (peer["standing"], peer["found"]) == ("doubted", {"S1": 1})
    assert peer["why"] == "permission_denied: the ticket does not allow a DENM of cause 3"
    assert "cam 1 doubted" in tables
    assert "held against 1 peer " in tables
    assert "permission denied 1 permission_denied: the ticket does not allow a DENM of cause 3" in tables
    assert 'v2x_rsu_packets_refused_total{reason="permission_denied"} 1\n' in metrics
    assert 'v2x_rsu_peers{standing="doubted"} 1\n' in metrics
    assert 'v2x_rsu_findings_total{check="S1"} 1\n' in metrics


def test_a_car_that_plays_traffic_light_is_refused_before_its_signature_is_looked_at_and_so_only_named() -> None:
    agent, now, ticket = unit(), clock_at().now(), HIERARCHY.ticket()
    station = make_peer(HIERARCHY, 7, ticket=ticket)
    agent.on_packet(forged_message(ticket, encode_spatem(spatem_of(station)), BtpPort.SPATEM, ItsAid.TLM, now), now)
    status, _, _ = told(agent, now)
    assert status["refused"] == {"permission_denied": 1}
    assert status["peers"] == []
    (sender,) = items(status["refused_senders"])
    assert sender["refused"] == {"permission_denied": 1}


def test_what_somebody_else_sends_under_a_peer_s_name_is_not_held_against_the_peer() -> None:
    agent, clock, station = unit(), clock_at(), make_peer(HIERARCHY, 7)
    agent.on_packet(cam(station, clock.now()), clock.now())
    for _ in range(20):
        now = clock.advance(NS_PER_S // 10)
        genuine = cam(station, now)
        agent.on_packet(genuine[:-1] + bytes([genuine[-1] ^ 1]), now)
        agent.on_packet(genuine, now)
        agent.on_packet(genuine, now)
    agent.on_packet(genuine, clock.advance(5 * NS_PER_S))
    (peer,) = agent.peers
    assert (peer.standing, peer.score, peer.refused) == (Standing.BELIEVED, 0.0, ())
    status = agent.status(clock.now())
    assert status["refused"] == {"false_signature": 20, "duplicate_message": 20, "invalid_timestamp": 1}
    (sender,) = items(status["refused_senders"])
    assert sender["refused"] == {"false_signature": 20}, "copies say nothing about whom they name"


def test_a_peer_s_content_signed_by_another_and_its_name_in_another_s_messages_are_not_held_against_the_peer() -> None:
    agent, clock, station = unit(), clock_at(), make_peer(HIERARCHY, 7)
    twin = make_peer(HIERARCHY, 7)
    for number in range(20):
        now = clock.advance(NS_PER_S // 10)
        agent.on_packet(cam(station, now, east_m=number), now)
        agent.on_packet(cam(twin, now, east_m=number), now)
        jumped = 900.0 * (number % 2)
        now = clock.advance(NS_PER_S // 10)
        agent.on_packet(cam(twin, now, east_m=jumped), now)
    standings = {peer.standing for peer in agent.peers if not peer.found}
    assert [peer.station_id for peer in agent.peers] == [7, 7], "one name, two tickets, two rows"
    assert standings == {Standing.BELIEVED}
    assert agent.status(clock.now())["standings"] == {"believed": 1, "doubted": 0, "ignored": 1}


def test_whoever_takes_another_s_event_number_first_does_not_make_the_other_look_bad() -> None:
    agent, clock = unit(), clock_at()
    honest, thief = make_peer(HIERARCHY, 7), make_peer(HIERARCHY, 7)
    now = clock.now()
    stolen = denm_of(thief, now)
    agent.on_packet(thief.send(stolen, position=ego(now), now=now, area=None), now)
    for _ in range(6):
        now = clock.advance(NS_PER_S // 2)
        reference_time = timestamp_its(time64_of(now.require_utc()))
        over = replace(denm_of(honest, now), reference_time=reference_time, termination=Termination.IS_CANCELLATION)
        agent.on_packet(honest.send(over, position=ego(now), now=now, area=None), now)
    peers = {dict(peer.refused).get("permission_denied"): peer for peer in agent.peers}
    assert (peers[6].standing, peers[6].score, peers[6].found) == (Standing.BELIEVED, 0.0, ()), "counted, and not held against it"
    assert len(items(agent.status(now)["events"])) == 1


def jump_about(agent: RsuAgent, station: Station, clock: ManualClock, times: int) -> list[Notice]:
    notices: list[Notice] = []
    for number in range(times):
        now = clock.advance(NS_PER_S // 5)
        effects = agent.on_packet(cam(station, now, east_m=400.0 * (number % 2)), now)
        notices += [effect for effect in effects if isinstance(effect, Notice)]
    return notices


def test_a_car_that_jumps_about_is_ignored_told_once_and_its_warnings_are_not_taken_up_until_it_makes_sense_again() -> None:
    agent, clock, station = unit(), clock_at(), make_peer(HIERARCHY, 7)
    (notice,) = jump_about(agent, station, clock, 10)
    assert (notice.kind, notice.fields["station_id"], notice.fields["checks"]) == ("peer_ignored", 7, {"C1": 3})
    assert "the position jumped by 400 m within 0.20 s" in str(notice.fields["reason"])
    now = clock.advance(NS_PER_S // 5)
    warning = station.send(denm_of(station, now), position=ego(now), now=now, area=None)
    agent.on_packet(warning, now)
    status, tables, metrics = told(agent, now)
    assert status["events"] == []
    assert status["refused"] == {"ignored_sender": 1}
    (peer,) = items(status["peers"])
    assert (peer["standing"], peer["refused"]) == ("ignored", {"ignored_sender": 1})
    assert peer["is_reportable"] is False, "one check alone accuses nobody"
    assert "1 peer, 1 ignored" in tables
    assert 'v2x_rsu_peers{standing="ignored"} 1\n' in metrics
    assert "v2x_rsu_peers_ignored_total 1\n" in metrics
    for number in range(40):
        now = clock.advance(NS_PER_S // 5)
        agent.on_packet(cam(station, now, east_m=400.0 + number), now)
    (calm,) = agent.peers
    assert calm.standing is Standing.BELIEVED
    now = clock.advance(NS_PER_S // 5)
    agent.on_packet(station.send(denm_of(station, now, sequence_number=2), position=ego(now), now=now, area=None), now)
    assert len(items(agent.status(now)["events"])) == 1


def test_a_warning_of_somebody_ignored_is_neither_taken_up_nor_kept_alive_and_forwarded_as_the_network_asks() -> None:
    agent, clock, station = unit(), clock_at(), make_peer(HIERARCHY, 7)
    agent.on_timer(clock.now())
    jump_about(agent, station, clock, 5)
    now = clock.advance(NS_PER_S // 5)
    warning = replace(denm_of(station, now), transmission_interval_ms=1_000)
    agent.on_packet(station.send(warning, position=ego(now), now=now, area=Circle(centre=HERE, radius_m=500.0)), now)
    assert agent.status(now)["refused"] == {"ignored_sender": 1}
    assert agent.status(now)["events"] == []
    sent = [effect.packet for effect in agent.on_timer(clock.advance(NS_PER_S)) if isinstance(effect, Transmit)]
    status = agent.status(clock.now())
    assert section(section(status, "router"), "heard")["forwarded"] == 1
    assert section(status, "kept_alive") == {}
    assert sent != []


def test_names_on_refused_packets_are_bounded_looked_at_so_often_and_forgotten() -> None:
    agent, clock = unit(), clock_at()
    genuine = cam(make_peer(HIERARCHY, 7), clock.now())
    tickets = [HIERARCHY.ticket(valid_hours=1) for _ in range(MAX_REFUSED_SENDERS + 10)]
    for ticket in tickets:
        agent.on_packet(forged_message(ticket, b"\x02\x02" + bytes(30), BtpPort.CAM, ItsAid.CAM, clock.now()), clock.now())
    names = [sender.ticket for sender in agent.plausibility.refused_senders]
    assert names == [ticket.certificate.hashed_id8 for ticket in tickets[10:]]
    broken = genuine[:-1] + bytes([genuine[-1] ^ 1])
    for _ in range(MAX_LOOKS_PER_S):
        agent.on_packet(broken, clock.now())
    assert agent.plausibility.refused_senders.not_looked_at == MAX_REFUSED_SENDERS + 10
    assert agent.peers.refused == {"expired_certificate": MAX_REFUSED_SENDERS + 10, "false_signature": MAX_LOOKS_PER_S}
    assert agent.status(clock.advance(REFUSED_SENDER_LIFETIME_NS + 1))["refused_senders"] == []


def test_a_brief_status_counts_who_is_around_and_does_not_list_them() -> None:
    agent, clock = unit(), clock_at()
    jump_about(agent, make_peer(HIERARCHY, 7), clock, 6)
    agent.on_packet(cam(make_peer(HIERARCHY, 8), clock.now()), clock.now())
    brief, whole = agent.status(clock.now(), brief=True), agent.status(clock.now())
    assert brief["standings"] == {"believed": 1, "doubted": 0, "ignored": 1}
    assert set(whole) - set(brief) == {"peers", "refused_senders"}
    assert metrics_text(brief) == metrics_text(whole)
