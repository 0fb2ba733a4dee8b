"""Requests for tickets as no honest station makes them, and what the authorities answer to them."""

from dataclasses import replace

import pytest

from shared.core.clock import Instant
from shared.core.ids import ItsAid
from shared.pki.authorization import PendingAuthorization, key_tag
from shared.pki.exchange import seal_request
from shared.pki.management import (
    InnerAtRequest,
    ManagementMessage,
    decode_management,
    encode_management,
)
from shared.pki.response_codes import AuthorityRefusal
from shared.pki.response_codes import AuthorizationResponseCode as Code
from shared.pki.subject import PublicKeys
from shared.security.ecdsa import SoftwareSigner
from shared.security.ecies import decrypt_as
from shared.security.encrypted_data import EncryptedData
from shared.security.header_info import HeaderInfo
from shared.security.secured_data import (
    SignedData,
    UnsecuredData,
    decode_secured_data,
)
from tests.helpers.desks import Desks, signed_as


def sealed(desks: Desks, plaintext: bytes, key: SoftwareSigner) -> PendingAuthorization:
    """Encrypt anything to the authorization authority, as a station that wants a ticket for `key`."""
    return PendingAuthorization(
        sealed=seal_request(plaintext, recipient=desks.hierarchy.aa.certificate, randomness=desks.randomness),
        authority=desks.hierarchy.aa.certificate,
        keys=PublicKeys.of(key.public_key),
        attributes=desks.wanted(),
    )


def opened(desks: Desks, pending: PendingAuthorization) -> InnerAtRequest:
    """Return what the authorization authority reads in a request."""
    content = decode_secured_data(pending.request).content
    private_key = desks.hierarchy.aa.credential.encryption_key
    assert isinstance(content, EncryptedData)
    assert private_key is not None
    plaintext = decrypt_as(content, certificate=desks.hierarchy.aa.certificate, private_key=private_key).plaintext
    signed = decode_secured_data(plaintext).content
    assert isinstance(signed, SignedData)
    assert signed.payload is not None
    assert isinstance(signed.payload.content, UnsecuredData)
    request = decode_management(signed.payload.content.payload)
    assert isinstance(request, InnerAtRequest)
    return request


def altered(
    desks: Desks, key: SoftwareSigner, request: ManagementMessage, *, header: HeaderInfo | None = None
) -> PendingAuthorization:
    """Sign a message by hand under the ticket's key and encrypt it to the authorization authority."""
    header = header or HeaderInfo(psid=ItsAid.CERTIFICATE_REQUEST, generation_time=desks.now_time64)
    return sealed(desks, signed_as(encode_management(request), key, header=header), key)


def retagged(request: InnerAtRequest, keys: PublicKeys) -> InnerAtRequest:
    """Ask for other keys, with the tag they need."""
    shared = replace(request.shared, key_tag=key_tag(request.hmac_key, keys))
    return replace(request, keys=keys, shared=shared)


def code_of(pending: PendingAuthorization, answer: bytes, now: Instant) -> Code:
    """Return the code of a refusal, as the station reads it."""
    with pytest.raises(AuthorityRefusal) as caught:
        pending.open(answer, now)
    assert isinstance(caught.value.answer, Code)
    return caught.value.answer


def at_once(desks: Desks, pending: PendingAuthorization) -> Code:
    """Return the code of a refusal for which the enrolment authority is not even asked."""
    answer = desks.aa.begin(pending.request, desks.now)
    assert isinstance(answer, bytes)
    assert desks.aa.record.refusals[-1].reason
    return code_of(pending, answer, desks.now)


def after_asking(desks: Desks, pending: PendingAuthorization) -> Code:
    """Return the code of a refusal by the enrolment authority, which counts no ticket for it."""
    granted = len(desks.registry.grants)
    case = desks.begin(pending.request)
    answer = desks.aa.finish(case, desks.ea.answer(case.validation_request, desks.now), desks.now)
    assert len(desks.registry.grants) == granted
    assert desks.ea.record.refusals[-1].reason
    return code_of(pending, answer, desks.now)
