"""One round of questions about who the control units are: numbers and software by UDS, VIN and calibrations by OBD service 09.

A survey asks every unit it was begun with, each question once and only at standstill, and is complete when all were answered,
refused or met with silence. What a unit refused for good it is not asked again until the agent starts anew; a unit that stays
silent is skipped, and nothing is concluded from that.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from shared.core.clock import MonotonicNs
from shared.core.errors import DecodeError
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.obd import (
    CALIBRATION_IDS,
    CALIBRATION_NUMBERS,
    UNIT_NAME,
    VIN_INFO,
    calibration_ids,
    calibration_numbers,
    info_supported,
    text_of,
    unit_name,
    vin,
    vin_of,
)
from vehicle_agent.requests.read_request import DataByIdentifier, ReadRequest, VehicleInformation
from vehicle_agent.requests.schedule import Task
from vehicle_agent.requests.uds import IDENTIFIERS, MAX_IDENTIFIER_CHARACTERS, READ_RESPONSE, VIN, data_record

SUPPORTED_INFO = VehicleInformation(0x00)
INFO_TYPES = (VIN_INFO, CALIBRATION_IDS, CALIBRATION_NUMBERS, UNIT_NAME)
"""What is asked by OBD, where the unit says that it knows it."""

FOR_GOOD = frozenset(
    {
        "service_not_supported",
        "sub_function_not_supported",
        "request_out_of_range",
        "security_access_denied",
        "authentication_required",
        "service_not_supported_in_active_session",
        "incorrect_message_length_or_invalid_format",
    }
)
"""Refusals that asking again would not change."""

WHOLE_SERVICE = frozenset({"service_not_supported", "service_not_supported_in_active_session"})
"""Refusals that hold for every identifier."""

Question = tuple[UnitAddress, ReadRequest]


class Survey:
    """Surveys of the units of one bus, one after another."""

    def __init__(self) -> None:
        self._open: dict[Question, None] = {}
        self._refused: set[Question] = set()
        self._said: dict[UnitAddress, dict[str, str]] = {}
        self.is_running = False

    @property
    def is_complete(self) -> bool:
        """Whether a survey runs and nothing is open any more."""
        return self.is_running and not self._open

    def begin(self, obd_units: Iterable[UnitAddress], uds_units: Iterable[UnitAddress], now: MonotonicNs) -> tuple[Task, ...]:
        """Begin one; return its first questions.

        Args:
            obd_units: asked by service 09, and by UDS too.
            uds_units: asked by UDS alone.
            now: when they are due.
        """
        self.is_running = True
        self._open.clear()
        self._said.clear()
        by_obd = sorted(set(obd_units))
        questions: list[Question] = [(unit, SUPPORTED_INFO) for unit in by_obd]
        for unit in sorted({*by_obd, *uds_units}):
            questions += [(unit, DataByIdentifier(identifier)) for identifier in IDENTIFIERS]
        return self._tasks(questions, now)

    def end(self) -> Mapping[UnitAddress, Mapping[str, str]]:
        """End it and return what each unit that answered calls itself."""
        self.is_running = False
        self._open.clear()
        return {unit: dict(said) for unit, said in self._said.items() if said}

    @property
    def units(self) -> frozenset[UnitAddress]:
        """The units that have not answered everything yet."""
        return frozenset(unit for unit, _ in self._open)

    def asks(self, unit: UnitAddress, request: ReadRequest) -> bool:
        """Whether a question is an open one of the survey."""
        return (unit, request) in self._open

    def answered(self, unit: UnitAddress, octets: bytes, now: MonotonicNs) -> tuple[Task, ...]:
        """Take an answer, whoever asked; return the questions it leads to.

        Raises:
            DecodeError: it is none of those a survey asks for, or damaged; the question counts as answered.
        """
        request = _question_of(octets)
        if request is None:
            return ()
        was_open = self._open.pop((unit, request), False) is None
        if request == SUPPORTED_INFO:
            known = info_supported(octets)
            questions: list[Question] = [(unit, VehicleInformation(each)) for each in INFO_TYPES if each in known]
            return self._tasks(questions, now) if was_open else ()
        for name, value in _identifiers(request, octets).items():
            self._said.setdefault(unit, {})[name] = value
        return ()

    def refused(self, unit: UnitAddress, request: ReadRequest, words: str) -> tuple[Question, ...]:
        """Take a refusal; return the questions that need not be asked any more."""
        self._open.pop((unit, request), None)
        if words in FOR_GOOD:
            self._refused.add((unit, request))
        if words not in WHOLE_SERVICE:
            return ()
        dropped = tuple(each for each in self._open if each[0] == unit and each[1].SERVICE == request.SERVICE)
        self._refused.update(dropped)
        return self._drop(dropped)

    def silent(self, unit: UnitAddress) -> tuple[Question, ...]:
        """A unit says nothing: return its questions, which are skipped."""
        return self._drop(tuple(each for each in self._open if each[0] == unit))

    def _drop(self, questions: tuple[Question, ...]) -> tuple[Question, ...]:
        for each in questions:
            self._open.pop(each, None)
        return questions

    def _tasks(self, questions: Iterable[Question], now: MonotonicNs) -> tuple[Task, ...]:
        asked = [each for each in questions if each not in self._refused and each not in self._open]
        self._open.update(dict.fromkeys(asked))
        return tuple(Task(request=request, unit=unit, every_ns=None, at_standstill=True, due=now) for unit, request in asked)


def _question_of(octets: bytes) -> ReadRequest | None:
    """Return the question of a survey that an answer belongs to; None for any other answer."""
    if octets[:1] == b"\x49" and len(octets) >= 2 and octets[1] in (0x00, *INFO_TYPES):
        return VehicleInformation(octets[1])
    if octets[:1] == bytes((READ_RESPONSE,)) and (identifier := int.from_bytes(octets[1:3], "big")) in IDENTIFIERS:
        return DataByIdentifier(identifier)
    return None


def _identifiers(request: ReadRequest, octets: bytes) -> dict[str, str]:
    """Return what an answer says, by name; nothing where it is empty; raises `DecodeError`."""
    if isinstance(request, DataByIdentifier):
        record = data_record(octets)
        text = vin_of(record.octets) if record.identifier == VIN else text_of(record.octets)
        return _kept(IDENTIFIERS[record.identifier], text)
    match octets[1]:
        case 0x02:
            return _kept("vin", vin(octets))
        case 0x04:
            return _kept("calibration_id", " + ".join(calibration_ids(octets)))
        case 0x06:
            return _kept("calibration_number", " + ".join(calibration_numbers(octets)))
        case 0x0A:
            return _kept("unit_name", unit_name(octets))
        case other:
            raise DecodeError("obd.info_type", f"{other:02x} says nothing of a unit")


def _kept(name: str, text: str | None) -> dict[str, str]:
    """Return the pair to keep; what is longer than is kept stands as a digest, so that a change still shows."""
    if not text:
        return {}
    return {name: text if len(text) <= MAX_IDENTIFIER_CHARACTERS else sha256(text.encode()).hexdigest()}
