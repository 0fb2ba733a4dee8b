"""`v2x replay-radio`: a capture put back on the air, octet for octet and at its own pace, so that an agent can hear it.

Nothing is signed anew and no time is changed, so a live agent judges a replayed packet like any other that comes late: one that is
older than its rules allow is counted and refused as stale, one it heard before as a replay. That is what a replay is for: to see
what an agent does with real traffic. What a capture says is shown by `v2x decode`, whether it was true by `v2x verify`.

Exit status: 0 everything was sent; 1 a packet could not be sent, or the capture is damaged or cut short (every whole packet before
that is sent); 2 wrong usage.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console

from shared.cli.dissection import dissect
from shared.cli.source import Kind
from shared.core.clock import NS_PER_S, TimeSource, UtcNs
from shared.core.errors import ConfigError, DecodeError, TransportError, V2xError
from shared.service.config import load
from shared.service.mqtt_config import MqttRadioConfig, open_mqtt_radio
from shared.service.system_clock import SystemClock
from shared.transport.capture import read_capture
from shared.transport.ether_radio import EtherRadio
from shared.transport.link_frames import UNKNOWN_MAC
from shared.transport.mqtt_radio import MqttRadio
from shared.transport.net_interface import address_of
from shared.transport.pcap import CapturedPacket
from shared.transport.radio import Radio
from shared.transport.udp_radio import LOOPBACK_INTERFACE, UdpRadio

MAX_SPEED = 1_000_000.0
MIN_SPEED = 0.001
MAX_LOOPS = 1_000_000

BROKER_PATIENCE_S = 10.0
"""How long a broker may take to let us in, and at the end to take what it has not got yet."""

PROGRESS_EVERY_S = 0.5


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a replay has done so far.

    Attributes:
        sent: packets the medium took.
        unsent: packets it refused.
        expired: packets no broker is given, because they are of no use any more.
        passed_over: packets the filter did not want.
        loops: times the capture was gone through to its end.
        last_refusal: why the last refused packet was refused.
    """

    sent: int = 0
    unsent: int = 0
    expired: int = 0
    passed_over: int = 0
    loops: int = 0
    last_refusal: str | None = None


def replay_radio(
    capture: Annotated[Path, typer.Argument(help="A capture of either kind: pcap or pcapng.", metavar="FILE")],
    udp: Annotated[
        str | None,
        typer.Option(metavar="GROUP:PORT[@IFACE]", help="Send by UDP multicast; IFACE is an interface or its IPv4 address."),
    ] = None,
    ethernet: Annotated[
        str | None, typer.Option(metavar="IFACE", help="Send as raw Ethernet frames, with the captured source addresses.")
    ] = None,
    mqtt: Annotated[
        Path | None, typer.Option(metavar="CONFIG", help="Send to a broker: a TOML file with the keys of one radio.")
    ] = None,
    speed: Annotated[float, typer.Option(min=MIN_SPEED, max=MAX_SPEED, help="How many times as fast as it was captured.")] = 1.0,
    loop: Annotated[int, typer.Option(min=1, max=MAX_LOOPS, help="How many times.")] = 1,
    only: Annotated[str | None, typer.Option("--filter", help="Only packets with this layer (cam, denm, gbc ...).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,  # noqa: FBT002
) -> None:
    """Put a capture on the air at its own pace, octet for octet. Nothing is signed anew.

    A live agent refuses what is older than its rules allow (an awareness message: seconds), so it counts the packets of an old
    capture as stale; and a broker is not given what is of no use any more.
    """
    if sum(chosen is not None for chosen in (udp, ethernet, mqtt)) != 1:
        raise ConfigError("--udp, --ethernet, --mqtt", "exactly one says where to")
    if not capture.is_file():
        raise ConfigError(str(capture), "is no file")
    replayed = Replayed()
    damage = asyncio.run(_replay(capture, _Medium(udp, ethernet, mqtt), replayed, speed=speed, loops=loop, only=only))
    typer.echo(
        json.dumps({"capture": str(capture), **asdict(replayed), "damage": damage and str(damage)}) if as_json else _told(replayed)
    )
    if damage is not None:
        raise damage
    if not replayed.sent + replayed.unsent + replayed.expired:
        wanted = "no GeoNetworking packet" if only is None else f"no packet that is {only!r}"
        raise DecodeError(capture.name, f"holds {wanted}")
    if replayed.unsent:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Medium:
    """Where to; one of the three is named."""

    udp: str | None
    ethernet: str | None
    mqtt: Path | None

    @asynccontextmanager
    async def opened(self, replayed: Replayed) -> AsyncIterator[Radio]:
        """Open the radio and wait until it can be used; at the end wait until all is out."""
        clock = SystemClock(TimeSource.ASSUME_TRUSTED)
        radio: Radio
        if self.mqtt is not None:
            radio = open_mqtt_radio(load(self.mqtt, MqttRadioConfig), clock=clock)
        elif self.ethernet is not None:
            radio = EtherRadio.open(clock=clock, interface=self.ethernet)
        else:
            group, port, interface = _udp_place(self.udp or "")
            radio = UdpRadio.open(clock=clock, group=group, port=port, interface=interface)
        try:
            if isinstance(radio, MqttRadio):
                await _in_time(radio.settled(), radio)
            elif radio.fault is not None:
                raise TransportError(self.udp or self.ethernet or "", radio.fault)
            yield radio
            if isinstance(radio, MqttRadio):
                await _in_time(radio.drained(), radio)
                replayed.expired = int(str(radio.status()["expired"]))
                replayed.sent -= replayed.expired
        finally:
            radio.close()


async def _in_time(waiting: Awaitable[None], radio: MqttRadio) -> None:
    try:
        async with asyncio.timeout(BROKER_PATIENCE_S):
            await waiting
    except TimeoutError:
        raise TransportError(radio.endpoint, radio.fault or f"does not answer within {BROKER_PATIENCE_S:g} s") from None


async def _replay(
    capture: Path, medium: _Medium, replayed: Replayed, *, speed: float, loops: int, only: str | None
) -> V2xError | None:
    """Send the capture; return why it ends early, if it does."""
    loop = asyncio.get_running_loop()
    console = Console(stderr=True)
    with console.status("replaying", refresh_per_second=2.0) if sys.stderr.isatty() else _Silent() as line:
        async with medium.opened(replayed) as radio:
            for _ in range(loops):
                packets = read_capture(capture)
                began_s, shown_s, pace = loop.time(), loop.time(), _Pace(speed)
                while True:
                    try:
                        captured = next(packets, None)
                    except DecodeError as damage:
                        return damage
                    if captured is None:
                        break
                    if only is not None and not _is_of(captured, only.lower()):
                        replayed.passed_over += 1
                        continue
                    await asyncio.sleep(max(0.0, began_s + pace.due_s(captured.utc) - loop.time()))
                    await _send(radio, captured, replayed)
                    if loop.time() - shown_s >= PROGRESS_EVERY_S:
                        shown_s = loop.time()
                        line.update(f"replaying: {replayed.sent} sent, {replayed.unsent} refused, frame {captured.frame_number}")
                replayed.loops += 1
    return None


class _Silent:
    """A progress line nobody looks at."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_ended: object) -> None:
        pass

    def update(self, line: str) -> None:
        pass


class _Pace:
    """When packets are due, in seconds from the first; a capture's time that runs backwards stands still."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._first: UtcNs | None = None
        self._latest_s = 0.0

    def due_s(self, utc: UtcNs) -> float:
        if self._first is None:
            self._first = utc
        self._latest_s = max(self._latest_s, (utc - self._first) / NS_PER_S / self._speed)
        return self._latest_s


async def _send(radio: Radio, captured: CapturedPacket, replayed: Replayed) -> None:
    # A broker knows one sender by one session; a capture of many senders is published by one.
    source_mac = UNKNOWN_MAC if isinstance(radio, MqttRadio) else captured.source_mac
    try:
        await radio.send(captured.packet, source_mac=source_mac)
    except TransportError as refusal:
        replayed.unsent += 1
        replayed.last_refusal = str(refusal)
    else:
        replayed.sent += 1


def _is_of(captured: CapturedPacket, word: str) -> bool:
    return any(layer.name == word for layer in dissect(captured.packet, Kind.GN_PACKET, received=captured.utc).layers)


def _udp_place(text: str) -> tuple[str, int, str]:
    """Take GROUP:PORT[@IFACE] apart; raises `ConfigError`."""
    place, _at, interface = text.partition("@")
    group, colon, port = place.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65_535:
        raise ConfigError("--udp", f"{text!r} is not GROUP:PORT or GROUP:PORT@IFACE")
    if not interface:
        return group, int(port), LOOPBACK_INTERFACE
    if interface.replace(".", "").isdigit():
        return group, int(port), interface
    address = address_of(interface)
    if address is None:
        raise ConfigError("--udp", f"interface {interface} has no IPv4 address")
    return group, int(port), str(address)


def _told(replayed: Replayed) -> str:
    return "\n".join(_sentences(replayed))


def _sentences(replayed: Replayed) -> Iterator[str]:
    yield f"{replayed.sent} packets sent."
    if replayed.passed_over:
        yield f"{replayed.passed_over} were passed over."
    if replayed.expired:
        yield f"{replayed.expired} are of no use any more and were not given to the broker."
    if replayed.unsent:
        yield f"{replayed.unsent} could not be sent, the last because: {replayed.last_refusal}"
