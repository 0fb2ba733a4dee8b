"""Pools of tickets that outlive nothing."""

from shared.security.sign import TicketCredential
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool


def pool_of(*tickets: TicketCredential, policy: TicketPolicy | None = None) -> TicketPool:
    """Return a pool that holds these tickets."""
    return TicketPool(tickets, policy=policy or TicketPolicy(), uses=FleetingUse())
