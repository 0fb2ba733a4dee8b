"""The anchor contract, compiled anew: `python -m tests.helpers.anchor_contract` writes what is shipped."""

import json
from pathlib import Path
from typing import Any

import vyper  # type: ignore[import-untyped]  # it ships no types

from tests.helpers.data import REPOSITORY

SOURCE = REPOSITORY / "shared/ledger/evm/CheckpointAnchor.vy"
ARTEFACT = REPOSITORY / "shared/ledger/evm/CheckpointAnchor.json"


def compiled() -> dict[str, Any]:
    """What the compiler of the lock file makes of the source."""
    outputs = vyper.compile_code(SOURCE.read_text(), output_formats=["abi", "bytecode", "bytecode_runtime", "layout"])
    return {
        "compiler": f"vyper {vyper.__version__.split('+')[0]}",
        "abi": outputs["abi"],
        "bytecode": outputs["bytecode"],
        "code": outputs["bytecode_runtime"],
        "slots": {name: place["slot"] for name, place in outputs["layout"]["storage_layout"].items()},
    }


def write(path: Path = ARTEFACT) -> None:
    """Write the artefact."""
    path.write_text(json.dumps(compiled(), indent=1) + "\n")


if __name__ == "__main__":
    write()
