"""All questions to one vehicle in one place: frames, its condition and time in; news, frames to send and what parts it has out.

First it is asked who is there (PID 00 to all units), then each unit which PIDs it knows, then what matters of those: speed,
odometer, engine speed, distance since codes were cleared. Odometers of makers' units are asked as the configuration says, and now
and then who the units are. Answers to somebody else's questions are used alike. This ties `Requester`, `Schedule`, `Answers` and
`Survey` together and decides what is asked; the agent owns one, or none where `[requests]` is not configured.
"""

from collections import Counter
from collections.abc import Iterator

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import DecodeError
from shared.records.recorder import Recorder
from shared.stack.effects import Effect, SendCan
from shared.transport.can_frame import CanFrame
from vehicle_agent.part_identity import PartIdentity, SurveyResult
from vehicle_agent.requests.addresses import UnitAddress
from vehicle_agent.requests.answers import Answers, Witness
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.requests.obd import (
    ENGINE_ODOMETER,
    ENGINE_SPEED,
    ODOMETER,
    SINCE_CLEARED,
    SINCE_START,
    SUPPORT_PIDS,
    VEHICLE_SPEED,
    CurrentValue,
    current_values,
)
from vehicle_agent.requests.read_request import CurrentData, DataByIdentifier, ReadRequest
from vehicle_agent.requests.requester import Answer, Event, OtherTester, Refusal, Requester, Silence, Turn
from vehicle_agent.requests.schedule import CarCondition, Schedule, Task
from vehicle_agent.requests.survey import Survey
from vehicle_agent.requests.uds import READ_RESPONSE, data_record
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fresh

DISCOVERY_EVERY_NS = 3_600 * NS_PER_S
"""How often all units are asked who is there: some come up later than others."""

ENGINE_EVERY_NS = 10 * NS_PER_S
"""How often the speed of the engine is asked, which shows that it runs."""

SLOW_EVERY_NS = 60 * NS_PER_S
"""How often what grows slowly is asked."""

CONFIRM_AFTER_NS = 30 * NS_PER_S
"""When a survey that found something new is repeated."""

FIRST_SURVEY_AFTER_NS = 10 * NS_PER_S
"""When the units are first asked who they are."""

UNANSWERED_SURVEY_NS = 600 * NS_PER_S
"""When a survey that nobody answered is repeated."""

SURVEY_PATIENCE_NS = 3_600 * NS_PER_S
"""After which a survey that could not be completed, for want of a standstill say, is begun anew."""

HEARD_NS = 5 * NS_PER_S
"""A bus on which nothing was heard for so long is asleep."""

STILL_NS = 600 * NS_PER_S
"""A vehicle that neither moved nor ran its engine for so long is taken to be parked, where nobody says that the ignition is on."""

STANDSTILL_MPS = 0.1


class CarRequests:
    """The questions to one vehicle.

    Args:
        settings: what may be asked.
        channel: what frames of that bus name.
        identity: what is known of its control units.
        says_ignition: whether the vehicle says on a bus whether its ignition is on: then nothing is asked unless it does.
        started: when the agent starts.
    """

    def __init__(
        self, settings: RequestsConfig, *, channel: str, identity: PartIdentity, says_ignition: bool, started: MonotonicNs
    ) -> None:
        self._settings = settings
        self._says_ignition = says_ignition
        self._named = tuple(sorted(set(settings.named.values())))
        self._requester = Requester(channel=channel, units=self._named, obd=settings.obd, is_extended=settings.identifiers == 29)
        self._schedule = Schedule(rate_per_s=settings.rate_per_s, started=started)
        odometers = tuple(each.odometer for each in settings.odometer)
        self._every_ns = {
            VEHICLE_SPEED: round(settings.speed_every_s * NS_PER_S),
            ENGINE_SPEED: ENGINE_EVERY_NS,
            ODOMETER: round(settings.odometer_every_s * NS_PER_S),
            ENGINE_ODOMETER: SLOW_EVERY_NS,
            SINCE_CLEARED: SLOW_EVERY_NS,
            SINCE_START: SLOW_EVERY_NS,
        }
        self._answers = Answers(odometers, self._every_ns)
        self._survey = Survey()
        self.identity = identity
        self._units: set[UnitAddress] = set()
        self._supported: dict[UnitAddress, frozenset[int]] = {}
        self._asked: Task | None = None
        self._state = VehicleState()
        self._latest = started
        self._heard: MonotonicNs | None = None
        self._moved = started
        self._next_survey = MonotonicNs(started + FIRST_SURVEY_AFTER_NS)
        self._survey_until = started
        self._refusals: Counter[str] = Counter()
        if settings.ask and settings.obd:
            self._plan(CurrentData(0x00), None, started, DISCOVERY_EVERY_NS)
        for odometer in odometers if settings.ask else ():
            self._plan(
                DataByIdentifier(odometer.identifier),
                odometer.unit,
                started,
                odometer.every_ns,
                at_standstill=odometer.at_standstill,
            )
        self._next_due = self._when_due()

    def next_due(self) -> MonotonicNs | None:
        """When `poll` wants to be called; None while there is nothing to do."""
        return self._next_due

    def _when_due(self) -> MonotonicNs | None:
        due = [self._requester.next_due()]
        if not self._requester.is_asking:
            due.append(self._schedule.next_due())
        if self._surveys:
            due.append(self._survey_until if self._survey.is_running else self._next_survey)
        return min((each for each in due if each is not None), default=None)

    def hear(self, frame: CanFrame, now: MonotonicNs) -> tuple[tuple[SignalUpdate, ...], tuple[Effect, ...]]:
        """Take any frame of the vehicle; return the news in it, and frames to send. Never raises."""
        if not self._requester.wants(frame):
            self._heard = now
            return (), ()
        turn = self._requester.take(frame, now)
        if turn.events or turn.send:  # not our own frame come back
            self._heard = now
        updates = tuple(self._happened(turn.events, frame.received, now))
        self._next_due = self._when_due()
        return updates, self._effects(turn)

    def poll(self, state: VehicleState, recorder: Recorder, now: Instant) -> tuple[Effect, ...]:
        """Ask what is due and may be asked; begin and end surveys."""
        self._state = state
        at = self._latest = now.monotonic
        if (fresh(state.speed_mps, at) or 0.0) > STANDSTILL_MPS:
            self._moved = at
        if self._next_due is None or at < self._next_due:
            return ()
        effects: list[Effect] = []
        car = self._condition(at)
        if self._requester.is_about_to_repeat and not self._schedule.may_repeat(car, at):
            self._requester.withdraw(at)
            if self._asked is not None:
                self._schedule.plan(self._asked)  # a question that is asked once is still to be asked
        turn = self._requester.poll(at)
        # What a question's end leads to is no news of the vehicle: only answers are.
        list(self._happened(turn.events, at, at))
        effects += self._effects(turn)
        effects += self._look_at_survey(recorder, now)
        if (
            self._settings.ask
            and not self._requester.is_asking
            and (task := self._schedule.take(self._condition(at), at)) is not None
        ):
            self._asked = task
            expected = frozenset(self._units) if task.unit is None else frozenset()
            effects += self._effects(self._requester.ask(task.request, task.unit, at, expected=expected))
        self._next_due = self._when_due()
        return tuple(effects)

    def witnesses(self, now: MonotonicNs) -> tuple[Witness, ...]:
        """Return everything units said and that is fresh: also what feeds no field of the vehicle."""
        return self._answers.witnesses(now)

    def status(self) -> dict[str, object]:
        """Return what was asked and answered, as JSON values."""
        quiet, now = self._schedule.quiet, self._latest
        return {
            "bus": self._settings.bus,
            "asks": self._settings.ask,
            "units": sorted({unit.name for unit in (*self._units, *self._named)}),
            "planned": len(self._schedule.tasks),
            "quiet": None if quiet is None else quiet.value,
            "survey_running": self._survey.is_running,
            "counters": dict(self._requester.counters),
            "faults": dict(self._answers.faults),
            "refusals": dict(self._refusals),
            "witnesses": [
                {"source": each.source, "quantity": each.quantity, "value": each.value} for each in self._answers.witnesses(now)
            ],
        }

    @property
    def _surveys(self) -> bool:
        return self._settings.ask and self._settings.part_identity_every_s > 0

    def _plan(
        self, request: ReadRequest, unit: UnitAddress | None, now: MonotonicNs, every_ns: int | None, *, at_standstill: bool = False
    ) -> None:
        waits = at_standstill or self._settings.only_at_standstill
        self._schedule.plan(Task(request=request, unit=unit, every_ns=every_ns, at_standstill=waits, due=now))

    def _effects(self, turn: Turn) -> tuple[SendCan, ...]:
        if not self._settings.ask:
            return ()
        return tuple(
            SendCan(bus=self._settings.bus, arbitration_id=each.arbitration_id, is_extended=each.is_extended, data=each.data)
            for each in turn.send
        )

    def _condition(self, now: MonotonicNs) -> CarCondition:
        is_on = fresh(self._state.ignition_on, now)
        if is_on is None and self._says_ignition:
            is_on = False  # not said yet, or asleep: nothing on the bus is to be woken
        hears = self._heard is not None and now - self._heard <= HEARD_NS
        is_awake = hears and now - self._moved <= STILL_NS
        return CarCondition(ignition_on=is_on, is_standing=self._is_standing(now), is_awake=is_awake)

    def _is_standing(self, now: MonotonicNs) -> bool | None:
        speeds = [fresh(self._state.speed_mps, now), self._answers.latest(VEHICLE_SPEED, now)]
        known = [speed for speed in speeds if speed is not None]
        return all(speed <= STANDSTILL_MPS for speed in known) if known else None

    def _happened(self, events: tuple[Event, ...], at: MonotonicNs, now: MonotonicNs) -> Iterator[SignalUpdate]:
        for event in events:
            match event:
                case Answer():
                    yield from self._answer(event, at, now)
                case Refusal(unit, request, words):
                    self._refused(unit, request, words, now)
                case Silence(unit, request):
                    self._silent(unit, request, now)
                case OtherTester():
                    self._schedule.other_tester(now)

    def _answer(self, answer: Answer, at: MonotonicNs, now: MonotonicNs) -> Iterator[SignalUpdate]:
        unit, octets = answer.unit, answer.octets
        if answer.is_ours:
            self._schedule.answered(unit)
            if self._asked is not None:
                self._asked.refusals = 0
        try:
            if octets[:1] == b"\x41":
                for value in current_values(octets):
                    self._learn(unit, value, now, is_ours=answer.is_ours)
                    yield from self._answers.current(unit, value, at)
            elif octets[:1] == bytes((READ_RESPONSE,)):
                yield from self._answers.record(unit, data_record(octets), at)
            for task in self._survey.answered(unit, octets, now):
                self._schedule.plan(task)
        except DecodeError as refusal:
            self._answers.faults[refusal.code] += 1

    def _learn(self, unit: UnitAddress, value: CurrentValue, now: MonotonicNs, *, is_ours: bool) -> None:
        """Remember what a unit knows, and plan what is worth asking it."""
        if value.pid in (ENGINE_SPEED, VEHICLE_SPEED) and value.raw:
            self._moved = now
        if value.pid not in SUPPORT_PIDS or not is_ours:
            return
        self._units.add(unit)
        known = self._supported[unit] = self._supported.get(unit, frozenset()) | value.supported
        for pid in SUPPORT_PIDS[1:]:
            if pid in value.supported:
                self._plan(CurrentData(pid), unit, now, None)
        self._watch(unit, known, now)

    def _watch(self, unit: UnitAddress, known: frozenset[int], now: MonotonicNs) -> None:
        """Plan what a unit knows: odometers of every unit, speeds of the lowest that has them."""
        for pid, every_ns in self._every_ns.items():
            is_speed = pid in (VEHICLE_SPEED, ENGINE_SPEED)
            if pid in known and (not is_speed or unit == min(each for each in self._units if pid in self._supported[each])):
                self._plan(CurrentData(pid), unit, now, every_ns)

    def _refused(self, unit: UnitAddress, request: ReadRequest, words: str, now: MonotonicNs) -> None:
        self._refusals[words] += 1
        self._schedule.answered(unit)
        if self._asked is not None and self._asked.request == request and self._asked.every_ns is not None:
            self._schedule.refused(self._asked, now)
        self._drop(self._survey.refused(unit, request, words))

    def _silent(self, unit: UnitAddress | None, request: ReadRequest, now: MonotonicNs) -> None:
        self._schedule.silent(unit, now)
        if unit is not None:
            self._drop(self._survey.silent(unit))
        asked = self._asked
        if asked is not None and (asked.request, asked.unit) == (request, unit) and isinstance(request, CurrentData):
            asked.due = now  # again as soon as the unit is asked anything
            self._schedule.plan(asked)

    def _drop(self, questions: tuple[tuple[UnitAddress, ReadRequest], ...]) -> None:
        for task in self._schedule.tasks:
            if task.every_ns is None and task.unit is not None and (task.unit, task.request) in questions:
                self._schedule.drop(task)

    def _look_at_survey(self, recorder: Recorder, now: Instant) -> tuple[Effect, ...]:
        at, effects = now.monotonic, self.identity.poll(recorder, now.monotonic)
        if not self._surveys:
            return effects
        for unit in self._survey.units:
            if self._schedule.is_left_alone(unit, at):  # it was silent to something else: nothing more is expected of it
                self._drop(self._survey.silent(unit))
        if self._survey.is_complete:
            return (*effects, *self._surveyed(recorder, now))
        if self._survey.is_running and at >= self._survey_until:
            self._abandon()
            self._next_survey = at
        if not self._survey.is_running and at >= self._next_survey:
            self._survey_until = MonotonicNs(at + SURVEY_PATIENCE_NS)
            tasks = self._survey.begin(self._units, self._named, at)
            for task in tasks:
                self._schedule.plan(task)
            if not tasks:
                self._survey.end()
                self._next_survey = MonotonicNs(at + CONFIRM_AFTER_NS)
        return effects

    def _surveyed(self, recorder: Recorder, now: Instant) -> tuple[Effect, ...]:
        """End a survey: hand on what it found, and say when the next one is due."""
        at = now.monotonic
        found = self._survey.end()
        if not found:
            self._next_survey = MonotonicNs(at + UNANSWERED_SURVEY_NS)
            return ()
        # What OBD-II obliges a unit to say counts more than what a maker's says, and the lowest more than the next.
        spoken = sorted((unit in self._named, unit, said["vin"]) for unit, said in found.items() if "vin" in said)
        odometer_m = fresh(self._state.odometer_m, at)
        result = SurveyResult(
            units={f"{self._settings.bus}:{unit.name}": said for unit, said in found.items()},
            vins=tuple(dict.fromkeys(vin for _, _, vin in spoken)),
            odometer_m=None if odometer_m is None else round(odometer_m),
        )
        effects = self.identity.take(result, recorder, now)
        pause_ns = CONFIRM_AFTER_NS if self.identity.wants_confirmation else round(self._settings.part_identity_every_s * NS_PER_S)
        self._next_survey = MonotonicNs(at + pause_ns)
        return effects

    def _abandon(self) -> None:
        for task in self._schedule.tasks:
            if task.every_ns is None and task.unit is not None and self._survey.asks(task.unit, task.request):
                self._schedule.drop(task)
        self._survey.end()
