"""What fetches the development chain for the tests never fails, fetches once, and takes only what it expects."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.helpers.data import REPOSITORY

SCRIPT = REPOSITORY / ".ci/anvil"


def run(directory: Path, commands: Path) -> subprocess.CompletedProcess[str]:
    """Run it with these commands and no others."""
    return subprocess.run([SCRIPT, directory], env={"PATH": str(commands)}, capture_output=True, text=True, check=False, timeout=60)


def commands(directory: Path, *names: str) -> Path:
    directory.mkdir()
    for name in ("sh", "uname", "mktemp", "rm", "tar", "mkdir", "mv", "chmod", "touch", "timeout", "cat", "sha512sum", *names):
        found = shutil.which(name)
        assert found is not None
        (directory / name).symlink_to(found)
    return directory


def test_without_npm_nothing_happens(tmp_path: Path) -> None:
    result = run(tmp_path / "anvil", commands(tmp_path / "bin"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not (tmp_path / "anvil").exists()


def test_what_arrives_with_another_digest_is_not_installed(tmp_path: Path) -> None:
    present = commands(tmp_path / "bin")
    npm = present / "npm"
    npm.write_text("#!/bin/sh\necho something else >made-up.tgz\necho made-up.tgz\n")
    npm.chmod(0o755)
    result = run(tmp_path / "anvil", present)
    assert result.returncode == 0
    if os.uname().machine in {"x86_64", "aarch64"}:
        assert "Could not fetch it" in result.stderr
    assert not (tmp_path / "anvil").exists()


def test_what_was_fetched_is_not_fetched_again(tmp_path: Path) -> None:
    present = commands(tmp_path / "bin")
    version = next(word for word in SCRIPT.read_text().split() if word.startswith("version=")).removeprefix("version=")
    (tmp_path / "anvil").mkdir()
    (tmp_path / "anvil" / f".{version}").touch()
    (present / "npm").write_text("#!/bin/sh\nexit 1\n")
    (present / "npm").chmod(0o755)
    result = run(tmp_path / "anvil", present)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
