"""Speed, steering, yaw and accelerations: who measures what, told from how the signals move together.

The speed is the one the other speeds agree with. Left and right follow from the wheels: in a bend to the left the right ones are
faster, so steering, yaw and lateral acceleration that go with their difference are positive to the left as ISO 8855 has it, and
those that go against it are turned by a factor of -1.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.core.units import UNITS
from vehicle_agent.learning.candidates import (
    FRACTION,
    LATERAL,
    LONGITUDINAL,
    SPEED,
    STEERING,
    YAW,
    Confidence,
    KnownMessage,
    Proposal,
    Vocabulary,
    corner_of,
    is_of_receiver,
    unit_for,
)
from vehicle_agent.learning.series import (
    Series,
    Track,
    combined,
    correlation,
    per_speed,
    physical_series,
    slope_of,
    smoothed,
)
from vehicle_agent.signals.dbc import SignalLayout

MOVING_MPS = 3.0
"""A car that was never faster has not been driven: nothing can be said of its speed."""

TOP_MPS = 90.0
TRACK = "the GNSS track"
AGREEMENT = 0.98
"""Correlation of two signals that measure the same."""

TRACK_AGREEMENT = 0.9
"""Correlation with a GNSS track, which is coarse and late."""

MIN_RATIO = 0.9
"""Two speeds of one car are apart by no more."""

TENDENCY = 0.5
"""Correlation that tells a sign."""

MIN_DIRECTED_BITS = 8

_SPEED_UNITS = ("km/h", "m/s", "mph")


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How the car moved while it was listened to.

    Attributes:
        speed_mps: from wheels, or from a GNSS track; None where nothing tells.
        named: whose speed it is.
        channel: the bus it was said on; None of a track, or where nothing tells.
        bends: how strongly it turned to the left at each moment, each by something else, with its name.
    """

    speed_mps: Series | None
    named: str
    channel: str | None
    bends: tuple[tuple[Series, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speed:
    message: KnownMessage
    signals: tuple[SignalLayout, ...]
    unit: str
    series: Series
    """In m/s."""

    @property
    def references(self) -> frozenset[str]:
        return frozenset(self.message.reference(signal) for signal in self.signals)

    @property
    def name(self) -> str:
        return " ".join(self.message.reference(signal) for signal in self.signals)

    @property
    def is_of_receiver(self) -> bool:
        return any(is_of_receiver(self.message.layout.name, signal.name) for signal in self.signals)


def find_speed(messages: Sequence[KnownMessage], track: Track | None) -> tuple[Motion, list[Proposal]]:
    """Return how the car moved, and what may feed its own speed and that of a satellite receiver, the best first.

    The car moved as its own best speed says; as a receiver's where no other moved.
    """
    speeds = [speed for message in messages for speed in _speeds(message)]
    scored: list[tuple[float, _Speed, list[str], bool]] = []
    for speed in speeds:
        others = [o for o in speeds if not o.references & speed.references and _moved(o.series)]
        agreeing: list[str] = []
        best = 0.0
        compared = [(other.name, other.series, AGREEMENT) for other in others]
        compared += [] if track is None else [(TRACK, track.speed_mps, TRACK_AGREEMENT)]
        for name, series, enough in compared:
            found = correlation(speed.series, series)
            if found is not None and found[0] >= enough and MIN_RATIO <= found[1] <= 1 / MIN_RATIO:
                best = max(best, found[0])
                agreeing.append(f"{found[1]:.3f} times {name} (r = {found[0]:.4f})")
        score = best + 0.1 * len(speed.signals) + 0.2 * (speed.message.protection.checksum is not None) + 0.1 * bool(speed.unit)
        scored.append((score if _moved(speed.series) else -1.0, speed, agreeing, _moved(speed.series)))
    scored.sort(key=lambda item: -item[0])
    proposals = [_speed_proposal(score, speed, agreeing, moved=moved) for score, speed, agreeing, moved in scored]
    leading = min((speed for _, speed, _, moved in scored if moved), key=lambda speed: speed.is_of_receiver, default=None)
    reference, named = (None, "") if leading is None else (leading.series, leading.name)
    channel = None if leading is None else leading.message.heard.channel
    bends: list[tuple[Series, str]] = []
    if track is not None and _moved(track.speed_mps):
        if reference is None:
            reference, named = track.speed_mps, TRACK
        bends.append((per_speed(track.yaw_rate_dps, reference, power=1, above_mps=MOVING_MPS), TRACK))
    across = _across(speeds)
    if across is not None and reference is not None:
        bends.append((per_speed(smoothed(across), reference, power=1, above_mps=MOVING_MPS), "right wheels minus left ones"))
    return Motion(speed_mps=reference, named=named, channel=channel, bends=tuple(bends)), proposals


def _speed_proposal(score: float, speed: _Speed, agreeing: list[str], *, moved: bool) -> Proposal:
    fastest = max(speed.series.values, default=0.0)
    evidence = [f"up to {fastest:.1f} m/s", *agreeing[:3]]
    if not speed.unit:
        evidence.append("the DBC states no unit: km/h is a guess")
    confidence = Confidence.UNSURE
    if moved and speed.unit:
        confidence = Confidence.CERTAIN if agreeing else Confidence.LIKELY
    elif moved and agreeing:
        confidence = Confidence.LIKELY
    if not moved:
        evidence.append("the car was not driven")
    names = [speed.message.reference(signal) for signal in speed.signals]
    options: dict[str, object] = {"mean_of": names} if len(names) > 1 else {"signal": names[0]}
    return Proposal(
        field="gnss_speed_mps" if speed.is_of_receiver else "speed_mps",
        message=speed.message,
        options={**options, "unit": speed.unit or "km/h", "range": [0, round(TOP_MPS)]},
        confidence=confidence,
        evidence=tuple(evidence),
        score=score,
    )


def _moved(series: Series) -> bool:
    return max(series.values, default=0.0) >= MOVING_MPS


def _speeds(message: KnownMessage) -> Iterator[_Speed]:
    """Yield the signals of a message that may be speeds, and its wheels together."""
    wheels: dict[tuple[bool, bool], tuple[SignalLayout, str, Series]] = {}
    for signal in message.signals():
        unit = unit_for(signal, _SPEED_UNITS)
        if unit is None or signal.length_bits < 8 or not SPEED.fits(message.layout.name, signal.name):
            continue
        series = physical_series(message.heard, signal).mapped(UNITS[unit or "km/h"].to_si)
        if not series.values or min(series.values) < -1.0 or max(series.values) > TOP_MPS:
            continue
        corner = corner_of(signal.name)
        if corner is not None:
            wheels.setdefault(corner, (signal, unit, series))
        yield _Speed(message=message, signals=(signal,), unit=unit, series=series)
    if len(wheels) > 1 and len({unit for _, unit, _ in wheels.values()}) == 1:
        signals = tuple(signal for signal, _, _ in wheels.values())
        unit = next(iter(wheels.values()))[1]
        mean = combined([series for _, _, series in wheels.values()], mean=True)
        yield _Speed(message=message, signals=signals, unit=unit, series=mean)


def _across(speeds: Iterable[_Speed]) -> Series | None:
    """Return right minus left of a message that tells both sides of an axle apart; the rear one where there is a choice."""
    sides: dict[tuple[int, bool], dict[bool, Series]] = {}
    for speed in speeds:
        corner = corner_of(speed.signals[0].name) if len(speed.signals) == 1 else None
        if corner is not None and _moved(speed.series):
            sides.setdefault((id(speed.message), corner[0]), {})[corner[1]] = speed.series
    for (_, _front), both in sorted(sides.items(), key=lambda item: item[0][1]):
        if len(both) == 2 and both[True].times == both[False].times:
            left, right = both[True], both[False]
            return Series(left.times, tuple(r - lft for r, lft in zip(right.values, left.values, strict=True)))
    return None


def find_directions(messages: Sequence[KnownMessage], motion: Motion) -> list[Proposal]:
    """Return what may be steering angle, yaw rate and accelerations, the best of each first."""
    found: list[_Bending] = [
        bending
        for kind in _KINDS
        for message in messages
        for signal in message.signals()
        if kind.vocabulary.fits(message.layout.name, signal.name) and signal.length_bits >= MIN_DIRECTED_BITS
        for bending in _directed(kind, message, signal, motion)
    ]
    found.sort(key=lambda bending: -bending.proposal.score)
    leading = {bending.proposal.field: bending for bending in reversed(found)}
    return [_by_partner(bending, leading) for bending in found]


def _by_partner(bending: "_Bending", leading: Mapping[str, "_Bending"]) -> Proposal:
    """Return a proposal whose sign the wheels do not tell with what another quantity of the same bends says of it."""
    proposal = bending.proposal
    if proposal.confidence != Confidence.UNSURE or bending.normal is None:
        return proposal
    for field, partner in leading.items():
        found = None if field == proposal.field or partner.normal is None else correlation(bending.normal, partner.normal)
        if found is None or abs(found[0]) < TENDENCY:
            continue
        evidence = (*proposal.evidence, f"r = {found[0]:+.2f} with {partner.proposal.signals()} in the same bends")
        if partner.proposal.confidence != Confidence.CERTAIN:
            return replace(proposal, evidence=evidence)
        is_turned = (found[0] < 0) != (partner.proposal.options.get("factor") == -1)
        options = {**proposal.options, "factor": -1} if is_turned else proposal.options
        return replace(proposal, evidence=evidence, options=options, confidence=Confidence.LIKELY)
    return proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Directed:
    """A quantity with a sign.

    Attributes:
        field: what it feeds.
        vocabulary: what it is called.
        units: it may have; the first is guessed where none is stated.
        limit: largest plausible value, SI.
        power: of the speed by which it grows in the same bend; None for what goes with the slope of the speed.
    """

    field: str
    vocabulary: Vocabulary
    units: tuple[str, ...]
    limit: float
    power: int | None


_KINDS = (
    _Directed(field="steering_wheel_angle_deg", vocabulary=STEERING, units=("deg", "rad"), limit=1080.0, power=0),
    _Directed(field="yaw_rate_dps", vocabulary=YAW, units=("deg/s", "rad/s"), limit=327.0, power=1),
    _Directed(field="lateral_acceleration_mps2", vocabulary=LATERAL, units=("m/s2", "g"), limit=40.0, power=2),
    _Directed(field="longitudinal_acceleration_mps2", vocabulary=LONGITUDINAL, units=("m/s2", "g"), limit=40.0, power=None),
)


@dataclass(frozen=True, slots=True)
class _Bending:
    """A proposal, and its quantity made comparable with others of the same bend; None where no speed is known."""

    proposal: Proposal
    normal: Series | None


def _normal(kind: _Directed, series: Series, motion: Motion) -> Series | None:
    """Return a quantity by what it would be at 1 m/s in the same bend."""
    if motion.speed_mps is None or kind.power is None:
        return None
    return per_speed(smoothed(series), motion.speed_mps, power=kind.power, above_mps=MOVING_MPS)


def _tendency(kind: _Directed, series: Series, normal: Series | None, motion: Motion) -> tuple[float, str] | None:
    """Return how a quantity goes with the motion that tells its sign, and what tells it; None where nothing tells."""
    if motion.speed_mps is not None and kind.power is None:
        found = correlation(series, slope_of(motion.speed_mps))
        return None if found is None else (found[0], "the slope of the speed")
    told = [] if normal is None else [(correlation(normal, bend), named) for bend, named in motion.bends]
    return max(((found[0], named) for found, named in told if found is not None), key=lambda pair: abs(pair[0]), default=None)


def _directed(kind: _Directed, message: KnownMessage, signal: SignalLayout, motion: Motion) -> Iterator[_Bending]:
    units = kind.units
    unit = unit_for(signal, units)
    if unit is None:
        return
    parts = [signal]
    if kind.vocabulary is STEERING:
        parts += [s for s in message.signals() if FRACTION.fits("", s.name) and unit_for(s, units) == unit and s != signal][:1]
    series = [physical_series(message.heard, part).mapped(UNITS[unit or units[0]].to_si) for part in parts]
    whole = combined(series, mean=False)
    if not whole.values or max(map(abs, whole.values)) > kind.limit or not whole.changes():
        return
    normal = _normal(kind, whole, motion)
    found = _tendency(kind, whole, normal, motion)
    evidence = [f"{min(whole.values):.2f} to {max(whole.values):.2f} {UNITS[unit or units[0]].dimension}"]
    names = [message.reference(part) for part in parts]
    options: dict[str, object] = {"sum_of": names} if len(names) > 1 else {"signal": names[0]}
    options["unit"] = unit or units[0]
    confidence = Confidence.UNSURE
    strength = 0.0
    if found is None:
        evidence.append("nothing tells the sign")
    else:
        strength = abs(found[0])
        evidence.append(f"r = {found[0]:+.2f} with {found[1]}")
        if strength >= TENDENCY:
            confidence = Confidence.CERTAIN if unit else Confidence.LIKELY
            if found[0] < 0:
                options["factor"] = -1
                evidence.append(
                    "turned round, so that it is "
                    + ("positive when gaining speed" if kind.power is None else "positive to the left")
                )
        else:
            evidence.append("which does not tell the sign")
    if not unit:
        evidence.append(f"the DBC states no unit: {units[0]} is a guess")
    score = strength + 0.5 * bool(unit) + 0.2 * (message.protection.checksum is not None) + 0.1 * (len(parts) > 1)
    proposal = Proposal(
        field=kind.field, message=message, options=options, confidence=confidence, evidence=tuple(evidence), score=score
    )
    yield _Bending(proposal, normal)
