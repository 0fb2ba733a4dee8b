"""Publishing trust lists: when one is due or says something new it is signed, kept, logged, and only then served.

    settings and certificates -> entries -> the next list of its sequence -> `PublishedLists` -> log -> published

A root lists its enrolment and authorization authorities and the distribution centre in its CTL, and what it revoked in
its CRL; a trust list manager lists the root, the distribution centre and itself in its ECTL. A list is renewed when three quarters
of its life are over. Whoever holds the keys may do this, the running node or a command beside it: `PublishedLists.publishing` lets
one at a time look and sign.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256

from shared.core.clock import NS_PER_S, Instant, UtcNs
from shared.core.errors import ConfigError, DecodeError, EncodeError, StorageError, UntrustedTimeError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, time32_of
from shared.operator.list_settings import ListSettings, place_of
from shared.operator.pki_directory import (
    AUTHORIZATION,
    ENROLMENT,
    LISTS_FILE,
    LOG_FILE,
    MANAGER,
    POLICY_FILE,
    ROOT,
    PkiDirectory,
)
from shared.pki.authority import AuthorityKind
from shared.pki.list_publisher import ListPublisher, PublishedCtl, TrustListManager
from shared.security.certificate import Certificate
from shared.security.crl import Crl
from shared.security.ctl import AaEntry, Ctl, CtlEntry, DcEntry, EaEntry, RootCaEntry, TlmEntry
from shared.security.freshness import trusted_time64
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_list import decode_trust_list
from shared.service.authority_keys import AuthorityKeys
from shared.service.keystore import write_new_file
from shared.service.log_proofs import prove_logged
from shared.service.log_store import LogStore
from shared.service.published_lists import DocumentKind, PublishedDocument, PublishedLists
from shared.service.trust_directory import MANAGERS, make_directory

MAX_DATED_AHEAD_S = 3
"""Seconds a CRL may be dated ahead where several are signed within one; stations allow five."""

PUBLIC_MODE = 0o644

PUBLISHERS = frozenset((ROOT, MANAGER))
"""Whoever signs lists."""

_APPEND_ATTEMPTS = 8


def stated_list(octets: bytes) -> Ctl | Crl:
    """Return what a signed list of our own says; raises `DecodeError` when it is none."""
    content = decode_secured_data(octets).content
    payload = content.payload if isinstance(content, SignedData) else None
    if payload is None or not isinstance(payload.content, UnsecuredData):
        raise DecodeError("list", "is no signed list")
    return decode_trust_list(payload.content.payload)


class ListOffice:
    """Publishes for whom the keys are in a directory.

    Args:
        directory: certificates, and where the keys are.
        lists: what was published and is to be.
        log: where every document goes.
        keys: opens them.
        publishers: for whom, `root` or `tlm` or both; those of them whose keys are here.
    """

    def __init__(
        self,
        directory: PkiDirectory,
        lists: PublishedLists,
        log: LogStore,
        *,
        keys: AuthorityKeys,
        publishers: frozenset[str] = PUBLISHERS,
    ) -> None:
        self._directory = directory
        self._lists = lists
        self._log = log
        self.settings = ListSettings(lists)
        here = {part for part in publishers if directory.has(part)}
        self._root = ListPublisher(directory.credential(ROOT, keys)) if ROOT in here else None
        self._manager = TrustListManager(directory.credential(MANAGER, keys)) if MANAGER in here else None

    @property
    def kinds(self) -> tuple[DocumentKind, ...]:
        """The lists there are keys for."""
        of_root = () if self._root is None else (DocumentKind.CTL, DocumentKind.CRL)
        return of_root if self._manager is None else (*of_root, DocumentKind.ECTL)

    def log_certificates(self, certificates: Iterable[Certificate]) -> None:
        """Enter certificates in the log, octet for octet."""
        documents = [
            PublishedDocument(
                kind=DocumentKind.CERTIFICATE,
                issuer=HashedId8(certificate.hashed_id8),
                sequence=0,
                octets=certificate.encoded,
                begins=certificate.validity.start,
                ends=Time32(min(certificate.validity.end_time64 // 1_000_000, 0xFFFFFFFF)),
            )
            for certificate in certificates
        ]
        with self._lists.publishing():
            self._lists.keep(documents)
        self.log_what_waits()

    def list_authorities(
        self, *, added: Mapping[AuthorityKind, Mapping[str, str | None]], removed: Mapping[AuthorityKind, Iterable[str]]
    ) -> tuple[Certificate, ...]:
        """Let the next CTL list authorities, by folder, or list them no longer; return the certificates of the new ones.

        Those added come with the address where they are served, None for the common one.

        Raises:
            ConfigError: a folder holds no certificate of such an authority, or the names cannot be listed or removed so.
        """
        certificates = []
        for kind, places in added.items():
            for name in places:
                certificate = self._directory.certificate(name)
                if certificate.tbs.app_permissions != kind.app_permissions:
                    path = str(self._directory.path / name)
                    raise ConfigError(path, f"holds no certificate of an {kind.value} authority")
                certificates.append(certificate)
        for kind, places in added.items():
            for name, url in places.items():
                self.settings.add_authority(kind, name, url)
        for kind, names in removed.items():
            for name in names:
                self.settings.remove_authority(kind, name)
        return tuple(certificates)

    def publish(self, kind: DocumentKind, now: Instant) -> PublishedDocument:
        """Publish the next list of a kind, whether it is due or not, and return it.

        Raises:
            ConfigError: no key for it is here, or something it must say is not known.
            EncodeError: it would be too long.
            UntrustedTimeError: UTC is not known, or shows less than when the last list was made.
            StorageError: not published, or not known whether published; publishing again is harmless.
        """
        with self._lists.publishing():
            self._check_of_one_moment()
            document = self._sign(kind, now)
        self.log_what_waits()
        return document

    def renew(self, now: Instant) -> tuple[PublishedDocument, ...]:
        """Publish every list that is missing, due, or no longer says what it should; raises as `publish` does."""
        self.log_what_waits()
        renewed = []
        for kind in self.kinds:
            with self._lists.publishing():
                self._check_of_one_moment()
                if self._is_wanted(kind, now):
                    renewed.append(self._sign(kind, now))
        if renewed:
            self.log_what_waits()
        return tuple(renewed)

    def seconds_until_due(self, now: Instant) -> int:
        """Return when the first list should be renewed, 0 when one is due; the life of a list where there is none to renew."""
        at = time32_of(trusted_time64(now))
        newest = [self._lists.newest(kind, self._publisher(kind).certificate.hashed_id8) for kind in self.kinds]
        return min([0 if each is None else max(0, _due(each) - at) for each in newest], default=self.settings.period_s)

    def log_what_waits(self) -> None:
        """Enter in the log what was signed and is not there yet; raises `StorageError`."""
        waiting = self._lists.unlogged()
        if not waiting:
            return
        with self._lists.publishing():
            self._check_of_one_moment()
        indexes = self._appended([document.octets for document in waiting])
        for document, index in zip(waiting, indexes, strict=True):
            self._lists.note_logged(document.digest, index)

    def _appended(self, entries: list[bytes]) -> tuple[int, ...]:
        attempt = 0
        while True:
            self._log.refresh()
            try:
                return self._log.append(entries)
            except StorageError:  # a command and the node may append at one moment; what is in the log twice is one entry
                attempt += 1
                if attempt == _APPEND_ATTEMPTS:
                    raise

    def _check_of_one_moment(self) -> None:
        """Sign nothing beside a log that saw more, or less, than the lists: a number would be used twice, and stations keep that.

        Called inside `publishing`: whatever another program has logged it had kept before.
        """
        self._log.refresh()
        newest, last = self._log.newest(), self._lists.last_log_index()
        words = "is older than {} beside it, as if from a backup; put both back as they were at one moment"
        if newest is not None and not self._lists.knows(sha256(newest).digest()):
            raise StorageError(str(self._directory.path / LISTS_FILE), words.format(LOG_FILE))
        if last is not None and last >= self._log.size:
            raise StorageError(str(self._directory.path / LOG_FILE), words.format(LISTS_FILE))

    def _is_wanted(self, kind: DocumentKind, now: Instant) -> bool:
        publisher = self._publisher(kind)
        newest = self._lists.newest_signed(kind, publisher.certificate.hashed_id8)
        if newest is None or _due(newest) <= time32_of(trusted_time64(now)):
            return True
        stated = stated_list(newest.octets)
        if isinstance(stated, Crl):
            return stated.revoked != self._lists.revoked()
        return stated.commands != self._entries(kind)

    def _sign(self, kind: DocumentKind, now: Instant) -> PublishedDocument:
        publisher = self._publisher(kind)
        issuer = HashedId8(publisher.certificate.hashed_id8)
        before = self._lists.newest_signed(kind, issuer)
        at = time32_of(trusted_time64(now))
        if before is not None and at + MAX_DATED_AHEAD_S < before.begins:
            raise UntrustedTimeError("the clock shows less than when the last list was signed")
        if kind is DocumentKind.CRL:
            return self._sign_crl(publisher, before, at, now)
        previous = None if before is None else stated_list(before.octets)
        if isinstance(previous, Crl):
            raise StorageError("lists", "a revocation list stands where a trust list should")
        ends = Time32(at + self.settings.period_s)
        published = _sign_ctl(publisher, self._entries(kind), previous, ends, now)
        documents = [
            PublishedDocument(kind=of_kind, issuer=issuer, sequence=published.ctl.sequence, octets=octets, begins=at, ends=ends)
            for of_kind, octets in ((kind, published.full), (DocumentKind.DELTA_CTL, published.delta))
            if octets is not None and (of_kind is kind or kind is DocumentKind.CTL)
        ]
        self._lists.keep(documents)
        return documents[0]

    def _sign_crl(self, root: ListPublisher, before: PublishedDocument | None, at: Time32, now: Instant) -> PublishedDocument:
        begins = at if before is None else Time32(max(at, before.begins + 1))
        if begins - at > MAX_DATED_AHEAD_S:
            raise ConfigError("revocation list", "several were published within this second; publish the next a few seconds later")
        ends = Time32(begins + self.settings.period_s)
        dated = Instant(now.monotonic, UtcNs(now.require_utc() + (begins - at) * NS_PER_S))
        document = PublishedDocument(
            kind=DocumentKind.CRL,
            issuer=HashedId8(root.certificate.hashed_id8),
            sequence=0 if before is None else before.sequence + 1,
            octets=root.publish_crl(self._lists.revoked(), next_update=ends, now=dated),
            begins=begins,
            ends=ends,
        )
        self._lists.keep([document])
        return document

    def _publisher(self, kind: DocumentKind) -> ListPublisher:
        publisher = self._manager if kind is DocumentKind.ECTL else self._root
        if publisher is None:
            part = MANAGER if kind is DocumentKind.ECTL else ROOT
            raise ConfigError(str(self._directory.path / part), f"the key that signs a list of kind {kind.value} is not here")
        return publisher

    def _entries(self, kind: DocumentKind) -> tuple[CtlEntry, ...]:
        url, root = self.settings.url, self._directory.root_certificate()
        centre = DcEntry(url=f"{url}/dc", roots=(HashedId8(root.hashed_id8),))
        if kind is DocumentKind.ECTL:
            manager = TlmEntry(certificate=self._directory.certificate(MANAGER), access_point=f"{url}/cpoc")
            return (RootCaEntry(certificate=root), centre, manager)
        at, certificate = self.settings.access_point, self._directory.certificate
        enrolment, authorization = AuthorityKind.ENROLMENT, AuthorityKind.AUTHORIZATION
        return (
            *(
                EaEntry(certificate=certificate(name), aa_access_point=at(place_of(enrolment, name)))
                for name in self.settings.authorities(enrolment)
            ),
            *(
                AaEntry(certificate=certificate(name), access_point=at(place_of(authorization, name)))
                for name in self.settings.authorities(authorization)
            ),
            centre,
        )


def open_to_the_public(directory: PkiDirectory) -> None:
    """Make the log of a new hierarchy, enter its authorities, and put beside them what stations need to check that.

    Raises:
        StorageError: a file cannot be written, or exists.
    """
    certificates = [directory.certificate(part) for part in (ROOT, MANAGER, ENROLMENT, AUTHORIZATION)]
    log = directory.create_log()
    try:
        with directory.lists() as lists:
            with AuthorityKeys() as keys:
                ListOffice(directory, lists, log, keys=keys, publishers=frozenset()).log_certificates(certificates)
            for certificate in certificates[2:]:
                index = lists.log_index(sha256(certificate.encoded).digest())
                assert index is not None
                write_new_file(directory.proof_path(certificate), prove_logged(log, index), mode=PUBLIC_MODE)
        write_new_file(directory.trust / POLICY_FILE, f"log {log.vkey}\nquorum none\n".encode(), mode=PUBLIC_MODE)
    finally:
        log.close()
    make_directory(directory.trust / MANAGERS, private=False)
    manager = certificates[1]
    write_new_file(directory.trust / MANAGERS / f"{manager.hashed_id8.hex().upper()}.oer", manager.encoded, mode=PUBLIC_MODE)


def _sign_ctl(
    publisher: ListPublisher, entries: tuple[CtlEntry, ...], previous: Ctl | None, ends: Time32, now: Instant
) -> PublishedCtl:
    sign: Callable[..., PublishedCtl]
    sign = publisher.publish_ectl if isinstance(publisher, TrustListManager) else publisher.publish_ctl
    try:
        return sign(entries, previous=previous, next_update=ends, now=now)
    except EncodeError as error:
        raise ConfigError(f"trust list: {error.field}", error.reason) from error


def _due(document: PublishedDocument) -> int:
    """Return when three quarters of a list's life are over."""
    return document.begins + (document.ends - document.begins) * 3 // 4
