"""The holder's desk: grants and withdrawals go on record, and requests for data are answered as far as a live grant goes.

An answer is made in four steps. `gather` and `finish` may take a while and touch nothing that moves: they read the store through a
connection of their own, in another thread if need be. `admit` and `record` are short, and are for whoever owns the recorder.
Consent is looked at in both: a grant withdrawn while records were gathered covers nothing. The answer is on record before a byte
of it leaves, so a power cut in between costs nothing: the same request can be answered again, with the same records and without
another record, if somebody says that this is what is wanted (`again`). Without that word a request that was answered is refused:
whoever copied it gets nothing by it.

Files and the command socket are the only ways in: nothing here listens to a network.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from shared.core.clock import NS_PER_MS, Instant, UtcNs
from shared.core.entropy import Entropy
from shared.core.errors import RecordError
from shared.core.itstime import utc_text
from shared.pki.key_source import KeySource
from shared.records.consent import CONSENT_KINDS, GivenAnswer, Granted, Standing, check_consent
from shared.records.credential import VehicleCredential
from shared.records.data_answer import (
    Candidate,
    DataAnswer,
    Selection,
    answer_claims,
    select_again,
    select_records,
)
from shared.records.data_request import SignedRequest, verify_request
from shared.records.issuers import Issuer
from shared.records.kind import RecordKind
from shared.records.kinds import KINDS
from shared.records.passport import build_passport
from shared.records.record import SignedRecord, read_record
from shared.records.sd_jwt import encode_base64url
from shared.records.strict_json import Json
from shared.service.record_archive import RecordArchive, consent_of, lone_record
from shared.service.sealed_answer import seal_answer


class RecordMaker(Protocol):
    """Makes the vehicle's own records: `shared.records.recorder.Recorder`."""

    def record(self, kind: RecordKind, fields: Mapping[str, Json], *, at: Instant, corrects: int | None = None) -> SignedRecord:
        """Record what happened; when this returns it is stored."""
        ...


Reader = Callable[[], AbstractContextManager[RecordArchive]]
"""Opens the store to be read, by whoever calls; closed on leaving."""

Chain = Callable[[VehicleCredential, UtcNs], Issuer]
"""Chains a credential to a trusted root at a moment; raises `RecordError` where it does not lead there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGrant:
    """What a holder lets somebody have.

    Attributes:
        grantee: `kid` of who may ask.
        grantee_name: who that is, for people.
        kinds: of records.
        fields: claims of them.
        data_from: records dated from then on; None for all before.
        data_until: and before then; None for all after.
        purpose: what for.
        valid_until: after this nothing is given.
        replaces: number of an earlier grant that this one takes the place of.
    """

    grantee: str
    grantee_name: str | None
    kinds: tuple[RecordKind, ...]
    fields: tuple[str, ...]
    data_from: UtcNs | None
    data_until: UtcNs | None
    purpose: str
    valid_until: UtcNs
    replaces: int | None = None

    def claims(self) -> dict[str, Json]:
        """Return the claims of its record."""
        return {
            "grantee": self.grantee,
            "grantee_name": self.grantee_name,
            "kinds": [kind.value for kind in self.kinds],
            "fields": [*self.fields],
            "data_from": _moment(self.data_from),
            "data_until": _moment(self.data_until),
            "purpose": self.purpose,
            "valid_until": _moment(self.valid_until),
        }


def _moment(utc: UtcNs | None) -> str | None:
    return None if utc is None else utc_text(UtcNs(utc - utc % NS_PER_MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """A granted request, the records that answer it, and the answer that was given before, None if none was."""

    granted: Granted
    selection: Selection
    before: GivenAnswer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is on record and can leave.

    Attributes:
        file: encrypted to who asked.
        seq: number of the record that it was given.
        grant_seq: number of the grant.
        records: how many are in it.
        unproven: records that the ledger is not shown to hold yet, and that are not in it.
        undated: records without a date, likewise.
    """

    file: bytes
    seq: int
    grant_seq: int
    records: int
    unproven: int
    undated: int


class ConsentDesk:
    """Grants, withdraws and answers for one vehicle.

    Args:
        archive: the vehicle's records, read by whoever calls `admit` and `record`.
        recorder: makes its next record.
        reader: opens the same records for `gather` and `finish`.
        chain: chains who asks.
        keys: makes the one-time key of every answer.
        entropy: source of its other key and its nonce.
    """

    def __init__(
        self,
        *,
        archive: RecordArchive,
        recorder: RecordMaker,
        reader: Reader,
        chain: Chain,
        keys: KeySource,
        entropy: Entropy,
    ) -> None:
        self._archive = archive
        self._recorder = recorder
        self._reader = reader
        self._chain = chain
        self._keys = keys
        self._entropy = entropy

    def standings(self) -> tuple[Standing, ...]:
        """Return how every grant stands, in order of record."""
        return consent_of(self._archive).standings

    def grant(self, grant: NewGrant, now: Instant) -> int:
        """Put a grant on record; return its number.

        Raises:
            RecordError: `grant`: it could never be used, or replaces what is no grant.
            EncodeError: a value is impossible.
            UntrustedTimeError: the vehicle does not know the date.
            StorageError: it could not be stored.
        """
        if grant.valid_until <= now.require_utc():
            raise RecordError("grant", f"it would be over already: it ends on {utc_text(grant.valid_until)}")
        unknown = [name for name in grant.fields if not any(name in KINDS[kind].hideable for kind in grant.kinds)]
        if unknown:
            kinds = ", ".join(kind.value for kind in grant.kinds)
            raise RecordError("grant", f"{', '.join(unknown)[:64]}: records of kind {kinds} have no such claim")
        if grant.replaces is not None:
            self._live(grant.replaces, now.require_utc())
        return self._recorder.record(RecordKind.CONSENT_GRANT, grant.claims(), at=now, corrects=grant.replaces).record.seq

    def withdraw(self, grant_seq: int, now: Instant, *, note: str | None = None) -> int:
        """Put a withdrawal on record; return its number. The date need not be known: whoever takes back need not wait.

        Raises:
            RecordError: `grant`: there is no such grant, or it was withdrawn before.
            StorageError: it could not be stored.
        """
        self._live(grant_seq, None)
        claims: dict[str, Json] = {"grant_seq": grant_seq, "note": note}
        return self._recorder.record(RecordKind.CONSENT_WITHDRAWAL, claims, at=now).record.seq

    def _live(self, grant_seq: int, utc: UtcNs | None) -> Standing:
        """Return a grant that nothing but time has ended; with a moment, nor that."""
        standing = consent_of(self._archive).standing(grant_seq)
        if standing is None:
            raise RecordError("grant", f"record {grant_seq} is no grant")
        fault = standing.fault(UtcNs(0) if utc is None else utc)
        if fault is not None:
            raise RecordError("grant", fault)
        return standing

    def admit(self, signed: SignedRequest, now: Instant, *, again: bool = False) -> Granted:
        """Check who asks, and that a live grant covers it.

        Args:
            signed: the request.
            now: the present.
            again: it was answered before, and is to be answered again.

        Raises:
            RecordError: the check that failed, in a sentence; `replay`: it was answered before, or, with `again`, was not.
            UntrustedTimeError: the vehicle does not know the date.
            StorageError: the store failed.
        """
        return self._admit(signed, now, again=again)[0]

    def _admit(self, signed: SignedRequest, now: Instant, *, again: bool) -> tuple[Granted, GivenAnswer | None]:
        kids = tuple(credential.id for credential in self._archive.credentials())
        if not kids:
            raise RecordError("grant", "nothing was ever granted to anybody")
        issuer = self._chain(signed.credential, now.require_utc())
        request = verify_request(signed, issuer=issuer, vehicle=kids, now=now)
        consent = consent_of(self._archive)
        granted = check_consent(request, consent, now)
        before = consent.answer_to(encode_base64url(signed.hash))
        if before is not None and not again:
            on = "" if before.answered is None else f" on {utc_text(before.answered)[:10]}"
            raise RecordError("replay", f"this request was answered before{on} (record {before.seq}): ask for the answer again")
        if before is None and again:
            raise RecordError("replay", "this request was not answered before")
        if before is None and signed.request.subject != kids[-1]:
            raise RecordError("subject", f"the request names an earlier credential of this vehicle; the present one is {kids[-1]}")
        return granted, before

    def gather(self, granted: Granted) -> Gathered:
        """Find the records that answer a request: those of the answer that was given before, if one was.

        Raises:
            RecordError: `empty`, `size`: nothing, or too much, to give; `answer`: the records given before are not there any more.
            StorageError: the store failed.
        """
        request = granted.request.request
        with self._reader() as archive:
            before = consent_of(archive).answer_to(encode_base64url(granted.request.hash))
            candidates = _candidates(archive, request.kinds)
            selection = select_records(request, candidates) if before is None else select_again(request, before, candidates)
        return Gathered(granted=granted, selection=selection, before=before)

    def record(self, gathered: Gathered, now: Instant) -> Gathered:
        """Check again, and put the answer on record unless it is; when this returns the answer may leave.

        Raises:
            as `admit`; nothing was given then.
        """
        signed = gathered.granted.request.signed
        granted, before = self._admit(signed, now, again=gathered.before is not None)
        if before is None:
            self._recorder.record(RecordKind.DATA_ANSWER, answer_claims(granted, gathered.selection), at=now)
        return Gathered(granted=granted, selection=gathered.selection, before=before)

    def finish(self, recorded: Gathered) -> Answer:
        """Make the file of an answer that is on record.

        Raises:
            RecordError: `answer`: it is not on record.
            EncodeError: it is too long.
            StorageError: the store failed.
        """
        granted, selection = recorded.granted, recorded.selection
        with self._reader() as archive:
            given = consent_of(archive).answer_to(encode_base64url(granted.request.hash))
            if given is None:
                raise RecordError("answer", "the answer is not on record")
            lone = {stored.seq: lone_record(stored) for stored in archive.of_kinds(CONSENT_KINDS)}
            known = {credential.id: credential for credential in archive.every_credential()}
        grant, receipt = lone[given.grant_seq], lone[given.seq]
        answer = DataAnswer(
            request_hash=granted.request.hash,
            credentials=tuple(_known(known, kid) for kid in dict.fromkeys((grant.credential, receipt.credential))),
            grant=grant,
            receipt=receipt,
            passport=build_passport(credentials=known.values(), records=selection.records),
        )
        return Answer(
            file=seal_answer(answer.encode(), granted.request, keys=self._keys, entropy=self._entropy),
            seq=given.seq,
            grant_seq=given.grant_seq,
            records=len(selection.records),
            unproven=selection.unproven,
            undated=selection.undated,
        )

    def answer(self, signed: SignedRequest, now: Instant, *, again: bool = False) -> Answer:
        """Take all four steps at once: for a program that has nothing else to do. Raises as they do."""
        return self.finish(self.record(self.gather(self.admit(signed, now, again=again)), now))


def _candidates(archive: RecordArchive, kinds: Sequence[RecordKind]) -> Iterable[Candidate]:
    for stored in archive.of_kinds(kinds):
        record = read_record(lone_record(stored).token)
        yield Candidate(record=record, sd_jwt=stored.sd_jwt, salt=stored.salt, proof=stored.proof)


def _known(known: Mapping[str, VehicleCredential], kid: str) -> VehicleCredential:
    if kid not in known:
        raise RecordError("issuer", f"the certificate of credential {kid} is not there")
    return known[kid]
