"""The page's own arithmetic against published vectors: with the browser's cryptography, and without it.

Wycheproof's ECDSA and Ed25519, RFC 8032, FIPS 180-4 and RFC 6979 by this program's library on all four curves, and the probes of
inclusion that other ledgers publish. A browser that hides its cryptography from a file must give the same answers.
"""

import hashlib
import json
import zlib
from base64 import b64decode
from collections.abc import Iterator
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from shared.core.errors import DecodeError
from shared.ledger.ed25519 import check_public_key
from shared.security.ecdsa import Curve, SoftwareSigner
from tests.helpers.chromium import Json, Page, chromium
from tests.helpers.data import data_file
from tests.helpers.ledger import ed25519_key
from tests.helpers.passport_pages import NO_WITNESS, open_page
from tests.unit.cli.test_passport_command import passport

HIDE_WEB_CRYPTO = "Object.defineProperty(Crypto.prototype, 'subtle', { configurable: true, get: () => undefined }); 0"
SHOW_WEB_CRYPTO = "Object.defineProperty(Crypto.prototype, 'subtle', originalSubtle); 0"
KEEP = "globalThis.originalSubtle = Object.getOwnPropertyDescriptor(Crypto.prototype, 'subtle');"

EVERY_WAY = pytest.mark.parametrize("has_web_crypto", [True, False], ids=["web crypto", "whole numbers"])

ECDSA = """
async (cases) => {
  const answers = [];
  for (const [index, sec1, message, signature] of cases) {
    const curve = CURVES[index];
    const [x, y] = [sec1.slice(2, 2 + 2 * curve.octets), sec1.slice(2 + 2 * curve.octets)];
    const point = pointOn(curve, numberOf(bytesOfHex(x)), y === "" ? null : numberOf(bytesOfHex(y)), sec1.startsWith("03"));
    answers.push(point !== null && (await new EcdsaKey(curve, point).isSignature(bytesOfHex(message), bytesOfHex(signature))));
  }
  return answers;
}
"""
ED25519 = """
async (cases) => {
  const answers = [];
  for (const [key, message, signature] of cases) {
    try {
      checkEd25519Key(bytesOfHex(key));
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      answers.push(false);
      continue;
    }
    answers.push(await isEd25519(bytesOfHex(key), bytesOfHex(message), bytesOfHex(signature)));
  }
  return answers;
}
"""
HASHES = "async (texts) => texts.map((text) => [sha256, sha384, sha512].map((hash) => hexOf(hash(bytesOfHex(text)))))"
INCLUSION = """
async (probes) => probes.map(([leaf, index, size, proof, root]) => {
  try {
    return sameBytes(rootFromInclusion(bytesOfHex(leaf), BigInt(index), BigInt(size), proof.map(bytesOfHex)), bytesOfHex(root));
  } catch (error) {
    if (error instanceof Unproven) return false;
    throw error;
  }
})
"""
RFC_8032 = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)
"""Section 7.1, tests 1 to 3."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = tmp_path_factory.mktemp("page") / "page.html"
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield open_page(browser, file, passport().encode(), policy=NO_WITNESS, before=KEEP)


def asked(page: Page, function: str, cases: list[Json], *, has_web_crypto: bool = True) -> list[Json]:
    page.evaluate(SHOW_WEB_CRYPTO if has_web_crypto else HIDE_WEB_CRYPTO)
    assert page.evaluate("typeof crypto.subtle") == ("object" if has_web_crypto else "undefined")
    answers: list[Json] = page.evaluate(f"({function})({json.dumps(cases)})")
    assert len(answers) == len(cases)
    return answers


@EVERY_WAY
def test_wycheproof_p256_is_judged_as_published(page: Page, has_web_crypto: bool) -> None:  # noqa: FBT001 - a parameter of the table
    suite = json.loads(data_file("ledger/wycheproof/ecdsa_secp256r1_sha256_p1363_test.json").read_text())
    cases, published = [], []
    for group in suite["testGroups"]:
        for case in group["tests"]:
            cases.append([0, group["publicKey"]["uncompressed"], case["msg"], case["sig"]])
            published.append(case["result"] == "valid")
    assert len(cases) == suite["numberOfTests"]
    assert asked(page, ECDSA, cases, has_web_crypto=has_web_crypto) == published


@EVERY_WAY
def test_wycheproof_ed25519_and_rfc_8032_are_judged_as_published(page: Page, has_web_crypto: bool) -> None:  # noqa: FBT001 - likewise
    suite = json.loads(data_file("ledger/wycheproof/ed25519_test.json").read_text())
    cases: list[Json] = [list(each) for each in RFC_8032]
    published = [True] * len(RFC_8032)
    for group in suite["testGroups"]:
        for case in group["tests"]:
            cases.append([group["publicKey"]["pk"], case["msg"], case["sig"]])
            published.append(case["result"] == "valid")
    assert asked(page, ED25519, cases, has_web_crypto=has_web_crypto) == published


def test_ed25519_keys_that_prove_nothing_are_refused_alike(page: Page) -> None:
    random = Random(3)
    keys = [
        bytes(32),
        b"\x01" + bytes(31),
        b"\xff" * 32,
        (2**255 - 19).to_bytes(32, "little"),
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ]
    keys += [random.randbytes(32) for _ in range(40)]
    keys += [ed25519_key(name).public_key().public_bytes_raw() for name in "abcdefgh"]

    def is_key(encoded: bytes) -> bool:
        try:
            check_public_key(encoded)
        except DecodeError:
            return False
        return True

    function = (
        "async (keys) => keys.map((key) => { try { checkEd25519Key(bytesOfHex(key)); return true; } catch { return false; } })"
    )
    here = [is_key(each) for each in keys]
    assert asked(page, function, [each.hex() for each in keys]) == here
    assert 8 <= sum(here) < len(here) // 2


@EVERY_WAY
@pytest.mark.parametrize("curve", Curve, ids=lambda curve: curve.value)
def test_signatures_on_every_curve_hold_until_one_bit_is_changed(page: Page, curve: Curve, has_web_crypto: bool) -> None:  # noqa: FBT001 - likewise
    random = Random(4)
    cases: list[Json] = []
    for n in range(6):
        signer = SoftwareSigner.from_scalar(curve, random.randrange(1, curve.order))
        message = random.randbytes(40 * n)
        signature = signer.sign_digest(curve.hash_algorithm.digest(message))
        sec1 = signer.public_key.sec1.hex()
        bits = [random.randrange(8 * 2 * curve.octets) for _ in range(3)]
        flipped = [(int.from_bytes(signature.p1363) ^ 1 << bit).to_bytes(2 * curve.octets) for bit in bits]
        cases.append([curve.index, sec1, message.hex(), signature.p1363.hex()])
        cases.append([curve.index, sec1, message.hex(), signature.mirrored.p1363.hex()])
        cases += [[curve.index, sec1, message.hex(), each.hex()] for each in flipped]
        cases.append([curve.index, sec1, (message + b"\x00").hex(), signature.p1363.hex()])
    held = asked(page, ECDSA, cases, has_web_crypto=has_web_crypto)
    assert held == [True, True, False, False, False, False] * 6


def test_hashes_of_every_length_are_those_of_the_library(page: Page) -> None:
    random = Random(5)
    messages = [random.randbytes(length) for length in (*range(130), 239, 240, 241, 1_000)]
    expected = [[hashlib.new(name, message).hexdigest() for name in ("sha256", "sha384", "sha512")] for message in messages]
    assert asked(page, HASHES, [message.hex() for message in messages]) == expected


def test_ml_dsa_44_signatures_hold_until_anything_is_changed(page: Page) -> None:
    random = Random(7)
    cases: list[Json] = []
    for n in range(3):
        private = MLDSA44PrivateKey.from_seed_bytes(random.randbytes(32))
        key, message = private.public_key().public_bytes_raw(), random.randbytes(170 * n)
        signature = private.sign(message)
        cases.append([key.hex(), message.hex(), signature.hex()])
        for place in (5, 40, 1_000, 2_335, 2_336, 2_380, 2_415, 2_419):
            altered = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
            cases.append([key.hex(), message.hex(), altered.hex()])
        cases.append([(key[:-1] + bytes([key[-1] ^ 1])).hex(), message.hex(), signature.hex()])
        cases.append([key.hex(), (message + b"\x00").hex(), signature.hex()])
        cases.append([key.hex(), message.hex(), signature[:-1].hex()])
    function = "async (cases) => cases.map((parts) => isMlDsa44(...parts.map(bytesOfHex)))"
    assert asked(page, function, cases) == [True, *[False] * 11] * 3


def test_shake_is_that_of_the_library(page: Page) -> None:
    messages = [bytes(range(256)) * 2] + [bytes(length) for length in (0, 1, 135, 136, 137, 167, 168, 169)]
    expected = [[hashlib.shake_128(each).hexdigest(400), hashlib.shake_256(each).hexdigest(400)] for each in messages]
    function = (
        "async (texts) => texts.map((text) => [168, 136].map((rate) => hexOf(new Shake(rate, bytesOfHex(text)).octets(400))))"
    )
    assert asked(page, function, [each.hex() for each in messages]) == expected


def test_published_probes_of_inclusion_are_judged_as_wanted(page: Page) -> None:
    probes = [
        json.loads(path.read_text()) for path in sorted(data_file("ledger/transparency-dev-merkle/inclusion").rglob("*.json"))
    ]

    def octets(text: str | None) -> str:
        return b64decode(text or "").hex()

    cases = [
        [
            octets(p["leafHash"]),
            str(p["leafIdx"]),
            str(p["treeSize"]),
            [octets(each) for each in p["proof"] or []],
            octets(p["root"]),
        ]
        for p in probes
    ]
    assert asked(page, INCLUSION, cases) == [not probe["wantErr"] for probe in probes]


def odd_block(random: Random) -> bytes:
    """Return a block of DEFLATE with codes of its own (RFC 1951 3.2.7), which lack codes, have too many, or none for its end."""
    literals, distances = [0] * random.choice([257, 258, 286, 287]), [0] * random.choice([1, 2, 30, 31])
    for place in random.choices(range(len(literals)), k=random.randrange(5)):
        literals[place] = random.choice([1, 2, 3])
    literals[256] = random.choice([0, 1, 2, 2, 3])
    for place in random.choices(range(len(distances)), k=random.randrange(4)):
        distances[place] = random.choice([1, 1, 2])
    bits = "1" + "01" + f"{len(literals) - 257:05b}"[::-1] + f"{len(distances) - 1:05b}"[::-1] + f"{15:04b}"[::-1]
    bits += "000" * 3 + "001" * 16  # a code of four bits for each of sixteen lengths, none for repetitions
    bits += "".join(f"{length:04b}" for length in (*literals, *distances))
    bits += "".join(random.choices("01", k=random.randrange(12))) + "0" * 16
    return bytes(int(bits[place : place + 8][::-1], 2) for place in range(0, len(bits), 8))


def test_what_is_deflated_is_inflated_as_the_library_does(page: Page) -> None:
    random = Random(6)
    texts = [b"", b"a", bytes(70_000), random.randbytes(3_000), passport().encode(), bytes(random.choices(b"abc", k=5_000))]
    packed = []
    for text in texts:
        for level, strategy in (
            (0, zlib.Z_DEFAULT_STRATEGY),
            (9, zlib.Z_DEFAULT_STRATEGY),
            (6, zlib.Z_FIXED),
            (6, zlib.Z_HUFFMAN_ONLY),
        ):
            packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
            packed.append(packer.compress(text) + packer.flush())
    packed += [odd_block(random) for _ in range(400)]
    for whole in [each for each in packed if len(each) < 6_000]:
        for _ in range(12):
            place = random.randrange(len(whole))
            packed.append(whole[:place] + bytes([whole[place] ^ 1 << random.randrange(8)]) + whole[place + 1 :])
        packed += [whole[:-1], whole + b"\x00"]
    limit = 100_000

    def inflated(data: bytes) -> str | None:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            octets = unpacker.decompress(data, limit + 1)
        except zlib.error:
            return None
        is_whole = unpacker.eof and not unpacker.unused_data and len(octets) <= limit
        return hashlib.sha256(octets).hexdigest() if is_whole else None

    function = f"""
    async (texts) => texts.map((text) => {{
      try {{
        return hexOf(sha256(inflate(bytesOfHex(text), {limit})));
      }} catch (error) {{
        if (error instanceof Malformed) return null;
        throw error;
      }}
    }})
    """
    here = [inflated(each) for each in packed]
    there = asked(page, function, [each.hex() for each in packed])
    assert there[: 4 * len(texts)] == [hashlib.sha256(text).hexdigest() for text in texts for _ in range(4)]
    assert [n for n, (a, b) in enumerate(zip(here, there, strict=True)) if a != b] == []
    assert None in here
