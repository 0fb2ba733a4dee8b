"""From what was heard to a proposed map: the messages that a DBC describes, what protects them, and what they mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import ConfigError
from vehicle_agent.j1939.identifier import pgn_of
from vehicle_agent.learning.candidates import KnownMessage, Proposal
from vehicle_agent.learning.draft import Draft
from vehicle_agent.learning.listen import HeardMessage, Listener
from vehicle_agent.learning.odometers import find_odometer
from vehicle_agent.learning.places import find_position, where_valid
from vehicle_agent.learning.protection import find_protection
from vehicle_agent.learning.quantities import find_directions, find_speed
from vehicle_agent.learning.scan import find_counting_bytes
from vehicle_agent.learning.series import Track
from vehicle_agent.learning.states import find_states
from vehicle_agent.signals.dbc import Dbc, parse_dbc, resolve_reference
from vehicle_agent.signals.dbc_text import DbcText
from vehicle_agent.signals.map_dbc import MAX_DBC_FILES, read_with_imports

MIN_FRAMES = 2
"""Frames of a message below which nothing is said of it."""

NAME = "Learnt car"
SIGNALS_OF_NONE = "VECTOR__INDEPENDENT_SIG_MSG"
"""What a DBC calls the message of signals that belong to none; its identifier means nothing."""

J1939_PAGE = "docs/j1939.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """A proposed map.

    Attributes:
        text: as TOML.
        fields: what it feeds, by the names of the map.
        best: the proposal chosen for each field.
        messages: how many messages heard are described.
        undescribed: how many are not.
        channels: the buses whose messages it takes, where there was more than one.
        unreadable: messages of the DBC that were heard and could not be read from it, and why.
    """

    text: str
    fields: tuple[str, ...]
    best: tuple[Proposal, ...]
    messages: int
    undescribed: int
    channels: tuple[str, ...]
    unreadable: tuple[str, ...]


def learn(
    listener: Listener,
    references: Sequence[str],
    *,
    base: Path,
    written: Sequence[str],
    source: str,
    track: Track | None = None,
) -> Learnt:
    """Propose a map.

    Args:
        listener: what was heard.
        references: DBC files, each a path from `base` or `package:NAME/path/inside`.
        base: directory that relative paths start from.
        written: the same files as the map is to name them.
        source: what was listened to, in words.
        track: what a GNSS receiver recorded beside it.

    Raises:
        ConfigError: nothing was heard, a DBC cannot be read, or none describes a message that was heard.
    """
    if not listener.frames:
        raise ConfigError(source, "carried no frame")
    dbc, shared_names, unreadable, known, undescribed = _describe(listener, references, base)
    if not known:
        raise ConfigError("--dbc", f"describes none of the {len(undescribed)} messages heard")
    fitting = [message for message in known if message.heard.length == message.layout.length]
    motion, speeds = find_speed(fitting, track)
    proposals = [
        *speeds,
        *find_odometer(fitting, motion),
        *find_directions(fitting, motion),
        *find_position(fitting, motion),
        *find_states(fitting, motion),
    ]
    counting = find_counting_bytes(undescribed, motion)
    channels = {message.heard.channel for message in known} | {heard.channel for heard in undescribed}
    draft = Draft(dbc, written, name=NAME, channel_matters=len(channels) > 1, shared_names=shared_names)
    draft.propose([where_valid(proposal) for proposal in proposals])
    heading = [
        f"Learnt from {source}: {listener.frames} frames in {listener.duration_s():.0f} s.",
        f"Moved by {motion.named or 'nothing that tells'}.",
        *(f"The DBC's {reason}" for reason in unreadable),
        *(line for found in counting for line in ("", f"Counts like an odometer: {found.sentence()}", f"  {found.dbc_line()}")),
    ]
    return Learnt(
        text=draft.text(heading, known, undescribed),
        fields=draft.fields(),
        best=draft.chosen(),
        messages=len(known),
        undescribed=len(undescribed),
        channels=draft.channels(),
        unreadable=tuple(unreadable),
    )


def _describe(
    listener: Listener, references: Sequence[str], base: Path
) -> tuple[Dbc, frozenset[str], list[str], list[KnownMessage], list[HeardMessage]]:
    """Parse the descriptions of what was heard, each by itself: a fault in one does not cost the others."""
    if not 1 <= len(references) <= MAX_DBC_FILES:
        raise ConfigError("--dbc", f"1 to {MAX_DBC_FILES} files, not {len(references)}")
    heard = {(message.arbitration_id, message.is_extended) for message in listener.heard() if message.frames >= MIN_FRAMES}
    described: dict[tuple[int, bool], Dbc] = {}
    unreadable: list[str] = []
    paths = []
    groups: set[int] = set()
    names: dict[str, set[int]] = {}
    for reference in references:
        path = resolve_reference(reference, relative_to=base, key="--dbc")
        paths.append(str(path))
        parts = DbcText(read_with_imports(path, key="--dbc"))
        if not parts.names():
            raise ConfigError("--dbc", f"the DBC {path} describes no message")
        for name, identities in parts.identifiers().items():
            names.setdefault(name, set()).update(number for number, _ in identities)
            groups.update(pgn_of(number) for number, is_extended in identities if is_extended and name != SIGNALS_OF_NONE)
            for identity in identities:
                if identity in heard and identity not in described:
                    try:
                        described[identity] = parse_dbc(parts.only({name: identity[0]}), path=path, key="--dbc")
                    except ConfigError as error:
                        unreadable.append(f"message {name} is not read: {' '.join(error.reason.split())}")
    unreadable += _drop_namesakes(described)
    dbc = Dbc(", ".join(paths), [dbc.message(dbc.message_names()[0]).source for dbc in described.values()])
    known, undescribed = [], []
    for message in listener.heard():
        found = described.get((message.arbitration_id, message.is_extended))
        layout = None if found is None else dbc.message(found.message_names()[0])
        if layout is None or message.frames < MIN_FRAMES:
            undescribed.append(message)
        else:
            known.append(KnownMessage(heard=message, layout=layout, protection=find_protection(message, layout)))
    by_group = sum(message.is_extended and pgn_of(message.arbitration_id) in groups for message in undescribed)
    if by_group:
        words = f"by their parameter group alone: this looks like SAE J1939, which learn does not know ({J1939_PAGE})"
        if not known:
            raise ConfigError("--dbc", f"describes {by_group} of the {len(undescribed)} messages heard {words}")
        unreadable.append(f"messages of 29 bits are {by_group} more of those heard {words}")
    shared_names = frozenset(name for name, numbers in names.items() if len(numbers) > 1)
    return dbc, shared_names, unreadable, known, undescribed


def _drop_namesakes(described: dict[tuple[int, bool], Dbc]) -> Iterator[str]:
    """Leave one message of each name, since a map takes but one; yields what was left out."""
    first: dict[str, int] = {}
    for identity, dbc in sorted(described.items()):
        name = dbc.message_names()[0]
        if first.setdefault(name, identity[0]) != identity[0]:
            del described[identity]
            yield f"message {name} is heard as {first[name]:#x} and as {identity[0]:#x}: the latter is left out"
