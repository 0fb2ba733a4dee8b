"""Verified indications for tests of what comes after verification; only the message, the ticket and the area matter there."""

from dataclasses import dataclass
from typing import TypeVar, cast

from shared.core.clock import Instant
from shared.core.ids import HashedId3, HashedId8, StationType
from shared.core.itstime import gn_timestamp, time32_of, time64_of
from shared.network.address import GnAddress
from shared.network.area import Area
from shared.network.position_vector import LongPositionVector, encode_long_position_vector
from shared.security.certificate import Certificate
from shared.security.region import Region
from shared.security.trusted_certificate import SignerFacts
from shared.security.validity import DurationUnit, Validity
from shared.stack.indication import Verified

M = TypeVar("M")


@dataclass(frozen=True)
class _Lasting:
    """All of a certificate that matters after verification: how long it lasts."""

    validity: Validity


def ticket(number: int) -> HashedId8:
    return HashedId8(number.to_bytes(8, "big"))


def verified(message: M, now: Instant, *, signer: int = 1, area: Area | None = None, ends_in_s: int = 1_000_000) -> Verified[M]:
    """Return `message` as `Station.receive` would hand it up from the holder of ticket `signer`, which ends in `ends_in_s`."""
    time64 = time64_of(now.require_utc())
    return Verified(
        message=message,
        signer=SignerFacts(
            hashed_id8=ticket(signer),
            hashed_id3=HashedId3(ticket(signer)[-3:]),
            certificate=cast(
                "Certificate", _Lasting(Validity(start=time32_of(time64), unit=DurationUnit.SECONDS, count=ends_in_s))
            ),
            region=cast("Region", None),
        ),
        generation_time=time64,
        position_vector=encode_long_position_vector(
            LongPositionVector(
                address=GnAddress(station_type=StationType.ROAD_SIDE_UNIT, mac=bytes(6)),
                timestamp_ms=gn_timestamp(time64),
                position=None,
                is_accurate=False,
                speed_mps=None,
                heading_deg=None,
            )
        ),
        area=area,
        received=now,
    )
