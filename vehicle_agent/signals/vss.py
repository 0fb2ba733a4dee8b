"""Fields of `VehicleState` by their names in the COVESA Vehicle Signal Specification (VSS), catalogue 6.0.

A signal map may call a field by its VSS path or by its own name; where VSS has no leaf for it, the own name is the only one. A path
says *what* is meant. How it is kept is this project's: SI (degrees for angles) with the unit in the field's name, ISO 8855 signs.
Where VSS differs, `Leaf.difference` says how; a map states the unit of the *signal*, so the difference never shows in a map.

Left without a path because VSS has no single leaf of that meaning: doors (one leaf per door), airbags (one per seat), automatic
emergency braking (`ADAS.EBA` is brake assist), pedals as switches (VSS has positions in per cent), fast wiping, light bar and
siren, and the distances and speeds that come from requests or from a GNSS receiver.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from vehicle_agent.vehicle_state import FIELDS

LIKENESS = 0.75
"""How alike a name must be to one there is to be taken for a slip of it."""

VSS_VERSION = "6.0"
"""Catalogue whose paths these are."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf (or branch) of VSS.

    Attributes:
        path: from `Vehicle` on.
        difference: how the project's field differs from it; empty where it does not.
    """

    path: str
    difference: str = ""


_KMH = "VSS: km/h; here: m/s"
_SIGN = "same sign: ISO 8855"
_STATE = "VSS: a state by name; here: true or false"

LEAVES: Mapping[str, Leaf] = MappingProxyType(
    {
        "position": Leaf("Vehicle.CurrentLocation", "VSS: a branch with Latitude and Longitude; here: one value of both"),
        "position_accuracy_m": Leaf("Vehicle.CurrentLocation.HorizontalAccuracy", "here: radius that holds 95 %"),
        "altitude_m": Leaf("Vehicle.CurrentLocation.Altitude"),
        "heading_deg": Leaf("Vehicle.CurrentLocation.Heading"),
        "fix_quality": Leaf("Vehicle.CurrentLocation.GNSSReceiver.FixType", "other names of the same grades"),
        "speed_mps": Leaf("Vehicle.Speed", _KMH),
        "longitudinal_acceleration_mps2": Leaf("Vehicle.Acceleration.Longitudinal", _SIGN),
        "lateral_acceleration_mps2": Leaf("Vehicle.Acceleration.Lateral", _SIGN),
        "yaw_rate_dps": Leaf("Vehicle.AngularVelocity.Yaw", _SIGN),
        "steering_wheel_angle_deg": Leaf("Vehicle.Chassis.SteeringWheel.Angle", "same sign: positive to the left"),
        "drive_direction": Leaf("Vehicle.Powertrain.Transmission.CurrentGear", "VSS: number of the gear; here: its sign"),
        "odometer_m": Leaf("Vehicle.TraveledDistance", "metres in both since catalogue 6, kilometres before"),
        "drive_odometer_m": Leaf("Vehicle.Powertrain.Transmission.TravelledDistance", "VSS: km; here: m"),
        "ignition_on": Leaf("Vehicle.LowVoltageSystemState", f"{_STATE}, true in ON and START"),
        "turn_left": Leaf("Vehicle.Body.Lights.DirectionIndicator.Left.IsSignaling"),
        "turn_right": Leaf("Vehicle.Body.Lights.DirectionIndicator.Right.IsSignaling"),
        "hazard_lights": Leaf("Vehicle.Body.Lights.Hazard.IsSignaling"),
        "low_beam": Leaf("Vehicle.Body.Lights.Beam.Low.IsOn"),
        "high_beam": Leaf("Vehicle.Body.Lights.Beam.High.IsOn"),
        "front_fog_light": Leaf("Vehicle.Body.Lights.Fog.Front.IsOn"),
        "rear_fog_light": Leaf("Vehicle.Body.Lights.Fog.Rear.IsOn"),
        "daytime_running_light": Leaf("Vehicle.Body.Lights.Running.IsOn"),
        "parking_light": Leaf("Vehicle.Body.Lights.Parking.IsOn"),
        "cruise_control": Leaf("Vehicle.ADAS.CruiseControl.IsActive"),
        "parking_brake": Leaf("Vehicle.Chassis.ParkingBrake.IsEngaged"),
        "abs_active": Leaf("Vehicle.ADAS.ABS.IsEngaged"),
        "stability_control_active": Leaf("Vehicle.ADAS.ESC.IsEngaged"),
        "traction_control_active": Leaf("Vehicle.ADAS.TCS.IsEngaged"),
        "breakdown": Leaf("Vehicle.IsBrokenDown"),
        "wipers_on": Leaf("Vehicle.Body.Windshield.Front.Wiping.System.IsWiping"),
    }
)
"""The leaf of every field that has one."""

FIELD_BY_PATH: Mapping[str, str] = MappingProxyType({leaf.path: field for field, leaf in LEAVES.items()})
"""The field of every path."""


def field_named(name: str) -> str | None:
    """Return the field of `VehicleState` that a map calls `name`, a path or the field's own name; None where there is none."""
    return name if name in FIELDS else FIELD_BY_PATH.get(name)


def name_like(name: str) -> str | None:
    """Return the path or name that was probably meant by one that means no field."""
    return next(iter(get_close_matches(name, (*FIELD_BY_PATH, *FIELDS), n=1, cutoff=LIKENESS)), None)


def name_of(field: str) -> str:
    """Return the VSS path of a field, or its own name where VSS has none."""
    leaf = LEAVES.get(field)
    return field if leaf is None else leaf.path
