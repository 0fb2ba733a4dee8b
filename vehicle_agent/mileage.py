"""From the cluster's readings to records in the ledger: what the agent does about the odometer, in one place.

`OdometerWatch` says when a reading becomes a record, `Recorder` makes and keeps it, `Anchors` brings it into the ledger;
this ties them together, counts, and tells. A store that fails is told once; the last reading before the ignition went off is owed
until it is on disk, every other is made good by the next.
"""

from collections import Counter

from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.errors import StorageError, V2xError
from shared.records.odometer import OdometerSource, RecordReason
from shared.records.recorder import Recorder
from shared.service.counted_log import LogNews
from shared.service.record_key import EnrolledSigner
from shared.service.rollback_counter import CounterIsNew, Restored
from shared.stack.effects import Notice
from vehicle_agent.anchors import Anchors, contradiction_json
from vehicle_agent.log_news import LogChanged, notice_of
from vehicle_agent.odometer import OdometerWatch, RecordDue
from vehicle_agent.vehicle_state import SignalUpdate

CLUSTER = "cluster"
"""Name of the instrument cluster among an odometer record's sources."""


class Mileage:
    """The records of one vehicle's odometer.

    Args:
        watch: says when a reading becomes a record.
        recorder: makes and keeps records.
        anchoring: brings records into the ledger.
        restored: what was odd about the store when it was opened, told once as loudly as the agent can; None where nothing was.
        log_news: likewise of an embedded log.
        log_change: told once where records went into another log before.
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
    ) -> None:
        self._watch = watch
        self._recorder = recorder
        self._anchoring = anchoring
        self._restored = restored
        self._log_news = log_news
        self._log_change = log_change
        self._has_told_restored = False
        self._owed: RecordDue | None = None
        self._successor: EnrolledSigner | None = None
        self._is_store_failing = False
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

    def read(self, update: SignalUpdate, now: Instant) -> tuple[Notice, ...]:
        """Take a reading of the cluster."""
        if update.field != "odometer_m" or not isinstance(update.value, int | float):
            return ()
        return self._record(self._watch.read(round(update.value), update.at), now)

    def ignition_off(self, now: Instant) -> tuple[Notice, ...]:
        """Record the last reading of a drive."""
        return self._record(self._watch.ignition_off(), now)

    def poll(self, now: Instant) -> tuple[Notice, ...]:
        """Record what is owed, and go on with anchoring."""
        return (*self._tell_restored(), *self._record(self._owed, now), *self._anchor(now))

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
            "last_recorded_m": self._watch.last_recorded_m,
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
        age_ns = now.monotonic - due.read_at
        read = Instant(due.read_at, None if now.utc is None else UtcNs(now.utc - age_ns))
        source = OdometerSource(name=CLUSTER, odometer_m=due.odometer_m, age_ms=max(0, age_ns) // NS_PER_MS)
        try:
            notices = self._not_introduced()
            notices += self._hand_over(due, source, read)
            signed = self._recorder.record_reading(
                odometer_m=due.odometer_m, reason=due.reason, sources=(source,), flags=due.flags, at=read
            )
        except V2xError as failure:
            self._owed = due if due.reason is RecordReason.IGNITION_OFF else None
            return self._store_failed(failure)
        self._owed = None
        self._is_store_failing = False
        self._watch.note_recorded(due)
        self._recorded += 1
        self._flags_recorded.update(flag.value for flag in signed.record.flags)
        return (
            *notices,
            Notice(
                "odometer_recorded",
                {
                    "seq": signed.record.seq,
                    "odometer_m": due.odometer_m,
                    "reason": due.reason.value,
                    "flags": [flag.value for flag in signed.record.flags],
                },
            ),
        )

    def _not_introduced(self) -> tuple[Notice, ...]:
        """Tell of the next record if nothing before it leads to the credential it is signed under."""
        if self._recorder.is_introduced:
            return ()
        reason = "no earlier credential handed over to the present one; whoever verifies the records sees that"
        return (Notice("records_not_introduced", {"reason": reason}),)

    def _hand_over(self, due: RecordDue, source: OdometerSource, read: Instant) -> tuple[Notice, ...]:
        """Let a credential that was renewed take over the signing of records."""
        successor = self._successor
        if successor is None:
            return ()
        signed = self._recorder.change_signer(successor, odometer_m=due.odometer_m, sources=(source,), flags=due.flags, at=read)
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
        if self._is_store_failing:
            return ()
        self._is_store_failing = True
        return (Notice("odometer_not_recorded", {"reason": str(failure)}),)
