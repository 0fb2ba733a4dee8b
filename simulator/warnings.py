"""What cars told each other of their own accord in a run: which hazards were announced, who was told of them, and of their end.

A summary for people: by cause, from the notices of the agents themselves. Hazards of the roadside unit are not counted here, for
nobody announces them anew. Drivers are told of an emergency vehicle in notices of its own, which its CAMs can bring as well and
sooner.
"""

from collections.abc import Iterable
from typing import Any

from shared.messages.cdd import CauseCode
from shared.stack.effects import Notice
from simulator.world import TimedNotice

TOLD_KINDS = frozenset({"hazard_ahead", "emergency_vehicle_approaching"})
ENDED_KINDS = frozenset({"hazard_ended", "emergency_vehicle_gone"})
WARNING_KINDS = frozenset({"hazard_announced"}) | TOLD_KINDS | ENDED_KINDS
"""Notices that `hazards_summary` is made from."""

_KNOWN = frozenset(CauseCode)


def hazards_summary(notices: Iterable[TimedNotice]) -> dict[str, dict[str, Any]]:
    """Return, for each cause that a car announced, how often, how many drivers were told of it, and how soon the first.

    Args:
        notices: of every agent, in order.
    """
    summary: dict[str, dict[str, Any]] = {}
    announced_s: dict[str, float] = {}
    told_s: dict[str, float] = {}
    told: dict[str, set[int]] = {}
    ended: dict[str, set[int]] = {}
    for each in notices:
        cause = _cause(each.notice)
        if cause is None:
            continue
        if each.notice.kind == "hazard_announced":
            entry = summary.setdefault(
                cause, {"announced": 0, "drivers_told": 0, "drivers_told_of_its_end": 0, "first_told_s": None}
            )
            entry["announced"] += 1
            announced_s.setdefault(cause, each.elapsed_s)
        elif each.notice.kind in TOLD_KINDS:
            told.setdefault(cause, set()).add(each.station)
            told_s.setdefault(cause, each.elapsed_s)
        elif each.notice.kind in ENDED_KINDS:
            ended.setdefault(cause, set()).add(each.station)
    for cause, entry in summary.items():
        entry["drivers_told"] = len(told.get(cause, ()))
        entry["drivers_told_of_its_end"] = len(ended.get(cause, ()))
        if cause in told_s:
            entry["first_told_s"] = round(max(0.0, told_s[cause] - announced_s[cause]), 3)
    return summary


def _cause(notice: Notice) -> str | None:
    if notice.kind.startswith("emergency_vehicle"):
        return CauseCode.EMERGENCY_VEHICLE_APPROACHING.name.lower()
    code = notice.fields.get("cause_code")
    return CauseCode(code).name.lower() if isinstance(code, int) and code in _KNOWN else None
