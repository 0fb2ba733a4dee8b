"""What the agent keeps of the vehicle beside its records: calibration of its distances, and who its control units are.

A small file beside the spool, replaced as a whole (`vehicle.json`), readable by its owner alone. It is no evidence: what matters
for good goes into records. Lost or damaged, the agent learns anew and says so; nothing is refused for it. A damaged file is put
aside, for whoever wants to know what became of it. Several parts of the agent keep something here through one `Remembered`, so
that none overwrites what another keeps.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec.structs import replace

from shared.core.errors import StorageError
from shared.service.event_store import remove_leftovers, write_private_file

MAX_FILE_OCTETS = 256 * 1_024
MAX_PARTS = 64
"""Control units that are told apart."""


class KnownPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one control unit said about itself.

    Attributes:
        unit: where it answers: `can0:7e8`, or `can0:j1939:00` for a J1939 source address.
        identifiers: what it said, by name: `vin`, `serial_number`, `part_number`, `software_number` ...
    """

    unit: str
    identifiers: dict[str, str]


class KnownFactor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a source of distance is off the odometer of this vehicle.

    Attributes:
        source: its name in records: `wheels`, `gnss`, `obd_speed` ...
        factor: odometer distance per metre of the source.
        learnt_over_m: metres of the odometer it has been learnt over since.
        settled: the factor it settled at first; None while it is being learnt.
        short_m: metres the odometer is short of the source that are not explained yet, a doubt that outlives a restart.
        short_permille: the share of the way that is, where there is such a doubt.
    """

    source: str
    factor: float
    learnt_over_m: int
    settled: float | None = None
    short_m: int = 0
    short_permille: int = 0


class VehicleMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept.

    Attributes:
        vin: the vehicle identification number last heard; None while none was.
        parts: the control units that are known.
        factors: calibrations.
        is_other_vehicle: whether the agent found itself in another vehicle than the one kept here, and not back in it since.
    """

    vin: str | None = None
    parts: tuple[KnownPart, ...] = ()
    factors: tuple[KnownFactor, ...] = ()
    is_other_vehicle: bool = False


DAMAGED_SUFFIX = ".damaged"
"""Put behind the name of a file that cannot be read as a memory; one is kept, the last."""


class MemoryKeeper(Protocol):
    """Keeps a `VehicleMemory`."""

    def load(self) -> VehicleMemory:
        """Return what was kept last; an empty one where nothing was. Raises `StorageError`."""
        ...

    def keep(self, memory: VehicleMemory) -> None:
        """Keep it in place of what was kept before. Raises `StorageError`."""
        ...


class InMemory:
    """Keeps nothing over a restart: replays and simulated vehicles."""

    def __init__(self) -> None:
        self._memory = VehicleMemory()

    def load(self) -> VehicleMemory:
        """Return what was kept in this process."""
        return self._memory

    def keep(self, memory: VehicleMemory) -> None:
        """Keep it until the process ends."""
        self._memory = memory


class MemoryFile:
    """Keeps it in a file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> VehicleMemory:
        """Return what the file says; raises `StorageError` where it cannot be read, or is damaged: then it is put aside."""
        remove_leftovers(self._path)
        try:
            with self._path.open("rb") as file:
                octets = file.read(MAX_FILE_OCTETS + 1)
        except FileNotFoundError:
            return VehicleMemory()
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be read: {error.strerror}") from error
        if len(octets) > MAX_FILE_OCTETS:
            raise self._put_aside(f"has more than {MAX_FILE_OCTETS} octets")
        try:
            return msgspec.json.decode(octets, type=VehicleMemory)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._put_aside(f"is damaged: {error}") from error

    def keep(self, memory: VehicleMemory) -> None:
        """Replace the file; raises `StorageError`."""
        try:
            write_private_file(self._path, msgspec.json.encode(memory))
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be written: {error.strerror}") from error

    def _put_aside(self, reason: str) -> StorageError:
        """Give the file another name where that can be, and return what to raise."""
        aside = self._path.with_name(self._path.name + DAMAGED_SUFFIX)
        with suppress(OSError):
            self._path.replace(aside)
            reason += f"; put aside as {aside.name}"
        return StorageError(str(self._path), reason)


class Remembered:
    """The memory of one vehicle: loaded once, and changed by each part of the agent in its own fields alone.

    Args:
        keeper: keeps it over a restart.
    """

    def __init__(self, keeper: MemoryKeeper) -> None:
        self._keeper = keeper
        self.problem: StorageError | None = None
        """Why nothing was remembered though something had been kept; None where all is well."""
        try:
            self._memory = keeper.load()
        except StorageError as problem:
            self._memory, self.problem = VehicleMemory(), problem

    @property
    def memory(self) -> VehicleMemory:
        """What is known now, whether or not it could be kept."""
        return self._memory

    def keep_factors(self, factors: Iterable[KnownFactor]) -> None:
        """Keep these calibrations in place of those before; raises `StorageError`, and then they hold until the next start."""
        self._change(replace(self._memory, factors=tuple(factors)))

    def keep_identity(self, *, vin: str | None, parts: Iterable[KnownPart], is_other_vehicle: bool) -> None:
        """Keep who the vehicle and its control units are; raises `StorageError`, and then it holds until the next start."""
        kept = tuple(parts)[:MAX_PARTS]
        self._change(replace(self._memory, vin=vin, parts=kept, is_other_vehicle=is_other_vehicle))

    def _change(self, memory: VehicleMemory) -> None:
        if memory != self._memory:
            self._memory = memory
            self._keeper.keep(memory)
