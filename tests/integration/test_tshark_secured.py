"""Wireshark's IEEE 1609.2 dissector, generated from the standard's ASN.1 by others, reads what we sign."""

import json
from pathlib import Path
from typing import Any

from shared.core.geo import GeoPoint
from shared.core.ids import BtpPort, HashedId8, ItsAid
from shared.network.btp import BtpB
from shared.network.extended import ShbHeader
from shared.network.headers import BasicHeader, BasicNextHeader, TrafficClass, encode_basic_header
from shared.network.packet import encode_gn_payload
from shared.pki.permission_sets import StationRole
from shared.security.ecdsa import Curve
from shared.security.region import CircularRegion, Location
from shared.security.sign import SigningService
from shared.transport.pcap import PcapWriter
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at, seconds
from tests.helpers.tshark import layers
from tests.unit.network.samples import VECTOR

TURIN = GeoPoint(45.07, 7.68)
PAYLOAD = encode_gn_payload(
    extended=ShbHeader(source=VECTOR),
    btp=BtpB(destination_port=BtpPort(2001), destination_port_info=0),
    message=bytes(40),
    traffic_class=TrafficClass(priority=2),
    is_mobile=True,
    max_hop_limit=None,
)
SECURED = encode_basic_header(BasicHeader(next_header=BasicNextHeader.SECURED, lifetime_ms=60_000, remaining_hop_limit=1))


def dissected(tmp_path: Path, *secured: bytes) -> list[list[tuple[str, str]]]:
    """Return the leaves of the 1609.2 layer of each message, in order."""
    path = tmp_path / "secured.pcap"
    with PcapWriter(path) as writer:
        for each in secured:
            writer.write(SECURED + each, utc=NOON)
    frames = layers(path, pairs=list)
    assert "_ws.malformed" not in json.dumps(frames)
    return [leaves(frame) for frame in frames]


def leaves(pairs: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in pairs:
        if isinstance(value, str):
            found.append((key, value))
        elif value and isinstance(value[0], tuple):
            found.extend(leaves(value))
    return found


def values(leaves_of_one: list[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in leaves_of_one if key == f"ieee1609dot2.{name}"]


def test_headers_and_certificates_say_to_others_what_we_meant(tmp_path: Path) -> None:
    hierarchy, clock = Hierarchy(1), clock_at()
    region = CircularRegion(centre=Location.of(TURIN), radius_m=5_000)
    service: SigningService = hierarchy.signing(hierarchy.ticket(StationRole.RSU, region=region))
    service.note_unknown_signer(HashedId8(b"\x00" * 5 + b"\x0a\x0b\x0c"))
    said = []
    for its_aid in (ItsAid.CAM, ItsAid.CAM, ItsAid.DENM, ItsAid.TLM):
        said.append(service.sign(PAYLOAD, its_aid, now=clock.now(), location=TURIN))
        clock.advance(seconds(0.1))
    service.note_requests((hierarchy.aa.certificate.hashed_id3,))
    said.append(service.sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=TURIN))

    first, second, denm, spatem, passing_on = dissected(tmp_path, *said)
    assert [values(each, "psid")[0] for each in (first, second, denm, spatem)] == ["36", "36", "37", "137"]
    assert [values(each, "signer") for each in (first, second, denm, spatem)] == [["1"], ["0"], ["1"], ["1"]]
    assert values(first, "HashedId3")[0] == "0a:0b:0c"
    assert values(second, "digest")[0] == ":".join(f"{octet:02x}" for octet in service.ticket.certificate.hashed_id8)
    place = values(denm, "latitude")[0], values(denm, "longitude")[0]
    assert place == (str(450_700_000), str(76_800_000))
    assert "5000" in values(first, "radius")
    assert values(first, "psid")[1:] == ["36", "37", "137", "138", "139", "141", "637"]
    assert hierarchy.aa.certificate.name in values(passing_on, "name")


def test_tickets_on_every_curve_of_its_edition_are_dissected(tmp_path: Path) -> None:
    """P-384 came with the edition of 2022, which this dissector does not know yet."""
    curves = (Curve.NIST_P256, Curve.BRAINPOOL_P256R1, Curve.BRAINPOOL_P384R1)
    hierarchy, clock = Hierarchy(2), clock_at()
    said = [
        hierarchy.signing(hierarchy.ticket(curve=curve)).sign(PAYLOAD, ItsAid.CAM, now=clock.now(), location=None)
        for curve in curves
    ]
    for curve, message in zip(curves, dissected(tmp_path, *said), strict=True):
        assert values(message, "signature") == [str(Curve.NIST_P256.index), str(curve.index)], curve
