"""The packet nearly every station says and hears: single-hop broadcast with BTP-B, written and read at one stroke.

    octet  0  next header 4 = 2 (BTP-B) | reserved 4        Common Header, EN 302 636-4-1 V1.4.1 clause 9.7
           1  header type 8 = 50 (SHB)
           2  traffic class 8
           3  flags 8: mobile 1 | reserved 7
           4  payload length 16: BTP-B and message
           6  maximum hop limit 8
           7  reserved 8
           8  source position vector 24 octets              clause 9.5.2, layout in `position_vector`
          32  media-dependent data 32                       clause 9.8.4
          36  destination port 16 | port info 16            BTP-B, EN 302 636-5-1
          40  message

Both directions give what `packet` and the header files give, octet for octet and value for value; a packet that is anything else
(another header, no position, an empty message, a contradiction in a length) is left to them, and refused there if at all.
"""

from struct import Struct

from shared.core.geo import GeoPoint
from shared.network.address import GnAddress, encode_address
from shared.network.btp import BTP_OCTETS, BtpB
from shared.network.extended import SHB_OCTETS, ShbHeader
from shared.network.headers import (
    COMMON_HEADER_OCTETS,
    CommonHeader,
    CommonNextHeader,
    HeaderType,
    TrafficClass,
    encode_common_header,
)
from shared.network.packet import MAX_SDU_OCTETS, SINGLE_HOP, encode_gn_payload
from shared.network.position_vector import LONG_POSITION_VECTOR_OCTETS, SPEED_MAX_MPS, SPEED_MIN_MPS, LongPositionVector

_VECTOR_END = COMMON_HEADER_OCTETS + LONG_POSITION_VECTOR_OCTETS
_BTP_AT = COMMON_HEADER_OCTETS + SHB_OCTETS
_MESSAGE_AT = _BTP_AT + BTP_OCTETS

_READ = Struct(">BBxxHxx8x4xiiHH4xH2x")
_BTP_B = CommonNextHeader.BTP_B << 4
_SHB = int(HeaderType.SHB)
_MAX_LATITUDE = 900_000_000
_MAX_LONGITUDE = 1_800_000_000
_MAX_HEADING = 3_600
_PAI = 0x8000

_WRITE = Struct(">4sHH8sIiiHHIHH")
_ONE_HOP = SINGLE_HOP << 8


SingleHop = tuple[int, int, int, bytes, bytes]
"""BTP-B destination port; latitude and longitude of the sender, 1e-7 degrees; its position vector, 24 octets, which
`decode_long_position_vector` reads without fail; the facility's octets, at least one."""


def read_single_hop(payload: bytes) -> SingleHop | None:
    """Return a packet from the Common Header on, or None when `decode_gn_payload` must judge it."""
    octets = len(payload)
    if octets <= _MESSAGE_AT:
        return None
    next_header, header_type, payload_octets, lat, lon, motion, heading, port = _READ.unpack_from(payload)
    if (
        next_header & 0xF0 != _BTP_B
        or header_type != _SHB
        or payload_octets != octets - _BTP_AT
        or not -_MAX_LATITUDE <= lat <= _MAX_LATITUDE
        or not -_MAX_LONGITUDE <= lon <= _MAX_LONGITUDE
        or heading > _MAX_HEADING
        or (lat == lon == 0 and not motion & _PAI)
    ):
        return None
    return port, lat, lon, payload[COMMON_HEADER_OCTETS:_VECTOR_END], payload[_MESSAGE_AT:]


class SingleHopSender:
    """Writes one station's packets for one facility.

    Args:
        address: of the station.
        port: BTP-B destination port.
        traffic_class: queueing.
        is_mobile: the station can move.

    Raises:
        EncodeError: a number does not fit its field.
    """

    __slots__ = ("_address", "_btp", "_encoded_address", "_front", "_is_mobile", "_traffic_class")

    def __init__(self, *, address: GnAddress, port: int, traffic_class: TrafficClass, is_mobile: bool) -> None:
        self._address = address
        self._btp = BtpB(destination_port=port)
        self._traffic_class = traffic_class
        self._is_mobile = is_mobile
        self._encoded_address = encode_address(address)
        common = CommonHeader(
            next_header=CommonNextHeader.BTP_B,
            header_type=HeaderType.SHB,
            traffic_class=traffic_class,
            is_mobile=is_mobile,
            payload_octets=0,
            max_hop_limit=SINGLE_HOP,
        )
        self._front = encode_common_header(common)[:4]

    def encode(
        self,
        message: bytes,
        *,
        position: GeoPoint,
        timestamp_ms: int,
        is_accurate: bool,
        speed_mps: float | None,
        heading_deg: float | None,
    ) -> bytes:
        """Return the octets that get signed; the arguments are those of `LongPositionVector`.

        Raises:
            EncodeError: a value does not fit, the message is empty, or BTP and message exceed `MAX_SDU_OCTETS`.
        """
        speed = 0.0 if speed_mps is None else speed_mps
        heading = 0.0 if heading_deg is None else heading_deg
        if (
            0 < len(message) <= MAX_SDU_OCTETS - BTP_OCTETS
            and SPEED_MIN_MPS <= speed <= SPEED_MAX_MPS
            and 0.0 <= heading <= 360.0
            and 0 <= timestamp_ms <= 0xFFFFFFFF
        ):
            front = _WRITE.pack(
                self._front,
                BTP_OCTETS + len(message),
                _ONE_HOP,
                self._encoded_address,
                timestamp_ms,
                round(position.lat_deg * 10_000_000),
                round(position.lon_deg * 10_000_000),
                (_PAI if is_accurate else 0) | round(speed * 100) & 0x7FFF,
                round(heading * 10) % 3_600,
                0,
                self._btp.destination_port,
                0,
            )
            return front + message
        source = LongPositionVector(
            address=self._address,
            timestamp_ms=timestamp_ms,
            position=position,
            is_accurate=is_accurate,
            speed_mps=speed_mps,
            heading_deg=heading_deg,
        )
        return encode_gn_payload(
            extended=ShbHeader(source=source),
            btp=self._btp,
            message=message,
            traffic_class=self._traffic_class,
            is_mobile=self._is_mobile,
        )
