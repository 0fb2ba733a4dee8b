"""`[evidence]` of the configuration: where evidence is kept, for how long, and which ledger holds its batches' roots."""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.core.clock import NS_PER_S
from shared.service.config import ConfigStruct
from shared.service.online_log import check_origin, check_places
from shared.transport.ledger_places import MAX_PLACES

DEFAULT_MAX_AGE_DAYS = 90
DEFAULT_MAX_MEGABYTES = 20_000
"""Lights ten times a second are some 600 MB a day."""

_S_PER_DAY = 86_400
_MEGABYTE = 1_000_000


class EvidenceLedgerConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[evidence.ledger]`: a log on a network.

    Attributes:
        url: where the log is reached, the preferred place first.
        origin: the first line of the log's checkpoints.
        policy: the tlog-policy that names the log's key and the witnesses' quorum; whoever checks evidence needs it.
        pinned: file with a checkpoint note the log must stand by.
        token: file with the bearer token its operator asks for, closed to others.
    """

    url: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_PLACES)]
    origin: str
    policy: Path
    pinned: Path | None = None
    token: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a name that no signed note can carry, and places that are no URLs."""
        check_origin(self.origin)
        check_places(self.url)


class EvidenceConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[evidence]`: what was broadcast and refused, kept in a file.

    Attributes:
        file: SQLite file, made at the first start.
        ledger: where every minute's root goes; without it evidence is kept and can be proven to nobody.
        max_age_days: what is older leaves.
        max_megabytes: of records; the oldest leave when there are more. What others make the unit write has a quarter of it.
    """

    file: Path
    ledger: EvidenceLedgerConfig | None = None
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = DEFAULT_MAX_AGE_DAYS
    max_megabytes: Annotated[int, msgspec.Meta(ge=10, le=10_000_000)] = DEFAULT_MAX_MEGABYTES

    @property
    def max_age_ns(self) -> int:
        """Age in nanoseconds."""
        return self.max_age_days * _S_PER_DAY * NS_PER_S

    @property
    def max_bytes(self) -> int:
        """Size in octets."""
        return self.max_megabytes * _MEGABYTE
