"""What happened in a run, gathered while it runs: the account the summary and the report are made from.

The account is told facts (a frame left, a station refused a delivery for this reason) and adds them up; what an attack was is
ground truth from the frame, what was made of it is the receiving agent's own verdict. Lists that grow with time are bounded by the
longest run; places of refusals are added up on a grid.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from shared.core.clock import NS_PER_S, MonotonicNs
from simulator.medium import Delivery, Frame
from simulator.options import AttackerKind

MARK_GRID_M = 5.0
"""Refusals within one square of this size are one mark in the drawing."""

OWN_ECHO = "own_echo"
"""The verdict of a station that recognises a packet of its own; it counts no refusal for it."""

COPY = "copy"
"""The verdict of a station that has accepted the message before, when somebody repeats it with fewer hops, as a forwarder does."""

MESSAGE_KINDS = ("cam", "denm", "spatem", "mapem")

REASONS_OF = {
    AttackerKind.FORGED: frozenset({"untrusted_root", "inconsistent_chain", "invalid_certificate"}),
    AttackerKind.TAMPERED: frozenset({"false_signature", "malformed"}),
    AttackerKind.REPLAYED: frozenset({"duplicate_message", "invalid_timestamp"}),
}
"""Refusals that say this kind of attack; an honest station refused so was wrongly accused of it."""


@dataclass(slots=True)
class Attacker:
    """One attacker and what became of its frames.

    Attributes:
        name: for people.
        kind: what it does.
        frames: how many it sent.
        deliveries: at how many stations they arrived.
        accepted: how many of those were believed although a copy had not been due to the receiver anyway.
        first_hearings: replayed copies that were fresh and reached a receiver that had missed the original.
        refused: the others, by reason.
        first_sent: when its first frame left.
        first_refused: when a station first refused one.
    """

    name: str
    kind: AttackerKind
    frames: int = 0
    deliveries: int = 0
    accepted: int = 0
    first_hearings: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    first_sent: MonotonicNs | None = None
    first_refused: MonotonicNs | None = None

    @property
    def detected(self) -> bool:
        """Whether stations refused it and none was taken in."""
        return self.first_refused is not None and not self.accepted

    @property
    def detected_after_s(self) -> float | None:
        """Seconds from its first frame to the first refusal."""
        if self.first_sent is None or self.first_refused is None:
            return None
        return (self.first_refused - self.first_sent) / NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePoint:
    """Where a car was."""

    elapsed_s: float
    east_m: float
    north_m: float
    speed_mps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CarStory:
    """One car at the end of a run; lengths in metres.

    Attributes:
        odometer_m: what its odometer showed at the start and at the end.
        rolled_back_m: by how much the odometer was set back, or None.
        flags: what its own records say is odd.
        passport: the passport, beside the report; None if it could not be made.
        page: it as a page that verifies itself.
        verdict: the passport verifier's sentence.
    """

    name: str
    travelled_m: float
    sent: int
    odometer_m: tuple[int, int]
    rolled_back_m: int | None
    records: int
    anchored: int
    witnessed: int
    flags: tuple[str, ...]
    passport: str | None
    page: str | None
    passport_verified: bool
    verdict: str
    trace: tuple[TracePoint, ...]


class Account:
    """Adds up what happened on the air.

    Args:
        duration_s: length of the run.
        attackers: by antenna.
    """

    def __init__(self, duration_s: float, attackers: Mapping[int, Attacker]) -> None:
        seconds = int(duration_s) + 1
        self.attackers = dict(attackers)
        self.sent: Counter[str] = Counter()
        self.sent_per_s: dict[str, list[int]] = {kind: [0] * seconds for kind in MESSAGE_KINDS}
        self.verified_per_s = [0] * seconds
        self.refused_per_s: dict[AttackerKind, list[int]] = {kind: [0] * seconds for kind in REASONS_OF}
        self.marks: Counter[tuple[AttackerKind, int, int]] = Counter()
        self.accused: dict[AttackerKind, set[int]] = {kind: set() for kind in AttackerKind}
        self._heard: set[tuple[int, int]] = set()

    def frame_sent(self, frame: Frame, kind: str) -> None:
        """A frame left an antenna; `kind` is the message it carries."""
        if frame.attack is None:
            self.sent[kind] += 1
            if kind in self.sent_per_s:
                self._count(self.sent_per_s[kind], frame.sent)
            return
        attacker = self.attackers[frame.sender]
        attacker.frames += 1
        if attacker.first_sent is None:
            attacker.first_sent = frame.sent

    def delivered(self, delivery: Delivery, refusal: str | None, place: tuple[float, float]) -> None:
        """An honest station at `place` took a frame in (`refusal` None), refused it, or knew it (`OWN_ECHO`, `COPY`)."""
        frame = delivery.frame
        if refusal is None:
            self._count(self.verified_per_s, delivery.at)
        if frame.attack is None:
            self._heard.add((delivery.receiver, frame.number))
            for kind, reasons in REASONS_OF.items():
                if refusal in reasons:
                    self.accused[kind].add(frame.sender)
            return
        attacker = self.attackers[frame.sender]
        attacker.deliveries += 1
        if refusal is not None:
            attacker.refused[refusal] += 1
            self._count(self.refused_per_s[frame.attack], delivery.at)
            self.marks[frame.attack, round(place[0] / MARK_GRID_M), round(place[1] / MARK_GRID_M)] += 1
            if attacker.first_refused is None:
                attacker.first_refused = delivery.at
        elif frame.copy_of is not None and (delivery.receiver, frame.copy_of) not in self._heard:
            attacker.first_hearings += 1
            self._heard.add((delivery.receiver, frame.copy_of))
        else:
            attacker.accepted += 1

    def attacks_summary(self) -> dict[str, dict[str, Any]]:
        """Return `attacks` of the summary for what happened on the air."""
        result: dict[str, dict[str, Any]] = {}
        for kind in REASONS_OF:
            group = [a for a in self.attackers.values() if a.kind is kind]
            times = [a.detected_after_s for a in group if a.detected_after_s is not None]
            reasons = sum((a.refused for a in group), Counter[str]())
            result[kind.value] = {
                "senders": len(group),
                "detected": sum(a.detected for a in group),
                "false_accusations": len(self.accused[kind]),
                "median_detect_s": round(median(times), 4) if times else None,
                "frames": sum(a.frames for a in group),
                "deliveries": sum(a.deliveries for a in group),
                "accepted": sum(a.accepted for a in group),
                "first_hearings": sum(a.first_hearings for a in group),
                "reasons": dict(sorted(reasons.items())),
            }
        return result

    def _count(self, per_s: list[int], at: MonotonicNs) -> None:
        per_s[min(at // NS_PER_S, len(per_s) - 1)] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A finished run: the summary and what the report draws besides it.

    Attributes:
        summary: the content of `summary.json`.
        verify_command: what a reader types to verify a passport.
        rsu_place: metres east and north of the centre.
        attacker_places: likewise, by attacker.
        notices: what the agents told their drivers and operators, by kind.
    """

    summary: Mapping[str, Any]
    title: str
    started: str
    cars: tuple[CarStory, ...]
    account: Account
    rsu_place: tuple[float, float]
    attacker_places: tuple[tuple[Attacker, tuple[float, float]], ...]
    notices: Mapping[str, int]
    verify_command: str
