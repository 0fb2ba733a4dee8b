"""What cars told each other of their own accord in a run: which hazards were announced, who was told of them, and of their end.

A summary for people: by cause, from the notices of the agents themselves. Hazards of the roadside unit are not counted here, for
nobody announces them anew.
"""

from collections.abc import Iterable
from typing import Any

from shared.messages.cdd import CauseCode
from simulator.world import TimedNotice

WARNING_KINDS = frozenset({"hazard_announced", "hazard_ahead", "hazard_ended"})
"""Notices that `hazards_summary` is made from."""

_KNOWN = frozenset(CauseCode)


def hazards_summary(notices: Iterable[TimedNotice]) -> dict[str, dict[str, Any]]:
    """Return, for each cause that a car announced, how often, how many drivers were told of it, and how soon the first.

    Args:
        notices: of every agent, in order.
    """
    summary: dict[str, dict[str, Any]] = {}
    told: dict[tuple[str, str], set[int]] = {}
    announced_s: dict[str, float] = {}
    for each in notices:
        cause = _cause(each.notice.fields.get("cause_code"))
        if cause is None:
            continue
        if each.notice.kind == "hazard_announced":
            entry = summary.setdefault(
                cause, {"announced": 0, "drivers_told": 0, "drivers_told_of_its_end": 0, "first_told_s": None}
            )
            entry["announced"] += 1
            announced_s.setdefault(cause, each.elapsed_s)
        elif cause in summary:
            told.setdefault((cause, each.notice.kind), set()).add(each.station)
            if each.notice.kind == "hazard_ahead" and summary[cause]["first_told_s"] is None:
                summary[cause]["first_told_s"] = round(each.elapsed_s - announced_s[cause], 3)
    for cause, entry in summary.items():
        entry["drivers_told"] = len(told.get((cause, "hazard_ahead"), ()))
        entry["drivers_told_of_its_end"] = len(told.get((cause, "hazard_ended"), ()))
    return summary


def _cause(code: object) -> str | None:
    return CauseCode(code).name.lower() if isinstance(code, int) and code in _KNOWN else None
