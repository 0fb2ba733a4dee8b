"""Turns what happened into the next record of a vehicle: numbered, chained, signed, and stored before anyone hears of it.

The store is a Protocol (`shared.service.spool` is the one on disk). A reading below the one recorded before is flagged here too,
whatever the policy that asked for the record thought of it. A record of somebody else joins the same sequence: the recorder tells
where it stands (`slot`), the issuer signs, and `shared.records.admission` lets it in.

A new credential takes over with one record under the old one that names it. The store keeps that record and the new credential in
one step, so wherever a power cut falls, the last credential of the store is the one that signs next; one that has handed over never
signs again. Where the old key is lost there is no such record: the vehicle goes on, and whoever verifies its records is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.errors import EncodeError, RecordError
from shared.records.admission import Admitted
from shared.records.credential import VehicleCredential, credential_of
from shared.records.exchange import Slot
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import (
    BOOT_ID_BYTES,
    BootTime,
    HardwareCount,
    OdometerFlag,
    OdometerReading,
    OdometerSource,
    RecordReason,
    Verdict,
)
from shared.records.record import Record, SignedRecord, sign_record
from shared.records.sd_jwt import Entropy, RecordSigner, certificate_id
from shared.records.strict_json import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHead:
    """Where a vehicle's sequence stands.

    Attributes:
        seq: number of the last record.
        commitment: its commitment.
        odometer_m: the vehicle's last reading of its odometer, in metres; None if there is none.
        resumed: True if records before it were lost and the next one must say so.
    """

    seq: int
    commitment: bytes
    odometer_m: int | None
    resumed: bool = False


class RecordStore(Protocol):
    """Keeps a vehicle's records for good, and the credentials they are signed under."""

    def head(self) -> RecordHead | None:
        """Return where the sequence stands, None before the first record."""
        ...

    def credentials(self) -> tuple[VehicleCredential, ...]:
        """Return every credential of the vehicle in the order they took over; the last one signs the next record."""
        ...

    def append(self, record: SignedRecord) -> None:
        """Store the next record; when this returns it survives a power cut. Raises `StorageError`.

        The credential it is signed under, and behind it the one it hands over to, are kept with it or not at all.
        """
        ...


CountOf = Callable[[int], HardwareCount | None]
"""By the number of a record: where the counter beside the records stands once it is counted. Raises `StorageError`."""


def uncounted(_seq: int) -> HardwareCount | None:
    """Say that no counter stands beside the records."""
    return None


class Recorder:
    """Makes the records of one vehicle.

    Args:
        signer: the vehicle's long-term key.
        store: where records go.
        entropy: source of salts.
        boot_id: 16 bytes that name this start of the vehicle's computer, and no other.
        count_of: says where the counter beside the records stands once a record is counted; None where there is no counter.

    Raises:
        RecordError: `credential`: the signer's credential has handed over to another.
        StorageError: the store failed.
    """

    def __init__(
        self, *, signer: RecordSigner, store: RecordStore, entropy: Entropy, boot_id: bytes, count_of: CountOf = uncounted
    ) -> None:
        if len(boot_id) != BOOT_ID_BYTES:
            raise EncodeError("boot_id", f"{len(boot_id)} bytes, not {BOOT_ID_BYTES}")
        self._signer = signer
        self._successor: RecordSigner | None = None
        self._store = store
        self._entropy = entropy
        self._boot_id = boot_id
        self._count_of = count_of
        self._settle()

    @property
    def is_introduced(self) -> bool:
        """Whether the records before lead to the signer; if not, whoever verifies the next one is told."""
        kept = self._store.credentials()
        return not kept or kept[-1].id == certificate_id(self._signer.certificate)

    def slot(self) -> Slot:
        """Return where the next record stands, for an issuer that is not the vehicle.

        Raises:
            RecordError: `credential`: the signer's credential has handed over to another.
            StorageError: the store failed.
        """
        self._settle()
        head, kept = self._store.head(), self._store.credentials()
        return Slot(
            seq=_next_seq(head),
            prev=None if head is None else head.commitment,
            subject=kept[-1].id if kept else certificate_id(self._signer.certificate),
            flags=(OdometerFlag.SEQUENCE_RESUMED,) if head is not None and head.resumed else (),
        )

    def admit(self, admitted: Admitted) -> SignedRecord:
        """Store a record of somebody else that was let in; when this returns it is stored, under a salt of ours.

        Raises:
            RecordError: `sequence`: another record has taken its place since.
            StorageError: it could not be stored; nothing was recorded.
        """
        self._settle()
        signed = admitted.committed(self._entropy)
        self._store.append(signed)
        return signed

    def record(self, kind: RecordKind, fields: Mapping[str, Json], *, at: Instant, corrects: int | None = None) -> SignedRecord:
        """Record what happened `at`, in the claims of its kind; when this returns it is stored.

        Readings of the odometer are made by `record_reading`.

        Raises:
            EncodeError: the kind's table has no such claims, or no vehicle issues such records.
            RecordError: `credential`: the signer's credential has handed over to another.
            StorageError: it could not be stored; nothing was recorded.
        """
        if kind is RecordKind.ODOMETER or kind not in ISSUER_KINDS[IssuerRole.VEHICLE]:
            raise EncodeError("record.kind", f"a vehicle does not make {kind.plural} so")
        self._settle()
        return self._append(self._store.head(), kind, fields, at=at, noticed=set(), corrects=corrects)

    def record_reading(
        self,
        *,
        odometer_m: int,
        reason: RecordReason,
        sources: tuple[OdometerSource, ...],
        flags: tuple[OdometerFlag, ...],
        at: Instant,
        verdict: Verdict | None = None,
        missing_permille: int | None = None,
        nonce: bytes | None = None,
    ) -> SignedRecord:
        """Record a reading in metres that was taken `at`; when this returns it is stored.

        Args:
            odometer_m: the reading.
            reason: why it is recorded.
            sources: where it came from, the one recorded first.
            flags: what is odd about it; what the recorder itself notices is added.
            at: when it was taken.
            verdict: what the other sources say about it; None where nobody judged.
            missing_permille: share of the distance that is not counted, where a blocker is suspected.
            nonce: the challenge of an inspector; with, and only with, the reason `INSPECTION`.

        Raises:
            EncodeError: impossible values.
            RecordError: `credential`: the signer's credential has handed over to another.
            StorageError: it could not be stored; nothing was recorded.
        """
        if verdict is None and missing_permille is not None:
            raise EncodeError("record.missing_permille", "a share that is missing is part of a verdict")
        if (nonce is not None) is not (reason is RecordReason.INSPECTION):
            raise EncodeError("record.nonce", "a reading answers a challenge if, and only if, that is why it is recorded")
        self._settle()
        boot = self._boot(at)
        reading = OdometerReading(
            odometer_m=odometer_m,
            reason=reason,
            sources=sources,
            boot=boot,
            verdict=verdict,
            missing_permille=missing_permille,
            nonce=nonce,
        )
        return self._append_reading(reading, flags=flags, at=at, successor=None)

    def change_signer(
        self,
        signer: RecordSigner,
        *,
        odometer_m: int,
        sources: tuple[OdometerSource, ...],
        flags: tuple[OdometerFlag, ...],
        at: Instant,
    ) -> SignedRecord | None:
        """Hand over to another credential with a record of a reading in metres taken `at`, and sign with `signer` from then on.

        The new key must be kept for good before this is called. If the store fails, nothing has changed, or, where it had failed
        after the fact, the next record is signed with the new key; calling again does no harm.

        Returns:
            The record that hands over; None if there was nothing to hand over: no record yet, or it was stored before.

        Raises:
            EncodeError: impossible values.
            RecordError: `credential`: the new credential has handed over to another before.
            StorageError: it could not be stored.
        """
        self._settle()
        successor = credential_of(signer)
        kept = self._store.credentials()
        _check_not_retired(successor.id, kept)
        if successor.id == certificate_id(self._signer.certificate) or self._store.head() is None or _is_last(successor.id, kept):
            self._signer, self._successor = signer, None
            return None
        self._successor = signer
        reason, boot = RecordReason.CREDENTIAL_RENEWED, self._boot(at)
        reading = OdometerReading(odometer_m=odometer_m, reason=reason, sources=sources, boot=boot)
        signed = self._append_reading(reading, flags=flags, at=at, successor=successor)
        self._signer, self._successor = signer, None
        return signed

    def _settle(self) -> None:
        """Take the new key if the store has it as the next one, whatever it answered then; refuse a key that has handed over."""
        kept = self._store.credentials()
        if self._successor is not None and _is_last(certificate_id(self._successor.certificate), kept):
            self._signer, self._successor = self._successor, None
        _check_not_retired(certificate_id(self._signer.certificate), kept)

    def _boot(self, at: Instant) -> BootTime:
        return BootTime(boot_id=self._boot_id, elapsed_ms=at.monotonic // NS_PER_MS)

    def _append_reading(
        self,
        reading: OdometerReading,
        *,
        flags: tuple[OdometerFlag, ...],
        at: Instant,
        successor: VehicleCredential | None,
    ) -> SignedRecord:
        noticed = set(flags)
        head = self._store.head()
        if head is not None and head.odometer_m is not None and reading.odometer_m < head.odometer_m:
            noticed.add(OdometerFlag.ROLLBACK)
        counted = replace(reading, counter=self._count_of(_next_seq(head)))
        return self._append(head, RecordKind.ODOMETER, counted.fields(), at=at, noticed=noticed, successor=successor)

    def _append(
        self,
        head: RecordHead | None,
        kind: RecordKind,
        fields: Mapping[str, Json],
        *,
        at: Instant,
        noticed: set[OdometerFlag],
        successor: VehicleCredential | None = None,
        corrects: int | None = None,
    ) -> SignedRecord:
        if head is not None and head.resumed:
            noticed.add(OdometerFlag.SEQUENCE_RESUMED)
        if at.utc is None:
            noticed.add(OdometerFlag.CLOCK_NOT_SET)
        record = Record(
            kind=kind,
            seq=_next_seq(head),
            prev=None if head is None else head.commitment,
            occurred=None if at.utc is None else UtcNs(at.utc - at.utc % NS_PER_MS),
            fields=fields,
            flags=tuple(flag for flag in OdometerFlag if flag in noticed),
            successor=successor,
            corrects=corrects,
        )
        signed = sign_record(record, self._signer, self._entropy)
        self._store.append(signed)
        return signed


def _next_seq(head: RecordHead | None) -> int:
    return 0 if head is None else head.seq + 1


def _is_last(credential: str, kept: tuple[VehicleCredential, ...]) -> bool:
    return bool(kept) and kept[-1].id == credential


def _check_not_retired(credential: str, kept: tuple[VehicleCredential, ...]) -> None:
    if credential in (before.id for before in kept[:-1]):
        raise RecordError(
            "credential",
            f"credential {credential} has handed over to {kept[-1].id}, which alone signs the vehicle's records now",
        )
