"""The console as a page follows it: events read as a browser reads them, and folded into one picture."""

import json
from collections.abc import Iterable
from typing import Any

Json = Any


def events_in(octets: bytes) -> list[tuple[str, dict[str, Json]]]:
    """Return the events of a stream: name and data; what is no whole event is refused."""
    found = []
    for block in octets.decode().split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if "retry" in lines:
            assert lines.keys() == {"retry"}
            continue
        assert lines.keys() == {"event", "data"}, block
        found.append((lines["event"], json.loads(lines["data"])))
    return found


class Follower:
    """What a page knows after the events it was given."""

    def __init__(self, events: Iterable[bytes] = ()) -> None:
        self._unread = b""
        self.picture: dict[str, Json] = {}
        for event in events:
            self.take(event)

    def take(self, octets: bytes | None) -> None:
        """Take what came next; an event whose end did not come yet waits for it."""
        whole, end, self._unread = (self._unread + (octets or b"")).rpartition(b"\n\n")
        for name, told in events_in(whole + end):
            vehicles = dict(self.picture.get("vehicles", {}))
            if name == "whole":
                self.picture, vehicles = {}, {}
            gone = told.pop("gone", [])
            vehicles |= told.pop("vehicles", {})
            for ticket in gone:
                del vehicles[ticket]
            self.picture |= told | {"vehicles": vehicles}

    @property
    def vehicles(self) -> dict[str, Json]:
        """Rows by ticket."""
        rows: dict[str, Json] = self.picture["vehicles"]
        return rows

    def row(self, key: str) -> dict[str, Json]:
        """Return one vehicle's row with names."""
        names = ("station_id", "east_m", "north_m", "heading_deg", "speed_mps", "trust", "why", "is_silent", "refused")
        return dict(zip(names, self.vehicles[key], strict=True))

    @property
    def phases(self) -> dict[int, str]:
        """What each signal group shows."""
        return {light[0]: light[2] for light in self.picture["lights"]}

    @property
    def refused(self) -> list[str]:
        """Reasons for refusals, the one given last first."""
        return [each["reason"] for each in self.picture["refusals"]]
