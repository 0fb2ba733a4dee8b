"""Carries out an agent's effects: packets go to radios and capture, notices become JSON lines, the picture goes to who looks.

A medium that fails is told once, and once more when it is back (`RadioSet`, `Capture`); the agent never hears of it.
"""

from collections.abc import Awaitable, Callable

from shared.core.clock import Clock
from shared.service.capture import Capture
from shared.service.evidence import EvidenceFolder
from shared.service.notices import NoticeWriter
from shared.stack.effects import DriverView, Effect, Evidence, Notice, Transmit
from shared.transport.radio_set import RadioSet

Show = Callable[[DriverView], Awaitable[None]]
"""Hands a picture to whoever looks; deals itself with viewers that are gone."""


class Performer:
    """Carries out effects one after another.

    Args:
        clock: stamps notices and captured packets.
        radios: where packets go, to those they name or to all.
        capture: records what was sent, or None.
        source_mac: says what the station's link-layer address is at the moment; asked for every packet.
        notices: where notices go.
        evidence: where evidence is kept; None for an agent that can find none, because it asks for no transparency log.
        show: shows the driver the picture; None for an agent without a driver, or one nobody looks at.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        radios: RadioSet,
        capture: Capture | None,
        source_mac: Callable[[], bytes],
        notices: NoticeWriter,
        evidence: EvidenceFolder | None,
        show: Show | None = None,
    ) -> None:
        self._clock = clock
        self._radios = radios
        self._capture = capture
        self._source_mac = source_mac
        self._notices = notices
        self._evidence = evidence
        self._show = show
        self._followers: list[Callable[[Effect], None]] = []

    def follow(self, take: Callable[[Effect], None]) -> None:
        """Hand every effect on to `take` too, a packet only if a radio took it; `take` neither waits nor raises."""
        self._followers.append(take)

    async def __call__(self, effect: Effect) -> None:
        """Carry out one effect."""
        match effect:
            case Transmit(packet, links):
                source_mac, now = self._source_mac(), self._clock.now()
                took = await self._radios.send(packet, links=links, source_mac=source_mac)
                if self._capture is not None:
                    self._capture.sent(packet, now, source_mac=source_mac, links=took)
                if not took:
                    return
            case Notice():
                self._notices.write(effect, self._clock.now())
            case Evidence() if self._evidence is not None:
                self._evidence.keep(effect, self._clock.now())
            case DriverView() if self._show is not None:
                await self._show(effect)
            case _:
                pass
        for take in self._followers:
            take(effect)
