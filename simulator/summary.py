"""`summary.json`: what a run came to, in keys that other programs rely on.

Every number is a sum of what the agents counted, or of what their own records and proofs show; `wall_s` alone differs between two
runs with the same options.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.options import AttackerKind, Options
from simulator.story import Account, CarStory

SUMMARY_KEYS = (
    "vehicles",
    "rsus",
    "sim_s",
    "wall_s",
    "sent",
    "verified",
    "rejected",
    "attacks",
    "odometer",
    "passports",
    "can_frames",
    "seed",
    "hazards",
)
"""Stable; more may be added behind them."""

SENT_KINDS = ("cam", "denm", "spatem", "mapem")


def added_up(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Add up counters by name, in alphabetical order."""
    names = sorted({name for count in counts for name in count})
    return {name: sum(count.get(name, 0) for count in counts) for name in names}


def make_summary(
    *,
    options: Options,
    wall_s: float,
    account: Account,
    verified: Sequence[Mapping[str, int]],
    refused: Sequence[Mapping[str, int]],
    cars: Sequence[CarStory],
    rollback: Mapping[str, Any],
    hazards: Mapping[str, Any],
    can_frames: int,
) -> dict[str, Any]:
    """Return the summary.

    Args:
        options: what was asked for.
        wall_s: how long it took.
        account: what happened on the air.
        verified: each station's own counter of messages handed up, by kind.
        refused: each station's own counter of refusals, by reason.
        cars: how each car ended.
        rollback: `attacks.rollback`.
        hazards: what cars told each other (`simulator.warnings`).
        can_frames: frames the agents read from their buses.
    """
    return {
        "vehicles": options.vehicles,
        "rsus": 1,
        "sim_s": options.duration_s,
        "wall_s": round(wall_s, 3),
        "sent": {kind: account.sent[kind] for kind in SENT_KINDS},
        "verified": sum(added_up(verified).values()),
        "rejected": added_up(refused),
        "attacks": account.attacks_summary() | {AttackerKind.ROLLBACK.value: dict(rollback)},
        "odometer": {
            "records": sum(car.records for car in cars),
            "anchored": sum(car.anchored for car in cars),
            "witnessed": sum(car.witnessed for car in cars),
            "rollbacks_flagged": sum("rollback" in car.flags for car in cars),
        },
        "passports": {
            "written": sum(car.passport is not None for car in cars),
            "verified": sum(car.passport_verified for car in cars),
        },
        "can_frames": can_frames,
        "seed": options.seed,
        "hazards": dict(hazards),
    }


def summary_json(summary: Mapping[str, Any]) -> str:
    """Return the file's text: two spaces, keys in their order, a final newline."""
    return json.dumps(summary, indent=2, ensure_ascii=False) + "\n"


def without_wall_time(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a summary that is the same whenever the options are."""
    return {key: value for key, value in summary.items() if key != "wall_s"}
