"""What is held against one ticket's holder: a score that leaks, and the opinion it makes.

    a claim that passes every check   score x 0.9          evidence for:  x 0.9 + 1
    each check that fails             score + 1, at most 10                x 0.9
    score of 3                        what the holder says is ignored here

A claim that does not follow the one before (the first, one that comes late, one hard upon the last) is judged, and held against its
holder where it cannot be; but it clears nobody, so a liar cannot talk its score down by talking more. Whoever is ignored is not yet
accused; a report needs findings of two classes that are independent. What was stale or repeated never comes here: a replayer is not
the signer. Age comes with claims alone; whoever is silent is forgotten by whoever keeps the account.
"""

from collections.abc import Sequence
from enum import Enum

from shared.trust.claims import Claim, ClaimSource
from shared.trust.detectors import CheckClass, DetectorMaker, Finding
from shared.trust.detectors.jump import PositionJump
from shared.trust.detectors.limits import MotionLimits
from shared.trust.opinion import Opinion, opinion_of

LEAK = 0.9
"""What is left of older evidence after one more claim that passed."""

IGNORED_FROM_POINTS = 3.0
DOUBTED_FROM_POINTS = 0.5
MOST_POINTS = 10.0
"""Where the score stops, so that whoever comes to its senses is heard again after a dozen clean claims."""

CLASSES_FOR_A_REPORT = 2

DETECTORS: tuple[DetectorMaker, ...] = (MotionLimits, PositionJump)
"""The checks there are."""


class Standing(Enum):
    """How a holder is treated."""

    BELIEVED = "believed"
    DOUBTED = "doubted"
    """Something was found lately; it is still heard."""
    IGNORED = "ignored"


class Suspicion:
    """One holder's account; bounded: the last claim of each source, two numbers, its checks and a count for each.

    Args:
        detectors: make the checks.
    """

    __slots__ = ("_before", "_classes", "_detectors", "_for", "_found", "_last", "_score")

    def __init__(self, detectors: Sequence[DetectorMaker] = DETECTORS) -> None:
        self._detectors = tuple(make() for make in detectors)
        self._before: dict[ClaimSource, Claim] = {}
        self._score = 0.0
        self._for = 0.0
        self._found: dict[str, int] = {}
        self._classes: frozenset[CheckClass] = frozenset()
        self._last: Finding | None = None

    @property
    def score(self) -> float:
        """Points held against the holder, 0 to `MOST_POINTS`."""
        return self._score

    @property
    def opinion(self) -> Opinion:
        """What the evidence of late says."""
        return opinion_of(self._for, self._score)

    @property
    def standing(self) -> Standing:
        """How the holder is treated."""
        if self._score >= IGNORED_FROM_POINTS:
            return Standing.IGNORED
        return Standing.DOUBTED if self._score >= DOUBTED_FROM_POINTS else Standing.BELIEVED

    @property
    def is_reportable(self) -> bool:
        """Whether independent checks agree that the holder is to be ignored."""
        return self._score >= IGNORED_FROM_POINTS and len(self._classes) >= CLASSES_FOR_A_REPORT

    @property
    def found(self) -> dict[str, int]:
        """How often each check failed."""
        return dict(self._found)

    @property
    def last_finding(self) -> Finding | None:
        """What was found last; None for a holder of whom nothing ever was."""
        return self._last

    def hear(self, claim: Claim) -> tuple[Finding, ...]:
        """Hold one claim against physics and the claim before; return what cannot be."""
        before = self._before.get(claim.source)
        follows = before is None or claim.follows(before)
        if follows:
            self._before[claim.source] = claim
        findings = tuple(found for each in self._detectors if (found := each.judge(claim, before)) is not None)
        if findings:
            for finding in findings:
                self.hold(finding)
        elif follows and before is not None:
            self._score *= LEAK
            self._for = self._for * LEAK + 1
            if self._score < DOUBTED_FROM_POINTS:
                self._classes = frozenset()
        return findings

    def refused(self, sentence: str) -> Finding:
        """Hold against the holder what the security layer says: a message it signed itself and had no right to send (S1)."""
        finding = Finding(check="S1", of=CheckClass.SECURITY, residual=1.0, sentence=sentence)
        self.hold(finding)
        return finding

    def hold(self, finding: Finding) -> None:
        """Hold against the holder what was found, here or by whoever compares it with others."""
        self._score = min(self._score + 1, MOST_POINTS)
        self._for *= LEAK
        self._found[finding.check] = self._found.get(finding.check, 0) + 1
        self._classes |= {finding.of}
        self._last = finding
