"""The registry of an enrolment authority in memory: the protocol's simplest keeper, for tests that need no file."""

from shared.core.errors import StorageError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.pki.registry import IssuedCredential, RegisteredStation
from shared.security.certificate import Certificate
from shared.security.validity import Validity


class MemoryAnswers:
    """Kept answers, and how often one was kept."""

    def __init__(self) -> None:
        self.answers: dict[bytes, tuple[bytes, Time32]] = {}

    def answer_to(self, request_hash: bytes) -> bytes | None:
        """Return an answer kept before."""
        kept = self.answers.get(request_hash)
        return None if kept is None else kept[0]

    def keep_answer(self, request_hash: bytes, answer: bytes, *, kept_until: Time32) -> None:
        """Keep an answer."""
        self.answers[request_hash] = (answer, kept_until)

    def forget(self, now: Time32) -> None:
        """Forget what need not be kept any longer."""
        self.answers = {key: kept for key, kept in self.answers.items() if kept[1] > now}


class MemoryRegistry(MemoryAnswers):
    """Stations, credentials and grants as well.

    Attributes:
        failing: names of methods that raise `StorageError` once what they were told is kept, as where a disk fails too late.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failing: set[str] = set()
        self.stations: dict[bytes, RegisteredStation] = {}
        self.credentials: dict[HashedId8, IssuedCredential] = {}
        self.grants: list[tuple[bytes, Validity]] = []

    def station(self, its_id: bytes) -> RegisteredStation | None:
        """Return a registered station."""
        return self.stations.get(its_id)

    def credential(self, hashed_id8: HashedId8) -> IssuedCredential | None:
        """Return an issued credential."""
        return self.credentials.get(hashed_id8)

    def keep_credential(self, its_id: bytes, certificate: Certificate) -> None:
        """Keep a credential that is not revoked."""
        kept = IssuedCredential(its_id=its_id, certificate=certificate, is_revoked=False)
        self.credentials[certificate.hashed_id8] = kept
        self._fail_if_told("keep_credential")

    def credentials_issued(self, its_id: bytes) -> int:
        """Count a station's credentials."""
        return sum(credential.its_id == its_id for credential in self.credentials.values())

    def tickets_granted(self, its_id: bytes, since: Time32, until: Time32) -> int:
        """Count the grants that overlap a time."""
        return sum(
            station == its_id and validity.start_time64 < until * 1_000_000 and since * 1_000_000 < validity.end_time64
            for station, validity in self.grants
        )

    def keep_grant(self, its_id: bytes, validity: Validity) -> None:
        """Count a ticket."""
        self.grants.append((its_id, validity))
        self._fail_if_told("keep_grant")

    def keep_answer(self, request_hash: bytes, answer: bytes, *, kept_until: Time32) -> None:
        """Keep an answer."""
        super().keep_answer(request_hash, answer, kept_until=kept_until)
        self._fail_if_told("keep_answer")

    def _fail_if_told(self, method: str) -> None:
        if method in self.failing:
            raise StorageError("registry", f"{method} failed")
