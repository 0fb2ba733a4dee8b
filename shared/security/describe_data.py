"""Signed, encrypted and listed things in words: nested JSON values with units in their names, for `v2x decode`.

Only tells what is stated; nothing is verified. Certificates are described by `describe`. The order of keys is the order for people.
"""

from typing import assert_never

from shared.core.itstime import Time32, Time64, utc_of, utc_text
from shared.security.crl import Crl
from shared.security.ctl import (
    AaEntry,
    Ctl,
    CtlEntry,
    CtlKind,
    DcEntry,
    DeleteCertificate,
    DeleteDc,
    EaEntry,
    RootCaEntry,
    TlmEntry,
)
from shared.security.describe import Description, describe_certificate, its_aid_name
from shared.security.ecdsa import Signature
from shared.security.encrypted_data import EncryptedData, RecipientKind
from shared.security.hashing import HashAlgorithm
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.secured_data import SignedData, SignerKind
from shared.security.sign import SEA_LEVEL_ELEVATION

_RECIPIENTS = {
    RecipientKind.PRE_SHARED: "pre-shared key",
    RecipientKind.SYMMETRIC: "symmetric key",
    RecipientKind.CERTIFICATE: "certificate",
    RecipientKind.SIGNED_DATA: "key in signed data",
    RecipientKind.REKEY: "public key",
}
_ALGORITHMS = {HashAlgorithm.SHA256: "SHA-256", HashAlgorithm.SHA384: "SHA-384"}


def describe_signed(signed: SignedData) -> Description:
    """Return who signed what header, and how; the payload is the caller's."""
    external = signed.external_hash
    described: dict[str, object] = {
        **describe_header(signed.header),
        "signer": _signer(signed),
        "hash": _ALGORITHMS[signed.hash_algorithm],
        "signature": _signature(signed.signature),
    }
    if external is not None:
        described["external_data"] = {"hash": _ALGORITHMS[external.algorithm], "digest": external.digest.hex()}
    return described


def describe_header(header: HeaderInfo) -> Description:
    """Return the fields of `HeaderInfo` that are present."""
    key = header.encryption_key
    requests = header.inline_p2pcd_request
    contributions = header.contributed_extensions
    described: dict[str, object] = {
        "its_aid": header.psid,
        "service": its_aid_name(header.psid),
        "generation_time": _utc64(header.generation_time),
        "expiry_time": _utc64(header.expiry_time),
        "generation_location": None if header.generation_location is None else _location(header.generation_location),
        "p2pcd_learning_request": None if header.p2pcd_learning_request is None else header.p2pcd_learning_request.hex(),
        "missing_crl": None if header.missing_crl is None else header.missing_crl.hex(),
        "encryption_key": None if key is None else {"curve": key.curve.value, "point_x": key.point.x.hex()},
        "symmetric_key": None if header.symmetric_key is None else "present",
        "asks_for_certificates": None if requests is None else [request.hex() for request in requests],
        "passes_on_certificate": None
        if header.requested_certificate is None
        else describe_certificate(header.requested_certificate),
        "pdu_functional_type": header.pdu_functional_type,
        "contributed_extensions": None
        if contributions is None
        else [{"contributor": one.contributor, "extensions": [octets.hex() for octets in one.extensions]} for one in contributions],
    }
    return {name: value for name, value in described.items() if value is not None}


def describe_encrypted(encrypted: EncryptedData) -> Description:
    """Return for whom content is encrypted; it is not opened."""
    recipients = [{"by": _RECIPIENTS[one.kind], "hashed_id8": one.hashed_id8.hex()} for one in encrypted.recipients]
    return {"recipients": recipients, "nonce": encrypted.nonce.hex(), "ciphertext_octets": len(encrypted.ciphertext)}


def list_name(trust_list: Ctl | Crl) -> str:
    """Say what kind of list it is, as people call it."""
    if isinstance(trust_list, Crl):
        return "CRL"
    return "ECTL" if trust_list.kind is CtlKind.ECTL else "CTL of a root"


def describe_trust_list(trust_list: Ctl | Crl) -> Description:
    """Return a list of any kind, its kind first: `describe_ctl` or `describe_crl` behind `list_name`."""
    described = describe_crl(trust_list) if isinstance(trust_list, Crl) else describe_ctl(trust_list)
    return {"kind": list_name(trust_list), **described}


def describe_ctl(ctl: Ctl) -> Description:
    """Return a trust list: what it adds and deletes, each certificate in full."""
    added = [_entry(command) for command in ctl.commands if not isinstance(command, DeleteCertificate | DeleteDc)]
    deleted = [_deletion(command) for command in ctl.commands if isinstance(command, DeleteCertificate | DeleteDc)]
    described: dict[str, object] = {
        "sequence": ctl.sequence,
        "is_full": ctl.is_full,
        "next_update": _utc32(ctl.next_update),
        "adds": added,
    }
    return described if ctl.is_full else described | {"deletes": deleted}


def describe_crl(crl: Crl) -> Description:
    """Return a revocation list."""
    return {
        "this_update": _utc32(crl.this_update),
        "next_update": _utc32(crl.next_update),
        "revoked": [identifier.hex() for identifier in crl.revoked],
    }


def _entry(entry: CtlEntry) -> Description:
    match entry:
        case RootCaEntry(certificate=certificate, successor_to=link):
            described = {"root": describe_certificate(certificate)}
            return described if link is None else described | {"successor_to": describe_certificate(link)}
        case TlmEntry(certificate=certificate, access_point=url, successor_to=link):
            manager = {"trust_list_manager": describe_certificate(certificate), "access_point": url}
            return manager if link is None else manager | {"successor_to": describe_certificate(link)}
        case EaEntry(certificate=certificate, aa_access_point=aa_url, its_access_point=its_url):
            authority = {"enrolment_authority": describe_certificate(certificate), "aa_access_point": aa_url}
            return authority if its_url is None else authority | {"its_access_point": its_url}
        case AaEntry(certificate=certificate, access_point=url):
            return {"authorization_authority": describe_certificate(certificate), "access_point": url}
        case DcEntry(url=url, roots=roots):
            return {"distribution_centre": {"url": url, "roots": [identifier.hex() for identifier in roots]}}
        case _:
            assert_never(entry)


def _deletion(deletion: DeleteCertificate | DeleteDc) -> Description:
    if isinstance(deletion, DeleteCertificate):
        return {"certificate": deletion.hashed_id8.hex()}
    return {"distribution_centre": deletion.url}


def _signer(signed: SignedData) -> Description:
    signer = signed.signer
    match signer.kind:
        case SignerKind.DIGEST:
            return {"digest": (signer.digest or b"").hex()}
        case SignerKind.CERTIFICATE if len(signer.certificates) == 1:
            return {"certificate": describe_certificate(signer.certificates[0])}
        case SignerKind.CERTIFICATE:
            return {"certificates": [describe_certificate(certificate) for certificate in signer.certificates]}
        case SignerKind.SELF:
            return {"by": "the key inside"}


def _signature(signature: Signature) -> Description:
    return {"curve": signature.curve.value, "r": signature.r.hex(), "s": signature.s.hex()}


def _location(place: GenerationLocation) -> Description:
    described: dict[str, object] = {}
    if place.location is None:
        described["position"] = "unknown"
    else:
        described |= {"lat_deg": place.location.point.lat_deg, "lon_deg": place.location.point.lon_deg}
    return described | {"elevation_m": (place.elevation - SEA_LEVEL_ELEVATION) / 10}


def _utc64(at: Time64 | None) -> str | None:
    return None if at is None else utc_text(utc_of(at))


def _utc32(at: Time32) -> str:
    return utc_text(utc_of(Time64(at * 1_000_000)))
