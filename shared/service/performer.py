"""Carries out the effects of an agent: packets go to the radio and the capture, notices become JSON lines.

A medium that fails is told once, and once more when it is back; the agent never hears of it.
"""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock, Instant
from shared.core.errors import StorageError, TransportError
from shared.service.evidence import EvidenceFolder
from shared.service.log import Availability
from shared.service.notices import NoticeWriter
from shared.stack.effects import Effect, Evidence, Notice, Transmit
from shared.transport.pcap import PcapWriter
from shared.transport.radio import Radio


class Performer:
    """Carries out effects one after another.

    Args:
        clock: stamps notices and captured packets.
        radio: where packets go.
        pcap: a capture of what was sent, or None.
        source_mac: says what the station's link-layer address is at the moment; asked for every packet captured.
        notices: where notices go.
        evidence: where evidence is kept; None for an agent that can find none, because it asks for no transparency log.
        log: told of changes only.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        radio: Radio,
        pcap: PcapWriter | None,
        source_mac: Callable[[], bytes],
        notices: NoticeWriter,
        evidence: EvidenceFolder | None,
        log: FilteringBoundLogger,
    ) -> None:
        self._clock = clock
        self._radio = radio
        self._pcap = pcap
        self._source_mac = source_mac
        self._notices = notices
        self._evidence = evidence
        self._radio_state = Availability(log, "radio")
        self._pcap_state = Availability(log, "pcap")

    async def __call__(self, effect: Effect) -> None:
        """Carry out one effect."""
        now = self._clock.now()
        match effect:
            case Transmit(packet):
                try:
                    await self._radio.send(packet, source_mac=self._source_mac())
                    self._radio_state.works()
                except TransportError as failure:
                    self._radio_state.lost(str(failure))
                self._capture(packet, now)
            case Notice():
                self._notices.write(effect, now)
            case Evidence() if self._evidence is not None:
                self._evidence.keep(effect, now)

    def _capture(self, packet: bytes, now: Instant) -> None:
        if self._pcap is None or now.utc is None:
            return
        try:
            self._pcap.write(packet, utc=now.utc, source_mac=self._source_mac())
            self._pcap_state.works()
        except StorageError as failure:
            self._pcap_state.lost(str(failure))
