"""One witness held to the odometer: how much of what it saw the odometer did not count.

The way is cut into pieces where the odometer has just turned, for only then is it exact. Of each piece, what the witness saw,
less a share it may be off by, less what the odometer counted, is added to a sum that never falls below nothing (a one-sided CUSUM).
An honest odometer keeps the sum near nothing however long the way; a device that swallows a share of the distance makes it grow
with every metre by that share less the tolerated one, from wherever it is switched on. So with 5 % tolerated and 300 m allowed a
swallowed half shows after 0.7 km, and a tenth after 6 km.

Where the witness lost sight on a piece, it saw too little: such a piece can add to the sum, never take from it.
"""

from collections import deque
from dataclasses import dataclass

from vehicle_agent.odometer.calibration import Calibration
from vehicle_agent.odometer.distance import Distance
from vehicle_agent.vehicle_memory import KnownFactor

TOLERATED = 0.05
"""Share a witness may be off before its factor is known, and one whose factor is not learnt."""

TOLERATED_SETTLED = 0.025
"""Share a witness may be off its factor."""

ALLOWED_M = 300.0
"""What the sum may come to: moments of turning and of looking differ."""

DOUBTFUL_M = 150.0
"""A sum above this is reason enough not to learn from the odometer."""

MIN_PIECE_M = 100.0
"""Shortest piece of an odometer that counts finer."""

OVER_TOLERATED = 0.10
OVER_ALLOWED_M = 1_000.0
"""Likewise for an odometer that counts more than the witness saw, where a witness that slips or sleeps is no reason to accuse."""

MAX_PIECES = 256
"""Pieces remembered of the way behind."""

MOST_REMEMBERED_M = 2 * ALLOWED_M
"""The greatest sum that is taken over from before a restart."""

MOST = 0.7
"""Share of a way that a witness must have seen to speak for an odometer."""


@dataclass(frozen=True, slots=True)
class _Corner:
    """Where a piece begins: the odometer, what the witness had seen by then, and how often it had lost sight; -1 where it does."""

    odometer_m: float
    seen_m: float
    gaps: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the way: what the odometer counted, what the witness saw, and whether it saw all of it."""

    counted_m: float
    seen_m: float
    is_whole: bool


class Comparison:
    """The account of one witness against the odometer that is recorded.

    Args:
        seen: what the witness saw.
        calibration: how far it is off by nature.
        known: what is remembered of the witness; None where nothing is.
    """

    def __init__(self, seen: Distance, calibration: Calibration, known: KnownFactor | None = None) -> None:
        self.seen = seen
        self.calibration = calibration
        self.short_m = 0.0
        """The sum: metres the odometer is short that nothing explains."""
        self.over_m = 0.0
        """Likewise the metres it is over."""
        self.judged_m = 0.0
        """Metres of the odometer on pieces where nothing was lost."""
        self.apart_m = 0.0
        """What the witness saw more there than the odometer counted."""
        self._window = _Piece(0.0, 0.0, is_whole=True)
        self._blur_m = 0.0
        self._amends_m = 0.0
        self._accused_share: float | None = None
        self._corner: _Corner | None = None
        self._is_exact = False
        self._changed: tuple[float, float] | None = None
        self._seen_at_reading_m = 0.0
        self._last_m = 0.0
        self._has_thawed = False
        self._thaws = 0
        self._pieces: deque[_Piece] = deque(maxlen=MAX_PIECES)
        if known is not None:
            self._resume(known)

    @property
    def tolerated(self) -> float:
        """The share the witness may be off."""
        return TOLERATED_SETTLED if self.calibration.learns and self.calibration.is_settled else TOLERATED

    @property
    def is_short(self) -> bool:
        """Whether the odometer counts too little by this witness: from when the sum has grown too great until it is made good."""
        return self._accused_share is not None and not self._has_thawed

    @property
    def is_over(self) -> bool:
        """Whether it counts too much."""
        return self.over_m > OVER_ALLOWED_M + 2 * (self._blur_m + self.seen.step_m)

    @property
    def is_doubtful(self) -> bool:
        """Whether there is reason enough not to learn from the odometer."""
        return self.short_m > DOUBTFUL_M + self._blur_m + self.seen.step_m

    @property
    def counted_m(self) -> float:
        """Metres the odometer counted since the sum was last nothing."""
        return self._window.counted_m

    @property
    def share(self) -> float:
        """Share of what the witness saw since the sum was last nothing that the odometer did not count."""
        window = self._window
        return max(0.0, 1.0 - window.counted_m / window.seen_m) if window.seen_m > 0 else 0.0

    def standing_m(self) -> float:
        """Metres the witness has seen since the odometer last changed."""
        return 0.0 if self._changed is None else self.calibration.factor * (self.seen.metres - self._changed[1])

    def expected_m(self) -> float | None:
        """Return what the odometer would be by this witness, from the reading it was anchored at; None before there was one.

        Where it lost sight, what the odometer counted is taken for granted.
        """
        corner = self._corner
        if corner is None:
            return None
        return corner.odometer_m + self.apart_m + self.calibration.factor * (self.seen.metres - corner.seen_m)

    def begin(self, odometer_m: float) -> None:
        """Begin a piece anywhere: after a start, and where the odometer jumped."""
        self._corner = _Corner(odometer_m, self.seen.metres, self.seen.gaps)
        self._changed = (odometer_m, self.seen.metres)
        self._seen_at_reading_m, self._last_m = self.seen.metres, odometer_m
        self._is_exact = False

    def take(self, odometer_m: float, *, step_m: float, sees: bool, may_learn: bool, was_frozen: bool) -> bool:
        """Take a reading in metres; return whether the witness's factor has changed by it.

        Args:
            odometer_m: the reading, not below the one before.
            step_m: what the odometer counts in.
            sees: whether the witness has not lost sight now.
            may_learn: whether nobody doubts the odometer.
            was_frozen: whether it was held to be frozen until now.
        """
        corner, changed = self._corner, self._changed
        if corner is None or changed is None:
            self.begin(odometer_m)
            return False
        lately_m = self.calibration.factor * (self.seen.metres - self._seen_at_reading_m)
        late_m = max(step_m, odometer_m - self._last_m) if self.seen.is_asked else min(step_m, lately_m)
        self._seen_at_reading_m, self._last_m = self.seen.metres, odometer_m
        if odometer_m != changed[0]:
            self._changed = (odometer_m, self.seen.metres)
            self._has_thawed |= was_frozen
        elif not self.seen.is_asked:
            return False
        if self.seen.is_asked and lately_m == 0:
            return False  # exact only when it has just spoken, whether or not the odometer has just turned
        counted_m = odometer_m - corner.odometer_m
        if self._is_exact and counted_m < MIN_PIECE_M:
            return False
        is_whole = sees and corner.gaps == self.seen.gaps
        witness_m = self.seen.metres - corner.seen_m
        self._corner = _Corner(odometer_m, self.seen.metres, self.seen.gaps if sees else -1)
        if not self._is_exact:
            self._is_exact = True
            return False
        piece = _Piece(counted_m, self.calibration.factor * witness_m, is_whole)
        self._judge(piece, late_m)
        if not is_whole:
            return False
        if not may_learn or self.is_doubtful:
            self.calibration.forget_pieces()
            return False
        return self.calibration.learn(counted_m, witness_m)

    def clears(self, counted_m: float, share: float) -> bool:
        """Whether by this witness the odometer counted its last `counted_m` metres well: it missed less than half of `share`.

        False where the witness did not see most of them.
        """
        seen_m = whole_m = 0.0
        wanted_m = counted_m
        for piece in reversed(self._pieces):
            if wanted_m <= 0:
                break
            wanted_m -= piece.counted_m
            if piece.is_whole:
                whole_m += piece.counted_m
                seen_m += piece.seen_m
        return whole_m > 0 and whole_m >= MOST * counted_m and seen_m * (1 - share / 2) <= whole_m

    def _resume(self, known: KnownFactor) -> None:
        """Go on with a doubt from before a restart: as many metres of it as are taken over, and the way they were missed on."""
        share = known.short_permille / 1_000
        if self.tolerated < share <= 1:
            self.short_m = min(max(float(known.short_m), 0.0), MOST_REMEMBERED_M)
            seen_m = self.short_m / (share - self.tolerated)
            self._window = _Piece(seen_m * (1 - share), seen_m, is_whole=True)

    def _judge(self, piece: _Piece, late_m: float) -> None:
        gained_m = piece.seen_m * (1 - self.tolerated) - piece.counted_m
        self._pieces.append(piece)
        has_thawed, self._has_thawed = self._has_thawed, False
        is_first, self._thaws = self._thaws == 0, self._thaws + 1 if has_thawed else 0
        if has_thawed and is_first:
            # That an odometer stood still has been told; one that does so between any two steps counts too little.
            self._forgive(late_m)
        elif self.short_m + gained_m > 0 and (piece.is_whole or gained_m > 0):
            self._blur_m = max(self._blur_m, late_m)
            self.short_m += gained_m
            window = self._window
            self._window = _Piece(window.counted_m + piece.counted_m, window.seen_m + piece.seen_m, is_whole=True)
            self._accuse(piece)
        elif piece.is_whole:
            self._forgive(late_m)
        if piece.is_whole:
            self.over_m = max(0.0, self.over_m + piece.counted_m - piece.seen_m * (1 + OVER_TOLERATED))
            self.judged_m += piece.counted_m
            self.apart_m += piece.seen_m - piece.counted_m

    def _accuse(self, piece: _Piece) -> None:
        """Accuse an odometer once the sum is too great; one that then counts nearly all again is believed again.

        Half the share that was missing decides which of the two a piece speaks for.
        """
        if self._accused_share is None:
            if self.short_m > ALLOWED_M + self._blur_m + self.seen.step_m:
                self._accused_share = self.share
            return
        self._amends_m = max(0.0, self._amends_m + piece.counted_m - piece.seen_m * (1 - self._accused_share / 2))
        if self._amends_m > ALLOWED_M + self._blur_m:
            self._forgive(0.0)

    def _forgive(self, blur_m: float) -> None:
        self.short_m = self._amends_m = 0.0
        self._accused_share = None
        self._window = _Piece(0.0, 0.0, is_whole=True)
        self._blur_m = blur_m
