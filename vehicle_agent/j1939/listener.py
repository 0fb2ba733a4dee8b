"""Everything of SAE J1939 beyond single frames, for all buses of a vehicle: long groups, requests, and who is there.

Frames and time in; whole groups, frames to send and now and then a survey of the units out. The signals of single frames are
`vehicle_agent.signals.can_input`'s, which takes whole groups too. Hostile traffic is counted by its reason and never raises.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.core.clock import MonotonicNs
from shared.core.errors import DecodeError
from shared.stack.effects import SendCan
from shared.transport.can_frame import CanFilter, CanFrame
from vehicle_agent.j1939.groups import (
    ACKNOWLEDGEMENT,
    HIGH_RESOLUTION_VEHICLE_DISTANCE,
    REQUEST,
    TP_CONNECTION,
    TP_DATA,
    VEHICLE_DISTANCE,
    ParameterGroup,
)
from vehicle_agent.j1939.identification import IDENTIFICATION_GROUPS, identifiers_in
from vehicle_agent.j1939.identifier import NULL_ADDRESS, parse_identifier, pgn_mask
from vehicle_agent.j1939.requests import MAX_UNITS, ROUND_INTERVAL_NS, GroupRequests
from vehicle_agent.j1939.transport import TransportReceiver

MAX_ECHOES = 32
"""Frames of our own that are known again where a bus gives them back to their sender."""

MAX_KNOWN_IDENTIFIERS = 4_096
"""Identifiers whose parts are remembered on one bus."""

_ACKNOWLEDGEMENT_OCTETS = 8
_POSITIVE = 0

LISTENED_GROUPS = (TP_CONNECTION, TP_DATA, ACKNOWLEDGEMENT, REQUEST, *IDENTIFICATION_GROUPS)
"""What a bus needs to let through for this module, whatever a map names."""

LISTENED_FILTERS = tuple(CanFilter(pgn << 8, is_extended=True, mask=pgn_mask(pgn)) for pgn in LISTENED_GROUPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class J1939Bus:
    """A bus on which J1939 is spoken.

    Attributes:
        name: the vehicle's name for it.
        groups: the parameter groups its map takes signals from.
        address: under which requests go out; None where we only listen.
        channel: what its frames call it; None: as the vehicle does.
    """

    name: str
    groups: frozenset[int]
    address: int | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a frame led to.

    Attributes:
        group: a whole group that came in several packets.
        answers: frames to put on the bus.
    """

    group: ParameterGroup | None = None
    answers: tuple[SendCan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSurvey:
    """What the units said about themselves since the last survey.

    Attributes:
        units: identifiers by unit (`can0:j1939:00`), as `vehicle_agent.vehicle_memory.KnownPart` has them.
        vins: the vehicle identification numbers they said, that of the lowest address first: the engine's.
    """

    units: Mapping[str, Mapping[str, str]]
    vins: tuple[str, ...]


HEARD_NOTHING = Heard()


class J1939Listener:
    """Listens to the J1939 buses of one vehicle.

    Args:
        buses: these.
        started: the moment it starts.
    """

    def __init__(self, buses: Iterable[J1939Bus], *, started: MonotonicNs) -> None:
        self._ears = {bus.channel or bus.name: _Ear(bus, started) for bus in buses}
        self._next_survey = MonotonicNs(started + ROUND_INTERVAL_NS)

    def receive(self, frame: CanFrame) -> Heard:
        """Take one frame of any bus."""
        ear = self._ears.get(frame.channel) if frame.is_extended else None
        return HEARD_NOTHING if ear is None else ear.receive(frame)

    def next_due(self) -> MonotonicNs:
        """When `poll` wants to be called."""
        due = [self._next_survey, *(ear.next_due() for ear in self._ears.values())]
        return min(each for each in due if each is not None)

    def poll(self, now: MonotonicNs) -> tuple[SendCan, ...]:
        """Ask what is to be asked; end what is late."""
        return tuple(frame for ear in self._ears.values() for frame in ear.poll(now))

    def take_survey(self, now: MonotonicNs) -> UnitSurvey | None:
        """Return what the units said, once after each round of questions, or every ten minutes where nobody asks."""
        finished = [ear.take_finished_round() for ear in self._ears.values()]
        if not any(finished) and now < self._next_survey:
            return None
        self._next_survey = MonotonicNs(now + (2 if any(finished) else 1) * ROUND_INTERVAL_NS)
        said = {unit: identifiers for ear in self._ears.values() for unit, identifiers in ear.take_said().items()}
        if not said:
            return None
        vins = dict.fromkeys(identifiers["vin"] for identifiers in said.values() if "vin" in identifiers)
        return UnitSurvey(units=MappingProxyType(said), vins=tuple(vins))

    def status(self) -> dict[str, object]:
        """Everything counted so far by bus, as JSON values."""
        return {name: ear.status() for name, ear in self._ears.items()}


class _Ear:
    """One bus."""

    def __init__(self, bus: J1939Bus, started: MonotonicNs) -> None:
        self._bus = bus
        self._requests: GroupRequests | None = None
        if bus.address is not None:
            distances = bus.groups & {VEHICLE_DISTANCE, HIGH_RESOLUTION_VEHICLE_DISTANCE}
            self._requests = GroupRequests(bus.name, address=bus.address, distances=sorted(distances), started=started)
        self._transport = TransportReceiver(bus.name, bus.address, self._wants)
        self._known: dict[int, tuple[int, int, int]] = {}
        self._plain: set[int] = set()
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=MAX_ECHOES)
        self._said: dict[int, dict[str, str]] = {}
        self._faults: Counter[str] = Counter()

    def receive(self, frame: CanFrame) -> Heard:
        """Take one frame with an identifier of 29 bits."""
        requests = self._requests
        if frame.arbitration_id in self._plain:  # nearly all there are: the signals of maps
            if requests is not None:
                requests.last_heard = frame.received
            return HEARD_NOTHING
        pgn, source, destination = self._known.get(frame.arbitration_id) or self._look(frame.arbitration_id)
        if source == self._bus.address and (frame.arbitration_id, frame.data) in self._sent:
            self._sent.remove((frame.arbitration_id, frame.data))
            return HEARD_NOTHING
        if requests is not None:
            requests.heard(source, pgn, frame.received)
        if pgn not in _LISTENED:
            return HEARD_NOTHING
        if pgn in {TP_CONNECTION, TP_DATA}:
            if requests is not None and destination == self._bus.address:
                requests.progressing(source, frame.received)
            assembled = self._transport.receive(frame)
            if assembled.group is not None:
                self._take(assembled.group)
            return Heard(group=assembled.group, answers=self._sending(assembled.answers))
        if pgn == ACKNOWLEDGEMENT:
            self._acknowledged(source, frame.data)
        elif pgn != REQUEST:  # of others, such as a tester under our address: `heard` has seen it
            channel, received = frame.channel, frame.received
            self._take(
                ParameterGroup(pgn=pgn, source=source, destination=destination, data=frame.data, channel=channel, received=received)
            )
        return HEARD_NOTHING

    def next_due(self) -> MonotonicNs | None:
        due = [self._transport.next_due(), None if self._requests is None else self._requests.next_due()]
        return min((each for each in due if each is not None), default=None)

    def poll(self, now: MonotonicNs) -> tuple[SendCan, ...]:
        answers = self._transport.poll(now)
        request = None if self._requests is None else self._requests.poll(now)
        return self._sending(answers if request is None else (*answers, request))

    def _sending(self, frames: tuple[SendCan, ...]) -> tuple[SendCan, ...]:
        self._sent.extend((frame.arbitration_id, frame.data) for frame in frames)
        return frames

    def take_finished_round(self) -> bool:
        return self._requests is not None and self._requests.take_finished_round()

    def take_said(self) -> dict[str, dict[str, str]]:
        """Return what each unit said since the last call."""
        said, self._said = self._said, {}
        return {f"{self._bus.name}:j1939:{source:02x}": identifiers for source, identifiers in sorted(said.items())}

    def status(self) -> dict[str, object]:
        requests = {} if self._requests is None else dict(self._requests.status())
        return {"transport": dict(self._transport.status()), "requests": requests, "faults": dict(self._faults)}

    def _look(self, arbitration_id: int) -> tuple[int, int, int]:
        """Take an identifier apart and remember it."""
        identifier = parse_identifier(arbitration_id)
        if len(self._known) >= MAX_KNOWN_IDENTIFIERS:
            self._known.clear()
            self._plain.clear()
        if identifier.pgn not in _LISTENED and not (self._requests and self._requests.is_news(identifier.source, identifier.pgn)):
            self._plain.add(arbitration_id)
        parts = self._known[arbitration_id] = (identifier.pgn, identifier.source, identifier.destination)
        return parts

    def _wants(self, pgn: int, source: int) -> bool:
        return self._requests is not None and self._requests.wants(pgn, source)

    def _take(self, group: ParameterGroup) -> None:
        """Learn from a whole group."""
        if self._requests is not None:
            self._requests.answered(group.source, group.pgn)
        if group.pgn not in IDENTIFICATION_GROUPS or group.source >= NULL_ADDRESS or group.source == self._bus.address:
            return
        try:
            identifiers = identifiers_in(group)
        except DecodeError:
            self._faults["unreadable_identification"] += 1
            return
        if group.source not in self._said and len(self._said) >= MAX_UNITS:
            self._faults["too_many_units"] += 1
            return
        if identifiers:
            self._said.setdefault(group.source, {}).update(identifiers)

    def _acknowledged(self, source: int, data: bytes) -> None:
        """PGN 59392: control octet, group function, two reserved, the address it answers, the group."""
        if self._requests is None or len(data) < _ACKNOWLEDGEMENT_OCTETS or data[0] == _POSITIVE:
            return
        if data[4] in {self._bus.address, 0xFF}:
            self._requests.refused(source, int.from_bytes(data[5:8], "little"))


_LISTENED = frozenset(LISTENED_GROUPS)
