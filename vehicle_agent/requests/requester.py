"""Asks one question at a time on one bus, and hears every answer there, also those to somebody else's questions.

A question is a single frame. Its answers may be long: a unit that was asked gets one flow control, everybody else is only listened
to. Response pending is waited for (P2*), a busy unit is asked again, both a bounded number of times; whoever says nothing in time
is silent. A question that is not ours, or an answer that nobody here asked for, shows that another tester is at work. Timing is ISO
14229-2 and ISO 15765-4; what is worth asking, and when, is `schedule`'s business.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from shared.core.clock import NS_PER_MS, NS_PER_S, MonotonicNs
from shared.core.errors import DecodeError
from shared.transport.can_frame import CanFrame
from vehicle_agent.requests.addresses import LEGISLATED_11, LEGISLATED_29, UnitAddress, all_units, answering_unit, is_question
from vehicle_agent.requests.isotp import SingleFrame, encode_frame
from vehicle_agent.requests.isotp_receive import IsoTpReceiver, TransferFault
from vehicle_agent.requests.read_request import CurrentData, DataByIdentifier, ReadRequest, VehicleInformation
from vehicle_agent.requests.uds import BUSY_REPEAT_REQUEST, RESPONSE_PENDING, NegativeResponse, negative_response

P2_NS = 500 * NS_PER_MS
"""How long an answer may take to begin: 50 ms of the unit's, and ours of reading the bus late (P2client)."""

P2_STAR_NS = 5 * NS_PER_S
"""How long it may take after response pending (P2*)."""

MAX_PENDING = 12
"""How often a unit may say response pending to one question: a minute."""

BUSY_PAUSE_NS = NS_PER_S
"""How long a busy unit is left alone before it is asked again."""

MAX_REPEATS = 3
"""How often it is asked again."""

MAX_EXCHANGE_NS = 90 * NS_PER_S
"""The longest one question is outstanding, whatever its units do."""

LATE_NS = P2_STAR_NS
"""For how long after a question was given up an answer still counts as one to it."""

ECHO_NS = NS_PER_S
"""For how long a frame of ours may come back from the bus itself."""

MAX_ECHOES = 16

MAX_UNITS = 16
"""Units of one bus that are listened to; further ones are counted and passed over."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A frame to put on the bus: identifier, whether it has 29 bits, octets."""

    arbitration_id: int
    is_extended: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a unit said, positively: its octets, and whether we had asked."""

    unit: UnitAddress
    octets: bytes
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A unit does not do what we asked; `words` are the standard's."""

    unit: UnitAddress
    request: ReadRequest
    words: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody answered in time; `unit` is None where all were asked."""

    unit: UnitAddress | None
    request: ReadRequest


@dataclass(frozen=True, slots=True)
class OtherTester:
    """Somebody else asks on this bus."""


Event = Answer | Refusal | Silence | OtherTester


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one input: frames to send at once, and what happened."""

    send: tuple[Outgoing, ...] = ()
    events: tuple[Event, ...] = ()


_NOTHING = Turn()


@dataclass(slots=True)
class _Question:
    """One that is outstanding, or was given up a moment ago."""

    request: ReadRequest
    unit: UnitAddress | None
    asked: MonotonicNs
    deadline: MonotonicNs
    ends: MonotonicNs
    expected: frozenset[UnitAddress]
    repeat_at: MonotonicNs | None = None
    pending: int = 0
    repeats: int = 0
    flow_sent: set[UnitAddress] = field(default_factory=set)
    answered: set[UnitAddress] = field(default_factory=set)

    def concerns(self, unit: UnitAddress) -> bool:
        return self.unit is None or self.unit == unit

    def is_answered_by(self, octets: bytes) -> bool:
        """Whether an answer is one to this question: service and what was asked for agree."""
        service = self.request.SERVICE
        if octets[:1] == b"\x7f":
            return octets[1:2] == bytes((service,))
        return octets.startswith(bytes((service | 0x40,)) + self.request.octets[1:])


class Requester:
    """One bus.

    Args:
        channel: what frames of the bus name.
        units: those with identifiers of their maker.
        obd: whether legislated identifiers are listened to, and units behind them asked.
        is_extended: whether those have 29 bits.
    """

    def __init__(self, *, channel: str, units: tuple[UnitAddress, ...], obd: bool, is_extended: bool) -> None:
        self._channel = channel
        self._is_extended = is_extended
        self._by_response = {(unit.response_id, unit.is_extended): unit for unit in units}
        self._named_questions = frozenset((unit.request_id, unit.is_extended) for unit in units)
        legislated = (LEGISLATED_29 if is_extended else LEGISLATED_11) if obd else ()
        named = self._named_questions | self._by_response.keys()
        self._wanted = frozenset({(identifier, is_extended) for identifier in legislated} | named)
        self._identifiers = frozenset(identifier for identifier, _ in self._wanted)
        self._receivers: dict[UnitAddress, IsoTpReceiver] = {}
        self._question: _Question | None = None
        self._late: _Question | None = None
        self._echoes: deque[tuple[MonotonicNs, Outgoing]] = deque(maxlen=MAX_ECHOES)
        self.counters: Counter[str] = Counter()
        """What happened how often: `asked`, `answered`, `overheard`, `silent`, `refused`, faults of transfers by name."""

    @property
    def is_asking(self) -> bool:
        """Whether a question is outstanding."""
        return self._question is not None

    def wants(self, frame: CanFrame) -> bool:
        """Whether a frame is one of questions or answers."""
        # Most frames of a bus are neither, so the first look is at one number alone.
        return (
            frame.arbitration_id in self._identifiers
            and frame.channel == self._channel
            and (frame.arbitration_id, frame.is_extended) in self._wanted
        )

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called; None while nothing is awaited."""
        due = [receiver.next_due() for receiver in self._receivers.values()]
        if (question := self._question) is not None:
            due.append(question.deadline if question.repeat_at is None else question.repeat_at)
            if self._is_receiving(question):  # its end is awaited, not its beginning
                due[-1] = question.ends
        return min((each for each in due if each is not None), default=None)

    def ask(
        self, request: ReadRequest, unit: UnitAddress | None, now: MonotonicNs, *, expected: frozenset[UnitAddress] = frozenset()
    ) -> Turn:
        """Ask a unit, or with None all of them; nothing must be outstanding.

        Args:
            request: what is asked.
            unit: whom.
            now: when.
            expected: of a question to all, those that will answer: once they have, nobody else is waited for.
        """
        question = _Question(
            request=request,
            unit=unit,
            asked=now,
            deadline=MonotonicNs(now + P2_NS),
            ends=MonotonicNs(now + MAX_EXCHANGE_NS),
            expected=expected,
        )
        self._question = question
        self.counters["asked"] += 1
        return Turn(send=(self._put(question, now),))

    def take(self, frame: CanFrame, now: MonotonicNs) -> Turn:
        """Take a frame that `wants` let through; never raises."""
        heard = Outgoing(frame.arbitration_id, frame.is_extended, frame.data)
        key = (frame.arbitration_id, frame.is_extended)
        unit = self._by_response.get(key) or answering_unit(frame.arbitration_id, is_extended=frame.is_extended)
        if unit is None:
            if self._is_echo(heard, now) or not (
                key in self._named_questions or is_question(frame.arbitration_id, is_extended=frame.is_extended)
            ):
                return _NOTHING
            self.counters["other_tester"] += 1
            return Turn(events=(OtherTester(),))
        receiver = self._receiver(unit)
        if receiver is None:
            self.counters["too_many_units"] += 1
            return _NOTHING
        question = self._question
        answers = question is not None and question.concerns(unit) and unit not in question.flow_sent
        received = receiver.take(frame.data, now, answers=answers)
        self.counters.update(fault.value for fault in received.faults)
        send: tuple[Outgoing, ...] = ()
        if received.reply is not None and question is not None:
            question.flow_sent.add(unit)
            reply = Outgoing(unit.request_id, unit.is_extended, encode_frame(received.reply))
            self._echoes.append((now, reply))
            send = (reply,)
        events = () if received.message is None else self._message(unit, received.message, now)
        return Turn(send=send, events=events) if send or events else _NOTHING

    def poll(self, now: MonotonicNs) -> Turn:
        """Do what is due: ask a busy unit again, and give up what takes too long."""
        for receiver in self._receivers.values():
            if (fault := receiver.poll(now)) is not None:
                self.counters[fault.value] += 1
        question = self._question
        if question is None:
            return _NOTHING
        if question.repeat_at is not None:
            if now < question.repeat_at:
                return _NOTHING
            question.repeat_at, question.deadline = None, MonotonicNs(now + P2_NS)
            self.counters["repeated"] += 1
            return Turn(send=(self._put(question, now),))
        if now < question.ends and (now < question.deadline or self._is_receiving(question)):
            return _NOTHING
        return Turn(events=self._give_up(question, now))

    @property
    def is_about_to_repeat(self) -> bool:
        """Whether a busy unit is to be asked again."""
        return self._question is not None and self._question.repeat_at is not None

    def withdraw(self, now: MonotonicNs) -> None:
        """Ask no further: what is outstanding is not repeated, and an answer to it is a late one."""
        if self._question is not None:
            self._end(self._question, now)

    def _put(self, question: _Question, now: MonotonicNs) -> Outgoing:
        octets = encode_frame(SingleFrame(question.request.octets))
        if question.unit is None:
            outgoing = Outgoing(all_units(is_extended=self._is_extended), self._is_extended, octets)
        else:
            outgoing = Outgoing(question.unit.request_id, question.unit.is_extended, octets)
        self._echoes.append((now, outgoing))
        return outgoing

    def _is_echo(self, heard: Outgoing, now: MonotonicNs) -> bool:
        for each in self._echoes:
            if each[1] == heard and now - each[0] <= ECHO_NS:
                self._echoes.remove(each)
                return True
        return False

    def _receiver(self, unit: UnitAddress) -> IsoTpReceiver | None:
        receiver = self._receivers.get(unit)
        if receiver is not None:
            return receiver
        if len(self._receivers) >= MAX_UNITS:
            is_asked = self._question is not None and self._question.unit == unit
            idle = next((each for each, other in self._receivers.items() if is_asked or not other.is_receiving), None)
            if idle is None:
                return None
            del self._receivers[idle]
        receiver = self._receivers[unit] = IsoTpReceiver()
        return receiver

    def _is_receiving(self, question: _Question) -> bool:
        return any(question.concerns(unit) and receiver.is_receiving for unit, receiver in self._receivers.items())

    def _message(self, unit: UnitAddress, octets: bytes, now: MonotonicNs) -> tuple[Event, ...]:
        try:
            negative = negative_response(octets)
        except DecodeError:
            self.counters[TransferFault.MALFORMED.value] += 1
            return ()
        question = self._question
        is_ours = question is not None and question.concerns(unit) and question.is_answered_by(octets)
        if question is None or not is_ours:
            return self._not_asked(unit, octets, negative, now)
        if negative is not None:
            return self._negative(question, unit, negative, now)
        question.answered.add(unit)
        self.counters["answered"] += 1
        if question.unit is not None or (question.expected and question.expected <= question.answered):
            self._end(question, now)
        return (Answer(unit, octets, is_ours=True),)

    def _not_asked(
        self, unit: UnitAddress, octets: bytes, negative: NegativeResponse | None, now: MonotonicNs
    ) -> tuple[Event, ...]:
        late = self._late
        if late is not None and now < late.ends and late.concerns(unit) and late.is_answered_by(octets):
            self.counters["late"] += 1
            return () if negative is not None else (Answer(unit, octets, is_ours=True),)
        self.counters["overheard"] += 1
        return (OtherTester(),) if negative is not None else (OtherTester(), Answer(unit, octets, is_ours=False))

    def _negative(self, question: _Question, unit: UnitAddress, negative: NegativeResponse, now: MonotonicNs) -> tuple[Event, ...]:
        if negative.code == RESPONSE_PENDING and question.pending < MAX_PENDING:
            question.pending += 1
            question.deadline = MonotonicNs(now + P2_STAR_NS)
            self.counters[negative.words] += 1
            return ()
        if negative.code == BUSY_REPEAT_REQUEST and question.unit is not None and question.repeats < MAX_REPEATS:
            question.repeats += 1
            question.repeat_at = MonotonicNs(now + BUSY_PAUSE_NS)
            self.counters[negative.words] += 1
            return ()
        self.counters["refused"] += 1
        if question.unit is not None:
            self._end(question, now)
        return (Refusal(unit, question.request, negative.words),)

    def _give_up(self, question: _Question, now: MonotonicNs) -> tuple[Event, ...]:
        self._end(question, now)
        for unit, receiver in self._receivers.items():
            if question.concerns(unit):
                receiver.reset()
        if question.answered:
            return ()
        self.counters["silent"] += 1
        return (Silence(question.unit, question.request),)

    def _end(self, question: _Question, now: MonotonicNs) -> None:
        question.ends = MonotonicNs(now + LATE_NS)
        self._question, self._late = None, question


def names_of(request: ReadRequest) -> str:
    """Return a short name of a question for people and counters: `01 0d`, `22 f190`."""
    match request:
        case CurrentData(pid):
            return f"01 {pid:02x}"
        case VehicleInformation(info_type):
            return f"09 {info_type:02x}"
        case DataByIdentifier(identifier):
            return f"22 {identifier:04x}"
