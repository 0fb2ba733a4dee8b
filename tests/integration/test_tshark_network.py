"""Wireshark's dissector, written by others from the same standard, reads what we write."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.core.clock import UtcNs
from shared.core.ids import BtpPort
from shared.network.btp import BtpB
from shared.network.extended import ChannelLoad, ExtendedHeader, GacHeader, GbcHeader, ShbHeader
from shared.network.headers import BasicHeader, BasicNextHeader, TrafficClass, encode_basic_header
from shared.network.packet import encode_beacon, encode_gn_payload
from tests.helpers.tshark import layers_of
from tests.unit.network.samples import CIRCLE, ELLIPSE, RECTANGLE, VECTOR

UTC = UtcNs(1_800_000_000_000_000_000)
UNKNOWN_PORT = 40_000
"""A port no dissector claims, so what follows BTP is plain data."""

SHB = ShbHeader(source=VECTOR)
SHB_WITH_LOAD = ShbHeader(source=VECTOR, channel_load=ChannelLoad(busy_ratio=0.2, neighbours_busy_ratio=0.4, power_dbm=23))
GBC = GbcHeader(sequence_number=258, source=VECTOR, area=CIRCLE)


def unsecured(extended: ExtendedHeader, *, port: int = UNKNOWN_PORT, hops: int = 1) -> bytes:
    return basic(hops) + encode_gn_payload(
        extended=extended,
        btp=BtpB(destination_port=port, destination_port_info=7),
        message=b"\x02\x63message",
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
        max_hop_limit=None if isinstance(extended, ShbHeader) else hops,
    )


def basic(hops: int) -> bytes:
    return encode_basic_header(BasicHeader(next_header=BasicNextHeader.COMMON, lifetime_ms=60_000, remaining_hop_limit=hops))


def dissected(tmp_path: Path, *packets: bytes) -> list[dict[str, Any]]:
    """Return the layers tshark finds in each packet."""
    return layers_of(tmp_path, packets, utc=UTC, source_mac=VECTOR.address.mac)


def fields(layer: dict[str, Any]) -> dict[str, str]:
    """Flatten one layer to its leaves."""
    flat: dict[str, str] = {}
    for name, value in layer.items():
        if isinstance(value, dict):
            flat |= fields(value)
        else:
            flat[name] = value
    return flat


def test_every_kind_of_packet_is_dissected_with_nothing_malformed(tmp_path: Path) -> None:
    packets = [
        unsecured(SHB),
        unsecured(SHB_WITH_LOAD),
        unsecured(GBC, hops=10),
        unsecured(replace(GBC, area=RECTANGLE), hops=10),
        unsecured(replace(GBC, area=ELLIPSE), hops=10),
        unsecured(GacHeader(sequence_number=9, source=VECTOR, area=ELLIPSE), hops=10),
        unsecured(ShbHeader(source=replace(VECTOR, position=None, is_accurate=False))),
    ]
    layers = dissected(tmp_path, *packets)
    assert [found["frame"]["frame.protocols"] for found in layers] == ["eth:ethertype:gnw:btpb:data"] * len(packets)
    for found in layers:
        assert "malformed" not in json.dumps(found).lower()
        assert fields(found["btpb"])["btpb.dstport"] == str(UNKNOWN_PORT)
        assert fields(found["btpb"])["btpb.dstportinf"] == "0x0007"


def test_every_field_of_a_geocast_has_the_value_we_meant(tmp_path: Path) -> None:
    (layers,) = dissected(tmp_path, unsecured(replace(GBC, area=RECTANGLE), hops=10))
    read = fields(layers["gnw"])
    expected = {
        "bh.version": "1",
        "bh.lt.mult": "6",
        "bh.lt.base": "2",
        "bh.rhl": "10",
        "ch.htype": "0x41",
        "ch.tc.id": "2",
        "ch.flags.mob": "1",
        "ch.plength": "13",
        "ch.mhl": "10",
        "seq_num": "0x0102",
        "src_pos.addr.manual": "0",
        "src_pos.addr.type": "5",
        "src_pos.addr.mid": "02:00:00:00:00:2a",
        "src_pos.tst": str(0x01020304),
        "src_pos.lat": "481000000",
        "src_pos.long": "-115000000",
        "src_pos.pai": "1",
        "src_pos.speed": "-321",
        "src_pos.hdg": "2713",
        "gxc.latitude": "481000000",
        "gxc.longitude": "115000000",
        "gxc.distancea": "300",
        "gxc.distanceb": "20",
        "gxc.angle": "45",
    }
    assert {name: read[f"geonw.{name}"] for name in expected} == expected


def test_the_power_beside_a_channel_load_has_the_value_we_meant(tmp_path: Path) -> None:
    (layers,) = dissected(tmp_path, unsecured(SHB_WITH_LOAD))
    assert fields(layers["gnw"])["geonw.outpower"] == "23"


def test_a_beacon_is_dissected_with_nothing_malformed(tmp_path: Path) -> None:
    (layers,) = dissected(tmp_path, basic(1) + encode_beacon(VECTOR, is_mobile=True))
    assert layers["frame"]["frame.protocols"] == "eth:ethertype:gnw"
    assert "malformed" not in json.dumps(layers).lower()


def test_the_source_of_a_frame_is_the_address_of_the_packet(tmp_path: Path) -> None:
    (layers,) = dissected(tmp_path, unsecured(SHB))
    assert layers["eth"]["eth.src"] == "02:00:00:00:00:2a"
    assert layers["eth"]["eth.dst"] == "ff:ff:ff:ff:ff:ff"
    assert float(layers["frame"]["frame.time_epoch"]) == 1_800_000_000.0


@pytest.mark.parametrize("port", [BtpPort.CAM, BtpPort.DENM, BtpPort.MAPEM, BtpPort.SPATEM])
def test_a_well_known_port_leads_to_its_dissector(tmp_path: Path, port: BtpPort) -> None:
    (layers,) = dissected(tmp_path, unsecured(SHB, port=port))
    assert layers["frame"]["frame.protocols"].startswith("eth:ethertype:gnw:btpb:its")
