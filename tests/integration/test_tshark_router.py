"""What a router lets out, read by tshark: single hops, geocasts of each shape, a forwarded one, beacons; all signed."""

import json
import re
from pathlib import Path

from shared.core.clock import NS_PER_S
from shared.network.area import Area, Circle, Ellipse, Rectangle
from shared.network.headers import forwarded
from shared.stack.effects import Transmit
from shared.transport.pcap import PcapWriter
from tests.helpers.hierarchy import NOON
from tests.helpers.identities import HERE
from tests.helpers.scene import Member, Scene
from tests.helpers.tshark import complaints, layers

AREAS: tuple[Area, ...] = (
    Circle(centre=HERE, radius_m=500.0),
    Rectangle(centre=HERE, a_m=400.0, b_m=50.0, azimuth_deg=45.0),
    Ellipse(centre=HERE, a_m=300.0, b_m=20.0, azimuth_deg=270.0),
)


def said() -> tuple[Member, list[bytes]]:
    """Let one station say everything, and a beacon after a while."""
    scene = Scene()
    car = scene.put_up(1, HERE, "a")
    packets = [scene.say(car, None)]
    for number, area in enumerate(AREAS):
        scene.run(1_000)
        packets.append(scene.say(car, area, sequence_number=number))
    assert None not in packets
    whole = [packet for packet in packets if packet is not None]
    whole.append(forwarded(whole[1]))
    now = scene.clock.advance(4 * NS_PER_S)
    car.router.place(car.place(now))
    (beacon,) = car.router.poll(now)
    assert isinstance(beacon, Transmit)
    return car, [*whole, beacon.packet]


def captured(tmp_path: Path, packets: list[bytes]) -> Path:
    path = tmp_path / "router.pcap"
    with PcapWriter(path) as writer:
        for packet in packets:
            writer.write(packet, utc=NOON)
    return path


def test_everything_a_router_lets_out_is_dissected_with_nothing_malformed_and_no_warning_but_the_hops(tmp_path: Path) -> None:
    _car, packets = said()
    path = captured(tmp_path, packets)
    found = layers(path, "--no-duplicate-keys")
    assert len(found) == len(packets)
    assert "malformed" not in json.dumps(found).lower()
    kinds = [re.search(r'"geonw.ch.htype": "(0x\w+)"', json.dumps(each)) for each in found]
    assert [each and each[1] for each in kinds] == ["0x50", "0x40", "0x41", "0x42", "0x40", "0x10"]
    psids = [re.search(r'"ieee1609dot2.psid": "(\d+)"', json.dumps(each)) for each in found]
    assert [each and each[1] for each in psids] == ["36", "37", "37", "37", "37", "141"]
    hops = [re.search(r'"geonw.bh.rhl": "(\d+)"', json.dumps(each)) for each in found]
    assert [each and each[1] for each in hops] == ["1", "10", "10", "10", "9", "1"]


def test_tshark_has_no_expert_s_objection_but_the_hop_limit_s(tmp_path: Path) -> None:
    _car, packets = said()
    assert not complaints(captured(tmp_path, packets))
