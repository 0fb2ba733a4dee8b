import pytest

from shared.core.errors import DecodeError
from shared.core.ids import MessageId
from shared.messages.pdu import peek_header


def test_the_header_is_read_without_the_rest() -> None:
    header = peek_header(bytes.fromhex("0202cafe0001ffff"))
    assert header == (2, MessageId.CAM, 0xCAFE0001)


@pytest.mark.parametrize("octets", range(6))
def test_a_short_header_is_refused(octets: int) -> None:
    with pytest.raises(DecodeError) as caught:
        peek_header(bytes.fromhex("0202cafe0001")[:octets])
    assert caught.value.bit_offset == 8 * octets


def test_an_unknown_message_is_refused_by_its_number() -> None:
    with pytest.raises(DecodeError, match="99 is no message") as caught:
        peek_header(bytes((2, 99, 0, 0, 0, 1)))
    assert caught.value.field == "header.messageID"
