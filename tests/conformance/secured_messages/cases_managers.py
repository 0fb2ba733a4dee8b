"""Lists of roots by a trust list manager, what they are worth to messages, and authorities below one that is in no log."""

from dataclasses import replace

from shared.security.ctl import AaEntry, Ctl, CtlKind, RootCaEntry
from tests.conformance.secured_messages.cases_lists import (
    AA_PLACE,
    EVENING,
    LATER,
    MORNING,
    crl_of,
    ctl_of,
    its_s,
    signed_list,
)
from tests.conformance.secured_messages.workshop import ANY_DEPTH, Above, Case, Cases, Heard, Kind, Workshop, cam_of, moment


def cases(shop: Workshop) -> Cases:
    """Return every case of this file by its sentence."""
    manager = shop.manager()
    shop.managers.append(manager.certificate)
    return {**_lists(shop, manager), **_messages(shop, manager), **_unlogged(shop)}


def _lists(shop: Workshop, manager: Above) -> Cases:
    root, stranger = shop.unknown.root.certificate, shop.manager()
    first, second = _ectl(7, RootCaEntry(certificate=root)), _ectl(8, RootCaEntry(certificate=root))
    held = Heard(signed_list(manager, second, LATER), LATER, Kind.ECTL)

    def ectl(octets: bytes, code: str, says: str = "", *before: Heard) -> Case:
        return Case(octets=octets, verdict=code, says=says, kind=Kind.ECTL, before=before)

    return {
        "a_list_of_roots_of_a_pinned_manager_is_taken": ectl(
            signed_list(manager, second, LATER),
            "believed",
            "",
            Heard(signed_list(manager, first, MORNING), MORNING, Kind.ECTL),
        ),
        "a_list_of_roots_older_than_the_one_held_is_refused": ectl(
            signed_list(manager, first, MORNING), "list_rollback", "which came before", held
        ),
        "a_list_of_roots_with_a_lower_number_signed_anew_is_refused": ectl(
            signed_list(manager, first, moment("11:30:00")), "list_rollback", "which is held", held
        ),
        "two_lists_of_roots_of_the_same_number_are_a_fork": ectl(
            signed_list(manager, _ectl(8), moment("11:30:00")), "list_fork", "which has the same number", held
        ),
        "a_list_of_roots_of_a_manager_nobody_here_pinned_is_refused": ectl(
            signed_list(stranger, second, LATER), "untrusted_root", "no trust list manager the operator has pinned"
        ),
        "a_list_of_roots_of_a_root_that_calls_itself_a_manager_is_refused": ectl(
            signed_list(shop.root, second, LATER), "untrusted_root", "no trust list manager the operator has pinned"
        ),
        "a_list_of_authorities_of_a_manager_is_refused": ectl(
            signed_list(manager, ctl_of(8), LATER), "content_mismatch", "a list of kind ROOT_CTL stands where one of kind ECTL"
        ),
        "a_list_of_roots_with_an_authority_that_is_none_is_refused": ectl(
            signed_list(manager, _ectl(8, RootCaEntry(certificate=shop.aa.certificate)), LATER),
            "invalid_certificate",
            "as a root, which it is not by its issuer",
        ),
    }


def _messages(shop: Workshop, manager: Above) -> Cases:
    unknown = shop.unknown
    root = Above(unknown.root.certificate, unknown.root.credential.signer)
    aa = Above(unknown.aa.certificate, unknown.aa.credential.signer)
    cam = cam_of(shop, aa)
    listed = Heard(signed_list(manager, _ectl(7, RootCaEntry(certificate=root.certificate)), MORNING), MORNING, Kind.ECTL)
    authorities = ctl_of(7, AaEntry(certificate=aa.certificate, access_point=AA_PLACE))
    names_aa = Heard(signed_list(root, authorities, MORNING), MORNING, Kind.CTL)
    revokes_nobody = Heard(signed_list(root, crl_of(MORNING), MORNING), MORNING, Kind.CRL)
    soon_over = replace(crl_of(MORNING), next_update=its_s(LATER))
    outdated = "have run out: nothing new below it is believed"
    return {
        "a_cam_under_a_root_that_a_pinned_manager_lists_is_believed": Case(
            octets=cam, verdict="believed", before=(listed, names_aa, revokes_nobody)
        ),
        "a_cam_under_a_listed_root_whose_revocation_list_nobody_has_seen_is_refused": Case(
            octets=cam, verdict="outdated_trust_list", says=outdated, before=(listed, names_aa)
        ),
        "a_cam_under_a_root_whose_revocation_list_has_run_out_is_refused": Case(
            octets=cam_of(shop, shop.aa),
            verdict="outdated_trust_list",
            says=outdated,
            before=(Heard(signed_list(shop.root, soon_over, MORNING), MORNING, Kind.CRL),),
        ),
    }


def _unlogged(shop: Workshop) -> Cases:
    """One who has an authority in the log may not put others between it and the root in secret."""
    above = shop.authority(shop.trusted_root(), app_permissions=None, cert_issue_permissions=ANY_DEPTH)
    below = shop.authority(above, app_permissions=None)
    cam = cam_of(shop, below)
    says = f"authority {above.identifier.hex()} is not shown to be in the transparency log"
    logged = (above.certificate.digest, below.certificate.digest)
    return {
        "a_cam_under_a_logged_authority_below_one_that_is_not_is_refused": Case(
            octets=cam, verdict="not_logged", says=says, logged=logged[1:]
        ),
        "a_cam_under_two_authorities_that_are_logged_is_believed": Case(octets=cam, verdict="believed", logged=logged),
    }


def _ectl(sequence: int, *roots: RootCaEntry) -> Ctl:
    return Ctl(kind=CtlKind.ECTL, next_update=its_s(EVENING), is_full=True, sequence=sequence, commands=roots)
