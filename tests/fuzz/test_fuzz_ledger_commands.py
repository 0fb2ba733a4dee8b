"""Commands on files of the ledger and of records that are huge, empty, damaged or no files: one sentence, and no more memory."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.main import app
from shared.core.errors import V2xError
from shared.ledger.tiles import EntryBundle, Tile, encode_bundle
from shared.service.run import error_line, exit_code_of
from tests.fuzz.mutations import mutated
from tests.fuzz.test_fuzz_evm import anchored
from tests.fuzz.test_fuzz_ledger import WITNESSES, witnessed_proof
from tests.fuzz.test_fuzz_records import parsers
from tests.helpers.ledger import MemoryLog, log_signer, witness_key
from tests.unit.ledger.evm.test_chain_trust import CONSORTIUM

SPARSE_OCTETS = 1 << 40
"""A terabyte on paper, nothing on disk."""

MOST_MEMORY_OCTETS = 400 << 20
"""A passport of the largest size, several times."""

MUTATED = 5
SIZE = 21


def policy() -> bytes:
    witnesses = "".join(f"witness {name} {witness_key(name).text}\n" for name in WITNESSES)
    return f"log {log_signer().key.text}\n{witnesses}group enough 2 {' '.join(WITNESSES)}\nquorum enough\n".encode()


def write_everything(folder: Path) -> None:
    """A log as files, and a good example of everything else that commands read."""
    proof, entry = witnessed_proof()
    log = MemoryLog(witnesses=WITNESSES)
    log.entries = [b"entry %d" % number for number in range(SIZE)]
    files = {
        "policy": policy(),
        "proof": proof.encode(),
        "entry": entry,
        "log/checkpoint": log.publish(),
        f"log/{Tile(0, 0, SIZE).path}": log.read(Tile(0, 0, SIZE).path),
        f"log/{EntryBundle(0, SIZE).path}": encode_bundle(log.entries),
        "pinned": proof.note,
        "anchor": anchored().encode(),
        "chain": CONSORTIUM.encode(),
        "passport": parsers()["passport"].good,
        "record": parsers()["issued record"].good,
        "slot": parsers()["slot"].good,
        "request": parsers()["data request"].good,
    }
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


CHECK = ("ledger", "check", "proof", "--entry", "entry", "--policy", "policy")
PROVE = ("ledger", "prove", "log", "--policy", "policy", "--index", "13")
AUDIT = ("ledger", "audit", "log", "--policy", "policy")
ANCHOR = ("ledger", "anchor", "check", "anchor", "--chain-trust", "chain", "--policy", "policy", "--trusted", "pinned")
SHOW_RECORD, SHOW_REQUEST = ("record", "show", "record"), ("data", "show", "request")
DISCONTENT = (ANCHOR, SHOW_RECORD, SHOW_REQUEST)
"""The trust names others than who sealed; and a certificate that is opaque here is none to a command."""

READS: dict[tuple[str, ...], tuple[str, ...]] = {
    CHECK: ("proof", "entry", "policy"),
    (*CHECK, "--json"): ("policy",),
    ("ledger", "checkpoint", "log", "--policy", "policy", "--pinned", "pinned"): ("log/checkpoint", "policy", "pinned"),
    (*PROVE, "--entry", "entry"): ("entry",),
    PROVE: ("log/checkpoint", f"log/{Tile(0, 0, SIZE).path}", f"log/{EntryBundle(0, SIZE).path}"),
    AUDIT: (f"log/{Tile(0, 0, SIZE).path}", f"log/{EntryBundle(0, SIZE).path}", "log/checkpoint"),
    (*AUDIT, "--also", "pinned"): ("pinned",),
    ANCHOR: ("anchor", "chain", "pinned"),
    ("passport", "show", "passport"): ("passport",),
    ("passport", "disclose", "passport", "--only", "odometer", "--out", "less"): ("passport",),
    SHOW_RECORD: ("record",),
    ("record", "show", "slot"): ("slot",),
    SHOW_REQUEST: ("request",),
}
"""The files that each command reads, by name; they are all there and good, but one."""

EVERY_FILE = pytest.mark.parametrize(
    ("command", "name"),
    [(command, name) for command, names in READS.items() for name in names],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:3]),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: tuple[str, ...]) -> Result:
    Path("less").unlink(missing_ok=True)
    return CliRunner().invoke(app, command)


def ends_well(result: Result) -> None:
    """A status, and no more on the terminal than text; an error of ours has one line."""
    error = result.exception
    assert error is None or isinstance(error, (V2xError, SystemExit)), repr(error)
    said = result.output
    if isinstance(error, V2xError):
        said += error_line(error)
        assert exit_code_of(error) in (1, 2)
        assert "\n" not in error_line(error)
    assert all(c.isprintable() or c == "\n" for c in said), repr(said)


@pytest.mark.parametrize("command", READS, ids=" ".join)
def test_a_command_is_content_with_good_files(command: tuple[str, ...], folder: Path) -> None:
    assert folder.exists()
    result = run(command)
    ends_well(result)
    assert (result.exit_code == 0) is (command not in DISCONTENT), result.exception


@EVERY_FILE
def test_a_file_of_a_terabyte_is_refused_without_being_read(command: tuple[str, ...], name: str, folder: Path) -> None:
    os.truncate(folder / name, SPARSE_OCTETS)
    tracemalloc.start()
    try:
        result = run(command)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    ends_well(result)
    assert result.exit_code != 0
    assert peak < MOST_MEMORY_OCTETS


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def made_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [emptied, made_folder])
@EVERY_FILE
def test_no_file_where_one_should_be_is_told_in_a_sentence(
    command: tuple[str, ...], name: str, spoil: Callable[[Path], None], folder: Path
) -> None:
    spoil(folder / name)
    result = run(command)
    ends_well(result)
    assert result.exit_code != 0


@EVERY_FILE
def test_a_file_damaged_on_purpose_is_told_in_a_sentence_or_means_what_it_says(
    command: tuple[str, ...], name: str, folder: Path
) -> None:
    good = (folder / name).read_bytes()
    for data in mutated(good, MUTATED, seed=len(name)):
        (folder / name).write_bytes(data)
        ends_well(run(command))
