"""The senders of a load, a process of their own: cars with tickets of their own that drive in circles and sign every CAM afresh.

    FOLDER/trust, FOLDER/ticket         written at the start, for the unit under load
    {"cars": 800}                       said on standard output when every car has its ticket
    {"cars": 400, "seconds": 300, ...}  heard on standard input: so many of them speak for so long (`Order`)
    {"packets": 1200000, ...}           said when they have spoken (`Spoken`)

The first car besides warns of something, once a second, to an area. Each car speaks when its turn comes, one after the other, never
all at once. A process that was kept waiting makes up for a moment and no more (`MAKES_UP_NS`), for a flood after a silence would be
another load than the one asked for; what it leaves out it counts. They only speak: this process joins no group and hears nothing.
"""

import math
import socket
import sys
from pathlib import Path
from time import process_time, sleep

import msgspec

from shared.bench.traffic import CAM_GAP_NS, Hierarchy, cam_at
from shared.core.clock import NS_PER_S, Instant, TimeSource, UtcNs
from shared.core.geo import GeoPoint, displaced
from shared.core.ids import ActionId
from shared.core.itstime import time64_of, timestamp_its
from shared.messages import samples
from shared.network.area import Circle
from shared.pki.permission_sets import StationRole
from shared.security.ecdsa import SoftwareSigner
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import write_ticket, write_trust_directory
from shared.stack.station import EgoPosition, Station
from shared.transport.udp_radio import LOOPBACK_INTERFACE

MIDDLE = GeoPoint(48.137, 11.575)
"""Where the unit stands."""

SPEED_MPS = 13.9
RADIUS_M = 150.0
"""Of each car's circle: 1.3 m/s2 to the side, as in any bend."""

SPREAD_M = 400.0
"""The middles of the circles lie on one as wide."""

TICK_S = 0.001
"""How long nobody speaks at least: a sleep cannot be shorter than the system's timer anyhow."""

MAKES_UP_NS = CAM_GAP_NS
"""How late a CAM may be sent."""

WARNING_GAP_NS = NS_PER_S
WARNING_RADIUS_M = 1_000.0

_HOUR_NS = 3_600 * NS_PER_S


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: how many cars, for how long, and the time between two CAMs of each."""

    cars: int
    seconds: float
    gap_ns: int = CAM_GAP_NS


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """What was done.

    Attributes:
        packets: CAMs that were sent.
        warnings: DENMs likewise.
        left_out: CAMs for which it was too late.
        seconds: that it took.
        processor_s: processor time of that.
    """

    packets: int
    warnings: int
    left_out: int
    seconds: float
    processor_s: float

    @property
    def on_air(self) -> int:
        """Packets of all kinds."""
        return self.packets + self.warnings


class _Car:
    """One car on its circle."""

    def __init__(self, station: Station, number: int) -> None:
        self._station = station
        angle = number * math.tau * (math.sqrt(5) - 1) / 2  # spread evenly however many there are
        self._middle = displaced(MIDDLE, SPREAD_M * math.cos(angle), SPREAD_M * math.sin(angle))
        self._angle = angle

    def speak(self, now: Instant) -> bytes:
        """Return a signed CAM of this moment."""
        point, heading_deg = self._place(now)
        here = EgoPosition(point=point, taken_at=now.require_utc(), speed_mps=SPEED_MPS, heading_deg=heading_deg)
        cam = msgspec.structs.replace(
            cam_at(self._station, now), lat_deg=point.lat_deg, lon_deg=point.lon_deg, heading_deg=heading_deg, speed_mps=SPEED_MPS
        )
        return self._station.send(cam, position=here, now=now)

    def warn(self, now: Instant) -> bytes:
        """Return a signed DENM of something where the car is."""
        moment, station_id = timestamp_its(time64_of(now.require_utc())), self._station.identity.station_id
        point, _ = self._place(now)
        denm = msgspec.structs.replace(
            samples.DENM,
            station_id=station_id,
            action_id=ActionId(station_id, 0),
            station_type=self._station.identity.station_type,
            detection_time=moment,
            reference_time=moment,
            lat_deg=point.lat_deg,
            lon_deg=point.lon_deg,
        )
        here = EgoPosition(point=point, taken_at=now.require_utc(), speed_mps=SPEED_MPS)
        return self._station.send(denm, position=here, now=now, area=Circle(centre=point, radius_m=WARNING_RADIUS_M))

    def _place(self, now: Instant) -> tuple[GeoPoint, float]:
        """Return where the car is, and its heading in degrees."""
        angle = self._angle + now.monotonic / NS_PER_S * SPEED_MPS / RADIUS_M
        point = displaced(self._middle, RADIUS_M * math.sin(angle), RADIUS_M * math.cos(angle))
        return point, round(math.degrees(angle) + 90.0, 1) % 360.0


class Senders:
    """All cars, and the socket they share.

    Args:
        hierarchy: issues their tickets.
        cars: how many there are.
        group: multicast group and port of the unit's radio.
    """

    def __init__(self, hierarchy: Hierarchy, *, cars: int, group: tuple[str, int]) -> None:
        self._clock = SystemClock(TimeSource.ASSUME_TRUSTED)
        self._cars = [_Car(hierarchy.station(number), number) for number in range(1, cars + 1)]
        self._group = group
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK_INTERFACE))

    def speak(self, order: Order) -> Spoken:
        """Let the first of the cars speak for some seconds; return what was done."""
        cars, clock = self._cars[: order.cars], self._clock
        gap_ns = order.gap_ns / len(cars)
        began, began_s = clock.now().monotonic, process_time()
        turns, left_out = round(order.seconds * NS_PER_S / gap_ns), 0
        warnings, next_warning_ns = 0, int(began)
        for turn in range(turns):
            due = began + turn * gap_ns
            now = clock.now()
            while now.monotonic < due:
                sleep(TICK_S)
                now = clock.now()
            if now.monotonic >= next_warning_ns:
                self._socket.sendto(cars[0].warn(now), self._group)
                warnings, next_warning_ns = warnings + 1, now.monotonic + WARNING_GAP_NS
            if now.monotonic > due + MAKES_UP_NS:
                left_out += 1
            else:
                self._socket.sendto(cars[turn % len(cars)].speak(now), self._group)
        return Spoken(
            packets=turns - left_out,
            warnings=warnings,
            left_out=left_out,
            seconds=(clock.now().monotonic - began) / NS_PER_S,
            processor_s=process_time() - began_s,
        )


def issued(folder: Path) -> Hierarchy:
    """Return authorities whose validity has begun, and write what a unit needs of them into `trust` and `ticket`."""
    now = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
    hierarchy = Hierarchy(UtcNs(now - now % _HOUR_NS - _HOUR_NS))
    write_trust_directory(folder / "trust", hierarchy.trust_store)
    ticket = hierarchy.ticket(StationRole.RSU)
    if not isinstance(ticket.signer, SoftwareSigner):
        raise TypeError("a key that can be written is needed")
    write_ticket(folder / "ticket", ticket.certificate, ticket.signer)
    return hierarchy


def main(folder: Path, cars: int, group: str, port: int) -> None:
    """Issue, then do what standard input orders, line by line, until it ends."""
    senders = Senders(issued(folder), cars=cars, group=(group, port))
    _say(msgspec.json.encode({"cars": cars}))
    for line in sys.stdin:
        _say(msgspec.json.encode(senders.speak(msgspec.json.decode(line, type=Order))))


def _say(document: bytes) -> None:
    sys.stdout.buffer.write(document + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
