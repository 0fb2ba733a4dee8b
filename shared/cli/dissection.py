"""What octets say, layer by layer, and where and why a station would stop believing them: the substance of `v2x decode`.

Every layer that decodes is kept; the first thing that is malformed, or that a station refuses without asking for keys or the time
(unsigned, header against its profile, hops, numbers that disagree, content beyond the shown ticket's permissions), ends the
dissection as its refusal. Signatures, chains and freshness are `v2x verify`'s business: nothing shown here is thereby true.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.cli.describe_controller import describe_tscbm
from shared.cli.describe_message import Description, describe_message, describe_tree
from shared.cli.describe_network import describe_btp, describe_common, describe_extended, describe_source, station_type_name
from shared.cli.source import Kind
from shared.core.clock import UtcNs
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.core.ids import ItsAid, MessageId
from shared.core.itstime import time64_of, utc_of
from shared.core.report import VerificationReport
from shared.messages.cam import Cam, decode_cam
from shared.messages.denm import Denm, Termination, decode_denm
from shared.messages.ivim import Ivim, IviStatus, decode_ivim
from shared.messages.mapem import Mapem, decode_mapem
from shared.messages.pdu import HEADER_OCTETS, peek_header
from shared.messages.spatem import Spatem, decode_spatem
from shared.messages.srem import Srem, decode_srem
from shared.messages.ssem import PrioritizationStatus, Ssem, decode_ssem
from shared.messages.tree import decode_tree
from shared.messages.tscbm import decode_tscbm
from shared.network.address import MAC_OCTETS
from shared.network.headers import (
    COMMON_HEADER_OCTETS,
    PROTOCOL_VERSION,
    BasicHeader,
    BasicNextHeader,
    decode_basic_header,
    decode_common_header,
)
from shared.network.packet import MAX_PACKET_OCTETS, Beacon, check_hop_limit, decode_gn_pdu, no_message
from shared.security.certificate import decode_certificate
from shared.security.crl import Crl
from shared.security.describe import certificate_kind, describe_certificate
from shared.security.describe_data import describe_crl, describe_ctl, describe_encrypted, describe_signed, list_name
from shared.security.encrypted_data import EncryptedData
from shared.security.header_policy import check_header, profile_of
from shared.security.permissions import find_permission
from shared.security.secured_data import SecuredData, SignedData, UnsecuredData, decode_secured_data
from shared.security.trust_list import decode_trust_list, peek_management_content
from shared.stack.content_permissions import Message, check_content
from shared.stack.packet_checks import agreed_message_id
from shared.stack.station import HEARD_ITS_AIDS
from shared.transport.link_frames import ETHERNET_OCTETS

_MANAGEMENT_ITS_AIDS = frozenset((ItsAid.CRL, ItsAid.CERTIFICATE_REQUEST, ItsAid.CTL))
_DECODERS: Mapping[MessageId, Callable[[bytes], Message]] = {
    MessageId.CAM: decode_cam,
    MessageId.DENM: decode_denm,
    MessageId.SPATEM: decode_spatem,
    MessageId.MAPEM: decode_mapem,
    MessageId.IVIM: decode_ivim,
    MessageId.SREM: decode_srem,
    MessageId.SSEM: decode_ssem,
}
_FRAME_TITLES = {0x12: "MAP", 0x13: "SPAT", 0x1D: "SRM", 0x1E: "SSM"}
_FRAME_MESSAGES = {0x12: MessageId.MAPEM, 0x13: MessageId.SPATEM, 0x1D: MessageId.SREM, 0x1E: MessageId.SSEM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer that decoded.

    Attributes:
        name: a stable lower-case word.
        title: for people.
        fields: JSON values with units in their names.
    """

    name: str
    title: str
    fields: Description


@dataclass(frozen=True, slots=True, kw_only=True)
class Dissection:
    """How far octets could be followed.

    Attributes:
        kind: what they begin like.
        octets: how many there were.
        layers: outermost first.
        summary: the innermost thing in a few words, for a person.
        refusal: why it ended there, or None when it was all understood.
    """

    kind: Kind
    octets: int
    layers: tuple[Layer, ...]
    summary: str
    refusal: V2xError | None


def dissect(octets: bytes, kind: Kind, *, received: UtcNs | None = None) -> Dissection:
    """Follow octets inwards; every fault of theirs ends up in the result.

    Args:
        octets: one structure.
        kind: what it begins like.
        received: when it was heard, where that is known.
    """
    dissector = _Dissector(received)
    refusal: V2xError | None = None
    try:
        dissector.follow(octets, kind)
    except V2xError as error:
        refusal = error
    return Dissection(
        kind=kind, octets=len(octets), layers=tuple(dissector.layers), summary=dissector.summary or kind.value, refusal=refusal
    )


class _Dissector:
    """Collects the layers of one structure.

    Attributes:
        layers: what decoded so far.
        summary: the innermost thing so far.
    """

    def __init__(self, received: UtcNs | None) -> None:
        self.layers: list[Layer] = []
        self.summary = ""
        self._reference = received if received is not None and _is_its_time(received) else None

    def follow(self, octets: bytes, kind: Kind) -> None:
        match kind:
            case Kind.ETHERNET_FRAME:
                fields = {"destination": octets[:MAC_OCTETS].hex(":"), "source": octets[MAC_OCTETS : 2 * MAC_OCTETS].hex(":")}
                self._add("ethernet", "Ethernet", fields)
                self._packet(octets[ETHERNET_OCTETS:])
            case Kind.GN_PACKET:
                self._packet(octets)
            case Kind.SECURED_DATA:
                self._secured(octets, basic=None)
            case Kind.CERTIFICATE:
                certificate = decode_certificate(octets)
                self.summary = f"{certificate_kind(certificate)} {certificate.hashed_id8.hex()}"
                self._add("certificate", "Certificate", describe_certificate(certificate))
            case Kind.TRUST_LIST:
                self._management(octets)
            case Kind.FACILITIES_MESSAGE:
                self._message(octets)
            case Kind.MESSAGE_FRAME:
                self._message_frame(octets)
            case Kind.CONTROLLER_DATAGRAM:
                self.summary = kind.value
                self._add("tscbm", "SPaT datagram (NTCIP 1202)", describe_tscbm(decode_tscbm(octets)))

    def _add(self, name: str, title: str, fields: Description) -> None:
        self.layers.append(Layer(name=name, title=title, fields=fields))

    def _packet(self, packet: bytes) -> None:
        if len(packet) > MAX_PACKET_OCTETS:
            raise DecodeError("packet", f"{len(packet)} octets exceed the {MAX_PACKET_OCTETS} of a frame")
        basic, rest = decode_basic_header(packet)
        self._add(
            "basic_header",
            "Basic Header",
            {
                "version": PROTOCOL_VERSION,
                "next": basic.next_header.name.lower(),
                "lifetime_s": basic.lifetime_ms / 1_000,
                "remaining_hops": basic.remaining_hop_limit,
            },
        )
        if basic.next_header is BasicNextHeader.SECURED:
            self._secured(rest, basic=basic)
            return
        self._geonetworking(rest, basic=basic, signed=None)
        raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the packet is not secured")

    def _secured(self, octets: bytes, *, basic: BasicHeader | None) -> None:
        data = decode_secured_data(octets)
        self._content(data, basic=basic)

    def _content(self, data: SecuredData, *, basic: BasicHeader | None) -> None:
        match data.content:
            case SignedData() as signed:
                self._signed(signed, basic=basic)
            case EncryptedData() as encrypted:
                self.summary = "encrypted data"
                self._add("encrypted_data", "Encrypted data (IEEE 1609.2)", describe_encrypted(encrypted))
            case UnsecuredData(payload=payload):
                self.summary = "unsecured data"
                self._add("unsecured_data", "Unsecured data (IEEE 1609.2)", {"payload_octets": len(payload)})
                self._payload(payload, basic=basic, signed=None)
                raise VerificationError(VerificationReport.UNSIGNED_MESSAGE, "the message is not signed")
            case request:
                fields = {"alternative": request.index, "request": request.request.hex()}
                self._add("certificate_request", "Certificate request (IEEE 1609.2)", fields)

    def _signed(self, signed: SignedData, *, basic: BasicHeader | None) -> None:
        self._add("signed_data", "Signed data (IEEE 1609.2), signature not checked here", describe_signed(signed))
        generated = signed.header.generation_time
        if generated is not None:
            self._reference = utc_of(generated)
        if signed.payload is None:
            self.summary = "a signature over data elsewhere"
        elif isinstance(signed.payload.content, UnsecuredData):
            self._payload(signed.payload.content.payload, basic=basic, signed=signed)
        else:
            self._content(signed.payload, basic=basic)

    def _payload(self, payload: bytes, *, basic: BasicHeader | None, signed: SignedData | None) -> None:
        psid = None if signed is None else signed.header.psid
        if basic is None and psid in _MANAGEMENT_ITS_AIDS:
            self._management(payload)
            return
        if signed is None:
            self._geonetworking(payload, basic=basic, signed=None)
            return
        if psid not in HEARD_ITS_AIDS:
            self._geonetworking(payload, basic=basic, signed=None)
            raise VerificationError(VerificationReport.INCOMPATIBLE_PROTOCOL, f"ITS-AID {psid} is no service of this station")
        self._geonetworking(payload, basic=basic, signed=signed)
        check_header(signed, profile_of(ItsAid(signed.header.psid)))

    def _management(self, octets: bytes) -> None:
        content = peek_management_content(octets)
        words = content.name.lower().replace("_", " ")
        if content.name not in ("CRL", "ECTL", "ROOT_CTL"):
            self.summary = words
            self._add("management_data", f"TS 102 941 {words}", {"octets": len(octets)})
            return
        trust_list = decode_trust_list(octets)
        self.summary = list_name(trust_list)
        if isinstance(trust_list, Crl):
            self._add("crl", "Certificate revocation list (TS 102 941)", describe_crl(trust_list))
        else:
            title = f"Certificate trust list (TS 102 941), {self.summary}"
            self._add(content.name.lower(), title, describe_ctl(trust_list))

    def _geonetworking(self, octets: bytes, *, basic: BasicHeader | None, signed: SignedData | None) -> None:
        common = decode_common_header(octets[:COMMON_HEADER_OCTETS])
        self._add("common_header", "Common Header", describe_common(common))
        self.summary = f"{common.header_type.name.lower().replace('_', ' ')} packet"
        pdu = decode_gn_pdu(octets)
        if isinstance(pdu, Beacon):
            self.summary = f"beacon of {pdu.source.address.mac.hex(':')}"
            self._add("beacon", "Beacon", {"source": describe_source(pdu.source, self._reference)})
            if signed is not None and signed.header.psid != ItsAid.GN_MANAGEMENT:
                raise no_message()
            return
        name, title, fields = describe_extended(pdu.extended, self._reference)
        self._add(name, title, fields)
        self._add("btp", "BTP-B", describe_btp(pdu.btp))
        message = self._message(pdu.message)
        if basic is not None:
            check_hop_limit(basic, common)
        if signed is not None:
            agreed_message_id(pdu.message, pdu.btp.destination_port, signed.header.psid)
            _check_permissions(message, signed)

    def _message(self, encoded: bytes) -> Message | None:
        header = peek_header(encoded)
        name = header.message_id.name
        self.summary = f"{name} of station {header.station_id}"
        decode = _DECODERS.get(header.message_id)
        try:
            message = None if decode is None else decode(encoded)
            fields = describe_tree(decode_tree(encoded)[1]) if message is None else describe_message(message, self._reference)
        except DecodeError:
            fields = {"protocol_version": header.protocol_version, "station_id": header.station_id, "octets": len(encoded)}
            self._add(name.lower(), f"{name}, only its header decodes", fields)
            raise
        self._add(name.lower(), name, fields if isinstance(fields, Mapping) else {"value": fields})
        if message is not None:
            self.summary = _summary(message)
        return message

    def _message_frame(self, octets: bytes) -> None:
        number, body = _frame_body(octets)
        name = _FRAME_TITLES[number]
        self.summary = name
        message_id = _FRAME_MESSAGES[number]
        header = bytes((2, message_id)) + bytes(HEADER_OCTETS - 2)
        fields = dict(describe_message(_DECODERS[message_id](header + body), self._reference))
        del fields["station_id"]
        self._add(name.lower(), f"{name} (SAE J2735 MessageFrame)", fields)


def _frame_body(octets: bytes) -> tuple[int, bytes]:
    """Return the number and the content of a J2735 MessageFrame: u16, then an open type in UPER of less than 16,384 octets."""
    if len(octets) < 3:
        raise DecodeError("message_frame", f"{len(octets)} octets are too few", 8 * len(octets))
    number = int.from_bytes(octets[:2], "big")
    if number not in _FRAME_TITLES:
        raise DecodeError("message_frame.messageId", f"{number} is no message this project knows", 0)
    length, start = octets[2], 3
    if length >= 0x80:
        if len(octets) < 4:
            raise DecodeError("message_frame.length", "cut short", 8 * len(octets))
        length, start = (length & 0x7F) << 8 | octets[3], 4
        if not 0x80 <= length < 0x4000:
            raise DecodeError("message_frame.length", f"no length is written as {octets[2:4].hex()}", 16)
    if len(octets) - start != length:
        raise DecodeError("message_frame.length", f"{length} octets announced, {len(octets) - start} there", 16)
    return number, octets[start:]


def _check_permissions(message: Message | None, signed: SignedData) -> None:
    """Check content against the ticket the message shows; a digest shows none."""
    if message is None or not signed.signer.certificates:
        return
    permissions = signed.signer.certificates[0].tbs.app_permissions or ()
    check_content(message, find_permission(permissions, signed.header.psid).ssp)


def _summary(message: Message) -> str:
    match message:
        case Cam():
            speed = "" if message.speed_mps is None else f", {message.speed_mps * 3.6:.1f} km/h"
            return f"CAM of {str(station_type_name(message.station_type)).replace('_', ' ')} {message.station_id}{speed}"
        case Denm():
            if message.termination is not None:
                ended = "cancelled" if message.termination is Termination.IS_CANCELLATION else "denied"
                event = message.action_id
                whose = f"event {event.sequence_number} of station {event.originating_station_id}"
                return f"DENM of station {message.station_id}: {whose} {ended}"
            cause = message.cause_code
            what = "without a cause" if cause is None else getattr(cause, "name", f"cause {cause}").lower().replace("_", " ")
            return f"DENM of station {message.station_id}: {what}"
        case Spatem():
            groups = sum(len(intersection.movements) for intersection in message.intersections)
            return f"SPATEM of station {message.station_id}: {groups} signal groups"
        case Mapem():
            lanes = sum(len(intersection.lanes) for intersection in message.intersections)
            return f"MAPEM of station {message.station_id}: {lanes} lanes"
        case Ivim():
            signs = sum(len(part.road_signs) for container in message.containers for part in container.signs)
            ended = ", ended" if message.status in (IviStatus.CANCELLATION, IviStatus.NEGATION) else ""
            return f"IVIM of station {message.station_id}: {signs} road signs{ended}"
        case Srem():
            return f"SREM of station {message.station_id}: {len(message.requests)} requests"
        case Ssem():
            answers = [answer.status for status in message.statuses for answer in status.requests]
            granted = answers.count(PrioritizationStatus.GRANTED)
            return f"SSEM of station {message.station_id}: {len(answers)} answers, {granted} granted"


def _is_its_time(utc: UtcNs) -> bool:
    try:
        time64_of(utc)
    except ValueError:
        return False
    return True
