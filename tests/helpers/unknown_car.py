"""A car without a signal map: its DBC, a drive through bends, and the frames it sends, made by cantools.

It sends the steering angle positive to the right, an odometer in steps its DBC says nothing of, and a trip meter beside it.
A message its DBC does not describe counts the distance in tens of metres, in bytes 1 to 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, radians, sin
from pathlib import Path

from cantools import database
from cantools.database.can import Database

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.transport.can_frame import CanFrame
from vehicle_agent.signals.checksums import crc8_j1850

DBC = """VERSION ""

NS_ :

BS_:

BU_: ECU

BO_ 256 WHEELS: 8 ECU
 SG_ WHEEL_SPEED_FL : 0|16@1+ (0.01,0) [0|0] "km/h" ECU
 SG_ WHEEL_SPEED_FR : 16|16@1+ (0.01,0) [0|0] "km/h" ECU
 SG_ WHEEL_SPEED_RL : 32|16@1+ (0.01,0) [0|0] "km/h" ECU
 SG_ WHEEL_SPEED_RR : 48|16@1+ (0.01,0) [0|0] "km/h" ECU

BO_ 257 STEERING: 8 ECU
 SG_ STEERING_ANGLE : 0|16@1- (0.1,0) [0|0] "deg" ECU
 SG_ STEERING_RATE : 16|16@1- (0.1,0) [0|0] "deg/s" ECU
 SG_ ALIVE_COUNTER : 48|4@1+ (1,0) [0|14] "" ECU
 SG_ CHECKSUM : 56|8@1+ (1,0) [0|255] "" ECU

BO_ 258 DYNAMICS: 8 ECU
 SG_ YAW_RATE : 0|16@1- (0.01,0) [0|0] "deg/s" ECU
 SG_ LONG_ACCEL : 16|16@1- (0.01,0) [0|0] "m/s2" ECU

BO_ 259 CLUSTER: 8 ECU
 SG_ ODOMETER : 0|24@1+ (1,0) [0|0] "" ECU
 SG_ TRIP_ODOMETER : 24|24@1+ (1,0) [0|0] "" ECU
 SG_ VEHICLE_SPEED : 48|16@1+ (0.01,0) [0|0] "km/h" ECU

BO_ 260 BODY: 2 ECU
 SG_ GEAR : 0|3@1+ (1,0) [0|7] "" ECU
 SG_ TURN_SIGNAL : 3|2@1+ (1,0) [0|3] "" ECU
 SG_ BRAKE_PRESSED : 5|1@1+ (1,0) [0|1] "" ECU
 SG_ HIGH_BEAM : 6|1@1+ (1,0) [0|1] "" ECU

BO_ 261 NEVER_SENT: 8 ECU
 SG_ SPEED : 0|16@1+ (0.01,0) [0|0] "km/h" ECU

VAL_ 260 GEAR 1 "P" 2 "R" 3 "N" 4 "D" ;
VAL_ 260 TURN_SIGNAL 0 "none" 1 "left" 2 "right" ;
"""

PERIOD_MS = 100
TRACK_WIDTH_M = 1.6
STEERING_RATIO = 16.0
WHEELBASE_M = 2.7
START_M = 4_500_000.0
SIGNALLED_DEG = 15.0
"""Its driver signals every bend sharper than this."""

UNDESCRIBED_ID = 0x4FF


@dataclass(frozen=True, slots=True)
class Moment:
    """The truth at one moment: speed, yaw rate and steering wheel angle positive to the left, distance."""

    at: MonotonicNs
    speed_mps: float
    yaw_rate_dps: float
    steering_deg: float
    acceleration_mps2: float
    odometer_m: float
    is_braking: bool


def moments(seconds: float, *, is_parked: bool = False) -> Iterator[Moment]:
    """Yield a drive of bends to both sides, faster and slower."""
    distance = START_M
    for step in range(int(seconds * 1_000 / PERIOD_MS)):
        t = step * PERIOD_MS / 1_000
        speed = 0.0 if is_parked else 15.0 + 6.0 * sin(t / 9)
        acceleration = 0.0 if is_parked else 6.0 / 9 * cos(t / 9)
        yaw = 0.0 if is_parked else 8.0 * sin(t / 5)
        steering = 0.0 if is_parked else STEERING_RATIO * WHEELBASE_M * yaw / speed
        distance += speed * PERIOD_MS / 1_000
        yield Moment(MonotonicNs(step * PERIOD_MS * NS_PER_MS), speed, yaw, steering, acceleration, distance, acceleration < -0.3)


def frames(drive: Iterator[Moment], *, step_m: float) -> Iterator[CanFrame]:
    """Yield what the car sends; its odometer counts steps of `step_m` metres."""
    dbc = database.load_string(DBC, "dbc")
    assert isinstance(dbc, Database)
    for number, moment in enumerate(drive):
        half = radians(moment.yaw_rate_dps) * TRACK_WIDTH_M / 2
        left, right = ((moment.speed_mps + side * half) * 3.6 for side in (-1, 1))
        angle = -moment.steering_deg
        turn = 1 if moment.steering_deg > SIGNALLED_DEG else 2 if moment.steering_deg < -SIGNALLED_DEG else 0
        contents: list[tuple[str, dict[str, float]]] = [
            ("WHEELS", {f"WHEEL_SPEED_{c}": left if c.endswith("L") else right for c in ("FL", "FR", "RL", "RR")}),
            ("STEERING", {"STEERING_ANGLE": angle, "STEERING_RATE": 0, "ALIVE_COUNTER": number % 15, "CHECKSUM": 0}),
            ("DYNAMICS", {"YAW_RATE": moment.yaw_rate_dps, "LONG_ACCEL": moment.acceleration_mps2}),
            (
                "CLUSTER",
                {
                    "ODOMETER": moment.odometer_m // step_m,
                    "TRIP_ODOMETER": (moment.odometer_m - START_M) // step_m,
                    "VEHICLE_SPEED": moment.speed_mps * 3.6 * 1.02,
                },
            ),
            ("BODY", {"GEAR": 4, "TURN_SIGNAL": turn, "BRAKE_PRESSED": moment.is_braking, "HIGH_BEAM": 0}),
        ]
        for name, values in contents:
            message = dbc.get_message_by_name(name)
            data = message.encode(values, scaling=True, strict=False)
            if name == "STEERING":
                data = data[:7] + bytes((crc8_j1850(data[:7]),))
            yield CanFrame(message.frame_id, False, data, "can0", moment.at)
        hidden = bytes((number % 7,)) + int(moment.odometer_m // 10).to_bytes(3, "big")
        yield CanFrame(UNDESCRIBED_ID, False, hidden, "can0", moment.at)


def write_dbc(directory: Path) -> Path:
    """Write the car's DBC into a folder."""
    path = directory / "unknown.dbc"
    path.write_text(DBC, encoding="ascii")
    return path


def write_log(path: Path, sent: Iterator[CanFrame]) -> None:
    """Write frames as a candump log."""
    lines = [f"({f.received / 1e9:017.6f}) {f.channel} {f.arbitration_id:03X}#{f.data.hex().upper()}\n" for f in sent]
    path.write_text("".join(lines), encoding="ascii")
