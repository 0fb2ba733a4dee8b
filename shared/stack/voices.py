"""What a station needs to say each kind of message: numbers, codec and headers, worked out once per pseudonym.

The lifetimes and traffic classes are the station's choice for a kind of message, so the same for every station of ours: nothing in
them tells one from another. Two things depend on what a warning says: where a second counts it goes before everything else, and no
packet outlives the event it tells of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.core.ids import MESSAGE_BINDINGS, ItsAid, MessageId
from shared.core.itstime import TimestampIts
from shared.messages.cam import Cam, encode_cam
from shared.messages.cdd import CauseCode
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

URGENT_CAUSES = frozenset({CauseCode.DANGEROUS_SITUATION, CauseCode.COLLISION_RISK, CauseCode.POST_CRASH})
"""Causes of a DENM that leaves no time to wait: somebody brakes hard or the car itself does, or there was a crash."""

URGENT_STANDING = (CauseCode.STATIONARY_VEHICLE, 3)
"""A stationary vehicle after a crash, which is how the Car2Car profile says post-crash."""

URGENT_CLASS = TrafficClass(priority=0)
"""DCC profile DP0, before every other DENM."""

MIN_DENM_LIFETIME_MS = 1_000
"""Of a DENM whose event is about to run out, or has by its own account."""

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


def is_urgent(denm: Denm) -> bool:
    """Say whether a DENM goes before all others."""
    return denm.cause_code in URGENT_CAUSES or (denm.cause_code, denm.sub_cause_code) == URGENT_STANDING


def denm_lifetime_ms(denm: Denm, now: TimestampIts) -> int:
    """Return how long a DENM sent now is of use on its way: as long as its event is valid, at most as long as any DENM."""
    remaining_ms = denm.detection_time + denm.validity_duration_s * 1_000 - now
    return min(LIFETIME_MS[MessageId.DENM], max(MIN_DENM_LIFETIME_MS, remaining_ms))


def voices(address: GnAddress, *, is_mobile: bool) -> Mapping[type[Any], Voice]:
    """Return the voice for each class of message, under one address."""
    made = {}
    for cls, (message_id, encode) in _ENCODERS.items():
        made[cls] = _voice(address, message_id, encode, TRAFFIC_CLASSES[message_id], is_mobile=is_mobile)
    return made


def urgent_denm_voice(address: GnAddress, *, is_mobile: bool) -> Voice:
    """Return the voice for DENMs that are urgent."""
    return _voice(address, MessageId.DENM, encode_denm, URGENT_CLASS, is_mobile=is_mobile)


def _voice(
    address: GnAddress, message_id: MessageId, encode: Callable[[Any], bytes], traffic_class: TrafficClass, *, is_mobile: bool
) -> Voice:
    binding = MESSAGE_BINDINGS[message_id]
    sender = SingleHopSender(address=address, port=binding.port, traffic_class=traffic_class, is_mobile=is_mobile)
    fronts = [_front(LIFETIME_MS[message_id], hop_limit) for hop_limit in (SINGLE_HOP, DEFAULT_HOP_LIMIT)]
    return Voice(message_id, binding.its_aid, binding.port, traffic_class, encode, sender, *fronts)


def _front(lifetime_ms: int, hop_limit: int) -> bytes:
    return encode_basic_header(
        BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=lifetime_ms, remaining_hop_limit=hop_limit)
    )
