"""What a series of records may show: the kinds of findings, which of them are serious, and the words for distances and dates.

A finding is not an error: the records are genuine, and what they show is the point.
"""

from dataclasses import dataclass
from enum import Enum

from shared.core.clock import UtcNs
from shared.core.itstime import utc_text
from shared.records.issuers import IssuerRole
from shared.records.record import DisclosedRecord


class FindingKind(Enum):
    """What was found."""

    ROLLBACK = "rollback"
    FORK = "fork"
    GAP = "gap"
    CREDENTIAL_NOT_INTRODUCED = "credential_not_introduced"
    FOREIGN_SUBJECT = "foreign_subject"
    """Somebody's record is about another vehicle's credential."""
    NONE_OF_ITS_OWN = "none_of_its_own"
    """No record is the vehicle's own."""
    BAD_CORRECTION = "bad_correction"
    """A record says that it corrects one that it may not correct."""
    OWNERSHIP_BREAK = "ownership_break"
    """Changes of owner do not follow each other."""
    DISTANCE_MISSING = "distance_missing"
    """The vehicle itself saw that its odometer does not count all that is driven."""
    OTHER_VEHICLE = "other_vehicle"
    """The car said to be another vehicle than before."""
    COUNTER_OUT_OF_STEP = "counter_out_of_step"
    """A counter that only counts up did not go with the numbers of the records."""
    COUNTER_CHANGED = "counter_changed"
    """There is none any more, or one of another kind."""
    CLOCK = "clock"
    ENTERED_LATE = "entered_late"
    """Somebody's record is of something that happened before the records that stand before it."""
    FLAGGED = "flagged"
    HIDDEN = "hidden"
    NOT_TAKEN_UP = "not_taken_up"
    """After somebody's record none of the vehicle's own follows, which would show that the vehicle knows of it."""
    CORRECTED = "corrected"
    OWNERSHIP = "ownership"
    DAMAGE = "damage"
    """A crash, and whether a repair of it is shown."""
    PART = "part"
    """Where a part came from, or that this is not said."""
    ODOMETER_WORKED_ON = "odometer_worked_on"
    CONSENT = "consent"
    """What the holder let others have, or what was given without that."""


SERIOUS = frozenset(
    {
        FindingKind.ROLLBACK,
        FindingKind.FORK,
        FindingKind.GAP,
        FindingKind.CREDENTIAL_NOT_INTRODUCED,
        FindingKind.FOREIGN_SUBJECT,
        FindingKind.NONE_OF_ITS_OWN,
        FindingKind.BAD_CORRECTION,
        FindingKind.OWNERSHIP_BREAK,
        FindingKind.DISTANCE_MISSING,
        FindingKind.OTHER_VEHICLE,
        FindingKind.COUNTER_OUT_OF_STEP,
    }
)
"""What a buyer should not pay without an explanation for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the records show: what, at which record number, and the sentence."""

    kind: FindingKind
    seq: int
    text: str

    @property
    def is_serious(self) -> bool:
        """Whether it touches the distance the vehicle has run, or whether all of it is one vehicle's."""
        return self.kind in SERIOUS


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceItem:
    """A verified record, its commitment, the `kid` of the credential it is signed under, and who that is.

    `role` is None where nobody has verified who signed; whether it was the vehicle, the record itself says.
    """

    record: DisclosedRecord
    commitment: bytes
    credential: str
    role: IssuerRole | None = IssuerRole.VEHICLE

    @property
    def is_own(self) -> bool:
        """Whether the vehicle itself signed it."""
        return self.record.subject is None

    @property
    def signer(self) -> str:
        """Who signed it, for people: `a garage`."""
        if self.is_own:
            return "the vehicle"
        return "somebody else" if self.role is None else self.role.words


def km_text(distance_m: int) -> str:
    """Return metres as kilometres for people, e.g. `25,088.1 km`."""
    return f"{distance_m / 1000:,.1f} km"


def day_text(occurred: UtcNs | None) -> str:
    """Return a date for people."""
    return "an unknown date" if occurred is None else utc_text(occurred)[:10]
