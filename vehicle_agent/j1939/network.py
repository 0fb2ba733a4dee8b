"""J1939 for one vehicle, tied to the rest: long groups become news, and what units say of themselves becomes their identity.

The agent owns one where a map finds messages by their parameter group, none otherwise.
"""

from shared.core.clock import Instant, MonotonicNs
from shared.records.recorder import Recorder
from shared.stack.effects import Effect
from shared.transport.can_frame import CanFrame
from vehicle_agent.j1939.listener import HEARD_NOTHING, J1939Listener
from vehicle_agent.part_identity import PartIdentity, SurveyResult
from vehicle_agent.signals.can_input import CanInput
from vehicle_agent.vehicle_state import SignalUpdate, VehicleState, fresh

_NOTHING: tuple[tuple[SignalUpdate, ...], tuple[Effect, ...]] = ((), ())


class J1939Network:
    """The J1939 buses of one vehicle.

    Args:
        listener: puts long groups together and asks.
        can_input: decodes them.
        identity: what is known of the units.
    """

    def __init__(self, listener: J1939Listener, *, can_input: CanInput, identity: PartIdentity) -> None:
        self._listener = listener
        self._can_input = can_input
        self.identity = identity

    def next_due(self) -> MonotonicNs:
        """When `poll` wants to be called."""
        return self._listener.next_due()

    def hear(self, frame: CanFrame) -> tuple[tuple[SignalUpdate, ...], tuple[Effect, ...]]:
        """Take any frame of the vehicle; return the news of a group it completes, and frames to send. Never raises."""
        heard = self._listener.receive(frame)
        if heard is HEARD_NOTHING:
            return _NOTHING
        return () if heard.group is None else self._can_input.on_group(heard.group), heard.answers

    def poll(self, state: VehicleState, recorder: Recorder, now: Instant) -> tuple[Effect, ...]:
        """Ask what is due, end what is late, and take in what a survey found."""
        effects: list[Effect] = [*self._listener.poll(now.monotonic), *self.identity.poll(recorder, now.monotonic)]
        survey = self._listener.take_survey(now.monotonic)
        if survey is not None:
            odometer_m = fresh(state.odometer_m, now.monotonic)
            found = SurveyResult(units=survey.units, vins=survey.vins, odometer_m=None if odometer_m is None else round(odometer_m))
            effects += self.identity.take(found, recorder, now)
        return tuple(effects)

    def status(self) -> dict[str, object]:
        """Return what was heard, asked and answered, as JSON values."""
        return {"buses": self._listener.status()}
