"""What is done to a vehicle: maintenance, inspection, repair, parts.

A part names where it came from: the commitment of the record with which its previous holder gave it away (another vehicle's record,
a maker's), or the `kid` of the credential of whoever had it. That is the link of the supply chain; the record it leads to stays
with its owner.
"""

from shared.records.fields import DAY, HASH, MONEY, NAME, NOTE, NUMBER, Choice, Field, Group, Many, Text, Whole
from shared.records.kind import MAX_ODOMETER_M, KindSpec, RecordKind, occurred, odometer_m
from shared.records.strict_json import MAX_SAFE_INTEGER

MAX_WORKS = 16
MAX_FAULT_CODES = 16
MAX_FAULT_CODE_CHARACTERS = 16
MAX_DEFECTS = 16
MAX_DEFECT_CHARACTERS = 120
MAX_DEFECT_CODE_CHARACTERS = 16

AREAS = (
    "front", "front_left", "front_right", "left", "right", "rear", "rear_left", "rear_right", "roof", "underbody", "interior",
)  # fmt: skip
"""Of a vehicle, seen from the driver's seat."""

WORKS = (
    "oil", "filters", "brakes", "tyres", "wheels", "steering", "suspension", "engine", "transmission", "clutch", "belts", "cooling",
    "air_conditioning", "exhaust", "lights", "starter_battery", "traction_battery", "electrics", "software", "body", "paint",
    "glass", "airbags", "structure", "odometer", "recall", "diagnosis", "other",
)  # fmt: skip
"""What a workshop works on."""

_WORKSHOP = Field(name="workshop", type=NAME, meaning="Who did it, by the name customers know.", is_optional=True)
_ORDER = Field(name="order_number", type=NUMBER, meaning="Of the workshop's order.", is_optional=True)
_NOTE = Field(name="note", type=NOTE, meaning="What else there is to say.", is_optional=True)
_WORKS = Field(name="works", type=Many(Choice(WORKS), MAX_WORKS, 1), meaning="What was worked on.")
_NEXT_DUE = Field(name="next_due", type=DAY, meaning="The last day of the next one.", is_optional=True)

MAINTENANCE = KindSpec(
    kind=RecordKind.MAINTENANCE,
    meaning="Service done, and when the next one is due.",
    fields=(
        occurred("When it was done."),
        odometer_m(is_optional=False),
        _WORKS,
        Field(
            name="fault_codes",
            type=Many(Text(MAX_FAULT_CODE_CHARACTERS), MAX_FAULT_CODES),
            meaning="Diagnostic trouble codes found, e.g. P0301.",
        ),
        _NEXT_DUE,
        Field(name="next_due_odometer_m", type=Whole(MAX_ODOMETER_M), meaning="Or at this reading.", is_optional=True),
        _WORKSHOP,
        _ORDER,
        _NOTE,
    ),
)

_DEFECT = Group(
    (
        Field(
            name="severity",
            type=Choice(("minor", "major", "dangerous")),
            meaning="As Directive 2014/45/EU Article 7 grades defects.",
        ),
        Field(name="code", type=Text(MAX_DEFECT_CODE_CHARACTERS), meaning="Item of the inspection, e.g. 1.1.13.", is_optional=True),
        Field(name="text", type=Text(MAX_DEFECT_CHARACTERS), meaning="What was found."),
    )
)

INSPECTION = KindSpec(
    kind=RecordKind.INSPECTION,
    meaning="A technical inspection: its result, the defects found, the reading, and when the next one is due.",
    fields=(
        occurred("When it was done."),
        odometer_m(is_optional=False),
        Field(
            name="inspection",
            type=Choice(("periodic", "roadside", "registration", "emissions", "after_repair", "condition")),
            meaning="What it was for.",
        ),
        Field(
            name="result",
            type=Choice(("passed", "passed_with_minor_defects", "failed", "dangerous")),
            meaning="What came of it.",
        ),
        Field(name="defects", type=Many(_DEFECT, MAX_DEFECTS), meaning="What was found, the gravest first."),
        _NEXT_DUE,
        Field(name="inspector", type=NAME, meaning="Station or organisation.", is_optional=True),
        Field(name="report_number", type=NUMBER, meaning="Of the certificate of roadworthiness.", is_optional=True),
        _NOTE,
    ),
)

REPAIR = KindSpec(
    kind=RecordKind.REPAIR,
    meaning="Damage made good.",
    fields=(
        occurred("When it was finished."),
        odometer_m(is_optional=True),
        _WORKS,
        Field(name="areas", type=Many(Choice(AREAS), len(AREAS)), meaning="Where."),
        Field(
            name="accident_seq",
            type=Whole(MAX_SAFE_INTEGER),
            meaning="Number of the accident record whose damage it was.",
            is_optional=True,
        ),
        Field(
            name="outcome",
            type=Choice(("complete", "partial", "provisional")),
            meaning="Whether all of the damage was made good.",
        ),
        Field(name="cost", type=MONEY, meaning="What it cost.", is_optional=True),
        _WORKSHOP,
        _ORDER,
        _NOTE,
    ),
)


def _part_fields(
    actions: tuple[str, ...], conditions: tuple[str, ...], *, is_known: bool, more: tuple[Field, ...]
) -> tuple[Field, ...]:
    """Return the claims about a part; `more` stands before its condition, `is_known` says that its maker and number are told."""
    return (
        occurred("When it was done."),
        odometer_m(is_optional=True),
        Field(name="action", type=Choice(actions), meaning="What was done: `replaced` is one out, one in."),
        Field(name="part", type=NAME, meaning="What it is, in words, e.g. traction battery."),
        Field(name="maker", type=NAME, meaning="Who made it.", is_optional=not is_known),
        Field(name="part_number", type=NUMBER, meaning="The maker's number of the part.", is_optional=not is_known),
        Field(name="serial_number", type=NUMBER, meaning="Of the one fitted, or of the one removed.", is_optional=True),
        Field(name="replaced_serial_number", type=NUMBER, meaning="Of the one it took the place of.", is_optional=True),
        *more,
        Field(name="condition", type=Choice(conditions), meaning="What it was when it was fitted or removed."),
        Field(
            name="previous_holder",
            type=Group(
                (
                    Field(
                        name="by",
                        type=Choice(("commitment", "credential")),
                        meaning="The log entry of the record with which it was given away, or the `kid` of who had it.",
                    ),
                    Field(name="hash", type=HASH, meaning="That entry, or that `kid`."),
                )
            ),
            meaning="Where it came from: the link of the supply chain.",
            is_optional=True,
        ),
        _WORKSHOP,
        _NOTE,
    )


_ACTIONS = ("fitted", "replaced", "removed")
_CONDITIONS = ("new", "used", "remanufactured", "repurposed", "defective")

PART_1 = KindSpec(
    kind=RecordKind.PART,
    meaning="A part fitted, replaced or removed, and where it came from.",
    fields=_part_fields(_ACTIONS, _CONDITIONS, is_known=True, more=()),
)

PART_2 = KindSpec(
    kind=RecordKind.PART,
    version=2,
    meaning="A part fitted, replaced, removed or given other software, and where it came from, also as the vehicle noticed it.",
    fields=_part_fields(
        (*_ACTIONS, "reprogrammed"),
        (*_CONDITIONS, "not_known"),
        is_known=False,
        more=(
            Field(name="software_number", type=NUMBER, meaning="Of the software in it, as it says itself.", is_optional=True),
            Field(name="replaced_software_number", type=NUMBER, meaning="Of the software before.", is_optional=True),
        ),
    ),
)
