"""What a roadside unit says of itself, how often, and around which toll stations it asks for care."""

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from rsu_agent.cam_service import MAX_ZONES, RsuCamService
from rsu_agent.composition import RsuParts, make_agent
from rsu_agent.config import RsuConfig
from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, ManualClock, MonotonicNs, UtcNs
from shared.core.errors import ConfigError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid, StationId, StationType
from shared.core.itstime import generation_delta_time, time64_of, timestamp_its, utc_from_text
from shared.messages.cam import Cam, ProtectedZone, decode_cam, encode_cam
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.permissions import PsidSsp
from shared.service.config import load
from shared.stack.cam_permissions import PROTECTED_ZONES, granted_flags
from shared.stack.effects import Notice, Transmit
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import make_peer
from tests.helpers.pools import pool_of

HERE = GeoPoint(48.1312, 11.5498)
TOLL = ProtectedZone(is_temporary=False, lat_deg=48.132, lon_deg=11.55, radius_m=55, zone_id=77)
ALL_FLAGS = 0xFF_FC


def service(*zones: ProtectedZone, first_due_ms: int = 0) -> RsuCamService:
    return RsuCamService(station_id=StationId(9), position=HERE, zones=zones, first_due=MonotonicNs(first_due_ms * NS_PER_MS))


def at(ms: int) -> Instant:
    return Instant(MonotonicNs(ms * NS_PER_MS), UtcNs(NOON + ms * NS_PER_MS))


def said(cams: RsuCamService, until_ms: int, *, step_ms: int = 50, granted: int = ALL_FLAGS) -> list[tuple[int, Cam]]:
    spoken = []
    for ms in range(0, until_ms, step_ms):
        cam = cams.poll(at(ms), granted=granted)
        if cam is not None:
            spoken.append((ms, cam))
    return spoken


def test_a_unit_speaks_once_a_second_from_its_first_moment_on() -> None:
    assert [ms for ms, _ in said(service(first_due_ms=250), 4_000)] == [250, 1_250, 2_250, 3_250]


def test_two_cams_are_never_less_than_a_second_apart_even_if_a_timer_was_late() -> None:
    """The clause sets the least interval for units; a late one does not make the next one early."""
    times = [ms for ms, _ in said(service(), 6_000, step_ms=170)]
    assert min(b - a for a, b in pairwise(times)) >= 1_000
    assert len(times) >= 5


def test_it_says_where_it_stands_and_nothing_of_motion() -> None:
    ((_, cam),) = said(service(TOLL), 50)
    heard = decode_cam(encode_cam(cam))
    assert heard == cam
    assert (heard.station_type, heard.lat_deg, heard.lon_deg) == (StationType.ROAD_SIDE_UNIT, HERE.lat_deg, HERE.lon_deg)
    assert heard.protected_zones == (TOLL,)
    assert heard.generation_delta_time_ms == generation_delta_time(time64_of(NOON))
    assert (heard.speed_mps, heard.heading_deg, heard.low_frequency, heard.special_vehicle) == (None,) * 4


def test_as_many_zones_as_the_message_holds_fit() -> None:
    ((_, cam),) = said(service(*(replace(TOLL, zone_id=n) for n in range(MAX_ZONES))), 50)
    assert len(decode_cam(encode_cam(cam)).protected_zones or ()) == MAX_ZONES


def test_a_zone_leaves_with_its_expiry() -> None:
    until = timestamp_its(time64_of(UtcNs(NOON + 1_500 * NS_PER_MS)))
    spoken = said(service(replace(TOLL, expiry_time=until), replace(TOLL, zone_id=78)), 3_000)
    assert [[zone.zone_id for zone in cam.protected_zones or ()] for _, cam in spoken] == [[77, 78], [77, 78], [78]]


def test_zones_the_ticket_does_not_allow_are_left_out_counted_and_told_once() -> None:
    cams = service(TOLL)
    spoken = said(cams, 3_000, granted=ALL_FLAGS & ~PROTECTED_ZONES)
    assert [cam.protected_zones for _, cam in spoken] == [(), (), ()]
    assert cams.withheld == {"protected communication zones": 3}
    (notice,) = cams.take_notices()
    assert (notice.kind, notice.fields["zones"]) == ("zones_withheld", 1)
    assert cams.take_notices() == ()
    allowed = cams.poll(at(10_000), granted=PROTECTED_ZONES)
    assert allowed is not None
    assert allowed.protected_zones == (TOLL,)
    assert cams.poll(at(11_000), granted=0) is not None
    assert len(cams.take_notices()) == 1, "lost again, and so told again"


def test_without_trusted_time_nothing_is_said_and_that_is_counted() -> None:
    cams = service()
    assert cams.poll(Instant(MonotonicNs(0), None), granted=0) is None
    assert cams.untrusted_time == 1
    assert cams.next_due() == NS_PER_S
    assert cams.poll(at(1_000), granted=0) is not None


def unit_says(zones_allowed: bool) -> tuple[list[Cam], list[Notice], dict[str, object]]:  # noqa: FBT001 - a column of a table
    """Let a whole unit speak for three seconds and a neighbour verify it."""
    hierarchy, clock = Hierarchy(1), clock_at()
    permissions = TICKET_PERMISSIONS[StationRole.RSU]
    if not zones_allowed:
        permissions = (PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00"), *(p for p in permissions if p.psid != ItsAid.CAM))
    ticket = hierarchy.ticket(StationRole.RSU, permissions=permissions)
    agent = make_agent(
        RsuParts(
            station_id=StationId(9),
            position=HERE,
            ticket=ticket,
            trust_store=hierarchy.trust_store,
            tickets=pool_of(ticket),
            zones=(TOLL,),
        ),
        entropy=Random(3).randbytes,
    )
    listener, cams, notices = make_peer(hierarchy, 2), [], []
    for now, effect in _driven(agent.next_due, agent.on_timer, clock, 3.0):
        if isinstance(effect, Notice):
            notices.append(effect)
        elif isinstance(effect, Transmit):
            indication = listener.receive(effect.packet, now)
            assert indication is not None
            heard = indication.of(Cam)
            assert heard is not None
            cams.append(heard.message)
    return cams, notices, agent.status(clock.now())


def _driven(next_due: object, on_timer: object, clock: ManualClock, elapsed_s: float) -> list[tuple[Instant, object]]:
    assert callable(next_due)
    assert callable(on_timer)
    effects: list[tuple[Instant, object]] = []
    end = clock.now().monotonic + round(elapsed_s * NS_PER_S)
    while (due := max(next_due(), clock.now().monotonic)) <= end:
        now = clock.advance_to(MonotonicNs(due))
        effects += [(now, effect) for effect in on_timer(now)]
    return effects


def test_a_whole_unit_is_heard_with_its_zones_under_a_ticket_that_allows_them() -> None:
    cams, notices, status = unit_says(zones_allowed=True)
    assert [cam.protected_zones for cam in cams] == [(TOLL,)] * 3
    assert (notices, status["withheld"]) == ([], {})


def test_a_whole_unit_is_heard_without_its_zones_under_a_ticket_that_does_not() -> None:
    cams, notices, status = unit_says(zones_allowed=False)
    assert [cam.protected_zones for cam in cams] == [()] * 3
    assert [notice.kind for notice in notices] == ["zones_withheld"]
    assert status["withheld"] == {"protected communication zones": 3}


CONFIG = """\
[station]
station_id = 9
lat_deg = 48.1
lon_deg = 11.5

[identity]
trust = "trust"
ticket = "ticket"

[time]
source = "assume_trusted"

[state]
status_socket = "status.sock"
"""


def configured(folder: Path, zones: str) -> tuple[ProtectedZone, ...]:
    path = folder / "rsu.toml"
    path.write_text(CONFIG + zones)
    return tuple(each.zone for each in load(path, RsuConfig).protected_zone)


def test_zones_are_configured_by_place_and_what_else_is_known(tmp_path: Path) -> None:
    zones = configured(
        tmp_path,
        """
[[protected_zone]]
lat_deg = 48.132
lon_deg = 11.55
radius_m = 55
id = 77

[[protected_zone]]
lat_deg = -33.0
lon_deg = 151.2
temporary = true
expires = 2027-01-01T00:00:00Z
""",
    )
    end = timestamp_its(time64_of(utc_from_text("2027-01-01T00:00:00Z")))
    assert zones == (TOLL, ProtectedZone(is_temporary=True, lat_deg=-33.0, lon_deg=151.2, expiry_time=end))


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ("radius_m = 256", "radius_m"),
        ("id = 134217728", "id"),
        ("expires = 2003-12-31T23:59:59Z", "protected_zone"),
        ("expires = 2027-01-01T00:00:00", "expires"),
        ("height_m = 3", "height_m"),
    ],
)
def test_a_zone_no_message_can_say_is_refused_with_its_key(tmp_path: Path, wrong: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        configured(tmp_path, f"[[protected_zone]]\nlat_deg = 48.0\nlon_deg = 11.0\n{wrong}\n")


def test_more_zones_than_a_message_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="protected_zone"):
        configured(tmp_path, "[[protected_zone]]\nlat_deg = 48.0\nlon_deg = 11.0\n" * (MAX_ZONES + 1))


@pytest.mark.parametrize("ssp", [None, b"", b"\x01\xff", b"\x02\xff\xff", b"\x01\xff\xff\xff"])
def test_permissions_of_another_form_grant_nothing(ssp: bytes | None) -> None:
    assert granted_flags(ssp) == 0
