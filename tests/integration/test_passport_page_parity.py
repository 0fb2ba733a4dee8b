"""The page's program and this one, side by side: claims, series of records and whole passports.

The inputs are generated; each side answers, and the answers must be the same. What both read before any record (JSON, certificates,
regions) is in `test_passport_page_reading`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from shared.core.errors import DecodeError, RecordError
from shared.pki.permission_sets import RecordRole
from shared.records.corrections import counting_readings
from shared.records.fields import Choice
from shared.records.findings import FindingKind, SequenceItem
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import OCCURRED, RecordKind
from shared.records.kinds import HIDEABLE, KINDS, SPECS
from shared.records.odometer import OdometerFlag, RecordReason
from shared.records.passport import Passport
from shared.records.record import DisclosedRecord, flags_of, read_record
from shared.records.sd_jwt import SdJwt, certificate_id, encode_base64url
from shared.records.sequence import check_sequence
from shared.records.strict_json import Json, encode_json, parse_json
from shared.security.certificate import decode_certificate
from shared.security.ecdsa import Curve
from tests.helpers.chromium import Json as AnyJson
from tests.helpers.chromium import Page, chromium
from tests.helpers.passport_pages import (
    NO_WITNESS,
    answer_of,
    answer_to,
    asked,
    failed_checks,
    judged,
    many_issuers,
    open_page,
    roots,
    shown,
)
from tests.unit.cli.test_passport_command import ALTERED, Enrolled, hierarchy, passport
from tests.unit.cli.test_passport_of_many_issuers import History, enrol
from tests.unit.cli.test_passport_renewed import Term, renewed
from tests.unit.records.test_kinds import fields_of, misfits, role_for, sample

MOMENT = "2026-11-22T09:30:00.250Z"
HASHES = [encode_base64url(sha256(bytes([n])).digest()) for n in range(4)]
SERIES = 250
LIVES = 15

CLAIMS = """
(texts) => texts.map((text) => {
  try {
    const { kind, seq, hidden, fields } = new Claims(parseJson(utf8(text), "claims", 65536)).record();
    return JSON.stringify([kind, seq, hidden, fields.size]);
  } catch (error) {
    if (error instanceof CheckFailed || error instanceof Malformed) return null;
    throw error;
  }
})
"""
SEQUENCES = """
(all) => all.map((items) => {
  const read = (text) => new Claims(parseJson(utf8(text), "claims", 65536)).record();
  const series = items.map(([text, commitment, credential, role]) => (
    { record: read(text), commitment: bytesOfHex(commitment), credential, role }
  ));
  const counting = countingReadings(series);
  const told = checkSequence(series).map(({ kind, seq, isSerious, text }) => [kind, seq, isSerious, text]);
  return [told, series.map(({ record }) => counting.get(record) ?? null)];
})
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield open_page(browser, tmp_path_factory.mktemp("page") / "page.html", passport().encode(), policy=NO_WITNESS)


def claims_of(kind: RecordKind, /, **changed: Json) -> dict[str, Json]:
    claims: dict[str, Json] = {"kind": KINDS[kind].claim, "seq": 3, "prev": HASHES[0], **fields_of(kind), OCCURRED: MOMENT}
    if kind is RecordKind.ODOMETER:
        claims |= {"flags": [], "reason": "time"}
    if role_for(kind) is not IssuerRole.VEHICLE:
        claims["subject"] = HASHES[1]
    return claims | changed


def token_of(claims: dict[str, Json]) -> SdJwt:
    return SdJwt(jwt="", header={}, payload=claims, signature=b"", disclosures=())


def read_here(claims: dict[str, Json]) -> str | None:
    try:
        record = read_record(token_of(claims))
    except (RecordError, DecodeError):
        return None
    return encode_json([record.kind.value, record.seq, [*record.hidden], len(record.fields)])


ODD_VISIBLE: dict[str, list[Json]] = {
    "kind": ["odometer/1", "odometer/3", "odometer", 7, None, "toString", "__proto__"],
    "seq": [0, -1, 1.0, "3", None, True, (1 << 53) - 1],
    "prev": [None, "", HASHES[0][:-1], HASHES[0] + "A", "A" * 42 + "B", 7],
    "flags": [[], ["rollback"], ["clock_not_set"], ["clock_not_set"] * 2, ["surprise"], [7], "rollback", None, {"a": 1}],
    "next_credential": [HASHES[2], "x", None],
    "subject": [HASHES[2], "x", None, 7],
    "corrects": [0, 2, 3, -1, "2", None, 1.0],
    "reason": ["credential_renewed", "surprise"],
    "surprise": [1],
    "constructor": ["x"],
    OCCURRED: [None, "2026-02-29T00:00:00.000Z", "2028-02-29T00:00:00.000Z", "1969-12-31T23:59:59.999Z", MOMENT + "\n", 7],
}


def test_claims_are_read_and_refused_alike(page: Page) -> None:
    cases = [claims_of(spec.kind) for spec in KINDS.values()]
    for spec in KINDS.values():
        for field in spec.fields:
            whole = claims_of(spec.kind)
            cases += [claims_of(spec.kind, **{field.name: wrong}) for wrong in misfits(field)]
            cases.append({name: value for name, value in whole.items() if name != field.name})
            cases.append(claims_of(spec.kind, **{field.name: sample(field.type)}))
            cases.append(claims_of(spec.kind, **{field.name: None}))
        cases += [claims_of(spec.kind, **{name: value}) for name, odd in ODD_VISIBLE.items() for value in odd]
        cases += [
            {n: v for n, v in claims_of(spec.kind).items() if n != name} for name in ("kind", "seq", "prev", "flags", "subject")
        ]
        for first, second in spec.in_order:
            cases += [claims_of(spec.kind, **{first: MOMENT, second: MOMENT.replace("250", end)}) for end in ("249", "250", "251")]
    cases += [claims_of(RecordKind.MAINTENANCE, note=text) for text in ("😀" * 500, "😀" * 501, "x\u00ad", "\u202e", "é")]
    for spec in (each for each in SPECS if KINDS[each.kind] is not each):
        newer = set(KINDS[spec.kind].hideable) - set(spec.hideable)
        old = {name: value for name, value in claims_of(spec.kind).items() if name not in newer}
        old |= {**{each.name: sample(each.type) for each in spec.fields}, "kind": spec.claim, OCCURRED: MOMENT}
        cases += [old, {**claims_of(spec.kind), "kind": spec.claim}]
        cases += [{**old, each.name: wrong} for each in spec.fields for wrong in misfits(each)]
        cases += [{**old, "flags": [flag.value]} for flag in OdometerFlag]
    texts = [encode_json(case) for case in cases]
    here = [read_here(parsed) for text in texts if isinstance(parsed := parse_json(text.encode(), "claims", 65_536), dict)]
    there = asked(page, CLAIMS, list(texts))
    assert [(a, b, text) for a, b, text in zip(here, there, texts, strict=True) if a != b] == []
    assert 300 < sum(answer is not None for answer in here) < len(cases) - 300


class Story:
    """A random series of records, odd in every way a series can be."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.seq = random.choice([0, 0, 0, 5])
        self.metres = 50_000_000
        self.day = 1
        self.credential = HASHES[0]
        self.previous = bytes(32)
        self.items: list[tuple[dict[str, Json], bytes, str, IssuerRole]] = []

    def happens(self, times: int) -> None:
        for _ in range(times):
            self._record()

    def _is(self, share: float) -> bool:
        return self.random.random() < share

    def _record(self) -> None:
        random = self.random
        role = random.choice([IssuerRole.VEHICLE, IssuerRole.VEHICLE, *IssuerRole])
        kind = (
            RecordKind.ODOMETER
            if role is IssuerRole.VEHICLE and self._is(0.5)
            else random.choice(sorted(ISSUER_KINDS[role], key=str))
        )
        self.seq = max(0, self.seq + random.choice([0, 0, 0, 0, 0, 0, 1, 2, -1]))
        self.day = max(1, min(28, self.day + random.choice([0, 1, 1, 1, -2])))
        self.metres = max(0, self.metres + random.choice([0, 1_000, 250_250, 900, -800, -1_609, -1_610, -400_000, 750]))
        claims = claims_of(kind, seq=self.seq, occurred=f"2026-11-{self.day:02d}T{random.randrange(24):02d}:00:00.000Z")
        claims |= {name: self._value(kind, name) for name in claims if self._value(kind, name) is not None}
        if self.seq == 0:
            del claims["prev"]
        else:
            claims["prev"] = encode_base64url(bytes([9]) * 32 if self._is(0.1) else self.previous)
        if role is IssuerRole.VEHICLE:
            claims.pop("subject", None)
        else:
            claims["subject"] = HASHES[3] if self._is(0.1) else self.credential
        self._oddities(kind, claims)
        credential = self.credential if role is IssuerRole.VEHICLE else f"{role.value} {random.randrange(2)}"
        self.previous = sha256(encode_json(claims).encode()).digest()
        self.items.append((claims, self.previous, credential, role))
        self.seq += 1
        self.credential = str(claims.get("next_credential", HASHES[random.randrange(3)] if self._is(0.05) else self.credential))

    def _value(self, kind: RecordKind, name: str) -> Json:
        field = next((each for each in KINDS[kind].fields if each.name == name), None)
        in_step: Json = {"kind": "tpm", "value": self.seq + 40}
        odd: list[Json] = [{"kind": by, "value": at} for by, at in (("file", self.seq + 1), ("tpm", 41), ("tpm", self.seq + 50))]
        counters = [*[in_step] * 9, *odd, None]
        permilles = (0, 4, 95, 120, 235, 248, 266, 337, 500, 661, 749, 1_000, None)
        shares: list[Json] = [{"verdict": "disagree", "missing_permille": permille} for permille in permilles]
        options: dict[str, list[Json]] = {
            "odometer_m": [self.metres],
            "accident_seq": [max(0, self.seq - 1), max(0, self.seq - 2)],
            "grant_seq": [max(0, self.seq - 1), max(0, self.seq - 2), 1],
            "part": ["odometer", "Odometer cluster", "door"],
            "works": [["odometer", "oil"], ["oil"]],
            "holders": [1, 2, 3],
            "from_party": [HASHES[0], HASHES[1]],
            "to_party": [HASHES[0], HASHES[1]],
            "valid_until": ["2026-11-05T00:00:00.000Z", "2026-11-25T00:00:00.000Z"],
            "previous_holder": [{"by": "credential", "hash": HASHES[0]}, {"by": "commitment", "hash": HASHES[1]}],
            "serial_number": ["1", "2"],
            "judgement": shares,
            "bound_to": [{"nonce": None, "counter": counter} for counter in counters],
            "boot": [{"id": f"0{n}" * 16, "elapsed_ms": self.day * 86_400_000 + late} for n in (0, 1) for late in (0, 7_200_000)],
            "replaced_serial_number": ["1", "2"],
        }
        if field is not None and isinstance(field.type, Choice) and name != "reason":
            return self.random.choice(field.type.of)
        return self.random.choice(options.get(name, [None]))

    def _oddities(self, kind: RecordKind, claims: dict[str, Json]) -> None:
        random = self.random
        if kind is RecordKind.ODOMETER and self._is(0.15):
            claims |= {"reason": RecordReason.CREDENTIAL_RENEWED.value, "next_credential": random.choice(HASHES[:3])}
        if self._is(0.2):
            possible = flags_of(KINDS[kind])
            claims["flags"] = [flag.value for flag in random.sample(possible, random.randrange(1, 3))]
        if "subject" not in claims and self._is(0.3):
            claims |= {"flags": ["clock_not_set"], OCCURRED: None}
        if self.seq > 0 and self._is(0.25):
            claims["corrects"] = random.randrange(max(0, self.seq - 3), self.seq)
        for field in KINDS[kind].fields:
            if field.is_optional and self._is(0.1):
                claims[field.name] = None
            if field.name in claims and field.name != "reason" and self._is(0.08):
                del claims[field.name]


def told_here(items: list[tuple[dict[str, Json], bytes, str, IssuerRole]]) -> list[AnyJson]:
    def item(claims: dict[str, Json], commitment: bytes, credential: str, role: IssuerRole) -> SequenceItem:
        record: DisclosedRecord = read_record(token_of(claims))
        return SequenceItem(record=record, commitment=commitment, credential=credential, role=role)

    series = [item(*parts) for parts in items]
    counting = counting_readings(series)
    told = [[each.kind.value, each.seq, each.is_serious, each.text] for each in check_sequence(series)]
    return [told, [counting.get(position) for position in range(len(series))]]


def test_a_series_of_records_is_told_in_the_same_words(page: Page) -> None:
    stories = []
    for seed in range(SERIES):
        story = Story(Random(seed))
        story.happens(2 + seed % 14)
        stories.append(story.items)
    here = [told_here(items) for items in stories]
    inputs = [[[encode_json(claims), c.hex(), kid, role.value] for claims, c, kid, role in items] for items in stories]
    there = asked(page, SEQUENCES, inputs)
    for seed, (a, b) in enumerate(zip(here, there, strict=True)):
        assert a == b, seed
    assert {None if at is None else at == seq for _, counting in here for seq, at in enumerate(counting)} == {None, True, False}
    texts = "\n".join(text for told, _ in here for *_, text in told)
    for words in ("; it was between 2026-", " UTC by record ", "clock was set back", "of the distance is missing"):
        assert words in texts
    kinds = {kind for told, _ in here for kind, *_ in told}
    assert len(kinds) == len(FindingKind), kinds


def forced(kind: RecordKind, by: Enrolled, history: History, **changed: AnyJson) -> None:
    history.reads(50_000)
    history.is_forced(replace(history.stated(kind), **changed), by)


def foreign_garage() -> Enrolled:
    stranger = hierarchy(2)
    signer = stranger.keys.generate(Curve.NIST_P256)
    mine = enrol(RecordRole.GARAGE)
    return Enrolled(decode_certificate(mine.certificate), signer, stranger.ea.certificate)


FORGED: dict[str, tuple[Callable[[History], None], str]] = {
    "a garage inspects": (lambda h: forced(RecordKind.INSPECTION, enrol(RecordRole.GARAGE), h), "roles"),
    "a garage poses as the vehicle": (lambda h: forced(RecordKind.BATTERY, enrol(RecordRole.GARAGE), h, subject=None), "roles"),
    "a registrar grants": (lambda h: forced(RecordKind.CONSENT_GRANT, enrol(RecordRole.REGISTRAR), h), "roles"),
    "another key than the certificate's": (lambda h: forced(RecordKind.MAINTENANCE, foreign_garage(), h), "signatures"),
    "dated before its certificate": (
        lambda h: forced(RecordKind.MAINTENANCE, enrol(RecordRole.GARAGE), h, occurred=h.clock.now().require_utc() - 10**18),
        "signatures",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_a_vehicle_should_not_have_kept_is_refused_alike(page: Page, name: str, tmp_path: Path) -> None:
    forge, check = FORGED[name]
    history = History(tmp_path)
    forge(history)
    compare(page, shown(history, witnesses=()), check)


@pytest.mark.parametrize("name", ALTERED)
def test_certificates_that_lead_nowhere_are_refused_alike(page: Page, name: str) -> None:
    compare(page, ALTERED[name](passport()), "signatures")


def test_other_passports_are_judged_alike(page: Page) -> None:
    p = passport()
    compare(page, passport((100,), first_day=400), "signatures")
    compare(page, passport((100,), curve=Curve.BRAINPOOL_P256R1), "signatures")
    compare(page, replace(p, credentials=p.credentials * 2), "form")
    compare(page, replace(p, records=()), "form")
    compare(page, replace(p, records=p.records[::-1]), "sequence")
    compare(page, replace(p, records=p.records[1:]), "sequence")
    compare(page, replace(p, records=(p.records[0], p.records[2])), "sequence")
    compare(page, replace(p, records=(replace(p.records[0], salt=p.records[1].salt), *p.records[1:])), "inclusion")
    compare(page, replace(p, records=(replace(p.records[0], proof=p.records[1].proof), *p.records[1:])), "inclusion")
    compare(page, passport((100, 40)), "odometer")
    compare(page, p, None)


def compare(page: Page, forged: Passport, check: str | None) -> None:
    """Hold both answers against each other, and the page's against the check that should have failed."""
    report = alike(page, forged)
    failed = failed_checks(report)
    assert check in failed if check is not None else not failed, report["checks"]


def alike(page: Page, shown_passport: Passport) -> dict[str, AnyJson]:
    data = shown_passport.encode()
    report = judged(page, data)
    expected = answer_to(data, roots(), NO_WITNESS)
    got = answer_of(report)
    assert (got.is_verified, got.findings, got.readings) == (expected.is_verified, expected.findings, expected.readings)
    assert report["green"] is expected.is_clean
    return report


@pytest.mark.parametrize("shown_claims", [HIDEABLE, HIDEABLE - {OCCURRED}], ids=["dated", "without dates"])
def test_vehicles_whose_credentials_were_renewed_are_judged_alike(page: Page, shown_claims: frozenset[str]) -> None:
    random = Random(9)
    verdicts = []
    for _ in range(LIVES):
        terms, day = [], 0
        for last in random.choice([(True,), (False, True), (False, False, True)]):
            first, signs = max(0, day - random.choice([0, 5, 5, 30])), tuple(day + n for n in range(1, 1 + random.randrange(1, 4)))
            day = signs[-1] + random.choice([1, 10])
            hand_over = None if last or random.random() < 0.2 else day
            days = day + random.choice([1, 1, 60, -2]) - first
            terms.append(Term(first, max(1, days), signs, hand_over, clock_is_set=random.random() < 0.85))
        report = alike(page, renewed(tuple(terms), shown_claims))
        verdicts.append((report["verified"], report["green"]))
    assert len(set(verdicts)) >= (2 if OCCURRED in shown_claims else 1), verdicts


def test_a_life_with_several_credentials_is_judged_alike(page: Page, tmp_path: Path) -> None:
    history = many_issuers(tmp_path)
    whole = shown(history, witnesses=())
    compare(page, whole, None)
    assert certificate_id(enrol(None).certificate) not in {each.id for each in whole.credentials}
    for left_out in range(1, len(whole.records)):
        records = whole.records[:left_out] + whole.records[left_out + 1 :]
        used = {record.credential for record in records}
        credentials = tuple(each for each in whole.credentials if each.id in used)
        compare(
            page, Passport(credentials=credentials, records=records), None if left_out == len(whole.records) - 1 else "sequence"
        )
