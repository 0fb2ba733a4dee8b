"""The status document of a running unit: what the agent says of itself, and a member for each part that works beside it.

`rsu-agent status`, the operator's HTTP interface, the console and the metrics all read this one document, so none can say anything
else than another. The brief one has no row for each peer: for whoever asks so often that hundreds of rows would hold up the unit.
"""

from collections.abc import Mapping
from typing import Protocol

from rsu_agent.agent import RsuAgent
from rsu_agent.peer_status import peer_rows
from shared.core.clock import Clock
from shared.stack.intake import Intake


class Part(Protocol):
    """Something beside the agent."""

    def status(self) -> Mapping[str, object]:
        """Return how it is, as JSON values."""
        ...


class UnitStatus:
    """Puts the document together whenever it is asked for.

    Args:
        agent: what most of it is about.
        intake: where packets wait for it.
        clock: dates it.
        time_source: what makes its UTC trusted.
    """

    def __init__(self, agent: RsuAgent, intake: Intake, *, clock: Clock, time_source: str) -> None:
        self._agent = agent
        self._intake = intake
        self._clock = clock
        self._time_source = time_source
        self._parts: dict[str, Part | None] = {}

    def add(self, name: str, part: Part | None) -> None:
        """Have the document tell of a part from now on; of one that this unit does not have it says null."""
        self._parts[name] = part

    def whole(self) -> dict[str, object]:
        """Return the document."""
        return self._document(brief=False)

    def brief(self) -> dict[str, object]:
        """Return the document without a row for each peer."""
        return self._document(brief=True)

    def in_rows(self) -> dict[str, object]:
        """Return the whole document with iterators for lists with a row for each peer: whoever draws them may stop between."""
        return {**self.brief(), **peer_rows(self._agent.plausibility, self._clock.now())}

    def _document(self, *, brief: bool) -> dict[str, object]:
        return {
            **self._agent.status(self._clock.now(), brief=brief),
            "shed": dict(self._intake.shed),
            "time_source": self._time_source,
            **{name: None if part is None else part.status() for name, part in self._parts.items()},
        }
