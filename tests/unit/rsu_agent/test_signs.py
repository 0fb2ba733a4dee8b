"""The operator's signs: a file that says what no sign can is refused, and what it says reaches a car until it is taken down."""

from pathlib import Path

import pytest

from rsu_agent.sign_files import MAX_SIGNS, Sign, load_signs
from rsu_agent.sign_service import CANCELLED_FOR_NS, SaidSign, SignService
from shared.core.clock import NS_PER_S, ManualClock, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.ids import StationId
from shared.core.itstime import time64_of, timestamp_its
from shared.messages.ivim import Ivim, IviStatus, IviType, decode_ivim, encode_ivim
from shared.pki.permission_sets import StationRole
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.identities import ego, make_peer
from tests.helpers.priority import JUNCTIONS

EXAMPLE = JUNCTIONS / "crossing.signs.toml"
UNIT_ID = StationId(4049)
HEAD = '[provider]\ncountry = "DE"\nidentifier = 7\n'
SIGN = """
[[sign]]
number = 1
type = "danger"
reference_deg = [48.137, 11.575]
relevance_deg = [[48.138, 11.575]]
"""
PICTOGRAM = "[[sign.pictogram]]\niso14823 = 131\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "signs.toml"
    path.write_text(text)
    return path


def drive(service: SignService, clock: ManualClock, elapsed_s: float) -> list[SaidSign]:
    end = MonotonicNs(clock.now().monotonic + round(elapsed_s * NS_PER_S))
    said: list[SaidSign] = []
    while (due := service.next_due()) is not None and due <= end:
        said += service.poll(clock.advance_to(MonotonicNs(max(due, clock.now().monotonic))))
    clock.advance_to(end)
    return said


def sign(tmp_path: Path, more: str = "", pictogram: str = PICTOGRAM) -> Sign:
    (loaded,) = load_signs(written(tmp_path, f"{HEAD}{SIGN}{more}{pictogram}"))
    return loaded


def test_the_example_says_thirty_to_a_car_over_hops() -> None:
    hierarchy, clock = Hierarchy(75), clock_at()
    (example,) = load_signs(EXAMPLE)
    unit, car = make_peer(hierarchy, 1, StationRole.RSU), make_peer(hierarchy, 2)
    (said,) = SignService((example,), unit.identity.station_id).poll(clock.now())
    packet = unit.send(said.ivim, position=ego(clock.now()), now=clock.now(), area=said.area)
    indication = car.receive(packet, clock.now())
    assert indication is not None
    assert indication.message == said.ivim
    assert indication.area is not None
    ivim = said.ivim
    assert (ivim.status, ivim.ivi_identification_number) == (IviStatus.NEW, 211)
    (location,), (signs,) = [c.location for c in ivim.containers if c.location], [c.signs for c in ivim.containers if c.signs]
    assert [zone.zone_id for zone in location.zones] == [1, 2]
    (shown,) = signs
    assert (shown.ivi_type, shown.relevance_zone_ids, shown.detection_zone_ids) == (IviType.REGULATORY_MESSAGES, (1,), (2,))
    (pictogram,) = shown.road_signs
    assert pictogram.iso14823 is not None
    assert pictogram.iso14823.category_code == 557
    (attribute,) = pictogram.iso14823.attributes
    assert attribute.speeds is not None
    assert attribute.speeds.highest == 30
    assert [line.text for line in shown.extra_text] == ["Baustelle"]


def test_a_sign_of_vienna_has_its_letter_number_and_value(tmp_path: Path) -> None:
    loaded = sign(tmp_path, pictogram='[[sign.pictogram]]\nvienna = "C14a"\nspeed_limit_kmh = 80\n')
    (road_sign,) = loaded.signs.road_signs
    assert road_sign.vienna is not None
    assert (road_sign.vienna.sign_class, road_sign.vienna.sign_code, road_sign.vienna.option) == (2, 14, 1)
    assert road_sign.vienna.speed_mps == pytest.approx(80 / 3.6)


@pytest.mark.parametrize(
    ("more", "pictogram", "sentence"),
    [
        ("radius_m = 5000\n", PICTOGRAM, "radius_m"),
        ("width_m = 11\n", PICTOGRAM, "width_m"),
        ("colour = 1\n", PICTOGRAM, "unknown key"),
        ("valid_from = 2026-11-22T12:00:00\n", PICTOGRAM, "valid_from"),
        ("valid_until = 1999-11-22T12:00:00Z\n", PICTOGRAM, "valid_until is not between 2004 and 2100"),
        ("valid_from = 2026-11-22T12:00:00Z\nvalid_until = 2026-11-22T11:00:00Z\n", PICTOGRAM, "valid_until is not after"),
        ("detection_deg = [[48.2, 11.575]]\n", PICTOGRAM, "too far from the point before"),
        ("detection_deg = [[95.0, 11.575]]\n", PICTOGRAM, "no such place"),
        ("", "", "pictogram"),
        ("", "[[sign.pictogram]]\n", "either iso14823 or vienna"),
        ("", '[[sign.pictogram]]\niso14823 = 131\nvienna = "C14"\n', "either iso14823 or vienna"),
        ("", '[[sign.pictogram]]\nvienna = "C65"\n', "beyond 64"),
        ("", "[[sign.pictogram]]\niso14823 = 1000\n", "iso14823"),
        ("", PICTOGRAM + '[[sign.text]]\nlanguage = "de"\ntext = "x"\n', "language"),
        ("", PICTOGRAM + SIGN + PICTOGRAM, "1 is given twice"),
        (
            "",
            PICTOGRAM + '[[sign.text]]\nlanguage = "DE"\ntext = "{}"\n'.format("\U0001f6a7" * 100) * 4,
            "more than the 1394 of one",
        ),
    ],
)
def test_a_file_that_says_what_no_sign_can_is_refused_with_its_key(
    tmp_path: Path, more: str, pictogram: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        sign(tmp_path, more, pictogram)
    assert str(tmp_path) in caught.value.path


def test_too_many_signs_are_refused(tmp_path: Path) -> None:
    many = "".join(SIGN.replace("number = 1", f"number = {number}") + PICTOGRAM for number in range(1, MAX_SIGNS + 2))
    with pytest.raises(ConfigError, match="sign"):
        load_signs(written(tmp_path, HEAD + many))


def test_a_sign_is_repeated_under_one_date_until_its_end(tmp_path: Path) -> None:
    clock = clock_at()
    service = SignService((sign(tmp_path, "repetition_s = 0.5\nvalid_until = 2026-11-22T12:00:03Z\n"),), UNIT_ID)
    said = drive(service, clock, 10.0)
    assert len(said) == 6
    assert {one.ivim.timestamp for one in said} == {timestamp_its(time64_of(NOON))}
    assert service.next_due() is None
    assert service.counters == {"said": 6, "ended": 1}
    for one in said:
        assert decode_ivim(encode_ivim(one.ivim)) == one.ivim


def test_a_sign_that_is_taken_down_is_cancelled_for_a_while(tmp_path: Path) -> None:
    clock = clock_at()
    service = SignService((sign(tmp_path),), UNIT_ID)
    drive(service, clock, 2.5)
    (first,) = service.stop(clock.now())
    cancelled: list[Ivim] = [first.ivim, *(one.ivim for one in drive(service, clock, 30.0))]
    assert {ivim.status for ivim in cancelled} == {IviStatus.CANCELLATION}
    assert len(cancelled) == CANCELLED_FOR_NS // NS_PER_S
    assert all(not ivim.containers for ivim in cancelled)
    assert service.next_due() is None


def test_other_signs_in_place_of_those_there_are_go_on_begin_and_end(tmp_path: Path) -> None:
    clock = clock_at()
    kept, changed, gone = (
        load_signs(written(tmp_path, HEAD + SIGN.replace("number = 1", f"number = {number}") + PICTOGRAM))[0]
        for number in (1, 2, 3)
    )
    (other,) = load_signs(written(tmp_path, HEAD + SIGN.replace("number = 1", "number = 2") + "width_m = 3.0\n" + PICTOGRAM))
    service = SignService((kept, changed, gone), UNIT_ID)
    drive(service, clock, 1.5)
    service.change((kept, other))
    said = {one.ivim.ivi_identification_number: one.ivim.status for one in drive(service, clock, 1.0)}
    assert said == {1: IviStatus.NEW, 2: IviStatus.UPDATE, 3: IviStatus.CANCELLATION}
    service.change((kept, other, gone))
    said = {one.ivim.ivi_identification_number: one.ivim.status for one in drive(service, clock, 1.0)}
    assert said[3] is IviStatus.UPDATE, "it is there again"
    service.change((kept, changed, gone))
    service.change((kept,))
    said = {one.ivim.ivi_identification_number: one.ivim.status for one in drive(service, clock, 1.0)}
    assert said[2] is IviStatus.CANCELLATION, "it was heard of, if not in this version"


def test_a_sign_nobody_has_heard_of_is_taken_down_silently(tmp_path: Path) -> None:
    service = SignService((sign(tmp_path),), UNIT_ID)
    assert service.stop(clock_at().now()) == ()
    assert service.next_due() is None


def test_without_a_date_no_sign_is_said_and_it_is_counted(tmp_path: Path) -> None:
    clock = ManualClock(None)
    service = SignService((sign(tmp_path),), UNIT_ID)
    assert drive(service, clock, 2.5) == []
    assert service.counters == {"untrusted_time": 3}
    clock.set_utc(NOON)
    assert len(drive(service, clock, 1.0)) == 1
