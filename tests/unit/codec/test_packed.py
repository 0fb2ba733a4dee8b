"""Lists kept as their bits: what they accept, what they are to a reader, and that nobody can tell them from tuples."""

import copy
import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.codec.packed import Packed, Packing
from shared.codec.uper_composites import Component
from shared.codec.uper_composites import Sequence as SequenceType
from shared.codec.uper_scalars import ConstrainedInteger
from shared.core.errors import DecodeError, EncodeError
from shared.messages import samples
from shared.messages.cam import CODEC, Cam, LowFrequency, decode_cam, encode_cam
from shared.messages.cdd import ExteriorLights, PathPoint, VehicleRole
from shared.messages.positions import path_led_by

POINT_BITS = 69
WIRE_POINTS = st.tuples(st.integers(0, (1 << 18) - 1), st.integers(0, (1 << 18) - 1), st.integers(0, 32767), st.integers(0, 131071))


def cam_with(path: Sequence[PathPoint]) -> Cam:
    low_frequency = LowFrequency(vehicle_role=VehicleRole.DEFAULT, exterior_lights=ExteriorLights(0), path_history=path)
    return replace(samples.CAM, low_frequency=low_frequency)


def path_of(cam: Cam) -> Sequence[PathPoint]:
    assert cam.low_frequency is not None
    return cam.low_frequency.path_history


def points(count: int) -> tuple[PathPoint, ...]:
    return tuple(PathPoint(n / 1e7, -n / 1e7, n / 100, (n + 1) / 100) for n in range(count))


def with_path_bits(wire: Sequence[tuple[int, int, int, int]]) -> bytes:
    """Return a CAM whose path history has these counts, whether they may be there or not."""
    even = encode_cam(cam_with((PathPoint(0.0, 0.0, 0.0, 0.01),) * len(wire)))
    odd = encode_cam(cam_with((*(PathPoint(0.0, 0.0, 0.0, 0.01),) * (len(wire) - 1), PathPoint(0.0, 0.0, 0.0, 0.02))))
    bits = int.from_bytes(even, "big")
    behind = (bits ^ int.from_bytes(odd, "big")).bit_length() - 1  # the lowest bit of the last time is all they differ in
    for number, (lat, lon, altitude, time) in enumerate(reversed(wire)):
        shift = behind + POINT_BITS * number
        bits &= ~(((1 << POINT_BITS) - 1) << shift)
        bits |= (1 << 68 | lat << 50 | lon << 32 | altitude << 17 | time) << shift
    return bits.to_bytes(len(even), "big")


@pytest.mark.parametrize("count", [1, 2, 7, 39, 40])
def test_a_path_in_its_usual_form_is_kept_as_its_bits_and_equals_the_tuple(count: int) -> None:
    heard = decode_cam(encode_cam(cam_with(points(count))))
    path = path_of(heard)
    assert isinstance(path, Packed)
    assert isinstance(path, Sequence)
    assert (path, hash(path), len(path), repr(path)) == (points(count), hash(points(count)), count, repr(points(count)))
    assert points(count) == path
    assert heard == cam_with(points(count))
    assert hash(heard) == hash(cam_with(points(count)))


def test_its_items_are_reached_as_a_tuples_are() -> None:
    path = path_of(decode_cam(encode_cam(cam_with(points(9)))))
    as_tuple = points(9)
    assert [path[n] for n in range(-9, 9)] == [as_tuple[n] for n in range(-9, 9)]
    assert path[2:7:2] == as_tuple[2:7:2]
    assert list(reversed(path)) == list(reversed(as_tuple))
    assert as_tuple[4] in path
    assert (path.count(as_tuple[4]), path.index(as_tuple[4])) == (1, 4)
    with pytest.raises(IndexError):
        path[9]
    with pytest.raises(ValueError, match="not in tuple"):
        path.index(None)


def test_it_differs_from_what_is_not_the_same_list() -> None:
    path = path_of(decode_cam(encode_cam(cam_with(points(3)))))
    assert path != points(4)
    assert path != path_of(decode_cam(encode_cam(cam_with(points(4)))))
    assert path != list(points(3))
    assert path != object()


def test_a_copy_is_the_same_list() -> None:
    path = path_of(decode_cam(encode_cam(cam_with(points(3)))))
    assert copy.deepcopy(path) == path
    assert pickle.loads(pickle.dumps(path)) == path


@pytest.mark.parametrize("without", [0, 1, 2])
def test_a_path_with_a_point_without_time_is_a_tuple(without: int) -> None:
    path = list(points(3))
    path[without] = replace(path[without], delta_time_s=None)
    heard = path_of(decode_cam(encode_cam(cam_with(tuple(path)))))
    assert isinstance(heard, tuple)
    assert heard == tuple(path)


def test_an_empty_path_is_an_empty_tuple() -> None:
    assert path_of(decode_cam(encode_cam(cam_with(())))) == ()


@given(wire=st.lists(WIRE_POINTS, min_size=1, max_size=40))
def test_the_check_of_all_points_at_once_is_the_check_of_each(wire: list[tuple[int, int, int, int]]) -> None:
    encoded = with_path_bits(wire)
    try:
        completely = CODEC.decode_completely(encoded)
    except DecodeError:
        with pytest.raises(DecodeError):
            decode_cam(encoded)
        return
    heard = decode_cam(encoded)
    assert heard == completely
    regular = all(altitude <= 25_500 and time <= 65_534 for _, _, altitude, time in wire)
    assert isinstance(path_of(heard), Packed) is regular
    assert encode_cam(heard) == encoded


@pytest.mark.parametrize("at", range(0, 40, 13))
@pytest.mark.parametrize(("altitude", "time"), [(25_501, 0), (32_767, 65_534), (0, 65_535), (25_500, 65_536), (0, 131_071)])
def test_one_point_out_of_range_is_found_wherever_it_is(at: int, altitude: int, time: int) -> None:
    wire = [(0, 0, 25_500, 65_534)] * 40
    assert isinstance(path_of(decode_cam(with_path_bits(wire))), Packed)
    wire[at] = (262_143, 262_143, altitude, time)
    encoded = with_path_bits(wire)
    with pytest.raises(DecodeError) as refusal:
        decode_cam(encoded)
    assert f"pathHistory[{at}]" in refusal.value.field


def test_a_path_grows_at_its_front() -> None:
    path: Sequence[PathPoint] = ()
    for point in reversed(points(40)):
        path = path_led_by(point, path)
        assert isinstance(path, Packed)
    assert path == points(40)
    assert encode_cam(cam_with(path)) == encode_cam(cam_with(points(40)))


def test_a_path_heard_can_be_sent_with_a_point_in_front() -> None:
    heard = path_of(decode_cam(encode_cam(cam_with(points(3)))))
    longer = path_led_by(points(9)[8], heard)
    assert isinstance(longer, Packed)
    assert longer == (points(9)[8], *points(3))


@pytest.mark.parametrize("unusual", [PathPoint(0.0, 0.0), PathPoint(0.0, 0.0, 0.0, -1.0), PathPoint(0.0, 0.0, 0.0, 700.0)])
def test_a_point_in_no_usual_form_makes_the_path_a_tuple(unusual: PathPoint) -> None:
    packed = path_led_by(points(1)[0], ())
    path = path_led_by(unusual, packed)
    assert isinstance(path, tuple)
    assert path == (unusual, points(1)[0])
    assert path_led_by(points(2)[1], path) == (points(2)[1], unusual, points(1)[0])


def test_a_path_too_long_is_refused_packed_or_not() -> None:
    path = path_of(decode_cam(encode_cam(cam_with(points(40)))))
    for too_long in (path_led_by(points(1)[0], path), points(41)):
        with pytest.raises(EncodeError, match="pathHistory: size 41"):
            encode_cam(cam_with(too_long))


def sequence_of(*spans: int) -> SequenceType:
    return SequenceType(tuple(Component(f"c{n}", ConstrainedInteger(0, span)) for n, span in enumerate(spans)))


@pytest.mark.parametrize("spans", [(5, 5), (6, 2, 4), (1, 2, 3, 4), (200, 9, 9, 9, 255), (3, 2), (2, 3)])
def test_fields_beside_each_other_do_not_carry_into_each_other(spans: tuple[int, ...]) -> None:
    type_ = sequence_of(*spans)
    packing = Packing(type_, lambda: int, lambda: int)
    width = packing.width
    for number in range(1 << 2 * min(width, 7)):
        bits = number if width <= 7 else number * 0x9E3779B1 % (1 << 2 * width)
        fits = all(_is_within(bits >> shift & (1 << width) - 1, type_, spans) for shift in (0, width))
        assert (packing.take(bits, 2 * width, 2) is not None) is fits


def _is_within(item: int, type_: SequenceType, spans: tuple[int, ...]) -> bool:
    for component, span in zip(reversed(type_.components), reversed(spans), strict=True):
        assert isinstance(component.type, ConstrainedInteger)
        if item & (1 << component.type.width) - 1 > span:
            return False
        item >>= component.type.width
    return True


def test_a_list_that_ends_before_its_last_item_is_left_to_the_other_path() -> None:
    assert Packing(sequence_of(5, 5), lambda: int, lambda: int).take(0, 11, 2) is None


def test_items_of_one_field_alone_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="no room for a carry"):
        Packing(sequence_of(5), lambda: int, lambda: int)
