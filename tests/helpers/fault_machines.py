"""Programs that keep what must not be lost, one phase of their work at a time, for faults to befall them at every step.

A phase starts from a folder as the phases before left it and opens everything anew, as a program does that was killed; run again,
it goes on. `look` says in words what lies on the disks, `check` asserts what must be so whatever befell.
"""

import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import RecordError
from shared.records.admission import check_admission
from shared.records.credential import credential_of
from shared.records.exchange import IssuedRecord, parse_issued
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag, OdometerSource, RecordReason
from shared.records.record import Record, commitment_of, read_record, sign_token
from shared.records.recorder import Recorder
from shared.records.sd_jwt import parse_sd_jwt
from shared.service.rollback_counter import CountedSpool, FileCounter
from shared.service.spool import Spool, open_spool
from tests.helpers.durable_steps import Steps
from tests.helpers.ledger import Vehicle, seeded_entropy

VEHICLE, RENEWED, GARAGE = Vehicle(), Vehicle("renewed"), Vehicle("garage")
NOW = Instant(MonotonicNs(1), UtcNs(1_700_000_000_000_000_000))


class Machine(ABC):
    """A program."""

    NAME: ClassVar[str]
    PHASES: ClassVar[tuple[str, ...]]

    @abstractmethod
    def prepare(self, phase: int, folder: Path) -> None:
        """Do to a folder what happens between two phases and has nothing to do with the program."""

    def surroundings(self, folder: Path) -> AbstractContextManager[None]:
        """Have around what lives on while the program dies: other programs."""
        return nullcontext()

    @abstractmethod
    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Start the program, have it do its work, and stop it."""

    @abstractmethod
    def look(self, folder: Path) -> str:
        """Say what lies on the disks."""

    @abstractmethod
    def check(self, phase: int, folder: Path) -> None:
        """Assert what must be so after the phases up to this one, whatever befell."""


@contextmanager
def seen(folder: Path, name: str) -> Iterator[sqlite3.Connection | None]:
    """Open a copy of a database as it lies on the disk at this moment; None where there is none."""
    if not (folder / name).exists():
        yield None
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as copy:
        for file in folder.glob(name + "*"):
            if file.is_file():
                shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy) / name)) as connection:
            yield connection


def some(number: int, what: str) -> str:
    """Return `1 record`, `2 records`, `no records`."""
    return f"{number or 'no'} {what if number == 1 else what + 's'}"


def lines_of(file: Path) -> list[str]:
    """Return what somebody has heard."""
    return file.read_text().splitlines() if file.exists() else []


class SpoolMachine(Machine):
    """A vehicle's records: made, stored, counted, and told; beside them the counter on another medium."""

    NAME = "the vehicle's records"
    PHASES = (
        "the first start",
        "a reading is recorded",
        "the credential is renewed",
        "a garage's record is admitted",
        "an older image was put back, and a reading is recorded",
    )

    def prepare(self, phase: int, folder: Path) -> None:
        """Keep an image before the credential is renewed, and put it back at the end."""
        (folder / "medium").mkdir(exist_ok=True)
        if phase == 2:
            shutil.copytree(folder, folder.parent / "image")
        if phase == 4:
            for file in folder.glob("spool.db*"):
                file.unlink()
            for file in (folder.parent / "image").glob("spool.db*"):
                shutil.copy(file, folder)
            shutil.rmtree(folder.parent / "image")

    def run(self, phase: int, folder: Path, steps: Steps) -> None:
        """Open spool and counter, do one thing, tell of it, close."""
        path = steps.path(folder / "spool.db", "spool")
        spool = steps.until_done(lambda: open_spool(path, connect=steps.connect("spool")))
        with closing(spool):
            counter = FileCounter(steps.path(folder / "medium/counter", "counter"), sync=steps.sync("counter"))
            counted = steps.until_done(lambda: CountedSpool(spool, counter))
            if phase in (1, 4):
                steps.until_done(lambda: self._read(spool, counted, folder, steps))
            elif phase == 2:
                steps.until_done(lambda: self._renew(spool, counted, folder, steps))
            elif phase == 3:
                steps.until_done(lambda: self._admit(spool, counted, folder, steps))

    def look(self, folder: Path) -> str:
        """Say how many records there are, how many were counted, and of how many somebody has heard."""
        counted = FileCounter(folder / "medium/counter").read()
        with seen(folder, "spool.db") as spool:
            if spool is None:
                return "no spool"
            records, credentials, after = (
                spool.execute(f"SELECT {what}").fetchone()[0]
                for what in ("count(*) FROM record", "count(*) FROM credential", "max(after_seq) FROM resumed")
            )
        resumed = "" if after is None else f", resumed after number {after}"
        told = len(lines_of(folder / "told"))
        return f"{some(records, 'record')}, {some(credentials, 'credential')}{resumed}; {counted} counted; {told} told of"

    def check(self, phase: int, folder: Path) -> None:
        """Assert that whatever was told of is there, once, in its place, counted, and that one leads to the next."""
        with closing(open_spool(folder / "spool.db")) as spool:
            assert CountedSpool(spool, FileCounter(folder / "medium/counter")).notice is None
            stored = list(spool.records())
            seqs = [record.seq for record in stored]
            told = [line.split() for line in lines_of(folder / "told")]
            heard = {int(seq): bytes.fromhex(commitment) for seq, commitment in told}
            assert len(heard) == len(told), "one number was told of twice"
            by_seq = {record.seq: record.commitment for record in stored}
            missing = {seq for seq in heard if seq not in by_seq}
            assert len({record.commitment for record in stored}) == len(stored)
            assert all(by_seq[seq] == commitment for seq, commitment in heard.items() if seq not in missing)
            assert FileCounter(folder / "medium/counter").read() == max(seqs, default=-1) + 1
            shown = [read_record(parse_sd_jwt(record.sd_jwt)) for record in stored]
            for (_, before), (later, record) in pairwise(zip(shown, stored, strict=True)):
                assert later.prev == before.commitment
                assert commitment_of(parse_sd_jwt(record.sd_jwt).jwt, record.salt) == record.commitment
            if phase < 4:
                assert not missing
                assert seqs == list(range(len(seqs)))
                assert len(spool.credentials()) == min(phase, 2)
                assert [r.kind for r in stored].count(RecordKind.MAINTENANCE) == int(phase == 3)
                assert sum(record.next_credential is not None for record in shown) == int(phase >= 2)
            else:  # numbers that others have heard of are not used a second time, and the gap is owned to
                (gap,) = (b for a, b in pairwise(seqs) if b != a + 1)
                assert missing == {seq for seq in heard if seqs[seqs.index(gap) - 1] < seq < gap}
                resumed = [record.seq for record in shown if OdometerFlag.SEQUENCE_RESUMED in record.flags]
                assert resumed == [gap]

    def _recorder(self, spool: Spool, counted: CountedSpool) -> Recorder:
        kept, head = spool.credentials(), spool.head()
        signer = RENEWED if kept and kept[-1] == credential_of(RENEWED) else VEHICLE
        return Recorder(signer=signer, store=counted, entropy=seeded_entropy(-1 if head is None else head.seq), boot_id=bytes(16))

    def _read(self, spool: Spool, counted: CountedSpool, folder: Path, steps: Steps) -> None:
        head = spool.head()
        odometer_m = 1_000 if head is None else 2_000 + head.seq
        signed = self._recorder(spool, counted).record_reading(
            odometer_m=odometer_m, reason=RecordReason.TIME, sources=_sources(odometer_m), flags=(), at=NOW
        )
        self._tell(signed.record.seq, signed.commitment, folder, steps)

    def _renew(self, spool: Spool, counted: CountedSpool, folder: Path, steps: Steps) -> None:
        signed = self._recorder(spool, counted).change_signer(RENEWED, odometer_m=5_000, sources=_sources(5_000), flags=(), at=NOW)
        if signed is not None:
            self._tell(signed.record.seq, signed.commitment, folder, steps)

    def _admit(self, spool: Spool, counted: CountedSpool, folder: Path, steps: Steps) -> None:
        """The garage signs for the slot that is next, once; the vehicle admits what it is handed until it hears that it has it."""
        slot, file = self._recorder(spool, counted).slot(), folder / "issued"
        if not file.exists():
            record = Record(
                kind=RecordKind.MAINTENANCE,
                seq=slot.seq,
                prev=slot.prev,
                occurred=NOW.require_utc(),
                fields={"odometer_m": 6_000, "works": ["brakes"], "fault_codes": []},
                subject=slot.subject,
            )
            token = sign_token(record, GARAGE, seeded_entropy(77))
            file.write_bytes(IssuedRecord(token=token, credential=credential_of(GARAGE)).encode())
        issuer = Issuer(key=GARAGE.public_key, role=IssuerRole.GARAGE)
        try:
            admitted = check_admission(parse_issued(file.read_bytes()), issuer=issuer, slot=slot, shelf=spool, now=NOW)
        except RecordError as refusal:
            if "it is there already" in refusal.reason:
                return
            raise
        signed = admitted.committed(seeded_entropy(78))
        counted.append(signed)
        self._tell(signed.record.seq, signed.commitment, folder, steps)

    def _tell(self, seq: int, commitment: bytes, folder: Path, steps: Steps) -> None:
        steps.told("it is told that the record was made", folder / "told", f"{seq} {commitment.hex()}")


def _sources(odometer_m: int) -> tuple[OdometerSource, ...]:
    return (OdometerSource(name="cluster", odometer_m=odometer_m, age_ms=0),)
