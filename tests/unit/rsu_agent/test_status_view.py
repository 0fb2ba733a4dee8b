from rich.console import Console

from rsu_agent.status_view import status_tables


def shown(document: dict[str, object]) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(status_tables({"station_id": 4049, **document}))
    return capture.get()


def test_tickets_and_troubles_are_told() -> None:
    trouble = {"about": "tickets", "code": "transport", "detail": "http://aa.example: nobody is there"}
    tickets = {"current": "00ff", "held": 20, "valid": 20, "unused": 20}
    text = shown({"tickets": tickets, "upkeep": {"troubles": [trouble]}})
    assert "in use 00ff; held 20, valid 20, unused 19" in text
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


def test_what_the_network_did_and_what_others_warn_of_is_told() -> None:
    text = shown(
        {
            "copies": 4,
            "echoes": 2,
            "withheld": {"protected communication zones": 3},
            "shed": {"shed_stale": 1},
            "router": {
                "neighbours": 5,
                "heard": {"forwarded": 7, "beacons": 8},
                "forwarding": {"contended": 9},
                "dcc": {"state": "active_1", "busy_ratio": 0.31, "waiting": 2, "dropped": {"queue_full": 6}},
            },
            "kept_alive": {"repeated": 11},
            "events_heard": {"new": 12},
            "events": [
                {
                    "station_id": 9,
                    "sequence_number": 1,
                    "cause": "stationary vehicle, broken down",
                    "distance_m": 320.5,
                    "expires_s": 60.0,
                },
                {
                    "station_id": 8,
                    "sequence_number": 3,
                    "cause": "vehicle braking hard",
                    "distance_m": 20.0,
                    "expires_s": 1.5,
                    "disputed": True,
                },
            ],
        }
    )
    rows = [" ".join(line.replace("│", " ").split()) for line in text.splitlines()]
    for row in (
        "withheld protected communication zones 3",
        "shed shed stale 1",
        "echoes, copies 2, 4",
        "neighbours 5",
        "forwarded for others 7",
        "network beacons 8",
        "forwarding contended 9",
        "channel state active_1, busy ratio 0.31, waiting 2",
        "dropped before the channel queue full 6",
        "events heard new 12",
        "kept alive repeated 11",
    ):
        assert row in rows, text
    assert rows.index("8 3 vehicle braking hard 20.0 1.5 yes") < rows.index("9 1 stationary vehicle, broken down 320.5 60.0 no")


def test_where_nobody_warns_of_anything_that_is_said() -> None:
    assert "nobody warns of anything" in shown({"events": []})


def test_a_hazard_is_told_by_its_name_its_place_and_how_long_it_is_valid() -> None:
    hazard = {"sequence_number": 4, "cause": "roadworks", "lat_deg": 48.1, "lon_deg": 11.5, "radius_m": 600.0, "expires_s": 599.9}
    assert "hazard 4" in shown({"hazards": [hazard]})
    assert "roadworks at 48.100000, 11.500000, within 600.0 m, valid for another 599.9 s" in shown({"hazards": [hazard]})


def test_a_placed_hazard_is_told_with_who_placed_it() -> None:
    hazard = {"sequence_number": 4, "cause": "accident", "lat_deg": 48.1, "lon_deg": 11.5, "radius_m": 9.0, "expires_s": 1.0}
    placed = {**hazard, "source": "operator", "id": "h1", "ends": "2026-11-22T13:00:00.000Z"}
    assert "valid for another 1.0 s, of operator h1" in shown({"hazards": [placed]})
    assert "valid for another 1.0 s, of configured" in shown({"hazards": [{**hazard, "source": "configured", "id": None}]})


def test_brokers_that_are_away_and_orders_without_a_right_token_are_told() -> None:
    requests = {"token.wrong": 3, "token.absent": 1, "token.right": 7, "/api/orders 401": 4}
    backhaul = {"broker": "mqtts://broker.example:8883", "is_connected": False, "heard": 5}
    rows = shown({"http": {"url": "https://rsu", "requests": requests}, "backhaul": backhaul})
    assert "mqtts://broker.example:8883: away, 5 heard" in rows
    assert "orders refused for their token" in rows
    assert "wrong 3" in rows
    assert "absent 1" in rows
    assert "refused for their token" not in shown({"http": {"requests": {"token.right": 7}}})
