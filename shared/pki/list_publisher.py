"""The authorities' side of trust lists (TS 102 941 clauses 6.3.4-6.3.5): made, numbered, signed. Sans-IO.

    TrustListManager   ECTL: which roots are trusted, where their lists are
    ListPublisher      a root's CTL, full and as the change since the one before, and its CRL

Each list has the number after the one before (255 is followed by 0) and names the time by which the next is out. Whoever publishes
keeps the last list of each kind, signed, and hands it in to make the next. Left out: where lists are served, and logging them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from shared.core.clock import Instant
from shared.core.errors import ConfigError, EncodeError
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32, Time64, time32_of
from shared.pki.authority import AuthorityCredential
from shared.pki.key_source import SigningKeySource
from shared.pki.permission_sets import TLM_APP_PERMISSIONS
from shared.security.certificate import Certificate, CertificateId, IdKind, ToBeSignedCertificate, issue_certificate
from shared.security.crl import Crl
from shared.security.ctl import Ctl, CtlCommand, CtlEntry, CtlKind, DcEntry, DeleteCertificate, DeleteDc
from shared.security.ecdsa import Curve
from shared.security.freshness import trusted_time64
from shared.security.hashing import signed_digest
from shared.security.header_info import HeaderInfo
from shared.security.list_sequence import SEQUENCE_NUMBERS
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_data, encode_tbs_data
from shared.security.trust_list import encode_trust_list
from shared.security.validity import Validity


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCtl:
    """A list as it goes out.

    Attributes:
        ctl: the whole list; hand it in as `previous` to make the next.
        full: the whole list, signed.
        delta: what changed since the list before, signed; None for the first list.
    """

    ctl: Ctl
    full: bytes
    delta: bytes | None


class ListPublisher:
    """Signs the lists of one self-signed certificate.

    Args:
        credential: of a root or a trust list manager.

    Raises:
        ConfigError: the certificate is not self-signed.
    """

    def __init__(self, credential: AuthorityCredential) -> None:
        if not credential.certificate.is_self_signed:
            name = f"authority {credential.certificate.hashed_id8.hex()}"
            raise ConfigError(name, "only a root or a trust list manager signs trust lists")
        self.credential = credential

    @property
    def certificate(self) -> Certificate:
        """The certificate the lists verify under."""
        return self.credential.certificate

    def publish_ctl(
        self, entries: tuple[CtlEntry, ...], *, previous: Ctl | None, next_update: Time32, now: Instant
    ) -> PublishedCtl:
        """Sign a root's list of authorities and distribution centres, and what changed.

        Args:
            entries: everything that is to be listed.
            previous: the list before, None for the first.
            next_update: TAI seconds since 2004 by which the next list will be out.
            now: when it is signed.

        Raises:
            EncodeError: an entry has no place in such a list, there are too many, or `next_update` has passed.
            UntrustedTimeError: UTC is not known.
        """
        return self._publish(CtlKind.ROOT_CTL, entries, previous, next_update, now)

    def publish_crl(self, revoked: Iterable[HashedId8], *, next_update: Time32, now: Instant) -> bytes:
        """Sign a root's revocation list, every revoked certificate in it; arguments and errors as for `publish_ctl`."""
        at = trusted_time64(now)
        crl = Crl(this_update=time32_of(at), next_update=next_update, revoked=tuple(sorted(set(revoked))))
        return self._signed(crl, ItsAid.CRL, at)

    def _publish(
        self, kind: CtlKind, entries: tuple[CtlEntry, ...], previous: Ctl | None, next_update: Time32, now: Instant
    ) -> PublishedCtl:
        at = trusted_time64(now)
        if next_update <= time32_of(at):
            raise EncodeError("ctl.next_update", "the next list would be late already")
        sequence = 0 if previous is None else (previous.sequence + 1) % SEQUENCE_NUMBERS
        ctl = Ctl(kind=kind, next_update=next_update, is_full=True, sequence=sequence, commands=entries)
        delta = None if previous is None else self._signed(delta_between(previous, ctl), ItsAid.CTL, at)
        return PublishedCtl(ctl=ctl, full=self._signed(ctl, ItsAid.CTL, at), delta=delta)

    def _signed(self, trust_list: Ctl | Crl, its_aid: ItsAid, at: Time64) -> bytes:
        certificate, key = self.credential.certificate, self.credential.signer
        tbs = encode_tbs_data(encode_trust_list(trust_list), HeaderInfo(psid=its_aid, generation_time=at))
        algorithm = key.curve.hash_algorithm
        return encode_signed_data(
            hash_algorithm=algorithm,
            tbs_encoded=tbs,
            signer=SignerIdentifier(kind=SignerKind.CERTIFICATE, certificates=(certificate,)),
            signature=key.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), certificate.canonical)),
        )


class TrustListManager(ListPublisher):
    """Signs the list of trusted roots; pinned by whoever trusts it."""

    @classmethod
    def create(cls, *, name: str, validity: Validity, keys: SigningKeySource, curve: Curve = Curve.NIST_P256) -> Self:
        """Make a manager with a fresh key; raises `EncodeError` when a value does not fit its field.

        Args:
            name: what it calls itself.
            validity: of its self-signed certificate.
            keys: where the key comes from.
            curve: the European manager's is brainpoolP384r1.
        """
        signer = keys.generate(curve)
        tbs = ToBeSignedCertificate(
            id=CertificateId(kind=IdKind.NAME, name=name),
            validity=validity,
            app_permissions=TLM_APP_PERMISSIONS,
            curve=curve,
            verification_key=signer.public_key.point,
        )
        return cls(AuthorityCredential(certificate=issue_certificate(tbs, issuer=None, signer=signer), signer=signer))

    def publish_ectl(
        self, entries: tuple[CtlEntry, ...], *, previous: Ctl | None, next_update: Time32, now: Instant
    ) -> PublishedCtl:
        """Sign the list of roots, managers and distribution centres; arguments and errors as for `publish_ctl`."""
        return self._publish(CtlKind.ECTL, entries, previous, next_update, now)


def delta_between(before: Ctl, after: Ctl) -> Ctl:
    """Return the delta list that makes `after` of `before`: deletions first, then what is new or has changed."""
    kept = set(before.commands)
    names = {_name(command) for command in after.commands}
    deleted = tuple(_deletion(command) for command in before.commands if _name(command) not in names)
    added = tuple(command for command in after.commands if command not in kept)
    return Ctl(
        kind=after.kind,
        next_update=after.next_update,
        is_full=False,
        sequence=after.sequence,
        commands=(*deleted, *added),
    )


def _name(command: CtlCommand) -> bytes | str:
    """Say what a command is about: the certificate, or the distribution centre."""
    match command:
        case DcEntry(url=url) | DeleteDc(url=url):
            return url
        case DeleteCertificate(hashed_id8=identifier):
            return identifier
        case _:
            return command.certificate.hashed_id8


def _deletion(command: CtlCommand) -> CtlCommand:
    name = _name(command)
    return DeleteDc(url=name) if isinstance(name, str) else DeleteCertificate(hashed_id8=HashedId8(name))
