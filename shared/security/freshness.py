"""How old a message may be when it arrives (TS 103 097 leaves the windows to the receiver; these are ours).

Ages are taken from the signed generation time against our own time. A message from the future is refused beyond the error two
disciplined clocks may have between them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.clock import Instant
from shared.core.errors import UntrustedTimeError, VerificationError
from shared.core.ids import ItsAid
from shared.core.itstime import EPOCH_AFTER_LEAPS_US, LAST_LEAP_NS, Time64, time64_of
from shared.core.report import VerificationReport

US_PER_S = 1_000_000

CAM_MAX_AGE_US = 2 * US_PER_S
"""A position older than this is of no use to anybody."""

DENM_MAX_AGE_US = 600 * US_PER_S
"""Default validity of a warning (EN 302 637-3), for which forwarders keep the packet alive."""

GENERIC_MAX_AGE_US = 10 * US_PER_S
"""Signal phases, maps and everything else that is repeated within seconds."""

FUTURE_TOLERANCE_US = 50_000
"""Error between two disciplined clocks."""


def _default_max_age_us() -> Mapping[int, int]:
    return {ItsAid.CAM: CAM_MAX_AGE_US, ItsAid.DENM: DENM_MAX_AGE_US}


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """The windows of one station.

    Attributes:
        max_age_us: greatest age in microseconds by ITS-AID.
        generic_max_age_us: for every other ITS-AID.
        future_tolerance_us: how far ahead of our clock a message may be.
    """

    max_age_us: Mapping[int, int] = field(default_factory=_default_max_age_us)
    generic_max_age_us: int = GENERIC_MAX_AGE_US
    future_tolerance_us: int = FUTURE_TOLERANCE_US

    def window_us(self, its_aid: int) -> int:
        """Return the greatest age for an ITS-AID in microseconds."""
        return self.max_age_us.get(its_aid, self.generic_max_age_us)

    def check(self, its_aid: int, generation_time: Time64, at: Time64) -> None:
        """Check a generation time against ours.

        Raises:
            VerificationError: `INVALID_TIMESTAMP` for stale messages and messages from the future.
        """
        age_us = at - generation_time
        window_us = self.window_us(its_aid)
        if age_us > window_us:
            raise _invalid_timestamp(f"generated {age_us / US_PER_S:.3f} s ago, allowed are {window_us / US_PER_S:g} s")
        if -age_us > self.future_tolerance_us:
            raise _invalid_timestamp(f"generated {-age_us / US_PER_S:.3f} s in the future")


def trusted_time64(now: Instant) -> Time64:
    """Return our ITS time; raises `UntrustedTimeError` while UTC is unknown or before 2004."""
    utc = now.utc
    if utc is not None and utc >= LAST_LEAP_NS:  # as in `time64_of`
        return utc // 1_000 - EPOCH_AFTER_LEAPS_US  # type: ignore[return-value]  # a Time64, without the call that would say so
    utc = now.require_utc()
    try:
        return time64_of(utc)
    except ValueError:
        raise UntrustedTimeError("the clock stands before 2004, the beginning of ITS time") from None


def _invalid_timestamp(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INVALID_TIMESTAMP, detail)
