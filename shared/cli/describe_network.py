"""GeoNetworking and BTP headers as JSON values with units in their names, for `v2x decode`.

Times of position vectors count milliseconds modulo 2^32; they become UTC where a reference time is known.
"""

from shared.cli.describe_message import Description, its_text, nearest_its_ms
from shared.core.clock import UtcNs
from shared.core.ids import MESSAGE_BINDINGS, StationType
from shared.network.area import Area, Circle, Rectangle
from shared.network.btp import BtpB
from shared.network.extended import ExtendedHeader, GbcHeader, ShbHeader
from shared.network.headers import CommonHeader
from shared.network.position_vector import LongPositionVector

GN_TIMESTAMP_MODULUS_MS = 1 << 32


def describe_common(common: CommonHeader) -> Description:
    """Return the Common Header."""
    queueing = common.traffic_class
    described: dict[str, object] = {
        "next": common.next_header.name.lower(),
        "type": common.header_type.name.lower(),
        "priority": queueing.priority,
        "is_mobile": common.is_mobile,
        "payload_octets": common.payload_octets,
        "max_hops": common.max_hop_limit,
    }
    if queueing.store_carry_forward:
        described["store_carry_forward"] = True
    if queueing.channel_offload:
        described["channel_offload"] = True
    return described


def describe_extended(extended: ExtendedHeader, reference: UtcNs | None) -> tuple[str, str, Description]:
    """Return a stable word, a title and the fields of an extended header; `reference` is about when the packet was made."""
    source = describe_source(extended.source, reference)
    if isinstance(extended, ShbHeader):
        fields: dict[str, object] = {"source": source}
        load = extended.channel_load
        if load is not None:
            fields["channel_load"] = {
                "busy_percent": round(load.busy_ratio * 100, 1),
                "neighbours_busy_percent": round(load.neighbours_busy_ratio * 100, 1),
                "power_dbm": load.power_dbm,
            }
        return "shb", "Single-hop broadcast", fields
    name, title = ("gbc", "Geo-broadcast") if isinstance(extended, GbcHeader) else ("gac", "Geo-anycast")
    return name, title, {"sequence_number": extended.sequence_number, "source": source, "area": _area(extended.area)}


def describe_source(source: LongPositionVector, reference: UtcNs | None) -> Description:
    """Return a position vector; `reference` is about when the packet was made, None where that is unknown."""
    position = source.position
    described: dict[str, object] = {
        "address": str(source.address),
        "station_type": station_type_name(source.address.station_type),
        "time": None if reference is None else its_text(nearest_its_ms(source.timestamp_ms, GN_TIMESTAMP_MODULUS_MS, reference)),
        "timestamp_ms": source.timestamp_ms,
        "lat_deg": None if position is None else position.lat_deg,
        "lon_deg": None if position is None else position.lon_deg,
        "is_accurate": source.is_accurate,
        "speed_mps": source.speed_mps,
        "heading_deg": source.heading_deg,
    }
    return {name: value for name, value in described.items() if value is not None}


def describe_btp(btp: BtpB) -> Description:
    """Return a BTP-B header, and which message its port is for."""
    port = btp.destination_port
    described: dict[str, object] = {"destination_port": port, "destination_port_info": btp.destination_port_info}
    message = next((binding.message_id.name.lower() for binding in MESSAGE_BINDINGS.values() if binding.port == port), None)
    return described if message is None else described | {"message": message}


def station_type_name(number: int) -> str | int:
    """Return the name of a station type in lower case, or its number."""
    try:
        return StationType(number).name.lower()
    except ValueError:
        return number


def _area(area: Area) -> Description:
    place = {"lat_deg": area.centre.lat_deg, "lon_deg": area.centre.lon_deg}
    if isinstance(area, Circle):
        return {"shape": "circle", **place, "radius_m": area.radius_m}
    shape = "rectangle" if isinstance(area, Rectangle) else "ellipse"
    return {"shape": shape, **place, "a_m": area.a_m, "b_m": area.b_m, "azimuth_deg": area.azimuth_deg}
