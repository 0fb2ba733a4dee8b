"""What a second thread gains the inbound path, beside what it gains bare verification in the same round.

The gain of the pool is over a station that receives the same batches on one thread, the fastest way there is without it.
"""

from collections.abc import Iterable

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RAW_VERIFY, RawP256
from shared.bench.rounds import PASSING_TIME, Side, Work, measure_rates
from shared.bench.statistics import pairwise
from shared.bench.traffic import Hierarchy, Packets, Traffic, in_batches
from shared.service.verification_pool import VerificationPool
from shared.stack.batch import SequentialChecker, SignatureChecker, receive_batch
from shared.stack.station import Station

ROUNDS = 8
"""The best of so many counts: on a machine with other work the second core is often not there."""

CARS = 32
LISTENER = 900_001

_RAW_THREADS = "raw P-256 verify on several threads"


class _Pair:
    """Two stations that hear the same packets: one alone, one with a pool."""

    def __init__(self, pool: VerificationPool) -> None:
        hierarchy = Hierarchy()
        self._traffic = Traffic(hierarchy, cars=CARS)
        self._alone = hierarchy.station(LISTENER)
        self._pooled = hierarchy.station(LISTENER + 1)
        self._pool = pool
        self._packets: Packets = []

    def alone(self, calls: int) -> Work:
        """Prepare packets for both, and the work of the one that has one thread."""
        self._packets = self._traffic.by_digest(calls, (self._alone, self._pooled))
        return self._receiving(self._alone, SequentialChecker())

    def pooled(self, _calls: int) -> Work:
        """Prepare the work of the one that has several."""
        return self._receiving(self._pooled, self._pool)

    def _receiving(self, station: Station, checker: SignatureChecker) -> Work:
        batches = in_batches(self._packets)

        def work() -> None:
            for batch, now in batches:
                receive_batch(station, batch, now, checker)

        return work


def threads(effort: Effort) -> Iterable[Figure]:
    """Measure the gain of the verification pool."""
    raw = RawP256()
    with VerificationPool(threads=effort.threads) as pool:
        pair = _Pair(pool)
        sides = {
            "alone": Side(pair.alone),
            "pooled": Side(pair.pooled),
            RAW_VERIFY: Side(raw.verifying),
            _RAW_THREADS: Side(raw.verifying_on(effort.threads)),
        }
        rates = measure_rates(sides, rounds=ROUNDS, calls=effort.calls, clock=PASSING_TIME)
    yield figure_of(
        "threads.gain",
        f"gain of the inbound path from {effort.threads} threads",
        Unit.TIMES,
        pairwise(rates["pooled"], rates["alone"]),
        limit=(f"gain of {RAW_VERIFY} from {effort.threads} threads", pairwise(rates[_RAW_THREADS], rates[RAW_VERIFY])),
        targets=(Target(measure=Measure.BEST_RATIO, bound=0.7),),
    )
    yield figure_of(
        "threads.inbound",
        f"receive a CAM, every check on, as a typed message, on {effort.threads} threads",
        Unit.PER_SECOND,
        rates["pooled"],
        limit=(_RAW_THREADS, rates[_RAW_THREADS]),
    )
