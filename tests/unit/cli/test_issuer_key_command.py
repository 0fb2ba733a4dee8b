"""An issuer's key is made where it stays, and the authority certifies its public half."""

import stat
from pathlib import Path

import pytest

from shared.cli.issuer_key import PUBLIC_KEY_FILE
from shared.records.exchange import Slot
from shared.records.sd_jwt import certificate_id
from tests.helpers.holder import Ended, World, told, v2x
from tests.helpers.ledger import Vehicle
from tests.helpers.tokens import soft_token


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(folder=tmp_path_factory.mktemp("world"))
    told(v2x("pki", "init", world.pki))
    slot = Slot(seq=1, prev=bytes(32), subject=certificate_id(Vehicle().certificate))
    (world.folder / "slot.json").write_bytes(slot.encode())
    return world


def certify(world: World, folder: Path, *options: object) -> Ended:
    words = ("--kind", "enrolment", "--role", "garage", "--public-key", folder / PUBLIC_KEY_FILE, "--out", folder)
    return v2x("pki", "issue", world.pki, *words, *options)


def signs(world: World, folder: Path) -> None:
    """Check that a garage with this folder issues records."""
    out = folder.with_name(f"{folder.name}.json")
    words = ("--slot", world.folder / "slot.json", "--fields", world.write_maintenance(), "--out", out, "--trust", world.trust)
    told(v2x("record", "issue", "--kind", "maintenance", "--credential", folder, *words))
    assert "Genuine: signed by a garage" in told(v2x("record", "show", out, "--trust", world.trust))


def test_a_key_made_in_a_folder_is_certified_and_signs(world: World, tmp_path: Path) -> None:
    made = told(v2x("record", "key", tmp_path / "garage"))
    assert stat.S_IMODE((tmp_path / "garage/key.pem").stat().st_mode) == 0o600
    assert made.split()[-1] == told(certify(world, tmp_path / "garage")).split()[-1]  # both show the key's fingerprint
    signs(world, tmp_path / "garage")


def test_a_key_made_in_a_store_is_found_there_without_being_named_again(world: World, tmp_path: Path) -> None:
    told(v2x("record", "key", tmp_path / "garage", "--key", "file:keys"))
    assert sorted(path.name for path in (tmp_path / "garage").iterdir()) == ["key.uri", "public-key.pem"]
    told(certify(world, tmp_path / "garage"))
    signs(world, tmp_path / "garage")


def test_a_key_made_in_a_token_never_leaves_it_and_signs(world: World, tmp_path: Path) -> None:
    with soft_token(tmp_path / "token") as token:
        told(v2x("record", "key", tmp_path / "garage", "--key", token.uri))
        told(certify(world, tmp_path / "garage"))
        signs(world, tmp_path / "garage")
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in (tmp_path / "garage").iterdir())


def test_neither_key_nor_credential_is_ever_written_over(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "garage"
    told(v2x("record", "key", folder))
    before = (folder / "key.pem").read_bytes()
    again = v2x("record", "key", folder)
    assert (again.status, "never overwritten" in again.error) == (2, True)
    told(certify(world, folder))
    twice = certify(world, folder)
    assert (twice.status, "exists already and is not overwritten" in twice.error) == (1, True)
    assert (folder / "key.pem").read_bytes() == before


def test_only_an_enrolment_credential_is_for_a_key_of_somebody_else(world: World, tmp_path: Path) -> None:
    told(v2x("record", "key", tmp_path / "garage"))
    key = ("--public-key", tmp_path / "garage" / PUBLIC_KEY_FILE, "--out", tmp_path / "x")
    for kind in (("--kind", "ticket"), ("--kind", "enrolment", "--count", 2)):
        ended = v2x("pki", "issue", world.pki, *kind, *key)
        assert (ended.status, "--public-key" in ended.error) == (2, True), ended
    private = v2x(
        "pki", "issue", world.pki, "--kind", "enrolment", "--public-key", tmp_path / "garage/key.pem", "--out", tmp_path / "x"
    )
    assert "holds a private key" in private.error
