"""Who may append: the operator's file, read, changed and broken while a log runs."""

from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.errors import ConfigError
from shared.operator.log_access import Access, Refusal, token_hash
from tests.helpers.data import REPOSITORY

TOKEN, OTHER, REVOKED = "correct-horse-battery-staple", "another-secret-of-some-length", "one-that-was-stolen-from-us"
NOW = MonotonicNs(NS_PER_S)

TOKENS = f"""
append = "tokens"
max_entry_octets = 100
[[token]]
name = "fleet"
sha256 = "{token_hash(TOKEN)}"
per_s = 2.0
[[token]]
name = "thief"
sha256 = "{token_hash(REVOKED)}"
revoked = true
"""


def access_of(tmp_path: Path, text: str) -> Access:
    path = tmp_path / "access.toml"
    path.write_text(text)
    return Access(path)


def word(refusal: Refusal | None) -> str | None:
    return None if refusal is None else refusal.word


def test_without_a_file_everybody_may_append_as_often_as_they_like() -> None:
    access = Access(None)
    assert access.is_unbounded
    assert (access.max_entry_octets, access.quorum_policy) == (65_535, None)
    assert access.refusal(None, "192.0.2.1", NOW) is None


@pytest.mark.parametrize(
    ("authorization", "status", "refused"),
    [
        (None, 401, "no_token"),
        (b"Basic " + TOKEN.encode(), 401, "no_token"),
        (b"Bearer", 401, "no_token"),
        (b"Bearer " + b"x" * 5_000, 401, "no_token"),
        (b"Bearer " + OTHER.encode(), 401, "unknown_token"),
        (b"Bearer ", 401, "unknown_token"),
        (b"Bearer \xff\xfe", 401, "unknown_token"),
        (b"Bearer " + token_hash(TOKEN).encode(), 401, "unknown_token"),
        (b"Bearer " + REVOKED.encode(), 403, "revoked_token"),
    ],
)
def test_who_has_no_token_that_counts_is_refused_with_the_reason(
    tmp_path: Path, authorization: bytes | None, status: int, refused: str
) -> None:
    refusal = access_of(tmp_path, TOKENS).refusal(authorization, "192.0.2.1", NOW)
    assert refusal is not None
    assert (refusal.status, refusal.word) == (status, refused)
    assert ("www-authenticate: Bearer" in refusal.headers) == (status == 401)


def test_a_token_lets_in_at_its_rate_and_says_when_to_come_back(tmp_path: Path) -> None:
    access = access_of(tmp_path, TOKENS)
    shown = f"beaReR  {TOKEN} ".encode()
    assert [word(access.refusal(shown, "192.0.2.1", NOW)) for _ in range(5)] == [None] * 4 + ["token_rate"]
    refusal = access.refusal(shown, "192.0.2.2", NOW)
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (429, "retry-after: 1\r\n")
    assert access.refusal(shown, "192.0.2.1", MonotonicNs(2 * NS_PER_S)) is None


def test_clients_are_bounded_each_and_together(tmp_path: Path) -> None:
    access = access_of(tmp_path, "per_client_per_s = 1.0\noverall_per_s = 2.0\n")
    assert not access.is_unbounded
    assert [word(access.refusal(None, "192.0.2.1", NOW)) for _ in range(3)] == [None, None, "client_rate"]
    assert [word(access.refusal(None, "192.0.2.2", NOW)) for _ in range(3)] == [None, None, "client_rate"]
    assert word(access.refusal(None, "192.0.2.3", NOW)) == "client_rate"


def test_a_changed_file_counts_at_once_and_a_broken_one_leaves_things_as_they_were(tmp_path: Path) -> None:
    access = access_of(tmp_path, TOKENS)
    assert not access.reload()
    (tmp_path / "access.toml").write_text(TOKENS.replace(token_hash(TOKEN), token_hash(OTHER)) + "\n")
    assert access.reload()
    assert word(access.refusal(f"Bearer {TOKEN}".encode(), "", NOW)) == "unknown_token"
    assert access.refusal(f"Bearer {OTHER}".encode(), "", NOW) is None
    (tmp_path / "access.toml").write_text("append = ")
    with pytest.raises(ConfigError, match="TOML"):
        access.reload()
    assert not access.reload()  # complained about once
    assert access.refusal(f"Bearer {OTHER}".encode(), "", NOW) is None
    (tmp_path / "access.toml").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        access.reload()
    assert access.words == "tokens: 2"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('append = "some"', "append"),
        ("max_entry_octets = 0", "octets"),
        ("max_entry_octets = 65536", "octets"),
        ("per_client_per_s = 0.0", "per_client_per_s"),
        ("overall_per_s = -1.0", "overall_per_s"),
        ("overall_per_s = nan", "overall_per_s"),
        ("nonsense = 1", "unknown key"),
        (f'[[token]]\nname = "a"\nsha256 = "{token_hash(TOKEN)}"', "everybody"),
        ('append = "tokens"\n[[token]]\nname = "a"\nsha256 = "abc"', "64 digits"),
        (f'append = "tokens"\n[[token]]\nname = ""\nsha256 = "{token_hash(TOKEN)}"', "printable"),
        (f'append = "tokens"\n[[token]]\nname = "a"\nsha256 = "{TOKEN}"', "64 digits"),
        (TOKENS + f'[[token]]\nname = "again"\nsha256 = "{token_hash(TOKEN)}"', "the same sha256"),
        (TOKENS + f'[[token]]\nname = "fleet"\nsha256 = "{token_hash(OTHER)}"', "the same name"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_at_the_start(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        access_of(tmp_path, text)


def test_a_policy_is_named_from_the_files_own_folder(tmp_path: Path) -> None:
    assert access_of(tmp_path, 'quorum_policy = "a.policy"').quorum_policy == tmp_path / "a.policy"


@pytest.mark.parametrize("token", ["short", "x" * 19, "with a space in the middle of it", "ümlaut-ümlaut-ümlaut-ümlaut"])
def test_what_is_no_secret_has_no_hash(token: str) -> None:
    with pytest.raises(ConfigError, match="20 characters"):
        token_hash(token)


def test_the_shipped_example_lets_nobody_in_before_a_token_is_named() -> None:
    access = Access(REPOSITORY / "systemd" / "ledger-log.example.toml")
    assert word(access.refusal(f"Bearer {TOKEN}".encode(), "192.0.2.1", NOW)) == "unknown_token"
