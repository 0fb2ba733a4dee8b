"""From the odometer's witnesses to records in the ledger: what the agent does about the odometer, in one place.

`OdometerWatch` says when a reading becomes a record, `Recorder` makes and keeps it, `Anchors` brings it into the ledger;
this ties them together, counts, and tells. A store that fails is told once; the last reading before the ignition went off is owed
until it is on disk, every other is made good by the next. What is learnt of the witnesses is remembered beside the records.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.core.clock import NS_PER_MS, Instant, MonotonicNs, UtcNs
from shared.core.errors import StorageError, V2xError
from shared.core.itstime import utc_text
from shared.records.boot_dates import duration_text
from shared.records.odometer import RecordReason
from shared.records.record import SignedRecord
from shared.records.recorder import Recorder
from shared.service.counted_log import LogNews
from shared.service.record_key import EnrolledSigner
from shared.service.rollback_counter import CounterIsNew, Restored
from shared.service.spool_room import RecordClass, SpoolFullError
from shared.stack.effects import Notice
from vehicle_agent.anchors import Anchors, contradiction_json
from vehicle_agent.log_news import LogChanged, notice_of
from vehicle_agent.odometer import OdometerWatch, RecordDue
from vehicle_agent.record_clock import RecordClock
from vehicle_agent.vehicle_memory import Remembered
from vehicle_agent.vehicle_state import SignalUpdate


class NoReadingError(V2xError):
    """An inspector asked for a reading, and there is none to be believed yet, or only an old one.

    Args:
        why: a sentence about the odometer.
    """

    code = "no_reading"

    def __init__(self, why: str = "no reading of the odometer is confirmed since the vehicle was switched on") -> None:
        super().__init__(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """An inspector's record, and what is to be told of it."""

    signed: SignedRecord
    notices: tuple[Notice, ...]


class Mileage:
    """The records of one vehicle's odometer.

    Args:
        watch: says when a reading becomes a record.
        recorder: makes and keeps records.
        anchoring: brings records into the ledger.
        restored: what was odd about the store when it was opened, told once as loudly as the agent can; None where nothing was.
        log_news: likewise of an embedded log.
        log_change: told once where records went into another log before.
        remembered: keeps what is learnt of the witnesses over a restart.
    """

    def __init__(
        self,
        *,
        watch: OdometerWatch,
        recorder: Recorder,
        anchoring: Anchors,
        restored: Restored | CounterIsNew | None = None,
        log_news: LogNews | None = None,
        log_change: LogChanged | None = None,
        remembered: Remembered,
    ) -> None:
        self._watch = watch
        self._remembered = remembered
        self._is_memory_failing = False
        self._recorder = recorder
        self._anchoring = anchoring
        self._restored = restored
        self._log_news = log_news
        self._log_change = log_change
        self._has_told_restored = False
        self._clock = RecordClock()
        self._owed: RecordDue | None = None
        self._successor: EnrolledSigner | None = None
        self._is_store_failing = False
        self._full_for: set[RecordClass] = set()
        self._recorded = 0
        self._anchored = 0
        self._flags_recorded: Counter[str] = Counter()
        self._unrecorded: Counter[str] = Counter()

    @property
    def recorder(self) -> Recorder:
        """Makes and keeps the records, those of other kinds too: they are one sequence."""
        return self._recorder

    def renew_signer(self, successor: EnrolledSigner) -> None:
        """Sign records under another credential from the next reading on; the present one says so in its last record."""
        self._successor = successor

    def on_signals(self, updates: Iterable[SignalUpdate], now: Instant, *, is_off: bool) -> tuple[Notice, ...]:
        """Take news about the car.

        Args:
            updates: the news.
            now: the present.
            is_off: whether the ignition is known to be off: what a cluster still says then is nothing new.
        """
        watch = self._watch
        watch.switched(is_off=is_off)
        for update in updates:
            watch.take(update)
        return self._record(watch.due(now.monotonic), now) if watch.has_reading else ()

    def inspect(self, nonce: bytes, now: Instant) -> Inspected:
        """Record the reading there is at once, with an inspector's fresh nonce in it.

        Raises:
            NoReadingError: none is to be believed yet, or the odometer has not been heard since the last one.
            EncodeError: the nonce is too short or too long.
            RecordError, StorageError: it could not be recorded.
        """
        stale_since = self._watch.stale_since(now.monotonic)
        if stale_since is not None:
            raise NoReadingError(_stale_words(stale_since, now))
        due = self._watch.inspect(now.monotonic)
        if due is None:
            raise NoReadingError
        return self._make(due, now, nonce)

    def other_vehicle(self, *, is_other: bool) -> None:
        """The vehicle says to be another than the one its records are of, or that one again."""
        self._watch.other_vehicle(is_other=is_other)

    def unknown_part(self) -> None:
        """A control unit answered that was never introduced: the next record says so."""
        self._watch.unknown_part()

    def ignition_off(self, now: Instant) -> tuple[Notice, ...]:
        """Record the last reading of a drive."""
        return (*self._record(self._watch.ignition_off(now.monotonic), now), *self._remember())

    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Record what is owed and what no reading brings up, remember what was learnt, and go on with anchoring."""
        return (
            *self._tell_restored(),
            *self._clock.see(now),
            *self._record(self._owed, now),
            *self._record(self._dating(now), now),
            *self._record(self._watch.poll(now.monotonic), now),
            *self._tell_ended(),
            *self._remember(),
            *self._anchor(now),
        )

    def stop(self, now: Instant) -> tuple[Notice, ...]:
        """The vehicle or the program goes to sleep: record the last reading."""
        return (*self.ignition_off(now), *self._anchor(now))

    def status(self) -> dict[str, object]:
        """Return what was counted, as JSON values."""
        contradiction = self._anchoring.contradiction
        return {
            "recorded": self._recorded,
            "flags": dict(self._flags_recorded),
            "unrecorded": dict(self._unrecorded),
            "judgement": self._watch.status(),
            "last_recorded_m": self._watch.last_recorded_m,
            "waiting": self._watch.waiting(),
            "anchored": self._anchored,
            "ledger_contradiction": None if contradiction is None else str(contradiction),
            "ledger": self._anchoring.status(),
            "store_restored": None if self._restored is None else str(self._restored),
            "log_restored": None if self._log_news is None else str(self._log_news),
        }

    def evidence(self) -> tuple[dict[str, object], ...]:
        """Return the log's contradictions nobody has acknowledged, with both notes each; raises `StorageError`."""
        return tuple(map(contradiction_json, self._anchoring.evidence()))

    def acknowledge_evidence(self, now: Instant) -> int:
        """A person has looked at the evidence: go on with anchoring; return how many contradictions; raises `StorageError`."""
        count = len(self._anchoring.evidence())
        self._anchoring.acknowledge_evidence(now)
        return count

    def _tell_restored(self) -> tuple[Notice, ...]:
        if self._has_told_restored:
            return ()
        self._has_told_restored = True
        notices: list[Notice] = []
        if self._restored is not None:
            kind = "records_restored" if isinstance(self._restored, Restored) else "record_counter_new"
            notices.append(Notice(kind, {"reason": str(self._restored)}))
        notices += [notice_of(news) for news in (self._log_change, self._log_news) if news is not None]
        return tuple(notices)

    def _record(self, due: RecordDue | None, now: Instant) -> tuple[Notice, ...]:
        if due is None:
            return ()
        try:
            made = self._make(due, now)
        except V2xError as failure:
            if due.reason is RecordReason.IGNITION_OFF:
                self._owed = due
            return self._store_failed(failure)
        self._owed = None
        return made.notices

    def _dating(self, now: Instant) -> RecordDue | None:
        """Return a record that dates those made before the date was known; None where none waits for it, or there is no reading."""
        if not self._clock.wants_dated_record(now):
            return None
        due = self._watch.inspect(now.monotonic)
        return None if due is None else replace(due, reason=RecordReason.CLOCK_SET)

    def _make(self, due: RecordDue, now: Instant, nonce: bytes | None = None) -> Inspected:
        age_ns = now.monotonic - due.read_at
        read = Instant(due.read_at, None if now.utc is None else UtcNs(now.utc - age_ns))
        notices = self._clock.see(now)
        notices += self._not_introduced()
        notices += self._hand_over(due, read)
        signed = self._recorder.record_reading(
            odometer_m=due.odometer_m,
            reason=due.reason,
            sources=due.sources,
            flags=(*due.flags, *self._clock.flags),
            at=read,
            verdict=due.verdict,
            missing_permille=due.missing_permille,
            nonce=nonce,
        )
        self._is_store_failing = False
        self._watch.note_recorded(due)
        self._clock.recorded(signed.record)
        self._recorded += 1
        self._flags_recorded.update(flag.value for flag in signed.record.flags)
        told: dict[str, object] = {
            "seq": signed.record.seq,
            "odometer_m": due.odometer_m,
            "reason": due.reason.value,
            "flags": [flag.value for flag in signed.record.flags],
            "verdict": due.verdict.value,
        }
        if due.missing_permille is not None:
            told["missing_permille"] = due.missing_permille
        return Inspected(signed=signed, notices=(*notices, Notice("odometer_recorded", told)))

    def _tell_ended(self) -> tuple[Notice, ...]:
        """Tell of what had been odd and no longer is."""
        return tuple(Notice("odometer_flag_ended", {"flag": flag.value}) for flag in self._watch.take_ended())

    def _remember(self) -> tuple[Notice, ...]:
        """Keep what was learnt of the witnesses; where that fails it is told once and learnt anew after a restart."""
        if not self._watch.has_learnt:
            return ()
        self._watch.has_learnt = False
        try:
            self._remembered.keep_factors(self._watch.factors())
        except StorageError as failure:
            if self._is_memory_failing:
                return ()
            self._is_memory_failing = True
            return (Notice("calibration_not_kept", {"reason": str(failure)}),)
        self._is_memory_failing = False
        return ()

    def _not_introduced(self) -> tuple[Notice, ...]:
        """Tell of the next record if nothing before it leads to the credential it is signed under."""
        if self._recorder.is_introduced:
            return ()
        reason = "no earlier credential handed over to the present one; whoever verifies the records sees that"
        return (Notice("records_not_introduced", {"reason": reason}),)

    def _hand_over(self, due: RecordDue, read: Instant) -> tuple[Notice, ...]:
        """Let a credential that was renewed take over the signing of records."""
        successor = self._successor
        if successor is None:
            return ()
        signed = self._recorder.change_signer(successor, odometer_m=due.odometer_m, sources=due.sources, flags=due.flags, at=read)
        self._successor = None
        if signed is None:
            return ()
        self._recorded += 1
        self._flags_recorded.update(flag.value for flag in signed.record.flags)
        return (Notice("records_signed_anew", {"seq": signed.record.seq}),)

    def _anchor(self, now: Instant) -> tuple[Notice, ...]:
        try:
            notices = self._anchoring.poll(now)
        except StorageError as failure:
            return self._store_failed(failure)
        self._anchored += sum(notice.kind == "odometer_anchored" for notice in notices)
        return notices

    def _store_failed(self, failure: V2xError) -> tuple[Notice, ...]:
        self._unrecorded[failure.code] += 1
        if isinstance(failure, SpoolFullError):  # stays so, while records of another class are still taken
            if failure.refused in self._full_for:
                return ()
            self._full_for.add(failure.refused)
        elif self._is_store_failing:
            return ()
        else:
            self._is_store_failing = True
        return (Notice("odometer_not_recorded", {"reason": str(failure)}),)


def _stale_words(since: MonotonicNs, now: Instant) -> str:
    age_ns = max(0, now.monotonic - since)
    date = "" if now.utc is None else f" (since {utc_text(UtcNs(now.utc - age_ns))[:19].replace('T', ' ')} UTC)"
    return (
        f"no reading of the odometer has been confirmed for {duration_text(age_ns // NS_PER_MS)}{date}: "
        "the vehicle is switched off, its bus is silent, or its odometer says something new"
    )
