"""The transport protocol of SAE J1939-21, 5.10, receiving side: groups of 9..1,785 octets in packets of seven.

    BAM   the sender announces a group to everybody and sends its packets 50..200 ms apart
    RTS   the sender asks one address; that one answers with CTS how many packets it takes from which on, and acknowledges the end

Sessions between two others are overheard: whoever sends and whoever answers keep the order, we only listen. Sessions with our own
address are answered, and only where the group was asked for: a request to send that nobody asked for gets no word from us, since
whoever can make us speak disturbs the bus. Packets that got lost are asked for again, twice, then the session is aborted.

A session ends with what is left of it when its next packet is late (T1 750 ms after a packet, T2 1250 ms after our CTS, T3 1250 ms
and T4 1050 ms where others hold it), a packet comes out of order, its sender starts anew, or somebody aborts it. Everything of that
is counted by its reason. Sending long groups of our own is not here: a request takes three octets.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.errors import FrameError
from shared.stack.effects import SendCan
from shared.transport.can_frame import CanFrame
from vehicle_agent.j1939.groups import TP_CONNECTION, TP_DATA, ParameterGroup
from vehicle_agent.j1939.identifier import GLOBAL_ADDRESS, J1939Identifier, parse_identifier

MIN_GROUP_OCTETS = 9
MAX_GROUP_OCTETS = 1_785
"""255 packets."""

OCTETS_PER_PACKET = 7
FRAME_OCTETS = 8

T1_NS = 750 * NS_PER_MS
"""Longest gap between two packets."""
T2_NS = 1_250 * NS_PER_MS
"""Longest wait for the first packet after a CTS."""
T3_NS = 1_250 * NS_PER_MS
"""Longest wait of a sender for a CTS or the acknowledgement after its last packet; how long we wait for both overheard."""
T4_NS = 1_050 * NS_PER_MS
"""Longest wait of a sender for a CTS that ends a hold."""

MAX_SESSIONS = 64
"""Sessions open at a time on one bus; 114 kB at most."""
MAX_SESSIONS_PER_SOURCE = 4
"""Of these of one sender: a broadcast and a few destinations."""
MAX_PACKETS_PER_CTS = 16
"""Packets we take before we speak again."""
MAX_RETRANSMISSIONS = 2
"""How often packets that got lost are asked for again (J1939-21, 5.10.3.5)."""

RTS, CTS, END_OF_MESSAGE, BAM, ABORT = 16, 17, 19, 32, 255
ABORT_TIMEOUT = 3
"""Reason of an abort: a packet did not come in time."""

TP_PRIORITY = 7

SIZE = "tp_size"
CONTROL = "tp_control"
SEQUENCE = "tp_sequence"
TIMEOUT = "tp_timeout"
ABORTED = "tp_aborted"
STRAY = "tp_stray"
REPLACED = "tp_replaced"
TOO_MANY = "tp_too_many"
UNASKED = "tp_unasked"
TRANSPORT_FAULT_KINDS = (SIZE, CONTROL, SEQUENCE, TIMEOUT, ABORTED, STRAY, REPLACED, TOO_MANY, UNASKED)
"""Every `FrameError.kind` of this module."""

Wanted = Callable[[int, int], bool]
"""From a parameter group and the address that offers it to us, whether we asked for it."""


@dataclass(slots=True)
class _Session:
    """A group on its way."""

    pgn: int
    size: int
    deadline: MonotonicNs
    is_ours: bool
    window: int
    """Packets the sender takes in one CTS."""
    data: bytearray = field(default_factory=bytearray)
    received: int = 0
    """Packets received in order."""
    granted: int = 0
    """The last packet our CTS asked for."""
    retransmissions: int = 0

    @property
    def packets(self) -> int:
        return -(-self.size // OCTETS_PER_PACKET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What a packet led to.

    Attributes:
        group: a group that is complete.
        answers: frames to put on the bus.
    """

    group: ParameterGroup | None = None
    answers: tuple[SendCan, ...] = ()


_NOTHING = Assembled()


class TransportReceiver:
    """Puts the groups of one bus together.

    Args:
        bus: the vehicle's name for it.
        address: our own; None where we only listen.
        wanted: whether a group that is offered to our address was asked for.
    """

    def __init__(self, bus: str, address: int | None, wanted: Wanted) -> None:
        self._bus = bus
        self._address = address
        self._wanted = wanted
        self._sessions: dict[tuple[int, int], _Session] = {}
        self._faults: Counter[str] = Counter()
        self._complete = 0

    @property
    def open_sessions(self) -> int:
        """How many groups are on their way."""
        return len(self._sessions)

    def status(self) -> Mapping[str, int]:
        """Return how many groups came complete, and what was refused or went wrong, by reason."""
        return MappingProxyType({"complete": self._complete, **self._faults})

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called."""
        first = min((session.deadline for session in self._sessions.values()), default=None)
        return None if first is None else MonotonicNs(first + 1)  # at the deadline itself a packet is still in time

    def poll(self, now: MonotonicNs) -> tuple[SendCan, ...]:
        """End sessions whose next packet is late, or ask for it again where we are the ones who take it."""
        answers: list[SendCan] = []
        for key, session in [each for each in self._sessions.items() if now > each[1].deadline]:
            answers += self._late(key, session, now)
        return tuple(answers)

    def receive(self, frame: CanFrame) -> Assembled:
        """Take a frame of TP.CM or TP.DT; others are nothing. What is wrong with it is counted."""
        identifier = parse_identifier(frame.arbitration_id)
        try:
            if identifier.pgn == TP_CONNECTION:
                return self._connection(identifier, frame)
            if identifier.pgn == TP_DATA:
                return self._packet(identifier, frame)
        except FrameError as fault:
            self._faults[fault.kind] += 1
        return _NOTHING

    def _connection(self, identifier: J1939Identifier, frame: CanFrame) -> Assembled:
        data = frame.data
        if len(data) < FRAME_OCTETS:
            raise FrameError("TP.CM", f"has {len(data)} octets, not {FRAME_OCTETS}", SIZE)
        pgn = int.from_bytes(data[5:8], "little")
        sender, receiver = identifier.source, identifier.destination
        control = data[0]
        if control in {RTS, BAM}:
            return self._open(identifier, frame, pgn)
        if control == CTS:
            self._other_grants((receiver, sender), pgn, data, frame.received)
        elif control == END_OF_MESSAGE:
            self._sessions.pop((receiver, sender), None)
        elif control == ABORT:
            self._aborted(((sender, receiver), (receiver, sender)), pgn)
        else:
            raise FrameError("TP.CM", f"control octet {control} is none of J1939-21", CONTROL)
        return _NOTHING

    def _open(self, identifier: J1939Identifier, frame: CanFrame, pgn: int) -> Assembled:
        data = frame.data
        is_broadcast = data[0] == BAM
        if is_broadcast != (identifier.destination == GLOBAL_ADDRESS):
            raise FrameError("TP.CM", "a broadcast goes to everybody, a request to send to one address", CONTROL)
        size = int.from_bytes(data[1:3], "little")
        if not MIN_GROUP_OCTETS <= size <= MAX_GROUP_OCTETS:
            raise FrameError("TP.CM", f"a group of {size} octets, not {MIN_GROUP_OCTETS}..{MAX_GROUP_OCTETS}", SIZE)
        if data[3] != -(-size // OCTETS_PER_PACKET):
            raise FrameError("TP.CM", f"{data[3]} packets for {size} octets", SIZE)
        is_ours = not is_broadcast and self._address is not None and identifier.destination == self._address
        if is_ours and not self._wanted(pgn, identifier.source):
            raise FrameError("TP.CM", f"group {pgn} of {identifier.source} was not asked for", UNASKED)
        key = (identifier.source, identifier.destination)
        self._expire(frame.received)
        if self._sessions.pop(key, None) is not None:
            self._faults[REPLACED] += 1
        of_source = sum(source == identifier.source for source, _ in self._sessions)
        if len(self._sessions) >= MAX_SESSIONS or of_source >= MAX_SESSIONS_PER_SOURCE:
            raise FrameError("TP.CM", f"{len(self._sessions)} groups are on their way, {of_source} of this sender", TOO_MANY)
        window = MAX_PACKETS_PER_CTS if is_broadcast else max(1, min(data[4], MAX_PACKETS_PER_CTS))
        wait = T1_NS if is_broadcast else T3_NS
        session = _Session(pgn, size, MonotonicNs(frame.received + wait), is_ours, window)
        self._sessions[key] = session
        return Assembled(answers=(self._grant(key, session, frame.received),)) if is_ours else _NOTHING

    def _packet(self, identifier: J1939Identifier, frame: CanFrame) -> Assembled:
        key = (identifier.source, identifier.destination)
        session = self._sessions.get(key)
        if session is None:
            raise FrameError("TP.DT", "belongs to no session", STRAY)
        if frame.received > session.deadline:
            if not session.is_ours:
                del self._sessions[key]
                raise FrameError("TP.DT", "came too late", TIMEOUT)
            return Assembled(answers=self._late(key, session, frame.received))
        if len(frame.data) < FRAME_OCTETS:
            del self._sessions[key]
            raise FrameError("TP.DT", f"has {len(frame.data)} octets, not {FRAME_OCTETS}", SIZE)
        number = frame.data[0]
        if number != session.received + 1:
            return self._out_of_order(key, session, number)
        session.data += frame.data[1:FRAME_OCTETS]
        session.received = number
        is_overheard = not session.is_ours and key[1] != GLOBAL_ADDRESS
        session.deadline = MonotonicNs(frame.received + (T3_NS if is_overheard else T1_NS))
        if number < session.packets:
            if session.is_ours and number >= session.granted:
                return Assembled(answers=(self._grant(key, session, frame.received),))
            return _NOTHING
        del self._sessions[key]
        self._complete += 1
        group = ParameterGroup(
            pgn=session.pgn,
            source=identifier.source,
            destination=identifier.destination,
            data=bytes(session.data[: session.size]),
            channel=frame.channel,
            received=frame.received,
        )
        if not session.is_ours:
            return Assembled(group=group)
        size = session.size.to_bytes(2, "little")
        end = self._say(identifier.source, bytes((END_OF_MESSAGE, *size, session.packets, 0xFF)), session.pgn)
        return Assembled(group=group, answers=(end,))

    def _out_of_order(self, key: tuple[int, int], session: _Session, number: int) -> Assembled:
        """A packet of ours came twice or too early: what is missing is asked for in the next pause; others' end."""
        if not session.is_ours:
            del self._sessions[key]
        raise FrameError("TP.DT", f"packet {number} after {session.received}", SEQUENCE)

    def _other_grants(self, key: tuple[int, int], pgn: int, data: bytes, at: MonotonicNs) -> None:
        """The receiver of an overheard session says from which packet on it takes how many; none at all holds the session."""
        session = self._sessions.get(key)
        if session is None or session.is_ours or session.pgn != pgn or key[1] == GLOBAL_ADDRESS:
            return
        count, first = data[1], data[2]
        if not count:
            session.deadline = MonotonicNs(at + T4_NS)
            return
        if not 1 <= first <= session.received + 1:
            del self._sessions[key]
            raise FrameError("TP.CM", f"packets from {first} on are wanted, {session.received} came", SEQUENCE)
        session.received = first - 1
        del session.data[OCTETS_PER_PACKET * session.received :]
        session.deadline = MonotonicNs(at + T3_NS)

    def _aborted(self, keys: tuple[tuple[int, int], ...], pgn: int) -> None:
        for key in keys:
            session = self._sessions.get(key)
            if session is not None and session.pgn == pgn and key[1] != GLOBAL_ADDRESS:
                del self._sessions[key]
                raise FrameError("TP.CM", f"group {pgn} was aborted", ABORTED)

    def _expire(self, now: MonotonicNs) -> None:
        """Make room: sessions of others that are late are over."""
        for key in [key for key, session in self._sessions.items() if now > session.deadline and not session.is_ours]:
            del self._sessions[key]
            self._faults[TIMEOUT] += 1

    def _late(self, key: tuple[int, int], session: _Session, now: MonotonicNs) -> tuple[SendCan, ...]:
        self._faults[TIMEOUT] += 1
        if session.is_ours and session.retransmissions < MAX_RETRANSMISSIONS:
            session.retransmissions += 1
            return (self._grant(key, session, now),)
        del self._sessions[key]
        if not session.is_ours:
            return ()
        return (self._say(key[0], bytes((ABORT, ABORT_TIMEOUT, 0xFF, 0xFF, 0xFF)), session.pgn),)

    def _grant(self, key: tuple[int, int], session: _Session, now: MonotonicNs) -> SendCan:
        """Ask for the next packets."""
        count = min(session.window, session.packets - session.received)
        session.granted = session.received + count
        session.deadline = MonotonicNs(now + T2_NS)
        return self._say(key[0], bytes((CTS, count, session.received + 1, 0xFF, 0xFF)), session.pgn)

    def _say(self, destination: int, content: bytes, pgn: int) -> SendCan:
        assert self._address is not None
        identifier = J1939Identifier(priority=TP_PRIORITY, pgn=TP_CONNECTION, destination=destination, source=self._address)
        return SendCan(
            bus=self._bus,
            arbitration_id=identifier.arbitration_id,
            is_extended=True,
            data=content + pgn.to_bytes(3, "little"),
        )
