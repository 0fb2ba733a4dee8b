"""What the agent keeps of the vehicle beside its records: calibration of its distances, and who its control units are.

A small file beside the spool, replaced as a whole (`vehicle.json`), readable by its owner alone. It is no evidence: what matters
for good goes into records. Lost or damaged, the agent learns anew and says so; nothing is refused for it.
"""

from pathlib import Path
from typing import Protocol

import msgspec

from shared.core.errors import StorageError
from shared.service.event_store import write_private_file

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
        learnt_over_m: metres of the odometer it was learnt over.
    """

    source: str
    factor: float
    learnt_over_m: int


class VehicleMemory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept.

    Attributes:
        vin: the vehicle identification number last heard; None while none was.
        parts: the control units that are known.
        factors: calibrations.
    """

    vin: str | None = None
    parts: tuple[KnownPart, ...] = ()
    factors: tuple[KnownFactor, ...] = ()


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
        """Return what the file says; raises `StorageError` where it is damaged or cannot be read."""
        try:
            with self._path.open("rb") as file:
                octets = file.read(MAX_FILE_OCTETS + 1)
        except FileNotFoundError:
            return VehicleMemory()
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be read: {error.strerror}") from error
        if len(octets) > MAX_FILE_OCTETS:
            raise StorageError(str(self._path), f"has more than {MAX_FILE_OCTETS} octets")
        try:
            return msgspec.json.decode(octets, type=VehicleMemory)
        except msgspec.MsgspecError as error:
            raise StorageError(str(self._path), f"is damaged: {error}") from error

    def keep(self, memory: VehicleMemory) -> None:
        """Replace the file."""
        write_private_file(self._path, msgspec.json.encode(memory))
