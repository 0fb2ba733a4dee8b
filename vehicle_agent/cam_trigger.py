"""When to send a CAM: EN 302 637-2 V1.4.1 clause 6.1.3, as a table of two conditions over an injected clock.

    condition 1   at least T_GenCam_DCC since the last CAM, and heading, position or speed changed enough
    condition 2   at least T_GenCam since the last CAM

T_GenCam follows the pace of condition 1 and falls back to its maximum after N_GenCam CAMs in a row by condition 2. The
trigger knows neither the message nor the radio; the DCC's T_GenCam_DCC is a parameter of every check, so a congested channel
slows it down.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.clock import NS_PER_MS, MonotonicNs
from shared.core.geo import GeoPoint, distance_m, heading_difference_deg

T_GEN_CAM_MIN_NS = 100 * NS_PER_MS
T_GEN_CAM_MAX_NS = 1_000 * NS_PER_MS
T_CHECK_CAM_GEN_NS = 50 * NS_PER_MS
"""How often the conditions are checked; the clause asks for at most T_GenCamMin."""
N_GEN_CAM = 3

HEADING_CHANGE_DEG = 4.0
POSITION_CHANGE_M = 4.0
SPEED_CHANGE_MPS = 0.5


class TriggerCondition(Enum):
    """Which condition of clause 6.1.3 a CAM is due by."""

    DYNAMICS = 1
    TIME = 2


@dataclass(frozen=True, slots=True)
class Dynamics:
    """What condition 1 compares: position, heading in degrees and speed in m/s; None where not available."""

    position: GeoPoint
    heading_deg: float | None
    speed_mps: float | None

    def changed_since(self, last: "Dynamics") -> bool:
        """Tell whether one of the three thresholds of condition 1 is exceeded; a value that is not available never is."""
        if (
            self.heading_deg is not None
            and last.heading_deg is not None
            and heading_difference_deg(self.heading_deg, last.heading_deg) > HEADING_CHANGE_DEG
        ):
            return True
        if distance_m(self.position, last.position) > POSITION_CHANGE_M:
            return True
        return self.speed_mps is not None and last.speed_mps is not None and abs(self.speed_mps - last.speed_mps) > SPEED_CHANGE_MPS


class CamTrigger:
    """Decide when a CAM is due and follow the pace of those that were sent."""

    def __init__(self) -> None:
        self._last: Dynamics | None = None
        self._last_sent = MonotonicNs(0)
        self._t_gen_cam_ns = T_GEN_CAM_MAX_NS
        self._in_a_row_by_time = 0

    @property
    def t_gen_cam_ns(self) -> int:
        """The current upper limit of the interval between two CAMs."""
        return self._t_gen_cam_ns

    def due(self, dynamics: Dynamics, now: MonotonicNs, *, t_gen_cam_dcc_ns: int = T_GEN_CAM_MIN_NS) -> TriggerCondition | None:
        """Tell by which condition a CAM is due now, or None.

        Args:
            dynamics: the vehicle as it is.
            now: interval time.
            t_gen_cam_dcc_ns: the least interval the channel allows, clamped to [100 ms, 1 s].
        """
        if self._last is None:
            return TriggerCondition.TIME
        elapsed_ns = now - self._last_sent
        if elapsed_ns < max(T_GEN_CAM_MIN_NS, min(t_gen_cam_dcc_ns, T_GEN_CAM_MAX_NS)):
            return None
        if dynamics.changed_since(self._last):
            return TriggerCondition.DYNAMICS
        return TriggerCondition.TIME if elapsed_ns >= self._t_gen_cam_ns else None

    def note_sent(self, dynamics: Dynamics, now: MonotonicNs, condition: TriggerCondition) -> None:
        """Take note of a CAM that really left; one that could not be signed does not count."""
        if self._last is not None:
            match condition:
                case TriggerCondition.DYNAMICS:
                    self._t_gen_cam_ns = min(now - self._last_sent, T_GEN_CAM_MAX_NS)
                    self._in_a_row_by_time = 0
                case TriggerCondition.TIME:
                    self._in_a_row_by_time += 1
                    if self._in_a_row_by_time >= N_GEN_CAM:
                        self._t_gen_cam_ns = T_GEN_CAM_MAX_NS
        self._last = dynamics
        self._last_sent = now
