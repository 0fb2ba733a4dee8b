"""Where a vehicle takes records of others: it tells the next slot, and lets a record in or says in a sentence why not.

Both are short and are for whoever owns the recorder. Whether a record fits is `shared.records.admission`'s business, and whom its
certificate belongs to `shared.service.record_issuers`'; what is let in is on disk before anybody is told.
"""

from collections.abc import Callable
from typing import Protocol

from shared.core.clock import Instant
from shared.records.admission import Admitted, RecordShelf
from shared.records.exchange import Slot
from shared.records.record import SignedRecord
from shared.security.trust_store import TrustStore
from shared.service.record_issuers import check_issued


class AdmittingRecorder(Protocol):
    """Keeps the vehicle's sequence: `shared.records.recorder.Recorder`."""

    def slot(self) -> Slot:
        """Return where the next record stands."""
        ...

    def admit(self, admitted: Admitted) -> SignedRecord:
        """Store a record of somebody else; when this returns it is stored."""
        ...


class AdmissionDesk:
    """Takes records of others for one vehicle.

    Args:
        recorder: keeps its sequence.
        shelf: its records, by their number.
        trust: says whom the vehicle believes at the moment.
    """

    def __init__(self, *, recorder: AdmittingRecorder, shelf: RecordShelf, trust: Callable[[], TrustStore]) -> None:
        self._recorder = recorder
        self._shelf = shelf
        self._trust = trust

    def slot(self) -> Slot:
        """Return the next slot, good for one record and until the vehicle makes one of its own.

        Raises:
            RecordError: `credential`: the vehicle's credential has handed over to another, whose key is not at hand.
            StorageError: the store failed.
        """
        return self._recorder.slot()

    def admit(self, data: bytes, now: Instant) -> SignedRecord:
        """Let the record in a file into the vehicle's sequence; when this returns it is on disk.

        Raises:
            RecordError: the check that failed, in a sentence (`shared.service.record_issuers.check_issued`).
            UntrustedTimeError: the vehicle does not know the date.
            StorageError: the store failed; nothing was let in.
        """
        slot = self._recorder.slot()
        admitted = check_issued(data, slot=slot, shelf=self._shelf, roots=self._trust(), now=now)
        return self._recorder.admit(admitted)
