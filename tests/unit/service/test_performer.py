"""What a performer captures bears the address the station has at that moment."""

import asyncio
import io
import json
from pathlib import Path

from shared.core.errors import TransportError
from shared.service.log import make_logger
from shared.service.notices import NoticeWriter
from shared.service.performer import Performer
from shared.stack.effects import Notice, Transmit
from shared.transport.pcap import PcapWriter, read_pcap
from tests.helpers.hierarchy import NOON, clock_at

MACS = (bytes.fromhex("020000000001"), bytes.fromhex("0200000000ff"))


class Air:
    """A medium that keeps what it is given, and fails when told to."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.fails = False

    async def send(self, packet: bytes, *, source_mac: bytes) -> None:
        if self.fails:
            raise TransportError("air", "nobody is there")
        self.sent.append(packet)


def test_a_frame_bears_the_address_of_its_moment_and_a_failing_radio_is_told_once(tmp_path: Path) -> None:
    air, mac, notices, log = Air(), [MACS[0]], io.StringIO(), io.StringIO()
    with PcapWriter(tmp_path / "radio.pcap") as pcap:
        perform = Performer(
            clock=clock_at(NOON),
            radio=air,  # type: ignore[arg-type]
            pcap=pcap,
            source_mac=lambda: mac[0],
            notices=NoticeWriter(notices),
            evidence=None,
            log=make_logger(log),
        )

        async def go() -> None:
            await perform(Transmit(b"one"))
            mac[0] = MACS[1]
            await perform(Notice("pseudonym_changed", {"reason": "first"}))
            await perform(Transmit(b"two"))
            air.fails = True
            for _ in range(2):
                await perform(Transmit(b"lost"))

        asyncio.run(go())
    captured = list(read_pcap(tmp_path / "radio.pcap"))
    assert [(each.packet, each.source_mac) for each in captured[:2]] == [(b"one", MACS[0]), (b"two", MACS[1])]
    assert air.sent == [b"one", b"two"]
    assert json.loads(notices.getvalue())["kind"] == "pseudonym_changed"
    assert log.getvalue().count("nobody is there") == 1
