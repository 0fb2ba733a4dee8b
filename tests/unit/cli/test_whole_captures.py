"""A capture of everything agents say, by two radios, with what a forwarder repeats: shown and judged to the last packet."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from shared.cli.main import app
from shared.core.clock import UtcNs
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of
from shared.messages import samples
from shared.messages.denm import Denm, Termination
from shared.network.area import Area, Circle
from shared.network.headers import forwarded
from shared.network.packet import encode_beacon
from shared.pki.permission_sets import StationRole
from shared.security.header_info import HeaderInfo
from shared.service.trust_directory import write_trust_directory
from shared.stack.content_permissions import Message
from shared.stack.station import Station
from shared.transport.capture import open_capture
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at, seconds
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer
from tests.helpers.stations import sealed
from tests.unit.network.samples import VECTOR

HIERARCHY = Hierarchy(41)
AREA = Circle(centre=HERE, radius_m=500.0)
CAR, BUS, UNIT = 2, 3, 15
STEP = 0.1

ROWS = (
    ("cam", "CAM of passenger car 2, 50.0 km/h"),
    ("denm", "DENM of station 2: stationary vehicle"),
    ("denm", "DENM of station 2: event 1 of station 2 cancelled"),
    ("denm", "DENM of station 3: event 1 of station 2 denied"),
    ("spatem", "SPATEM of station 15: "),
    ("mapem", "MAPEM of station 15: "),
    ("ivim", "IVIM of station 15: 1 road signs"),
    ("ssem", "SSEM of station 15: 1 answers"),
    ("srem", "SREM of station 3: 1 requests"),
    ("beacon", "beacon of 02:00:00:00:00:02"),
)


def ended(denm: Denm, how: Termination) -> Denm:
    return replace(denm, termination=how, cause_code=None, information_quality=None)


def said() -> Iterator[tuple[bytes, UtcNs]]:
    """Let a car, a bus and a unit say everything they can."""
    clock = clock_at()
    car, bus = make_peer(HIERARCHY, CAR), make_peer(HIERARCHY, BUS, StationRole.PUBLIC_TRANSPORT)
    unit = make_peer(HIERARCHY, UNIT, StationRole.RSU)
    hazard = denm_of(car, clock.now())
    everything: tuple[tuple[Station, Message, Area | None], ...] = (
        (car, cam_of(car, clock.now()), None),
        (car, hazard, AREA),
        (car, ended(hazard, Termination.IS_CANCELLATION), AREA),
        (bus, ended(hazard, Termination.IS_NEGATION), AREA),
        (unit, samples.SPATEM, None),
        (unit, samples.MAPEM, None),
        (unit, samples.IVIM, AREA),
        (unit, samples.SSEM, None),
        (bus, samples.SREM, None),
    )
    for station, message, area in everything:
        clock.advance(seconds(STEP))
        own, now = replace(message, station_id=station.identity.station_id), clock.now()
        yield station.send(own, position=ego(now), now=now, area=area), now.require_utc()
    now = clock.now()
    yield car.send_beacon(position=ego(now), now=now), now.require_utc()


@pytest.fixture(name="trust", scope="module")
def _trust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trust")
    write_trust_directory(directory, HIERARCHY.trust_store)
    return directory


def v2x(command: str, capture: Path, *options: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, [command, str(capture), *options], env={"COLUMNS": "200"})
    assert result.exit_code == status, result.output + repr(result.exception)
    return result.stdout


@pytest.fixture(name="capture", params=["all.pcap", "all.pcapng"])
def _capture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / str(request.param)
    with open_capture(path) as writer:
        for packet, utc in said():
            writer.write(packet, utc=utc)
    return path


def test_every_kind_is_shown_in_a_row_and_nothing_of_it_is_refused(capture: Path) -> None:
    rows = v2x("decode", capture, "--brief").splitlines()[1:]
    assert [summary in row for row, (_, summary) in zip(rows, ROWS, strict=True)] == [True] * len(ROWS), rows
    assert "refused" not in v2x("decode", capture, "--limit", "100")


def test_every_kind_is_judged_and_a_beacon_is_no_stranger(capture: Path, trust: Path) -> None:
    verdicts = [json.loads(line) for line in v2x("verify", capture, "--trust", str(trust), "--json").splitlines()]
    assert [(one["message"], one["verdict"], one["is_copy"]) for one in verdicts] == [(kind, "verified", False) for kind, _ in ROWS]
    assert f"{len(ROWS)} messages: {len(ROWS)} verified" in v2x("verify", capture, "--trust", str(trust))


def test_copies_of_two_radios_and_of_a_forwarder_are_told_from_a_recording_played_back(tmp_path: Path, trust: Path) -> None:
    packets = list(said())
    cam, hazard = packets[0], packets[1]
    repeated = forwarded(hazard[0])
    heard = (
        (*cam, "its-g5", "verified", False),
        (*cam, "cell", "verified", True),
        (*cam, "cell", "duplicate_message", False),
        (*hazard, "its-g5", "verified", False),
        (repeated, hazard[1], "its-g5", "verified", True),
        (forwarded(repeated), hazard[1], "cell", "verified", True),
        (*hazard, "its-g5", "duplicate_message", False),
        (hazard[0][:3] + b"\x0b" + hazard[0][4:], hazard[1], "cell", "duplicate_message", False),
        (b"\x22" + repeated[1:], hazard[1], "cell", "malformed", False),
    )
    path = tmp_path / "radios.pcapng"
    with open_capture(path) as writer:
        for packet, utc, link, _, _ in heard:
            writer.write(packet, utc=utc, link=link)
    lines = v2x("verify", path, "--trust", str(trust), "--json", status=1).splitlines()
    assert [(one["verdict"], one["is_copy"]) for one in map(json.loads, lines)] == [each[3:] for each in heard]
    assert v2x("verify", path, "--trust", str(trust), status=1).count("verified; a copy of one before") == 3


@pytest.mark.parametrize(("its_aid", "code"), [(ItsAid.GN_MANAGEMENT, None), (ItsAid.CAM, "unsupported_packet")])
def test_a_beacon_is_one_only_if_it_is_signed_as_such(its_aid: ItsAid, code: str | None) -> None:
    header = HeaderInfo(psid=its_aid, generation_time=time64_of(NOON))
    secured = sealed(HIERARCHY.ticket(), encode_beacon(VECTOR, is_mobile=True), header)
    shown = CliRunner().invoke(app, ["decode", secured.hex(), "--json"])
    document = json.loads(shown.stdout)
    assert [layer["layer"] for layer in document["layers"]][-1] == "beacon"
    assert (document["refusal"] or {}).get("code") == code
    assert shown.exit_code == (0 if code is None else 1)
