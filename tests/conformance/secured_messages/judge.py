"""Judges a case of this directory as a station would, from its files alone: this is what `expected.json` means."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import V2xError
from shared.core.itstime import utc_from_text
from shared.security.certificate import Certificate
from shared.security.region import IdentifiedAreas
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import PinnedAuthority, PinnedManager, TrustPins
from shared.security.trust_store import LoggedAuthorities, TrustStore
from shared.service.identified_areas import read_identified_areas
from shared.service.logged_lists import UnloggedAdmission
from shared.service.trust_directory import MANAGERS, read_certificates, read_trust_directory
from shared.stack.station import make_station
from tests.conformance.secured_messages.workshop import Kind
from tests.helpers.hierarchy import Hierarchy, verifying
from tests.helpers.identities import make_identity

DIRECTORY = Path(__file__).parent
EXPECTED = "expected.json"
BELIEVED = "believed"

Hear = Callable[[bytes, Instant], object]


class Outcome(NamedTuple):
    """What became of a case: `believed` or a code, and the sentence of a refusal."""

    verdict: str
    sentence: str


def sentences(directory: Path = DIRECTORY) -> list[str]:
    """Return the names of all cases."""
    return sorted(path.parent.name for path in directory.glob(f"*/{EXPECTED}"))


def expected(sentence: str, directory: Path = DIRECTORY) -> dict[str, Any]:
    """Return what a case says is right."""
    found = json.loads((directory / sentence / EXPECTED).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def kind_of(sentence: str, directory: Path = DIRECTORY) -> Kind:
    """Return what a case is about, by its one file."""
    (kind,) = (kind for kind in Kind if (directory / sentence / kind.value).exists())
    return kind


def judge(sentence: str, directory: Path = DIRECTORY) -> Outcome:
    """Let a receiver with fresh memories hear a case; what came before must have been believed."""
    case, wanted, kind = directory / sentence, expected(sentence, directory), kind_of(sentence, directory)
    now = _instant(None if wanted.get("clock") == "not set" else utc_from_text(wanted["at"]))
    store = read_trust_directory(directory / "trust")
    managers = tuple(read_certificates(directory / "trust" / MANAGERS).values())
    lists = _lists_under(store, managers)
    before = [(case / each["file"], _instant(utc_from_text(each["at"]))) for each in wanted.get("before", ())]
    for path, at in before:
        if _is_list(_kind_of_file(path)):
            _taking(lists, _kind_of_file(path))(path.read_bytes(), at)
    if _is_list(kind):
        hear = _taking(lists, kind)
    else:
        if any(_is_list(_kind_of_file(path)) for path, _ in before):
            store = lists.trust(now)
        hear = _hearing(kind, _told(store, wanted.get("logged")), read_identified_areas(directory / "areas.toml"))
    for path, at in before:
        if not _is_list(_kind_of_file(path)):
            hear(path.read_bytes(), at)
    try:
        hear((case / kind.value).read_bytes(), now)
    except V2xError as refusal:
        return Outcome(refusal.code, str(refusal))
    return Outcome(BELIEVED, "")


def _lists_under(store: TrustStore, managers: tuple[Certificate, ...]) -> TrustLists:
    pinned = tuple(PinnedAuthority(certificate=each) for each in store.authorities.values())
    pins = TrustPins(
        managers=tuple(PinnedManager(certificate=each) for each in managers),
        roots=tuple(store.roots.values()),
        authorities=pinned,
    )
    return TrustLists(pins=pins, admission=UnloggedAdmission(), grace_s=0)


def _told(store: TrustStore, logged: list[str] | None) -> TrustStore:
    """Return a trust store that asks for authorities to be logged, where a case does."""
    if logged is None:
        return store
    return TrustStore(
        tuple(store.roots.values()),
        tuple(store.authorities.values()),
        openness=LoggedAuthorities(frozenset(bytes.fromhex(digest) for digest in logged)),
        revoked={},
        outdated=frozenset(),
    )


def _taking(lists: TrustLists, kind: Kind) -> Hear:
    take = {Kind.ECTL: lists.take_ectl, Kind.CTL: lists.take_ctl, Kind.CRL: lists.take_crl}[kind]
    return lambda octets, now: take(octets, None, now)


def _hearing(kind: Kind, store: TrustStore, areas: IdentifiedAreas) -> Hear:
    if kind is Kind.MESSAGE:
        service = verifying(store, areas=areas)
        return lambda octets, now: service.verify(octets, now=now)
    station = make_station(identity=make_identity(99), ticket=Hierarchy(1).ticket(), trust_store=store, areas=areas)
    return station.receive


def _is_list(kind: Kind) -> bool:
    return kind in (Kind.ECTL, Kind.CTL, Kind.CRL)


def _kind_of_file(path: Path) -> Kind:
    return next(kind for kind in Kind if path.name.endswith(f".{kind.value}"))


def _instant(at: UtcNs | None) -> Instant:
    return Instant(MonotonicNs(0 if at is None else at), at)
