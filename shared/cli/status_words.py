"""Parts of a status document in words for people, as both agents show them; what a document lacks is a dash."""

from collections.abc import Iterator, Mapping, Sequence

NOTHING = "-"


def items(value: object) -> list[Mapping[str, object]]:
    """Return the objects of a list; none where it is no list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, Sequence) else []


def section(value: object, name: str) -> Mapping[str, object]:
    """Return an object within an object; an empty one where there is none."""
    inner = value.get(name) if isinstance(value, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def pairs(value: object) -> str:
    """Return `name number, name number`, the names in words."""
    if not isinstance(value, Mapping) or not value:
        return NOTHING
    return ", ".join(f"{str(name).replace('_', ' ')} {text(number)}" for name, number in value.items())


def number(value: object) -> float:
    """Return a number; 0 for what is none."""
    return float(value) if isinstance(value, int | float) else 0.0


def text(value: object) -> str:
    """Return a value as a cell shows it."""
    return NOTHING if value is None else yes_no(value) if isinstance(value, bool) else str(value)


def yes_no(value: object) -> str:
    """Return `yes` or `no`."""
    return "yes" if value else "no"


def counted(count: int, thing: str) -> str:
    """Return `1 peer`, `2 peers`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def tenth(value: object) -> str:
    """Return a measure with one decimal."""
    return f"{value:.1f}" if isinstance(value, float) else text(value)


def ticket_words(tickets: object, *, is_one_in_use: bool) -> str:
    """Return how many tickets there are; the one in use is not called unused, whether or not it was marked used."""
    if not isinstance(tickets, Mapping) or "held" not in tickets:
        return NOTHING
    counts = dict(tickets)
    current = counts.pop("current", None)
    valid, unused = counts.get("valid"), counts.get("unused")
    if is_one_in_use and isinstance(valid, int) and isinstance(unused, int):
        counts["unused"] = min(unused, max(0, valid - 1))
    named = "" if current is None else f"in use {current}; "
    return named + pairs(counts)


def radio_rows(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield a row for each radio: whether it is up, or why not, and what went through it."""
    for name, radio in section(document, "radios").items():
        if isinstance(radio, Mapping):
            state = radio.get("fault") or "up"
            yield f"radio {name}", f"{state}; sent {radio.get('sent')}, received {radio.get('received')}"


def trouble_rows(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield a row for each trouble with lists, tickets or credentials, in its sentence."""
    for trouble in items(section(document, "upkeep").get("troubles")):
        yield f"in trouble: {trouble.get('about')}", text(trouble.get("detail"))


def network_rows(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield rows for what the station does for its neighbours, and what its share of the channel is (`Router.status`)."""
    router = section(document, "router")
    if not router:
        return
    heard, channel = section(router, "heard"), section(router, "dcc")
    yield "neighbours", text(router.get("neighbours"))
    yield "forwarded for others", text(heard.get("forwarded", 0))
    yield "kept alive", pairs(document.get("kept_alive"))
    yield "network", pairs({name: count for name, count in heard.items() if name != "forwarded"})
    yield "forwarding", pairs(router.get("forwarding"))
    yield "channel", pairs({name: value for name, value in channel.items() if name != "dropped"})
    yield "dropped before the channel", pairs(channel.get("dropped"))
