"""Writes the cases of this directory from seeded keys: `python -m tests.conformance.secured_messages.make_cases DIR`.

The same octets come out every time, so a difference after a change of the code is a change on the air. A case is a directory whose
name is the sentence it proves:

    <sentence>/message.oer     one Ieee1609Dot2Data
    <sentence>/expected.json   {"at": UTC, "verdict": "believed" or a report code}
    trust/                     the root and authorities every case is judged against

Nothing here comes from elsewhere; the keys are worthless.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

from shared.core.geo import GeoPoint
from shared.core.ids import HashedId3, ItsAid
from shared.core.itstime import Time64, time64_of, utc_from_text, utc_text
from shared.pki.permission_sets import StationRole
from shared.security.certificate import decode_certificate, encode_certificate
from shared.security.ecdsa import Curve, Signature
from shared.security.hashing import HashAlgorithm, signed_digest
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.permissions import PsidSsp
from shared.security.region import CircularRegion, Location
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_data, encode_tbs_data, encode_unsecured
from shared.security.sign import TicketCredential
from shared.service.trust_directory import write_trust_directory
from tests.helpers.hierarchy import NOON, Hierarchy

PAYLOAD = bytes.fromhex("20500280002801000000")
TURIN = CircularRegion(centre=Location.of(GeoPoint(45.07, 7.68)), radius_m=10_000)
IN_TURIN = GenerationLocation(location=Location.of(GeoPoint(45.07, 7.68)), elevation=4_095)
IN_MILAN = GenerationLocation(location=Location.of(GeoPoint(45.46, 9.19)), elevation=4_095)

Case = tuple[bytes, str, str]
"""Message, moment, verdict."""


def sealed(ticket: TicketCredential, header: HeaderInfo, by: SignerKind = SignerKind.CERTIFICATE, copies: int = 1) -> bytes:
    """Sign whatever a header says, profile or not."""
    certificate, signer = ticket.certificate, ticket.signer
    algorithm = signer.curve.hash_algorithm
    tbs = encode_tbs_data(PAYLOAD, header)
    signature = signer.sign_digest(signed_digest(algorithm, algorithm.digest(tbs), certificate.canonical))
    identifier = {
        SignerKind.CERTIFICATE: SignerIdentifier(kind=by, certificates=(certificate,) * copies),
        SignerKind.DIGEST: SignerIdentifier(kind=by, digest=certificate.hashed_id8),
        SignerKind.SELF: SignerIdentifier(kind=by),
    }[by]
    return encode_signed_data(hash_algorithm=algorithm, tbs_encoded=tbs, signer=identifier, signature=signature)


def cases(hierarchy: Hierarchy) -> dict[str, Case]:
    """Return every case by its sentence."""
    noise = Random(2)
    at, now = time64_of(NOON), utc_text(NOON)
    car, rsu = hierarchy.ticket(), hierarchy.ticket(StationRole.RSU)
    brainpool = hierarchy.ticket(curve=Curve.BRAINPOOL_P256R1)
    p384 = hierarchy.ticket(curve=Curve.NIST_P384)
    local = hierarchy.ticket(region=TURIN)
    mute = hierarchy.ticket(permissions=(PsidSsp(psid=ItsAid.DENM, ssp=b"\x01\xff\xff\xff"),))
    stranger = Hierarchy(1_001).ticket()
    random = Signature(curve=Curve.NIST_P256, r=noise.randbytes(32), s=noise.randbytes(32))
    forged = decode_certificate(encode_certificate(replace(car.certificate, signature=random)))
    cam = HeaderInfo(psid=ItsAid.CAM, generation_time=at)
    denm = HeaderInfo(psid=ItsAid.DENM, generation_time=at, generation_location=IN_TURIN)
    spatem = HeaderInfo(psid=ItsAid.TLM, generation_time=at)
    good = sealed(car, cam)
    half = good[: -32 - 32 - 1]
    return {
        "a_cam_with_its_certificate_is_believed": (good, now, "believed"),
        "a_cam_with_r_as_a_compressed_point_is_believed": (half + b"\x83" + good[len(half) + 1 :], now, "believed"),
        "a_cam_that_asks_for_a_certificate_is_believed": (
            sealed(car, replace(cam, inline_p2pcd_request=(HashedId3(b"\x01\x02\x03"),))),
            now,
            "believed",
        ),
        "a_cam_on_brainpool_p256r1_is_believed": (sealed(brainpool, cam), now, "believed"),
        "a_cam_on_p384_is_believed": (sealed(p384, cam), now, "believed"),
        "a_denm_inside_its_region_is_believed": (sealed(local, denm), now, "believed"),
        "a_spatem_of_a_roadside_unit_is_believed": (sealed(rsu, spatem), now, "believed"),
        "a_cam_by_a_digest_nobody_has_seen_is_unknown": (
            sealed(car, cam, SignerKind.DIGEST),
            now,
            "signer_certificate_not_found",
        ),
        "a_cam_of_a_foreign_hierarchy_is_unknown": (sealed(stranger, cam), now, "signer_certificate_not_found"),
        "a_cam_under_a_ticket_with_a_random_issuer_signature_is_refused": (
            sealed(TicketCredential(certificate=forged, signer=car.signer), cam),
            now,
            "invalid_certificate",
        ),
        "a_cam_with_a_changed_payload_is_refused": (
            good.replace(PAYLOAD, PAYLOAD[:-1] + b"\x01"),
            now,
            "false_signature",
        ),
        "a_cam_signed_over_another_hash_is_refused": (
            good[:2] + bytes((HashAlgorithm.SHA384.value,)) + good[3:],
            now,
            "false_signature",
        ),
        "a_cam_with_a_location_breaks_its_profile": (
            sealed(car, replace(cam, generation_location=IN_TURIN)),
            now,
            "header_profile",
        ),
        "a_cam_with_an_expiry_breaks_its_profile": (
            sealed(car, replace(cam, expiry_time=Time64(at + 1_000_000))),
            now,
            "header_profile",
        ),
        "a_cam_without_a_time_breaks_its_profile": (sealed(car, replace(cam, generation_time=None)), now, "header_profile"),
        "a_cam_with_two_certificates_breaks_its_profile": (sealed(car, cam, copies=2), now, "header_profile"),
        "a_cam_signed_by_itself_is_refused": (
            sealed(car, cam, SignerKind.SELF),
            now,
            "unsupported_signer_identifier_type",
        ),
        "a_denm_by_digest_breaks_its_profile": (sealed(car, denm, SignerKind.DIGEST), now, "header_profile"),
        "a_denm_without_a_location_breaks_its_profile": (
            sealed(car, replace(denm, generation_location=None)),
            now,
            "header_profile",
        ),
        "a_denm_outside_its_region_is_refused": (
            sealed(local, replace(denm, generation_location=IN_MILAN)),
            now,
            "outside_region",
        ),
        "a_cam_three_seconds_old_is_stale": (good, utc_text(utc_from_text("2026-11-22T12:00:03Z")), "invalid_timestamp"),
        "a_cam_from_the_next_second_is_refused": (good, utc_text(utc_from_text("2026-11-22T11:59:59Z")), "invalid_timestamp"),
        "a_cam_under_an_expired_ticket_is_refused": (
            sealed(car, replace(cam, generation_time=time64_of(utc_from_text("2026-12-01T12:00:00Z")))),
            "2026-12-01T12:00:00.000Z",
            "expired_certificate",
        ),
        "a_cam_under_a_ticket_for_warnings_only_is_denied": (sealed(mute, cam), now, "permission_denied"),
        "a_spatem_of_a_car_is_denied": (sealed(car, spatem), now, "permission_denied"),
        "a_trust_list_on_the_radio_is_refused": (
            sealed(car, replace(cam, psid=ItsAid.CTL)),
            now,
            "incompatible_protocol",
        ),
        "an_unsigned_cam_is_refused": (encode_unsecured(PAYLOAD), now, "unsigned_message"),
        "a_truncated_cam_is_malformed": (good[:-1], now, "malformed"),
        "a_cam_with_an_octet_too_many_is_malformed": (good + b"\x00", now, "malformed"),
        "a_cam_with_a_length_that_is_not_minimal_is_malformed": (
            good.replace(bytes((0x80, len(PAYLOAD))) + PAYLOAD, bytes((0x80, 0x81, len(PAYLOAD))) + PAYLOAD),
            now,
            "malformed",
        ),
        "a_hundred_nested_messages_are_malformed": (b"\x03\x81\x00\x40" * 100 + good, now, "malformed"),
    }


def write_cases(directory: Path) -> None:
    """Write the trust directory and every case below `directory`."""
    hierarchy = Hierarchy(1_000)
    write_trust_directory(directory / "trust", hierarchy.trust_store)
    for sentence, (message, at, verdict) in cases(hierarchy).items():
        case = directory / sentence
        case.mkdir()
        (case / "message.oer").write_bytes(message)
        (case / "expected.json").write_text(json.dumps({"at": at, "verdict": verdict}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_cases(Path(sys.argv[1]))
