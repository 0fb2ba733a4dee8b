"""The task between the radios and a working loop: what was heard is offered to the intake at once: nothing is dropped blindly.

The radios' own queues drop the oldest packet whatever it is; the intake knows better. So this task never waits for the loop. Each
packet goes with the name of its radio and, where the medium has one, the link-layer address of who transmitted it.
"""

from shared.service.capture import Capture
from shared.service.run import WorkingLoop
from shared.stack.arrival import Arrival
from shared.stack.intake import Intake
from shared.transport.radio_set import RadioSet


async def feed_intake(radios: RadioSet, intake: Intake, loop: WorkingLoop, *, capture: Capture | None) -> None:
    """Offer every packet any radio delivers, until cancelled; raises the `TransportError` of the last radio that closed.

    Args:
        radios: what is listened to.
        intake: where packets wait.
        loop: woken for each.
        capture: records what is heard, where it is asked to.
    """
    latest = None
    while True:
        link, heard = await radios.receive()
        if capture is not None:
            capture.heard(link, heard)
        received = heard.received
        if latest is not None and received.monotonic < latest.monotonic:
            received = latest  # of two radios one was read a moment before the other; the intake's time never runs back
        latest = received
        intake.offer(heard.packet, received, Arrival(link=link, sender_mac=heard.sender_mac))
        loop.wake()
