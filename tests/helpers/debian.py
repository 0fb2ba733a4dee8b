"""Programs that come from Debian packages and without which a test means nothing.

A missing program skips the test on a developer's machine and fails it under `CI=true`, where nothing may go untested unseen.
`tests/debian-packages.txt` lists every package; `make test` installs them where it may.
"""

import os
import shutil
from typing import NoReturn

import pytest

_SYSTEM_PATHS = "/usr/sbin:/sbin"
"""Where administrators' programs are, which an ordinary user's PATH may leave out."""


def under_ci() -> bool:
    """Whether this run is continuous integration, where a skip for want of a package is a failure."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


def require(command: str, package: str) -> str:
    """Return the path of `command`; where it is absent, skip (under CI: fail) and name the Debian `package` that holds it."""
    found = shutil.which(command) or shutil.which(command, path=_SYSTEM_PATHS)
    if found is None:
        missing(f"{command} is not here", package)
    return found


def missing(what: str, package: str) -> NoReturn:
    """Skip (under CI: fail) the running test because `what` is so; `package` is what to install."""
    reason = f"{what}: apt install {package}"
    if under_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
