"""The page's program and this one, side by side, on what they read before any record: JSON, certificates and regions.

The inputs are generated; each side answers, and the answers must be the same. `test_passport_page_parity` goes on to records.
"""

from collections.abc import Iterator
from random import Random

import pytest

from shared.codec.coer import CoerReader
from shared.core.errors import DecodeError
from shared.pki.permission_sets import RecordRole
from shared.records.strict_json import MAX_JSON_VALUES, Json, parse_json
from shared.security.certificate import decode_certificate
from shared.security.region import (
    NO_IDENTIFIED_AREAS,
    CircularRegion,
    GeographicRegion,
    IdentifiedRegion,
    IdentifiedRegions,
    Location,
    PolygonalRegion,
    Rectangle,
    RectangularRegion,
    RegionPart,
    encode_region,
    read_region,
)
from shared.security.region_containment import lies_within
from tests.helpers.chromium import Page, chromium
from tests.helpers.passport_pages import NO_WITNESS, asked, open_page
from tests.unit.cli.test_passport_command import hierarchy, passport
from tests.unit.cli.test_passport_of_many_issuers import enrol

REGION_PAIRS = 3_000

REGIONS = """
(pairs) => pairs.map((pair) => {
  const [inner, outer] = pair.map((text) => readRegion(new CoerReader(bytesOfHex(text)), "region"));
  return regionLiesWithin(inner, outer);
})
"""
CERTIFICATES = """
(texts) => texts.map((text) => {
  try {
    const certificate = decodeCertificate(bytesOfHex(text));
    return [hexOf(certificate.digest), hexOf(certificate.canonical), certificate.name];
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
})
"""
STRICT_JSON = """
(texts) => texts.map((text) => {
  try {
    parseJson(bytesOfHex(text), "text", 4096);
    return true;
  } catch (error) {
    if (error instanceof Malformed) return false;
    throw error;
  }
})
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield open_page(browser, tmp_path_factory.mktemp("page") / "page.html", passport().encode(), policy=NO_WITNESS)


def location(random: Random, spread: int) -> Location:
    return Location(480_000_000 + random.randrange(-spread, spread), 110_000_000 + random.randrange(-spread, spread))


def region(random: Random) -> GeographicRegion:
    spread = random.choice([20_000, 100_000, 400_000])
    a, b = location(random, spread), location(random, spread)
    box = Rectangle(north=max(a.lat, b.lat) + 1, south=min(a.lat, b.lat), west=min(a.lon, b.lon), east=max(a.lon, b.lon) + 1)
    match random.randrange(5):
        case 0:
            return CircularRegion(centre=a, radius_m=random.choice([100, 1_000, 8_000, 65_535]))
        case 1:
            return RectangularRegion(rectangles=(box,))
        case 2:
            return PolygonalRegion(corners=tuple(location(random, spread) for _ in range(random.randrange(3, 6))))
        case 3:
            return PolygonalRegion(
                corners=(
                    Location(box.north, box.west), Location(box.north, box.east), Location(box.south, box.east),
                    Location(box.south, box.west),
                )
            )  # fmt: skip
        case _:
            parts = tuple(RegionPart(region=n, subregions=random.choice([(), (1,), (1, 2)])) for n in range(random.randrange(3)))
            whole = all(part.subregions for part in parts) or not any(part.subregions for part in parts)
            return IdentifiedRegions(regions=(IdentifiedRegion(country=random.choice([276, 380]), parts=parts if whole else ()),))


def test_a_region_lies_within_another_alike(page: Page) -> None:
    random = Random(1)
    pairs = [(region(random), region(random)) for _ in range(REGION_PAIRS)]
    pairs += [(inner, inner) for inner, _ in pairs[:50]]
    encoded = [[encode_region(each).hex() for each in pair] for pair in pairs]
    read = [[read_region(CoerReader(bytes.fromhex(text)), "region") for text in pair] for pair in encoded]
    here = [lies_within(inner, outer, NO_IDENTIFIED_AREAS) for inner, outer in read]
    assert asked(page, REGIONS, encoded) == here
    assert 150 < sum(here) < len(here) // 2


def certificates() -> list[bytes]:
    pki = hierarchy()
    found = [pki.root.certificate.encoded, pki.ea.certificate.encoded, pki.ticket().certificate.encoded]
    return [*found, enrol(RecordRole.GARAGE).certificate, enrol(None).certificate]


def test_certificates_are_read_and_refused_alike_octet_by_octet(page: Page) -> None:
    random = Random(2)
    octets = certificates()
    for certificate in certificates():
        for place in range(len(certificate)):
            octets.append(certificate[:place] + bytes([certificate[place] ^ 1 << random.randrange(8)]) + certificate[place + 1 :])
        octets += [certificate[:-1], certificate + b"\x00", b""]

    def read(encoded: bytes) -> list[Json] | None:
        try:
            certificate = decode_certificate(encoded)
        except DecodeError:
            return None
        return [certificate.digest.hex(), certificate.canonical.hex(), certificate.name]

    here = [read(each) for each in octets]
    assert asked(page, CERTIFICATES, [each.hex() for each in octets]) == here
    assert 500 < sum(each is not None for each in here) < len(here) - 100


ODD_JSON = [
    b"", b"1", b" 1 ", b"01", b"-0", b"-", b"+1", b"1.0", b"1.", b".1", b"1e5", b"1e999", b"9007199254740991", b"9007199254740992",
    b"-9007199254740991", b"-9007199254740992", b"NaN", b"Infinity", b"-Infinity", b"true", b"True", b"nul", b"null1", b'"a"',
    b'"\\u0041"', b'"\\ud83d\\ude00"', b'"\\ud83d"', b'"\\ude00\\ud83d"', b'"\xf0\x9f\x98\x80"', b'"\xed\xa0\x80"', b'"\xff"',
    b"\xef\xbb\xbf1", b'"\t"', b'"\\t"', b'"\\x41"', b'"\\u00g1"', b'"\\u12', b'"', b"[", b"[]", b"[1,]", b"[,1]", b"[1 2]", b"{}",
    b'{"a":1}', b'{"a":1,}', b'{"a":1,"a":2}', b'{"a":{"b":1},"b":{"a":1}}', b"{a:1}", b'{"a" : [ 1 , 2 ] }', b'{"a"=1}', b"[1]x",
    b"[1]\n\n", b"\x0b[1]", b"[" * 16 + b"]" * 16, b"[" * 17 + b"]" * 17, b'{"a":' * 16 + b"1" + b"}" * 16,
    b'{"a":' * 17 + b"1" + b"}" * 17, b'"[[[[[[[[[[[[[[[[[[[["', b"[" * 4097, b"'a'", b"/**/1", b'{"__proto__":1,"__proto__":2}',
]  # fmt: skip


def test_json_of_too_many_values_is_refused_alike(page: Page) -> None:
    for count, is_read in ((MAX_JSON_VALUES, True), (MAX_JSON_VALUES + 1, False)):
        here = True
        try:
            parse_json(b"[" + b"1," * (count - 1) + b"1]", "text", 1 << 20)
        except DecodeError:
            here = False
        text = f"'[' + '1,'.repeat({count - 1}) + '1]'"
        read = f"try {{ parseJson(utf8({text}), 'text', 1048576); return true; }} catch (error) {{ return false; }}"
        assert here is page.evaluate(f"(() => {{ {read} }})()") is is_read


def test_json_is_read_and_refused_alike(page: Page) -> None:
    def is_read(data: bytes) -> bool:
        try:
            parse_json(data, "text", 4_096)
        except DecodeError:
            return False
        return True

    here = [is_read(each) for each in ODD_JSON]
    there = asked(page, STRICT_JSON, [each.hex() for each in ODD_JSON])
    assert [(a, b, each) for a, b, each in zip(here, there, ODD_JSON, strict=True) if a != b] == []
    assert 20 < sum(here) < len(here) - 20
