"""The JSON reports of gpsd that an agent reads (protocol 3), as strict structs: a field of another type refuses the report.

Fields that are not named here are ignored, as the protocol asks of clients; so are reports of other classes (`ATT`, `PPS` ...).
"""

from typing import Any, TypeVar

import msgspec

from shared.core.errors import DecodeError

T = TypeVar("T")


class Version(msgspec.Struct, frozen=True):
    """`VERSION`: the first thing gpsd says."""

    release: str
    proto_major: int
    proto_minor: int = 0


class Device(msgspec.Struct, frozen=True):
    """`DEVICE`: a receiver gpsd listens to; not `activated` where it is gone."""

    path: str | None = None
    driver: str | None = None


class Devices(msgspec.Struct, frozen=True):
    """`DEVICES`: all of them."""

    devices: list[Device]


class ErrorReport(msgspec.Struct, frozen=True):
    """`ERROR`: what gpsd did not like about us."""

    message: str


class Tpv(msgspec.Struct, frozen=True):
    """`TPV`: time, position, velocity. Errors in metres with 95 % confidence; `mode` 0 unknown, 1 no fix, 2 and 3 dimensions."""

    mode: int
    device: str | None = None
    status: int | None = None
    time: str | None = None
    leapseconds: int | None = None
    lat: float | None = None
    lon: float | None = None
    altHAE: float | None = None  # noqa: N815 - gpsd's name
    epx: float | None = None
    epy: float | None = None
    eph: float | None = None
    speed: float | None = None
    track: float | None = None
    climb: float | None = None


class Satellite(msgspec.Struct, frozen=True):
    """One line of `SKY`."""

    used: bool = False


class Sky(msgspec.Struct, frozen=True):
    """`SKY`: what is overhead, and how well it is spread."""

    device: str | None = None
    hdop: float | None = None
    uSat: int | None = None  # noqa: N815 - gpsd's name
    satellites: list[Satellite] | None = None

    @property
    def used(self) -> int | None:
        """How many satellites the fix is made of."""
        if self.uSat is not None:
            return self.uSat
        return None if self.satellites is None else sum(satellite.used for satellite in self.satellites)


class Gst(msgspec.Struct, frozen=True):
    """`GST`: standard deviations in metres, of the fix with the same time."""

    device: str | None = None
    time: str | None = None
    lat: float | None = None
    lon: float | None = None


class _Head(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="class")


def class_of(line: bytes) -> str:
    """Return the class of a report; raises `DecodeError` where the line is no report."""
    return _decode(line, _Head, "gpsd").kind


def read_report(line: bytes, kind: type[T], where: str) -> T:
    """Return a report; raises `DecodeError` where one of its fields is not what it should be."""
    return _decode(line, kind, where)


def _decode(line: bytes, kind: type[T], where: str) -> T:
    decoder: msgspec.json.Decoder[Any] = _DECODERS[kind]
    try:
        report: T = decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        raise DecodeError(where, str(malformed)) from None
    return report


_DECODERS: dict[type, "msgspec.json.Decoder[Any]"] = {
    kind: msgspec.json.Decoder(kind) for kind in (_Head, Version, Device, Devices, ErrorReport, Tpv, Sky, Gst)
}
