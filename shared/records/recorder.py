"""Turns a reading into the next record of a vehicle: numbered, chained, signed, and stored before anyone hears of it.

The store is a Protocol (`shared.service.spool` is the one on disk). A reading below the one recorded before is flagged here too,
whatever the policy that asked for the record thought of it.
"""

from dataclasses import dataclass
from typing import Protocol

from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.errors import EncodeError
from shared.records.odometer import (
    BOOT_ID_BYTES,
    BootTime,
    OdometerFlag,
    OdometerRecord,
    OdometerSource,
    RecordReason,
    SignedRecord,
    sign_record,
)
from shared.records.sd_jwt import Entropy, RecordSigner


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHead:
    """Where a vehicle's sequence stands.

    Attributes:
        seq: number of the last record.
        commitment: its commitment.
        odometer_m: what it states, in metres.
        resumed: True if records before it were lost and the next one must say so.
    """

    seq: int
    commitment: bytes
    odometer_m: int
    resumed: bool = False


class RecordStore(Protocol):
    """Keeps a vehicle's records for good."""

    def head(self) -> RecordHead | None:
        """Return where the sequence stands, None before the first record."""
        ...

    def append(self, record: SignedRecord) -> None:
        """Store the next record; when this returns it survives a power cut. Raises `StorageError`."""
        ...


class OdometerRecorder:
    """Makes the odometer records of one vehicle.

    Args:
        signer: the vehicle's long-term key.
        store: where records go.
        entropy: source of salts.
        boot_id: 16 random bytes that name this start of the program.
    """

    def __init__(self, *, signer: RecordSigner, store: RecordStore, entropy: Entropy, boot_id: bytes) -> None:
        if len(boot_id) != BOOT_ID_BYTES:
            raise EncodeError("boot_id", f"{len(boot_id)} bytes, not {BOOT_ID_BYTES}")
        self._signer = signer
        self._store = store
        self._entropy = entropy
        self._boot_id = boot_id

    def record(
        self,
        *,
        odometer_m: int,
        reason: RecordReason,
        sources: tuple[OdometerSource, ...],
        flags: tuple[OdometerFlag, ...],
        at: Instant,
    ) -> SignedRecord:
        """Record a reading in metres that was taken `at`; when this returns it is stored.

        Raises:
            EncodeError: impossible values.
            StorageError: it could not be stored; nothing was recorded.
        """
        head = self._store.head()
        noticed = set(flags)
        if head is not None and odometer_m < head.odometer_m:
            noticed.add(OdometerFlag.ROLLBACK)
        if head is not None and head.resumed:
            noticed.add(OdometerFlag.SEQUENCE_RESUMED)
        if at.utc is None:
            noticed.add(OdometerFlag.CLOCK_NOT_SET)
        record = OdometerRecord(
            seq=0 if head is None else head.seq + 1,
            prev=None if head is None else head.commitment,
            odometer_m=odometer_m,
            occurred=None if at.utc is None else UtcNs(at.utc - at.utc % NS_PER_MS),
            reason=reason,
            sources=sources,
            flags=tuple(flag for flag in OdometerFlag if flag in noticed),
            boot=BootTime(boot_id=self._boot_id, elapsed_ms=at.monotonic // NS_PER_MS),
        )
        signed = sign_record(record, self._signer, self._entropy)
        self._store.append(signed)
        return signed
