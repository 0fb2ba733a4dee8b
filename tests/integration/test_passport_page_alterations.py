"""One octet of a passport, its roots or its policy is altered: the page turns red, names the check, and agrees with the command.

The alterations are generated: one in each part of a passport, and one at many places of its text, its roots and its policy. All of
them are judged in one tab by the page's own function.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from msgspec import structs

from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.cosignature import cosigned_subtree
from shared.ledger.note import KeyKind, NoteSignature, VerifierKey, add_signatures, parse_note
from shared.records.strict_json import encode_json_lines
from shared.service.passport_page import render_page
from tests.helpers.chromium import Json, Page, chromium
from tests.helpers.passport_pages import (
    ALL_WITNESSES,
    NO_WITNESS,
    POLICY,
    answer_to,
    many_issuers,
    open_page,
    roots,
    shown,
    verdict_of,
)
from tests.unit.cli.test_passport_command import passport

SAMPLED = 120
"""Places in the text of a passport."""

PAGES_ALTERED = 4
"""Places in the file of a page, for the passport and for the program each."""

JUDGE_EACH = """
(async (passports, trusts) => {
  const answers = [];
  for (const [n, passport] of passports.entries()) {
    const { green, verified, checks } = await judgePassport(passport, trusts === null ? shown.trust : trusts[n]);
    const failed = checks.filter((check) => check.passed === false);
    answers.push({ green, verified, failed: failed.map(({ id }) => id), told: failed.map(({ told }) => told) });
  }
  return answers;
})
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a passport: the text it is in, where in that, and which checks name its alteration, one of them at least."""

    name: str
    path: tuple[str, int, str]
    start: int
    length: int
    checks: frozenset[str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return shown(many_issuers(tmp_path_factory.mktemp("life"))).encode()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield open_page(browser, tmp_path_factory.mktemp("page") / "page.html", data)


def judge_each(page: Page, passports: list[str], trusts: list[Json] | None = None) -> list[dict[str, Json]]:
    answers: list[dict[str, Json]] = page.evaluate(f"({JUDGE_EACH})({json.dumps(passports)}, {json.dumps(trusts)})")
    return answers


def parts(data: bytes) -> Iterator[Part]:
    """Every part of every credential and record."""
    value = json.loads(data)
    for number in range(len(value["credentials"])):
        for name in ("credential", "authority"):
            path = ("credentials", number, name)
            yield Part(f"{name} {number}", path, 0, len(value["credentials"][number][name]), frozenset({"signatures"}))
    for number, record in enumerate(value["records"]):
        yield Part(f"salt {number}", ("records", number, "salt"), 0, len(record["salt"]), frozenset({"inclusion"}))
        yield from pieces(("records", number, "sd_jwt"), SIGNED.finditer(record["sd_jwt"]))
        yield from pieces(("records", number, "proof"), PROVEN.finditer(record["proof"]))


SIGNED = re.compile(r"^(?P<header>[^.~]+)\.(?P<payload>[^.~]+)\.(?P<signature>[^~]+)|~(?P<disclosure>[^~]+)")
PROVEN = re.compile(
    r"index (?P<index>\d+)|\n(?P<path_hash>[A-Za-z0-9+/]{43}=)(?=\n[^—]*\n\n.*\n\n)|"
    r"\n\n(?P<origin>[^\n—]+)\n(?P<size>\d+)\n(?P<root>[^\n]+)|"
    r"— log[^ ]* (?P<log_signature>[^\n]+)|— w[^ ]* (?P<cosignature>[^\n]+)",
    re.DOTALL,
)
NAMED_BY = {
    "header": {"signatures", "form"},
    "payload": {"signatures", "form"},
    "signature": {"signatures"},
    "disclosure": {"signatures", "form"},
    "index": {"inclusion", "form"},
    "path_hash": {"inclusion"},
    "origin": {"checkpoint"},
    "size": {"checkpoint"},
    "root": {"checkpoint"},
    "log_signature": {"checkpoint"},
    "cosignature": {"witnesses"},
}


def pieces(path: tuple[str, int, str], found: Iterable[re.Match[str]]) -> Iterator[Part]:
    for match in found:
        for name, piece in match.groupdict().items():
            if piece is not None:
                yield Part(f"{name} of {path[1]}", path, match.start(name), len(piece), frozenset(NAMED_BY[name]))


def altered_in(data: bytes, part: Part) -> str:
    """Change the character in the middle of a part into another one that may stand there."""
    value = json.loads(data)
    group, number, name = part.path
    text, middle = value[group][number][name], part.start + part.length // 2
    other = next(each for each in "73" if each != text[middle])
    value[group][number][name] = text[:middle] + other + text[middle + 1 :]
    return encode_json_lines(value)


def test_every_altered_part_is_red_and_its_check_is_named(page: Page, data: bytes) -> None:
    table = list(parts(data))
    assert {name.split(" ")[0] for name in (part.name for part in table)} == {*NAMED_BY, "salt", "credential", "authority"}
    assert len(table) > 120
    texts = [altered_in(data, part) for part in table]
    answers = judge_each(page, [data.decode(), *texts])
    assert answers[0] == {"green": True, "verified": True, "failed": [], "told": []}
    for part, text, answer in zip(table, texts, answers[1:], strict=True):
        assert not answer["green"], part.name
        assert not answer["verified"], part.name
        assert part.checks & set(answer["failed"]), (part.name, answer)
        assert not any("could not finish" in told for told in answer["told"]), (part.name, answer)
        assert not answer_to(text.encode(), roots()).is_verified, part.name


def test_one_octet_altered_anywhere_in_the_file_is_red_here_and_refused_there(page: Page, data: bytes) -> None:
    random = Random(1)
    texts = []
    for _ in range(SAMPLED):
        place = random.randrange(len(data))
        octet = random.choice([data[place] ^ 1 << random.randrange(7), *b' "{},\n~.=A0'])
        if octet != data[place]:
            texts.append((data[:place] + bytes([octet]) + data[place + 1 :]).decode())
    texts += [data.decode()[:-1], data.decode() + "\n", "", "{}", "[]", "\x00", data.decode().replace("\n", "\r\n")]
    assert len(texts) > SAMPLED // 2
    trust = {"roots": [base64_of(root) for root in roots()], "policy": base64_of(ALL_WITNESSES), "at": None}
    answers = judge_each(page, [data.decode(), *texts], [trust] * (1 + len(texts)))
    assert answers[0]["green"]
    for text, answer in zip(texts, answers[1:], strict=True):
        assert not answer["green"], answer
        assert not answer["verified"], answer
        assert not any("could not finish" in told for told in answer["told"]), answer
        assert not answer_to(text.encode(), roots(), ALL_WITNESSES).is_verified


def base64_of(octets: bytes) -> str:
    return b64encode(octets).decode()


def test_an_altered_policy_counts_for_the_page_as_for_the_command(page: Page, data: bytes) -> None:
    policies = [
        POLICY[:place] + bytes([octet]) + POLICY[place + 1 :]
        for place in range(len(POLICY))
        for octet in {POLICY[place] ^ 1, 0x20 if place % 3 else 0xC3}
        if octet != POLICY[place]
    ][::7]
    trusts = [{"roots": [base64_of(root) for root in roots()], "policy": base64_of(policy), "at": None} for policy in policies]
    answers = judge_each(page, [data.decode()] * len(policies), trusts)
    verified = 0
    for policy, answer in zip(policies, answers, strict=True):
        expected = answer_to(data, roots(), policy)
        assert answer["verified"] is expected.is_verified, (policy, answer, expected)
        assert not any("could not finish" in told for told in answer["told"] if expected.check != "trust"), answer
        verified += expected.is_verified
    assert 0 < verified < len(policies) // 2


def test_an_altered_root_counts_for_the_page_as_for_the_command(page: Page, data: bytes) -> None:
    root = roots()[0]
    altered = [root[:place] + bytes([root[place] ^ 1 << place // 3 % 8]) + root[place + 1 :] for place in range(0, len(root), 3)]
    trusts = [{"roots": [base64_of(each)], "policy": base64_of(POLICY), "at": None} for each in altered]
    trusts += [{"roots": [], "policy": base64_of(POLICY), "at": None}, {"roots": ["%"], "policy": "%", "at": None}]
    answers = judge_each(page, [data.decode()] * len(trusts), trusts)
    for each, answer in zip([*altered, None, None], answers, strict=True):
        assert not answer["green"], (each, answer)
        assert {"signatures", "trust"} & set(answer["failed"]), answer
        assert each is None or not answer_to(data, [each]).is_verified


def test_the_moment_of_the_last_credential_counts_for_the_page_as_for_the_command(page: Page) -> None:
    data = passport().encode()
    moments = [None, "2027-01-01T00:00:00.000Z", "2040-01-01T00:00:00.000Z", "2010-01-01T00:00:00.000Z", "2003-12-31T23:59:59.999Z"]
    trust = {"roots": [base64_of(root) for root in roots()], "policy": base64_of(NO_WITNESS)}
    answers = judge_each(page, [data.decode()] * len(moments), [{**trust, "at": moment} for moment in moments])
    assert [answer["verified"] for answer in answers] == [True, True, False, False, False]
    for moment, answer in zip(moments, answers, strict=True):
        assert answer["verified"] is answer_to(data, roots(), NO_WITNESS, at=moment).is_verified


def test_an_altered_page_is_green_for_no_octet_of_what_it_carries_or_runs(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The file itself: an altered program is not run, an altered passport is red, altered trust trusts nobody."""
    directory = tmp_path_factory.mktemp("altered")
    html = render_page(data, roots(), ALL_WITNESSES)
    random = Random(8)
    regions = {
        "passport": (html.index("deflate,") + 8, html.index("</script>", html.index("deflate,"))),
        "program": (html.index('"use strict"'), html.rindex("</script>")),
    }
    with chromium(directory / "chromium") as browser:
        for name, (begin, end) in regions.items():
            for n in range(PAGES_ALTERED):
                place = random.randrange(begin, end)
                other = next(each for each in "aB" if each != html[place])
                (directory / f"{name}{n}.html").write_text(html[:place] + other + html[place + 1 :], encoding="utf-8")
                page = browser.open(directory / f"{name}{n}.html")
                page.until("document.readyState === 'complete'")
                if name == "program":
                    assert page.evaluate("document.documentElement.dataset.verdict ?? 'not run'") == "not run", place
                    assert page.text("#verdict-word") == "Not checked"
                else:
                    assert verdict_of(page) == "red", place
                page.close()


def test_a_cosignature_with_ml_dsa_44_counts_for_the_page_as_for_the_command(page: Page) -> None:
    private = MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
    kind = KeyKind.ML_DSA_44_COSIGNATURE
    key = VerifierKey(name="pq.example", kind=kind, public_key=private.public_key().public_bytes_raw())
    plain = passport()

    def cosigned(note: bytes, change: int = -1) -> bytes:
        parsed = parse_note(note)
        message = cosigned_subtree(parse_checkpoint(parsed.body), key.name, 1_700_000_000)
        signature = bytearray((1_700_000_000).to_bytes(8) + private.sign(message))
        if change >= 0:
            signature[change] ^= 1
        return add_signatures(parsed, (NoteSignature(name=key.name, key_id=key.key_id, signature=bytes(signature)),))

    def with_notes(change: int) -> str:
        note = cosigned(plain.records[0].proof.note, change)
        assert {record.proof.note for record in plain.records} == {plain.records[0].proof.note}
        records = [replace(record, proof=structs.replace(record.proof, signed_note=parse_note(note))) for record in plain.records]
        return replace(plain, records=tuple(records)).encode().decode()

    policy = NO_WITNESS.replace(b"quorum none", f"witness pq {key.text}\nquorum pq".encode())
    optional = NO_WITNESS.replace(b"quorum none", f"witness pq {key.text}\nquorum none".encode())
    cases = [(with_notes(change), each) for change in (-1, 7, 8, 100, 2_427) for each in (policy, optional, NO_WITNESS)]
    cases.append((plain.encode().decode(), policy))
    trusts = [{"roots": [base64_of(root) for root in roots()], "policy": base64_of(each), "at": None} for _, each in cases]
    answers = judge_each(page, [text for text, _ in cases], trusts)
    assert [answer["verified"] for answer in answers] == [True, True, True, *[False, False, True] * 4, False]
    for (text, each), answer in zip(cases, answers, strict=True):
        assert answer["verified"] is answer_to(text.encode(), roots(), each).is_verified
