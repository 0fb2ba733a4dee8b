"""When a node looks after its house: lists that are due, authorities that are listed anew, answers that may be forgotten.

A round is made when the first list is due, and at least once an hour. Commands publish beside a running node, and what they publish
may live for minutes where the list before lived for a day; so between two rounds it is looked, every `LOOK_S` and at the cost of
one number, whether another program has written, and then when the lists as they are now are due. Left out: what a round does.
"""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.errors import V2xError
from shared.operator.list_office import ListOffice
from shared.service.counters import Counters
from shared.service.published_lists import PublishedLists

LOOK_S = 1
"""Seconds between two looks."""

LONGEST_WAIT_S = 3_600
"""Seconds between two rounds."""

RETRY_S = 30
"""Seconds after which a round that failed is made again."""


class HouseKeeper:
    """Makes rounds when they are due.

    Args:
        lists: what is published, by this program and others.
        office: says when a list is due; None where no list is published here.
        make_round: renews, follows, forgets.
        counters: `housekeeping_failed`.
        log: told of the same.
    """

    def __init__(
        self,
        lists: PublishedLists,
        office: ListOffice | None,
        make_round: Callable[[Instant], None],
        *,
        counters: Counters,
        log: FilteringBoundLogger,
    ) -> None:
        self._lists = lists
        self._office = office
        self._make_round = make_round
        self._counters = counters
        self._log = log
        self._seen: int | None = None
        self._due = MonotonicNs(0)
        self._has_failed = False

    def look(self, now: Instant) -> None:
        """Make a round if one is due; one that fails is logged, counted and made again."""
        try:
            if now.monotonic < self._due and not self._has_failed:
                self._look_for_others(now)
            if now.monotonic >= self._due:
                self._seen = self._lists.changes()
                self._make_round(now)
                self._has_failed = False
                self._due = self._next(now)
        except V2xError as error:
            self._log.error("housekeeping_failed", reason=str(error))
            self._counters.add("housekeeping_failed")
            self._has_failed = True
            self._due = MonotonicNs(now.monotonic + RETRY_S * NS_PER_S)

    def _look_for_others(self, now: Instant) -> None:
        changes = self._lists.changes()
        if changes != self._seen:
            self._seen = changes
            self._due = min(self._due, self._next(now))

    def _next(self, now: Instant) -> MonotonicNs:
        wait_s = LONGEST_WAIT_S if self._office is None else min(LONGEST_WAIT_S, self._office.seconds_until_due(now))
        return MonotonicNs(now.monotonic + max(LOOK_S, wait_s) * NS_PER_S)
