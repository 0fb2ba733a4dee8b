"""The task between a radio and a working loop: what was heard is offered to the intake at once, so that nothing is dropped blindly.

The radio's own queue drops the oldest packet whatever it is; the intake knows better. So this task never waits for the loop.
"""

from shared.service.run import WorkingLoop
from shared.stack.intake import Intake
from shared.transport.radio import Radio


async def feed_intake(radio: Radio, intake: Intake, loop: WorkingLoop) -> None:
    """Offer every packet the radio delivers, until cancelled; raises the `TransportError` of a radio that closed."""
    while True:
        heard = await radio.receive()
        intake.offer(heard.packet, heard.received)
        loop.wake()
