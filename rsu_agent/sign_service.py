"""IVIM of the operator's signs (TS 103 301 V1.3.1, ISO/TS 19321): each said again and again while it holds, and taken back.

A version of a sign is dated when it is said first; receivers tell a newer from an older by that. A sign whose end has come is said
no more: its end stood in the message. One that is taken down before, or when the unit stops, is cancelled, which is repeated for a
while. `change` puts other signs in place of those there are: what is unchanged goes on, what is new begins, what is gone is
cancelled.

Left out: negation of others' signs.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rsu_agent.sign_files import MAX_SIGNS, Sign
from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import ConfigError
from shared.core.ids import StationId
from shared.core.itstime import TimestampIts, time64_of, timestamp_its, utc_text
from shared.messages.ivim import Ivim, IviStatus
from shared.network.area import Circle

CANCELLED_FOR_NS = 10 * NS_PER_S
"""How long a cancellation is repeated."""

RETRY_NS = NS_PER_S
"""How often to look again while UTC is not known."""

_AT_ONCE = MonotonicNs(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidSign:
    """One message to be sent, and where it is to be heard; None for a single hop."""

    ivim: Ivim
    area: Circle | None


@dataclass(slots=True)
class _Told:
    """A sign and what is said of it; known once any version of it was said."""

    sign: Sign
    status: IviStatus = IviStatus.NEW
    is_known: bool = False
    made_at: TimestampIts | None = None
    next_said: MonotonicNs = _AT_ONCE
    silent_from: MonotonicNs | None = None


class SignService:
    """Says the signs of one unit.

    Args:
        signs: what to say, at most `MAX_SIGNS`.
        station_id: the station that says it.

    Raises:
        ConfigError: there are too many.
    """

    def __init__(self, signs: Iterable[Sign], station_id: StationId) -> None:
        self._station_id = station_id
        self._told: dict[int, _Told] = {}
        self._counters: Counter[str] = Counter()
        self._put(tuple(signs))

    @property
    def counters(self) -> dict[str, int]:
        """What was done: `said`, `cancelled`, `ended`, `untrusted_time`."""
        return dict(self._counters)

    def change(self, signs: Iterable[Sign]) -> None:
        """Say other signs from now on.

        Raises:
            ConfigError: there are too many; nothing has changed.
        """
        self._put(tuple(signs))

    def poll(self, now: Instant) -> tuple[SaidSign, ...]:
        """Return what is due at `now`; nothing while UTC is not known, which is counted once a second."""
        due = [told for told in self._told.values() if told.next_said <= now.monotonic]
        if not due:
            return ()
        if now.utc is None:
            self._counters["untrusted_time"] += 1
            for told in due:
                told.next_said = MonotonicNs(now.monotonic + RETRY_NS)
            return ()
        said = []
        for told in due:
            if told.status is IviStatus.CANCELLATION and told.silent_from is None:
                told.silent_from = MonotonicNs(now.monotonic + CANCELLED_FOR_NS)
            if not told.sign.holds(now.utc):
                self._counters["ended"] += 1
                del self._told[told.sign.number]
                continue
            if told.silent_from is not None and now.monotonic >= told.silent_from:
                del self._told[told.sign.number]
                continue
            if told.made_at is None:
                told.made_at = timestamp_its(time64_of(now.utc))
            told.next_said = MonotonicNs(now.monotonic + round(told.sign.repetition_s * NS_PER_S))
            told.is_known = True
            self._counters["said"] += 1
            said.append(SaidSign(ivim=told.sign.ivim(self._station_id, told.status, told.made_at), area=told.sign.area))
        return tuple(said)

    def next_due(self) -> MonotonicNs | None:
        """Return when `poll` next has something to do; None without signs."""
        return min((told.next_said for told in self._told.values()), default=None)

    def stop(self, now: Instant) -> tuple[SaidSign, ...]:
        """Take every sign down and return the cancellations; `poll` repeats them for a while."""
        self._put(())
        return self.poll(now)

    def status(self) -> dict[str, object]:
        """Return the signs and counters as JSON values."""
        return {"signs": [_sign_status(told) for told in self._told.values()], "counters": self.counters}

    def _put(self, signs: tuple[Sign, ...]) -> None:
        if len(signs) > MAX_SIGNS:
            raise ConfigError("signs", f"{len(signs)} signs, at most {MAX_SIGNS}")
        wanted = {sign.number: sign for sign in signs}
        for number, told in list(self._told.items()):
            if number in wanted or told.status is IviStatus.CANCELLATION:
                continue
            if not told.is_known:  # nobody has heard of it
                del self._told[number]
                continue
            self._counters["cancelled"] += 1
            self._told[number] = _Told(told.sign, IviStatus.CANCELLATION, is_known=True)
        for number, sign in wanted.items():
            before = self._told.get(number)
            if before is None or not before.is_known:
                self._told[number] = _Told(sign)
            elif before.sign != sign or before.status is IviStatus.CANCELLATION:
                self._told[number] = _Told(sign, IviStatus.UPDATE, is_known=True)


def _sign_status(told: _Told) -> dict[str, object]:
    sign = told.sign
    return {
        "number": sign.number,
        "provider": f"{sign.provider.country_code} {sign.provider.identifier}",
        "status": told.status.name.lower(),
        "lat_deg": sign.location.lat_deg,
        "lon_deg": sign.location.lon_deg,
        "valid_until": None if sign.valid_until is None else utc_text(sign.valid_until),
        "text": [line.text for line in sign.signs.extra_text],
    }
