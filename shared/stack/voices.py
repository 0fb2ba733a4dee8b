"""What a station needs to say each kind of message: numbers, codec and headers, worked out once per pseudonym.

The lifetimes and traffic classes are the station's choice for a kind of message, so the same for every station of ours: nothing in
them tells one from another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.ids import MESSAGE_BINDINGS, ItsAid, MessageId
from shared.messages.cam import Cam, encode_cam
from shared.messages.denm import Denm, encode_denm
from shared.messages.ivim import Ivim, encode_ivim
from shared.messages.mapem import Mapem, encode_mapem
from shared.messages.spatem import Spatem, encode_spatem
from shared.messages.srem import Srem, encode_srem
from shared.messages.ssem import Ssem, encode_ssem
from shared.network.address import GnAddress
from shared.network.headers import DEFAULT_HOP_LIMIT, BasicHeader, BasicNextHeader, TrafficClass, encode_basic_header
from shared.network.packet import SINGLE_HOP
from shared.network.single_hop import SingleHopSender

LIFETIME_MS: dict[MessageId, int] = {
    MessageId.CAM: 1_000,
    MessageId.SPATEM: 1_000,
    MessageId.MAPEM: 1_000,
    MessageId.IVIM: 10_000,
    MessageId.SREM: 1_000,
    MessageId.SSEM: 1_000,
    MessageId.DENM: 60_000,
}
"""How long a packet is of use on its way; a repetition renews it."""

TRAFFIC_CLASSES: dict[MessageId, TrafficClass] = {
    MessageId.CAM: TrafficClass(priority=2),
    MessageId.DENM: TrafficClass(priority=1),
    MessageId.SPATEM: TrafficClass(priority=2),
    MessageId.MAPEM: TrafficClass(priority=3),
    MessageId.IVIM: TrafficClass(priority=3),
    MessageId.SREM: TrafficClass(priority=2),
    MessageId.SSEM: TrafficClass(priority=2),
}

_ENCODERS: dict[type[Any], tuple[MessageId, Callable[[Any], bytes]]] = {
    Cam: (MessageId.CAM, encode_cam),
    Denm: (MessageId.DENM, encode_denm),
    Spatem: (MessageId.SPATEM, encode_spatem),
    Mapem: (MessageId.MAPEM, encode_mapem),
    Ivim: (MessageId.IVIM, encode_ivim),
    Srem: (MessageId.SREM, encode_srem),
    Ssem: (MessageId.SSEM, encode_ssem),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """What a station needs to say one kind of message."""

    message_id: MessageId
    its_aid: ItsAid
    port: int
    traffic_class: TrafficClass
    encode: Callable[[Any], bytes]
    single_hop: SingleHopSender
    single_hop_front: bytes
    geocast_front: bytes


def voices(address: GnAddress, *, is_mobile: bool) -> Mapping[type[Any], Voice]:
    """Return the voice for each class of message, under one address."""
    made = {}
    for cls, (message_id, encode) in _ENCODERS.items():
        binding, traffic_class = MESSAGE_BINDINGS[message_id], TRAFFIC_CLASSES[message_id]
        sender = SingleHopSender(address=address, port=binding.port, traffic_class=traffic_class, is_mobile=is_mobile)
        fronts = [_front(LIFETIME_MS[message_id], hop_limit) for hop_limit in (SINGLE_HOP, DEFAULT_HOP_LIMIT)]
        made[cls] = Voice(message_id, binding.its_aid, binding.port, traffic_class, encode, sender, *fronts)
    return made


def _front(lifetime_ms: int, hop_limit: int) -> bytes:
    return encode_basic_header(
        BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=lifetime_ms, remaining_hop_limit=hop_limit)
    )
