"""What goes over the wire in an exchange, read and written back by an independent codec of IEEE 1609.2, octet for octet."""

from collections.abc import Iterator

import pytest
from pycrate_asn1dir import ITS_IEEE1609_2

from shared.security.ecdsa import Curve
from shared.security.ecies import decrypt_as, decrypt_under
from shared.security.encrypted_data import EncryptedData
from shared.security.secured_data import decode_secured_data
from tests.helpers.desks import Desks

DATA = ITS_IEEE1609_2.Ieee1609Dot2.Ieee1609Dot2Data


def exchanged(desks: Desks) -> Iterator[bytes]:
    """Return every structure of an enrolment and an authorization, as sent and as found inside."""
    ea, aa = desks.hierarchy.ea.credential, desks.hierarchy.aa.credential
    enrolment = desks.enrolment(desks.key())
    credential = desks.enrol()
    for hides in (True, False):
        ticket = desks.authorization(credential, desks.key(), hides_credential=hides)
        case = desks.begin(ticket.request)
        vouched = desks.ea.answer(case.validation_request, desks.now)
        requests = ((ea, enrolment.sealed), (aa, ticket.sealed), (ea, case.sealed))
        answers = (desks.ea.answer(enrolment.request, desks.now), desks.aa.finish(case, vouched, desks.now), vouched)
        for (authority, sealed), answer in zip(requests, answers, strict=True):
            yield sealed.octets
            yield answer
            request, response = (decode_secured_data(octets).content for octets in (sealed.octets, answer))
            assert isinstance(request, EncryptedData)
            assert isinstance(response, EncryptedData)
            assert authority.encryption_key is not None
            opened = decrypt_as(request, certificate=authority.certificate, private_key=authority.encryption_key)
            yield opened.plaintext
            yield decrypt_under(response, key=opened.key)
        yield case.request.ec_signature.data.encoded


@pytest.mark.parametrize("curve", [Curve.NIST_P256, Curve.BRAINPOOL_P256R1])
@pytest.mark.parametrize("encryption_curve", [Curve.NIST_P256, Curve.BRAINPOOL_P256R1])
def test_an_independent_codec_reads_what_we_send_and_writes_the_same(curve: Curve, encryption_curve: Curve) -> None:
    count = 0
    for octets in exchanged(Desks(231, curve=curve, encryption_curve=encryption_curve, station_curve=curve)):
        DATA.from_coer(octets)
        assert DATA.to_coer() == octets
        count += 1
    assert count == 2 * (3 * 4 + 1)
