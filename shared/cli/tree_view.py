"""Descriptions for people: nested JSON values with units in their names become a tree with units behind the numbers.

    "speed_mps": 13.89, "speed_confidence_mps": 0.5        speed: 13.89 m/s (50.0 km/h), ±0.5 m/s
    "lat_deg": 45.07, "lon_deg": 7.68                      position: 45.0700000, 7.6800000
    "source": {"address": "02:..", "speed_mps": 0.0}       source: address 02:.., speed 0.0 m/s (0.0 km/h)
    "events": [{"phase": .., "colour": "red", ..}, ..]     events: red until +35.0 s; green until +47.0 s

What an object says in plain values stands on one line, its parts below; lists of short things stand on one line. What a peer wrote
is shown with everything unprintable escaped, so that no message can steer a terminal.
"""

from collections.abc import Iterator, Mapping, Sequence
from re import compile as pattern

from rich.text import Text
from rich.tree import Tree

from shared.core.units import kmh_from_mps

MAX_TITLED_CHARACTERS = 90
"""Longest line a whole layer is written on."""

MAX_LISTED_CHARACTERS = 400
"""Longest list of short things that is written in one go."""

MAX_HEX_DIGITS = 32
"""Longer octet strings are shown by their ends; `--json` has them whole."""

_UNITS = {
    "_mps2": " m/s²",
    "_mps": " m/s",
    "_per_m": " 1/m",
    "_c": " °C",
    "_dps": "°/s",
    "_dbm": " dBm",
    "_percent": " %",
    "_octets": " octets",
    "_deg": "°",
    "_kg": " kg",
    "_ms": " ms",
    "_m": " m",
    "_s": " s",
}
_WORDS = {
    "aa": "AA",
    "aid": "AID",
    "btp": "BTP-",
    "dx": "east",
    "dy": "north",
    "ea": "EA",
    "gac": "GAC",
    "gbc": "GBC",
    "hashed": "Hashed",
    "id8": "Id8",
    "its": "ITS",
    "shb": "SHB",
    "ssp": "SSP",
    "url": "URL",
}
_PERMISSION = (("ssp", "ssp"), ("mask", "mask"))
_LABEL = "cyan"
_HEX = pattern(r"[0-9a-f]*")
_WHOLE_SECOND = pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z")
_WORD = pattern(r"[a-z][a-z0-9_]*")
_PLACE = ("lon_deg", "semi_major_m", "semi_minor_m", "semi_major_orientation_deg")

Object = Mapping[str, object]


class _Line(str):
    """A value that is a finished line already."""

    __slots__ = ()


def grow_titled(tree: Tree, title: Text, description: Object) -> None:
    """Add a whole layer: on the line of its title where there is room, else a line for each field."""
    line = _packed(description)
    if line is not None and len(title) + len(line) <= MAX_TITLED_CHARACTERS:
        tree.add(Text.assemble(title, ": ", line))
    else:
        grow(tree.add(title), description)


def grow(tree: Tree, description: Object) -> None:
    """Add an object to a tree, a line for each field."""
    for label, value in _fields(description):
        _add(tree, label, value)


def visible(text: str) -> str:
    """Return text with everything unprintable escaped: control characters, and those that turn the direction of writing."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _add(tree: Tree, label: str, value: object) -> None:
    line = _flat(value)
    if line is not None:
        tree.add(Text.assemble((f"{label}: ", _LABEL), line))
        return
    if isinstance(value, Mapping):
        head, parts = _headline(value)
        branch = tree.add(Text.assemble((f"{label}: ", _LABEL), head) if head else Text(label, style=_LABEL))
        for part, inner in parts:
            _add(branch, part, inner)
    elif isinstance(value, list):
        branch = tree.add(Text(label, style=_LABEL))
        for number, item in enumerate(value, start=1):
            _add(branch, f"{number}", item)


def _flat(value: object) -> str | None:
    """Return what needs no branches as one line, None for the rest."""
    match value:
        case list():
            return _listed(value)
        case Mapping():
            return None if _is_certificate(value) else _packed(value)
        case _:
            return _scalar(value)


def _listed(items: Sequence[object]) -> str | None:
    lines = [_flat(item) for item in items]
    whole = [line for line in lines if line is not None]
    if len(whole) < len(items):
        return None
    joined = ("; " if any(isinstance(item, Mapping) for item in items) else ", ").join(whole)
    return (joined or "none") if len(joined) <= MAX_LISTED_CHARACTERS else None


def _packed(description: Object) -> str | None:
    """Return an object of plain values as one line, None where it has parts that need lines of their own."""
    shaped = _shaped(description)
    if shaped is not None:
        return shaped
    head, parts = _headline(description)
    return None if parts else head or "unavailable"


def _headline(description: Object) -> tuple[str, list[tuple[str, object]]]:
    """Split an object into the line of its plain values and its parts."""
    if _is_certificate(description):
        return _certificate(description)
    if "phase" in description and "colour" in description:
        return _event(description), [(label, value) for label, value in _fields(description) if label == "speeds"]
    plain: list[str] = []
    parts: list[tuple[str, object]] = []
    for label, value in _fields(description):
        match value:
            case list() if not any(isinstance(item, Mapping | list) for item in value):
                plain.append(f"{label} {_together(value)}")
            case Mapping() | list():
                parts.append((label, value))
            case _:
                plain.append(f"{label} {_scalar(value)}")
    for number, (label, value) in enumerate(parts):
        if isinstance(value, Mapping) and (_is_certificate(value) or (not plain and len(parts) == 1)):
            head, inner = _headline(value)
            head = head if head.startswith(f"{label} ") else f"{label} {head}".rstrip()
            return ", ".join((head, *plain)), [*inner, *parts[:number], *parts[number + 1 :]]
    return ", ".join(plain), parts


def _together(items: Sequence[object]) -> str:
    """Return a list inside a line: names added up, numbers in brackets."""
    if any(isinstance(item, str) for item in items):
        return " + ".join(_scalar(item) for item in items)
    return f"[{', '.join(_scalar(item) for item in items)}]" if items else "none"


def _fields(description: Object) -> Iterator[tuple[str, object]]:
    """Yield label and value, with what belongs together put together."""
    taken: set[str] = set()
    for key, value in description.items():
        if key in taken or (key == "timestamp_ms" and "time" in description):
            continue
        base, unit = _split(key)
        confidence = f"{base}_confidence{unit}"
        if key == "lat_deg" and isinstance(value, float) and isinstance(description.get("lon_deg"), float):
            taken.update(_PLACE)
            yield "position", _Line(_place(description))
        elif key == "its_aid" and "service" in description:
            taken.add("service")
            yield "ITS-AID", _Line(f"{value} ({_service(description['service'])})")
        elif key == "chain_length" and isinstance(value, list):
            yield "chain length", _Line(" to ".join(_scalar(end) for end in value))
        elif key == "message":
            yield "message", _Line(_service(value))
        elif key == "name" and isinstance(value, str):
            yield "name", _Line(f'"{visible(value)}"')
        elif unit and isinstance(value, int | float) and confidence in description:
            taken.add(confidence)
            yield _label(base), _Line(f"{_quantity(value, unit)}, ±{_quantity(description[confidence], unit, converted=False)}")
        elif unit and not isinstance(value, list | Mapping):
            yield _label(base), _Line(_quantity(value, unit))
        else:
            yield _label(base), value


def _shaped(description: Object) -> str | None:
    """Return an object of a well-known shape in the words people use for it."""
    match description:
        case {"its_aid": _, "service": service, **rest} if set(rest) <= {"ssp", "mask"}:
            words = [_service(service)] + [f"{label} {_scalar(rest[key])}" for key, label in _PERMISSION if key in rest]
            return " ".join(words).replace(" ssp ", " ")
        case {"curve": curve, "r": r, "s": s}:
            return f"{curve}, r {_scalar(r)}, s {_scalar(s)}"
        case {"curve": curve, "point_x": x}:
            return f"{curve}, x {_scalar(x)}"
        case {"delta_lat_deg": float(lat), "delta_lon_deg": float(lon), **rest} if set(rest) <= {
            "delta_altitude_m",
            "delta_time_s",
        }:
            when = f" {_scalar(rest['delta_time_s'])} s before" if "delta_time_s" in rest else ""
            return f"({lat:+.7f}, {lon:+.7f}){when}"
        case _:
            return None


def _service(name: object) -> str:
    return _scalar(name).upper()


def _event(event: Object) -> str:
    """Say what a light shows and until when, in seconds from the message's making where that is known."""
    start, earliest, latest, likely = (_mark(event, name) for name in ("start", "min_end", "max_end", "likely"))
    words = [str(event["colour"]) if event["colour"] != "unknown" else str(event["phase"]).replace("_", " ")]
    if start is not None:
        words.append(f"from {start}")
    if earliest is not None and earliest == (latest or earliest):
        words.append(f"until {earliest}")
    elif earliest is not None:
        words.append(f"until {earliest} to {latest}")
        if likely is not None:
            words.append(f"(likely {likely})")
    if "start_in_s" not in event and "min_end_in_s" not in event and len(words) > 1:
        words.append("past the hour")
    return " ".join(words)


def _mark(event: Object, name: str) -> str | None:
    relative_s, mark_s = event.get(f"{name}_in_s"), event.get(f"{name}_time_s")
    if isinstance(relative_s, float):
        return f"{relative_s:+} s"
    if isinstance(mark_s, float):
        return f"{int(mark_s // 60):02d}:{mark_s % 60:04.1f}"
    return None if mark_s is None else "more than an hour ahead"


def _is_certificate(description: Object) -> bool:
    return "hashed_id8" in description and "valid_from" in description


def _certificate(description: Object) -> tuple[str, list[tuple[str, object]]]:
    name = f' "{visible(str(description["name"]))}"' if "name" in description else ""
    head = f"{description['kind']}{name} {description['hashed_id8']}"
    validity = f"{_scalar(description['valid_from'])} to {_scalar(description['valid_until'])}"
    parts: list[tuple[str, object]] = [("issued by", _Line(description["issuer"])), ("valid", _Line(validity))]
    spoken_for = {"kind", "name", "hashed_id8", "issuer", "valid_from", "valid_until", "octets"}
    rest = {key: value for key, value in description.items() if key not in spoken_for}
    return head, [*parts, *_fields(rest)]


def _scalar(value: object) -> str:
    match value:
        case _Line():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return str(round(value, 7))
        case str() if len(value) > MAX_HEX_DIGITS and _HEX.fullmatch(value):
            return f"{value[:8]}…{value[-8:]}"
        case str() if _WORD.fullmatch(value) and not _HEX.fullmatch(value):
            return _label(value.removeprefix("maneuver_"))
        case str() if _WHOLE_SECOND.fullmatch(value):
            return value.removesuffix(".000Z") + "Z"
        case str():
            return visible(value)
        case _:
            return str(value)


def _quantity(value: object, unit: str, *, converted: bool = True) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _scalar(value)
    number = value if isinstance(value, int) or unit in ("_deg", "_per_m") else round(value, 3)
    kmh = f" ({kmh_from_mps(value):.1f} km/h)" if unit == "_mps" and converted else ""
    return f"{number}{_UNITS[unit]}{kmh}"


def _place(description: Object) -> str:
    text = f"{description['lat_deg']:.7f}, {description['lon_deg']:.7f}"
    major, minor = description.get("semi_major_m"), description.get("semi_minor_m")
    if major is None or minor is None:
        return text
    direction = description.get("semi_major_orientation_deg")
    return f"{text}, ±{major} x {minor} m" + ("" if direction is None else f" at {direction}°")


def _split(key: str) -> tuple[str, str]:
    for suffix in _UNITS:
        if key.endswith(suffix):
            return key.removesuffix(suffix), suffix
    return key, ""


def _label(base: str) -> str:
    words = " ".join(_WORDS.get(word, word) for word in base.removeprefix("is_").split("_"))
    return (
        words.replace("Hashed Id8", "HashedId8").replace("ITS AID", "ITS-AID").replace("BTP- b", "BTP-B").replace("BTP- a", "BTP-A")
    )
