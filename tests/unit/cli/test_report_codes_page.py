"""The page an operator reads, `docs/report-codes.md`: every code there is, none twice, none that is made up."""

import re
from collections.abc import Iterator
from typing import get_args

import rsu_agent.shell
import vehicle_agent.shell
from rsu_agent.backhaul import NotHereError, OverError
from rsu_agent.placed_hazards import HazardsFullError, NoSuchHazardError
from rsu_agent.plausibility_service import IgnoredSenderError
from rsu_agent.priority_refusals import PriorityRefusal, RefusedRequestError
from shared.cli.enrol import EnrolmentError
from shared.cli.report_words import OTHER_MEANINGS
from shared.core.errors import (
    ConfigError,
    DecodeError,
    EncodeError,
    FrameError,
    ProofError,
    RecordError,
    SplitViewError,
    StorageError,
    TransportError,
    UntrustedTimeError,
    V2xError,
    VerificationError,
)
from shared.core.report import VerificationReport
from shared.facilities.event_report import EventsFullError, NoSuchEventError
from shared.ledger.verify import LogKeyError, QuorumError
from shared.network.packet import ExpiredPacketError, UnsupportedPacketError
from shared.pki.exchange import UnanswerableRequest
from shared.pki.identity_upkeep import NoAuthorityError
from shared.pki.response_codes import (
    AuthorityRefusal,
    AuthorizationResponseCode,
    EnrolmentResponseCode,
    ValidationResponseCode,
)
from shared.security.ecies import DecryptionError
from shared.security.sign import NoTicketError
from shared.service.key_errors import KeyFault, KeyStoreError, TokenError, TokenFault
from shared.service.spool_room import RecordClass, SpoolFullError
from shared.stack.common_lane import SHED_STRANGERS
from shared.stack.sender_lane import SHED_CROWDED, SHED_STALE, SHED_SUPERSEDED
from shared.transport.evm_chain import AnchorRefusedError
from shared.transport.pki_http import HttpStatusError
from tests.helpers.data import REPOSITORY
from vehicle_agent.denm_service import EVENTS_FULL, NO_POSITION, NOT_PERMITTED, UNFIT, UNTRUSTED_TIME
from vehicle_agent.mileage import NoReadingError

PROGRAMS = {"shared", rsu_agent.shell.__name__.split(".")[0], vehicle_agent.shell.__name__.split(".")[0]}
PAGE = (REPOSITORY / "docs/report-codes.md").read_text(encoding="utf-8")

TROUBLES = (
    TransportError("server", "is silent"),
    HttpStatusError("server", "answered 503", status=503, retry_after_s=None),
    NoAuthorityError("nobody can be asked"),
    NoTicketError(),
    DecodeError("answer", "is none"),
    DecryptionError(),
    UntrustedTimeError("nobody knows"),
    StorageError("file", "is full"),
    SpoolFullError("file", RecordClass.ODOMETER, "95 % of 250000 records"),
    ConfigError("key", "is gone"),
    EncodeError("odometer_m", "is too large"),
    RecordError("credential", "has handed over"),
)

NEVER_A_TROUBLE = {
    V2xError,
    FrameError,  # counted for its bus, by message
    UnsupportedPacketError,  # in the first table, like the next
    ExpiredPacketError,
    IgnoredSenderError,
    RefusedRequestError,  # in a table of its own
    HazardsFullError,  # answers an order, like the next
    NoSuchHazardError,
    OverError,  # counted for the traffic centre, like the next
    NotHereError,
    NoSuchEventError,  # answers an order, like the next
    NoReadingError,
    EventsFullError,  # told as a reason not to tell of a hazard
    ProofError,  # refuses a policy at the start, or is told as a contradiction of the ledger, like the next three
    SplitViewError,
    LogKeyError,
    QuorumError,
    UnanswerableRequest,  # an authority's
    EnrolmentError,  # ends the command that enrols
    AnchorRefusedError,  # ends the command that anchors
}


def all_errors(of: type[V2xError]) -> Iterator[type[V2xError]]:
    """Return a class of our programs and all below it that are known once both agents are loaded."""
    if of.__module__.split(".")[0] in PROGRAMS:
        yield of
    for below in of.__subclasses__():
        yield from all_errors(below)


def rows() -> dict[str, list[list[str]]]:
    """Return the cells of the table below each heading."""
    found: dict[str, list[list[str]]] = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith("| `")]
        found[title] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found


def codes(heading: str) -> list[str]:
    return [code for row in rows()[heading] for code in re.findall(r"`([^`]+)`", row[0])]


def test_every_report_is_explained_once() -> None:
    found = codes("Messages, packets and trust lists")
    assert sorted(found) == sorted([*(report.value for report in VerificationReport), *OTHER_MEANINGS])


def test_every_refusal_of_priority_is_explained_once() -> None:
    assert codes("Requests for priority refused at a junction") == [refusal.value for refusal in PriorityRefusal]


def test_every_way_of_dropping_is_explained_once() -> None:
    assert codes("Packets dropped before they are looked at") == [SHED_STALE, SHED_SUPERSEDED, SHED_CROWDED, SHED_STRANGERS]


def test_every_way_of_never_leaving_is_explained_once() -> None:
    source = (REPOSITORY / "shared/network/gatekeeper.py").read_text(encoding="utf-8")
    assert sorted(codes("Packets that never left")) == sorted(set(re.findall(r'dropped\["(\w+)"\] \+= 1', source)))


def test_every_reason_not_to_tell_of_a_hazard_is_explained_once() -> None:
    assert codes("Hazards a vehicle did not tell of") == [NO_POSITION, UNTRUSTED_TIME, NOT_PERMITTED, EVENTS_FULL, UNFIT]


def test_every_answer_of_an_authority_is_explained_once() -> None:
    tables = (EnrolmentResponseCode, AuthorizationResponseCode, ValidationResponseCode)
    words = {code.word for table in tables for code in table} - {"ok"}
    found = codes("Answers of authorities")
    assert len(found) == len(set(found))
    assert set(found) == words


def test_every_trouble_of_an_agent_is_explained_once() -> None:
    found = codes("Troubles of an agent")
    assert len(found) == len(set(found))
    again = {report.value for report in VerificationReport} - {UntrustedTimeError("").code}  # what it means there besides
    assert set(found) - again == {*get_args(TokenFault), *get_args(KeyFault), *(error.code for error in TROUBLES)}


def test_no_class_of_errors_with_a_word_of_its_own_is_forgotten_here() -> None:
    """The words of a new class are explained on the page, or it is known that no status shows them there."""
    explained = {type(error) for error in TROUBLES} | {TokenError, KeyStoreError, VerificationError, AuthorityRefusal}
    words = {each for each in all_errors(V2xError) if "code" in vars(each)}
    assert words <= explained | NEVER_A_TROUBLE


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    for table in rows().values():
        assert table
        for row in table:
            assert len(row) == 3
            assert all(cell.endswith(".") for cell in row[1:])
