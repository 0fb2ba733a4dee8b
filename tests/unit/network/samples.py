"""Values and strategies that the tests of the network layer share."""

from hypothesis import strategies as st

from shared.core.geo import GeoPoint
from shared.network.address import GnAddress
from shared.network.area import Area, Circle, Ellipse, Rectangle
from shared.network.extended import ChannelLoad, ExtendedHeader, GacHeader, GbcHeader, ShbHeader
from shared.network.position_vector import LongPositionVector

CAR = GnAddress(station_type=5, mac=bytes.fromhex("02000000002a"))

VECTOR = LongPositionVector(
    address=CAR,
    timestamp_ms=0x01020304,
    position=GeoPoint(48.1, -11.5),
    is_accurate=True,
    speed_mps=-3.21,
    heading_deg=271.3,
)
VECTOR_HEX = "1400 02000000002a 01020304 1cab7a40 f9253d40 febf 0a99"

CIRCLE = Circle(centre=GeoPoint(48.1, 11.5), radius_m=500.0)
RECTANGLE = Rectangle(centre=GeoPoint(48.1, 11.5), a_m=300.0, b_m=20.0, azimuth_deg=45.0)
ELLIPSE = Ellipse(centre=GeoPoint(48.1, 11.5), a_m=300.0, b_m=20.0, azimuth_deg=359.0)

EXTENDED_HEADERS: tuple[ExtendedHeader, ...] = (
    ShbHeader(source=VECTOR),
    ShbHeader(source=VECTOR, channel_load=ChannelLoad(busy_ratio=51 / 255, neighbours_busy_ratio=1.0, power_dbm=23)),
    GbcHeader(sequence_number=65_535, source=VECTOR, area=CIRCLE),
    GbcHeader(sequence_number=0, source=VECTOR, area=RECTANGLE),
    GbcHeader(sequence_number=1, source=VECTOR, area=ELLIPSE),
    GacHeader(sequence_number=2, source=VECTOR, area=CIRCLE),
    GacHeader(sequence_number=3, source=VECTOR, area=RECTANGLE),
    GacHeader(sequence_number=4, source=VECTOR, area=ELLIPSE),
)

addresses = st.builds(GnAddress, station_type=st.integers(0, 31), mac=st.binary(min_size=6, max_size=6), is_manual=st.booleans())
places = st.builds(
    lambda lat, lon: GeoPoint(lat / 10_000_000, lon / 10_000_000),
    st.integers(-900_000_000, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
).filter(lambda place: (place.lat_deg, place.lon_deg) != (0.0, 0.0))
vectors = st.builds(
    LongPositionVector,
    address=addresses,
    timestamp_ms=st.integers(0, 2**32 - 1),
    position=places,
    is_accurate=st.booleans(),
    speed_mps=st.integers(-16_384, 16_383).map(lambda cm: cm / 100),
    heading_deg=st.integers(0, 3_599).map(lambda tenths: tenths / 10),
)
axes_m = st.integers(1, 1_500).map(float)
azimuths_deg = st.integers(0, 359).map(float)
areas: st.SearchStrategy[Area] = st.one_of(
    st.builds(Circle, centre=places, radius_m=axes_m),
    st.builds(Rectangle, centre=places, a_m=axes_m, b_m=axes_m, azimuth_deg=azimuths_deg),
    st.builds(Ellipse, centre=places, a_m=axes_m, b_m=axes_m, azimuth_deg=azimuths_deg),
)
