"""What a performer sends and captures bears the address the station has at that moment, and goes where it is meant to."""

import asyncio
import io
import json
from pathlib import Path

from shared.service.capture import Capture
from shared.service.log import Availability, make_logger
from shared.service.notices import NoticeWriter
from shared.service.performer import Performer
from shared.stack.effects import DriverView, Effect, Notice, Transmit
from shared.transport.capture import open_capture, read_capture
from shared.transport.radio import MemoryMedium
from shared.transport.radio_set import RadioSet
from tests.helpers.hierarchy import NOON, clock_at

MACS = (bytes.fromhex("020000000001"), bytes.fromhex("0200000000ff"))


def test_a_frame_bears_the_address_of_its_moment_and_the_radios_that_took_it(tmp_path: Path) -> None:
    clock, mac, notices, log, shown = clock_at(NOON), [MACS[0]], io.StringIO(), make_logger(io.StringIO()), []
    carried_out: list[Effect] = []
    air, net = MemoryMedium(clock, "air"), MemoryMedium(clock, "net")

    async def show(view: DriverView) -> None:
        shown.append(view.fields)

    async def scene() -> None:
        on_air, on_net, there = air.open_radio(), net.open_radio(), air.open_radio()
        radios = RadioSet({"air": on_air, "net": on_net}, listener_for=lambda name: Availability(log, name))
        with Capture(open_capture(tmp_path / "radio.pcapng"), records_heard=False, log=log) as capture:
            perform = Performer(
                clock=clock,
                radios=radios,
                capture=capture,
                source_mac=lambda: mac[0],
                notices=NoticeWriter(notices),
                evidence=None,
                show=show,
            )
            perform.follow(carried_out.append)
            await perform(Transmit(b"one"))
            mac[0] = MACS[1]
            await perform(Notice("pseudonym_changed", {"reason": "first"}))
            await perform(DriverView({"speed_advice_mps": 12.5}))
            await perform(Transmit(b"two", frozenset({"air"})))
            on_air.close()
            await perform(Transmit(b"lost", frozenset({"air"})))
            assert capture.status() == {"written": 3, "skipped": 0, "works": True}
        heard = [await there.receive() for _ in range(2)]
        assert [(each.packet, each.sender_mac) for each in heard] == [(b"one", MACS[0]), (b"two", MACS[1])]
        radios.close()

    asyncio.run(scene())
    captured = [(each.packet, each.source_mac, each.link) for each in read_capture(tmp_path / "radio.pcapng")]
    assert captured == [(b"one", MACS[0], "air"), (b"one", MACS[0], "net"), (b"two", MACS[1], "air")]
    assert json.loads(notices.getvalue())["kind"] == "pseudonym_changed"
    assert shown == [{"speed_advice_mps": 12.5}]
    went_out = [each.packet for each in carried_out if isinstance(each, Transmit)]
    assert went_out == [b"one", b"two"], "what no radio took was not said"
    assert len(carried_out) == 4
