"""Identifiers and registered numbers, named as the standards name them.

ITS-AIDs: TS 102 965. Ports: TS 103 248. Station types: TS 102 894-2 `StationType`. `MESSAGE_BINDINGS` says which port, ITS-AID and
message identifier belong together; a packet in which they disagree is refused.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

from shared.core.value import Value

StationId = NewType("StationId", int)
"""TS 102 894-2 `StationID`, 0..2^32-1; changes with every pseudonym."""

HashedId8 = NewType("HashedId8", bytes)
"""Last eight bytes of a certificate's hash (IEEE 1609.2 6.3.27)."""

HashedId3 = NewType("HashedId3", bytes)
"""Last three bytes of a certificate's hash (IEEE 1609.2 6.3.26)."""


class ItsAid(IntEnum):
    """ITS application identifiers; called `psid` only inside 1609.2 structures."""

    CAM = 36
    DENM = 37
    TLM = 137
    """Traffic light manoeuvre: SPATEM."""
    RLT = 138
    """Road and lane topology: MAPEM."""
    IVIM = 139
    SREM = 140
    GN_MANAGEMENT = 141
    CRL = 622
    CERTIFICATE_REQUEST = 623
    CTL = 624
    SSEM = 637
    VAM = 638
    MISBEHAVIOUR_REPORT = 1618
    GNSS_CORRECTION = 540802
    VEHICLE_RECORDS = 270549110
    """Our own, of whoever issues records about vehicles; registered nowhere, nine below the highest one there can be."""


class MessageId(IntEnum):
    """`ItsPduHeader.messageID` (TS 102 894-2)."""

    DENM = 1
    CAM = 2
    SPATEM = 4
    MAPEM = 5
    IVIM = 6
    SREM = 9
    SSEM = 10
    RTCMEM = 13
    VAM = 14
    """As in the schema of TS 103 300-3 that is read here; later versions say 16."""


class BtpPort(IntEnum):
    """Well-known BTP-B destination ports."""

    CAM = 2001
    DENM = 2002
    MAPEM = 2003
    SPATEM = 2004
    IVIM = 2006
    SREM = 2007
    SSEM = 2008
    RTCMEM = 2013
    VAM = 2018


class StationType(IntEnum):
    """TS 102 894-2 `StationType`; the same numbers serve in a GeoNetworking address."""

    UNKNOWN = 0
    PEDESTRIAN = 1
    CYCLIST = 2
    MOPED = 3
    MOTORCYCLE = 4
    PASSENGER_CAR = 5
    BUS = 6
    LIGHT_TRUCK = 7
    HEAVY_TRUCK = 8
    TRAILER = 9
    SPECIAL_VEHICLE = 10
    TRAM = 11
    ROAD_SIDE_UNIT = 15


class ActionId(Value, kw_only=False):
    """TS 102 894-2 `ActionID`: who detected an event, and the detector's running number (0..65535)."""

    originating_station_id: StationId
    sequence_number: int


class IntersectionId(Value, kw_only=False):
    """ISO/TS 19091 `IntersectionReferenceID`: road regulator (None where not given) and number of the junction, each 0..65535."""

    region: int | None
    number: int


@dataclass(frozen=True, slots=True)
class MessageBinding:
    """The three numbers that must agree in a packet that carries one message type."""

    message_id: MessageId
    its_aid: ItsAid
    port: BtpPort


MESSAGE_BINDINGS: dict[MessageId, MessageBinding] = {
    b.message_id: b
    for b in (
        MessageBinding(MessageId.CAM, ItsAid.CAM, BtpPort.CAM),
        MessageBinding(MessageId.DENM, ItsAid.DENM, BtpPort.DENM),
        MessageBinding(MessageId.MAPEM, ItsAid.RLT, BtpPort.MAPEM),
        MessageBinding(MessageId.SPATEM, ItsAid.TLM, BtpPort.SPATEM),
        MessageBinding(MessageId.IVIM, ItsAid.IVIM, BtpPort.IVIM),
        MessageBinding(MessageId.SREM, ItsAid.SREM, BtpPort.SREM),
        MessageBinding(MessageId.SSEM, ItsAid.SSEM, BtpPort.SSEM),
        MessageBinding(MessageId.RTCMEM, ItsAid.GNSS_CORRECTION, BtpPort.RTCMEM),
        MessageBinding(MessageId.VAM, ItsAid.VAM, BtpPort.VAM),
    )
}
