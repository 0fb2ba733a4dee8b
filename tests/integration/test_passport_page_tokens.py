"""Tokens, notes and proofs as the page and this program read them: both refuse the same, and show the same."""

import json
from collections.abc import Iterator
from hashlib import sha256
from random import Random

import pytest

from shared.core.clock import NS_PER_MS
from shared.core.errors import DecodeError, ProofError, RecordError
from shared.core.ids import ItsAid
from shared.core.itstime import LEAP_SECONDS_UNIX_S
from shared.core.json_shape import MAX_JSON_DEPTH
from shared.ledger.checkpoint import MAX_CHECKPOINT_BYTES, MAX_EXTENSION_LINES
from shared.ledger.merkle import MAX_PROOF_HASHES
from shared.ledger.note import MAX_NAME_CHARACTERS, MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, add_signatures, parse_note
from shared.ledger.policy import MAX_POLICY_BYTES, MAX_POLICY_GROUPS, MAX_POLICY_LOGS, MAX_POLICY_WITNESSES, parse_policy
from shared.ledger.proof import MAX_EXTRA_BYTES, MAX_PROOF_BYTES, parse_proof
from shared.ledger.verify import trust_first, verify_included, verify_signed
from shared.records.findings import SERIOUS
from shared.records.life_events import NOT_TO_BE_OVERLOOKED
from shared.records.passport import MAX_PASSPORT_BYTES, MAX_PASSPORT_CREDENTIALS, MAX_PASSPORT_RECORDS, PASSPORT_FORMAT
from shared.records.record import COMMITMENT_SALT_BYTES, RECORD_TYPE, VISIBLE
from shared.records.sd_jwt import MAX_DISCLOSURES, MAX_SD_JWT_CHARACTERS, encode_base64url, parse_sd_jwt, verify_sd_jwt
from shared.records.sequence import ENTERED_LATE_NS, READ_BY_EYE_M
from shared.records.strict_json import encode_json
from shared.security.certificate import MAX_CERTIFICATE_OCTETS
from shared.security.chain import MAX_CHAIN_CERTIFICATES
from shared.security.permissions import MAX_PERMISSIONS
from shared.security.region import MAX_SHAPES
from shared.security.trust_store import MAX_TRUST_STORE_CERTIFICATES
from shared.service.passport_page import DEFLATED
from tests.helpers.chromium import Json, Page, chromium
from tests.helpers.ledger import MemoryLog, Vehicle, witness_key
from tests.helpers.passport_pages import NO_WITNESS, POLICY, WITNESSES, open_page
from tests.unit.cli.test_passport_command import passport
from tests.unit.records.test_passport import proofs, recorded

SIGNER = Vehicle("signer")
TYPE = "v2x-record+sd-jwt"
ALTERED_PROOFS = 700

TOKENS = """
async (texts, sec1) => {
  const key = new EcdsaKey(P256, pointOn(P256, numberOf(bytesOfHex(sec1.slice(2))), null, sec1.startsWith("03")));
  const answers = [];
  for (const text of texts) {
    try {
      answers.push(JSON.stringify(plainValue(await verifySdJwt(parseSdJwt(text), "v2x-record+sd-jwt", key))));
    } catch (error) {
      if (!(error instanceof CheckFailed) && !(error instanceof Malformed)) throw error;
      answers.push(error.check || "format");
    }
  }
  return answers;
}
"""
PROOFS = """
async (texts, policy, entry) => {
  const counted = parsePolicy(bytesOfHex(policy));
  const answers = [];
  for (const text of texts) {
    const fault = await faultOf(async () => {
      const proof = parseProof(text);
      const note = await judgeNote(proof.note, counted);
      if (note.malformed !== null || note.unsigned !== null || note.badCosignatures.length > 0) throw new Unproven("the note");
      if (!note.isQuorum) throw new Unproven("the quorum");
      verifyInclusion(bytesOfHex(entry), proof.index, note.checkpoint.size, proof.hashes, note.checkpoint.root);
    });
    answers.push(fault === null);
  }
  return answers;
}
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield open_page(browser, tmp_path_factory.mktemp("page") / "page.html", passport().encode(), policy=NO_WITNESS)


def asked(page: Page, function: str, texts: list[str], *more: str) -> list[Json]:
    answers: list[Json] = page.evaluate(f"({function})({', '.join(json.dumps(each) for each in (texts, *more))})")
    assert len(answers) == len(texts)
    return answers


def b64(value: Json) -> str:
    return encode_base64url((value if isinstance(value, str) else encode_json(value)).encode())


def digest(disclosure: str) -> str:
    return encode_base64url(sha256(disclosure.encode()).digest())


def token(payload: Json, *disclosures: str, header: Json = None, signature: bytes | None = None) -> str:
    signed = f"{b64({'alg': 'ES256', 'typ': TYPE, 'kid': 'k'} if header is None else header)}.{b64(payload)}"
    made = SIGNER.sign_es256(signed.encode()) if signature is None else signature
    return "~".join((f"{signed}.{encode_base64url(made)}", *disclosures, ""))


NAMED = [b64(["salt", "colour", "red"]), b64(["salt", "doors", 5]), b64(["salt", "owner", {"name": "x", "_sd": []}])]
ELEMENT, INNER = b64(["salt", "second"]), b64(["salt", "inner", [1, 2]])
NESTED = b64(["salt", "nested", {"_sd": [digest(INNER)], "plain": 1}])
DIGESTS = [digest(each) for each in NAMED]
SHOWN = {"kind": "k", "_sd": DIGESTS, "_sd_alg": "sha-256"}
LISTED = {"list": ["first", {"...": digest(ELEMENT)}, "third"]}


def tokens() -> list[str]:
    digests: list[Json] = ["x", None, {}, [7], [DIGESTS[0], DIGESTS[0]], [DIGESTS[0], [DIGESTS[1]]]]
    good = token(SHOWN, *NAMED)
    jwt = good.split("~")[0]
    header, payload, signature = jwt.split(".")
    found = [good, *(token(SHOWN, *NAMED[:n]) for n in range(3)), token(SHOWN, *NAMED[::-1]), token({"kind": "k"}), token({})]
    found += [token(SHOWN, NAMED[0], NAMED[0]), token(SHOWN, ELEMENT), token(SHOWN, b64(["other salt", "colour", "red"]))]
    found += [token(LISTED, ELEMENT), token(LISTED), token({**LISTED, "_sd": [digest(ELEMENT)]}, ELEMENT)]
    found += [token({"_sd": [digest(NESTED)]}, NESTED, INNER), token({"_sd": [digest(NESTED)]}, NESTED), token({}, INNER)]
    found += [token({"_sd": [digest(NESTED)]}, INNER), token({"a": {"b": {"_sd": [digest(INNER)]}}}, INNER)]
    found += [token({"_sd": value}, *NAMED[:1]) for value in digests]
    found += [
        token({"_sd": [DIGESTS[0]], "a": {"_sd": [DIGESTS[0]]}}, NAMED[0]),
        token({"_sd": DIGESTS, "colour": "blue"}, NAMED[0]),
    ]
    found += [token({"...": "x"}), token({"a": {"...": "x"}}), token({"list": [{"...": digest(ELEMENT), "x": 1}]}, ELEMENT)]
    found += [token({"list": [{"...": DIGESTS[0]}]}, NAMED[0]), token({"list": [[{"...": digest(ELEMENT)}]]}, ELEMENT)]
    found += [token({"list": [{"...": 7}]}), token({"list": [{"...": "unknown"}, {"...": "unknown"}]})]
    found += [token({**SHOWN, "_sd_alg": value}, *NAMED) for value in ("sha-512", None, 7, "SHA-256")]
    found += [token({"a": {"_sd_alg": "sha-512"}}), token([1]), token("x"), token(7)]
    heads: list[dict[str, Json]] = [
        {"alg": "none"},
        {"alg": "ES384"},
        {"typ": "jwt"},
        {"typ": None},
        {"crit": []},
        {"alg": 7},
        {"b64": False},
    ]
    found += [token(SHOWN, *NAMED, header={"alg": "ES256", "typ": TYPE, "kid": "k", **head}) for head in heads]
    found += [token(SHOWN, header=["ES256"]), token(SHOWN, header={"alg": "ES256", "typ": TYPE})]
    zero, r, s = bytes(32), bytes(range(32)), bytes(range(1, 33))
    found += [token(SHOWN, signature=each) for each in (zero + s, r + zero, b"\xff" * 64, bytes(63), bytes(65), b"", r + s)]
    found += [good[:-1], good + "~", good[:-1] + "key.bind.ing", f"~{good}", jwt, "", "~", "a.b.c~", f"{header}.{payload}~"]
    found += [f"{header}.{payload}.{signature}.x~", f"{header}.{payload}~.{signature}~", good.replace(".", "..", 1), good + " "]
    found += [good.replace(NAMED[0], NAMED[0] + "="), good.replace(NAMED[0], NAMED[0][:-1]), good.replace("~", "~~", 1)]
    odd = [
        '["salt","_sd",1]',
        '["salt","...",1]',
        '[1,"a",1]',
        '["s",1,1]',
        '["s"]',
        "[]",
        '["s","a",1,2]',
        "{}",
        ' ["s", "a" ,1 ]',
    ]
    odd += [
        '["s","a",{"x":1,"x":2}]',
        '["s","a",1e400]',
        '["s","a",9007199254740993]',
        '["s","a","\\ud800"]',
        '["s","a",NaN]',
        "x",
        "",
    ]
    found += [token({"_sd": [digest(b64(text))]}, b64(text)) for text in odd]
    many = [b64(["salt", f"claim {n}", n]) for n in range(65)]
    found += [token({"_sd": [digest(each) for each in many[:count]]}, *many[:count]) for count in (64, 65)]
    found += [token({"pad": "x" * length}) for length in (12_000, 12_200, 13_000)]
    return found


def test_tokens_are_verified_disclosed_and_refused_alike(page: Page) -> None:
    def read(text: str) -> str:
        try:
            return encode_json(verify_sd_jwt(parse_sd_jwt(text), typ=TYPE, key=SIGNER.public_key))
        except RecordError as error:
            return error.check
        except DecodeError:
            return "format"

    texts = tokens()
    here = [read(text) for text in texts]
    there = asked(page, TOKENS, texts, SIGNER.sec1.hex())
    assert [(a, b, text) for a, b, text in zip(here, there, texts, strict=True) if a != b] == []
    assert {"format", "signature", "type", "disclosure"} < set(here)
    assert sum(answer.startswith("{") for answer in here) > 15


def proof_texts(random: Random) -> tuple[bytes, list[str]]:
    """One entry's proof and many that were altered: an octet, a line left out, doubled or moved, a note from elsewhere."""
    records = recorded("vehicle", tuple(range(10, 31)))
    log = MemoryLog(witnesses=WITNESSES)
    found = proofs(records, log)
    proof = found[5].encode().decode()
    lines = proof.split("\n")
    texts = [proof, *(each.encode().decode() for each in found), proof + "\n", proof[:-1], ""]
    for n in range(len(lines)):
        texts.append("\n".join(lines[:n] + lines[n + 1 :]))
        texts.append("\n".join([*lines[: n + 1], lines[n], *lines[n + 1 :]]))
        texts.append("\n".join([*lines[:n], *lines[n + 1 : n + 2], lines[n], *lines[n + 2 :]]))
        texts.append("\n".join([*lines[:n], lines[n] + " ", *lines[n + 1 :]]))
        texts.append("\n".join([*lines[:n], "", *lines[n:]]))
    stranger = MemoryLog(origin="elsewhere.example/log", witnesses=WITNESSES).note.decode()
    texts.append(proof.split("\n\n")[0] + "\n\n" + stranger)
    unknown = add_signatures(parse_note(found[5].note), parse_note(stranger.encode()).signatures[:1]).decode()
    texts.append(proof.split("\n\n")[0] + "\n\n" + unknown)
    texts += [proof.replace("\nindex", f"\nextra {text}\nindex") for text in ("", "AA==", "AA=", "AB==", "x" * 6_000)]
    texts += [
        proof.replace("index 5", f"index {text}")
        for text in ("05", "+5", "5 ", "9223372036854775807", "9223372036854775806", "-5", "\u0665")
    ]
    for _ in range(ALTERED_PROOFS):
        place = random.randrange(len(proof))
        texts.append(proof[:place] + random.choice("A0=/+\n —\t\x00xé\u2028") + proof[place + 1 :])
    return records[5].commitment, texts


@pytest.mark.parametrize("policy", [POLICY, NO_WITNESS], ids=["witnesses", "no witness"])
def test_proofs_and_notes_are_believed_and_refused_alike(page: Page, policy: bytes) -> None:
    entry, texts = proof_texts(Random(10))
    counted = parse_policy(policy)

    def holds(text: str) -> bool:
        try:
            proof = parse_proof(text.encode())
            verify_included(trust_first(verify_signed(proof.note, counted), counted), entry, proof.index, proof.hashes)
        except (DecodeError, ProofError):
            return False
        return True

    here = [holds(text) for text in texts]
    there = asked(page, PROOFS, texts, policy.hex(), entry.hex())
    assert [(a, b, text) for a, b, text in zip(here, there, texts, strict=True) if a != b] == []
    assert 2 < sum(here) < len(here) // 2


QUORUMS = (
    ("", "none", "No witness must have seen it"),
    ("", "a", "Must have been seen by a"),
    ("group g 2 a b c\n", "g", "Must have been seen by 2 of a, b, c"),
    ("group g any a b\ngroup h all g c\n", "h", "Must have been seen by all of (1 of a, b), c"),
    ("group g any a\n", "g", "Must have been seen by a"),
)


def test_the_page_says_which_witnesses_are_enough(page: Page) -> None:
    known = "".join(f"witness {name} {witness_key(name).text}\n" for name in "abc")
    policies = [f"{known}{groups}quorum {quorum}\n" for groups, quorum, _ in QUORUMS]
    script = f"{json.dumps(policies)}.map(policy => quorumSentence(parsePolicy(new TextEncoder().encode(policy))))"
    assert page.evaluate(script) == [words for _, _, words in QUORUMS]


BOUNDS: dict[str, Json] = {
    "MAX_CERTIFICATE_OCTETS": MAX_CERTIFICATE_OCTETS,
    "MAX_CHAIN_CERTIFICATES": MAX_CHAIN_CERTIFICATES,
    "MAX_CHECKPOINT_BYTES": MAX_CHECKPOINT_BYTES,
    "MAX_DISCLOSURES": MAX_DISCLOSURES,
    "MAX_EXTENSION_LINES": MAX_EXTENSION_LINES,
    "MAX_EXTRA_BYTES": MAX_EXTRA_BYTES,
    "MAX_JSON_DEPTH": MAX_JSON_DEPTH,
    "MAX_NAME_CHARACTERS": MAX_NAME_CHARACTERS,
    "MAX_NOTE_BYTES": MAX_NOTE_BYTES,
    "MAX_NOTE_SIGNATURES": MAX_NOTE_SIGNATURES,
    "MAX_PASSPORT_BYTES": MAX_PASSPORT_BYTES,
    "MAX_PASSPORT_CREDENTIALS": MAX_PASSPORT_CREDENTIALS,
    "MAX_PASSPORT_RECORDS": MAX_PASSPORT_RECORDS,
    "MAX_PERMISSIONS": MAX_PERMISSIONS,
    "MAX_POLICY_BYTES": MAX_POLICY_BYTES,
    "MAX_POLICY_ITEMS": MAX_POLICY_LOGS,
    "MAX_PROOF_BYTES": MAX_PROOF_BYTES,
    "MAX_PROOF_HASHES": MAX_PROOF_HASHES,
    "MAX_SD_JWT_CHARACTERS": MAX_SD_JWT_CHARACTERS,
    "MAX_SHAPES": MAX_SHAPES,
    "MAX_TRUSTED_ROOTS": MAX_TRUST_STORE_CERTIFICATES,
    "Number(CERTIFICATE_REQUEST_AID)": ItsAid.CERTIFICATE_REQUEST,
    "Number(VEHICLE_RECORDS_AID)": ItsAid.VEHICLE_RECORDS,
    "COMMITMENT_SALT_BYTES": COMMITMENT_SALT_BYTES,
    "PASSPORT_FORMAT": PASSPORT_FORMAT,
    "RECORD_TYPE": RECORD_TYPE,
    "VISIBLE_CLAIMS": [*VISIBLE],
    "LEAP_SECONDS_S": [*LEAP_SECONDS_UNIX_S],
    "READ_BY_EYE_M": READ_BY_EYE_M,
    "ENTERED_LATE_MS": ENTERED_LATE_NS // NS_PER_MS,
    "[...SERIOUS].sort()": sorted(kind.value for kind in SERIOUS),
    "NOT_TO_BE_OVERLOOKED": [*NOT_TO_BE_OVERLOOKED],
    "DEFLATED": DEFLATED,
}
"""By the names that the page's program gives them."""


def test_bounds_and_names_are_the_same_on_both_sides(page: Page) -> None:
    assert MAX_POLICY_LOGS == MAX_POLICY_WITNESSES == MAX_POLICY_GROUPS
    assert page.evaluate(f"[{', '.join(BOUNDS)}]") == [*BOUNDS.values()]
