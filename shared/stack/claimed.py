"""What a verified message claims about its sender's motion: the way from `Verified` to `shared.trust.claims.Claim`.

A CAM's own position counts, which is what others act upon; of every other message the network header's.
"""

from shared.core.geo import GeoPoint
from shared.core.itstime import Time64, generation_delta_time
from shared.messages.cam import Cam
from shared.messages.cdd import DriveDirection
from shared.network.position_vector import time64_nearest
from shared.stack.indication import Indication
from shared.trust.claims import Claim, ClaimSource

MAX_FIX_AGE_US = 2_000_000
"""A CAM's position is not believed to be older than this before the message: an old date would buy a liar time for a long way."""

_US_PER_MS = 1_000
_HALF_CIRCLE_MS = 0x8000


def claim_of(indication: Indication) -> Claim | None:
    """Return what a verified message claims; None where it says no place, or, in the network header alone, one of long ago.

    `generationDeltaTime` is read on its circle of 65,536 ms; one ahead of the signed generation time means that time.
    """
    message, generated = indication.message, indication.generation_time
    if isinstance(message, Cam) and message.lat_deg is not None and message.lon_deg is not None:
        behind_ms = generation_delta_time(generated) - message.generation_delta_time_ms & 0xFFFF
        behind_us = 0 if behind_ms >= _HALF_CIRCLE_MS else behind_ms * _US_PER_MS
        return Claim(
            source=ClaimSource.MESSAGE,
            taken_at=Time64(generated - min(behind_us, MAX_FIX_AGE_US)),
            position=GeoPoint(message.lat_deg, message.lon_deg),
            speed_mps=_speed_mps(message),
            heading_deg=message.heading_deg,
        )
    source = indication.source
    taken_at = time64_nearest(source.timestamp_ms, generated)
    if source.position is None or generated - taken_at > MAX_FIX_AGE_US:
        return None  # a receiver without a fix goes on sending its last one with its date, and does not say it is there now
    return Claim(
        source=ClaimSource.NETWORK,
        taken_at=min(taken_at, generated),
        position=source.position,
        speed_mps=source.speed_mps or None,  # a header has no other word for an unknown speed than zero
        heading_deg=source.heading_deg,
    )


def _speed_mps(cam: Cam) -> float | None:
    if cam.speed_mps is None or cam.drive_direction is not DriveDirection.BACKWARD:
        return cam.speed_mps
    return -cam.speed_mps
