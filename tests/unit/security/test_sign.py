import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ConfigError, EncodeError, UntrustedTimeError, VerificationError
from shared.core.geo import GeoPoint
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import time64_of, utc_from_text
from shared.core.report import VerificationReport as Report
from shared.pki.permission_sets import StationRole
from shared.security.secured_data import SignedData, SignerKind, decode_secured_data
from shared.security.sign import MAX_PENDING_REQUESTS, SigningService, TicketCredential
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at, seconds

HERE = GeoPoint(45.07, 7.68)


def spoken(service: SigningService, clock: ManualClock, its_aid: ItsAid = ItsAid.CAM) -> SignedData:
    content = decode_secured_data(service.sign(b"payload", its_aid, now=clock.now(), location=HERE)).content
    assert isinstance(content, SignedData)
    return content


def kinds(service: SigningService, clock: ManualClock, count: int, step_s: float, its_aid: ItsAid = ItsAid.CAM) -> str:
    """Speak `count` times and return C for certificate, d for digest."""
    letters = ""
    for _ in range(count):
        letters += "C" if spoken(service, clock, its_aid).signer.kind is SignerKind.CERTIFICATE else "d"
        clock.advance(seconds(step_s))
    return letters


def test_a_cam_shows_its_certificate_first_and_then_once_a_second() -> None:
    assert kinds(Hierarchy(1).signing(), clock_at(), 25, 0.1) == "Cddddddddd" * 2 + "Cdddd"
    assert kinds(Hierarchy(1).signing(), clock_at(), 4, 1.0) == "CCCC"
    assert kinds(Hierarchy(1).signing(), clock_at(), 7, 0.4) == "CddCddC"


def test_an_unknown_neighbour_is_shown_our_certificate_at_once_and_only_once() -> None:
    service, clock = Hierarchy(2).signing(), clock_at()
    assert kinds(service, clock, 3, 0.1) == "Cdd"
    service.note_unknown_signer(HashedId8(b"\x01" * 8))
    assert kinds(service, clock, 3, 0.1) == "Cdd"


def test_who_asks_for_us_gets_our_certificate_and_who_asks_for_another_does_not() -> None:
    hierarchy = Hierarchy(3)
    service, clock = hierarchy.signing(), clock_at()
    assert kinds(service, clock, 2, 0.1) == "Cd"
    service.note_requests((hierarchy.ticket().certificate.hashed_id3,))
    assert kinds(service, clock, 2, 0.1) == "dd"
    service.note_requests((service.ticket.certificate.hashed_id3,))
    assert kinds(service, clock, 2, 0.1) == "Cd"


def test_the_next_cam_asks_for_the_signers_we_do_not_know_and_only_that_one() -> None:
    service, clock = Hierarchy(4).signing(), clock_at()
    unknown = [HashedId8(bytes([number]) * 8) for number in (1, 2, 3)]
    for each in unknown:
        service.note_unknown_signer(each)
    service.note_unknown_signer(unknown[0])
    service.note_known_signer(unknown[1])
    assert spoken(service, clock).header.inline_p2pcd_request == (unknown[0][-3:], unknown[2][-3:])
    assert spoken(service, clock).header.inline_p2pcd_request is None


def test_a_roadside_unit_asks_and_answers_in_what_it_says_but_never_in_a_warning() -> None:
    hierarchy = Hierarchy(23)
    service, clock = hierarchy.signing(hierarchy.ticket(StationRole.RSU)), clock_at()
    spoken(service, clock, ItsAid.TLM)
    service.note_unknown_signer(HashedId8(b"\x01" * 8))
    service.note_requests((hierarchy.aa.certificate.hashed_id3,))
    warning = spoken(service, clock, ItsAid.DENM).header
    assert (warning.inline_p2pcd_request, warning.requested_certificate) == (None, None)
    asking = spoken(service, clock, ItsAid.TLM)
    assert asking.header.inline_p2pcd_request == (b"\x01" * 3,)
    assert asking.header.requested_certificate is None
    answering = spoken(service, clock, ItsAid.TLM)
    assert answering.signer.kind is SignerKind.DIGEST
    assert answering.header.requested_certificate == hierarchy.aa.certificate
    assert answering.header.inline_p2pcd_request is None


def test_no_crowd_of_strangers_makes_a_request_grow_without_bound() -> None:
    service, clock = Hierarchy(5).signing(), clock_at()
    for number in range(1_000):
        service.note_unknown_signer(HashedId8(number.to_bytes(8, "big")))
    requests = spoken(service, clock).header.inline_p2pcd_request
    assert requests is not None
    assert len(requests) == MAX_PENDING_REQUESTS
    assert requests[-1] == (999).to_bytes(3, "big")


def test_an_authority_somebody_asked_for_goes_along_in_the_next_digest_signed_cam() -> None:
    hierarchy = Hierarchy(6)
    service, clock = hierarchy.signing(), clock_at()
    service.note_requests((hierarchy.aa.certificate.hashed_id3,))
    first = spoken(service, clock)
    assert (first.signer.kind, first.header.requested_certificate) == (SignerKind.CERTIFICATE, None)
    second = spoken(service, clock)
    assert (second.signer.kind, second.header.requested_certificate) == (SignerKind.DIGEST, hierarchy.aa.certificate)
    assert spoken(service, clock).header.requested_certificate is None


def test_an_authority_another_station_has_passed_on_is_not_sent_again() -> None:
    hierarchy = Hierarchy(7)
    service, clock = hierarchy.signing(), clock_at()
    spoken(service, clock)
    service.note_requests((hierarchy.aa.certificate.hashed_id3,))
    service.note_authority_passed_on(hierarchy.aa.certificate.hashed_id8)
    assert spoken(service, clock).header.requested_certificate is None


def test_a_cam_header_has_a_time_and_no_place() -> None:
    header = spoken(Hierarchy(8).signing(), clock_at()).header
    assert (header.psid, header.generation_time) == (36, time64_of(NOON))
    assert header.generation_location is None
    assert header.expiry_time is None


def test_a_denm_always_shows_certificate_time_and_place() -> None:
    service, clock = Hierarchy(9).signing(), clock_at()
    assert kinds(service, clock, 4, 0.1, ItsAid.DENM) == "CCCC"
    place = spoken(service, clock, ItsAid.DENM).header.generation_location
    assert place is not None
    assert place.location is not None
    assert place.location.point == HERE
    with pytest.raises(EncodeError, match="place"):
        service.sign(b"payload", ItsAid.DENM, now=clock.now(), location=None)


def test_a_denm_does_not_spend_the_certificate_of_the_next_cam() -> None:
    service, clock = Hierarchy(10).signing(), clock_at()
    spoken(service, clock, ItsAid.DENM)
    assert kinds(service, clock, 2, 0.1) == "Cd"


def test_signal_phases_show_the_certificate_once_a_second_in_the_generic_profile() -> None:
    hierarchy = Hierarchy(11)
    service, clock = hierarchy.signing(hierarchy.ticket(StationRole.RSU)), clock_at()
    assert kinds(service, clock, 5, 0.5, ItsAid.TLM) == "CdCdC"
    assert spoken(service, clock, ItsAid.RLT).header.generation_location is None


def test_nothing_is_signed_before_the_time_is_trusted() -> None:
    service, clock = Hierarchy(12).signing(), ManualClock(None)
    with pytest.raises(UntrustedTimeError):
        service.sign(b"payload", ItsAid.CAM, now=clock.now(), location=None)
    clock.set_utc(NOON)
    assert kinds(service, clock, 2, 0.1) == "Cd"


@pytest.mark.parametrize("utc", ["2026-11-22T08:59:59Z", "2026-11-29T09:00:00Z"])
def test_nothing_is_signed_outside_the_tickets_validity(utc: str) -> None:
    service = Hierarchy(13).signing()
    with pytest.raises(VerificationError) as caught:
        service.sign(b"payload", ItsAid.CAM, now=clock_at(utc_from_text(utc)).now(), location=None)
    assert caught.value.report is Report.EXPIRED_CERTIFICATE


def test_a_vehicle_does_not_sign_signal_phases() -> None:
    with pytest.raises(VerificationError) as caught:
        spoken(Hierarchy(14).signing(), clock_at(), ItsAid.TLM)
    assert caught.value.report is Report.PERMISSION_DENIED


def test_a_ticket_with_another_tickets_key_cannot_be_loaded() -> None:
    hierarchy = Hierarchy(15)
    with pytest.raises(ConfigError, match="does not belong"):
        TicketCredential(certificate=hierarchy.ticket().certificate, signer=hierarchy.ticket().signer)


def test_a_new_pseudonym_shows_its_certificate_and_forgets_what_was_asked() -> None:
    hierarchy = Hierarchy(16)
    service, clock = hierarchy.signing(), clock_at()
    assert kinds(service, clock, 2, 0.1) == "Cd"
    service.note_unknown_signer(HashedId8(b"\x01" * 8))
    fresh = hierarchy.ticket()
    service.change_ticket(fresh)
    first = spoken(service, clock)
    assert first.signer.certificates == (fresh.certificate,)
    assert first.header.inline_p2pcd_request is None


def test_two_stations_of_one_seed_speak_the_same_octets() -> None:
    one, two = (Hierarchy(17).signing().sign(b"payload", ItsAid.CAM, now=clock_at().now(), location=None) for _ in range(2))
    assert one == two
