"""A vehicle with a spool, an insurer and a holder's desk, all under one real hierarchy of certificates."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.pki.authority import hours
from shared.pki.permission_sets import EC_APP_PERMISSIONS, RecordRole, issuer_permissions
from shared.records.data_answer import AnsweredRequest, parse_answer, verify_answer
from shared.records.data_request import DataRequest, SignedRequest, parse_request, sign_request
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import BOOT_ID_BYTES, OdometerSource, RecordReason
from shared.records.passport import Passport, VerifiedPassport
from shared.records.recorder import Recorder
from shared.security.certificate import decode_certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.sign import TicketCredential
from shared.service.consent_desk import ConsentDesk, NewGrant
from shared.service.database import Connect, connect_sqlite
from shared.service.record_archive import SpoolArchive, reading
from shared.service.record_issuers import issuer_of, trusted_issuer
from shared.service.record_key import EnrolledSigner
from shared.service.sealed_answer import open_answer
from shared.service.spool import Spool, open_spool
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.ledger import ORIGIN, MemoryLog, policy_of
from tests.helpers.requesting import DAY_NS, PURPOSE
from vehicle_agent.anchoring import Anchoring

TODAY = UtcNs(BEGIN + 40 * DAY_NS)
NOW = Instant(MonotonicNs(1_000_000_000), TODAY)
POLICY = policy_of()
Verify = Callable[[Passport], VerifiedPassport]


def enrol(pki: Hierarchy, role: RecordRole | None = None) -> EnrolledSigner:
    """Enrol somebody for a year; without a role, a vehicle."""
    key = pki.keys.generate(Curve.NIST_P256)
    permissions = EC_APP_PERMISSIONS if role is None else issuer_permissions(role)
    certificate = pki.ea.issue_credential(public_key=key.public_key, validity=hours(pki.start, 24 * 365), permissions=permissions)
    return EnrolledSigner(TicketCredential(certificate=certificate, signer=key), authority=pki.ea.certificate)


@dataclass(slots=True)
class Owned:
    """A vehicle whose holder has a desk; `response` is the insurer's key for answers."""

    pki: Hierarchy
    car: EnrolledSigner
    insurer: EnrolledSigner
    spool: Spool
    recorder: Recorder
    desk: ConsentDesk
    response: SoftwareSigner
    log: MemoryLog

    def read(self, day: int) -> None:
        """Read the odometer on a day after the begin: a thousand metres for each."""
        source = OdometerSource(name="cluster", odometer_m=day * 1_000, age_ms=20)
        at = Instant(MonotonicNs(day), UtcNs(BEGIN + day * DAY_NS))
        self.recorder.record_reading(odometer_m=day * 1_000, reason=RecordReason.TIME, sources=(source,), flags=(), at=at)

    def prove(self) -> None:
        """Bring every record into the ledger and keep its proof."""
        Anchoring(store=self.spool, transport=self.log, origin=ORIGIN, policy=POLICY).poll(NOW)

    def grant(self, **changes: object) -> int:
        """Let the insurer have dates and readings."""
        terms: dict[str, object] = {
            "grantee": self.insurer.credential.id,
            "grantee_name": "Example Insurance",
            "kinds": (RecordKind.ODOMETER,),
            "fields": ("occurred", "odometer_m"),
            "data_from": None,
            "data_until": None,
            "purpose": PURPOSE,
            "valid_until": UtcNs(TODAY + 30 * DAY_NS),
        }
        return self.desk.grant(NewGrant(**(terms | changes)), NOW)  # type: ignore[arg-type]

    def ask(self, *, by: EnrolledSigner | None = None, **changes: object) -> SignedRequest:
        """Ask for the first thirty days, as a file that was written and read."""
        terms: dict[str, object] = {
            "role": IssuerRole.INSURER,
            "subject": self.car.credential.id,
            "kinds": (RecordKind.ODOMETER,),
            "fields": ("occurred", "odometer_m"),
            "data_from": BEGIN,
            "data_until": UtcNs(BEGIN + 30 * DAY_NS),
            "purpose": PURPOSE,
            "response_key": self.response.public_key.sec1,
            "nonce": bytes(16),
            "issued": TODAY,
            "expires": UtcNs(TODAY + DAY_NS),
        }
        request = DataRequest(**(terms | changes))  # type: ignore[arg-type]
        return parse_request(sign_request(request, by or self.insurer).encode())

    def open(self, file: bytes, request: SignedRequest, verify: Verify) -> AnsweredRequest:
        """Decrypt an answer and verify all of it, as the insurer does."""
        answer = parse_answer(open_answer(file, request_hash=request.hash, private_key=self.response))
        issuers = {each.id: issuer_of(decode_certificate(each.certificate)) for each in answer.credentials}
        return verify_answer(answer, request, issuers=issuers, verify=verify)

    def kinds(self) -> list[str]:
        """Return what is on record, in order."""
        return [stored.kind.value for stored in self.spool.records()]


def own(directory: Path, *, connect: Connect = connect_sqlite, readings: tuple[int, ...] = (2, 10, 20)) -> Owned:
    """Make a vehicle that read its odometer on some days, with everything proven."""
    pki = Hierarchy(77)
    car, insurer = enrol(pki), enrol(pki, RecordRole.INSURER)
    path = directory / "spool.db"
    spool = open_spool(path, connect=connect)
    entropy = Random(5).randbytes
    recorder = Recorder(signer=car, store=spool, entropy=entropy, boot_id=bytes(BOOT_ID_BYTES))
    desk = ConsentDesk(
        archive=SpoolArchive(spool),
        recorder=recorder,
        reader=partial(reading, path),
        chain=lambda credential, at: trusted_issuer(credential, roots=pki.trust_store, at=at),
        keys=pki.keys,
        entropy=entropy,
    )
    owned = Owned(
        pki=pki,
        car=car,
        insurer=insurer,
        spool=spool,
        recorder=recorder,
        desk=desk,
        response=pki.keys.generate(Curve.NIST_P256),
        log=MemoryLog(),
    )
    for day in readings:
        owned.read(day)
    owned.prove()
    return owned
