"""A receiver as the agent's shell has it: its line kept open, what it says judged, news handed on, the clock told the date.

The line is opened again after every failure, with growing pauses, and a receiver that says nothing for `SILENCE_S` is a failure
too. That it is away is told once, and that it has jumped: until another fix confirms that, the car is nowhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_MS, Clock, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, TransportError
from shared.service.log import Availability
from shared.service.run import seconds_until
from shared.service.system_clock import RELEASE_UTC
from shared.transport.radio import NOT_YET
from vehicle_agent.gnss.fix import Fix
from vehicle_agent.gnss.gnss_input import GnssInput
from vehicle_agent.gnss.gpsd import GpsdParser
from vehicle_agent.gnss.line import ReceiverLine, open_line, place_of
from vehicle_agent.gnss.nmea import NmeaParser
from vehicle_agent.gnss.report_parser import ReportParser
from vehicle_agent.position_config import GpsdPosition, ReceiverPosition
from vehicle_agent.vehicle_state import SignalUpdate

SILENCE_S = 10.0
"""A receiver speaks at least once a second, also without a fix."""

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 10.0
"""The first pause before a line is opened again, and the longest."""

HandOn = Callable[[tuple[SignalUpdate, ...]], Awaitable[None]]
"""Takes news about the car; waits while the agent has much to do."""

SetDate = Callable[[UtcNs, MonotonicNs], None]
"""Takes a date and the interval time at which it was true: `SystemClock.give_fix`."""


class GnssReceiver:
    """One receiver.

    Args:
        config: where it is.
        fields: what it feeds.
        clock: stamps what it says.
        log: told when it goes and comes.
        hand_on: takes the news.
        set_date: takes the date.
        is_reversing: tells whether the car says that it goes backwards.
        not_before: no true date is earlier.
    """

    def __init__(
        self,
        config: ReceiverPosition,
        *,
        fields: Collection[str],
        clock: Clock,
        log: FilteringBoundLogger,
        hand_on: HandOn,
        set_date: SetDate,
        is_reversing: Callable[[], bool],
        not_before: UtcNs = RELEASE_UTC,
    ) -> None:
        self._config = config
        self._clock = clock
        self._hand_on = hand_on
        self._set_date = set_date
        self._is_reversing = is_reversing
        self.endpoint = place_of(config)
        self._parser = parser_for(config)
        self._input = GnssInput(fields=fields, not_before=not_before, delay_ns=config.delay_ms * NS_PER_MS)
        self._line = Availability(log, f"gnss {self.endpoint}")
        self._place = Availability(log, "gnss position")
        self._interruptions = 0
        self._fault: str | None = NOT_YET

    async def run(self) -> None:
        """Listen until cancelled."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                async with open_line(self._config) as line:
                    self._parser.restart()
                    line.write(self._parser.greeting)
                    while True:
                        for fix in await self._next_fixes(line):
                            self._fault = None
                            self._line.works()
                            await self._take(fix)
                            pause_s = RETRY_FIRST_S
            except (TransportError, DecodeError) as failure:
                self._interruptions += 1
                self._fault = failure.reason
                self._line.lost(failure.reason)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)

    def status(self) -> dict[str, object]:
        """Return counts as JSON values."""
        return {
            "source": self.endpoint,
            "is_up": self._fault is None,
            "last_fault": self._fault,
            "interruptions": self._interruptions,
            **self._input.status(self._clock.now().monotonic),
            "faults": dict(self._parser.faults),
            "receiver": self._parser.status(),
        }

    async def _next_fixes(self, line: ReceiverLine) -> tuple[Fix, ...]:
        """Wait for the next fixes; raises `TransportError` after a silence."""
        silent_at = asyncio.get_running_loop().time() + SILENCE_S
        while True:
            left_s = silent_at - asyncio.get_running_loop().time()
            due_s = seconds_until(self._parser.next_due(), self._clock.now().monotonic)
            try:
                async with asyncio.timeout(left_s if due_s is None else min(left_s, due_s)):
                    octets = await line.read()
            except TimeoutError:
                fixes = self._parser.poll(self._clock.now().monotonic)
            else:
                fixes = self._parser.receive(octets, self._clock.now().monotonic)
            if fixes:
                return fixes
            if asyncio.get_running_loop().time() >= silent_at:
                raise TransportError(self.endpoint, f"says nothing of a position for {SILENCE_S:g} s")

    async def _take(self, fix: Fix) -> None:
        news = self._input.on_fix(fix, is_reversing=self._is_reversing())
        if news.date is not None:
            self._set_date(*news.date)
        if self._input.is_in_doubt:
            self._place.lost(f"it jumped by {self._input.last_jump_m or 0.0:.0f} m; other fixes have to confirm that")
        else:
            self._place.works()
        if news.updates:
            await self._hand_on(news.updates)


def parser_for(config: ReceiverPosition) -> ReportParser:
    """Return what reads the language of a receiver."""
    return GpsdParser(config.device) if isinstance(config, GpsdPosition) else NmeaParser()
