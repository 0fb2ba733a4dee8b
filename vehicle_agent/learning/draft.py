"""The proposed map as TOML: what is believed as entries, what is unsure as comments, and beside each why.

Every entry is resolved against the DBC before it is written, together with those before it; one that is refused becomes a comment
with the reason, so that the file always loads.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from shared.core.clock import NS_PER_MS
from shared.core.errors import ConfigError
from vehicle_agent.learning.candidates import Confidence, KnownMessage, Proposal
from vehicle_agent.learning.listen import HeardMessage
from vehicle_agent.learning.states import best_of_each
from vehicle_agent.signals.dbc import Dbc
from vehicle_agent.signals.map_file import FieldEntry, MapFile, MessageEntry
from vehicle_agent.signals.signal_map import resolve_map
from vehicle_agent.signals.vss import VSS_VERSION, name_of
from vehicle_agent.vehicle_state import FIELDS

PERIODS_BRIDGED = 5
"""A value may be used for as many periods of its message."""

MIN_MAX_AGE_MS = 200
MAX_OTHERS = 3
"""Further candidates named beside the one proposed."""

MAX_UNDESCRIBED = 200
"""Identifiers without a description that are listed."""

MAX_WIDTH = 120


class Draft:
    """A map in the making.

    Args:
        dbc: what the messages heard are described by.
        references: the DBC files as the map is to name them.
        name: of the map.
        channel_matters: whether there was more than one bus, so that each message says which it was seen on.
        shared_names: names that the DBC gives to several messages, so that each says its identifier.
    """

    def __init__(
        self, dbc: Dbc, references: Sequence[str], *, name: str, channel_matters: bool, shared_names: frozenset[str]
    ) -> None:
        self._dbc = dbc
        self._references = tuple(references)
        self._name = name
        self._channel_matters = channel_matters
        self._shared_names = shared_names
        self._accepted: dict[str, FieldEntry] = {}
        self._messages: dict[str, MessageEntry] = {}
        self._channels: dict[str, str] = {}
        self._lines: list[str] = []
        self._chosen: list[Proposal] = []

    def fields(self) -> tuple[str, ...]:
        """Return the names of the fields accepted so far."""
        return tuple(self._accepted)

    def channels(self) -> tuple[str, ...]:
        """Return the buses the accepted fields come from, where the map says so."""
        return tuple(sorted(set(self._channels.values()))) if self._channel_matters else ()

    def chosen(self) -> tuple[Proposal, ...]:
        """Return the best proposal of each field, with the confidence it was written with."""
        return tuple(self._chosen)

    def propose(self, proposals: Sequence[Proposal]) -> None:
        """Take in the best proposal of every field."""
        order = {field: number for number, field in enumerate(FIELDS)}
        for best, others in sorted(best_of_each(proposals), key=lambda pair: order[pair[0].field]):
            self._lines.append("")
            refusal = self._refusal(best) if best.confidence != Confidence.UNSURE else None
            confidence = best.confidence if refusal is None else Confidence.UNSURE
            self._chosen.append(replace(best, confidence=confidence))
            first, *further = best.evidence
            self._lines += [_comment(f"{confidence}: {first}"), *(_comment(f"  {reason}") for reason in further)]
            if refusal is not None:
                self._lines.append(_comment(f"refused: {refusal}"))
            taken = set(best.signals().split())
            different = [other for other in others if not set(other.signals().split()) <= taken][:MAX_OTHERS]
            self._lines += [_comment(f"or {other.signals()}: {'; '.join(other.evidence)}") for other in different]
            mark = "" if confidence != Confidence.UNSURE else "# "
            self._lines += [mark + line for line in _entry_lines(name_of(best.field), _options(best))]

    def _refusal(self, proposal: Proposal) -> str | None:
        """Add a proposal; returns why it cannot be, or None."""
        name = name_of(proposal.field)
        message = proposal.message
        other = self._channels.get(message.layout.name, message.heard.channel)
        if other != message.heard.channel:
            return f"{message.layout.name} is taken from {other} already"
        entry = msgspec.convert(_options(proposal), FieldEntry)
        protection = self._protection(proposal.message)
        fields = {**self._accepted, name: entry}
        messages = {**self._messages, **protection}
        try:
            resolve_map(MapFile(name=self._name, dbc=self._references, fields=fields, messages=messages), self._dbc, self._name)
        except ConfigError as error:
            return " ".join(error.reason.split())
        self._accepted, self._messages = fields, messages
        self._channels[message.layout.name] = message.heard.channel
        return None

    def _protection(self, message: KnownMessage) -> dict[str, MessageEntry]:
        checksum, counter = message.protection.checksum, message.protection.counter
        channel = message.heard.channel if self._channel_matters else None
        layout = message.layout
        entry = MessageEntry(
            checksum=checksum,
            counter=counter,
            channel=channel,
            id=layout.arbitration_id if layout.name in self._shared_names else None,
        )
        return {} if entry == MessageEntry() else {layout.name: entry}

    def text(self, heading: Sequence[str], known: Sequence[KnownMessage], undescribed: Sequence[HeardMessage]) -> str:
        """Return the map as TOML.

        Args:
            heading: how it was learnt.
            known: messages heard that the DBC describes.
            undescribed: messages heard that it does not.
        """
        described = [_comment(f"  {line}") for message in known for line in _known_lines(message)]
        listed = undescribed[:MAX_UNDESCRIBED]
        others = [_comment(f"  {h.arbitration_id:#05x} {h.rate_hz:.1f}/s {h.length} bytes" + _on(h.channel)) for h in listed]
        dbc = self._references[0] if len(self._references) == 1 else list(self._references)
        return "\n".join(
            [
                *map(_comment, heading),
                "#",
                f"# Fields go by their paths in VSS {VSS_VERSION}. What is commented out is not sure: drive on, or look yourself.",
                "#",
                "# Messages heard and described:",
                *described,
                *(["#", f"# Heard and not described ({len(undescribed)}):", *others] if undescribed else []),
                "",
                f"name = {_toml(self._name)}",
                f"dbc = {_toml(dbc)}",
                *([] if self._accepted else ["fields = {}"]),
                *self._lines,
                *(line for name, entry in self._messages.items() for line in _message_lines(name, entry)),
                "",
            ]
        )


def _comment(text: str) -> str:
    """Return a line of comment; what would end the line, as names in a DBC may, is shown as a question mark."""
    return f"# {''.join(char if char.isprintable() else '?' for char in text)}".rstrip()


def _on(channel: str) -> str:
    return f" on {channel}" if channel else ""


def _known_lines(message: KnownMessage) -> Iterator[str]:
    heard, layout = message.heard, message.layout
    fits = "" if heard.length == layout.length else f", {heard.length} bytes and not the {layout.length} of the DBC"
    protection = "; ".join(message.protection.evidence) or "no checksum or counter found"
    yield f"{heard.arbitration_id:#05x} {layout.name} {heard.rate_hz:.1f}/s{_on(heard.channel)}{fits}: {protection}"


def _options(proposal: Proposal) -> dict[str, object]:
    heard = proposal.message.heard
    period_ms = (heard.period_ns or 0) / NS_PER_MS
    age = max(PERIODS_BRIDGED * period_ms, 1.5 * heard.longest_gap_ns / NS_PER_MS, MIN_MAX_AGE_MS)
    rounded = next((step * (int(age) // step + 1) for step in (100, 1_000) if age < 10 * step), 5_000 * (int(age) // 5_000 + 1))
    return {**proposal.options, "max_age_ms": rounded}


def _entry_lines(name: str, options: Mapping[str, object]) -> Iterator[str]:
    table = f"[fields.{_key(name)}]"
    yield table
    late: list[str] = []
    for key, value in options.items():
        line = f"{key} = {_toml(value)}"
        if len(line) <= MAX_WIDTH or not isinstance(value, dict | list):
            yield line
        elif isinstance(value, list):
            yield f"{key} = ["
            for item in value:
                yield f"  {_toml(item)},"
            yield "]"
        else:
            late += ["", f"[fields.{_key(name)}.{key}]", *(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items())]
    yield from late


def _message_lines(name: str, entry: MessageEntry) -> Iterator[str]:
    yield ""
    yield f"[messages.{_key(name)}]"
    for key, value in msgspec.to_builtins(entry).items():
        if value is not None:
            yield f"{key} = {_toml(value)}"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _toml(name)


def _toml(value: object) -> str:
    """Return a value as TOML writes it, on one line; None within a table is left out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)
