"""Whatever others say and whatever our own bus leaves out, the driver's document fits its schema, and its notices do."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.clock import NS_PER_S, Instant
from shared.core.errors import V2xError
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId, StationId
from shared.core.itstime import time64_of, timestamp_its
from shared.messages.cam import Cam, LowFrequency
from shared.messages.cam_special import Emergency, Rescue
from shared.messages.cdd import CauseCode, DriveDirection, ExteriorLights, LightBarSirenInUse, PathPoint, VehicleRole
from shared.messages.denm import Denm, EventPoint, RelevanceDistance, RelevanceTrafficDirection, Termination
from shared.messages.spatem import MovementPhaseState
from shared.stack.effects import DriverView
from tests.unit.vehicle_agent.test_local_dynamic_map import around, cam, kinds_of, view_of
from tests.unit.vehicle_agent.test_signals_ahead import CENTRE, at, event, lights, northbound_arm
from tests.unit.vehicle_agent.verified_messages import verified
from vehicle_agent.vehicle_state import FIELDS, Aged, FieldKind, VehicleState

STEPS = 4


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def metres(most: float = 400.0) -> st.SearchStrategy[float]:
    return st.floats(-most, most)


@st.composite
def states(draw: st.DrawFn, moment: Instant) -> VehicleState:
    """A car that says some things, of any age that may be."""
    said: dict[str, Any] = {}
    for name, spec in FIELDS.items():
        match spec.kind:
            case FieldKind.QUANTITY:
                value = draw(maybe(st.floats(spec.minimum, spec.maximum, exclude_max=spec.modulus is not None)))
            case FieldKind.FLAG:
                value = draw(maybe(st.booleans()))
            case FieldKind.DIRECTION:
                value = draw(maybe(st.sampled_from(DriveDirection)))
            case FieldKind.POSITION:
                place = displaced(CENTRE, draw(metres(10.0)), draw(st.floats(-300.0, 50.0)))
                value = draw(st.sampled_from([place, place, place, None, GeoPoint(90.0, 0.0), GeoPoint(0.0, -180.0)]))
        if value is not None:
            age_ns = draw(st.sampled_from([0, 0, NS_PER_S // 3, 3 * NS_PER_S]))
            said[name] = Aged(value, type(moment.monotonic)(moment.monotonic - age_ns), 2 * NS_PER_S)
    return VehicleState(**said)


@st.composite
def cams(draw: st.DrawFn, moment: Instant) -> Cam:
    special = draw(
        maybe(
            st.builds(Emergency, light_bar_siren=st.sampled_from([LightBarSirenInUse(0), LightBarSirenInUse(3)]))
            | st.builds(Rescue, light_bar_siren=st.just(LightBarSirenInUse(1)))
        )
    )
    return cam(
        draw(metres()),
        draw(metres()),
        now=moment,
        station_type=draw(st.integers(0, 255)),
        heading_deg=draw(maybe(st.floats(0.0, 359.9))),
        speed_mps=draw(maybe(st.floats(0.0, 163.82))),
        drive_direction=draw(st.sampled_from([*DriveDirection, None])),
        low_frequency=draw(
            maybe(
                st.builds(
                    LowFrequency,
                    vehicle_role=st.sampled_from(VehicleRole),
                    exterior_lights=st.integers(0, 255).map(ExteriorLights),
                    path_history=st.just(()),
                )
            )
        ),
        special_vehicle=special,
    )


@st.composite
def denms(draw: st.DrawFn, moment: Instant) -> Denm:
    place = displaced(CENTRE, draw(metres()), draw(metres()))
    date = timestamp_its(time64_of(moment.require_utc()))
    station = StationId(draw(st.integers(0, 5)))
    delta = st.floats(-0.005, 0.005)
    return Denm(
        station_id=station,
        action_id=ActionId(station, draw(st.integers(0, 3))),
        detection_time=date,
        reference_time=date,
        station_type=draw(st.integers(0, 255)),
        lat_deg=place.lat_deg,
        lon_deg=place.lon_deg,
        termination=draw(st.sampled_from([None, None, None, *Termination])),
        cause_code=draw(st.sampled_from([*CauseCode, 0, 255])),
        sub_cause_code=draw(st.integers(0, 255)),
        validity_duration_s=draw(st.integers(1, 86_400)),
        relevance_distance=draw(st.sampled_from([None, *RelevanceDistance])),
        relevance_traffic_direction=draw(st.sampled_from([None, *RelevanceTrafficDirection])),
        event_speed_mps=draw(maybe(st.floats(0.0, 163.82))),
        event_heading_deg=draw(maybe(st.floats(0.0, 359.9))),
        traces=tuple(
            tuple(PathPoint(*step) for step in steps)
            for steps in draw(st.lists(st.lists(st.tuples(maybe(delta), maybe(delta)), max_size=4), max_size=3))
        ),
        event_history=tuple(
            EventPoint(delta_lat_deg=lat, delta_lon_deg=lon) for lat, lon in draw(st.lists(st.tuples(delta, delta), max_size=3))
        ),
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_document_always_fits(data: st.DataObject) -> None:
    here = around()
    here.hear(verified(northbound_arm(), at(0), signer=3), at(0))
    for step in range(STEPS):
        moment = at(step)
        said = data.draw(st.lists(cams(moment) | denms(moment), max_size=6))
        for message in said:
            try:
                here.hear(verified(message, moment, signer=data.draw(st.integers(1, 4))), moment)
            except V2xError:
                continue
        phases = data.draw(st.lists(st.sampled_from(MovementPhaseState), max_size=3))
        ends_s = [step + end for end in data.draw(st.lists(st.floats(0.0, 3_000.0), min_size=3, max_size=3))]
        if phases:
            events = tuple(event(phase, ends_s[0], likely_s=ends_s[1], max_end_s=ends_s[2]) for phase in phases)
            here.hear(verified(lights((1, events), now=moment), moment, signer=3), moment)
        now = moment if data.draw(st.integers(0, 3)) else Instant(moment.monotonic, None)
        effects = here.poll(data.draw(states(moment)), now)
        assert sum(isinstance(effect, DriverView) for effect in effects) == 1
        view_of(effects)
        kinds_of(effects)
