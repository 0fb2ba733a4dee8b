"""Which signal is the odometer, and what it counts by: it never falls, and advances as far as the speed amounts to.

What a satellite receiver has counted, by the name of its message or signal, is never the cluster's: it feeds a field of its own.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from shared.core.units import UNITS
from vehicle_agent.learning.candidates import ODOMETER, Confidence, KnownMessage, Proposal, is_of_receiver, unit_for
from vehicle_agent.learning.quantities import Motion
from vehicle_agent.learning.series import Series, distance_m, raw_series
from vehicle_agent.signals.dbc import SignalLayout

MIN_STEPS = 5
"""Steps of an odometer from which its unit is certain."""

DISTANCE_TOLERANCE = 0.06
"""Share by which a speed's integral may be off."""

MIN_ODOMETER_BITS = 16

_DISTANCE_UNITS = ("km", "mile", "m")
_STEPS = (
    *(("km", factor) for factor in (1.0, 0.1, 0.01, 0.125, 1 / 64)),
    *(("mile", factor) for factor in (1.0, 0.1, 0.01)),
    *(("m", factor) for factor in (1.0, 5.0)),
)
"""What odometers count by, each once: ten metres are a hundredth of a kilometre."""


def find_odometer(messages: Sequence[KnownMessage], motion: Motion) -> list[Proposal]:
    """Return what may be an odometer, the best first."""
    found = []
    for message in messages:
        for signal in message.signals():
            is_named = ODOMETER.fits(message.layout.name, signal.name)
            if signal.length_bits < MIN_ODOMETER_BITS or signal.is_signed or signal.is_float:
                continue
            series = raw_series(message.heard, signal)
            if series.values and all(after >= before for before, after in pairwise(series.values)):
                proposal = _odometer(message, signal, series, motion, is_named=is_named)
                if proposal is not None:
                    found.append(proposal)
    return sorted(found, key=lambda proposal: -proposal.score)


def _odometer(message: KnownMessage, signal: SignalLayout, series: Series, motion: Motion, *, is_named: bool) -> Proposal | None:
    steps = series.changes()
    advance = (series.values[-1] - series.values[0]) * signal.scale
    driven = None if motion.speed_mps is None else distance_m(motion.speed_mps, series.times[0], series.times[-1])
    step = advance / steps if steps else abs(signal.scale)
    fitting = [] if driven is None or not steps else list(units_that_fit(advance, step, driven))
    selector = _unit_selector(message, signal)
    unit = unit_for(signal, _DISTANCE_UNITS)
    if unit is None or not (is_named or (steps >= MIN_STEPS and any(factor == 1.0 for _, factor in fitting))):
        return None
    options: dict[str, object] = {"signal": message.reference(signal)}
    evidence = [f"{steps} steps, from {series.values[0]:.0f} to {series.values[-1]:.0f} raw"]
    now_in = unit
    if selector is not None:
        by, units, current = selector
        options["unit_by"] = {"signal": by, "units": units}
        evidence.append(f"{by} selects the unit, now {current or 'none it names'}")
        now_in = current
    agrees = (now_in, 1.0) in fitting
    if selector is None and not now_in and steps >= MIN_STEPS and len(fitting) == 1:
        now_in, factor = fitting[0]
        agrees = True
        if factor != 1.0:
            options["factor"] = factor
    if selector is None:
        options["unit"] = now_in or "km"
    if driven is not None:
        names = ", ".join(f"{factor:g} {name}" for name, factor in fitting) or "no unit"
        evidence.append(f"{driven:.0f} m driven by {motion.named}: a step of {names} fits")
    if steps < MIN_STEPS:
        evidence.append(f"fewer than {MIN_STEPS} steps do not tell the units apart: drive on to be certain")
    options["not_available"] = [(1 << signal.length_bits) - 1]
    confidence = Confidence.UNSURE
    if agrees:
        confidence = Confidence.CERTAIN if is_named and steps >= MIN_STEPS else Confidence.LIKELY
    score = 2.0 * is_named + agrees + 0.5 * (selector is not None) + min(steps, MIN_STEPS) / 10
    field = "gnss_odometer_m" if is_of_receiver(message.layout.name, signal.name) else "odometer_m"
    return Proposal(field=field, message=message, options=options, confidence=confidence, evidence=tuple(evidence), score=score)


def units_that_fit(advance: float, step: float, driven_m: float) -> Iterator[tuple[str, float]]:
    """Yield the units, with a factor, in which an odometer's advance is what was driven, to one step."""
    for name, factor in _STEPS:
        metres, slack = (UNITS[name].to_si(factor * value) for value in (advance, step))
        if abs(metres - driven_m) <= slack + DISTANCE_TOLERANCE * driven_m:
            yield name, factor


def _unit_selector(message: KnownMessage, odometer: SignalLayout) -> tuple[str, dict[str, str], str] | None:
    """Return a signal beside an odometer that names kilometres and miles, its values, and the unit it selects now."""
    for signal in message.signals():
        units = {}
        for raw, name in signal.choices.items():
            low = name.lower()
            unit = "mile" if low.startswith("mi") else "km" if low.startswith(("km", "kilo")) else None
            if unit is not None:
                units[raw] = unit
        if signal.name != odometer.name and len(units) == 2 and len(set(units.values())) == 2:
            values = raw_series(message.heard, signal).values
            by_name = {signal.choices[raw]: unit for raw, unit in units.items()}
            return signal.name, by_name, units.get(int(values[-1]), "") if values else ""
    return None
