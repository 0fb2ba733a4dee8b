"""Quadkeys: places as paths of digits 0..3 down the quartered Mercator map (the "Bing Maps tile system").

At level n the map is 2^n by 2^n tiles, x from the antimeridian eastwards, y from the north southwards; digit i of a tile's key is
bit i of x plus twice bit i of y, the coarsest first. The map ends at 85.05 degrees: what lies beyond, the poles among it, belongs
to the outermost row. Left out: topics (`mqtt_topics`).
"""

from math import asinh, floor, pi, radians, tan

from shared.core.geo import GeoPoint, metres_per_degree

POSITION_DIGITS = 22
"""Digits of a position: a tile of some 10 m at the equator."""

MAX_TILES = 4
"""Tiles that cover one surrounding: never more than a corner where four meet."""

MAX_LATITUDE_DEG = 85.051_128_779_806_59
"""Where the square map ends."""

_DIGIT_PAIRS = {ord(f"{pair:x}"): f"{pair >> 2}{pair & 3}" for pair in range(16)}
"""Two digits of a quadkey for each hexadecimal one."""


def quadkey(place: GeoPoint, digits: int = POSITION_DIGITS) -> str:
    """Return the key of the tile of level `digits` that holds `place`; the empty key, at level 0, is the whole world."""
    side = 1 << digits
    return tile_key(floor(_x(place.lon_deg) * side) % side, _row(place.lat_deg, side), digits)


def tile_key(x: int, y: int, digits: int) -> str:
    """Return the key of a tile: `x`, `y` in 0..2^digits - 1."""
    spread = int(f"{x:b}", 4) + 2 * int(f"{y:b}", 4)
    return f"{spread:0{(digits + 1) // 2}x}".translate(_DIGIT_PAIRS)[digits % 2 :] if digits else ""


def keys_around(centre: GeoPoint, radius_m: float, *, max_digits: int = POSITION_DIGITS) -> tuple[str, ...]:
    """Return the keys, of one length and in order, of the smallest tiles of which `MAX_TILES` cover a circle.

    Args:
        centre: of the circle.
        radius_m: positive; beyond some thousand kilometres the answer is the whole world.
        max_digits: the longest keys wanted.
    """
    south, north, half_lon_deg = _box(centre, radius_m)
    west, east = _x(centre.lon_deg - half_lon_deg), _x(centre.lon_deg + half_lon_deg)
    for digits in range(max_digits, 0, -1):
        side = 1 << digits
        first, last = floor(west * side), floor(east * side)
        columns = min(last - first + 1, side)
        top, bottom = _row(north, side), _row(south, side)
        if columns * (bottom - top + 1) <= MAX_TILES:
            return tuple(
                sorted(tile_key((first + column) % side, y, digits) for column in range(columns) for y in range(top, bottom + 1))
            )
    return ("",)


def _box(centre: GeoPoint, radius_m: float) -> tuple[float, float, float]:
    """Return the southern and northern edge of a circle, and how far it reaches east and west: 180 degrees around a pole."""
    per_lat = min(metres_per_degree(centre.lat_deg)[0], metres_per_degree(0.0)[0])  # the shortest degree: never too little
    reach_deg = radius_m / per_lat
    south, north = centre.lat_deg - reach_deg, centre.lat_deg + reach_deg
    if south < -90.0 or north > 90.0:
        return max(south, -90.0), min(north, 90.0), 180.0
    per_lon = metres_per_degree(max(abs(south), abs(north)))[1]
    half_lon_deg = radius_m / per_lon if per_lon > 0.0 else 180.0
    return south, north, min(half_lon_deg, 180.0)


def _x(lon_deg: float) -> float:
    """Return how far east of the antimeridian, as a share of the way round; outside [0, 1) where a box reaches across it."""
    return (lon_deg + 180.0) / 360.0


def _row(lat_deg: float, side: int) -> int:
    clipped = max(-MAX_LATITUDE_DEG, min(MAX_LATITUDE_DEG, lat_deg))
    share = 0.5 - asinh(tan(radians(clipped))) / (2 * pi)
    return max(0, min(side - 1, floor(share * side)))
