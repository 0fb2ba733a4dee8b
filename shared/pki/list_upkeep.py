"""How a station keeps its trust lists fresh: which document to fetch next, and what to make of it.

    wanted list -> its delta, where one can follow -> else the whole list -> its proof, where the log must hold it -> TrustLists

Sans-IO: `next_fetch` names a URL, `fetched` and `failed` take what came of it. Where one place fails the next is tried at once;
after the last, each issuer's list has its own wait, and a list of a root that no place has makes managers be asked anew, since a
newer list of theirs may name another place. A list that was refused is asked for again as one that did not come. Contradictions (a
list no log holds, two lists for one place in the sequence) become evidence. Trust also changes as lists run out: `elapsed` says.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from shared.core.clock import Instant
from shared.core.entropy import Entropy
from shared.core.errors import V2xError, VerificationError
from shared.core.ids import HashedId8
from shared.core.report import VerificationReport
from shared.pki.back_off import BackOff
from shared.pki.happenings import EvidenceFound, Happening, Recovered, Subject, Trouble, TrustChanged
from shared.security.list_places import WantedList, proof_url
from shared.security.list_sequence import DeltaGapError, ListForkError, ListKind, StoredList
from shared.security.trust_list import claimed_issuer
from shared.security.trust_lists_held import TrustChange, TrustLists
from shared.security.trust_store import TrustStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Fetch `url` and hand in what comes back; `is_proof` where that is a text of a few kilobytes."""

    url: str
    is_proof: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errand:
    """One list on its way.

    Attributes:
        wanted: which.
        place: where it is fetched.
        is_delta: whether what changed is fetched, not the whole.
        document: the list, once it is here and its proof is on the way.
    """

    wanted: WantedList
    place: str
    is_delta: bool
    document: bytes | None = None


@dataclass(slots=True)
class _Issuer:
    """What is remembered of one issuer's list of one kind.

    Attributes:
        back_off: waits after no place had it.
        places: where it was sought last; with others the waiting is over.
        place: which of them is next.
        failures: how many of them have failed in a row.
        needs_whole: whether a delta will not do.
    """

    back_off: BackOff
    places: tuple[str, ...] = ()
    place: int = 0
    failures: int = 0
    needs_whole: bool = field(default=False)


class ListUpkeep:
    """Keeps trust lists fresh, one document at a time.

    Args:
        lists: takes them in.
        needs_proof: whether the log must hold them, so that each is followed by its proof.
        stored: lists kept from before a restart, which are taken back as soon as the time is known.
        entropy: source of waits.
        now: the present.

    Attributes:
        counts: lists taken, no news and failures, by word.
        troubles: what does not work just now, by kind and issuer of the list.
        is_unkept: whether a list was taken since whoever keeps them set this to False.
    """

    def __init__(
        self, *, lists: TrustLists, needs_proof: bool, stored: tuple[StoredList, ...], entropy: Entropy, now: Instant
    ) -> None:
        self._lists = lists
        self._stored = stored
        self._needs_proof = needs_proof
        self._entropy = entropy
        self._issuers: dict[tuple[ListKind, HashedId8], _Issuer] = {}
        self._errand: _Errand | None = None
        self._asked_for: set[tuple[ListKind, HashedId8]] = set()
        self.counts: Counter[str] = Counter()
        self._restore(now)
        self._store = lists.trust(now)
        self.troubles: dict[tuple[ListKind, HashedId8], Trouble] = {}
        self.is_unkept = False

    @property
    def lists(self) -> TrustLists:
        """The lists."""
        return self._lists

    @property
    def store(self) -> TrustStore:
        """Whom to trust, as told last."""
        return self._store

    def lacks(self, now: Instant) -> bool:
        """Say whether some list is missing or near its end."""
        return bool(self._lists.wanted(now))

    def refresh(self) -> None:
        """Fetch every list anew, whether due or not, and without waiting."""
        for each in self._lists.every_list():
            self._asked_for.add((each.kind, each.issuer))
            self._issuer(each).back_off.succeeded()

    def next_fetch(self, now: Instant) -> Fetch | None:
        """Return what to fetch now, or None."""
        if self._errand is None:
            self._errand = next((self._errand_for(each) for each in self._due(now) if self._may_fetch(each, now)), None)
        errand = self._errand
        if errand is None:
            return None
        if errand.document is not None:
            return Fetch(url=proof_url(errand.place, errand.document), is_proof=True)
        delta_url = errand.wanted.delta_url(errand.place) if errand.is_delta else None
        return Fetch(url=delta_url or errand.wanted.url(errand.place), is_proof=False)

    def fetched(self, octets: bytes, now: Instant) -> tuple[Happening, ...]:
        """Take a document: a list, or the proof for the list that came before."""
        errand = self._errand
        if errand is None:
            return ()
        if errand.document is None and self._needs_proof:
            self._errand = replace(errand, document=octets)
            return ()
        document, proof = (octets, None) if errand.document is None else (errand.document, octets)
        return self._take(errand, document, proof, now)

    def failed(self, failure: V2xError, now: Instant) -> tuple[Happening, ...]:
        """Take note that a document did not come."""
        errand = self._errand
        if errand is None:
            return ()
        if errand.document is not None:  # the list is here: without a proof it is refused, and that says why
            return self._take(errand, errand.document, None, now)
        return self._not_taken(errand, failure, now)

    def elapsed(self, now: Instant) -> tuple[Happening, ...]:
        """Say whether time alone changed whom to trust: a list ran out, or kept ones count because the time is known now."""
        self._restore(now)
        return self._changed(None, now)

    def _restore(self, now: Instant) -> None:
        """What does not count any more is fetched anew; that newer lists must follow it stays so."""
        if not self._stored:
            return
        refused = self._lists.restore(self._stored, now)
        if now.utc is None:
            return
        self._stored = ()
        for each in refused:
            self.counts[f"{each.kind.value}_not_restored"] += 1

    def _take(self, errand: _Errand, document: bytes, proof: bytes | None, now: Instant) -> tuple[Happening, ...]:
        take = {
            ListKind.ECTL: self._lists.take_ectl,
            ListKind.ROOT_CTL: self._lists.take_ctl,
            ListKind.CRL: self._lists.take_crl,
        }[errand.wanted.kind]
        try:
            _check_issuer(document, errand.wanted.issuer)
            change = take(document, proof, now)
        except V2xError as failure:
            return (*self._not_taken(errand, failure, now), *_evidence(errand, document, failure))
        self._errand = None
        key = (errand.wanted.kind, errand.wanted.issuer)
        self._asked_for.discard(key)
        issuer = self._issuer(errand.wanted)
        issuer.failures = 0
        issuer.needs_whole = errand.is_delta and not change.is_news
        if change.is_news:
            self.is_unkept = True
            issuer.back_off.succeeded()
        else:
            issuer.back_off.failed(now)  # the list held is all there is: ask again later
        self.counts[f"{errand.wanted.kind.value}_{'taken' if change.is_news else 'no_news'}"] += 1
        recovered: tuple[Happening, ...] = () if self.troubles.pop(key, None) is None else (Recovered(subject=Subject.LISTS),)
        return (*recovered, *self._changed(change, now))

    def _not_taken(self, errand: _Errand, failure: V2xError, now: Instant) -> tuple[Happening, ...]:
        self._errand = None
        issuer = self._issuer(errand.wanted)
        if errand.is_delta:  # nobody is to blame for a delta that is not there, or does not fit: the whole list says it all
            issuer.needs_whole = True
            self.counts["delta_gap" if isinstance(failure, DeltaGapError) else "delta_not_taken"] += 1
            return ()
        issuer.place += 1
        issuer.failures += 1
        self.counts[f"{errand.wanted.kind.value}_{failure.code}"] += 1
        if issuer.failures < len(errand.wanted.places):
            return ()
        issuer.failures = 0
        issuer.back_off.failed(now)
        key = (errand.wanted.kind, errand.wanted.issuer)
        self._asked_for.discard(key)
        if errand.wanted.kind is not ListKind.ECTL:
            self._asked_for |= {(ListKind.ECTL, each.issuer) for each in self._lists.every_list() if each.kind is ListKind.ECTL}
        others = len(errand.wanted.places) - 1
        elsewhere = f"; nor had {others} other place(s) it" if others else ""
        sentence = f"{errand.wanted.kind.value} of {errand.wanted.issuer.hex()}: {failure}{elsewhere}"
        known, trouble = self.troubles.get(key), Trouble(subject=Subject.LISTS, code=failure.code, sentence=sentence)
        self.troubles[key] = trouble
        return () if known is not None and known.code == trouble.code else (trouble,)

    def _changed(self, change: TrustChange | None, now: Instant) -> tuple[Happening, ...]:
        store = self._lists.trust(now)
        if store == self._store:
            return ()
        self._store = store
        self._forget_former_roots()
        return (TrustChanged(store=store, change=change),)

    def _forget_former_roots(self) -> None:
        """Whose lists nobody asks for any more is in no trouble."""
        roots = self._store.roots
        for key in [key for key in self._issuers if key[0] is not ListKind.ECTL and key[1] not in roots]:
            del self._issuers[key]
            self._asked_for.discard(key)
            self.troubles.pop(key, None)

    def _due(self, now: Instant) -> tuple[WantedList, ...]:
        """Return the lists that are due, and those asked for before that; none while the time is not known."""
        due = self._lists.wanted(now)
        if not self._asked_for or now.utc is None:
            return due
        return tuple(each for each in self._lists.every_list() if each in due or (each.kind, each.issuer) in self._asked_for)

    def _may_fetch(self, wanted: WantedList, now: Instant) -> bool:
        issuer = self._issuer(wanted)
        if wanted.places != issuer.places:
            if issuer.places:
                issuer.back_off.succeeded()
            issuer.places, issuer.place, issuer.failures = wanted.places, 0, 0
        return bool(wanted.places) and issuer.back_off.allows(now)

    def _errand_for(self, wanted: WantedList) -> _Errand:
        issuer = self._issuer(wanted)
        place = wanted.places[issuer.place % len(wanted.places)]
        return _Errand(wanted=wanted, place=place, is_delta=wanted.delta_url(place) is not None and not issuer.needs_whole)

    def _issuer(self, wanted: WantedList) -> _Issuer:
        return self._issuers.setdefault((wanted.kind, wanted.issuer), _Issuer(BackOff(entropy=self._entropy)))


def _check_issuer(document: bytes, wanted: HashedId8) -> None:
    """Refuse the list of somebody else, good as it may be: it is not what was asked for."""
    named = claimed_issuer(document)
    if named != wanted:
        detail = f"the list of {named.hex()} came where that of {wanted.hex()} was asked for"
        raise VerificationError(VerificationReport.CONTENT_MISMATCH, detail)


def _evidence(errand: _Errand, document: bytes, failure: V2xError) -> tuple[Happening, ...]:
    """Return what is to be kept of a refused list: that it exists is the evidence."""
    if isinstance(failure, ListForkError):
        documents = {"held": failure.held, "other": failure.other}
    elif isinstance(failure, VerificationError) and failure.report is VerificationReport.NOT_LOGGED:
        documents = {errand.wanted.kind.value: document}
    else:
        return ()
    return (EvidenceFound(kind=failure.code, subject=errand.wanted.issuer.hex(), sentence=str(failure), documents=documents),)
