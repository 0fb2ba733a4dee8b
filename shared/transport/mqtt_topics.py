"""Topics of V2X messages at an MQTT broker: one level for each digit of a quadkey, so that a wildcard is an area.

    publish      {namespace}/{inQueue}/v2x/{kind}/{source}/{q1}/../{q22}
    subscribe    {namespace}/{outQueue}/v2x/{kind}/+/{q1}/../{qN}/#

This is the grammar of the most used open clients. There, a program beside the broker copies what comes into `inQueue` to
`outQueue` (`v2x mqtt relay` is one); with one queue for both a bare broker does. The topic is only a place: what counts is the
signed packet in the payload. `{source}` is the link-layer address of the sender's present pseudonym, in hexadecimal, and of
whoever forwards a packet his own: never anything that outlives a pseudonym.
"""

import re
from dataclasses import dataclass

from shared.core.geo import GeoPoint
from shared.transport.quadkey import POSITION_DIGITS, quadkey

IN_QUEUE = "inQueue"
OUT_QUEUE = "outQueue"
V2X = "v2x"

MAX_NAMESPACE_CHARACTERS = 64
MAX_TOPIC_OCTETS = 512
"""Octets of a topic that a relay copies; ours have below 200."""

ANY_KIND = "+"
"""Kind of a filter that takes all kinds."""

_LEVEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicGrammar:
    """Where a station publishes and listens.

    Attributes:
        namespace: the first level or levels: letters, digits, `_`, `.`, `-`, between slashes.
        publish_queue: the queue published to, one level.
        listen_queue: the queue subscribed to, one level; the same where no relay copies one to the other.
    """

    namespace: str = "v2x-trust"
    publish_queue: str = IN_QUEUE
    listen_queue: str = OUT_QUEUE

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what is no topic level."""
        levels = self.namespace.split("/")
        if len(self.namespace) > MAX_NAMESPACE_CHARACTERS or not all(map(_LEVEL.fullmatch, levels)):
            raise ValueError(
                f"namespace {self.namespace!r} is not made of letters, digits, '_', '.' and '-' between slashes, "
                f"{MAX_NAMESPACE_CHARACTERS} characters at most"
            )
        for name in (self.publish_queue, self.listen_queue):
            if not _LEVEL.fullmatch(name):
                raise ValueError(f"queue {name!r} is not made of letters, digits, '_', '.' and '-'")

    def publication(self, kind: str, source_mac: bytes, place: GeoPoint) -> str:
        """Return the topic of one packet."""
        digits = "/".join(quadkey(place, POSITION_DIGITS))
        return f"{self.namespace}/{self.publish_queue}/{V2X}/{kind}/{source_mac.hex()}/{digits}"

    def subscription(self, kind: str, key: str) -> str:
        """Return the filter for one kind, or `ANY_KIND`, within one tile."""
        return "/".join((self.namespace, self.listen_queue, V2X, kind, "+", *key, "#"))

    @property
    def inbox(self) -> str:
        """The filter for all that is published, for a relay."""
        return f"{self.namespace}/{self.publish_queue}/#"

    def relayed(self, topic: str) -> str | None:
        """Return the topic to which a relay copies what was published to `topic`; None for one outside the grammar."""
        start = f"{self.namespace}/{self.publish_queue}/"
        if not topic.startswith(start) or len(topic.encode()) > MAX_TOPIC_OCTETS:
            return None
        return f"{self.namespace}/{self.listen_queue}/{topic[len(start) :]}"
