"""A junction's plan as one self-contained SVG picture, for a person who checks what is going to be broadcast.

Lanes to scale with the arrows painted on them, ways across in the colour of the signal group that rules them (dashed where they
yield), a light's number where it stands, and beside it a legend, north and a scale. Colours follow the reader's light or dark
setting; nothing is loaded, and there is no script. Numbers say what colours say, so that the picture can be read without telling
colours apart.

Left out: what the lights show; that is the live view's.
"""

from collections.abc import Iterable, Mapping
from html import escape
from itertools import pairwise
from math import hypot
from textwrap import wrap

from rsu_agent.map_geometry import Line, Point, aside_m, clipped, direction, distance, heading
from rsu_agent.map_plan import JunctionPlan, PlanConnection, PlanLane, PlanSignal

DRAWING_PX = 880.0
"""Longer side of the drawing."""

MAX_PX_PER_M = 16.0
MARGIN_PX = 24.0
LEGEND_PX = 300.0
HEAD_PX = 74.0
ROW_PX = 18.0
"""Measures of the page."""

LEGEND_COLUMNS = 36
"""Characters of a line in the legend."""

DRAWN_REACH_M = 45.0
"""How much of a lane is drawn where nothing else is said: the junction itself is what one looks at."""

LABEL_AT_M = 16.0
"""How far from the junction a lane's number stands."""

ARROW_AT_M = 8.5
"""How far from the junction the arrows are painted that say where a lane leads."""

SHARED_M = 0.4
"""The border of a lane that is no further than this from another's is one that both share."""

ARROWS = {
    "straight": "M0 2.2V-2.2M-.7 -1.3L0 -2.3L.7 -1.3",
    "left": "M0 2.8V1.6Q0 .4 -1.3 .4M-.6 -.3L-1.4 .4L-.6 1.1",
    "right": "M0 2.8V1.6Q0 .4 1.3 .4M.6 -.3L1.4 .4L.6 1.1",
    "u_turn": "M.6 2.2V-.6A.8 .8 0 0 0 -1 -.6V.6M-1.7 -.2L-1 .8L-.3 -.2",
}
"""Arrows by where a lane leads, in metres on a lane of `ARROW_LANE_M`, for who drives up the page."""

ARROW_LANE_M = 3.6

SCALE_M = 20.0
"""Length of the scale's bar."""

PALETTE = (
    ("#0b63a5", "#5cb3f2"),
    ("#c2410c", "#fb923c"),
    ("#0f7a55", "#4ade9f"),
    ("#a21caf", "#e879f9"),
    ("#8a6100", "#facc15"),
    ("#0e7490", "#67e8f9"),
    ("#b3123f", "#fb7196"),
    ("#4b4fc4", "#a5a8ff"),
)
"""Colours of signal groups, on light and on dark; they come round again after the eighth."""

_LIGHT = {
    "paper": "#f7f8fa",
    "ink": "#1b2430",
    "soft": "#5b6675",
    "road": "#d5dae1",
    "line": "#ffffff",
    "edge": "#aab3bf",
    "stop": "#1b2430",
    "zebra": "#ffffff",
    "bare": "#7b8694",
}
_DARK = {
    "paper": "#10151c",
    "ink": "#e8edf3",
    "soft": "#9ba7b6",
    "road": "#2a323d",
    "line": "#46515f",
    "edge": "#56626f",
    "stop": "#f1f4f8",
    "zebra": "#9aa5b3",
    "bare": "#8793a2",
}

_RULES = """
text{font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink)}
.paper{fill:var(--paper)}
.title{font-size:22px;font-weight:600}
.soft{font-size:13px;fill:var(--soft)}
.row{font-size:13px}
.strong{font-weight:600}
.road{fill:none;stroke:var(--road)}
.box{fill:var(--road);stroke:none}
.rim{fill:none;stroke:var(--edge)}
.mark{fill:none;stroke:var(--line);stroke-width:1.6}
.zebra{fill:none;stroke:var(--zebra)}
.stop{fill:none;stroke:var(--stop)}
.way{fill:none;stroke-width:2.2;stroke-linecap:round}
.halo{fill:none;stroke:var(--road);stroke-width:5}
.bare{stroke:var(--bare)}
.number{text-anchor:middle;dominant-baseline:central;fill:var(--soft)}
.lamp{stroke:var(--paper);stroke-width:1.5}
.lamp-number{font-weight:700;text-anchor:middle;dominant-baseline:central;fill:var(--paper)}
.arrow{fill:none;stroke:var(--soft);stroke-width:1.7;vector-effect:non-scaling-stroke;stroke-linecap:round;stroke-linejoin:round}
.bar{stroke:var(--ink);stroke-width:2;fill:none}
.needle{fill:var(--ink)}
"""


def svg_of(
    plan: JunctionPlan, *, subtitle: str, conflicts: frozenset[frozenset[int]], names: Mapping[int, str] | None = None
) -> str:
    """Return the picture of a plan.

    Args:
        plan: what is drawn.
        subtitle: a line below the name, such as the intersection's number and revision.
        conflicts: pairs of signal groups that must never be permitted together, for the legend.
        names: what signal groups are called, where that is known.
    """
    west, south, east, north = plan.bounds_m
    wide_m, high_m = max(east - west, 1.0), max(north - south, 1.0)
    page = _Page(west, north, min(DRAWING_PX / max(wide_m, high_m), MAX_PX_PER_M))
    rows = _legend_rows(plan, conflicts, names or {})
    drawn_px = (wide_m * page.px_per_m, high_m * page.px_per_m)
    height = HEAD_PX + max(drawn_px[1], len(rows) * ROW_PX + 150.0) + MARGIN_PX
    width = MARGIN_PX + drawn_px[0] + MARGIN_PX + LEGEND_PX + MARGIN_PX
    lane_words = ", ".join(str(lane.number) for lane in plan.lanes)
    words = f"{len(plan.lanes)} lanes ({lane_words}), {len(plan.connections)} ways across, signal groups " + (
        ", ".join(map(str, plan.signal_groups)) or "none"
    )
    colours = {group: index % len(PALETTE) for index, group in enumerate(plan.signal_groups)}
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="name what">',
        f'<title id="name">{escape(plan.name or "Junction")}</title>',
        f'<desc id="what">{escape(words)}</desc>',
        f"<style>{_style()}</style>",
        _heads(),
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{MARGIN_PX}" y="36">{escape(plan.name or "Junction")}</text>',
        f'<text class="soft" x="{MARGIN_PX}" y="57">{escape(subtitle)}</text>',
        *_road(page, plan),
        *(part for lane in plan.lanes for part in _paint(page, lane, plan)),
        *(_stop(page, lane) for lane in plan.lanes if lane.stop_line_m is not None),
        *(f'<path class="halo" d="{page.path(way.path_m)}"/>' for way in plan.connections),
        *(_way(page, way, colours) for way in plan.connections),
        *(part for signal in plan.signals for part in _lamp(page, signal, plan, colours)),
        *_legend(rows, colours, MARGIN_PX + drawn_px[0] + MARGIN_PX, page),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Page:
    """From metres to the page."""

    def __init__(self, west: float, north: float, px_per_m: float) -> None:
        self._west = west
        self._north = north
        self.px_per_m = px_per_m

    def at(self, point: Point) -> Point:
        return (MARGIN_PX + (point[0] - self._west) * self.px_per_m, HEAD_PX + (self._north - point[1]) * self.px_per_m)

    def path(self, line: Iterable[Point], *, closed: bool = False) -> str:
        places = [self.at(point) for point in line]
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places) + ("Z" if closed else "")


def _style() -> str:
    def scheme(colours: dict[str, str], which: int) -> str:
        named = {**colours, **{f"g{index}": pair[which] for index, pair in enumerate(PALETTE)}}
        return ":root{" + ";".join(f"--{name}:{value}" for name, value in named.items()) + "}"

    groups = "".join(f".g{i}{{stroke:var(--g{i})}}.f{i}{{fill:var(--g{i})}}" for i in range(len(PALETTE)))
    return f"{scheme(_LIGHT, 0)}@media(prefers-color-scheme:dark){{{scheme(_DARK, 1)}}}{_RULES}{groups}"


def _heads() -> str:
    """Return the arrow heads, one a colour."""
    names = [*(f"f{i}" for i in range(len(PALETTE))), "bare-head"]
    markers = "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" '
        f'orient="auto"><path class="{name}" d="M0 0L10 5L0 10L2.5 5Z"{_BARE_FILL if name == "bare-head" else ""}/></marker>'
        for name in names
    )
    return f"<defs>{markers}</defs>"


_BARE_FILL = ' style="fill:var(--bare)"'


def _road(page: _Page, plan: JunctionPlan) -> list[str]:
    """Return the ground: the lanes' surfaces and the middle they enclose."""
    driven = [lane for lane in plan.lanes if lane.kind != "crosswalk"]
    ends = [point for lane in driven for point in _ends(lane)]
    rim = "".join(
        f'<path class="rim" stroke-width="{lane.width_m * page.px_per_m + 3:.1f}" d="{page.path(lane.centre_m)}"/>'
        for lane in driven
    )
    surface = "".join(
        f'<path class="road" stroke-width="{lane.width_m * page.px_per_m + 0.6:.1f}" d="{page.path(lane.centre_m)}"/>'
        for lane in driven
    )
    hull = _hull(ends)
    middle = "" if len(hull) < 3 else f'<path class="box" d="{page.path(hull, closed=True)}"/>'
    return [f"<g>{rim}{middle}{surface}</g>"]


def _paint(page: _Page, lane: PlanLane, plan: JunctionPlan) -> list[str]:
    """Return what is painted on a lane: its borders or stripes, its number and where it leads."""
    if lane.kind == "crosswalk":
        dash_px = 0.5 * page.px_per_m
        width_px = lane.width_m * page.px_per_m
        stripes = (
            f'<path class="zebra" stroke-width="{width_px:.1f}" stroke-dasharray="{dash_px:.1f}" d="{page.path(lane.centre_m)}"/>'
        )
        return [stripes, _label(page, lane, 0.0)]
    others = [border for other in plan.lanes if other.number != lane.number for border in _borders(other)]
    parts = [
        f'<path class="mark"{_SHARED if _is_shared(border, others) else ""} d="{page.path(border)}"/>' for border in _borders(lane)
    ]
    turns = {way.turn for way in plan.connections if way.from_lane == lane.number and way.turn is not None}
    return [*parts, *_arrows(page, lane, turns or {"straight"}), _label(page, lane, LABEL_AT_M)]


_SHARED = ' stroke-dasharray="9 7"'


def _stop(page: _Page, lane: PlanLane) -> str:
    width_px = max(0.4 * page.px_per_m, 2.5)
    return f'<path class="stop" stroke-width="{width_px:.1f}" d="{page.path(lane.stop_line_m or ())}"/>'


def _borders(lane: PlanLane) -> tuple[Line, Line]:
    return _beside(lane.centre_m, -lane.width_m / 2), _beside(lane.centre_m, lane.width_m / 2)


def _is_shared(border: Line, others: Iterable[Line]) -> bool:
    """Whether another lane begins where a border leads: then one may cross it, and it is dashed."""
    place = clipped(border, ARROW_AT_M)[-1]
    return any(aside_m(a, b, place) < SHARED_M for other in others for a, b in pairwise(other))


def _label(page: _Page, lane: PlanLane, at_m: float) -> str:
    x, y = page.at(clipped(lane.centre_m, at_m)[-1] if at_m else lane.centre_m[0])
    name = "" if lane.name is None else f"<title>{escape(lane.name)}</title>"
    size = min(12.0, lane.width_m * page.px_per_m * (0.7 if lane.number < 100 else 0.5))
    return f'<text class="number" x="{x:.1f}" y="{y:.1f}" style="font-size:{size:.1f}px">{name}{lane.number}</text>'


def _arrows(page: _Page, lane: PlanLane, turns: Iterable[str]) -> list[str]:
    """Return the arrows for where a lane leads; one that leads out goes straight on."""
    if lane.direction not in {"ingress", "egress"}:
        return []
    place, further = clipped(lane.centre_m, ARROW_AT_M)[-1], clipped(lane.centre_m, ARROW_AT_M + 0.5)[-1]
    if distance(place, further) < 0.1:
        return []
    along = direction(further, place) if lane.direction == "ingress" else direction(place, further)
    x, y = page.at(place)
    scale = lane.width_m / ARROW_LANE_M * page.px_per_m
    placed = f'transform="translate({x:.1f} {y:.1f}) rotate({heading(along):.1f}) scale({scale:.2f})"'
    return [f'<path class="arrow" {placed} d="{ARROWS[turn]}"/>' for turn in sorted(turns)]


def _way(page: _Page, way: PlanConnection, colours: dict[int, int]) -> str:
    colour = None if way.signal_group is None else colours[way.signal_group]
    stroke, head = ("bare", "bare-head") if colour is None else (f"g{colour}", f"f{colour}")
    dashes = ' stroke-dasharray="7 5"' if way.yields else ""
    group = "no signal group" if way.signal_group is None else f"signal group {way.signal_group}"
    title = f"lane {way.from_lane} to {way.to_lane}, {group}{', yields' if way.yields else ''}"
    return f'<path class="way {stroke}"{dashes} marker-end="url(#{head})" d="{page.path(way.path_m)}"><title>{title}</title></path>'


def _lamp(page: _Page, signal: PlanSignal, plan: JunctionPlan, colours: dict[int, int]) -> list[str]:
    """Return a light: a disc with its group's number, behind the stop line."""
    lane = next(lane for lane in plan.lanes if lane.number == signal.lane)
    beside = sum(other.lane == signal.lane for other in plan.signals)
    radius = max(min(lane.width_m / beside * page.px_per_m * 0.42, 11.0), 6.0)
    back = direction(lane.centre_m[0], lane.centre_m[1])
    x, y = page.at(signal.at_m)
    x, y = x + back[0] * (radius + 4.0), y - back[1] * (radius + 4.0)
    size = radius * (1.2 if signal.signal_group < 100 else 0.9)
    return [
        f'<circle class="lamp f{colours[signal.signal_group]}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>',
        f'<text class="lamp-number" x="{x:.1f}" y="{y:.1f}" style="font-size:{size:.1f}px">{signal.signal_group}</text>',
    ]


_BLANK = (None, "soft", "")


def _legend_rows(
    plan: JunctionPlan, conflicts: frozenset[frozenset[int]], names: Mapping[int, str]
) -> list[tuple[int | None, str, str]]:
    """Return the rows: the group whose colour begins the row, the style of the text, the text."""
    rows: list[tuple[int | None, str, str]] = []
    for group in plan.signal_groups:
        rows += [_BLANK] if rows else []
        name = f" ({names[group]})" if group in names else ""
        rows.append((group, "row strong", f"Signal group {group}{name}"))
        lanes = sorted({way.from_lane for way in plan.connections if way.signal_group == group})
        rows += [(None, "soft", line) for line in wrap(f"lanes {', '.join(map(str, lanes))}", LEGEND_COLUMNS)]
        yielding = [f"{way.from_lane} to {way.to_lane}" for way in plan.connections if way.signal_group == group and way.yields]
        if yielding:
            rows += [(None, "soft", line) for line in wrap(f"yields: {', '.join(yielding)}", LEGEND_COLUMNS)]
        others = sorted(other for pair in conflicts if group in pair for other in pair - {group})
        if others:
            rows += [(None, "soft", line) for line in wrap(f"never with {', '.join(map(str, others))}", LEGEND_COLUMNS)]
    rows.append(_BLANK)
    if any(way.signal_group is None for way in plan.connections):
        rows.append((None, "soft", "grey: ruled by no light"))
    if any(way.yields for way in plan.connections):
        rows.append((None, "soft", "dashed: gives way to those it crosses"))
    if plan.unplaced:
        rows += [(None, "soft", line) for line in wrap(f"not drawn: lanes {', '.join(map(str, plan.unplaced))}", LEGEND_COLUMNS)]
    return rows


def _legend(rows: list[tuple[int | None, str, str]], colours: dict[int, int], left: float, page: _Page) -> list[str]:
    parts = []
    y = HEAD_PX + 14.0
    for group, style, text in rows:
        if group is not None:
            parts.append(f'<circle class="f{colours[group]}" cx="{left + 8:.1f}" cy="{y - 4:.1f}" r="7"/>')
        if text:
            parts.append(f'<text class="{style}" x="{left + 24:.1f}" y="{y:.1f}">{escape(text)}</text>')
        y += ROW_PX
    y += 28.0
    bar_px = SCALE_M * page.px_per_m
    return [
        *parts,
        f'<path class="needle" d="M{left + 12:.1f} {y - 14:.1f}l7 22l-7 -5l-7 5Z"/>',
        f'<text class="row strong" x="{left + 28:.1f}" y="{y + 2:.1f}">N</text>',
        f'<path class="bar" d="M{left + 4:.1f} {y + 36:.1f}v8h{bar_px:.1f}v-8"/>',
        f'<text class="soft" x="{left + 4:.1f}" y="{y + 62:.1f}">{SCALE_M:g} m</text>',
    ]


def _ends(lane: PlanLane) -> tuple[Point, Point]:
    """Return both corners of a lane where it meets the junction."""
    left, right = _borders(lane)
    return left[0], right[0]


def _beside(line: Line, aside_m: float) -> Line:
    """Return a line beside another: each point moved at right angles to the mean of its pieces, to the right where positive."""
    directions = [direction(a, b) for a, b in pairwise(line)]
    moved = []
    for index, (east, north) in enumerate(line):
        before, after = directions[max(index - 1, 0)], directions[min(index, len(directions) - 1)]
        sum_e, sum_n = before[0] + after[0], before[1] + after[1]
        length = hypot(sum_e, sum_n)
        along = after if length < 1e-6 else (sum_e / length, sum_n / length)
        moved.append((east + along[1] * aside_m, north - along[0] * aside_m))
    return tuple(moved)


def _hull(points: list[Point]) -> list[Point]:
    """Return the convex hull of points, counterclockwise."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered

    def half(run: Iterable[Point]) -> list[Point]:
        kept: list[Point] = []
        for point in run:
            while len(kept) >= 2 and _turns_right(kept[-2], kept[-1], point):
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return half(ordered) + half(reversed(ordered))


def _turns_right(a: Point, b: Point, c: Point) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0
