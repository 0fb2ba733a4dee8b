"""Trust lists that are taken or not, and messages after lists that say whom to trust (TS 102 941 clause 6.3)."""

from dataclasses import replace

from shared.core.clock import UtcNs
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time32, time32_of, time64_of
from shared.security.crl import Crl
from shared.security.ctl import AaEntry, Ctl, CtlCommand, CtlKind, DeleteCertificate, RootCaEntry
from shared.security.header_info import HeaderInfo
from shared.security.trust_list import encode_trust_list
from tests.conformance.secured_messages.workshop import (
    CAM,
    Above,
    Case,
    Cases,
    Heard,
    Kind,
    Workshop,
    cam_of,
    moment,
    seal,
    with_signature,
)

MORNING, LATER, EVENING = moment("10:00:00"), moment("11:00:00"), moment("20:00:00")
AA_PLACE = "http://aa.example"


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    return {**_lists(shop), **_messages(shop)}


def _lists(shop: Workshop) -> Cases:
    listed = AaEntry(certificate=shop.aa.certificate, access_point=AA_PLACE)
    first, second = ctl_of(7, listed), ctl_of(8, listed)
    root = shop.root
    held_first, held_second = (
        Heard(signed_list(root, first, MORNING), MORNING, Kind.CTL),
        Heard(signed_list(root, second, LATER), LATER, Kind.CTL),
    )
    no_lister = shop.authority()
    crl, older = crl_of(LATER), crl_of(MORNING)
    removed = DeleteCertificate(hashed_id8=shop.aa.identifier)
    delta = replace(ctl_of(8, removed), is_full=False)
    good = signed_list(root, second, LATER)

    def ctl(octets: bytes, code: str, says: str, *before: Heard) -> Case:
        return Case(octets=octets, verdict=code, says=says, kind=Kind.CTL, before=before)

    return {
        "a_list_of_a_trusted_root_is_taken": Case(octets=good, verdict="believed", kind=Kind.CTL, before=(held_first,)),
        "a_change_of_the_list_held_is_taken": Case(
            octets=signed_list(root, delta, LATER), verdict="believed", kind=Kind.CTL, before=(held_first,)
        ),
        "a_revocation_list_of_a_trusted_root_is_taken": Case(
            octets=signed_list(root, crl, LATER), verdict="believed", kind=Kind.CRL
        ),
        "a_list_older_than_the_one_held_is_refused": ctl(
            signed_list(root, first, MORNING), "list_rollback", "which came before", held_second
        ),
        "a_list_with_a_lower_number_signed_anew_is_refused": ctl(
            signed_list(root, first, moment("11:30:00")), "list_rollback", "which is held", held_second
        ),
        "a_revocation_list_older_than_the_one_held_is_refused": Case(
            octets=signed_list(root, older, MORNING),
            verdict="list_rollback",
            says="older",
            kind=Kind.CRL,
            before=(Heard(signed_list(root, crl, LATER), LATER, Kind.CRL),),
        ),
        "two_revocation_lists_of_the_same_moment_are_a_fork": Case(
            octets=signed_list(root, crl_of(LATER, shop.ea.identifier), LATER),
            verdict="list_fork",
            says="another than the one of the same moment",
            kind=Kind.CRL,
            before=(Heard(signed_list(root, crl, LATER), LATER, Kind.CRL),),
        ),
        "two_lists_of_the_same_number_are_a_fork": ctl(
            signed_list(root, ctl_of(8), moment("11:30:00")), "list_fork", "which has the same number", held_second
        ),
        "a_change_that_does_not_follow_the_list_held_leaves_a_gap": ctl(
            signed_list(root, replace(delta, sequence=9), LATER), "list_gap", "fetch the full list", held_first
        ),
        "a_change_without_a_list_to_change_leaves_a_gap": ctl(signed_list(root, delta, LATER), "list_gap", "fetch the full list"),
        "a_list_of_a_root_nobody_here_trusts_is_refused": ctl(
            signed_list(Above(shop.foreign.root.certificate, shop.foreign.root.credential.signer), ctl_of(1), LATER),
            "untrusted_root",
            "which is no root that is trusted",
        ),
        "a_list_signed_by_an_authority_is_refused": ctl(
            signed_list(no_lister, ctl_of(1), LATER), "untrusted_root", "which is no root that is trusted"
        ),
        "a_list_of_roots_signed_by_a_root_is_refused": ctl(
            signed_list(
                root,
                Ctl(
                    kind=CtlKind.ECTL,
                    next_update=its_s(EVENING),
                    is_full=True,
                    sequence=1,
                    commands=(RootCaEntry(certificate=shop.root.certificate),),
                ),
                LATER,
            ),
            "permission_denied",
            "the issuer may not sign a list of kind ECTL",
        ),
        "a_list_that_has_run_out_is_refused": ctl(
            signed_list(root, replace(first, next_update=its_s(LATER)), MORNING), "invalid_timestamp", "its nextUpdate has passed"
        ),
        "a_list_from_the_evening_is_refused_at_noon": ctl(
            signed_list(root, replace(first, next_update=Time32(its_s(EVENING) + 60)), EVENING), "invalid_timestamp", "future"
        ),
        "a_list_with_a_false_signature_is_refused": ctl(
            with_signature(good, s=5), "false_signature", "the signature does not hold under the signer's key"
        ),
        "a_list_of_another_roots_authority_is_refused": ctl(
            signed_list(root, ctl_of(8, AaEntry(certificate=shop.foreign.aa.certificate, access_point=AA_PLACE)), LATER),
            "inconsistent_chain",
            "which neither its root nor another authority of the list has issued",
        ),
        "a_list_cut_short_is_malformed": ctl(good[:-1], "malformed", "signed.signature"),
    }


def _messages(shop: Workshop) -> Cases:
    root, aa = shop.root, shop.aa.certificate
    other_root = shop.trusted_root()
    cam = seal(shop.car, CAM)
    revocation = f"root {root.identifier.hex()} has revoked certificate"
    # Known to nobody but by a list of its root.
    listed = shop.authority()
    shop.known.remove(listed.certificate)
    entry = AaEntry(certificate=listed.certificate, access_point=AA_PLACE)
    ran_out = replace(ctl_of(7), next_update=its_s(LATER))

    def after(*lists: Heard, verdict: str = "believed", says: str = "") -> Case:
        return Case(octets=cam, verdict=verdict, says=says, before=lists)

    def revoking(by: Above, *revoked: HashedId8) -> Heard:
        return Heard(signed_list(by, crl_of(MORNING, *revoked), MORNING), MORNING, Kind.CRL)

    return {
        "a_cam_under_a_revoked_authority_is_refused": after(
            revoking(root, aa.hashed_id8), verdict="revoked_certificate", says=f"{revocation} {aa.hashed_id8.hex()}"
        ),
        "a_cam_under_a_revoked_root_is_refused": after(
            revoking(root, root.identifier), verdict="revoked_certificate", says=f"{revocation} {root.identifier.hex()}"
        ),
        "a_cam_under_an_authority_revoked_by_another_root_is_believed": after(revoking(other_root, aa.hashed_id8, root.identifier)),
        "a_cam_under_a_root_that_revoked_another_authority_is_believed": after(revoking(root, shop.ea.identifier)),
        "a_cam_under_a_root_whose_list_has_run_out_is_refused": after(
            Heard(signed_list(root, ran_out, MORNING), MORNING, Kind.CTL),
            verdict="outdated_trust_list",
            says="have run out: nothing new below it is believed",
        ),
        "a_cam_under_a_root_while_the_list_of_another_has_run_out_is_believed": after(
            Heard(signed_list(other_root, ran_out, MORNING), MORNING, Kind.CTL)
        ),
        "a_cam_under_an_authority_that_a_list_names_is_believed": Case(
            octets=cam_of(shop, listed),
            verdict="believed",
            before=(Heard(signed_list(root, ctl_of(7, entry), MORNING), MORNING, Kind.CTL),),
        ),
        "a_cam_under_an_authority_that_no_list_names_is_unknown": Case(
            octets=cam_of(shop, listed), verdict="signer_certificate_not_found", says="the issuing authority"
        ),
        "a_cam_under_an_authority_that_is_not_logged_is_refused": Case(
            octets=cam,
            verdict="not_logged",
            says=f"authority {aa.hashed_id8.hex()} is not shown to be in the transparency log",
            logged=(shop.ea.certificate.digest,),
        ),
        "a_cam_under_an_authority_that_is_logged_is_believed": Case(octets=cam, verdict="believed", logged=(aa.digest,)),
    }


def ctl_of(sequence: int, *commands: CtlCommand) -> Ctl:
    """Return a root's full list, good until the evening."""
    return Ctl(kind=CtlKind.ROOT_CTL, next_update=its_s(EVENING), is_full=True, sequence=sequence, commands=commands)


def crl_of(at: UtcNs, *revoked: HashedId8) -> Crl:
    """Return a revocation list made `at`, good until the evening."""
    return Crl(this_update=its_s(at), next_update=its_s(EVENING), revoked=revoked)


def signed_list(issuer: Above, trust_list: Ctl | Crl, at: UtcNs) -> bytes:
    """Return a list signed by anybody, dated `at`."""
    psid = ItsAid.CRL if isinstance(trust_list, Crl) else ItsAid.CTL
    header = HeaderInfo(psid=psid, generation_time=time64_of(at))
    return seal(issuer.pen, header, payload=encode_trust_list(trust_list))


def its_s(at: UtcNs) -> Time32:
    """Return a moment in whole seconds since 2004."""
    return time32_of(time64_of(at))
