"""Who may issue which records: six roles, and the table that says what each may say about a vehicle.

A role comes with the issuer's key from whoever knows certificates (`shared.service.record_issuers`); nothing here is decoded. A
role issues only its own kinds, however genuine the signature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from shared.core.errors import RecordError
from shared.records.kind import RecordKind
from shared.records.sd_jwt import Es256PublicKey


class IssuerRole(Enum):
    """What an issuer of records is to a vehicle."""

    VEHICLE = "vehicle"
    """The vehicle itself."""
    GARAGE = "garage"
    INSPECTOR = "inspector"
    INSURER = "insurer"
    MAKER = "maker"
    REGISTRAR = "registrar"
    """Keeps the register of vehicles and their owners."""

    @property
    def words(self) -> str:
        """For people: `an inspector`."""
        return f"{'an' if self.value[0] in 'aeiou' else 'a'} {self.value}"


ISSUER_KINDS: Mapping[IssuerRole, frozenset[RecordKind]] = MappingProxyType(
    {
        IssuerRole.VEHICLE: frozenset(
            {
                RecordKind.ODOMETER,
                RecordKind.ACCIDENT,
                RecordKind.PART,
                RecordKind.BATTERY,
                RecordKind.CHARGING,
                RecordKind.TRIP,
                RecordKind.CONSENT_GRANT,
                RecordKind.CONSENT_WITHDRAWAL,
                RecordKind.DATA_ANSWER,
            }
        ),
        IssuerRole.GARAGE: frozenset(
            {RecordKind.MAINTENANCE, RecordKind.REPAIR, RecordKind.PART, RecordKind.BATTERY, RecordKind.ACCIDENT}
        ),
        IssuerRole.INSPECTOR: frozenset({RecordKind.INSPECTION, RecordKind.BATTERY}),
        IssuerRole.INSURER: frozenset({RecordKind.INSURANCE_CLAIM, RecordKind.ACCIDENT}),
        IssuerRole.MAKER: frozenset({RecordKind.MAINTENANCE, RecordKind.REPAIR, RecordKind.PART, RecordKind.BATTERY}),
        IssuerRole.REGISTRAR: frozenset({RecordKind.OWNERSHIP}),
    }
)
"""Which kinds a role may issue. A battery is measured by whoever has it on the bench; an accident by whoever saw what it did;
that a control unit is another one than before, the vehicle itself notices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who stands behind a `kid`: a public key and a role, which the caller has chained to a root it trusts."""

    key: Es256PublicKey
    role: IssuerRole


def check_may_issue(role: IssuerRole, kind: RecordKind) -> None:
    """Check that a role issues records of a kind.

    Raises:
        RecordError: `role`: it may not; the sentence says who may.
    """
    if kind not in ISSUER_KINDS[role]:
        others = [each.words for each in IssuerRole if kind in ISSUER_KINDS[each]]
        raise RecordError("role", f"{role.words} may not issue {kind.plural}; {' or '.join(others)} may")
