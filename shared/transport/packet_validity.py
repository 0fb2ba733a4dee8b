"""Until when a packet is of use to whoever has not heard it yet.

On the air a packet arrives within milliseconds or never. A medium that stores it (a broker, an outbox while there is no broker)
must know when to let it go: what is repeated within a second or two is worth no more than that, a warning its own validity. Ages
count from the signed generation time where our own date is trusted, else from when the packet was handed over.
"""

from collections.abc import Mapping

from shared.core.clock import NS_PER_MS, NS_PER_US, Instant
from shared.core.errors import DecodeError
from shared.core.ids import ItsAid
from shared.core.itstime import time64_of, timestamp_its
from shared.messages.denm import decode_denm
from shared.network.headers import decode_lifetime
from shared.transport.packet_outline import KINDS, PacketOutline, generation_time_of

VALIDITY_MS: Mapping[str, int] = {
    "cam": 1_000,
    "vam": 1_000,
    "cpm": 1_000,
    "spatem": 1_000,
    "mapem": 2_000,
    "srem": 2_000,
    "ssem": 2_000,
    "rtcmem": 2_000,
    "gn": 3_000,
}
"""Milliseconds for which a packet of each kind is of use; of any other kind, for the lifetime in its Basic Header."""

FUTURE_TOLERANCE_MS = 50
"""What two disciplined clocks may be apart: a packet is not held expired for so little."""

_FOR_EVER_NS = 1 << 62
_VALIDITY_OF_AID = {aid: VALIDITY_MS[kind] for aid, kind in KINDS.items() if kind in VALIDITY_MS}


def useful_ns(packet: bytes, outline: PacketOutline, now: Instant) -> int:
    """Return for how many nanoseconds from now a packet is of use; 0 or less when it is of none any more.

    Args:
        packet: from the Basic Header on.
        outline: read from it.
        now: the present.
    """
    limit_ns = min(outline.lifetime_ms, VALIDITY_MS.get(outline.kind, outline.lifetime_ms)) * NS_PER_MS
    if outline.kind == KINDS[ItsAid.DENM]:
        limit_ns = min(limit_ns, _warning_ns(packet, outline, now))
    return limit_ns - _age_ns(outline, now)


def is_expired(packet: bytes, now: Instant) -> bool:
    """Say whether a packet that arrives is past its use; never while our own date is not trusted.

    The lifetime stands in the part that nobody signed: who lengthens it gets a late packet to the checks behind, which judge
    its freshness again.
    """
    if now.utc is None:
        return False
    claims = generation_time_of(packet)
    if claims is None:
        return False
    aid, generation_time = claims
    lifetime_ms = decode_lifetime(packet[2])
    age_us = time64_of(now.utc) - generation_time
    return age_us > (min(lifetime_ms, _VALIDITY_OF_AID.get(aid, lifetime_ms)) + FUTURE_TOLERANCE_MS) * 1_000


def _age_ns(outline: PacketOutline, now: Instant) -> int:
    if now.utc is None or outline.generation_time is None:
        return 0
    return max(0, (time64_of(now.utc) - outline.generation_time) * NS_PER_US)


def _warning_ns(packet: bytes, outline: PacketOutline, now: Instant) -> int:
    """Return how long a warning was to last when it was signed; of one that cannot be read, or without a date, for ever."""
    signed_at = outline.generation_time
    if signed_at is None:
        signed_at = None if now.utc is None else time64_of(now.utc)
    if signed_at is None:
        return _FOR_EVER_NS
    try:
        denm = decode_denm(packet[outline.message_at : outline.message_end])
    except DecodeError:
        return _FOR_EVER_NS
    return (denm.detection_time + denm.validity_duration_s * 1_000 - timestamp_its(signed_at)) * NS_PER_MS
