"""Hostile octets against the certificate and secured data decoders and the verifier: a value or a typed error, nothing else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import ItsAid
from shared.core.report import VerificationReport
from shared.security.certificate import decode_certificate, encode_certificate
from shared.security.certificate_cache import CertificateCache
from shared.security.secured_data import decode_secured_data
from shared.security.verify import VerifiedPayload
from tests.helpers.hierarchy import Hierarchy, clock_at

HIERARCHY = Hierarchy(99)
SIGNING = HIERARCHY.signing()
NOW = clock_at().now()
WITH_CERTIFICATE = SIGNING.sign(b"payload", ItsAid.CAM, now=NOW, location=None)
BY_DIGEST = SIGNING.sign(b"another", ItsAid.CAM, now=NOW, location=None)
TICKET = SIGNING.ticket.certificate.encoded


def _cache_that_knows_us() -> CertificateCache:
    service = HIERARCHY.verifying()
    service.verify(WITH_CERTIFICATE, now=NOW)
    return service._certificates


KNOWING_US = _cache_that_knows_us()
SMALL = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def refused(secured: bytes) -> bool:
    service = HIERARCHY.verifying()
    service.verify(WITH_CERTIFICATE, now=NOW)
    try:
        service.verify(secured, now=NOW)
    except (DecodeError, VerificationError):
        return True
    return False


def test_every_truncation_of_a_signed_cam_is_refused_as_malformed() -> None:
    for encoded in (WITH_CERTIFICATE, BY_DIGEST):
        for length in range(len(encoded)):
            try:
                decode_secured_data(encoded[:length])
            except DecodeError:
                continue
            raise AssertionError(length)


def believed_flips(secured: bytes) -> dict[int, VerifiedPayload]:
    """Flip every bit of a message, one at a time, and return what was believed all the same."""
    believed = {}
    for bit in range(len(secured) * 8):
        service = HIERARCHY.verifying()
        service._certificates = KNOWING_US
        flipped = bytearray(secured)
        flipped[bit // 8] ^= 0x80 >> (bit % 8)
        try:
            believed[bit] = service.verify(bytes(flipped), now=NOW)
        except (DecodeError, VerificationError):
            continue
    return believed


def test_no_flipped_bit_of_a_cam_verifies_but_the_one_that_only_says_how_r_is_written() -> None:
    """IEEE 1609.2 lets r be x-only (80) or a compressed point (82, 83), of which only x counts: nothing signed changes with it."""
    r_form = len(BY_DIGEST) - 32 - 32 - 1
    assert BY_DIGEST[r_form] == 0x80
    believed = believed_flips(BY_DIGEST)
    assert list(believed) == [r_form * 8 + 6]
    assert believed[r_form * 8 + 6].payload == b"another"


def test_no_flipped_bit_of_a_cam_with_its_certificate_verifies_but_those_that_say_how_r_is_written() -> None:
    r_form = len(WITH_CERTIFICATE) - 32 - 32 - 1
    certificate_r_form = WITH_CERTIFICATE.index(TICKET) + len(TICKET) - 32 - 32 - 1
    believed = believed_flips(WITH_CERTIFICATE)
    assert list(believed) == [certificate_r_form * 8 + 6, r_form * 8 + 6]
    for verified in believed.values():
        assert verified.payload == b"payload"
        assert verified.signer.hashed_id8 == SIGNING.ticket.certificate.hashed_id8


def test_a_heard_message_with_r_written_otherwise_is_a_duplicate() -> None:
    service = HIERARCHY.verifying()
    service.verify(WITH_CERTIFICATE, now=NOW)
    r_form = len(WITH_CERTIFICATE) - 32 - 32 - 1
    rewritten = WITH_CERTIFICATE[:r_form] + b"\x83" + WITH_CERTIFICATE[r_form + 1 :]
    with pytest.raises(VerificationError) as caught:
        service.verify(rewritten, now=NOW)
    assert caught.value.report is VerificationReport.DUPLICATE_MESSAGE


@SMALL
@given(st.binary(max_size=300))
def test_random_octets_give_a_value_or_a_decode_error(octets: bytes) -> None:
    for decode in (decode_secured_data, decode_certificate):
        try:
            decode(octets)
        except DecodeError:
            continue


@SMALL
@given(st.data())
def test_a_mutated_certificate_is_refused_or_re_encodes_to_its_canonical_octets(data: st.DataObject) -> None:
    encoded = bytearray(TICKET)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded[at] = data.draw(st.integers(0, 255))
    try:
        certificate = decode_certificate(bytes(encoded))
    except DecodeError:
        return
    assert encode_certificate(certificate) == certificate.canonical


@SMALL
@given(st.integers(0, len(BY_DIGEST)), st.integers(0, len(BY_DIGEST)), st.binary(max_size=20))
def test_a_spliced_message_is_refused_unless_nothing_changed(start: int, end: int, inserted: bytes) -> None:
    spliced = BY_DIGEST[: min(start, end)] + inserted + BY_DIGEST[max(start, end) :]
    assert spliced == BY_DIGEST or refused(spliced)
