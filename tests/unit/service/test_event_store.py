import stat
from collections.abc import Callable
from dataclasses import replace
from errno import ENOSPC
from os import strerror
from pathlib import Path
from random import Random

import msgspec
import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import StorageError
from shared.core.ids import StationId, StationType
from shared.core.itstime import utc_from_text
from shared.facilities.event_report import EventReport
from shared.facilities.originated_events import OriginatedEvents
from shared.facilities.saved_events import SavedEvents
from shared.messages.cdd import CauseCode
from shared.messages.denm import Denm, Termination
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.security.region import NO_IDENTIFIED_AREAS
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.service.event_store import (
    MAX_FILE_OCTETS,
    EventStore,
    SavedPseudonym,
    StationMemory,
    StoredEvents,
    resumed_pseudonym,
    saved_pseudonym,
    write_private_file,
)
from shared.stack.station import StationIdentity, make_station
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.stations import TURIN, Speaker, position

NOON = utc_from_text("2026-11-22T12:00:00Z")
HIERARCHY = Hierarchy(1)
TICKET = HIERARCHY.ticket(StationRole.VEHICLE)
IDENTITY = StationIdentity.drawn(StationType.PASSENGER_CAR, Random(1).randbytes)
REPORT = EventReport(
    cause_code=CauseCode.STATIONARY_VEHICLE,
    sub_cause_code=0,
    position=TURIN,
    area=Circle(centre=TURIN, radius_m=500.0),
    validity_s=300,
    repetition_interval_ms=1_000,
)


def at(seconds: float) -> Instant:
    return Instant(MonotonicNs(round((500 + seconds) * NS_PER_S)), UtcNs(NOON + round(seconds * NS_PER_S)))


def told(count: int = 1) -> OriginatedEvents:
    events = OriginatedEvents(IDENTITY.station_id, StationType.PASSENGER_CAR, 5)
    for _ in range(count):
        events.trigger(REPORT, at(0))
    events.poll(at(0))
    return events


def memory(events: OriginatedEvents | None = None) -> StationMemory:
    pseudonym = saved_pseudonym(IDENTITY, TICKET.certificate.hashed_id8)
    return StationMemory(pseudonym=pseudonym, events=(events or told()).snapshot())


def pool(*tickets: object) -> TicketPool:
    return TicketPool(tickets or (TICKET,), policy=TicketPolicy(), uses=FleetingUse())  # type: ignore[arg-type]


def test_what_is_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events")
    assert store.load() is None
    store.save(memory())
    assert EventStore(tmp_path / "events").load() == memory()
    assert [each.name for each in tmp_path.iterdir()] == ["events"]


def test_the_file_is_its_owners_alone_whatever_it_was_before(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"")
    path.chmod(0o644)
    EventStore(path).save(memory())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_an_event_there_is_no_file_that_tells_which_name_we_had(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events")
    store.forget()
    store.save(memory())
    store.save(msgspec.structs.replace(memory(), events=SavedEvents(station_id=IDENTITY.station_id, next_sequence_number=1)))
    assert list(tmp_path.iterdir()) == []


def damaged_by(change: Callable[[bytes], bytes], path: Path) -> EventStore:
    store = EventStore(path)
    store.save(memory())
    path.write_bytes(change(path.read_bytes()))
    return store


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: b"", "does not begin with"),
        (lambda octets: octets.replace(b"events 1", b"events 2", 1), "does not begin with"),
        (lambda octets: octets[:-1], "checksum"),
        (lambda octets: octets + b"\n", "checksum"),
        (lambda octets: octets[:90], "checksum"),
        (lambda octets: octets[:-20] + bytes([octets[-20] ^ 1]) + octets[-19:], "checksum"),
        (lambda octets: octets + bytes(MAX_FILE_OCTETS), "more than"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_name_and_reason(
    change: Callable[[bytes], bytes], reason: str, tmp_path: Path
) -> None:
    store = damaged_by(change, tmp_path / "events")
    with pytest.raises(StorageError, match=reason) as refusal:
        store.load()
    assert refusal.value.path == str(tmp_path / "events")


def test_a_damaged_file_is_put_aside_told_and_survived(tmp_path: Path) -> None:
    path = tmp_path / "events"
    for _ in range(2):  # the second takes the place of the first
        store = damaged_by(lambda octets: octets[:-1], path)
        takeover = store.take_over()
        assert takeover.memory is None
        assert "checksum" in str(takeover.problem)
        assert [each.name for each in tmp_path.iterdir()] == ["events.damaged"]
    store.save(memory())
    takeover = store.take_over()
    assert (takeover.memory, takeover.problem) == (memory(), None)


def test_what_stands_where_the_file_should_be_is_told_and_survived(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events.damaged").mkdir()
    (tmp_path / "events.damaged" / "full").touch()
    store = EventStore(tmp_path / "events")
    takeover = store.take_over()
    assert "cannot be read" in str(takeover.problem)
    assert "nor can it be put aside" in str(takeover.problem)
    with pytest.raises(StorageError):
        store.save(memory())
    with pytest.raises(StorageError):
        store.forget()


@pytest.mark.parametrize(
    "change",
    [
        {"station_id": 1},
        {"station_type": 200},
        {"mac": b"12345"},
        {"ticket": b"1234567"},
    ],
)
def test_a_file_with_a_right_checksum_and_impossible_content_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events")
    store.save(msgspec.structs.replace(memory(), pseudonym=msgspec.structs.replace(memory().pseudonym, **change)))
    with pytest.raises(StorageError, match="not what was written"):
        store.load()


def test_a_write_that_failed_leaves_what_was_kept_before_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "events"
    EventStore(path).save(memory())

    def full(path: Path, octets: bytes) -> None:
        del path, octets
        raise OSError(ENOSPC, strerror(ENOSPC))

    with pytest.raises(StorageError, match="No space left"):
        EventStore(path, write=full).save(memory(told(2)))
    assert EventStore(path).load() == memory()
    with pytest.raises(FileNotFoundError):
        write_private_file(tmp_path / "nowhere" / "events", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_private_file(tmp_path / "folder", b"")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["events", "folder"]


def test_a_write_that_failed_although_it_was_done_is_told_and_what_it_wrote_holds(tmp_path: Path) -> None:
    path = tmp_path / "events"

    def done_and_failed(path: Path, octets: bytes) -> None:
        write_private_file(path, octets)
        raise OSError(5, "Input/output error")

    with pytest.raises(StorageError, match="Input/output"):
        EventStore(path, write=done_and_failed).save(memory(told(2)))
    kept = EventStore(path).load()
    assert kept is not None
    assert len(kept.events.events) == 2


def test_events_are_kept_with_the_name_they_were_said_under_and_never_with_another(tmp_path: Path) -> None:
    store, names = EventStore(tmp_path / "events"), [saved_pseudonym(IDENTITY, TICKET.certificate.hashed_id8)]
    keeper = StoredEvents(store, lambda: names[0] if names else None)
    keeper.keep(told().snapshot())
    assert store.load() == memory()
    names[0] = msgspec.structs.replace(names[0], station_id=1)
    keeper.keep(told().snapshot())
    assert store.load() is None
    names.clear()
    keeper.keep(told().snapshot())
    assert store.load() is None


def test_a_car_goes_on_under_its_name_and_ticket_while_an_event_of_it_lives() -> None:
    resumed = resumed_pseudonym(memory(), pool(), now=at(299), entropy=Random(9).randbytes)
    assert resumed is not None
    assert (resumed.identity.station_id, resumed.identity.address) == (IDENTITY.station_id, IDENTITY.address)
    assert resumed.identity.is_mobile
    assert resumed.ticket is TICKET
    assert resumed.events == told().snapshot()


def test_a_car_does_not_keep_a_name_without_a_reason_or_the_ticket_to_it() -> None:
    entropy = Random(9).randbytes
    other = HIERARCHY.ticket(StationRole.VEHICLE)
    assert resumed_pseudonym(memory(), pool(), now=at(300), entropy=entropy) is None
    assert resumed_pseudonym(memory(), pool(other), now=at(1), entropy=entropy) is None
    ended = Instant(MonotonicNs(0), UtcNs(NOON + 3_000 * 86_400 * NS_PER_S))
    assert resumed_pseudonym(memory(), pool(), now=ended, entropy=entropy) is None
    set_aside = pool()
    set_aside.set_aside({TICKET.certificate.hashed_id8: "its authority is revoked"})
    assert resumed_pseudonym(memory(), set_aside, now=at(1), entropy=entropy) is None


def test_while_utc_is_not_known_a_car_keeps_its_name_for_nothing_is_sent_anyway() -> None:
    dark = Instant(MonotonicNs(0), None)
    assert resumed_pseudonym(memory(), pool(), now=dark, entropy=Random(9).randbytes) is not None


def test_a_car_that_restarts_cancels_its_hazard_for_whoever_heard_of_it(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events")
    store.save(memory())
    kept = store.load()
    assert kept is not None
    resumed = resumed_pseudonym(kept, pool(), now=at(30), entropy=Random(9).randbytes)
    assert resumed is not None
    station = make_station(
        identity=resumed.identity, ticket=resumed.ticket, trust_store=HIERARCHY.trust_store, areas=NO_IDENTIFIED_AREAS
    )
    events = OriginatedEvents.restored(resumed.events, StationType.PASSENGER_CAR, at(30))
    (live,) = events.live
    events.cancel(live.action_id, at(30))
    (said,) = events.poll(at(30))
    packet = station.send(said.denm, position=position(UtcNs(NOON + 30 * NS_PER_S)), now=at(30), area=said.area)
    heard = Speaker(HIERARCHY, seed=2).station.receive(packet, at(30))
    assert heard is not None
    denm = heard.of(Denm)
    assert denm is not None
    assert denm.message.termination is Termination.IS_CANCELLATION
    assert denm.signer.hashed_id8 == TICKET.certificate.hashed_id8
    assert denm.source.address == IDENTITY.address


def test_a_saved_name_is_that_of_the_station() -> None:
    unit = replace(IDENTITY, station_id=StationId(42))
    assert saved_pseudonym(unit, TICKET.certificate.hashed_id8) == SavedPseudonym(
        station_id=42,
        station_type=StationType.PASSENGER_CAR,
        mac=IDENTITY.address.mac,
        ticket=TICKET.certificate.hashed_id8,
    )
