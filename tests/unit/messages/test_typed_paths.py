"""Typed messages on both paths of their codecs: whatever the generated one takes, the complete one says the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from math import inf, nan
from random import Random
from typing import Any

import msgspec
import pytest

from shared.codec.message_codec import MessageCodec
from shared.core.errors import EncodeError
from shared.core.ids import MessageId, StationId
from shared.core.value import Value
from shared.messages import cam, denm, ivim, mapem, samples, spatem, srem, ssem
from shared.messages.cam import ProtectedZone
from shared.messages.typed import TYPED_CODECS
from tests.helpers.paths import RANDOM_VALUES, decoded_alike, encoded_alike, outcome_of_decoding, outcome_of_encoding
from tests.unit.codec.uper_values import Draw
from tests.unit.messages import infrastructure_samples, message_samples

PERMANENT_ZONE = msgspec.structs.replace(
    message_samples.ROADSIDE,
    protected_zones=(ProtectedZone(is_temporary=False, lat_deg=48.1, lon_deg=11.5, radius_m=30),),
)
"""The schema has the temporary kind of zone behind an extension marker."""

MESSAGES = [
    pytest.param(cam.CODEC, samples.CAM, id="CAM"),
    pytest.param(cam.CODEC, message_samples.CAR, id="CAM of a car with everything"),
    *(
        pytest.param(cam.CODEC, msgspec.structs.replace(samples.CAM, special_vehicle=special), id=f"CAM of {what} with everything")
        for what, special in message_samples.SPECIAL_VEHICLES.items()
    ),
    pytest.param(cam.CODEC, PERMANENT_ZONE, id="CAM of a roadside unit with everything"),
    pytest.param(denm.CODEC, samples.DENM, id="DENM"),
    pytest.param(denm.CODEC, message_samples.ROADWORKS, id="DENM with everything"),
    pytest.param(spatem.CODEC, samples.SPATEM, id="SPATEM"),
    pytest.param(spatem.CODEC, message_samples.PHASES, id="SPATEM with everything"),
    pytest.param(mapem.CODEC, samples.MAPEM, id="MAPEM"),
    pytest.param(mapem.CODEC, message_samples.TOPOLOGY, id="MAPEM with everything"),
    pytest.param(ivim.CODEC, samples.IVIM, id="IVIM"),
    pytest.param(ivim.CODEC, infrastructure_samples.GANTRY, id="IVIM with everything"),
    pytest.param(srem.CODEC, samples.SREM, id="SREM"),
    pytest.param(srem.CODEC, infrastructure_samples.BUS, id="SREM with everything"),
    pytest.param(ssem.CODEC, samples.SSEM, id="SSEM"),
    pytest.param(ssem.CODEC, infrastructure_samples.ANSWERS, id="SSEM with everything"),
]

ODD: tuple[Any, ...] = (
    *(None, 0, 1, -1, 2, 255, 65_536, 1 << 40, 10**400, True, False),
    *(0.0, 1.0, -0.0, -0.004, 0.005, 0.015, 0.3, 3.14159, 12.5, 359.96, 360.0, 1e-9, 1e9, -1e9, 1e300, inf, -inf, nan),
    *(Decimal("0.5"), Decimal(3), "", "x", "ä", b"", (), (1,), (1, 2), (None,), [3], {}, object()),
)
"""What a field may be set to by mistake, or nearly rightly."""


@pytest.mark.parametrize(("codec", "message"), MESSAGES)
def test_a_usual_message_takes_the_generated_path_and_comes_back(codec: MessageCodec[Any], message: Any) -> None:
    encoded = codec.encode(message)
    assert codec.decode(encoded) == message
    assert decoded_alike(codec, encoded)
    assert encoded_alike(codec, message)


def test_the_samples_have_the_sizes_the_figures_are_stated_for() -> None:
    assert len(cam.encode_cam(samples.CAM)) == 135
    assert len(mapem.encode_mapem(samples.MAPEM)) in range(245, 256)
    assert len(samples.SPATEM.intersections[0].movements) == 12


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("message_id", TYPED_CODECS)
def test_random_messages_are_the_same_on_both_paths(message_id: MessageId, *, extended: bool) -> None:
    codec = TYPED_CODECS[message_id]
    random = Random(message_id)
    taken = 0
    for n in range(RANDOM_VALUES):
        _, encoded = Draw(random, likelihood=(0.6, 0.25)[n % 2], extended=extended).message(message_id)
        if not decoded_alike(codec, encoded):
            continue
        taken += 1
        message = codec.decode(encoded)
        encoded_alike(codec, message)
        try:
            again = codec.encode(message)
        except EncodeError:
            continue
        assert codec.decode(again) == message
    assert taken > RANDOM_VALUES // 2 or extended


@pytest.mark.parametrize(("codec", "message"), MESSAGES)
def test_every_flipped_bit_means_the_same_on_both_paths(codec: MessageCodec[Any], message: Any) -> None:
    encoded = codec.encode(message)
    taken = 0
    for bit in range(8 * len(encoded)):
        flipped = bytearray(encoded)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        taken += decoded_alike(codec, bytes(flipped))
    assert taken


@pytest.mark.parametrize(("codec", "message"), MESSAGES)
def test_no_truncated_or_prolonged_message_is_taken(codec: MessageCodec[Any], message: Any) -> None:
    encoded = codec.encode(message)
    for octets in range(len(encoded)):
        assert not decoded_alike(codec, encoded[:octets])
        assert isinstance(outcome_of_decoding(codec, encoded[:octets]), str)
    for tail in (b"\0", b"\xff", bytes(2_304)):
        assert not decoded_alike(codec, encoded + tail)


@pytest.mark.parametrize(("codec", "message"), [one for one in MESSAGES if "everything" in str(one.id)])
def test_a_field_set_to_something_odd_is_refused_or_sent_alike_on_both_paths(codec: MessageCodec[Any], message: Any) -> None:
    sent = refused = 0
    for changed in oddly_changed(message):
        sent += encoded_alike(codec, changed)
        try:
            refused += isinstance(outcome_of_encoding(codec, changed), str)
        except (TypeError, AttributeError):
            continue  # a value of a type that no annotation allows
    assert sent
    assert refused


def test_a_hundred_thousand_messages_decoded_in_four_threads_have_no_field_crossed() -> None:
    messages = [msgspec.structs.replace(samples.CAM, station_id=StationId(n), heading_deg=n % 3600 / 10) for n in range(100)]
    encoded = [cam.encode_cam(message) for message in messages]

    def count_equal(rounds: int) -> int:
        pairs = list(zip(encoded, messages, strict=True))
        return sum(cam.decode_cam(octets) == message for _ in range(rounds) for octets, message in pairs)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(count_equal, [25] * 40)) == 100_000


def oddly_changed(value: Any) -> Iterator[Any]:
    """Yield copies of a value with one field anywhere in it set to something odd."""
    if isinstance(value, Value):
        for name in value.__struct_fields__:
            yield from (msgspec.structs.replace(value, **{name: odd}) for odd in ODD)
            yield from (msgspec.structs.replace(value, **{name: inner}) for inner in oddly_changed(getattr(value, name)))
    elif isinstance(value, tuple):
        yield from ((inner, *value[1:]) for one in value[:1] for inner in oddly_changed(one))
