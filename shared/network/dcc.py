"""Reactive decentralised congestion control (TS 102 687 V1.2.1 annex A): how long a station is silent after each packet.

    channel busy ratio        < .30   .30    .40    .50    .60         < .30   .30    .40    .50    .65
    T_off                     100     200    400    500    1000 ms     50      100    200    250    1000 ms
    for T_on                  up to 1 ms (table A.1)                   up to 0.5 ms (table A.2)

A state changes to its neighbour only, one step at each update. Both tables have their own state, for they part at the top.
What is longer on the air than 1 ms is followed by a silence longer in proportion, so that the share of time used stays that of the
table. The tables bound a station's transmissions whatever they carry; which packet comes first is `gatekeeper`'s.
"""

from enum import IntEnum

from shared.core.clock import NS_PER_MS, NS_PER_S, NS_PER_US

BITS_PER_S = 6_000_000
"""Default rate of ITS-G5: QPSK 1/2 in a channel of 10 MHz."""

PREAMBLE_NS = 40 * NS_PER_US
"""Preamble and SIGNAL field."""

SHORT_NS = 500 * NS_PER_US
"""T_on of table A.2."""

USUAL_NS = 1_000 * NS_PER_US
"""T_on of table A.1."""


class DccState(IntEnum):
    """How busy the channel is taken to be (TS 102 687 V1.2.1 table A.1)."""

    RELAXED = 0
    ACTIVE_1 = 1
    ACTIVE_2 = 2
    ACTIVE_3 = 3
    RESTRICTIVE = 4


USUAL_THRESHOLDS = (0.30, 0.40, 0.50, 0.60)
"""Table A.1: the ratios at which the states above `RELAXED` begin."""

USUAL_T_OFF_NS = tuple(ms * NS_PER_MS for ms in (100, 200, 400, 500, 1_000))

SHORT_THRESHOLDS = (0.30, 0.40, 0.50, 0.65)
"""Table A.2."""

SHORT_T_OFF_NS = tuple(ms * NS_PER_MS for ms in (50, 100, 200, 250, 1_000))


def airtime_ns(octets: int) -> int:
    """Return how long a packet of so many octets occupies the channel (T_on)."""
    return PREAMBLE_NS + octets * 8 * NS_PER_S // BITS_PER_S


class ReactiveDcc:
    """The state of the channel as this station takes it to be; begins relaxed."""

    def __init__(self) -> None:
        self._usual = DccState.RELAXED
        self._short = DccState.RELAXED

    @property
    def state(self) -> DccState:
        """The state by table A.1."""
        return self._usual

    def update(self, busy_ratio: float) -> None:
        """Take a new channel busy ratio, 0..1: at most one step towards its state."""
        self._usual = _stepped(self._usual, busy_ratio, USUAL_THRESHOLDS)
        self._short = _stepped(self._short, busy_ratio, SHORT_THRESHOLDS)

    def t_off_ns(self, on_air_ns: int) -> int:
        """Return the least time from one packet of that airtime to the next."""
        if on_air_ns <= SHORT_NS:
            return SHORT_T_OFF_NS[self._short]
        usual_ns = USUAL_T_OFF_NS[self._usual]
        return usual_ns if on_air_ns <= USUAL_NS else usual_ns * on_air_ns // USUAL_NS


def _stepped(state: DccState, busy_ratio: float, thresholds: tuple[float, ...]) -> DccState:
    target = sum(busy_ratio >= threshold for threshold in thresholds)
    return DccState(state + (target > state) - (target < state))
