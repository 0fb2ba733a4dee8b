"""What comes of a station's upkeep, carried to its agent, its notices and its folder of evidence.

Called on the event loop between two steps of the agent. Tickets are not told one by one: the status counts them.
"""

from collections.abc import Iterable
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from shared.core.clock import Clock
from shared.pki.happenings import (
    CredentialGranted,
    EvidenceFound,
    Happening,
    Recovered,
    TicketGranted,
    Trouble,
    TrustChanged,
)
from shared.security.certificate import Certificate
from shared.security.sign import TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.evidence import EvidenceFolder
from shared.service.notices import NoticeWriter
from shared.stack.effects import Evidence, Notice


class UpkeptAgent(Protocol):
    """What an agent does with the news."""

    def add_tickets(self, tickets: Iterable[TicketCredential]) -> int:
        """Take new tickets in; return how many were new."""
        ...

    def change_trust(self, trust_store: TrustStore) -> None:
        """Believe whom a new store names."""
        ...

    def renew_credential(self, credential: TicketCredential, authority: Certificate) -> None:
        """Go on under a new enrolment credential."""
        ...


class UpkeepNews:
    """Carries news.

    Args:
        agent: told what concerns it.
        notices: where changes and troubles are written.
        evidence: where contradictions are kept.
        log: told of troubles and of their end.
        clock: dates notices.
    """

    def __init__(
        self, *, agent: UpkeptAgent, notices: NoticeWriter, evidence: EvidenceFolder, log: FilteringBoundLogger, clock: Clock
    ) -> None:
        self._agent = agent
        self._notices = notices
        self._evidence = evidence
        self._log = log
        self._clock = clock

    def __call__(self, happening: Happening) -> None:
        """Carry one piece of news."""
        match happening:
            case TicketGranted(ticket=ticket):
                self._agent.add_tickets((ticket,))
            case CredentialGranted(credential=credential, authority=authority):
                self._agent.renew_credential(credential, authority)
                self._notice("credential_renewed", credential=credential.certificate.hashed_id8.hex())
            case TrustChanged():
                self._agent.change_trust(happening.store)
                self._notice("trust_changed", **_trust_in_numbers(happening))
            case Trouble(subject=subject, code=code, sentence=sentence):
                self._log.warning("upkeep in trouble", about=subject.value, code=code, detail=sentence)
                self._notice("upkeep_trouble", about=subject.value, code=code, detail=sentence)
            case Recovered(subject=subject):
                self._log.info("upkeep works again", about=subject.value)
                self._notice("upkeep_recovered", about=subject.value)
            case EvidenceFound(kind=kind, subject=about, sentence=sentence, documents=documents):
                self._evidence.keep(Evidence(kind, about, sentence, documents), self._clock.now())
                self._notice(kind, subject=about, detail=sentence)

    def _notice(self, kind: str, **fields: object) -> None:
        self._notices.write(Notice(kind, fields), self._clock.now())


def _trust_in_numbers(changed: TrustChanged) -> dict[str, object]:
    store, change = changed.store, changed.change
    return {
        "roots": len(store.roots),
        "authorities": len(store.authorities),
        "outdated": sorted(root.hex() for root in store.outdated),
        "revoked": [] if change is None else [each.hex() for each in change.revoked],
    }
