"""What a signal may mean by its names, its unit and its values: the vocabulary of DBC files, in English, German and French.

Names prove nothing. They choose who is looked at; correlation with others decides (`vehicle_agent.learning.quantities`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vehicle_agent.learning.listen import HeardMessage
from vehicle_agent.learning.protection import Protection
from vehicle_agent.signals.dbc import MessageLayout, SignalLayout
from vehicle_agent.signals.map_entries import unit_in_dbc


class Confidence:
    """How much is behind a proposal; the last is written as a comment."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownMessage:
    """A message that was heard and that the DBC describes."""

    heard: HeardMessage
    layout: MessageLayout
    protection: Protection

    def signals(self) -> Iterator[SignalLayout]:
        """Yield its signals that fit it."""
        for name in self.layout.signal_names():
            try:
                yield self.layout.signal(name)
            except ValueError:
                continue

    def reference(self, signal: SignalLayout) -> str:
        """Return how a map calls a signal."""
        return f"{self.layout.name}.{signal.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What may feed a field.

    Attributes:
        field: a name of `VehicleState`.
        message: where it comes from.
        options: the entry of the map, without `max_age_ms`.
        confidence: one of `Confidence`.
        evidence: why, in words.
        score: to choose between several for one field.
    """

    field: str
    message: KnownMessage
    options: dict[str, object]
    confidence: str
    evidence: tuple[str, ...]
    score: float

    def signals(self) -> str:
        """Return the signals it takes, in words."""
        given = [
            self.options[key] for key in ("signal", "mean_of", "sum_of", "any_of", "latitude", "longitude") if key in self.options
        ]
        return " ".join(" ".join(map(str, value)) if isinstance(value, list) else str(value) for value in given)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which names a field goes by: `wanted` must be found in "MESSAGE.SIGNAL" or the signal, `unless` must not in the signal."""

    wanted: re.Pattern[str]
    unless: re.Pattern[str]

    def fits(self, message: str, signal: str) -> bool:
        """Return whether a signal may be meant."""
        return bool(self.wanted.search(signal) or self.wanted.search(f"{message}.{signal}")) and not self.unless.search(signal)


def _words(wanted: str, unless: str = r"(?!)") -> Vocabulary:
    return Vocabulary(re.compile(wanted, re.IGNORECASE), re.compile(unless, re.IGNORECASE))


_NOT_A_VALUE = (
    r"valid|_qf?$|qbit|_vz|sign$|cnt|count|check|chk|crc|_cs$|cmd|req|soll|target|_set|set_|limit|fault|error|_stat(?:us)?$|diag"
)

SPEED = _words(
    r"speed|spd|geschw|veh_?v|v_signal|velocity|vitesse|rad_kmh",
    _NOT_A_VALUE
    + r"|engine|motor|rpm|fan|rate|steer|lenk|wip|cruise|turn|gas|shaft|lead|rel_|wunsch|regel|unit|mode|lock|ui_|xmission2",
)
ODOMETER = _words(r"odo|mileage|kilometer|km_?stand|total.*dist|dist.*total|travel", r"trip|range|valid|verify|count|unit")
STEERING = _words(
    r"steer.*ang|ang.*steer|lenkradw|lenkwinkel|_lrw|sas_?angle|internal_?sas|lh3_blw|stepincomp",
    _NOT_A_VALUE + r"|rate|speed|torque|init|sub_|complement|geschw",
)
YAW = _words(r"yaw|gier|lacet", _NOT_A_VALUE + r"|acc|beschl|lin_|nonlin")
LATERAL = _words(r"lat.*acc|acc.*lat|accel?_?y(?![a-z])|quer.*beschl|gl1z", _NOT_A_VALUE)
LONGITUDINAL = _words(r"long.*acc|acc.*long|accel?_?x(?![a-z])|laengs.*beschl|longi|dvs0", _NOT_A_VALUE)
GEAR = _words(
    r"gear|prnd|fahrstufe|wahl_pos|shifter|shiftlever", _NOT_A_VALUE + r"|sport_?gear|target|ziel|actual_gear|econ|mode|box_?oil"
)
FRACTION = _words(r"frac|_hp$|fein|fine", _NOT_A_VALUE)

FLAGS = {
    "turn_left": _words(
        r"(?:turn|blink|direction|indicator).*(?:left|lh|_li?\b|_li_|_l$)|left.*(?:turn|blink|indic)|blinker_li",
        r"def|fail|switch|stalk",
    ),
    "turn_right": _words(
        r"(?:turn|blink|direction|indicator).*(?:right|rh|_re?\b|_re_|_r$)|right.*(?:turn|blink|indic)|blinker_re",
        r"def|fail|switch|stalk",
    ),
    "hazard_lights": _words(r"hazard|warnbl", r"fail|def"),
    "brake_pedal_pressed": _words(
        r"brake.*(?:press|appl|pedal|switch)|fahrer_bremst|_bls$|driver_?brak|user_brake",
        _NOT_A_VALUE + r"|pressure|hold|park|force|pos|acc",
    ),
    "gas_pedal_pressed": _words(r"gas.*press|accel.*press|pedal_?gas_?press", _NOT_A_VALUE),
    "cruise_control": _words(
        r"cruise.*(?:state|active|engag|enabled)|crz_active|acc_?(?:active|mode)|tsk_status", r"alt|speed|button|req|fault"
    ),
    "parking_brake": _words(r"park.*brake|handbremse|brake.*park|epb_stat|pbrake", _NOT_A_VALUE + r"|lamp|switch"),
    "low_beam": _words(r"low_?beam|abblend|croist", r"fail|def|auto"),
    "high_beam": _words(r"high_?beam|fernlicht|feux_route", r"fail|def|auto|flash|moment|hold|stalk"),
    "front_fog_light": _words(r"front_?fog|fog.*front|frt_fog|nebellicht", r"fail|def"),
    "rear_fog_light": _words(r"rear_?fog|fog.*rear|nebelschluss", r"fail|def|ahg"),
    "daytime_running_light": _words(r"daytime|tagfahr|diurne|(?:^|_)drl", r"fail|def"),
    "parking_light": _words(r"park(?:ing)?_?l(?:ight|amp)|standlicht|position_?light", r"fail|def"),
    "ignition_on": _words(r"engine_?running|ignition(?:_?on)?$|ign1$|kl_?15", r"key|type|off"),
    "wipers_on": _words(r"wiper.*(?:on|low|active)|wiper_lo|wischer.*(?:aktiv|vorn)", r"rear|setting|int"),
    "abs_active": _words(r"abs_?(?:act|brems|event)", _NOT_A_VALUE),
    "stability_control_active": _words(r"(?:esp|esc|vsc|stab)\w*(?:act|eingriff|ctl$)", _NOT_A_VALUE + r"|dis|passiv"),
    "traction_control_active": _words(r"(?:asr|tcs|trac)\w*(?:act|anf$|ctl$)", _NOT_A_VALUE + r"|dis|passiv"),
}
"""Flags by their names, one signal each."""

DOORS = _words(
    r"door.*(?:open|ajar|sw)|open.*door|drstat|t[u\xfc]er.*(?:offen|ge|kont)|zv_\w+_offen",
    r"closed|lock|key|trunk|tgate|hood|fail|err",
)

_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_CORNERS = {
    "FL": (True, True), "LF": (True, True), "VL": (True, True), "FR": (True, False), "RF": (True, False), "VR": (True, False),
    "RL": (False, True), "LR": (False, True), "HL": (False, True), "RR": (False, False), "HR": (False, False),
}  # fmt: skip


_VALID = re.compile(r"(?<!in)valid(?:ity)?$", re.IGNORECASE)
_SATELLITES = re.compile(r"gnss|gps|glonass|galileo|(?:^|_)ubx", re.IGNORECASE)


def is_of_receiver(message: str, signal: str = "") -> bool:
    """Return whether a message or signal says by its name that a satellite receiver measured it, and not the car."""
    return bool(_SATELLITES.search(message) or _SATELLITES.search(signal))


def valid_flag(message: KnownMessage) -> SignalLayout | None:
    """Return the one bit of a message that is called valid; None where there is none, or a choice."""
    flags = [signal for signal in message.signals() if signal.length_bits == 1 and _VALID.search(signal.name)]
    return flags[0] if len(flags) == 1 else None


def corner_of(signal: str) -> tuple[bool, bool] | None:
    """Return which wheel a signal is of, as (front, left); None where its name does not say."""
    corners = [_CORNERS[token.upper()] for token in _TOKEN.findall(signal) if token.upper() in _CORNERS]
    return corners[0] if len(corners) == 1 else None


def unit_for(signal: SignalLayout, names: tuple[str, ...]) -> str | None:
    """Return the unit the DBC states, if it is one of `names`; empty where it states none that is known; None if another."""
    stated = unit_in_dbc(signal.unit)
    if stated is None:
        return ""
    return stated if stated in names else None
