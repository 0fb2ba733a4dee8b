"""An enrolment and an authorization authority behind HTTP: the desks, the clock, and the way from one authority to the other.

Refusals are logged with their reason, which the requester is not told; a request that cannot be answered is only counted. An
enrolment authority that does not answer, or answers with something that must not be believed, is one that cannot be reached: the
station is told so and may ask again.
"""

from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock
from shared.core.errors import DecodeError, TransportError, VerificationError
from shared.core.ids import HashedId8
from shared.pki.authorization_desk import AuthorizationCase, AuthorizationDesk
from shared.pki.desk import DeskRecord
from shared.pki.enrolment_desk import EnrolmentDesk
from shared.pki.response_codes import AuthorizationResponseCode
from shared.service.counters import Counters

AskEnrolmentAuthority = Callable[[HashedId8, bytes], Awaitable[bytes]]
"""Takes a question to an enrolment authority and returns what it answered; raises `TransportError`."""


class EnrolmentOffice:
    """An enrolment authority.

    Args:
        desk: its logic.
        name: in the log.
        clock: dates everything.
        log: told of refusals.
    """

    def __init__(self, desk: EnrolmentDesk, *, name: str, clock: Clock, log: FilteringBoundLogger) -> None:
        self.desk = desk
        self._clock = clock
        self._refusals = _RefusalLog(desk.record, log.bind(authority=name))

    async def answer(self, request: bytes) -> bytes:
        """Answer a request; raises `UnanswerableRequest`, `UntrustedTimeError`, `StorageError`, `TransportError` of a token."""
        answer = self.desk.answer(request, self._clock.now())
        self._refusals.log_new()
        return answer


class AuthorizationOffice:
    """An authorization authority.

    Args:
        desk: its logic.
        name: in the log.
        ask: takes questions to enrolment authorities.
        clock: dates everything.
        counters: `{name}.ea_unreachable`, `{name}.ea_not_believed`.
        log: told of refusals.
    """

    def __init__(
        self,
        desk: AuthorizationDesk,
        *,
        name: str,
        ask: AskEnrolmentAuthority,
        clock: Clock,
        counters: Counters,
        log: FilteringBoundLogger,
    ) -> None:
        self.desk = desk
        self._name = name
        self._ask = ask
        self._clock = clock
        self._counters = counters
        self._log = log.bind(authority=name)
        self._refusals = _RefusalLog(desk.record, self._log)

    async def answer(self, request: bytes) -> bytes:
        """Answer a request; raises `UnanswerableRequest`, `UntrustedTimeError`, `StorageError`, `TransportError` of a token."""
        begun = self.desk.begin(request, self._clock.now())
        answer = begun if isinstance(begun, bytes) else await self._finish(begun)
        self._refusals.log_new()
        return answer

    async def _finish(self, case: AuthorizationCase) -> bytes:
        try:
            vouched = await self._ask(case.ea, case.validation_request)
        except TransportError as error:
            self._counters.add(f"{self._name}.ea_unreachable")
            self._log.warning("ea_unreachable", ea=case.ea.hex(), reason=str(error))
            return self._refused(case)
        try:
            return self.desk.finish(case, vouched, self._clock.now())
        except (DecodeError, VerificationError) as error:
            self._counters.add(f"{self._name}.ea_not_believed")
            self._log.warning("ea_not_believed", ea=case.ea.hex(), reason=str(error))
        return self._refused(case)

    def _refused(self, case: AuthorizationCase) -> bytes:
        return self.desk.refuse(case, AuthorizationResponseCode.CANT_REACH_EA, self._clock.now())


class _RefusalLog:
    """Logs the refusals of a desk, each once: requests wait for another authority side by side, and end in any order."""

    def __init__(self, record: DeskRecord, log: FilteringBoundLogger) -> None:
        self._record = record
        self._log = log
        self._logged = record.refused

    def log_new(self) -> None:
        """Log what was refused since the last look."""
        count, self._logged = self._record.refused - self._logged, self._record.refused
        for refusal in list(self._record.refusals)[-count:] if count else ():
            self._log.info("refused", code=refusal.word, reason=refusal.reason)
