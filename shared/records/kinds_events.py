"""What happens to a vehicle: accidents, insurance claims, a change of owner.

Who owns it is never said in plain words: a party is a salted hash, which the party alone can open, or a pseudonym.
"""

from shared.records.fields import COUNTRY, HASH, MONEY, NAME, NOTE, NUMBER, POSITION, Choice, Field, Many, Whole
from shared.records.kind import KindSpec, RecordKind, occurred, odometer_m
from shared.records.kinds_workshop import AREAS
from shared.records.strict_json import MAX_SAFE_INTEGER

MAX_AIRBAGS = 32
MAX_SPEED_CHANGE_KMH = 500
MAX_HOLDERS = 1_000

_NOTE = Field(name="note", type=NOTE, meaning="What else there is to say.", is_optional=True)

ACCIDENT = KindSpec(
    kind=RecordKind.ACCIDENT,
    meaning="A crash: how bad, where it hit, and what went off.",
    fields=(
        occurred("When it happened."),
        odometer_m(is_optional=True),
        Field(
            name="severity",
            type=Choice(("not_known", "cosmetic", "moderate", "structural", "total_loss")),
            meaning="What it did to the vehicle; not known where only its own sensors tell of it.",
        ),
        Field(name="areas", type=Many(Choice(AREAS), len(AREAS)), meaning="Where it was hit; empty if not known."),
        Field(name="airbags_deployed", type=Whole(MAX_AIRBAGS), meaning="How many went off.", is_optional=True),
        Field(
            name="detected_by",
            type=Choice(("restraint_system", "emergency_call", "telematics", "person")),
            meaning="Who or what noticed.",
        ),
        Field(
            name="speed_change_kmh",
            type=Whole(MAX_SPEED_CHANGE_KMH),
            meaning="Change of speed in the crash, from the event data recorder.",
            is_optional=True,
        ),
        Field(name="position", type=POSITION, meaning="Where.", is_optional=True),
        Field(name="report_number", type=NUMBER, meaning="Of the police or the assessor.", is_optional=True),
        _NOTE,
    ),
)

INSURANCE_CLAIM = KindSpec(
    kind=RecordKind.INSURANCE_CLAIM,
    meaning="A claim on an insurance, and how it stands.",
    fields=(
        occurred("When the claim came to stand so."),
        odometer_m(is_optional=True),
        Field(
            name="cause",
            type=Choice(("collision", "theft", "fire", "flood", "hail", "storm", "animal", "glass", "vandalism", "other")),
            meaning="What the claim is for.",
        ),
        Field(
            name="status",
            type=Choice(("opened", "settled", "refused", "withdrawn", "total_loss")),
            meaning="How it stands.",
        ),
        Field(
            name="accident_seq",
            type=Whole(MAX_SAFE_INTEGER),
            meaning="Number of the accident record it is about.",
            is_optional=True,
        ),
        Field(name="paid", type=MONEY, meaning="What was paid.", is_optional=True),
        Field(name="insurer", type=NAME, meaning="Who insures.", is_optional=True),
        Field(name="claim_number", type=NUMBER, meaning="The insurer's number.", is_optional=True),
        _NOTE,
    ),
)

OWNERSHIP = KindSpec(
    kind=RecordKind.OWNERSHIP,
    meaning="A change of owner or of registration, without a name.",
    fields=(
        occurred("When it took effect."),
        odometer_m(is_optional=True),
        Field(
            name="event",
            type=Choice(("first_registration", "transfer", "deregistration", "export", "import", "scrapped")),
            meaning="What changed.",
        ),
        Field(name="from_party", type=HASH, meaning="Who had it, as a salted hash or pseudonym.", is_optional=True),
        Field(name="to_party", type=HASH, meaning="Who has it now, likewise.", is_optional=True),
        Field(
            name="holders", type=Whole(MAX_HOLDERS), meaning="How many have had it, the present one among them.", is_optional=True
        ),
        Field(name="country", type=COUNTRY, meaning="Where it is registered.", is_optional=True),
    ),
)
