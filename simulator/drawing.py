"""Inline SVG for the report: the crossing with its traffic and its refusals, and lines over time.

Colours are CSS classes of `report.html`, so light and dark are the page's business. Every drawing has a title and a description for
those who cannot see it; the figures behind it stand in tables beside it.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from math import sqrt

from simulator.kinematics import CAR_LENGTH_M
from simulator.options import AttackerKind
from simulator.roads import Approach, Path, RoadNetwork
from simulator.scenarios import crossing
from simulator.story import MARK_GRID_M, CarStory, Story
from simulator.words import ATTACK_TITLES

_HALF_M = 182.0
_SAMPLE_M = 4.0
_CHART = (640.0, 220.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 12.0, 26.0


def crossing_drawing(story: Story) -> str:
    """Return the map: roads, every car's way, refusals as discs, stations as signs. North is up."""
    network = RoadNetwork()
    size = 2 * _HALF_M
    parts = [
        f'<svg class="map" viewBox="{-_HALF_M:g} {-_HALF_M:g} {size:g} {size:g}" role="img" aria-labelledby="map-title map-text">',
        '<title id="map-title">The crossing from above, north up</title>',
        f'<desc id="map-text">{escape(_map_description(story))}</desc>',
    ]
    parts += [f'<path class="road" d="{_path_d(path)}"/>' for path in network.paths.values()]
    parts += [_stop_line(network.paths[s]) for s in network.paths if isinstance(s, Approach)]
    parts += [f'<path class="centre-line" d="{d}"/>' for d in _centre_lines()]
    parts += [_way(car) for car in story.cars]
    parts += _marks(story)
    parts += [_car(car) for car in story.cars if car.trace]
    for attacker, (east, north) in story.attacker_places:
        tip = f"{east:.1f},{-north - 4.5:.1f} {east - 4:.1f},{-north + 3:.1f} {east + 4:.1f},{-north + 3:.1f}"
        name = escape(f"{attacker.name}: {attacker.frames:,} frames sent")
        parts.append(f'<polygon class="attacker {attacker.kind.value}" points="{tip}"><title>{name}</title></polygon>')
    east, north = story.rsu_place
    parts.append(
        f'<rect class="rsu" x="{east - 3.5:.1f}" y="{-north - 3.5:.1f}" width="7" height="7" rx="1.5">'
        "<title>Roadside unit</title></rect>"
    )
    parts += [_scale_bar(), "</svg>"]
    return "".join(parts)


def lines_drawing(name: str, title: str, series: Mapping[str, tuple[str, Sequence[int]]], unit: str) -> str:
    """Return lines over the seconds of the run; `series` maps a CSS class to a label and its values.

    Args:
        name: unique in the page, for ids.
        title: for those who cannot see it.
        series: class -> (label, one value a second).
        unit: of the vertical axis.
    """
    width, height = _CHART
    seconds = max((len(values) for _, values in series.values()), default=1)
    top = _round_up(max((max(values, default=0) for _, values in series.values()), default=1))
    x_scale = (width - _LEFT - _RIGHT) / max(seconds - 1, 1)
    y_scale = (height - _TOP - _BOTTOM) / top
    described = "; ".join(
        f"{label}: {sum(values):,} in all, at most {max(values, default=0):,} in one second" for label, values in series.values()
    )
    parts = [
        f'<svg class="chart" viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="{name}-title {name}-text">',
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-text">{escape(described)}</desc>',
    ]
    for step in range(5):
        value = top * step / 4
        y = height - _BOTTOM - value * y_scale
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{value:g}</text>')
    every = _round_up(seconds / 6)
    for second in range(0, seconds, max(int(every), 1)):
        x = _LEFT + second * x_scale
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{second} s</text>')
    parts.append(f'<text class="tick unit" x="{_LEFT + 4}" y="{_TOP + 2}">{escape(unit)}</text>')
    for css, (label, values) in series.items():
        points = " ".join(f"{_LEFT + i * x_scale:.1f},{height - _BOTTOM - v * y_scale:.1f}" for i, v in enumerate(values))
        parts.append(f'<polyline class="line {css}" points="{points}"><title>{escape(label)}</title></polyline>')
    parts.append("</svg>")
    return "".join(parts)


def odometer_drawing(car: CarStory) -> str:
    """Return a small line of one car's speed over time, as decoration beside its figures."""
    if len(car.trace) < 2:
        return ""
    last = car.trace[-1].elapsed_s or 1.0
    points = " ".join(f"{p.elapsed_s / last * 100:.1f},{22 - p.speed_mps * 1.4:.1f}" for p in car.trace)
    return f'<svg class="spark" viewBox="0 0 100 24" aria-hidden="true"><polyline points="{points}"/></svg>'


def _map_description(story: Story) -> str:
    marks = ", ".join(
        f"{sum(n for (k, _, _), n in story.account.marks.items() if k is kind):,} {ATTACK_TITLES[kind].lower()}"
        for kind in story.account.refused_per_s
    )
    return (
        f"Four arms with traffic lights; the ways of {len(story.cars)} cars; discs where receivers refused attack frames ({marks})."
    )


def _path_d(path: Path) -> str:
    steps = max(int(path.length_m / _SAMPLE_M), 1) if path.bends() else 1
    poses = [path.pose(path.length_m * n / steps) for n in range(steps + 1)]
    return "M" + "L".join(f"{p.east_m:.1f} {-p.north_m:.1f}" for p in poses)


def _stop_line(path: Path) -> str:
    end = path.pose(path.length_m)
    across = (-1.5, 0.0) if abs(end.east_m) < abs(end.north_m) else (0.0, -1.5)
    return (
        f'<line class="stop" x1="{end.east_m - across[0]:.1f}" y1="{-end.north_m - across[1]:.1f}"'
        f' x2="{end.east_m + across[0]:.1f}" y2="{-end.north_m + across[1]:.1f}"/>'
    )


def _centre_lines() -> list[str]:
    begin, end = crossing.STOP_LINE_M, crossing.ARM_END_M
    return [f"M0 {s * begin:g}L0 {s * end:g}M{s * begin:g} 0L{s * end:g} 0" for s in (-1, 1)]


def _way(car: CarStory) -> str:
    css = "way rolled-back" if car.rolled_back_m is not None else "way"
    points = " ".join(f"{p.east_m:.1f},{-p.north_m:.1f}" for p in car.trace)
    return f'<polyline class="{css}" points="{points}"><title>{escape(car.name)}: {car.travelled_m:,.0f} m</title></polyline>'


def _car(car: CarStory) -> str:
    """A car where it ended, pointing the way it last went."""
    last = car.trace[-1]
    before = next((a for a, b in reversed(tuple(pairwise(car.trace))) if (a.east_m, a.north_m) != (b.east_m, b.north_m)), last)
    from_east, from_north = last.east_m - before.east_m, last.north_m - before.north_m
    length = sqrt(from_east**2 + from_north**2) or 1.0
    half = CAR_LENGTH_M / 2
    tail = (last.east_m - from_east / length * half, last.north_m - from_north / length * half)
    nose = (last.east_m + from_east / length * half, last.north_m + from_north / length * half)
    css = "car rolled-back" if car.rolled_back_m is not None else "car"
    return (
        f'<line class="{css}" x1="{tail[0]:.1f}" y1="{-tail[1]:.1f}" x2="{nose[0]:.1f}" y2="{-nose[1]:.1f}">'
        f"<title>{escape(car.name)}</title></line>"
    )


def _marks(story: Story) -> list[str]:
    most = max(story.account.marks.values(), default=1)
    parts = []
    for (kind, column, row), n in sorted(story.account.marks.items(), key=lambda item: (-item[1], item[0][0].value, item[0][1:])):
        offset = (list(AttackerKind).index(kind) - 1) * MARK_GRID_M / 4
        radius = 0.7 + 5.5 * sqrt(n / most)
        parts.append(
            f'<circle class="mark {kind.value}" cx="{column * MARK_GRID_M + offset:.1f}" cy="{-row * MARK_GRID_M + offset:.1f}"'
            f' r="{radius:.1f}"><title>{n:,} {ATTACK_TITLES[kind].lower()} refused here</title></circle>'
        )
    return parts


def _scale_bar() -> str:
    left, base = -_HALF_M + 8, _HALF_M - 8
    return (
        f'<path class="scale" d="M{left} {base - 3}v3h50v-3"/>'
        f'<text class="tick" x="{left + 25}" y="{base - 5}" text-anchor="middle">50 m</text>'
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 5, 8, 10, 20 ... not below `value` (at least 1)."""
    power = 1.0
    while True:
        for step in (1, 2, 4, 5, 8):
            if step * power >= value:
                return step * power
        power *= 10
