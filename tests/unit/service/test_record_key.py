"""The long-term key: whose certificate it is, where it may live, and which of several signs next."""

from functools import cache

import pytest

from shared.core.errors import ConfigError
from shared.pki.authority import years
from shared.records.sd_jwt import Es256PublicKey
from shared.security.ecdsa import Curve, PublicKey, Signature, SoftwareSigner
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.record_key import EnrolledSigner, enrolled_signer, signing_next
from tests.helpers.hierarchy import Hierarchy


class Token:
    """A place a key never leaves: digests in, signatures out."""

    def __init__(self, key: SoftwareSigner) -> None:
        self._key = key
        self.curve: Curve = key.curve
        self.public_key: PublicKey = key.public_key
        self.signed = 0

    def sign_digest(self, digest: bytes) -> Signature:
        self.signed += 1
        return self._key.sign_digest(digest)


@cache
def hierarchy(seed: int = 5) -> Hierarchy:
    return Hierarchy(seed)


def credential(curve: Curve = Curve.NIST_P256) -> tuple[TicketCredential, Token]:
    pki = hierarchy()
    token = Token(pki.keys.generate(curve))
    certificate = pki.ea.issue_credential(public_key=token.public_key, validity=years(pki.start, 3))
    return TicketCredential(certificate=certificate, signer=token), token


def enrolled() -> EnrolledSigner:
    return enrolled_signer(credential()[0], trust_store=hierarchy().trust_store)


def test_a_key_in_a_token_signs_records() -> None:
    made, token = credential()
    signer = enrolled_signer(made, trust_store=hierarchy().trust_store)
    signature = signer.sign_es256(b"a record")
    assert token.signed == 1
    assert Es256PublicKey(made.certificate.public_key().sec1).is_signature(b"a record", signature)
    assert (signer.credential.certificate, signer.credential.authority) == (
        made.certificate.encoded,
        hierarchy().ea.certificate.encoded,
    )


def test_a_credential_is_kept_with_the_authority_that_issued_it_and_no_other() -> None:
    made, _ = credential()
    with pytest.raises(ConfigError, match="was not issued by the authority"):
        EnrolledSigner(made, authority=hierarchy(6).ea.certificate)
    roots_only = TrustStore.of_operator(tuple(hierarchy().trust_store.roots.values()), ())
    with pytest.raises(ConfigError, match="not among the authorities"):
        enrolled_signer(made, trust_store=roots_only)


def test_records_are_signed_on_one_curve_only() -> None:
    made, _ = credential(Curve.BRAINPOOL_P256R1)
    with pytest.raises(ConfigError, match="records are signed on P-256"):
        enrolled_signer(made, trust_store=hierarchy().trust_store)


def test_the_credential_that_took_over_last_signs_next_whatever_else_is_at_hand() -> None:
    a, b, c = enrolled(), enrolled(), enrolled()
    kept = (a.credential, b.credential)
    assert signing_next((a, b), kept) is b
    assert signing_next((a, b, c), kept) is b
    assert signing_next((b,), kept) is b
    assert signing_next((a, b), (a.credential,)) is a


def test_a_vehicle_without_records_or_without_its_key_signs_with_the_newest_that_never_signed() -> None:
    a, b, c = enrolled(), enrolled(), enrolled()
    assert signing_next((a, b), ()) is b
    assert signing_next((a, c), (a.credential, b.credential)) is c


def test_a_credential_that_has_handed_over_is_no_way_out() -> None:
    a, b = enrolled(), enrolled()
    with pytest.raises(ConfigError, match=f"the key of credential {b.credential.id}, which signs .* next record, is not at hand"):
        signing_next((a,), (a.credential, b.credential))
    with pytest.raises(ConfigError, match="is not at hand"):
        signing_next((), ())
