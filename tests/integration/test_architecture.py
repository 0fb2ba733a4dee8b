"""The rules of the house as tests: lint, types, import contracts, lock files, and what no file may say."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.helpers.data import REPOSITORY
from tests.helpers.early import result_of

BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCKS = {
    "requirements.lock": [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]],
    "requirements-test.lock": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["dependency-groups"]["build"],
        *PROJECT["dependency-groups"]["test"],
    ],
    "requirements-tpm.lock": PROJECT["dependency-groups"]["tpm"],
}


def check(*command: str | Path) -> None:
    """Run a tool in the repository; where it finds something, what it says is the failure."""
    result = subprocess.run([*map(str, command)], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode != 0:
        pytest.fail(f"{result.stdout}\n{result.stderr}".strip(), pytrace=False)


def tracked() -> list[Path]:
    """Return the files git knows; a copy of the project without its history cannot say."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is unknown")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    return [path for name in listed.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


def texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            found.append((str(path.relative_to(REPOSITORY)), content.decode("utf-8", errors="replace")))
    return found


def test_the_linter_has_nothing_to_say() -> None:
    check(BIN / "ruff", "check", ".")


def test_the_types_hold() -> None:
    done = result_of("types", patience_s=600)
    if done.status != 0:
        pytest.fail(done.said, pytrace=False)


def test_no_import_crosses_a_layer() -> None:
    check(BIN / "lint-imports")


def test_every_room_is_a_package_that_ships_its_types() -> None:
    roots = PROJECT["tool"]["importlinter"]["root_packages"]
    missing = [root for root in roots if not (REPOSITORY / root / "py.typed").is_file()]
    assert missing == []


def locked(name: str) -> dict[str, list[Requirement]]:
    """Return the pinned requirements of a lock file, by canonical name."""
    pins: dict[str, list[Requirement]] = {}
    for line in (REPOSITORY / name).read_text().splitlines():
        if line and line[0] not in " #":
            pin = Requirement(line.removesuffix(" \\"))
            pins.setdefault(canonicalize_name(pin.name), []).append(pin)
    return pins


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_what_the_project_asks_for(name: str) -> None:
    pins = locked(name)
    for wanted in map(Requirement, LOCKS[name]):
        versions = [next(iter(pin.specifier)).version for pin in pins.get(canonicalize_name(wanted.name), [])]
        assert versions, f"{wanted.name} is not locked: make lock"
        assert all(wanted.specifier.contains(version) for version in versions), f"{wanted} is locked as {versions}: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_of_a_lock_is_exact_and_has_its_hashes(name: str) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", (REPOSITORY / name).read_text())[1:]
    assert len(entries) >= len(LOCKS[name])
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_and_no_index(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|file:", text)


def test_the_two_locks_agree_on_what_they_share() -> None:
    runtime, test = locked("requirements.lock"), locked("requirements-test.lock")
    assert {key: [str(pin) for pin in pins] for key, pins in runtime.items()}.items() <= {
        key: [str(pin) for pin in pins] for key, pins in test.items()
    }.items()


def test_only_the_tests_need_the_heavy_packages() -> None:
    assert {"numpy", "opendbc", "asammdf", "pandas"}.isdisjoint(locked("requirements.lock"))


def test_what_must_be_compiled_is_in_a_lock_of_its_own() -> None:
    assert "tpm2-pytss" in locked("requirements-tpm.lock")
    assert "tpm2-pytss" not in locked("requirements-test.lock")


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    private = re.compile(r"(?<![\w./])/(?:work|home/\w+|root|tmp/\w+)/")
    found = [f"{name}: {match[0]}" for name, text in texts() for match in private.finditer(text)]
    assert found == []


def test_no_file_is_longer_than_one_concept_needs() -> None:
    long = [name for name, text in texts() if name.endswith(".py") and text.count("\n") > 500]
    assert long == []


def test_every_debian_package_that_a_test_names_is_on_the_list_and_no_other() -> None:
    named = re.compile(r'(?:require|missing)\(f?"[^"]+", "([a-z0-9.+-]+)"\)')
    wanted = {
        package
        for path in (REPOSITORY / "tests").rglob("*.py")
        if path.name != "test_test_helpers.py"
        for package in named.findall(path.read_text())
    }
    listed = [line.split("#")[0].strip() for line in (REPOSITORY / "tests/debian-packages.txt").read_text().splitlines()]
    assert sorted(filter(None, listed)) == sorted(wanted)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, not as part of the make that runs these tests."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=inherited, capture_output=True, text=True, check=False, timeout=120)


def test_make_offers_what_the_manual_names() -> None:
    offered = make("help").stdout
    assert {line.split()[1] for line in offered.splitlines()} == {"demo", "test", "setup", "lint", "lock", "clean"}


def test_continuous_integration_runs_make_test_and_nothing_else() -> None:
    script = REPOSITORY / ".ci/run"
    assert script.stat().st_mode & 0o111
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["exec make --no-print-directory test"]


def make_venv(tmp_path: Path, python: str) -> subprocess.CompletedProcess[str]:
    venv = tmp_path / "venv"
    return make(f"VENV={venv}", f"PYTHON={python}", f"{venv}/.python")


def stand_in(tmp_path: Path, answer: str) -> str:
    """Return an interpreter that answers one question with failure and everything else as the real one does."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *{answer}*) exit 1 ;; esac\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_make_says_what_to_install_where_virtual_environments_cannot_be_made(tmp_path: Path) -> None:
    result = make_venv(tmp_path, stand_in(tmp_path, "ensurepip"))
    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_make_refuses_a_python_that_is_too_old(tmp_path: Path) -> None:
    result = make_venv(tmp_path, stand_in(tmp_path, "version_info"))
    assert result.returncode == 2
    assert "Python 3.11 or newer is needed" in result.stderr


def test_make_makes_a_virtual_environment_once(tmp_path: Path) -> None:
    assert "Making" in make_venv(tmp_path, sys.executable).stdout
    assert "up to date" in make_venv(tmp_path, sys.executable).stdout
