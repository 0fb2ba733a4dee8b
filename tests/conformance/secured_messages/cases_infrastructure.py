"""Packets with road signs, signal requests and their answers: who may say them, and under which permissions."""

from msgspec import structs

from shared.core.ids import BtpPort, ItsAid, MessageId, StationId
from shared.messages import samples
from shared.messages.ivim import encode_ivim
from shared.messages.srem import encode_srem
from shared.messages.ssem import encode_ssem
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.header_info import HeaderInfo
from shared.security.permissions import PsidSsp
from tests.conformance.secured_messages.cases_packet import PEER, Said, believed, packet, refused
from tests.conformance.secured_messages.workshop import AT, EVERYTHING, IVIM, Cases, Pen, Workshop, permission
from tests.helpers.identities import renamed

SREM = HeaderInfo(psid=ItsAid.SREM, generation_time=AT)
SSEM = HeaderInfo(psid=ItsAid.SSEM, generation_time=AT)
_SPEAKER = StationId(PEER)


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    signs = Said(message=encode_ivim(structs.replace(samples.IVIM, station_id=_SPEAKER)), header=IVIM, port=BtpPort.IVIM)
    request = Said(message=encode_srem(structs.replace(samples.SREM, station_id=_SPEAKER)), header=SREM, port=BtpPort.SREM)
    answer = Said(message=encode_ssem(structs.replace(samples.SSEM, station_id=_SPEAKER)), header=SSEM, port=BtpPort.SSEM)
    bus, ambulance = (
        shop.ticket(app_permissions=TICKET_PERMISSIONS[role]) for role in (StationRole.PUBLIC_TRANSPORT, StationRole.EMERGENCY)
    )
    free = shop.authority(shop.trusted_root(issues=EVERYTHING), cert_issue_permissions=EVERYTHING)

    def freely(its_aid: ItsAid, ssp: str | None) -> Pen:
        entry = PsidSsp(psid=its_aid) if ssp is None else permission(its_aid, ssp)
        return shop.ticket(free, app_permissions=(entry,))

    def unpermitted(its_aid: int) -> str:
        return f"the certificate has no permission for ITS-AID {its_aid}"

    denied, mismatch = "permission_denied", "content_mismatch"
    return {
        "a_packet_with_an_ivim_is_believed": believed(packet(shop.rsu, signs)),
        "a_packet_with_an_ivim_for_an_area_is_believed": believed(packet(shop.rsu, signs, is_geocast=True)),
        "a_packet_with_an_srem_of_a_bus_is_believed": believed(packet(bus, request)),
        "a_packet_with_an_srem_of_an_ambulance_is_believed": believed(packet(ambulance, request)),
        "a_packet_with_an_srem_under_permissions_of_version_2_is_believed": believed(
            packet(freely(ItsAid.SREM, "02ffffe0"), request)
        ),
        "a_packet_with_an_ssem_is_believed": believed(packet(shop.rsu, answer)),
        "a_packet_with_an_ivim_of_a_car_is_denied": refused(denied, unpermitted(139), packet(shop.car, signs)),
        "a_packet_with_an_srem_of_a_car_is_denied": refused(denied, unpermitted(140), packet(shop.car, request)),
        "a_packet_with_an_ssem_of_a_bus_is_denied": refused(denied, unpermitted(637), packet(bus, answer)),
        "an_ivim_under_permissions_of_another_version_is_denied": refused(
            denied,
            "the ticket's permissions for IVIM are of version 2; this station knows 1",
            packet(freely(ItsAid.IVIM, "02000000fff8"), signs),
        ),
        "an_ivim_under_permissions_of_another_length_is_denied": refused(
            denied, "the ticket's permissions for IVIM have 2 octets instead of 6", packet(freely(ItsAid.IVIM, "01ff"), signs)
        ),
        "an_srem_under_permissions_of_another_version_is_denied": refused(
            denied,
            "the ticket's permissions for SREM are of version 3; this station knows 1 and 2",
            packet(freely(ItsAid.SREM, "03ffffe0"), request),
        ),
        "an_ssem_under_a_permission_without_bits_is_denied": refused(
            denied, "the ticket names no permissions for SSEM", packet(freely(ItsAid.SSEM, None), answer)
        ),
        "an_ssem_under_permissions_of_another_length_is_denied": refused(
            denied, "the ticket's permissions for SSEM have 2 octets instead of 1", packet(freely(ItsAid.SSEM, "0100"), answer)
        ),
        "an_srem_that_calls_itself_an_ssem_is_refused": refused(
            mismatch,
            "a SSEM was signed as ITS-AID 140 for port 2007",
            packet(bus, Said(message=renamed(request.message, MessageId.SSEM), header=SREM, port=BtpPort.SREM)),
        ),
        "an_ivim_cut_short_is_malformed": refused(
            "malformed", "the encoding ends", packet(shop.rsu, Said(message=signs.message[:-1], header=IVIM, port=BtpPort.IVIM))
        ),
    }
