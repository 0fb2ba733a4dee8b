"""The unit's health as a short list: each part a state and a sentence. A status document in, values out. Sans-IO.

The document is the one `rsu-agent status --json` prints; a part it does not have is not listed, one that looks different than
expected is shown as it is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from shared.cli.status_words import items, number, pairs, section, text

MAX_PARTS = 64
"""Parts listed."""

BUSY_CHANNEL = 0.6
"""From this share of time on a channel counts as crowded."""


class State(Enum):
    """How a part is."""

    GOOD = "good"
    ODD = "odd"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One part.

    Attributes:
        part: what it is called; no two are called the same.
        state: a value of `State`.
        words: how it is.
    """

    part: str
    state: str
    words: str


def health_of(document: Mapping[str, object]) -> tuple[Health, ...]:
    """Return every part that the status tells of, those in trouble first."""
    order = {State.BAD: 0, State.ODD: 1, State.GOOD: 2}
    found = sorted(_parts(document), key=lambda each: order[each[1]])
    return tuple(Health(part=part, state=state.value, words=words) for part, state, words in found[:MAX_PARTS])


def _parts(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    yield from _clock(document)
    yield from _junction(document)
    yield from _ticket(document)
    yield from _speech(document)
    yield from _radios(document)
    yield from _ledger(document)
    yield from _brokers(document)
    yield from _load(document)
    for trouble in items(section(document, "upkeep").get("troubles")):
        yield f"upkeep: {text(trouble.get('about'))}", State.BAD, text(trouble.get("detail"))


def _clock(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    if document.get("utc") is None:
        yield "clock", State.BAD, "UTC is not known: nothing is sent and nothing is believed"
    elif document.get("time_source") == "assume_trusted":
        yield "clock", State.ODD, "The clock is trusted unseen, as a laboratory may"
    else:
        yield "clock", State.GOOD, "UTC is known"


def _junction(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    junction = section(document, "junction")
    if not junction:
        return
    if junction.get("available") is False:
        yield "signal controller", State.BAD, f"Not believed, the junction is told as unavailable: {text(junction.get('reason'))}"
        return
    if junction.get("link_fault") is not None:
        yield "way to the controller", State.BAD, text(junction.get("link_fault"))
    controller = section(junction, "controller")
    kind = text(controller.get("kind")).replace("_", " ")
    age_s, failures = controller.get("age_s"), int(number(junction.get("controller_failures")) + number(junction.get("distrusted")))
    heard = f", heard {number(age_s):.1f} s ago" if isinstance(age_s, int | float) else ""
    past = f"; not believed {failures} times since the start" if failures else ""
    yield "signal controller", State.GOOD, f"Believed ({kind}{heard}){past}"


def _ticket(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    tickets = section(document, "tickets")
    if not tickets:
        return
    if tickets.get("current") is None:
        yield "ticket", State.BAD, "There is none to sign with"
    else:
        yield "ticket", State.GOOD, f"Signs under {text(tickets.get('current'))}"


def _speech(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    for kind, reason in section(document, "silent").items():
        yield f"own {kind.upper()}", State.BAD, f"Cannot be sent: {text(reason).replace('_', ' ')}"


def _radios(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    for name in section(document, "radios"):
        radio = section(section(document, "radios"), name)
        if radio.get("fault") is not None:
            yield f"radio {name}", State.BAD, text(radio.get("fault"))
        else:
            counts = f"sent {text(radio.get('sent'))}, received {text(radio.get('received'))}"
            yield f"radio {name}", State.GOOD, f"Up: {counts}"


def _ledger(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    relay = section(document, "ledger_relay")
    if relay:
        is_stale = relay.get("checkpoint_is_stale") is True
        words = "The log does not answer: its checkpoint is an old one" if is_stale else "Carries the log to passing vehicles"
        yield "ledger relay", State.ODD if is_stale else State.GOOD, words
    evidence = section(document, "evidence")
    if number(evidence.get("unwritten")) > 0:
        yield "evidence", State.BAD, f"{int(number(evidence.get('unwritten')))} pieces could not be written"
    yield from _evidence_store(section(document, "evidence_store"))
    witness = section(document, "witness")
    if witness:
        fault = witness.get("fault")
        yield "witness", State.GOOD if fault is None else State.BAD, "Cosigns for logs of others" if fault is None else text(fault)


def _evidence_store(store: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    if not store:
        return
    lost = int(number(store.get("lost")))
    if store.get("trouble") is not None:
        yield "evidence store", State.BAD, text(store.get("trouble"))
    elif lost:
        yield "evidence store", State.ODD, f"{lost} pieces of evidence came too thick to be kept"
    else:
        yield "evidence store", State.GOOD, "Keeps what is broadcast and what is refused"
    ledger = section(store, "ledger")
    if ledger.get("contradiction") is not None:
        yield "ledger", State.BAD, f"The log contradicts itself: {text(ledger.get('contradiction'))}"
    elif ledger.get("trouble") is not None:
        yield "ledger", State.ODD, f"Evidence waits for its proof: {text(ledger.get('trouble'))}"
    elif ledger:
        yield "ledger", State.GOOD, f"batches of evidence proven to be in the log: {text(ledger.get('proven'))}"


def _brokers(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    for name in ("backhaul", "detectors"):
        feed = section(document, name)
        if feed:
            is_connected = feed.get("is_connected") is True
            words = f"{'Connected to' if is_connected else 'No connection to'} {text(feed.get('broker'))}"
            yield name, State.GOOD if is_connected else State.ODD, words


def _load(document: Mapping[str, object]) -> Iterator[tuple[str, State, str]]:
    shed = section(document, "shed")
    if any(number(count) > 0 for count in shed.values()):
        yield "load", State.ODD, f"Packets were let go unread since the start: {pairs(shed)}"
    channel = section(section(document, "router"), "dcc")
    if channel:
        busy = number(channel.get("busy_ratio"))
        state = State.ODD if busy >= BUSY_CHANNEL else State.GOOD
        yield "channel", state, f"Busy {busy:.0%} of the time"
