"""What a station's upkeep tells, and where it arrives."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.core.clock import Instant, ManualClock
from shared.pki.happenings import (
    CredentialGranted,
    EvidenceFound,
    Happening,
    Recovered,
    Subject,
    TicketGranted,
    Trouble,
    TrustChanged,
)
from shared.security.certificate import Certificate
from shared.security.sign import TicketCredential
from shared.security.trust_lists_held import TrustChange
from shared.security.trust_store import EveryAuthority, TrustStore
from shared.service.evidence import EvidenceFolder
from shared.service.log import make_logger
from shared.service.notices import NoticeWriter
from shared.service.upkeep_news import UpkeepNews
from tests.helpers.hierarchy import NOON, Hierarchy

HIERARCHY = Hierarchy(94)
ROOT = HIERARCHY.root.certificate


@dataclass
class Listener:
    """What reaches an agent."""

    tickets: list[TicketCredential] = field(default_factory=list)
    stores: list[TrustStore] = field(default_factory=list)
    credentials: list[tuple[TicketCredential, Certificate]] = field(default_factory=list)

    def add_tickets(self, tickets: Iterable[TicketCredential]) -> int:
        before = len(self.tickets)
        self.tickets += tickets
        return len(self.tickets) - before

    def change_trust(self, trust_store: TrustStore) -> None:
        self.stores.append(trust_store)

    def renew_credential(self, credential: TicketCredential, authority: Certificate) -> None:
        self.credentials.append((credential, authority))


class News:
    """News on its way."""

    def __init__(self, directory: Path, now: Instant | None = None) -> None:
        self.listener = Listener()
        self.notices, self.log = io.StringIO(), io.StringIO()
        self.evidence = directory / "evidence"
        self.news = UpkeepNews(
            agent=self.listener,
            notices=NoticeWriter(self.notices),
            evidence=EvidenceFolder(self.evidence),
            log=make_logger(self.log, as_json=True),
            clock=ManualClock(NOON),
        )

    def tell(self, happening: Happening) -> list[dict[str, Any]]:
        """Tell one thing and return the notices that came of it."""
        before = self.notices.tell()
        self.news(happening)
        return [json.loads(line) for line in self.notices.getvalue()[before:].splitlines()]


def test_a_ticket_reaches_the_agent_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    news, ticket = News(tmp_path), HIERARCHY.ticket()
    assert news.tell(TicketGranted(ticket=ticket)) == []
    assert news.listener.tickets == [ticket]
    assert news.log.getvalue() == ""


def test_a_renewed_credential_reaches_the_agent_with_its_authority(tmp_path: Path) -> None:
    news, credential = News(tmp_path), HIERARCHY.ticket()
    (notice,) = news.tell(CredentialGranted(credential=credential, authority=HIERARCHY.ea.certificate))
    assert notice["kind"] == "credential_renewed"
    assert news.listener.credentials == [(credential, HIERARCHY.ea.certificate)]


def test_changed_trust_reaches_the_agent_and_is_told_in_numbers(tmp_path: Path) -> None:
    news = News(tmp_path)
    revoked = HIERARCHY.aa.certificate.hashed_id8
    store = TrustStore(
        (ROOT,),
        (),
        openness=EveryAuthority(),
        revoked={ROOT.hashed_id8: frozenset({revoked})},
        outdated=frozenset({ROOT.hashed_id8}),
    )
    (notice,) = news.tell(TrustChanged(store=store, change=TrustChange(is_news=True, revoked=(revoked,))))
    assert news.listener.stores == [store]
    told = {key: notice[key] for key in ("kind", "roots", "authorities", "outdated", "revoked")}
    assert told == {
        "kind": "trust_changed",
        "roots": 1,
        "authorities": 0,
        "outdated": [ROOT.hashed_id8.hex()],
        "revoked": [revoked.hex()],
    }
    (by_time,) = news.tell(TrustChanged(store=HIERARCHY.trust_store, change=None))
    assert (by_time["authorities"], by_time["revoked"]) == (2, [])


def test_a_trouble_and_its_end_are_told_to_the_log_and_in_notices(tmp_path: Path) -> None:
    news = News(tmp_path)
    (begun,) = news.tell(Trouble(subject=Subject.TICKETS, code="transport", sentence="nobody is there"))
    (ended,) = news.tell(Recovered(subject=Subject.TICKETS))
    assert (begun["kind"], begun["about"], begun["code"], begun["detail"]) == (
        "upkeep_trouble",
        "tickets",
        "transport",
        "nobody is there",
    )
    assert (ended["kind"], ended["about"]) == ("upkeep_recovered", "tickets")
    levels = [json.loads(line)["level"] for line in news.log.getvalue().splitlines()]
    assert levels == ["warning", "info"]


def test_a_contradiction_is_kept_and_told(tmp_path: Path) -> None:
    news = News(tmp_path)
    found = EvidenceFound(
        kind="list_fork", subject=ROOT.hashed_id8.hex(), sentence="two lists", documents={"held": b"one", "other": b"two"}
    )
    (notice,) = news.tell(found)
    assert (notice["kind"], notice["subject"]) == ("list_fork", ROOT.hashed_id8.hex())
    (path,) = news.evidence.iterdir()
    assert set(json.loads(path.read_text())["documents"]) == {"held", "other"}
