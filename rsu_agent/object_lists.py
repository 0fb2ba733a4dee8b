"""What a detector beside the road says it sees: a JSON document per moment, read strictly.

    {"utc": "2026-11-29T11:30:00.200Z",
     "objects": [{"id": "17", "kind": "person", "lat_deg": 48.1371, "lon_deg": 11.5752, "speed_mps": 0.8,
                  "heading_deg": 90.0, "confidence": 0.93}]}

`docs/hazards.md` describes it. An empty list says that nothing is there; no list says nothing at all. Left out: what follows
from what is seen (`object_watch`), and tracking: ids are the detector's and mean nothing here.
"""

from typing import Annotated, Literal

import msgspec

from shared.core.clock import UtcNs
from shared.core.errors import DecodeError
from shared.core.itstime import utc_from_text
from shared.service.mqtt_documents import MAX_DOCUMENT_OCTETS

MAX_OBJECTS = 64
"""Objects of one list."""

ObjectKind = Literal["person", "cyclist", "motorcycle", "car", "van", "lorry", "bus", "animal", "obstacle", "unknown"]
"""What an object is taken for."""

_NAME = msgspec.Meta(max_length=64)
_FIELDS = "object list"


class SeenObject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One object at one moment.

    Attributes:
        id: the detector's own.
        kind: what it is taken for.
        lat_deg: its place.
        lon_deg: its place.
        speed_mps: over ground, or None where it is not measured.
        heading_deg: of its movement, from north, or None.
        confidence: that it is there and of that kind, 0..1.
    """

    kind: ObjectKind
    lat_deg: Annotated[float, msgspec.Meta(ge=-90.0, le=90.0)]
    lon_deg: Annotated[float, msgspec.Meta(ge=-180.0, le=180.0)]
    confidence: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
    id: Annotated[str, _NAME] = ""
    speed_mps: Annotated[float, msgspec.Meta(ge=0.0, le=120.0)] | None = None
    heading_deg: Annotated[float, msgspec.Meta(ge=0.0, lt=360.0)] | None = None


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    utc: Annotated[str, _NAME]
    objects: Annotated[tuple[SeenObject, ...], msgspec.Meta(max_length=MAX_OBJECTS)]


class ObjectList(msgspec.Struct, frozen=True):
    """All that a detector saw at one moment."""

    utc: UtcNs
    objects: tuple[SeenObject, ...]


_DECODER = msgspec.json.Decoder(_Document)


def decode_object_list(octets: bytes) -> ObjectList:
    """Read a list; raises `DecodeError` that names the field."""
    if len(octets) > MAX_DOCUMENT_OCTETS:
        raise DecodeError(_FIELDS, f"{len(octets)} octets; a list has at most {MAX_DOCUMENT_OCTETS}")
    try:
        document = _DECODER.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(_FIELDS, str(error)) from None
    try:
        utc = utc_from_text(document.utc)
    except (ValueError, OverflowError) as error:
        raise DecodeError("object list.utc", str(error)) from None
    return ObjectList(utc, document.objects)
