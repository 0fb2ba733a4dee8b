"""One event that this station tells of: what was last said of it, and when it is said again (EN 302 637-3 V1.3.1 clause 8.2.1).

Timers run on the clock that never jumps. A version is dated when it is first said: its detection time is as long ago as the event
was noticed, its reference time later than that of the version before. A negation keeps the reference time of the version it denies.
"""

from dataclasses import dataclass

from shared.core.clock import NS_PER_MS, NS_PER_S, Instant, MonotonicNs
from shared.core.ids import ActionId, StationId
from shared.core.itstime import TimestampIts, timestamp_its
from shared.facilities.event_report import MAX_VALIDITY_S, EventReport, announcing_denm, terminating_denm
from shared.facilities.saved_events import RestoredEvent
from shared.messages.denm import Denm, Termination
from shared.network.area import Area
from shared.security.freshness import trusted_time64

CANCELLATION_REPEATED_NS = 10 * NS_PER_S
"""A cancellation or negation is repeated this long, but not after the event would have run out."""

MAX_CANCELLATION_INTERVAL_NS = 500 * NS_PER_MS
"""A cancellation or negation is repeated at least this often, however seldom the event itself was."""


@dataclass(slots=True, kw_only=True)
class OwnEvent:
    """One event of ours, or somebody else's that we negate.

    Attributes:
        action_id: its number.
        name: what its reporter calls it.
        area: where it is to be heard.
        report: what is said of it; None once it has ended.
        since: when it was noticed, last updated or ended.
        expires: T_O_Validity.
        interval_ns: T_Repetition, or None.
        repeat_until: end of T_RepetitionDuration.
        due: when it is next to be said; None when not again.
        said: the last version, dated; None before the first. Of a negated event the version that is denied.
        is_current: whether `said` says what there is to say.
        termination: None while it lasts.
    """

    action_id: ActionId
    name: str
    area: Area
    report: EventReport | None
    since: MonotonicNs
    expires: MonotonicNs
    interval_ns: int | None
    repeat_until: MonotonicNs
    due: MonotonicNs | None
    said: Denm | None = None
    is_current: bool = False
    termination: Termination | None = None

    @classmethod
    def reported(cls, report: EventReport, action_id: ActionId, now: MonotonicNs) -> "OwnEvent":
        """Make an event that was noticed just now."""
        event = cls(
            action_id=action_id,
            name=report.name,
            area=report.area,
            report=report,
            since=now,
            expires=now,
            interval_ns=None,
            repeat_until=now,
            due=now,
        )
        event.change(report, now)
        return event

    @classmethod
    def denied(cls, denm: Denm, area: Area, *, now: MonotonicNs, expires: MonotonicNs) -> "OwnEvent":
        """Make a negation of somebody else's event, decided upon just now; `expires` is when the event would run out."""
        event = cls(
            action_id=denm.action_id,
            name="",
            area=area,
            report=None,
            since=now,
            expires=expires,
            interval_ns=None,
            repeat_until=now,
            due=None,
            said=denm,
        )
        event.end(Termination.IS_NEGATION, now)
        return event

    @classmethod
    def restored(cls, kept: RestoredEvent, now: MonotonicNs) -> "OwnEvent":
        """Make an event that was kept; until UTC says how much of its validity is left, it is taken to have just begun."""
        expires = MonotonicNs(now + kept.denm.validity_duration_s * NS_PER_S)
        event = cls(
            action_id=kept.denm.action_id,
            name=kept.name,
            area=kept.area,
            report=kept.report,
            since=now,
            expires=expires,
            interval_ns=None if kept.interval_ms is None else kept.interval_ms * NS_PER_MS,
            repeat_until=expires,
            due=now,
            said=kept.denm,
            is_current=True,
        )
        if kept.report is None:
            event.end(Termination.IS_CANCELLATION, now)
            event.is_current = kept.denm.termination is not None
        return event

    def change(self, report: EventReport, now: MonotonicNs) -> None:
        """Take how it is now: validity and repetition begin anew."""
        self.report, self.area, self.name = report, report.area, report.name
        self.since = self.due = now
        self.expires = MonotonicNs(now + report.validity_s * NS_PER_S)
        interval_ms = report.repetition_interval_ms
        self.interval_ns = None if interval_ms is None else interval_ms * NS_PER_MS
        duration_s = report.repetition_duration_s
        wished = self.expires if duration_s is None else now + round(duration_s * NS_PER_S)
        self.repeat_until = MonotonicNs(min(self.expires, wished))
        self.is_current = False

    def end(self, termination: Termination, now: MonotonicNs) -> None:
        """It is over, or denied: say so for a while."""
        self.report = None
        self.termination = termination
        self.since = self.due = now
        self.interval_ns = min(self.interval_ns or MAX_CANCELLATION_INTERVAL_NS, MAX_CANCELLATION_INTERVAL_NS)
        self.repeat_until = MonotonicNs(min(self.expires, now + CANCELLATION_REPEATED_NS))
        self.is_current = False

    def say(self, station_id: StationId, station_type: int, now: Instant) -> Denm:
        """Return what is to be said now, and set when it is due again; raises `UntrustedTimeError`."""
        if self.said is None or not self.is_current:
            self.said = self._version(station_id, station_type, now)
            self.is_current = True
        self._schedule(now.monotonic)
        return self.said

    def _schedule(self, now: MonotonicNs) -> None:
        if self.interval_ns is None or self.due is None:
            self.due = None
            return
        following = self.due + self.interval_ns
        if following <= now:  # no backlog after a long sleep
            following = now + self.interval_ns
        self.due = MonotonicNs(following) if following < self.repeat_until else None

    def _version(self, station_id: StationId, station_type: int, now: Instant) -> Denm:
        its = timestamp_its(trusted_time64(now))
        detection = TimestampIts(max(0, its - (now.monotonic - self.since) // NS_PER_MS))
        later = its if self.said is None else TimestampIts(max(its, self.said.reference_time + 1))
        if self.report is not None:
            return announcing_denm(
                self.report,
                station_id=station_id,
                station_type=station_type,
                action_id=self.action_id,
                detection_time=detection,
                reference_time=later,
            )
        if self.said is None or self.termination is None:
            raise AssertionError("an event that was never said has no end to be told")
        remaining_s = -(-(self.expires - self.since) // NS_PER_S)
        return terminating_denm(
            self.said,
            self.termination,
            station_id=station_id,
            station_type=station_type,
            detection_time=detection,
            reference_time=self.said.reference_time if self.termination is Termination.IS_NEGATION else later,
            validity_s=max(1, min(remaining_s, MAX_VALIDITY_S)),
            interval_ms=None if self.interval_ns is None else self.interval_ns // NS_PER_MS,
        )
