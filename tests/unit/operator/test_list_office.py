"""Publishing from a directory that `v2x pki init` made, at moments the test chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.clock import Instant
from shared.core.errors import ConfigError, StorageError, UntrustedTimeError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import time64_of
from shared.operator.list_office import MAX_DATED_AHEAD_S, ListOffice, stated_list
from shared.operator.list_settings import FIRST, MAX_LISTED_AUTHORITIES
from shared.operator.pki_directory import PkiDirectory, check_authority_name
from shared.operator.pki_library import PublishedLibrary, PublishedTrust
from shared.pki.authority import AuthorityKind
from shared.security.chain import UnknownSignerError
from shared.security.crl import Crl
from shared.security.ctl import AaEntry, Ctl, DcEntry, EaEntry, RootCaEntry, TlmEntry
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.trust_list import verify_crl, verify_ctl
from shared.service.authority_keys import AuthorityKeys
from shared.service.published_lists import DocumentKind, PublishedDocument
from tests.helpers.hierarchy import BEGIN, NOON
from tests.helpers.stations import after_ms, at

URL = "http://pki.example"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def directory(tmp_path: Path) -> PkiDirectory:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "a"), "--valid-from", "2026-11-22T09:00:00Z"])
    assert done.exit_code == 0, done.output
    return PkiDirectory(tmp_path / "a")


@contextmanager
def office_of(directory: PkiDirectory, *, url: str | None = URL) -> Iterator[ListOffice]:
    log = directory.log()
    try:
        with directory.lists() as lists, AuthorityKeys() as keys:
            office = ListOffice(directory, lists, log, keys=keys)
            if url is not None:
                office.settings.change_url(url)
            yield office
    finally:
        log.close()


def later(elapsed_ms: int) -> Instant:
    return at(after_ms(NOON, elapsed_ms))


def kinds(documents: tuple[PublishedDocument, ...]) -> set[str]:
    return {document.kind.value for document in documents}


def further(directory: PkiDirectory, name: str) -> None:
    words = ["issue", str(directory.path), "--kind", "aa", "--name", name, "--out", str(directory.path / name)]
    assert CliRunner().invoke(app, [*words, "--valid-from", "2026-11-22T09:00:00Z"]).exit_code == 0


def test_everything_is_published_once_and_then_when_three_quarters_of_its_life_are_over(directory: PkiDirectory) -> None:
    with office_of(directory) as office:
        assert kinds(office.renew(later(0))) == {"ctl", "crl", "ectl"}
        assert office.renew(later(1)) == ()
        assert office.renew(later(18 * HOUR_MS - 2_000)) == ()
        assert office.seconds_until_due(later(0)) == 18 * 3_600
        assert office.seconds_until_due(later(18 * HOUR_MS)) == 0
        assert kinds(office.renew(later(18 * HOUR_MS))) == {"ctl", "crl", "ectl"}
        assert office.renew(later(18 * HOUR_MS + 1)) == ()


def test_the_lists_say_who_is_there_and_where_and_verify(directory: PkiDirectory) -> None:
    root, manager = directory.certificate("root"), directory.certificate("tlm")
    with office_of(directory) as office:
        published = {document.kind: document.octets for document in office.renew(later(0))}
    ctl = verify_ctl(published[DocumentKind.CTL], issuer=root, now=later(1)).content
    assert ctl.commands == (
        EaEntry(certificate=directory.certificate("ea"), aa_access_point=f"{URL}/ea"),
        AaEntry(certificate=directory.certificate("aa"), access_point=f"{URL}/aa"),
        DcEntry(url=f"{URL}/dc", roots=(root.hashed_id8,)),
    )
    ectl = verify_ctl(published[DocumentKind.ECTL], issuer=manager, now=later(1)).content
    assert ectl.commands == (
        RootCaEntry(certificate=root),
        DcEntry(url=f"{URL}/dc", roots=(root.hashed_id8,)),
        TlmEntry(certificate=manager, access_point=f"{URL}/cpoc"),
    )
    assert verify_crl(published[DocumentKind.CRL], issuer=root, now=later(1)).content.revoked == ()


def test_a_change_is_published_at_the_next_look_and_nothing_else_is(directory: PkiDirectory) -> None:
    with office_of(directory) as office:
        office.renew(later(0))
        office.settings.change_url("http://elsewhere.example/")
        assert kinds(office.renew(later(2_000))) == {"ctl", "ectl"}
    with office_of(directory, url=None) as office, directory.lists() as command:
        command.revoke(HashedId8(b"revoked."))
        (crl,) = office.renew(later(3_000))
        stated = stated_list(crl.octets)
        assert isinstance(stated, Crl)
        assert stated.revoked == (b"revoked.",)


def test_numbers_go_on_after_a_restart_and_begin_anew_after_the_last(directory: PkiDirectory) -> None:
    root = HashedId8(directory.certificate("root").hashed_id8)
    for numbers in (range(100), range(100, 256), range(256, 258)):
        with office_of(directory) as office:
            assert [office.publish(DocumentKind.CTL, later(n)).sequence for n in numbers] == [n % 256 for n in numbers]
    with directory.lists() as lists:
        library = PublishedLibrary(lists, None, None)
        delta = library.delta_ctl(root, 255)
        assert delta is not None
        stated = stated_list(delta)
        assert isinstance(stated, Ctl)
        assert (stated.sequence, stated.is_full, stated.commands) == (0, False, ())
        assert library.delta_ctl(root, 1) != delta
        assert library.delta_ctl(root, 2) is not None
        assert library.delta_ctl(HashedId8(bytes(8)), 1) is None


def test_what_was_signed_before_a_power_cut_is_logged_after_it_and_not_signed_again(directory: PkiDirectory) -> None:
    root = HashedId8(directory.certificate("root").hashed_id8)
    with office_of(directory) as office, directory.lists() as lists:
        with office._lists.publishing():
            signed = office._sign(DocumentKind.CTL, later(0))
        library = PublishedLibrary(lists, None, None)
        assert library.ctl(root) is None
    with office_of(directory) as office, directory.lists() as lists:
        assert kinds(office.renew(later(1))) == {"crl", "ectl"}
        assert PublishedLibrary(lists, None, None).ctl(root) == signed.octets


@pytest.mark.parametrize("name", ["lists.db", "log.db"])
def test_nothing_is_signed_when_one_file_was_put_back_from_a_backup(directory: PkiDirectory, name: str) -> None:
    with office_of(directory) as office:
        office.renew(later(0))
    backup = (directory.path / name).read_bytes()
    with office_of(directory) as office:
        office.publish(DocumentKind.CTL, later(10))
    (directory.path / name).write_bytes(backup)
    with office_of(directory) as office:
        for sign in (lambda: office.publish(DocumentKind.CTL, later(20)), lambda: office.renew(later(DAY_MS))):
            with pytest.raises(StorageError, match=rf"{name}: is older than"):
                sign()


def test_a_publication_that_fails_takes_no_number(directory: PkiDirectory) -> None:
    with office_of(directory, url=None) as office:
        with pytest.raises(ConfigError, match="give --url"):
            office.publish(DocumentKind.CTL, later(0))
        office.settings.change_url(URL)
        assert office.publish(DocumentKind.CTL, later(0)).sequence == 0


def test_two_revocation_lists_of_one_second_are_of_different_moments(directory: PkiDirectory) -> None:
    root = directory.certificate("root")
    with office_of(directory) as office:
        updates = []
        for number in range(MAX_DATED_AHEAD_S + 1):
            crl = verify_crl(office.publish(DocumentKind.CRL, later(number)).octets, issuer=root, now=later(number))
            updates.append(crl.content.this_update)
        assert updates == sorted(set(updates))
        with pytest.raises(ConfigError, match="a few seconds later"):
            office.publish(DocumentKind.CRL, later(9))
        assert office.publish(DocumentKind.CRL, later(2_000)).sequence == MAX_DATED_AHEAD_S + 1


def test_nothing_is_signed_without_the_time_or_when_it_has_gone_back(directory: PkiDirectory) -> None:
    with office_of(directory) as office:
        with pytest.raises(UntrustedTimeError):
            office.renew(Instant(later(0).monotonic, None))
        office.renew(later(DAY_MS))
        with pytest.raises(UntrustedTimeError, match="shows less"):
            office.publish(DocumentKind.CTL, later(0))


def test_offices_that_publish_by_turns_never_use_a_number_twice(directory: PkiDirectory) -> None:
    with office_of(directory) as one, office_of(directory) as other:
        numbers = [
            office.publish(DocumentKind.CTL, later(10 * n)).sequence for n, office in enumerate((one, other, one, other, other))
        ]
        assert numbers == [0, 1, 2, 3, 4]
        assert kinds(other.renew(later(60))) == {"crl", "ectl"}


def test_whose_keys_are_not_here_cannot_be_published_for(directory: PkiDirectory) -> None:
    (directory.path / "tlm/key.pem").unlink()
    with office_of(directory) as office:
        assert kinds(office.renew(later(0))) == {"ctl", "crl"}
        with pytest.raises(ConfigError, match="is not here"):
            office.publish(DocumentKind.ECTL, later(0))
    (directory.path / "log.key").unlink()
    with pytest.raises(ConfigError, match=r"log\.key"):
        directory.log()


def test_authorities_are_trusted_while_they_are_listed_and_not_revoked(directory: PkiDirectory) -> None:
    further(directory, "second")
    first, second = directory.certificate("aa"), directory.certificate("second")
    now = time64_of(NOON)
    with office_of(directory) as office, directory.lists() as lists:
        trust = PublishedTrust(root=directory.root_certificate(), known=(first,), lists=lists, areas=NO_IDENTIFIED_AREAS)
        assert trust.find(HashedId8(first.hashed_id8), now).certificate == first
        with pytest.raises(UnknownSignerError):
            trust.find(HashedId8(second.hashed_id8), now)
        office.settings.add_authority(AuthorityKind.AUTHORIZATION, "second")
        office.renew(later(0))
        assert trust.find(HashedId8(second.hashed_id8), now).certificate == second
        lists.revoke(HashedId8(first.hashed_id8))
        office.renew(later(1_000))
        with pytest.raises(VerificationError, match="revoked"):
            trust.find(HashedId8(first.hashed_id8), now)
        office.settings.remove_authority(AuthorityKind.AUTHORIZATION, "second")
        office.renew(later(2_000))
        with pytest.raises(UnknownSignerError):
            trust.find(HashedId8(second.hashed_id8), now)


def test_a_list_may_live_from_seconds_to_a_year(directory: PkiDirectory) -> None:
    with office_of(directory) as office:
        for wrong in (0, 3, 366 * 86_400):
            with pytest.raises(ConfigError, match="lives for"):
                office.settings.change_period(wrong)
        office.settings.change_period(40)
        office.renew(later(0))
        assert office.seconds_until_due(later(0)) == 30


@pytest.mark.parametrize(
    "url", ["", "pki.example", "ftp://pki.example", "http://", "http:///", "http://a b", "http://\u00e4", "http://" + "x" * 200]
)
def test_an_address_that_no_list_can_name_is_refused(directory: PkiDirectory, url: str) -> None:
    with office_of(directory) as office, pytest.raises(ConfigError, match="--url"):
        office.settings.change_url(url)


@pytest.mark.parametrize("name", ["", "aa", "root", "trust", "..", "a/b", "A", "-a", "a b", "x" * 33, "\u00e4"])
def test_a_name_that_is_no_plain_word_names_no_authority(name: str) -> None:
    with pytest.raises(ConfigError):
        check_authority_name(name)


def test_further_authorities_are_bounded_and_only_listed_ones_are_removed(directory: PkiDirectory) -> None:
    with office_of(directory) as office:
        kind = AuthorityKind.AUTHORIZATION
        for number in range(MAX_LISTED_AUTHORITIES - 1):
            office.settings.add_authority(kind, f"{number:032d}")
        office.settings.add_authority(kind, "aa")
        with pytest.raises(ConfigError, match="at most"):
            office.settings.add_authority(kind, "one-more")
        with pytest.raises(ConfigError, match="is not listed"):
            office.settings.remove_authority(kind, "one-more")


@pytest.mark.parametrize("kind", list(AuthorityKind))
def test_the_last_authority_of_a_kind_stays_listed_and_the_first_can_be_removed_when_another_is(
    directory: PkiDirectory, kind: AuthorityKind
) -> None:
    first = FIRST[kind]
    with office_of(directory) as office:
        with pytest.raises(ConfigError, match="is the last"):
            office.settings.remove_authority(kind, first)
        office.settings.add_authority(kind, "second")
        office.settings.remove_authority(kind, first)
        assert office.settings.authorities(kind) == ("second",)
        office.settings.add_authority(kind, first)
        assert office.settings.authorities(kind) == ("second", first)


def test_an_authority_is_listed_only_as_what_its_certificate_says(directory: PkiDirectory) -> None:
    further(directory, "second")
    with office_of(directory) as office:
        with pytest.raises(ConfigError, match="no certificate of an enrolment authority"):
            office.list_authorities(added={AuthorityKind.ENROLMENT: {"second": None}}, removed={})
        assert office.settings.authorities(AuthorityKind.ENROLMENT) == ("ea",)
        assert office.list_authorities(added={AuthorityKind.AUTHORIZATION: {"second": None}}, removed={}) == (
            directory.certificate("second"),
        )


def test_a_log_of_another_key_is_refused(directory: PkiDirectory) -> None:
    (directory.path / "log.key").unlink()
    with pytest.raises(StorageError, match="belongs to the log key"):
        directory.create_log()


def test_certificates_begin_where_they_were_told(directory: PkiDirectory) -> None:
    assert directory.certificate("tlm").validity.start_time64 == time64_of(BEGIN)
