"""How far a witness is off the odometer of its vehicle by nature: tyres, gear ratios, a rounded speed. Learnt once, then kept.

It is learnt over the first tens of kilometres, from pieces of the way on which nothing was lost, and only while nobody has reason
to doubt the odometer. A factor says at most 4 %, whatever was measured: a device that swallowed more from the first metre on still
shows. Once settled it moves by a tenth of what each further hundred kilometres say, and at most 1 % away from where it settled, so
that nobody can teach it a little more each day. It is kept in a file that is no evidence: a factor out of bounds is not taken.
"""

from vehicle_agent.vehicle_memory import KnownFactor

LEARN_OVER_M = 20_000.0
"""Distance of the odometer after which a factor settles."""

RELEARN_OVER_M = 100_000.0
"""Distance of the odometer over which one is looked at again."""

BOUND = 0.04
"""The most a factor may be off one."""

DRIFT_BOUND = 0.01
"""The most it may go away from where it settled."""

ROUNDING = 1e-9
"""Of a factor that was kept at a bound."""

RELEARN_SHARE = 0.1
"""Share of a difference that is learnt at once."""


class Calibration:
    """The factor of one witness: metres of the odometer for each of its own.

    Args:
        source: its name in records.
        known: what was kept of it; None where nothing was, or this kind of witness is taken as it is.
        learns: whether it is off by a factor that stays at all.
    """

    def __init__(self, source: str, known: KnownFactor | None = None, *, learns: bool = True) -> None:
        self.source = source
        self.learns = learns
        self._settled: float | None = None
        self._factor = 1.0
        self._odometer_m = 0.0
        self._witness_m = 0.0
        if known is not None and learns:
            self._resume(known)

    @property
    def factor(self) -> float:
        """The factor to be used; one until it is settled."""
        return self._factor

    @property
    def is_settled(self) -> bool:
        """Whether it is known; one that is not learnt always is."""
        return self._settled is not None or not self.learns

    @property
    def learnt_over_m(self) -> float:
        """Distance of the odometer it has been learnt over so far, since it settled or before."""
        return self._odometer_m

    def learn(self, odometer_m: float, witness_m: float) -> bool:
        """Take a piece of the way on which nothing was lost, in metres of each; return whether the factor has changed."""
        if not self.learns:
            return False
        self._odometer_m += odometer_m
        self._witness_m += witness_m
        if self._settled is None:
            if self._odometer_m < LEARN_OVER_M or self._witness_m <= 0:
                return False
            self._settled = self._factor = _bounded(self._odometer_m / self._witness_m, 1.0, BOUND)
        else:
            if self._odometer_m < RELEARN_OVER_M or self._witness_m <= 0:
                return False
            moved = self._factor + RELEARN_SHARE * (self._odometer_m / self._witness_m - self._factor)
            self._factor = _bounded(_bounded(moved, self._settled, DRIFT_BOUND), 1.0, BOUND)
        self._odometer_m = self._witness_m = 0.0
        return True

    def forget_pieces(self) -> None:
        """Somebody has reason to doubt the odometer: what was learnt since the last factor does not count."""
        self._odometer_m = self._witness_m = 0.0

    def kept(self, short_m: float, share: float) -> KnownFactor:
        """Return what is to be kept of it over a restart, with the doubt there is: metres, and the share of the way they are."""
        ratio = self._odometer_m / self._witness_m if self._witness_m > 0 else 1.0
        return KnownFactor(
            source=self.source,
            factor=self._factor if self._settled is not None else ratio,
            learnt_over_m=round(self._odometer_m),
            settled=self._settled,
            short_m=round(short_m),
            short_permille=round(share * 1_000),
        )

    def _resume(self, known: KnownFactor) -> None:
        if known.settled is None:
            if 0 <= known.learnt_over_m < LEARN_OVER_M and known.factor > 0:
                self._odometer_m = float(known.learnt_over_m)
                self._witness_m = known.learnt_over_m / known.factor
        elif abs(known.settled - 1.0) <= BOUND + ROUNDING and abs(known.factor - known.settled) <= DRIFT_BOUND + ROUNDING:
            self._settled = known.settled
            self._factor = _bounded(known.factor, 1.0, BOUND)


def _bounded(value: float, middle: float, by: float) -> float:
    return min(max(value, middle - by), middle + by)
