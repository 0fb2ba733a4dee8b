"""NMEA 0183 as it comes from a receiver: sentences into fixes, one for each moment.

The standard does not say which sentence is the last of a moment. It is learnt: the one that ended the moment before ends this one,
so a fix is told without waiting for the next; where it is absent, the first sentence of another moment ends it, or a silence of
`QUIET_NS`. What was refused is counted by kind, and a line that never says anything sound (another baud rate) is given up.
"""

from collections import Counter
from collections.abc import Mapping

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs, UtcNs
from shared.core.errors import DecodeError
from vehicle_agent.gnss.fix import Fix
from vehicle_agent.gnss.lines import LineSplitter
from vehicle_agent.gnss.nmea_epoch import READ, Epoch, SentenceKey, dated, time_of
from vehicle_agent.gnss.nmea_sentence import CHECKSUM, MAX_SENTENCE_OCTETS, parse_sentence

QUIET_NS = 150 * NS_PER_MS
"""A pause this long ends a moment: within one, a receiver sends without a pause."""

NONSENSE_OCTETS = 8_192
"""Without one sound sentence, and it is not NMEA that is spoken there."""

DATE_KEPT_NS = 3_600 * NS_PER_S
"""How long the date is carried on by the time of day, for receivers that tell it now and then."""

MALFORMED = "malformed"
TOO_LONG = "too_long"


class NmeaParser:
    """The `ReportParser` of NMEA 0183."""

    def __init__(self) -> None:
        self._lines = LineSplitter(MAX_SENTENCE_OCTETS)
        self._faults: Counter[str] = Counter()
        self._sentences = 0
        self._unsound_octets = 0
        self._epoch: Epoch | None = None
        self._heard = MonotonicNs(0)
        self._ender: SentenceKey | None = None
        self._dated: tuple[UtcNs, MonotonicNs] | None = None

    @property
    def greeting(self) -> bytes:
        """Nothing: a receiver speaks by itself."""
        return b""

    @property
    def faults(self) -> Mapping[str, int]:
        """What could not be read so far: `checksum`, `malformed`, `too_long`."""
        overlong = {TOO_LONG: self._lines.overlong} if self._lines.overlong else {}
        return {**self._faults, **overlong}

    def restart(self) -> None:
        """Begin anew: the rest of a sentence and of a moment is forgotten, and so is the date."""
        self._lines.restart()
        self._unsound_octets = 0
        self._epoch = self._ender = self._dated = None

    def receive(self, octets: bytes, now: MonotonicNs) -> tuple[Fix, ...]:
        """Take what came and return the fixes it completes; raises `DecodeError` when none of it is NMEA for long."""
        fixes = list(self.poll(now))
        for line in self._lines.feed(octets):
            fixes += self._line(line, now)
        self._unsound_octets += len(octets)
        if self._unsound_octets > NONSENSE_OCTETS:
            raise DecodeError("nmea", f"no sound sentence in {self._unsound_octets} octets: is the baud rate right?")
        return tuple(fixes)

    def next_due(self) -> MonotonicNs | None:
        """Return when a silence will have ended the present moment."""
        return None if self._epoch is None or self._epoch.is_told else MonotonicNs(self._heard + QUIET_NS)

    def poll(self, now: MonotonicNs) -> tuple[Fix, ...]:
        """Return the fix that a silence completes."""
        return self._finished() if self._epoch is not None and now - self._heard >= QUIET_NS else ()

    def status(self) -> dict[str, object]:
        """Return counts as JSON values."""
        return {"sentences": self._sentences}

    def _line(self, line: bytes, now: MonotonicNs) -> tuple[Fix, ...]:
        fixes: tuple[Fix, ...] = ()
        try:
            sentence = parse_sentence(line)
            if sentence is None:
                if b"$" in line:
                    self._unsound_octets = 0
                return ()
            self._sentences += 1
            self._unsound_octets = 0
            if sentence.kind not in READ:
                return ()
            time_ns = time_of(sentence)
            if self._epoch is not None and self._epoch.begins_another(sentence, time_ns):
                fixes = self._finished()
            epoch = self._epoch or Epoch(now)
            epoch.add(sentence, time_ns)
        except DecodeError as refused:
            self._faults[CHECKSUM if refused.field == CHECKSUM else MALFORMED] += 1
            return fixes
        self._epoch, self._heard = epoch, now
        is_complete = epoch.last == self._ender and epoch.has_place and not epoch.is_told
        return (*fixes, self._told(epoch)) if is_complete else fixes

    def _finished(self) -> tuple[Fix, ...]:
        """End the present moment; return its fix unless it was told already."""
        epoch, self._epoch = self._epoch, None
        if epoch is None or not epoch.has_place:
            return ()
        self._ender = epoch.last
        return () if epoch.is_told else (self._told(epoch),)

    def _told(self, epoch: Epoch) -> Fix:
        epoch.is_told = True
        return epoch.fix(self._utc(epoch))

    def _utc(self, epoch: Epoch) -> UtcNs | None:
        if epoch.time_of_day_ns is None:
            return None
        if epoch.midnight_ns is not None:
            self._dated = (UtcNs(epoch.midnight_ns + epoch.time_of_day_ns), epoch.at)
        elif self._dated is not None and epoch.at - self._dated[1] <= DATE_KEPT_NS:
            return dated(epoch.time_of_day_ns, UtcNs(self._dated[0] + epoch.at - self._dated[1]))
        else:
            return None
        return self._dated[0]
