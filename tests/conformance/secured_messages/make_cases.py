"""Writes the cases of this directory from seeded keys: `python -m tests.conformance.secured_messages.make_cases DIR`.

The same octets come out every time, so a difference after a change of the code is a change on the air. README.md says what the
files mean. Nothing here comes from elsewhere; the keys are worthless.
"""

import json
import sys
from pathlib import Path
from typing import Any

from shared.core.itstime import utc_text
from shared.security.trust_store import TrustStore
from shared.service.trust_directory import MANAGERS, make_directory, write_trust_directory
from tests.conformance.secured_messages import (
    cases_chain,
    cases_envelope,
    cases_header,
    cases_infrastructure,
    cases_lists,
    cases_managers,
    cases_packet,
    cases_ticket,
)
from tests.conformance.secured_messages.judge import EXPECTED
from tests.conformance.secured_messages.workshop import Case, Cases, Workshop

GROUPS = (cases_envelope, cases_header, cases_ticket, cases_chain, cases_packet, cases_lists, cases_managers, cases_infrastructure)


def write_cases(directory: Path) -> None:
    """Write the trust directory and every case below `directory`."""
    shop = Workshop()
    made: Cases = {}
    for group in GROUPS:
        added = group.cases(shop)
        assert not made.keys() & added.keys()
        made |= added
    write_trust_directory(directory / "trust", TrustStore.of_operator(tuple(shop.roots), tuple(shop.known)))
    make_directory(directory / "trust" / MANAGERS, private=False)
    for manager in shop.managers:
        (directory / "trust" / MANAGERS / f"{manager.hashed_id8.hex().upper()}.oer").write_bytes(manager.encoded)
    for sentence, case in made.items():
        _write(directory / sentence, case)


def _write(directory: Path, case: Case) -> None:
    directory.mkdir()
    (directory / case.kind.value).write_bytes(case.octets)
    expected: dict[str, Any] = {"at": utc_text(case.at), "verdict": case.verdict}
    if case.says:
        expected["says"] = case.says
    if not case.is_clock_set:
        expected["clock"] = "not set"
    if case.logged is not None:
        expected["logged"] = [digest.hex() for digest in case.logged]
    before = []
    for number, heard in enumerate(case.before, start=1):
        name = f"before-{number}.{heard.kind.value}"
        (directory / name).write_bytes(heard.octets)
        before.append({"file": name, "at": utc_text(heard.at)})
    if before:
        expected["before"] = before
    (directory / EXPECTED).write_text(json.dumps(expected, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_cases(Path(sys.argv[1]))
