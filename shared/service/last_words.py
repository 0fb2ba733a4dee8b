"""How an agent leaves: its last words go out, again and again where they matter, before the radios are closed.

A cancellation that is lost leaves drivers with a hazard that is over, and nobody is there any more to say so again. So who has
something to end repeats it for `LAST_WORDS_S`; then radios that hand over behind one's back, such as one by way of a broker, have
`HANDED_OVER_S` to do so. Both together are far below what service managers wait for a program to stop. Who has nothing to end
leaves at once.
"""

import asyncio
from typing import Protocol

from shared.core.clock import Clock, Instant, MonotonicNs
from shared.service.run import Perform, seconds_until
from shared.stack.effects import Effect
from shared.transport.radio_set import RadioSet

LAST_WORDS_S = 2.0
"""Seconds for which last words are repeated."""

HANDED_OVER_S = 2.0
"""Seconds for which radios may go on handing over what was sent."""

_SHORTEST_PAUSE_S = 0.01


class LeavingAgent(Protocol):
    """The part of an agent that ends."""

    def stop(self, now: Instant) -> tuple[Effect, ...]:
        """Return the last words, and what else there is to do in the end."""
        ...

    def next_last_words(self) -> MonotonicNs | None:
        """Return when last words are to be repeated; None when not again."""
        ...

    def last_words(self, now: Instant) -> tuple[Effect, ...]:
        """Return what is to be repeated now."""
        ...


async def say_goodbye(agent: LeavingAgent, radios: RadioSet, *, clock: Clock, perform: Perform) -> None:
    """Stop an agent and carry out all that follows; takes `LAST_WORDS_S` and `HANDED_OVER_S` at most.

    Args:
        agent: gets no other input any more.
        radios: still open.
        clock: dates the last words.
        perform: carries out effects.
    """
    end_s = asyncio.get_running_loop().time() + LAST_WORDS_S
    effects = agent.stop(clock.now())
    while True:
        for effect in effects:
            await perform(effect)
        due_s = seconds_until(agent.next_last_words(), clock.now().monotonic)
        left_s = end_s - asyncio.get_running_loop().time()
        if due_s is None or due_s > left_s:
            break
        await asyncio.sleep(max(due_s, _SHORTEST_PAUSE_S))
        effects = agent.last_words(clock.now())
    await radios.handed_over(HANDED_OVER_S)
