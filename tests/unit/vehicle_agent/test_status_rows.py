from vehicle_agent.cli import _status_rows


def test_every_value_of_a_status_has_a_row_of_its_own() -> None:
    document = {
        "station_id": 7,
        "sent": {},
        "pseudonym": {"tickets": {"held": 20, "unused": 19}, "silent": None},
        "upkeep": {"troubles": []},
    }
    assert list(_status_rows("", document)) == [
        ("station_id", "7"),
        ("sent", "-"),
        ("pseudonym.tickets.held", "20"),
        ("pseudonym.tickets.unused", "19"),
        ("pseudonym.silent", "-"),
        ("upkeep.troubles", "-"),
    ]


def test_a_trouble_is_told_in_its_sentence() -> None:
    trouble = {"about": "tickets", "code": "deniedpermissions", "detail": "the station may not have what it asks for"}
    rows = list(_status_rows("", {"upkeep": {"troubles": [trouble, {**trouble, "about": "lists"}]}}))
    assert rows == [("in trouble: tickets", trouble["detail"]), ("in trouble: lists", trouble["detail"])]
