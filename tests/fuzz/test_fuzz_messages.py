"""Whatever the octets: a value that encodes back, or a DecodeError."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec.asn1 import message_codec
from shared.codec.bits import MAX_ENCODED_OCTETS
from shared.core.errors import DecodeError
from shared.core.ids import MessageId
from shared.messages.cam import decode_cam, encode_cam
from shared.messages.denm import decode_denm, encode_denm
from shared.messages.ivim import decode_ivim, encode_ivim
from shared.messages.mapem import decode_mapem, encode_mapem
from shared.messages.pdu import peek_header
from shared.messages.spatem import decode_spatem, encode_spatem
from shared.messages.srem import decode_srem, encode_srem
from shared.messages.ssem import decode_ssem, encode_ssem
from shared.messages.tree import decode_tree
from tests.unit.messages import infrastructure_samples as infrastructure
from tests.unit.messages import message_samples as samples

TYPED = {
    MessageId.CAM: decode_cam,
    MessageId.DENM: decode_denm,
    MessageId.SPATEM: decode_spatem,
    MessageId.MAPEM: decode_mapem,
    MessageId.IVIM: decode_ivim,
    MessageId.SREM: decode_srem,
    MessageId.SSEM: decode_ssem,
}

REAL = (
    encode_cam(samples.CAR),
    encode_cam(samples.ROADSIDE),
    encode_denm(samples.ROADWORKS),
    encode_spatem(samples.PHASES),
    encode_mapem(samples.TOPOLOGY),
    encode_ivim(infrastructure.GANTRY),
    encode_ivim(infrastructure.LATER_GANTRY),
    encode_srem(infrastructure.BUS),
    encode_ssem(infrastructure.ANSWERS),
)


def decodes_or_is_refused(octets: bytes) -> None:
    for decode in (peek_header, decode_tree, *TYPED.values()):
        try:
            decode(octets)
        except DecodeError as refused:
            assert str(refused)  # noqa: PT017 - the invariant is about either outcome
    for message_id in MessageId:
        codec = message_codec(message_id)
        try:
            tree = codec.decode(octets)
        except DecodeError:
            continue
        assert codec.encode(tree) == octets


@given(octets=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_octets_decode_or_are_refused(octets: bytes) -> None:
    decodes_or_is_refused(octets)


@given(message_id=st.sampled_from(MessageId), body=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_octets_behind_a_good_header_decode_or_are_refused(message_id: MessageId, body: bytes) -> None:
    decodes_or_is_refused(bytes((2, message_id, 0, 0, 0, 1)) + body)


@given(data=st.data(), message=st.sampled_from(REAL))
@settings(max_examples=150, deadline=None)
def test_real_messages_with_octets_changed_removed_or_added_decode_or_are_refused(data: st.DataObject, message: bytes) -> None:
    octets = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(6, len(octets)))
        end = data.draw(st.integers(start, min(len(octets), start + 8)))
        octets[start:end] = data.draw(st.binary(max_size=8))
    decodes_or_is_refused(bytes(octets))


@pytest.mark.parametrize("message_id", MessageId)
@pytest.mark.parametrize("octet", [0x00, 0xFF, 0xAA, 0x80])
def test_a_long_run_of_one_octet_is_no_work(message_id: MessageId, octet: int) -> None:
    with pytest.raises(DecodeError):
        message_codec(message_id).decode(bytes([octet]) * MAX_ENCODED_OCTETS)
