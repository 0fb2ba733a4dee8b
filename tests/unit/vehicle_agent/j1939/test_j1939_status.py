from shared.core.clock import MonotonicNs
from tests.helpers.j1939_unit import EVERYBODY, broadcast, frame
from vehicle_agent.j1939.groups import VEHICLE_IDENTIFICATION
from vehicle_agent.j1939.listener import J1939Bus, J1939Listener
from vehicle_agent.j1939.status_rows import j1939_rows


def _rows(address: int | None) -> dict[str, str]:
    listener = J1939Listener([J1939Bus(name="can0", groups=frozenset(), address=address)], started=MonotonicNs(0))
    for heard in broadcast(VEHICLE_IDENTIFICATION, 0, b"YV2RT40A5KB123456*"):
        listener.receive(heard)
    listener.receive(frame(VEHICLE_IDENTIFICATION, 0, EVERYBODY, b"\x07*"))
    listener.receive(broadcast(VEHICLE_IDENTIFICATION, 0, b"YV2RT40A5KB123456*")[1])
    return dict(j1939_rows({"j1939": {"buses": listener.status()}}))


def test_a_person_reads_what_was_heard_and_what_went_wrong() -> None:
    rows = _rows(None)
    assert rows["J1939 on can0"].startswith("1 long groups put together; ")
    assert "tp stray 1" in rows["J1939 on can0"]
    assert rows["asked there"] == "nothing: it has no j1939_address"
    assert "unreadable identification" in rows["said unreadably"]


def test_a_person_reads_what_was_asked() -> None:
    assert _rows(249)["asked there"].startswith("units")


def test_a_vehicle_without_j1939_has_no_row() -> None:
    assert dict(j1939_rows({"j1939": None})) == {}
    assert dict(j1939_rows({})) == {}
