"""Gear, lamps, doors and pedals: told by name, believed where they were seen to change.

A flag that never changed while the bus was listened to may be anything, so it is proposed as unsure whatever it is called. A brake
pedal must slow the car down besides. Of several that tell alike the one on the bus of the speed is chosen: on another, that of a
camera or a radar, the same names stand for what those want or see.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import compress, groupby

from vehicle_agent.learning.candidates import DOORS, FLAGS, GEAR, Confidence, KnownMessage, Proposal
from vehicle_agent.learning.quantities import Motion
from vehicle_agent.learning.series import Series, raw_series, slope_of
from vehicle_agent.signals.dbc import SignalLayout

MAX_STATE_BITS = 8
"""A signal with more bits is no state."""

BRAKING_MPS2 = -0.2
"""A brake pedal slows the car down by more than this on average: less is a hill, or the motor let go."""

STANDING_MPS = 0.5
"""A car that is no faster stands."""

MIN_BRAKED = 3
"""Samples of a pressed pedal in motion below which nothing is said of it."""

OTHER_BUS = 0.5
"""What a flag of another bus than the speed's is behind by."""

_FORWARD = re.compile(r"(?:^|_)(?:D|S|E|L|B|M|T|L\d|D\d|[1-9]|drive|forward|low|sport)$", re.IGNORECASE)
_BACKWARD = re.compile(r"(?:^|_)(?:R|reverse|rvs|backward)$", re.IGNORECASE)
_STILL = re.compile(r"(?:^|_)(?:N|P|neutral|park)$", re.IGNORECASE)
_YES = re.compile(
    r"\b(?:on|active|activated|enabled|engaged|pressed|open|opened|yes|hold|regulating|standstill|override|applied)\b"
)
_NO = re.compile(r"\b(?:off|not|none|no|inactive|disabled|disengaged|released|closed|standby|faulted|unavailable|init)\b")


def find_states(messages: Sequence[KnownMessage], motion: Motion) -> list[Proposal]:
    """Return what may feed the direction and the flags, the best of each first."""
    slope = None if motion.speed_mps is None else _slope_in_motion(motion.speed_mps)
    found = [
        _on_bus_of(motion, proposal)
        for message in messages
        for proposal in (*_gears(message), *_flags(message, slope), *_turns(message), *_doors(message))
    ]
    return sorted(found, key=lambda proposal: (proposal.field, -proposal.score))


def _slope_in_motion(speed_mps: Series) -> Series:
    """Return how fast the speed changes, left out where the car stands: a pedal is pressed there, too, and slows nothing down."""
    slope = slope_of(speed_mps)
    moving = [(speed_mps.at(moment) or 0.0) > STANDING_MPS for moment in slope.times]
    return Series(tuple(compress(slope.times, moving)), tuple(compress(slope.values, moving)))


def _on_bus_of(motion: Motion, proposal: Proposal) -> Proposal:
    """Return a proposal, behind others where it comes from another bus than the speed."""
    if motion.channel is None or proposal.message.heard.channel == motion.channel:
        return proposal
    return replace(proposal, score=proposal.score - OTHER_BUS)


def _gears(message: KnownMessage) -> Iterator[Proposal]:
    for signal in message.signals():
        if not GEAR.fits(message.layout.name, signal.name) or not 2 <= signal.length_bits <= MAX_STATE_BITS:
            continue
        choices = {name: _gear(name) for name in dict.fromkeys(signal.choices.values())}
        if {"forward", "backward"} <= set(choices.values()):
            seen = raw_series(message.heard, signal)
            named = {int(raw) for raw in seen.values} & set(signal.choices)
            unnamed = sorted({int(raw) for raw in seen.values} - set(signal.choices))
            evidence = ["seen: " + ", ".join(sorted({signal.choices[raw] for raw in named})) or "nothing it names"]
            choices |= {str(raw): "unavailable" for raw in unnamed}
            if unnamed:
                evidence.append(f"raw values without a name, taken as unavailable: {', '.join(map(str, unnamed))}")
            yield Proposal(
                field="drive_direction",
                message=message,
                options={"signal": message.reference(signal), "choices": choices},
                confidence=Confidence.LIKELY if named else Confidence.UNSURE,
                evidence=tuple(evidence),
                score=len(named) + 0.1 * len(choices) + 0.2 * (message.protection.checksum is not None),
            )


def _gear(name: str) -> str:
    if _BACKWARD.search(name):
        return "backward"
    return "forward" if _FORWARD.search(name) and not _STILL.search(name) else "unavailable"


def _flags(message: KnownMessage, slope: Series | None) -> Iterator[Proposal]:
    for signal in message.signals():
        if signal.length_bits > MAX_STATE_BITS or signal.is_float:
            continue
        for field, vocabulary in FLAGS.items():
            if not vocabulary.fits(message.layout.name, signal.name):
                continue
            choices = None if signal.length_bits == 1 else _meanings(signal)
            if signal.length_bits == 1 or (choices and set(choices.values()) >= {True, False}):
                flag = _flag(field, message, signal, choices)
                yield flag if field != "brake_pedal_pressed" or slope is None else _held_to(flag, signal, choices, slope)


def _meanings(signal: SignalLayout) -> dict[str, object]:
    """Return what the names of a state's values mean; those that say neither yes nor no are unavailable."""
    meanings: dict[str, object] = {}
    for name in dict.fromkeys(signal.choices.values()):
        words = name.lower().replace("_", " ")
        meanings[name] = False if _NO.search(words) else True if _YES.search(words) else "unavailable"
    return meanings


def _flag(field: str, message: KnownMessage, signal: SignalLayout, choices: dict[str, object] | None) -> Proposal:
    seen = raw_series(message.heard, signal)
    changes = seen.changes()
    options: dict[str, object] = {"signal": message.reference(signal)}
    if choices is not None:
        unnamed = sorted({int(raw) for raw in seen.values} - set(signal.choices))
        options["choices"] = {**choices, **{str(raw): (raw != 0 and "unavailable") for raw in unnamed}}
    value = f"always {seen.values[0]:.0f}" if seen.values else "never in a frame"
    return Proposal(
        field=field,
        message=message,
        options=options,
        confidence=Confidence.LIKELY if changes else Confidence.UNSURE,
        evidence=(f"changed {changes} times" if changes else f"{value}: nothing but its name speaks for it",),
        score=min(changes, 10) / 10 + 0.2 * (message.protection.checksum is not None) + 0.1 * (signal.length_bits == 1),
    )


def _held_to(flag: Proposal, signal: SignalLayout, choices: dict[str, object] | None, slope: Series) -> Proposal:
    """Return what may be the brake pedal with what the car did while it was pressed; unsure where that was not to slow down."""
    pressed = {1} if choices is None else {raw for raw, name in signal.choices.items() if choices.get(name) is True}
    seen = raw_series(flag.message.heard, signal)
    slopes = [slope.at(moment) for moment, value in zip(seen.times, seen.values, strict=True) if value in pressed]
    braked = [value for value in slopes if value is not None]
    if len(braked) < MIN_BRAKED:
        return flag
    mean = sum(braked) / len(braked)
    slowed = mean < BRAKING_MPS2
    evidence = (*flag.evidence, f"{mean:+.1f} m/s2 on average while it is on" + ("" if slowed else ": no brake does that"))
    if slowed:
        return replace(flag, evidence=evidence)
    return replace(flag, evidence=evidence, confidence=Confidence.UNSURE, score=flag.score - 1.0)


def _turns(message: KnownMessage) -> Iterator[Proposal]:
    """Yield both direction indicators of a signal whose values are called left and right."""
    for signal in message.signals():
        sides = {raw: name.lower() for raw, name in signal.choices.items()}
        if {"left", "right"} <= set(sides.values()) and signal.length_bits <= MAX_STATE_BITS:
            for field, side in (("turn_left", "left"), ("turn_right", "right")):
                choices: dict[str, object] = {signal.choices[raw]: name == side for raw, name in sides.items()}
                seen = raw_series(message.heard, signal)
                times = sum(value in signal.choices and sides[int(value)] == side for value in seen.values)
                yield Proposal(
                    field=field,
                    message=message,
                    options={"signal": message.reference(signal), "choices": choices},
                    confidence=Confidence.LIKELY if times and seen.changes() else Confidence.UNSURE,
                    evidence=(f"{side} in {times} of {len(seen.values)} samples, changed {seen.changes()} times",),
                    score=0.3 + min(times, 10) / 10,
                )


def _doors(message: KnownMessage) -> Iterator[Proposal]:
    """Yield the doors of one message together."""
    doors = [s for s in message.signals() if s.length_bits == 1 and DOORS.fits(message.layout.name, s.name)]
    if doors:
        changes = sum(raw_series(message.heard, door).changes() for door in doors)
        yield Proposal(
            field="doors_open",
            message=message,
            options={"any_of": [message.reference(door) for door in doors]},
            confidence=Confidence.LIKELY if changes else Confidence.UNSURE,
            evidence=(f"changed {changes} times" if changes else "never changed: nothing but their names speaks for them",),
            score=len(doors) + min(changes, 10) / 10,
        )


def best_of_each(proposals: Sequence[Proposal]) -> Iterator[tuple[Proposal, tuple[Proposal, ...]]]:
    """Yield for every field the best proposal and the others, in the order given; equal confidence is settled by the score."""
    rank = {Confidence.CERTAIN: 0, Confidence.LIKELY: 1, Confidence.UNSURE: 2}
    ordered = sorted(proposals, key=lambda proposal: (proposal.field, rank[proposal.confidence], -proposal.score))
    for _, group in groupby(ordered, key=lambda proposal: proposal.field):
        best, *others = group
        yield best, tuple(others)
