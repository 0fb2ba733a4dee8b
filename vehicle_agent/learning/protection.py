"""Which checksum rule and which counter the frames of a message keep to.

Every rule is tried on the signals that are called a checksum, and on the first and last byte: one that holds for all of
`MIN_DISTINCT` different payloads is believed, since a wrong one of eight bits holds for that many once in 2 ** 128. A counter
must be called one: anything that counts up slowly would look like it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from vehicle_agent.learning.listen import HeardMessage
from vehicle_agent.signals.checksums import CHECKSUMS, ChecksumRule
from vehicle_agent.signals.dbc import MessageLayout, SignalLayout
from vehicle_agent.signals.map_file import ChecksumEntry, CounterEntry
from vehicle_agent.signals.mapped import MappedChecksum

MIN_DISTINCT = 16
"""Different payloads a rule must hold for."""

MIN_STEPS = 32
"""Frames in a row a counter must count."""

MIN_WRAPS = 2
"""Times a counter must have started again, so that its last value is known."""

MAX_ODD_SHARE = 0.02
"""Share of steps that may be odd: frames are lost, and senders start again."""

_CHECKSUM_NAME = re.compile(r"check|chk|crc|(?:^|_)cs$", re.IGNORECASE)
_COUNTER_NAME = re.compile(r"count|cnt|alive|rolling|zaehler|(?:^|_)bz$|(?:^|_)ctr$|msg_?ctr", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What protects a message.

    Attributes:
        checksum: as a map says it; None where no rule held.
        counter: likewise.
        evidence: in words.
    """

    checksum: ChecksumEntry | None
    counter: CounterEntry | None
    evidence: tuple[str, ...]


def find_protection(heard: HeardMessage, layout: MessageLayout) -> Protection:
    """Return what holds for all frames kept of a message."""
    evidence: list[str] = []
    checksum = _find_checksum(heard, layout, evidence)
    counter = _find_counter(heard, layout, evidence)
    return Protection(checksum=checksum, counter=counter, evidence=tuple(evidence))


def _signals(layout: MessageLayout, pattern: re.Pattern[str]) -> Iterator[SignalLayout]:
    """Yield the plain unsigned signals of a message that are called so."""
    for name in layout.signal_names():
        if pattern.search(name):
            try:
                signal = layout.signal(name)
            except ValueError:
                continue
            if not (signal.is_signed or signal.is_float or signal.conditions):
                yield signal


def _places(layout: MessageLayout) -> Iterator[tuple[ChecksumEntry, ChecksumRule, MappedChecksum]]:
    rules = [r for r in CHECKSUMS.values() if r.identifiers is None or layout.arbitration_id in r.identifiers]
    named = list(_signals(layout, _CHECKSUM_NAME))
    taken = set()
    for signal in named:
        for rule in rules:
            octets = (rule.width_bits + 7) // 8
            if signal.length_bits == rule.width_bits and signal.end_byte - signal.first_byte == octets:
                if octets > 1 and signal.is_big_endian:
                    continue
                mask = ((1 << signal.length_bits) - 1) << signal.shift
                taken.add(signal.first_byte)
                entry = ChecksumEntry(rule=rule.name, signal=signal.name)
                yield entry, rule, MappedChecksum(rule=rule, byte=signal.first_byte, mask=mask)
    for byte in (-1, 0):
        if byte % layout.length not in taken:
            for rule in rules:
                if rule.width_bits == 8:
                    yield ChecksumEntry(rule=rule.name, byte=byte), rule, MappedChecksum(rule=rule, byte=byte, mask=0xFF)


def _find_checksum(heard: HeardMessage, layout: MessageLayout, evidence: list[str]) -> ChecksumEntry | None:
    payloads = heard.payloads(layout.length)
    if layout.length < 2 or len(payloads) < MIN_DISTINCT:
        return None
    for entry, rule, place in _places(layout):
        if all(found == expected for found, expected in (place.compare(layout.arbitration_id, d, layout.length) for d in payloads)):
            evidence.append(f"checksum {rule.name} holds for {len(payloads)} different payloads")
            return entry
    return None


def _find_counter(heard: HeardMessage, layout: MessageLayout, evidence: list[str]) -> CounterEntry | None:
    frames = [data for data in heard.opening if len(data) >= layout.length]
    for signal in _signals(layout, _COUNTER_NAME):
        read = signal.reader()
        values = [int(read(data)) for data in frames]
        last = max(values, default=0)
        steps = list(pairwise(values))
        odd = sum(after != (before + 1) % (last + 1) for before, after in steps)
        wraps = sum(before == last and after == 0 for before, after in steps)
        if last and len(steps) >= MIN_STEPS and wraps >= MIN_WRAPS and odd <= MAX_ODD_SHARE * len(steps):
            evidence.append(f"counter {signal.name} counted 0..{last} over {len(steps)} frames, {odd} odd steps")
            full = last == (1 << signal.length_bits) - 1
            return CounterEntry(signal=signal.name, last=None if full else last)
    return None
