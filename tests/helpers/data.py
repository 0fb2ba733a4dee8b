"""Recorded data that lives outside the repository: real CAN logs, certificates, ledger vectors.

The directory is named by the environment variable `V2X_DATA`; without it, `../shared/data` beside the checkout is tried.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def data_file(relative: str) -> Path:
    """Return the path of a recorded file or directory, e.g. `can/css/gnss.dbc`; skip the test where it is absent."""
    named = os.environ.get("V2X_DATA")
    root = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    path = root / relative
    if not path.exists():
        pytest.skip(f"recorded data {relative} is not in {root}: set V2X_DATA to the directory that holds it")
    return path
