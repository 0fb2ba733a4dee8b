"""All kinds of records, by the name a token shows; what each may hold is in the table of its own file."""

from collections.abc import Mapping
from types import MappingProxyType

from shared.core.errors import RecordError
from shared.records.kind import KindSpec, RecordKind
from shared.records.kinds_consent import CONSENT_GRANT, CONSENT_WITHDRAWAL, DATA_ANSWER
from shared.records.kinds_events import ACCIDENT, INSURANCE_CLAIM, OWNERSHIP
from shared.records.kinds_vehicle import BATTERY, CHARGING, TRIP
from shared.records.kinds_workshop import INSPECTION, MAINTENANCE, PART_1, PART_2, REPAIR
from shared.records.odometer import ODOMETER_1, ODOMETER_2
from shared.records.strict_json import Json

SPECS: tuple[KindSpec, ...] = (
    ODOMETER_1,
    ODOMETER_2,
    MAINTENANCE,
    INSPECTION,
    ACCIDENT,
    REPAIR,
    INSURANCE_CLAIM,
    PART_1,
    PART_2,
    BATTERY,
    CHARGING,
    TRIP,
    OWNERSHIP,
    CONSENT_GRANT,
    CONSENT_WITHDRAWAL,
    DATA_ANSWER,
)
"""Every version of every kind that is read, the one that is written last."""

KINDS: Mapping[RecordKind, KindSpec] = MappingProxyType({spec.kind: spec for spec in SPECS})
"""The version of each kind that is written."""

HIDEABLE = frozenset(name for spec in SPECS for name in spec.hideable)
"""Every claim of any kind that a holder may leave out."""

_BY_CLAIM = {spec.claim: spec for spec in SPECS}


def spec_of(claim: Json) -> KindSpec:
    """Return the schema of the `kind` a token shows.

    Raises:
        RecordError: `content`: no kind of record, or a version that is not known here.
    """
    spec = _BY_CLAIM.get(claim) if isinstance(claim, str) else None
    if spec is None:
        shown = claim[:32] if isinstance(claim, str) and claim.isprintable() else "that"
        raise RecordError("content", f"not a record of a known kind and version: {shown}")
    return spec
