"""The trust lists a station holds, and the trust that follows from them (TS 102 940, TS 102 941 clause 6.3).

    pinned managers --ECTL--> roots --CTL--> authorities          -> TrustStore, access points
    pinned roots    ---------^      --CRL--> what is revoked

The only way in is through verification: a list must verify under the certificate that may sign it, must follow the one held
(`list_sequence`), and must be admitted (`ListAdmission`: shown to be in the transparency log, where the operator asks for that).
What fails changes nothing. A list that has run out counts for `grace_s` more; after that nothing new below its roots is believed.

A root that only a manager's list vouches for needs a CTL and a CRL in force; an operator's own root needs them once it had any. The
successor of a manager is trusted when the operator pins it, not because a list names it. A root that revokes itself says so for
good: no later list of its own is taken, and the word does not run out. Left out: fetching and storing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import UntrustedTimeError, V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import Time64
from shared.core.report import VerificationReport
from shared.security.certificate import Certificate
from shared.security.ctl import AaEntry, Ctl, CtlEntry, CtlKind, DcEntry, EaEntry, RootCaEntry, TlmEntry
from shared.security.freshness import trusted_time64
from shared.security.list_places import WantedList, tidy_places
from shared.security.list_sequence import (
    HeldList,
    ListDocument,
    ListKind,
    ListMark,
    ListRollbackError,
    StoredList,
    crl_after,
    ctl_after,
)
from shared.security.trust_list import (
    VerifiedTrustList,
    claimed_issuer,
    verify_crl,
    verify_ctl,
    verify_kept_crl,
    verify_kept_ctl,
)
from shared.security.trust_pins import ListAdmission, PinnedAuthority, TrustPins
from shared.security.trust_store import MAX_TRUST_STORE_CERTIFICATES, TrustStore, is_named

MAX_ISSUERS_LISTS = 4_096
"""Lists whose place is remembered: one for each manager, two for each root there ever was."""

_NS_PER_US = 1_000
_US_PER_S = 1_000_000

_NO_REVOCATIONS: frozenset[HashedId8] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustChange:
    """What a list has changed; all empty for a list that is no news.

    Attributes:
        is_news: whether the list is a new one at all.
        revoked: identifiers its root has revoked now and had not before.
        reinstated: identifiers its root had revoked before and has no longer.
    """

    is_news: bool
    roots_added: tuple[Certificate, ...] = ()
    roots_removed: tuple[Certificate, ...] = ()
    authorities_added: tuple[Certificate, ...] = ()
    authorities_removed: tuple[Certificate, ...] = ()
    revoked: tuple[HashedId8, ...] = ()
    reinstated: tuple[HashedId8, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRestored:
    """A stored list that does not count any more, and why; its mark is kept."""

    kind: ListKind
    issuer: HashedId8
    error: V2xError


class _Slot:
    """One issuer's lists of one kind: how far they have come, and the one in force if there is one."""

    __slots__ = ("held", "mark")

    def __init__(self, mark: ListMark | None) -> None:
        self.mark = mark
        self.held: HeldList | None = None


class TrustLists:
    """Takes trust lists in and says what to trust.

    Args:
        pins: what the operator has decided.
        admission: whether lists and authorities must be in the transparency log.
        grace_s: seconds a list goes on counting beyond its `nextUpdate`.
    """

    def __init__(self, *, pins: TrustPins, admission: ListAdmission, grace_s: int) -> None:
        self._pins = pins
        self._admission = admission
        self._grace_s = grace_s
        self._slots: dict[tuple[ListKind, HashedId8], _Slot] = {}
        self._managers = {each.certificate.hashed_id8: each for each in pins.managers}
        self._pinned_roots = {root.hashed_id8: root for root in pins.roots}
        self._open_pins = frozenset(each.certificate.digest for each in pins.authorities if self._is_admitted(each))

    def take_ectl(self, secured: bytes, proof: bytes | None, now: Instant) -> TrustChange:
        """Take the list of a pinned manager.

        Args:
            secured: the signed list.
            proof: what shows it to be in the transparency log, None where nothing came along.
            now: the present; needs trusted UTC.

        Raises:
            DecodeError: malformed.
            ListRollbackError: it is older than the list held.
            ListForkError: it claims the place of the list held.
            DeltaGapError: it is a delta that does not follow; the full list must be fetched.
            VerificationError: it must not be believed (`verify_ctl`), or is `NOT_LOGGED`.
        """
        return self._take(ListKind.ECTL, ListDocument(secured=secured, proof=proof), now)

    def take_ctl(self, secured: bytes, proof: bytes | None, now: Instant) -> TrustChange:
        """Take the list of a trusted root; as `take_ectl`."""
        return self._take(ListKind.ROOT_CTL, ListDocument(secured=secured, proof=proof), now)

    def take_crl(self, secured: bytes, proof: bytes | None, now: Instant) -> TrustChange:
        """Take the revocation list of a trusted root; as `take_ectl`."""
        return self._take(ListKind.CRL, ListDocument(secured=secured, proof=proof), now)

    def restore(self, stored: Iterable[StoredList], now: Instant) -> tuple[NotRestored, ...]:
        """Take back what `held` returned before a restart, verifying everything anew; a list within its grace still counts.

        What does not count any more is returned with the reason; that newer lists must follow it stays so. May be called again when
        the reason was that the time was not known.
        """
        order = list(ListKind)
        refusals = []
        for each in sorted(stored, key=lambda each: order.index(each.kind)):
            slot = self._slots.setdefault((each.kind, each.issuer), _Slot(each.mark))
            if slot.held is not None or slot.mark != each.mark:
                continue
            try:
                slot.held = self._kept(each, now)
            except V2xError as error:
                refusals.append(NotRestored(kind=each.kind, issuer=each.issuer, error=error))
        return tuple(refusals)

    def held(self) -> tuple[StoredList, ...]:
        """Return what must survive a restart."""
        return tuple(
            StoredList(kind=kind, issuer=issuer, mark=slot.mark, documents=() if slot.held is None else slot.held.documents)
            for (kind, issuer), slot in self._slots.items()
            if slot.mark is not None
        )

    def trust(self, now: Instant) -> TrustStore:
        """Return whom to trust at this moment; while UTC is unknown, nothing new below roots that live by lists."""
        at = _time_or_none(now)
        roots = self._roots()
        admitted = self._open_pins.union(entry.certificate.digest for entry in self.entries)
        revoked = {root: slot.held.revoked for root in roots if (slot := self._slots.get((ListKind.CRL, root))) and slot.held}
        return TrustStore(
            tuple(roots.values()),
            tuple(self._authorities().values()),
            openness=self._admission.openness(frozenset(admitted)),
            revoked=revoked,
            outdated=frozenset(root for root in roots if self._is_outdated(root, at)),
        )

    def wanted(self, now: Instant) -> tuple[WantedList, ...]:
        """Return the lists to fetch: those we lack, and those of which three quarters of their life are over. None without UTC."""
        at = _time_or_none(now)
        return () if at is None else tuple(each for each in self.every_list() if self._is_wanted(each, at))

    def every_list(self) -> tuple[WantedList, ...]:
        """Return every list there may be, due or not, and where it is fetched; a root that has revoked itself has none."""
        wanted = [self._wanted(ListKind.ECTL, manager, self._manager_places(manager)) for manager in self._managers]
        for root in self._roots():
            if self._has_revoked_itself(root):
                continue
            places = self._root_places(root)
            wanted += [self._wanted(kind, root, places) for kind in (ListKind.ROOT_CTL, ListKind.CRL)]
        return tuple(wanted)

    def next_due(self, now: Instant) -> MonotonicNs | None:
        """Return when `wanted` or `trust` change next by the passing of time; None while UTC is unknown or nothing will."""
        at = _time_or_none(now)
        if at is None:
            return None
        lists = [slot.held for slot in self._slots.values() if slot.held is not None]
        moments = [held.due_again for held in lists]
        moments += [Time64((held.next_update + self._grace_s) * _US_PER_S) for held in lists]
        ahead = [moment for moment in moments if moment > at]
        return MonotonicNs(now.monotonic + (min(ahead) - at) * _NS_PER_US) if ahead else None

    @property
    def entries(self) -> tuple[EaEntry | AaEntry, ...]:
        """The authorities that trusted roots list."""
        lists = (self._entries(ListKind.ROOT_CTL, root) for root in self._roots())
        return tuple(entry for entries in lists for entry in entries if isinstance(entry, EaEntry | AaEntry))

    def access_point(self, authority: HashedId8) -> str | None:
        """Return where stations reach an authority, None where no list says."""
        for entry in self.entries:
            if entry.certificate.hashed_id8 == authority:
                return entry.access_point if isinstance(entry, AaEntry) else entry.its_access_point or entry.aa_access_point
        return None

    def _take(self, kind: ListKind, came: ListDocument, now: Instant) -> TrustChange:
        named = claimed_issuer(came.secured)
        issuer = self._issuer(kind, named)
        slot = self._slots.get((kind, named)) or _Slot(None)
        at = _time_or_none(now)
        in_force = slot.held if slot.held is not None and at is not None and slot.held.is_current(at, self._grace_s) else None
        if kind is ListKind.CRL:
            after = crl_after(in_force, slot.mark, verify_crl(came.secured, issuer=issuer, now=now), came)
        else:
            verified = _of_kind(kind, verify_ctl(came.secured, issuer=issuer, now=now))
            after = ctl_after(in_force, slot.mark, verified, came)
        if after is None:
            return TrustChange(is_news=False)
        self._check_entries(kind, named, after)
        if (kind, named) not in self._slots and len(self._slots) >= MAX_ISSUERS_LISTS:
            raise _untrusted(f"there have been {MAX_ISSUERS_LISTS} lists of different issuers; {named.hex()} is one too many")
        self._admission.check(came.secured, came.proof)
        return self._put(kind, named, slot, after)

    def _put(self, kind: ListKind, issuer: HashedId8, slot: _Slot, after: HeldList) -> TrustChange:
        roots, authorities = self._roots(), self._authorities()
        revoked = _NO_REVOCATIONS if slot.held is None else slot.held.revoked
        slot.held, slot.mark = after, after.mark
        self._slots[kind, issuer] = slot
        trusted = self._roots()
        for (of_kind, of_issuer), each in self._slots.items():
            if of_kind is not ListKind.ECTL and of_issuer not in trusted:
                each.held = None
        known = self._authorities()
        return TrustChange(
            is_news=True,
            roots_added=tuple(trusted[each] for each in trusted.keys() - roots.keys()),
            roots_removed=tuple(roots[each] for each in roots.keys() - trusted.keys()),
            authorities_added=tuple(known[each] for each in known.keys() - authorities.keys()),
            authorities_removed=tuple(authorities[each] for each in authorities.keys() - known.keys()),
            revoked=tuple(sorted(after.revoked - revoked)),
            reinstated=tuple(sorted(revoked - after.revoked)),
        )

    def _kept(self, stored: StoredList, now: Instant) -> HeldList | None:
        """Verify stored documents anew, in order, and return the list in force; None where only a mark was stored."""
        if not stored.documents:
            return None
        issuer = self._issuer(stored.kind, stored.issuer)
        held: HeldList | None = None
        for document in stored.documents:
            if stored.kind is ListKind.CRL:
                held = crl_after(None, None, verify_kept_crl(document.secured, issuer=issuer, now=now), document)
            else:
                verified = _of_kind(stored.kind, verify_kept_ctl(document.secured, issuer=issuer, now=now))
                held = ctl_after(held, None, verified, document) or held
            self._admission.check(document.secured, document.proof)
        if held is None:
            return None
        self._check_entries(stored.kind, stored.issuer, held)
        if held.mark != stored.mark:
            raise ListRollbackError("the stored list is not the one that was held last")
        is_last_word = stored.kind is ListKind.CRL and is_named(issuer, held.revoked)
        if not is_last_word and not held.is_current(trusted_time64(now), self._grace_s):
            raise VerificationError(VerificationReport.OUTDATED_TRUST_LIST, "the stored list has run out, grace included")
        return held

    def _issuer(self, kind: ListKind, named: HashedId8) -> Certificate:
        if kind is ListKind.ECTL:
            manager = self._managers.get(named)
            if manager is not None:
                return manager.certificate
            raise _untrusted(f"the list is signed by {named.hex()}, which is no trust list manager the operator has pinned")
        root = self._roots().get(named)
        if root is None:
            raise _untrusted(f"the list is signed by {named.hex()}, which is no root that is trusted")
        if self._has_revoked_itself(named):
            detail = f"root {named.hex()} has revoked itself: nothing it signs counts any more, and nothing can take that back"
            raise VerificationError(VerificationReport.REVOKED_CERTIFICATE, detail)
        return root

    def _has_revoked_itself(self, root: HashedId8) -> bool:
        """Say whether a root's own list names it: whoever has its key by then must not be able to undo that."""
        slot, certificate = self._slots.get((ListKind.CRL, root)), self._roots().get(root)
        return slot is not None and slot.held is not None and certificate is not None and is_named(certificate, slot.held.revoked)

    def _check_entries(self, kind: ListKind, issuer: HashedId8, after: HeldList) -> None:
        """Check that a list names nothing that its issuer cannot vouch for, and not too much altogether."""
        certificates = [entry.certificate for entry in after.entries if not isinstance(entry, DcEntry | TlmEntry)]
        is_ectl = kind is ListKind.ECTL
        listed = {certificate.hashed_id8 for certificate in certificates} | {issuer}
        for certificate in certificates:
            named = certificate.hashed_id8.hex()
            if certificate.is_self_signed is not is_ectl:
                detail = f"the list has {named} as {'a root' if is_ectl else 'an authority'}, which it is not by its issuer"
                raise VerificationError(VerificationReport.INVALID_CERTIFICATE, detail)
            if not is_ectl and certificate.issuer.hashed_id8 not in listed:
                detail = f"the list has authority {named}, which neither its root nor another authority of the list has issued"
                raise VerificationError(VerificationReport.INCONSISTENT_CHAIN, detail)
        others = self._roots() if is_ectl else self._authorities()
        if len(others.keys() | listed) > MAX_TRUST_STORE_CERTIFICATES:
            detail = (
                f"with this list there would be more than {MAX_TRUST_STORE_CERTIFICATES} {'roots' if is_ectl else 'authorities'}"
            )
            raise VerificationError(VerificationReport.INCONSISTENT_CHAIN, detail)

    def _entries(self, kind: ListKind, issuer: HashedId8) -> tuple[CtlEntry, ...]:
        slot = self._slots.get((kind, issuer))
        return () if slot is None or slot.held is None else slot.held.entries

    def _roots(self) -> Mapping[HashedId8, Certificate]:
        roots = dict(self._pinned_roots)
        for manager in self._managers:
            for entry in self._entries(ListKind.ECTL, manager):
                if isinstance(entry, RootCaEntry):
                    roots.setdefault(entry.certificate.hashed_id8, entry.certificate)
        return roots

    def _authorities(self) -> Mapping[HashedId8, Certificate]:
        authorities = {each.certificate.hashed_id8: each.certificate for each in self._pins.authorities}
        for entry in self.entries:
            authorities.setdefault(entry.certificate.hashed_id8, entry.certificate)
        return authorities

    def _is_outdated(self, root: HashedId8, at: Time64 | None) -> bool:
        """Say whether the lists that vouch for a root and for what is below it, or could revoke it, have run out."""
        is_pinned = root in self._pinned_roots
        if not is_pinned and not any(self._is_current(ListKind.ECTL, manager, at) for manager in self._listing(root)):
            return True
        kinds = (ListKind.ROOT_CTL, ListKind.CRL)
        return any(not self._is_current(kind, root, at) for kind in kinds if not is_pinned or (kind, root) in self._slots)

    def _is_current(self, kind: ListKind, issuer: HashedId8, at: Time64 | None) -> bool:
        slot = self._slots.get((kind, issuer))
        return slot is not None and slot.held is not None and at is not None and slot.held.is_current(at, self._grace_s)

    def _listing(self, root: HashedId8) -> Iterator[HashedId8]:
        for manager in self._managers:
            entries = self._entries(ListKind.ECTL, manager)
            if any(isinstance(entry, RootCaEntry) and entry.certificate.hashed_id8 == root for entry in entries):
                yield manager

    def _manager_places(self, manager: HashedId8) -> tuple[str, ...]:
        entries = self._entries(ListKind.ECTL, manager)
        listed = [e.access_point for e in entries if isinstance(e, TlmEntry) and e.certificate.hashed_id8 == manager]
        pinned = self._managers[manager].access_point
        return tidy_places(*listed, *(() if pinned is None else (pinned,)))

    def _root_places(self, root: HashedId8) -> tuple[str, ...]:
        entries = [*self._entries(ListKind.ROOT_CTL, root)]
        for manager in self._managers:
            entries += self._entries(ListKind.ECTL, manager)
        listed = [entry.url for entry in entries if isinstance(entry, DcEntry) and root in entry.roots]
        return tidy_places(*listed, *self._pins.distribution_centres)

    def _wanted(self, kind: ListKind, issuer: HashedId8, places: tuple[str, ...]) -> WantedList:
        slot = self._slots.get((kind, issuer))
        sequence = None if slot is None or slot.held is None else slot.held.mark.sequence
        return WantedList(kind=kind, issuer=issuer, places=places, held_sequence=sequence)

    def _is_wanted(self, wanted: WantedList, at: Time64) -> bool:
        slot = self._slots.get((wanted.kind, wanted.issuer))
        return slot is None or slot.held is None or slot.held.due_again <= at

    def _is_admitted(self, pinned: PinnedAuthority) -> bool:
        try:
            self._admission.check(pinned.certificate.encoded, pinned.proof)
        except VerificationError:
            return False  # its tickets are refused as not logged, with the certificate as evidence
        return True


def _of_kind(kind: ListKind, verified: VerifiedTrustList[Ctl]) -> VerifiedTrustList[Ctl]:
    expected = CtlKind.ECTL if kind is ListKind.ECTL else CtlKind.ROOT_CTL
    if verified.content.kind is not expected:
        detail = f"a list of kind {verified.content.kind.name} stands where one of kind {expected.name} should"
        raise VerificationError(VerificationReport.CONTENT_MISMATCH, detail)
    return verified


def _time_or_none(now: Instant) -> Time64 | None:
    try:
        return trusted_time64(now)
    except UntrustedTimeError:
        return None


def _untrusted(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.UNTRUSTED_ROOT, detail)
