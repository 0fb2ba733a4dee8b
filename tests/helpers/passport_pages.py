"""Passports for pages: one of many issuers with witnesses, and what this program says of a file a page has judged."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.cli.passport import verify_with_trust
from shared.core.errors import ConfigError, DecodeError, RecordError
from shared.core.itstime import utc_from_text
from shared.ledger.policy import parse_policy
from shared.pki.permission_sets import RecordRole
from shared.records.kind import RecordKind
from shared.records.kinds import HIDEABLE
from shared.records.passport import Passport, build_passport, build_record, parse_passport
from shared.security.certificate import decode_certificate
from shared.security.trust_store import TrustStore
from shared.service.passport_page import render_page
from tests.helpers.chromium import Browser, Json, Page
from tests.helpers.ledger import MemoryLog, log_signer, witness_key
from tests.unit.cli.test_passport_command import hierarchy
from tests.unit.cli.test_passport_of_many_issuers import History, enrol
from tests.unit.records.test_passport import proofs

WITNESSES = ("w1.example", "w2.example", "w3.example")
HIDDEN = frozenset({"sources", "note"})
"""Claims the seller keeps to himself."""

NO_WITNESS = f"log {log_signer().key.text}\nquorum none\n".encode()
POLICY = "\n".join(
    [
        "# who counts",
        f"log {log_signer().key.text}",
        *(f"witness {name} {witness_key(name).text}" for name in WITNESSES),
        "group near any w1.example w2.example",
        "group both all near w3.example",
        "quorum both",
        "",
    ]
).encode()

ALL_WITNESSES = POLICY.replace(b"near any", b"near all")
"""No cosignature may be wanting."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What this program says: whether all is proven, which check failed if not, and what the records say."""

    is_verified: bool
    check: str | None = None
    findings: tuple[tuple[str, int, bool, str], ...] = ()
    readings: tuple[tuple[Json, ...], ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether all is proven and nothing serious is in it."""
        return self.is_verified and not any(is_serious for _, _, is_serious, _ in self.findings)


def roots() -> list[bytes]:
    """Return the roots of the hierarchy that everybody here is enrolled in."""
    return [root.encoded for root in hierarchy().trust_store.roots.values()]


def many_issuers(directory: Path) -> History:
    """Return a life with a garage, an inspector, a registrar, a correction and consent."""
    directory.mkdir(parents=True, exist_ok=True)
    history = History(directory)
    garage, inspector = enrol(RecordRole.GARAGE), enrol(RecordRole.INSPECTOR)
    history.reads(50_000)
    history.is_told(RecordKind.MAINTENANCE, garage, odometer_m=50_000_000)
    history.reads(51_000)
    history.is_told(RecordKind.INSPECTION, inspector, odometer_m=51_000_250)
    history.is_told(RecordKind.REPAIR, garage, odometer_m=None)
    history.is_told(RecordKind.OWNERSHIP, enrol(RecordRole.REGISTRAR), odometer_m=None)
    history.reads(52_000)
    return history


def shown(history: History, *, hidden: Iterable[str] = HIDDEN, witnesses: tuple[str, ...] = WITNESSES) -> Passport:
    """Return the passport of a life, with a ledger that witnesses cosign and some claims left out."""
    found = proofs(tuple(history.signed), MemoryLog(witnesses=witnesses))
    kept = HIDEABLE.difference(hidden)
    records = [build_record(r.sd_jwt, r.salt, p.encode(), kept) for r, p in zip(history.spool.records(), found, strict=True)]
    return build_passport(credentials=[each.credential for each in history.spool.all_credentials()], records=records)


def answer_to(data: bytes, trusted: list[bytes], policy: bytes = POLICY, *, at: str | None = None) -> Answer:
    """Verify as `v2x passport verify` does."""
    try:
        store = TrustStore.of_operator(tuple(decode_certificate(root) for root in trusted), ())
        counted = parse_policy(policy)
    except (ConfigError, DecodeError):
        return Answer(is_verified=False, check="trust")
    try:
        verified = verify_with_trust(
            parse_passport(data), store=store, policy=counted, at=None if at is None else utc_from_text(at)
        )
    except RecordError as error:
        return Answer(is_verified=False, check=error.check)
    findings = tuple((each.kind.value, each.seq, each.is_serious, each.text) for each in verified.findings)
    readings = tuple((r.seq, r.odometer_m, r.since_previous_m, r.kind.value, r.corrects) for r in verified.readings)
    return Answer(is_verified=True, findings=findings, readings=readings)


def answer_of(report: dict[str, Json]) -> Answer:
    """Read a page's report as the same; which check failed is the page's own business."""
    if not report["verified"]:
        return Answer(is_verified=False)
    findings = tuple((each["kind"], each["seq"], each["severity"] == "red", each["text"]) for each in report["findings"])
    names = ("seq", "odometerM", "distanceSinceM", "kind", "corrects")
    return Answer(is_verified=True, findings=findings, readings=tuple(tuple(r[n] for n in names) for r in report["readings"]))


def failed_checks(report: dict[str, Json]) -> set[str]:
    """Return the checks that did not hold."""
    return {check["id"] for check in report["checks"] if check["passed"] is False}


def open_page(browser: Browser, file: Path, passport: bytes, *, policy: bytes = POLICY, before: str = "") -> Page:
    """Write a page, open it, and wait for its verdict."""
    file.write_text(render_page(passport, roots(), policy), encoding="utf-8")
    page = browser.open(file, before)
    verdict_of(page)
    return page


def verdict_of(page: Page) -> str:
    """Wait until a page has made up its mind: `green`, `unsure` or `red`; `unchecked` where it was given nothing to judge."""
    verdict = "(document.documentElement?.dataset.verdict ?? '')"
    return str(page.until(f"/green|red|unsure|unchecked/.test({verdict}) && {verdict}"))


def judged(page: Page, data: bytes | str) -> dict[str, Json]:
    """Have a page judge another passport by its own trust and return the report."""
    text = data if isinstance(data, str) else data.decode()
    report: dict[str, Json] = page.evaluate(f"judgePassport({json.dumps(text)}, shown.trust)")
    return report


def asked(page: Page, function: str, inputs: list[Json]) -> list[Json]:
    """Have a page answer each input with a function of its language."""
    answers: list[Json] = page.evaluate(f"({function})({json.dumps(inputs)})")
    assert len(answers) == len(inputs)
    return answers
