"""How a packet came: over which radio, and from whose antenna. Neither is signed, so they decide on forwarding only."""

import msgspec


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """How a packet came.

    Attributes:
        link: name of the radio.
        sender_mac: link-layer address the frame came from, six octets, the source's or a forwarder's; None where there is none.
    """

    link: str
    sender_mac: bytes | None = None


UNKNOWN_ARRIVAL = Arrival("")
"""For tests and captures that say nothing of it."""
