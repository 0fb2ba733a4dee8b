"""Which topics a station on the move listens to: tiles around it, kept while they still cover what it must hear.

For each distance wanted, a few tiles cover a circle somewhat larger than asked. They stay as long as they cover the circle that
was asked; only then new ones are chosen. So a car that drives to and fro across a tile's border does not subscribe each time.
"""

from collections.abc import Mapping

from shared.core.geo import GeoPoint, distance_m
from shared.transport.mqtt_topics import TopicGrammar
from shared.transport.quadkey import keys_around

MARGIN = 0.25
"""Share by which tiles cover more than was asked when they are chosen."""

LOOK_AFTER_M = 5.0
"""Metres a station moves before its tiles are looked at again."""


class Surroundings:
    """The tiles of one station.

    Args:
        grammar: of topics.
        radius_m_of: metres around the station for each kind of message.
    """

    def __init__(self, grammar: TopicGrammar, radius_m_of: Mapping[str, float]) -> None:
        self._grammar = grammar
        self._radius_m_of = dict(radius_m_of)
        self._keys: dict[float, tuple[str, ...]] = {}
        self._looked_at: GeoPoint | None = None
        self.filters: frozenset[str] = frozenset()

    def move(self, position: GeoPoint) -> bool:
        """Note where the station is; return whether `filters` changed."""
        if self._looked_at is not None and distance_m(self._looked_at, position) < LOOK_AFTER_M:
            return False
        self._looked_at = position
        is_changed = False
        for radius_m in set(self._radius_m_of.values()):
            if not _cover(self._keys.get(radius_m, ()), keys_around(position, radius_m)):
                self._keys[radius_m] = keys_around(position, radius_m * (1 + MARGIN))
                is_changed = True
        if is_changed:
            self.filters = frozenset(
                self._grammar.subscription(kind, key)
                for kind, radius_m in self._radius_m_of.items()
                for key in self._keys[radius_m]
            )
        return is_changed


def _cover(held: tuple[str, ...], needed: tuple[str, ...]) -> bool:
    """Say whether every tile needed lies within one that is held."""
    return all(any(key.startswith(each) for each in held) for key in needed)
