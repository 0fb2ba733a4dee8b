"""Messages whose signature holds, under tickets that are tickets: who issued them, and what those may hand out, when and where."""

from dataclasses import replace

from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32, utc_from_text
from shared.pki.authority import hours, years
from shared.pki.permission_sets import SERVICE_RANGES
from shared.security.certificate import issue_certificate
from shared.security.chain import MAX_CHAIN_CERTIFICATES
from shared.security.permissions import (
    ENROL_END_ENTITY,
    AnySsp,
    BitmapSspRange,
    PsidGroupPermissions,
    PsidSsp,
    PsidSspRange,
    SspKind,
)
from shared.security.region import (
    CircularRegion,
    GeographicRegion,
    IdentifiedRegion,
    IdentifiedRegions,
    Location,
    PolygonalRegion,
    Rectangle,
    RectangularRegion,
    RegionPart,
)
from shared.security.secured_data import SignerKind
from tests.conformance.secured_messages.workshop import (
    ANY_DEPTH,
    CAM,
    DENM,
    IN_MILAN,
    MILAN_POINT,
    SPATEM,
    TURIN,
    TURIN_POINT,
    Above,
    Case,
    Cases,
    Heard,
    Pen,
    Workshop,
    believed,
    cam_of,
    header_at,
    permission,
    refused,
    seal,
)

ITALY, GERMANY, FRANCE = 380, 276, 250
HOUR_S = 3_600
ONLY_CAM = PsidSspRange(psid=ItsAid.CAM, ssp_range=BitmapSspRange(value=b"\x01\x00\x00", mask=b"\xff\xff\xff"))


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    return {
        **_issuers(shop),
        **_permissions(shop),
        **_validities(shop),
        **_regions(shop),
        **_heights(shop),
    }


def _issuers(shop: Workshop) -> Cases:
    """Whom a ticket names above itself."""
    inconsistent = "inconsistent_chain"
    below_a_ticket = shop.know(
        Above(issue_certificate(shop.tbs(key := shop.key()), issuer=shop.aa.certificate, signer=shop.aa.signer), key)
    )
    foreign_aa = shop.know(Above(shop.foreign.aa.certificate, shop.foreign.aa.credential.signer))
    misnamed = bytearray(shop.ticket().octets)
    assert misnamed[3] == 0x80  # the issuer, by its SHA-256
    by_sha384 = bytes(misnamed[:3]) + b"\x82\x08" + bytes(misnamed[4:])
    pen = Pen(by_sha384, by_sha384, shop.car.signer)
    absent = HashedId8(bytes(7) + b"\x01")
    orphan = bytes(shop.car.octets[:4]) + absent + shop.car.octets[12:]
    return {
        "a_cam_of_a_known_authority_below_a_foreign_root_is_refused": refused(
            "untrusted_root", "which is no root this station trusts", cam_of(shop, foreign_aa)
        ),
        "a_cam_under_a_ticket_of_an_authority_nobody_knows_is_unknown": refused(
            "signer_certificate_not_found", f"the issuing authority {absent.hex()} is not known", seal(_shown(shop, orphan), CAM)
        ),
        "a_cam_under_a_ticket_issued_by_another_ticket_is_refused": refused(
            "invalid_certificate", "may not issue anything, so it is no authority", cam_of(shop, below_a_ticket)
        ),
        "a_cam_under_a_ticket_issued_by_an_enrolment_authority_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36", cam_of(shop, shop.ea)
        ),
        "a_cam_under_a_ticket_issued_by_the_root_itself_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36", cam_of(shop, shop.root)
        ),
        "a_cam_under_a_ticket_that_names_its_issuer_by_another_hash_is_refused": refused(
            inconsistent, "the issuer is named by a hash that does not belong to its key", seal(pen, CAM)
        ),
    }


def _permissions(shop: Workshop) -> Cases:
    """What a ticket may say, and what an authority may hand out (IEEE 1609.2 5.1.2.4)."""
    inconsistent = "inconsistent_chain"
    mute = shop.ticket(app_permissions=(permission(ItsAid.DENM, "01ffffff"),))
    cam_only = shop.authority(cert_issue_permissions=(PsidGroupPermissions(ranges=(ONLY_CAM,)),))
    for_credentials = shop.authority(
        cert_issue_permissions=(PsidGroupPermissions(ranges=SERVICE_RANGES, end_entities=ENROL_END_ENTITY),)
    )
    generous = shop.trusted_root()
    far_down = shop.authority(generous, cert_issue_permissions=(PsidGroupPermissions(ranges=SERVICE_RANGES, min_chain_length=2),))
    greedy = shop.authority(cert_issue_permissions=(PsidGroupPermissions(ranges=None),))
    wide = PsidSspRange(psid=ItsAid.CAM, ssp_range=AnySsp())
    any_ssp = shop.authority(cert_issue_permissions=(PsidGroupPermissions(ranges=(wide,)),))
    deep = shop.authority(cert_issue_permissions=(PsidGroupPermissions(ranges=SERVICE_RANGES, chain_length_range=3),))
    lister = shop.authority(app_permissions=(permission(ItsAid.CTL, "0138"),))

    def cam(*permissions: PsidSsp) -> bytes:
        return seal(shop.ticket(app_permissions=permissions), CAM)

    return {
        "a_cam_under_a_ticket_for_warnings_only_is_denied": refused(
            "permission_denied", "the certificate has no permission for ITS-AID 36", seal(mute, CAM)
        ),
        "a_spatem_of_a_car_is_denied": refused(
            "permission_denied", "the certificate has no permission for ITS-AID 137", seal(shop.car, SPATEM)
        ),
        "a_cam_under_a_ticket_for_a_service_its_authority_may_not_issue_is_refused": refused(
            inconsistent,
            "the issuer may not issue ITS-AID 999 with no SSP",
            cam(permission(ItsAid.CAM, "010000"), PsidSsp(psid=999)),
        ),
        "a_cam_under_a_ticket_with_bits_its_authority_may_not_issue_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36 with SSP 010003", cam(permission(ItsAid.CAM, "010003"))
        ),
        "a_cam_under_a_ticket_with_a_version_its_authority_may_not_issue_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36 with SSP 020000", cam(permission(ItsAid.CAM, "020000"))
        ),
        "a_cam_under_a_ticket_with_longer_permissions_than_its_authority_may_issue_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36 with SSP 01000000", cam(permission(ItsAid.CAM, "01000000"))
        ),
        "a_cam_under_a_ticket_without_bits_where_its_authority_issues_bits_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36 with no SSP", cam(PsidSsp(psid=ItsAid.CAM))
        ),
        "a_cam_under_a_ticket_with_opaque_permissions_where_its_authority_issues_bits_is_refused": refused(
            inconsistent,
            "the issuer may not issue ITS-AID 36 with SSP 010000",
            cam(PsidSsp(psid=ItsAid.CAM, ssp=b"\x01\x00\x00", kind=SspKind.OPAQUE)),
        ),
        "a_cam_under_a_ticket_of_an_authority_for_cams_that_may_warn_too_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 37", cam_of(shop, cam_only)
        ),
        "a_cam_under_a_ticket_of_an_authority_for_cams_is_believed": believed(
            seal(shop.ticket(cam_only, app_permissions=(permission(ItsAid.CAM, "010000"),)), CAM)
        ),
        "a_cam_under_a_ticket_of_an_authority_for_enrolment_credentials_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36", cam_of(shop, for_credentials)
        ),
        "a_cam_under_a_ticket_closer_to_its_authority_than_that_may_issue_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 36", cam_of(shop, far_down)
        ),
        "a_cam_under_an_authority_that_may_issue_everything_below_a_root_that_may_not_is_refused": refused(
            inconsistent, "the issuer may not delegate issuing all ITS-AIDs this far", cam_of(shop, greedy)
        ),
        "a_cam_under_an_authority_that_may_issue_more_bits_than_its_root_is_refused": refused(
            inconsistent, "the issuer may not delegate issuing ITS-AID 36 this far", cam_of(shop, any_ssp)
        ),
        "a_cam_under_an_authority_that_may_issue_further_down_than_its_root_is_refused": refused(
            inconsistent, "this far", cam_of(shop, deep)
        ),
        "a_cam_under_an_authority_that_may_sign_the_lists_of_its_root_is_refused": refused(
            inconsistent, "the issuer may not issue ITS-AID 624", cam_of(shop, lister)
        ),
    }


def _validities(shop: Workshop) -> Cases:
    start = shop.hierarchy.start
    long_after = utc_from_text("2026-12-01T12:00:00Z")
    expired, inconsistent = "expired_certificate", "inconsistent_chain"
    outside = "is outside its validity period"
    beyond = "the validity period is not within the issuer's"
    tomorrow = hours(Time32(start + 24 * HOUR_S), 24)
    short_lived = shop.authority(validity=hours(start, 24))
    eternal = shop.authority(validity=years(start, 6))
    return {
        "a_cam_under_an_expired_ticket_is_refused": Case(
            octets=seal(shop.car, header_at(CAM, long_after)), verdict=expired, says=outside, at=long_after
        ),
        "a_cam_under_a_ticket_not_valid_yet_is_refused": refused(expired, outside, seal(shop.ticket(validity=tomorrow), CAM)),
        "a_cam_under_a_known_ticket_that_ran_out_meanwhile_is_refused": Case(
            octets=seal(
                short := shop.ticket(validity=hours(start, 3)),
                header_at(CAM, utc_from_text("2026-11-22T12:00:01Z")),
                by=SignerKind.DIGEST,
            ),
            verdict=expired,
            says=outside,
            at=utc_from_text("2026-11-22T12:00:01Z"),
            before=(Heard(seal(short, header_at(CAM, last := utc_from_text("2026-11-22T11:59:59.900Z"))), last),),
        ),
        "a_cam_under_a_ticket_that_outlives_its_authority_is_refused": refused(inconsistent, beyond, cam_of(shop, short_lived)),
        "a_cam_under_a_ticket_older_than_its_authority_is_refused": refused(
            inconsistent, beyond, seal(shop.ticket(validity=hours(Time32(start - HOUR_S), 24)), CAM)
        ),
        "a_cam_under_an_authority_that_outlives_its_root_is_refused": refused(inconsistent, beyond, cam_of(shop, eternal)),
    }


def _regions(shop: Workshop) -> Cases:
    lat, lon = (round(value * 10_000_000) for value in (TURIN_POINT.lat_deg, TURIN_POINT.lon_deg))
    box = RectangularRegion(rectangles=(Rectangle(north=lat + 10_000, west=lon - 10_000, south=lat - 10_000, east=lon + 10_000),))
    triangle = PolygonalRegion(
        corners=(Location(lat - 10_000, lon - 10_000), Location(lat - 10_000, lon + 10_000), Location(lat + 20_000, lon))
    )
    found: Cases = {}
    outside, says = "outside_region", "the message was generated outside the region its certificate is valid in"
    shapes: tuple[tuple[str, GeographicRegion], ...] = (
        ("circle", TURIN),
        ("rectangle", box),
        ("polygon", triangle),
        ("country", _country(ITALY)),
        ("part_of_a_country", _country(ITALY, RegionPart(region=1))),
        ("part_of_a_part_of_a_country", _country(ITALY, RegionPart(region=1, subregions=(1,)))),
    )
    for name, region in shapes:
        local = shop.ticket(region=region)
        found[f"a_denm_inside_the_{name}_of_its_ticket_is_believed"] = believed(seal(local, DENM))
        if name != "country":
            octets = seal(local, replace(DENM, generation_location=IN_MILAN))
            found[f"a_denm_outside_the_{name}_of_its_ticket_is_refused"] = refused(outside, says, octets)
    local_root = shop.trusted_root(region=TURIN)
    local_aa = shop.authority(local_root)
    milan = CircularRegion(centre=Location.of(MILAN_POINT), radius_m=1_000)
    beyond = "the region is not within the issuer's"
    inconsistent = "inconsistent_chain"
    inherited = shop.ticket(local_aa)
    narrow_aa = shop.authority(region=TURIN)
    return {
        **found,
        "a_denm_outside_the_country_of_its_ticket_is_refused": refused(
            outside, says, seal(shop.ticket(region=_country(GERMANY)), DENM)
        ),
        "a_denm_under_a_ticket_for_a_country_nobody_here_knows_is_refused": refused(
            outside, f"valid in country {FRANCE}, of which", seal(shop.ticket(region=_country(FRANCE)), DENM)
        ),
        "a_denm_inside_the_region_of_its_root_is_believed": believed(seal(inherited, DENM)),
        "a_denm_outside_the_region_of_its_root_is_refused": refused(
            outside, says, seal(inherited, replace(DENM, generation_location=IN_MILAN))
        ),
        "a_cam_under_a_ticket_with_a_region_beyond_its_authoritys_is_refused": refused(
            inconsistent, beyond, seal(shop.ticket(narrow_aa, region=milan), CAM)
        ),
        "a_cam_under_a_ticket_for_a_country_larger_than_its_authoritys_circle_is_refused": refused(
            inconsistent, beyond, seal(shop.ticket(narrow_aa, region=_country(ITALY)), CAM)
        ),
        "a_cam_under_an_authority_with_a_region_beyond_its_roots_is_refused": refused(
            inconsistent, beyond, cam_of(shop, shop.authority(local_root, region=milan))
        ),
    }


def _heights(shop: Workshop) -> Cases:
    """Chains of many certificates, each of them in order by itself."""
    inconsistent, too_long = "inconsistent_chain", f"the chain has more than {MAX_CHAIN_CERTIFICATES} certificates"
    root = shop.trusted_root()
    above, levels = root, []
    for _ in range(MAX_CHAIN_CERTIFICATES - 1):
        above = shop.authority(above, app_permissions=None, cert_issue_permissions=ANY_DEPTH)
        levels.append(above)
    round_about = root
    keys = (shop.key(), shop.key())
    for level in range(MAX_CHAIN_CERTIFICATES):
        round_about = shop.authority(round_about, key=keys[level % 2], app_permissions=None, cert_issue_permissions=ANY_DEPTH)
    return {
        "a_cam_at_the_end_of_the_longest_chain_is_believed": believed(cam_of(shop, levels[-2])),
        "a_cam_at_the_end_of_a_chain_that_is_too_long_is_refused": refused(inconsistent, too_long, cam_of(shop, levels[-1])),
        "a_cam_under_two_authorities_that_certify_each_other_round_and_round_is_refused": refused(
            inconsistent, too_long, cam_of(shop, round_about)
        ),
    }


def _shown(shop: Workshop, octets: bytes) -> Pen:
    return Pen(octets, octets, shop.car.signer)


def _country(number: int, *parts: RegionPart) -> IdentifiedRegions:
    return IdentifiedRegions(regions=(IdentifiedRegion(country=number, parts=parts),))
