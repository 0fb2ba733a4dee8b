"""One issuer's trust lists of one kind, in order: what follows the list held, what is older, what contradicts it.

    full list     later in the sequence, or the very list held again (no news)
    delta list    exactly one further in the sequence (255 is followed by 0) and made before the list held ran out; otherwise the
                  full list is needed
    revocations   `thisUpdate` never goes back

The sequence number has one octet, so a list up to 127 numbers ahead is later and every other one older. Once the list held has run
out the number binds no longer, or a station that slept for long would never wake; the time a list was signed at binds for ever.
What is left when a list itself is gone is its `ListMark`.
"""

from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64, utc_of, utc_text
from shared.core.report import VerificationReport
from shared.security.crl import Crl
from shared.security.ctl import Ctl, CtlCommand, CtlEntry, DcEntry, DeleteCertificate, DeleteDc
from shared.security.trust_list import VerifiedTrustList

MAX_DELTAS = 32
"""Delta lists kept on top of one full list; then the full one must be fetched."""

MAX_HELD_ENTRIES = 1_024
"""Entries of one list after its deltas."""

SEQUENCE_NUMBERS = 256
"""`CtlFormat.ctlSequence` has one octet."""

_US_PER_S = 1_000_000


class ListKind(Enum):
    """Which list; the value is the stable word it is stored under."""

    ECTL = "ectl"
    """Of a trust list manager: the roots."""
    ROOT_CTL = "ctl"
    """Of a root: its authorities."""
    CRL = "crl"
    """Of a root: what it has revoked."""


class ListRollbackError(VerificationError):
    """A list is older than the one held: somebody repeats what no longer counts."""

    __slots__ = ()

    def __init__(self, detail: str) -> None:
        super().__init__(VerificationReport.LIST_ROLLBACK, detail)


class ListForkError(VerificationError):
    """An issuer has signed two different lists for one place in its sequence; both are kept as evidence.

    Args:
        detail: which place.
        held: the signed list held, empty where only its mark is left.
        other: the signed list that contradicts it.
    """

    __slots__ = ("held", "other")

    def __init__(self, detail: str, held: bytes, other: bytes) -> None:
        super().__init__(VerificationReport.LIST_FORK, detail)
        self.held = held
        self.other = other


class DeltaGapError(VerificationError):
    """A delta list does not follow the list held: the full list must be fetched."""

    __slots__ = ()

    def __init__(self, sequence: int, held: str) -> None:
        detail = f"delta list {sequence} does not follow {held}: fetch the full list"
        super().__init__(VerificationReport.LIST_GAP, detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDocument:
    """A signed list as it came, and what shows it to be in the transparency log; None where nothing came along."""

    secured: bytes
    proof: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMark:
    """How far an issuer's lists have come.

    Attributes:
        generation_time: when the last list was signed.
        sequence: its number, None for a revocation list.
        this_update: of the last revocation list, None for others.
        digest: SHA-256 of the signed octets.
    """

    generation_time: Time64
    sequence: int | None
    this_update: Time32 | None
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredList:
    """What is kept of one issuer's lists across restarts; `documents` is empty where only the mark is left."""

    kind: ListKind
    issuer: HashedId8
    mark: ListMark
    documents: tuple[ListDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldList:
    """The list in force.

    Attributes:
        documents: the full list, then the deltas applied to it.
        next_update: by when a newer one is out.
        entries: what is listed, deltas applied; empty for a revocation list.
        revoked: what is revoked; empty for others.
        mark: its place.
    """

    documents: tuple[ListDocument, ...]
    next_update: Time32
    entries: tuple[CtlEntry, ...]
    revoked: frozenset[HashedId8]
    mark: ListMark

    def is_current(self, at: Time64, grace_s: int = 0) -> bool:
        """Say whether it still counts, `grace_s` seconds beyond its `next_update`."""
        return at < (self.next_update + grace_s) * _US_PER_S

    @property
    def due_again(self) -> Time64:
        """When three quarters of its life are over: time to look for the next."""
        signed = self.mark.generation_time
        return Time64(signed + (self.next_update * _US_PER_S - signed) * 3 // 4)


def ctl_after(
    held: HeldList | None, mark: ListMark | None, verified: VerifiedTrustList[Ctl], came: ListDocument
) -> HeldList | None:
    """Return what is held after a CTL has come, None when it is no news.

    Args:
        held: the list in force, None where there is none or it has run out.
        mark: of the last list, None where there never was one.
        verified: what came.
        came: the same, as octets.

    Raises:
        ListRollbackError: it is older.
        ListForkError: it claims the place of another.
        DeltaGapError: it is a delta of another list than the one held.
        DecodeError: its entries would be too many.
    """
    ctl, fresh = verified.content, _mark_of_ctl(verified, came)
    if held is not None and any(document.secured == came.secured for document in held.documents):
        return None
    if mark is not None and fresh.generation_time < mark.generation_time:
        raise ListRollbackError(f"{_named(fresh)} is older than {_named(mark)}, which came before")
    if not ctl.is_full:
        return _delta_after(held, ctl, fresh, came)
    after = HeldList(
        documents=(came,),
        next_update=ctl.next_update,
        entries=_merged((), ctl.commands),
        revoked=frozenset(),
        mark=fresh,
    )
    if held is None:
        if mark is not None and fresh.generation_time == mark.generation_time and fresh.digest != mark.digest:
            raise ListForkError(f"{_named(fresh)} is another than the one of the same moment that came before", b"", came.secured)
        return after
    ahead = (ctl.sequence - (held.mark.sequence or 0)) % SEQUENCE_NUMBERS
    if ahead == 0:
        if set(after.entries) == set(held.entries) and after.next_update == held.next_update:
            return None
        detail = f"{_named(fresh)} is another than {_named(held.mark)}, which has the same number"
        raise ListForkError(detail, held.documents[-1].secured, came.secured)
    if ahead >= SEQUENCE_NUMBERS // 2:
        raise ListRollbackError(f"{_named(fresh)} is older than {_named(held.mark)}, which is held")
    return after


def crl_after(
    held: HeldList | None, mark: ListMark | None, verified: VerifiedTrustList[Crl], came: ListDocument
) -> HeldList | None:
    """Return what is held after a CRL has come, None when it is no news; arguments and errors as for `ctl_after`."""
    crl = verified.content
    if held is not None and held.documents[0].secured == came.secured:
        return None
    digest = sha256(came.secured).digest()
    fresh = ListMark(generation_time=verified.generation_time, sequence=None, this_update=crl.this_update, digest=digest)
    after = HeldList(documents=(came,), next_update=crl.next_update, entries=(), revoked=frozenset(crl.revoked), mark=fresh)
    if mark is None or mark.this_update is None:
        return after
    if crl.this_update < mark.this_update or fresh.generation_time < mark.generation_time:
        raise ListRollbackError(f"{_named(fresh)} is older than {_named(mark)}, which came before")
    if crl.this_update == mark.this_update and digest != mark.digest:
        if held is not None and (held.revoked, held.next_update) == (after.revoked, after.next_update):
            return None
        other = b"" if held is None else held.documents[0].secured
        raise ListForkError(f"{_named(fresh)} is another than the one of the same moment that came before", other, came.secured)
    return after


def _delta_after(held: HeldList | None, ctl: Ctl, fresh: ListMark, came: ListDocument) -> HeldList:
    if held is None:
        raise DeltaGapError(ctl.sequence, "any list that is held")
    ahead = (ctl.sequence - (held.mark.sequence or 0)) % SEQUENCE_NUMBERS
    if ahead == 0 or ahead >= SEQUENCE_NUMBERS // 2:
        raise ListRollbackError(f"delta {_named(fresh)} is not later than {_named(held.mark)}, which is held")
    if ahead != 1 or len(held.documents) > MAX_DELTAS:
        raise DeltaGapError(ctl.sequence, f"list {held.mark.sequence}, which is held")
    if fresh.generation_time > held.next_update * _US_PER_S:  # the numbers may have gone round meanwhile
        raise DeltaGapError(ctl.sequence, f"list {held.mark.sequence}, which had run out before it was made")
    return replace(
        held,
        documents=(*held.documents, came),
        next_update=ctl.next_update,
        entries=_merged(held.entries, ctl.commands),
        mark=fresh,
    )


def _merged(entries: tuple[CtlEntry, ...], commands: tuple[CtlCommand, ...]) -> tuple[CtlEntry, ...]:
    """Apply commands in order; an entry takes the place of one for the same certificate or distribution centre."""
    merged: dict[bytes | str, CtlEntry] = {_key(entry): entry for entry in entries}
    for command in commands:
        match command:
            case DeleteCertificate(hashed_id8=identifier):
                for key in [key for key, entry in merged.items() if _identifier(entry) == identifier]:
                    del merged[key]
            case DeleteDc(url=url):
                merged.pop(url, None)
            case _:
                merged[_key(command)] = command
    if len(merged) > MAX_HELD_ENTRIES:
        raise DecodeError("ctl.commands", f"{len(merged)} entries after this list, at most {MAX_HELD_ENTRIES} are kept")
    return tuple(merged.values())


def _key(entry: CtlEntry) -> bytes | str:
    return entry.url if isinstance(entry, DcEntry) else entry.certificate.digest


def _identifier(entry: CtlEntry) -> HashedId8 | None:
    return None if isinstance(entry, DcEntry) else entry.certificate.hashed_id8


def _mark_of_ctl(verified: VerifiedTrustList[Ctl], came: ListDocument) -> ListMark:
    return ListMark(
        generation_time=verified.generation_time,
        sequence=verified.content.sequence,
        this_update=None,
        digest=sha256(came.secured).digest(),
    )


def _named(mark: ListMark) -> str:
    signed = utc_text(utc_of(mark.generation_time))
    if mark.sequence is not None:
        return f"list {mark.sequence} of {signed}"
    return f"the list of {signed} for {utc_text(utc_of(Time64((mark.this_update or 0) * _US_PER_S)))}"
