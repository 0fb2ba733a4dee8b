from rich.console import Console

from rsu_agent.status_view import status_tables


def shown(document: dict[str, object]) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(status_tables({"station_id": 4049, **document}))
    return capture.get()


def test_tickets_and_troubles_are_told() -> None:
    trouble = {"about": "tickets", "code": "transport", "detail": "http://aa.example: nobody is there"}
    text = shown({"tickets": {"current": "00ff", "held": 20}, "upkeep": {"troubles": [trouble]}})
    assert "current 00ff, held 20" in text
    assert "in trouble: tickets" in text
    assert "nobody is there" in text


def test_a_unit_without_an_upkeep_is_in_no_trouble() -> None:
    assert "in trouble" not in shown({"upkeep": None})


def test_each_radio_is_told_with_why_it_is_away() -> None:
    radios = {
        "its-g5": {"fault": "interface wlan0 has no carrier", "sent": 3, "received": 0},
        "backhaul": {"fault": None, "sent": 5, "received": 7},
    }
    text = shown({"radios": radios})
    assert "interface wlan0 has no carrier; sent 3, received 0" in text
    assert "up; sent 5, received 7" in text
