"""Requests for data, grants and the records they are about, signed with real keys whose certificates are opaque here."""

from dataclasses import dataclass, field, replace

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.itstime import utc_from_text, utc_text
from shared.records.consent import Consent, read_consent
from shared.records.data_answer import Candidate
from shared.records.data_request import DataRequest, SignedRequest, VerifiedRequest, sign_request, verify_request
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import OdometerFlag
from shared.records.record import DisclosedRecord, Record, SignedRecord, read_record, sign_record
from shared.records.sd_jwt import certificate_id, parse_sd_jwt
from shared.records.strict_json import Json
from tests.helpers.ledger import Vehicle, seeded_entropy

NOW_UTC = utc_from_text("2026-11-22T12:00:00Z")
NOW = Instant(MonotonicNs(0), NOW_UTC)
DAY_NS = 86_400 * NS_PER_S
PURPOSE = "Premium by distance for 2026"


def day(number: int) -> UtcNs:
    """Return a moment that many days after `NOW`, or before it."""
    return UtcNs(NOW_UTC + number * DAY_NS)


def asking(vehicle: Vehicle) -> DataRequest:
    """Return what an insurer asks a vehicle for: dates and readings of the last thirty days."""
    return DataRequest(
        role=IssuerRole.INSURER,
        subject=certificate_id(vehicle.certificate),
        kinds=(RecordKind.ODOMETER,),
        fields=("occurred", "odometer_m"),
        data_from=day(-30),
        data_until=day(0),
        purpose=PURPOSE,
        response_key=Vehicle("response key").sec1,
        nonce=bytes(range(16)),
        issued=NOW_UTC,
        expires=day(7),
    )


def signed_by(insurer: Vehicle, request: DataRequest) -> SignedRequest:
    """Sign a request."""
    return sign_request(request, insurer)


def verified(insurer: Vehicle, request: DataRequest, now: Instant = NOW) -> VerifiedRequest:
    """Sign a request and verify it."""
    issuer = Issuer(key=insurer.public_key, role=IssuerRole.INSURER)
    return verify_request(signed_by(insurer, request), issuer=issuer, vehicle=(request.subject,), now=now)


def grant_to(insurer: Vehicle, **changed: Json) -> dict[str, Json]:
    """Return the claims of a grant that covers `asking`, but for what is changed."""
    return {
        "grantee": certificate_id(insurer.certificate),
        "grantee_name": "Example Insurance",
        "kinds": ["odometer", "trip"],
        "fields": ["occurred", "odometer_m", "distance_m"],
        "data_from": utc_text(day(-60)),
        "data_until": utc_text(day(60)),
        "purpose": PURPOSE,
        "valid_until": utc_text(day(90)),
        **changed,
    }


@dataclass(slots=True)
class Book:
    """A vehicle's records in memory, one after another."""

    vehicle: Vehicle
    signed: list[SignedRecord] = field(default_factory=list)

    def write(
        self, kind: RecordKind, fields: dict[str, Json], *, occurred: UtcNs | None = NOW_UTC, corrects: int | None = None
    ) -> SignedRecord:
        """Sign the next record."""
        record = Record(
            kind=kind,
            seq=len(self.signed),
            prev=self.signed[-1].commitment if self.signed else None,
            occurred=occurred,
            fields=fields,
            flags=() if occurred is not None else (OdometerFlag.CLOCK_NOT_SET,),
            corrects=corrects,
        )
        signed = sign_record(record, self.vehicle, seeded_entropy(len(self.signed)))
        self.signed.append(signed)
        return signed

    def reading(self, odometer_m: int, occurred: UtcNs | None) -> SignedRecord:
        """Record a reading of the odometer."""
        fields: dict[str, Json] = {
            "odometer_m": odometer_m,
            "reason": "time",
            "sources": [{"name": "cluster", "odometer_m": odometer_m, "age_ms": 0}],
            "boot": {"id": "00" * 16, "elapsed_ms": 0},
        }
        return self.write(RecordKind.ODOMETER, fields, occurred=occurred)

    def shown(self) -> tuple[DisclosedRecord, ...]:
        """Return what all of them state."""
        return tuple(read_record(parse_sd_jwt(signed.sd_jwt)) for signed in self.signed)

    def consent(self) -> Consent:
        """Return the state of consent after all of them."""
        return read_consent(self.shown())

    def candidates(self, proofs: dict[int, bytes]) -> tuple[Candidate, ...]:
        """Return all of them as what may be given, with those proofs by number."""
        return tuple(
            Candidate(record=shown, sd_jwt=signed.sd_jwt, salt=signed.salt, proof=proofs.get(shown.seq))
            for signed, shown in zip(self.signed, self.shown(), strict=True)
        )


def changed(request: DataRequest, **changes: object) -> DataRequest:
    """Return a request with something else in it."""
    return replace(request, **changes)  # type: ignore[arg-type]
