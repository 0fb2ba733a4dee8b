"""What a secured message claims about itself, read in a microsecond and believed by nobody.

Used to sort what waits before there is time to verify it (`shared.stack.admission`): service, generation time and signer. Nothing
here is checked, so nothing may be decided on it but the order of verification. The shapes read are those of TS 103 097 clause 7.1
on the air; whatever else a decoder may accept (a key in the header, several certificates, a point written at full length) gives
None, as rubbish does, and is left to the decoder.
"""

from dataclasses import dataclass
from hashlib import sha256, sha384

from shared.core.ids import HashedId8
from shared.core.itstime import Time64

_HEAD = b"\x03\x81"
_TBS_HEAD = b"\x40\x03\x80"
_SHA256, _SHA384 = 0, 1

_GENERATION_TIME = 0x40
_OPTIONAL_OCTETS = ((0x20, 8), (0x10, 10), (0x08, 3), (0x04, 6))
"""Flag and octets of expiryTime, generationLocation, p2pcdLearningRequest, missingCrlIdentifier."""

_ENCRYPTION_KEY = 0x02
_EXTENDED = 0x80

_P256_SIGNATURE_OCTETS = 66
_P384_SIGNATURE_OCTETS = 99
_P384_SIGNATURE_HEADS = (b"\x82\x61", b"\x83\x61")
_P256_SIGNATURE_HEADS = frozenset(bytes((curve, form)) for curve in (0x80, 0x81) for form in (0x80, 0x82, 0x83))


@dataclass(frozen=True, slots=True)
class Claims:
    """What a message says of itself.

    Attributes:
        psid: the service, 0 or more.
        generation_time: when it was made.
        signer: identifier of the ticket it names.
        shows_certificate: whether it carries that ticket.
    """

    psid: int
    generation_time: Time64
    signer: HashedId8
    shows_certificate: bool


def peek_claims(packet: bytes, start: int = 0) -> Claims | None:
    """Read the claims of the secured message that begins at octet `start` and fills the rest of `packet`."""
    try:
        return _claims(packet, start)
    except IndexError:
        return None


def peek_payload(packet: bytes, start: int = 0) -> bytes | None:
    """Return what is inside the signed message that begins at octet `start`, whole or cut short; None for any other structure."""
    if packet[start : start + 2] != _HEAD or packet[start + 3 : start + 6] != _TBS_HEAD:
        return None
    try:
        at, payload_octets = _length(packet, start + 6)
    except IndexError:
        return None
    return packet[at : at + payload_octets]


def _claims(packet: bytes, start: int) -> Claims | None:
    if packet[start : start + 2] != _HEAD or packet[start + 3 : start + 6] != _TBS_HEAD:
        return None
    at, payload_octets = _length(packet, start + 6)
    at += payload_octets
    present = packet[at]
    psid_octets = packet[at + 1]
    at += 2
    psid = int.from_bytes(packet[at : at + psid_octets], "big")
    at += psid_octets
    if not present & _GENERATION_TIME or present & _ENCRYPTION_KEY:
        return None
    generation_time = Time64(int.from_bytes(packet[at : at + 8], "big"))
    at += 8
    for flag, octets in _OPTIONAL_OCTETS:
        if present & flag:
            at += octets
    if present & _EXTENDED:
        at = _behind_additions(packet, at)
    match packet[at]:
        case 0x80 if at + 9 < len(packet):
            return Claims(psid, generation_time, HashedId8(packet[at + 1 : at + 9]), shows_certificate=False)
        case 0x81 if packet[at + 1 : at + 3] == b"\x01\x01":
            signer = _certificate_id(packet, at + 3, packet[start + 2])
            return None if signer is None else Claims(psid, generation_time, signer, shows_certificate=True)
        case _:
            return None


def _length(packet: bytes, at: int) -> tuple[int, int]:
    first = packet[at]
    if first < 0x80:
        return at + 1, first
    width = first & 0x7F
    return at + 1 + width, int.from_bytes(packet[at + 1 : at + 1 + width], "big")


def _behind_additions(packet: bytes, at: int) -> int:
    bitmap_octets = packet[at]
    bitmap = int.from_bytes(packet[at + 2 : at + 1 + bitmap_octets], "big")
    at += 1 + bitmap_octets
    for _ in range(bitmap.bit_count()):
        at, octets = _length(packet, at)
        at += octets
    return at


def _certificate_id(packet: bytes, at: int, hash_algorithm: int) -> HashedId8 | None:
    """Take what stands between `at` and the signature, whose length its curve gives, for the certificate in canonical form."""
    if hash_algorithm == _SHA256 and packet[-_P256_SIGNATURE_OCTETS:][:2] in _P256_SIGNATURE_HEADS:
        return HashedId8(sha256(packet[at:-_P256_SIGNATURE_OCTETS]).digest()[-8:])
    if hash_algorithm == _SHA384 and packet[-_P384_SIGNATURE_OCTETS:][:2] in _P384_SIGNATURE_HEADS:
        return HashedId8(sha384(packet[at:-_P384_SIGNATURE_OCTETS]).digest()[-8:])
    return None
