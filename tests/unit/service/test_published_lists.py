from pathlib import Path

import pytest

from shared.core.errors import ConfigError, StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.security.crl import MAX_CRL_ENTRIES
from shared.service.published_lists import (
    KEPT_LISTS,
    MAX_SETTING_CHARACTERS,
    DocumentKind,
    PublishedDocument,
    PublishedLists,
    open_published_lists,
)
from tests.helpers.faulty_sqlite import Faults

ROOT, OTHER = HashedId8(b"rootroot"), HashedId8(b"another.")


def document(
    sequence: int, *, kind: DocumentKind = DocumentKind.CTL, issuer: HashedId8 = ROOT, words: str = ""
) -> PublishedDocument:
    octets = f"{kind.value} {sequence} {words}".encode()
    return PublishedDocument(kind=kind, issuer=issuer, sequence=sequence, octets=octets, begins=Time32(100), ends=Time32(200))


def published(lists: PublishedLists, *documents: PublishedDocument) -> None:
    with lists.publishing():
        lists.keep(documents)
    for index, each in enumerate(lists.unlogged()):
        lists.note_logged(each.digest, index)


def test_a_document_counts_as_published_once_it_is_logged(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        with lists.publishing():
            lists.keep([document(7)])
        assert lists.newest(DocumentKind.CTL, ROOT) is None
        assert lists.by_sequence(DocumentKind.CTL, ROOT, 7) is None
        assert lists.newest_signed(DocumentKind.CTL, ROOT) == document(7)
        assert lists.log_index(document(7).digest) is None
    with open_published_lists(tmp_path / "lists.db") as lists:
        assert lists.unlogged() == (document(7),)
        lists.note_logged(document(7).digest, 42)
        assert lists.unlogged() == ()
        assert lists.newest(DocumentKind.CTL, ROOT) == document(7)
        assert lists.log_index(document(7).digest) == 42


def test_the_newest_is_the_last_signed_also_when_the_sequence_begins_anew(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        published(lists, document(254), document(255), document(0))
        assert lists.newest(DocumentKind.CTL, ROOT) == document(0)
        assert lists.by_sequence(DocumentKind.CTL, ROOT, 255) == document(255)
        published(lists, document(255, words="a round later"))
        assert lists.by_sequence(DocumentKind.CTL, ROOT, 255) == document(255, words="a round later")


def test_kinds_and_issuers_have_numbers_of_their_own(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        published(lists, document(1), document(2, kind=DocumentKind.CRL), document(3, issuer=OTHER, words="other"))
        assert lists.newest(DocumentKind.CTL, ROOT) == document(1)
        assert lists.newest(DocumentKind.CRL, OTHER) is None


def test_what_one_program_published_another_sees_at_once(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as node, open_published_lists(tmp_path / "lists.db") as command:
        published(command, document(1))
        assert node.newest(DocumentKind.CTL, ROOT) == document(1)


def test_old_lists_give_way_but_none_that_is_not_logged_yet(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        with lists.publishing():
            lists.keep([document(0, words="waiting")])
            lists.keep([document(number % 256, words=str(number)) for number in range(KEPT_LISTS)])
        assert len(lists.unlogged()) == KEPT_LISTS + 1
        published(lists)
        published(lists, document(1, words="new"), document(0, kind=DocumentKind.CERTIFICATE))
        with lists.publishing():
            lists.keep([document(2, words="newer")])
        assert lists.log_index(document(0, words="waiting").digest) is None
        assert lists.log_index(document(3, words=str(KEPT_LISTS - 253)).digest) is not None


def test_a_failed_publication_leaves_nothing_behind(tmp_path: Path) -> None:
    faults = Faults()
    with open_published_lists(tmp_path / "lists.db", faults.connect()) as lists:
        for step in range(4):
            faults.arm(step, persists=False)
            with pytest.raises(StorageError), lists.publishing():
                lists.keep([document(1)])
            faults.arm(None, persists=False)
            assert lists.newest_signed(DocumentKind.CTL, ROOT) is None


def test_a_document_kept_twice_is_one(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        published(lists, document(0, kind=DocumentKind.CERTIFICATE))
        published(lists, document(0, kind=DocumentKind.CERTIFICATE))
        assert lists.unlogged() == ()


def test_the_revoked_are_remembered_once_each(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        for each in (b"b" * 8, b"a" * 8, b"b" * 8):
            lists.revoke(HashedId8(each))
    with open_published_lists(tmp_path / "lists.db") as lists:
        assert lists.revoked() == (b"a" * 8, b"b" * 8)


def test_no_more_is_revoked_than_a_list_can_say(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        with lists.publishing():
            for number in range(MAX_CRL_ENTRIES):
                lists.revoke(HashedId8(number.to_bytes(8)))
        with pytest.raises(ConfigError, match="at most"):
            lists.revoke(ROOT)


def test_settings_hold_until_they_are_changed(tmp_path: Path) -> None:
    with open_published_lists(tmp_path / "lists.db") as lists:
        assert lists.setting("url") is None
        lists.set("url", "http://a")
        lists.set("url", "http://b")
        with pytest.raises(ConfigError):
            lists.set("url", "x" * (MAX_SETTING_CHARACTERS + 1))
    with open_published_lists(tmp_path / "lists.db") as lists:
        assert lists.setting("url") == "http://b"
