"""What a station needs to cancel its hazards after a restart: its events, its name and its ticket, in one small file.

A first line names the format, its version and the SHA-256 of what follows; then JSON. The file is replaced as a whole: a new one is
written beside it and reaches the disk, then takes its name. So after a power cut it holds what was kept last or, if that was being
written, what was kept before. It is readable by its owner alone, for it tells which names were one car's; once there is no event
left it is deleted.

A vehicle goes on under its old name only for events that live, and only with the very ticket they were said under; otherwise it
begins anew, and its events run out by themselves. A roadside unit has its name from its configuration, and goes on under whatever
ticket it has: its old events are updated and cancelled under their numbers. A receiver that ties events to tickets, as ours do,
lets what was said under another ticket run out, at the latest with that ticket (`shared.facilities.received_events`).

A damaged or foreign file is refused with a `StorageError` that names it. `take_over` survives it: the file is put aside for whoever
wants to see why (`FILE.damaged`), and the station begins without events. Nothing false is said for that: what was live runs out.
"""

import glob
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import msgspec

from shared.core.clock import Instant
from shared.core.entropy import Entropy
from shared.core.errors import DecodeError, StorageError, UntrustedTimeError
from shared.core.ids import HashedId8, StationId, StationType
from shared.core.itstime import timestamp_its
from shared.facilities.saved_events import SavedEvents, read_saved
from shared.network.address import MAC_OCTETS, GnAddress
from shared.security.freshness import trusted_time64
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import TicketPool
from shared.service.keystore import PRIVATE_MODE, sync_directory
from shared.stack.station import StationIdentity

MAX_FILE_OCTETS = 4 * 1_024 * 1_024
"""More than `MAX_SAVED_EVENTS` of the longest DENMs take."""

FORMAT = "v2x-trust events 1"
"""Name and version of the format."""

DAMAGED_SUFFIX = ".damaged"
"""Under what name a file that cannot be read is put aside."""

_TICKET_OCTETS = 8


class SavedPseudonym(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under which name the events were said.

    Attributes:
        station_id: in every message.
        station_type: a `StationType`.
        mac: of the GeoNetworking address.
        ticket: `HashedId8` of the ticket.
    """

    station_id: int
    station_type: int
    mac: bytes
    ticket: bytes


class StationMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything in the file."""

    pseudonym: SavedPseudonym
    events: SavedEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedPseudonym:
    """The name a vehicle goes on under after a restart.

    Attributes:
        identity: what it calls itself. Its geocasts are numbered from a number drawn anew, not those before.
        ticket: the one it spoke under.
        events: what it told of.
    """

    identity: StationIdentity
    ticket: TicketCredential
    events: SavedEvents


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What there was to go on with.

    Attributes:
        memory: what was kept; None where nothing was.
        problem: why nothing can be gone on with although there was a file; to be told.
    """

    memory: StationMemory | None
    problem: StorageError | None


def write_private_file(path: Path, octets: bytes) -> None:
    """Replace a file by one of mode 0600, as a whole or not at all; raises `OSError`."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), PRIVATE_MODE)
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the name comes from mkstemp as text
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what programs killed in the midst of `write_private_file` left beside a file that nobody writes at this moment."""
    with suppress(OSError):
        for left in path.parent.glob(f".{glob.escape(path.name)}.????????"):
            left.unlink(missing_ok=True)


class EventStore:
    """The file.

    Args:
        path: where it is or will be.
        write: replaces it.
    """

    def __init__(self, path: Path, *, write: Callable[[Path, bytes], None] = write_private_file) -> None:
        self._path = path
        self._write = write

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def save(self, memory: StationMemory) -> None:
        """Keep this instead of what was kept; when it returns it survives a power cut. Raises `StorageError`."""
        if not memory.events.events:
            self.forget()
            return
        body = msgspec.json.format(msgspec.json.encode(memory), indent=1)
        try:
            self._write(self._path, f"{FORMAT} {sha256(body).hexdigest()}\n".encode() + body)
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be written: {error.strerror or error}") from error

    def forget(self) -> None:
        """Keep nothing; raises `StorageError`."""
        try:
            self._path.unlink()
            sync_directory(self._path.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be deleted: {error.strerror or error}") from error

    def load(self) -> StationMemory | None:
        """Return what was kept, or None where there is no file; raises `StorageError` for one that is damaged or foreign."""
        try:
            with self._path.open("rb") as file:
                octets = file.read(MAX_FILE_OCTETS + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be read: {error.strerror or error}") from error
        if len(octets) > MAX_FILE_OCTETS:
            raise StorageError(str(self._path), f"has more than {MAX_FILE_OCTETS} octets")
        head, _, body = octets.partition(b"\n")
        if not head.startswith(FORMAT.encode() + b" "):
            raise StorageError(str(self._path), f"does not begin with {FORMAT!r}: another program's, or another version's")
        if head != f"{FORMAT} {sha256(body).hexdigest()}".encode():
            raise StorageError(str(self._path), "is damaged: its checksum is another")
        try:
            memory = msgspec.json.decode(body, type=StationMemory)
            _check_pseudonym(memory)
            read_saved(memory.events)
        except (msgspec.MsgspecError, DecodeError) as error:
            raise StorageError(str(self._path), f"is not what was written: {error}") from error
        return memory

    def take_over(self) -> Takeover:
        """Return what was kept; a file that cannot be read is put aside, and why is returned to be told."""
        remove_leftovers(self._path)
        try:
            return Takeover(memory=self.load(), problem=None)
        except StorageError as problem:
            try:
                self._path.replace(self._path.with_name(self._path.name + DAMAGED_SUFFIX))
            except OSError as error:
                reason = f"{problem.reason}; nor can it be put aside: {error.strerror or error}"
                return Takeover(memory=None, problem=StorageError(str(self._path), reason))
            return Takeover(memory=None, problem=problem)


class StoredEvents:
    """Keeps a station's events in a file, together with the name it has at that moment (`EventKeeper`).

    Args:
        store: the file.
        pseudonym: tells who the station is now; None while it has no ticket, when nothing was said that could be kept.
    """

    def __init__(self, store: EventStore, pseudonym: Callable[[], SavedPseudonym | None]) -> None:
        self._store = store
        self._pseudonym = pseudonym

    def keep(self, events: SavedEvents) -> None:
        """Keep them instead of what was kept; raises `StorageError`."""
        pseudonym = self._pseudonym()
        if pseudonym is None or pseudonym.station_id != events.station_id:
            self._store.forget()
        else:
            self._store.save(StationMemory(pseudonym=pseudonym, events=events))


def saved_pseudonym(identity: StationIdentity, ticket: HashedId8) -> SavedPseudonym:
    """Return what is kept of a name."""
    return SavedPseudonym(
        station_id=identity.station_id, station_type=identity.station_type, mac=identity.address.mac, ticket=ticket
    )


def resumed_pseudonym(memory: StationMemory, tickets: TicketPool, *, now: Instant, entropy: Entropy) -> ResumedPseudonym | None:
    """Return the name a vehicle goes on under, or None where it has to begin anew.

    Args:
        memory: what was kept.
        tickets: the tickets held.
        now: the present. While UTC is not known, the ticket and its events are taken to be valid: nothing is sent anyway.
        entropy: draws the first number of its geocasts.

    Returns:
        None when no event of it can be live any more, or its ticket is not held, not valid, or out of use: a name without a reason
        to keep it would only link two trips.
    """
    ticket = tickets.find(HashedId8(memory.pseudonym.ticket))
    if ticket is None or tickets.why_set_aside(ticket) is not None:
        return None
    try:
        at = trusted_time64(now)
    except UntrustedTimeError:
        pass
    else:
        if not ticket.certificate.validity.contains(at):
            return None
        if not any(event.expires > timestamp_its(at) for event in read_saved(memory.events)):
            return None
    kind = StationType(memory.pseudonym.station_type)
    identity = replace(
        StationIdentity.drawn(kind, entropy),
        station_id=StationId(memory.pseudonym.station_id),
        address=GnAddress(station_type=kind, mac=memory.pseudonym.mac),
    )
    return ResumedPseudonym(identity=identity, ticket=ticket, events=memory.events)


def _check_pseudonym(memory: StationMemory) -> None:
    pseudonym = memory.pseudonym
    if pseudonym.station_id != memory.events.station_id:
        raise DecodeError("pseudonym.station_id", "the events are of another station")
    if pseudonym.station_type not in set(StationType):
        raise DecodeError("pseudonym.station_type", f"{pseudonym.station_type} is no type of station")
    for name, octets, length in (("mac", pseudonym.mac, MAC_OCTETS), ("ticket", pseudonym.ticket, _TICKET_OCTETS)):
        if len(octets) != length:
            raise DecodeError(f"pseudonym.{name}", f"{len(octets)} octets instead of {length}")
