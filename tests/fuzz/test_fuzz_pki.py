"""Whatever octets reach a desk or come back as an answer, there is an answer or a typed error, never anything else.

Random octets seldom get past the encryption, so they are also put inside it: into requests any stranger can encrypt to an
authority, and into answers under the key of the request, signed by the authority itself.
"""

from collections.abc import Callable
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import DecodeError, VerificationError
from shared.pki.authorization_desk import AuthorizationCase
from shared.pki.exchange import UnanswerableRequest, seal_request, sign_payload
from shared.pki.management import decode_inner_ec_request, decode_management, encode_management
from shared.pki.response_codes import AuthorityRefusal
from shared.security.ecies import encrypt_under
from shared.security.secured_data import encode_encrypted_data
from tests.helpers.desks import Desks
from tests.helpers.pki_messages import MESSAGES

DESKS = Desks(211, accepts_unproven_keys=True)
CREDENTIAL = DESKS.enrol()
ENROLMENT = DESKS.enrolment(DESKS.key())
AUTHORIZATION = DESKS.authorization(CREDENTIAL, DESKS.key())
CASE = DESKS.begin(AUTHORIZATION.request)
AA, EA = DESKS.hierarchy.aa.credential, DESKS.hierarchy.ea.credential
ENCODED = tuple(encode_management(message) for message in MESSAGES.values())
REQUESTS = (ENROLMENT.request, AUTHORIZATION.request, CASE.validation_request)


def mutations(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Return octets, or something valid with a few octets replaced, dropped or put in."""

    @st.composite
    def mutated(draw: st.DrawFn) -> bytes:
        octets = bytearray(draw(st.sampled_from(seeds)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(octets)))
            octets[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
        return bytes(octets)

    return st.binary(max_size=200) | mutated()


def assert_an_answer_or_unanswerable(answer: Callable[[], bytes | AuthorizationCase]) -> None:
    with suppress(UnanswerableRequest):
        assert answer()


def assert_opened_or_typed(open_answer: Callable[[], object]) -> None:
    with suppress(DecodeError, VerificationError, AuthorityRefusal):
        assert open_answer()


@given(mutations(ENCODED))
def test_a_message_is_decoded_to_what_encodes_back_or_refused(octets: bytes) -> None:
    with suppress(DecodeError):
        assert encode_management(decode_management(octets)) == octets
    with suppress(DecodeError):
        decode_inner_ec_request(octets)


@given(mutations(REQUESTS))
def test_octets_posted_to_a_desk_are_answered_or_called_unanswerable(octets: bytes) -> None:
    assert_an_answer_or_unanswerable(lambda: DESKS.ea.answer(octets, DESKS.now))
    assert_an_answer_or_unanswerable(lambda: DESKS.aa.begin(octets, DESKS.now))


@given(mutations(ENCODED), st.sampled_from(["bare", "by a stranger", "by an authority"]))
def test_octets_encrypted_to_a_desk_are_answered(octets: bytes, how: str) -> None:
    for credential in (AA, EA):
        signer, certificate = (credential.signer, credential.certificate) if how == "by an authority" else (DESKS.canonical, None)
        plaintext = octets if how == "bare" else sign_payload(octets, signer=signer, certificate=certificate, at=DESKS.now_time64)
        to_ea = seal_request(plaintext, recipient=EA.certificate, randomness=DESKS.randomness)
        assert DESKS.ea.answer(to_ea.octets, DESKS.now)
        to_aa = seal_request(plaintext, recipient=AA.certificate, randomness=DESKS.randomness)
        assert DESKS.aa.begin(to_aa.octets, DESKS.now)


@given(mutations(REQUESTS))
def test_octets_that_come_back_are_an_answer_or_refused(octets: bytes) -> None:
    assert_opened_or_typed(lambda: ENROLMENT.open(octets, DESKS.now))
    assert_opened_or_typed(lambda: AUTHORIZATION.open(octets, DESKS.now))
    assert_opened_or_typed(lambda: DESKS.aa.finish(CASE, octets, DESKS.now))


@given(mutations(ENCODED), st.booleans())
def test_octets_an_authority_signed_are_an_answer_or_refused(octets: bytes, is_signed: bool) -> None:  # noqa: FBT001
    def sealed(key: bytes, *, by_aa: bool) -> bytes:
        credential = AA if by_aa else EA
        plaintext = octets
        if is_signed:
            plaintext = sign_payload(octets, signer=credential.signer, certificate=credential.certificate, at=DESKS.now_time64)
        return encode_encrypted_data(encrypt_under(plaintext, key=key, nonce=DESKS.randomness.entropy(12)))

    assert_opened_or_typed(lambda: ENROLMENT.open(sealed(ENROLMENT.sealed.key, by_aa=False), DESKS.now))
    assert_opened_or_typed(lambda: AUTHORIZATION.open(sealed(AUTHORIZATION.sealed.key, by_aa=True), DESKS.now))
    assert_opened_or_typed(lambda: DESKS.aa.finish(CASE, sealed(CASE.sealed.key, by_aa=False), DESKS.now))
