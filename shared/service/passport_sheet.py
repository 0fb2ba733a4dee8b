"""A sheet of paper for a passport: its summary, a curve, and a QR code that ties the sheet to the file (`passport_code`).

The sheet is one HTML file without a script, made to be printed on A4. It repeats what the passport claims and says so: whether the
claims hold is for whoever has the file. Whatever comes from the passport is escaped.
"""

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from string import Template

import segno

from shared.core.clock import UtcNs
from shared.records.disclosure import withheld_from
from shared.records.findings import FindingKind, day_text, km_text
from shared.records.passport import Passport, Reading, UnverifiedPassport, read_passport
from shared.records.passport_code import PassportCode, code_of
from shared.records.sd_jwt import decode_base64url

MAX_SERIOUS_SHOWN = 2
MAX_WITHHELD_SHOWN = 3
MAX_OTHERS_SHOWN = 4
QR_QUIET_ZONE_MODULES = 4
"""ISO/IEC 18004 asks for four modules of white around a code."""

_ERROR_LEVEL = "m"
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 720, 170, 104, 24, 10, 8
_FINE_SPAN_M = 10_000
"""Where readings are closer together than this, whole kilometres would name both ends of the curve alike."""


def qr_svg(code: PassportCode) -> str:
    """Return the code as an SVG drawing, black on white, whatever the page around it."""
    return _qr(code).svg_inline(
        border=QR_QUIET_ZONE_MODULES, dark="#000", light="#fff", omitsize=True, title="QR code of this passport"
    )


def qr_file(code: PassportCode, kind: str, scale: int = 8) -> bytes:
    """Return the QR code alone as a file: `svg` or `png`; `scale` in pixels for a module."""
    out = BytesIO()
    _qr(code).save(out, kind=kind, border=QR_QUIET_ZONE_MODULES, dark="#000", light="#fff", scale=scale)
    return out.getvalue()


def _qr(code: PassportCode) -> segno.QRCode:
    return segno.make_qr(code.text, error=_ERROR_LEVEL)


def render_sheet(passport: Passport, data: bytes) -> str:
    """Return the sheet of a passport and its octets.

    Raises:
        RecordError: it holds no record, or one that cannot be read.
    """
    code, claimed = code_of(passport, data), read_passport(passport)
    readings = claimed.readings
    last = next((each for each in reversed(readings) if each.odometer_m is not None), None)
    first_seq, last_seq = readings[0].seq, readings[-1].seq
    text = {
        "odometer": "not shown" if last is None or last.odometer_m is None else km_text(last.odometer_m),
        "date": "-" if last is None else day_text(last.made),
        "records": f"{len(readings)}, number {first_seq} to {last_seq}",
        "period": _period(readings),
        "ledger": f"{code.log}, {int(code.size):,} entries",
        "withheld": _withheld(passport),
        "file": grouped(decode_base64url(code.file, "file").hex()),
        "vehicle": code.vehicle,
        "last": code.last,
    }
    markup = {"qr": qr_svg(code), "curve": _curve(claimed), "serious": _serious(claimed), "others": _others(readings)}
    return _template().substitute({name: escape(value) for name, value in text.items()} | markup)


def grouped(hexadecimal: str) -> str:
    """Return digits in groups of four, as the page of a passport shows them."""
    return " ".join(hexadecimal[at : at + 4] for at in range(0, len(hexadecimal), 4))


def _period(readings: Sequence[Reading]) -> str:
    dates = [each.made for each in readings if each.made is not None]
    return f"{day_text(min(dates))} to {day_text(max(dates))}" if dates else "no dates shown"


def _withheld(passport: Passport) -> str:
    withheld = [each.words for each in withheld_from(passport)]
    more = len(withheld) - MAX_WITHHELD_SHOWN
    return (
        "; ".join(withheld[:MAX_WITHHELD_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        if withheld
        else "nothing: all is shown"
    )


def _serious(claimed: UnverifiedPassport) -> str:
    serious = [finding.text for finding in claimed.findings if finding.is_serious]
    if not serious:
        return ""
    more = len(serious) - MAX_SERIOUS_SHOWN
    texts = [*serious[:MAX_SERIOUS_SHOWN], *([f"And {more} more."] if more > 0 else [])]
    return f'<div class="serious"><strong>Serious</strong><ul>{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul></div>'


def _others(readings: Sequence[Reading]) -> str:
    """Return the newest records that somebody else than the vehicle wrote; who that was is shown by verification alone."""
    others = [each for each in readings if not each.is_own]
    rows = "".join(
        f"<tr><td>{day_text(each.made)}</td><td>{each.kind.value.replace('_', ' ')}</td>"
        f'<td class="n">{"" if each.odometer_m is None else km_text(each.odometer_m)}</td><td>record {each.seq}</td></tr>'
        for each in others[-MAX_OTHERS_SHOWN:]
    )
    return f"<h2>Written by others than the vehicle ({len(others)})</h2><table>{rows}</table>" if others else ""


def _curve(claimed: UnverifiedPassport) -> str:
    """Return the readings that count over time, each at the date of the record it counts for; falls are drawn thick."""
    places = {each.seq: (place, each.made) for place, each in reversed(list(enumerate(claimed.readings)))}
    counting = [(*places[each.counts_for], each) for each in claimed.readings if each.counts_for is not None]
    points = [
        (occurred, each.odometer_m, each.seq)
        for _, occurred, each in sorted(counting, key=lambda point: point[0])
        if occurred is not None and each.odometer_m is not None
    ]
    fallen = {finding.seq for finding in claimed.findings if finding.kind is FindingKind.ROLLBACK}
    if len(points) < 2:
        return '<p class="soft">Too few dated readings are shown for a curve.</p>'
    times, metres = [at for at, _, _ in points], [read for _, read, _ in points]
    from_t, to_t, low, high = min(times), max(times), min(metres), max(metres)

    def spot(at: UtcNs, read: int) -> str:
        x = _LEFT + (at - from_t) / max(to_t - from_t, 1) * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - (read - low) / max(high - low, 1) * (_HEIGHT - _BOTTOM - _TOP)
        return f"{x:.1f} {y:.1f}"

    path, falls = f"M{spot(points[0][0], points[0][1])}", ""
    for (before_at, before, _), (at, read, seq) in pairwise(points):
        has_fallen = seq in fallen and read < before
        path += ("M" if has_fallen else "L") + spot(at, read)
        falls += f'<path class="fall" d="M{spot(before_at, before)}L{spot(at, read)}"/>' if has_fallen else ""
    decimals = 1 if high - low < _FINE_SPAN_M else 0
    base, words = (
        _HEIGHT - _BOTTOM,
        f"From {km_text(metres[0])} on {day_text(times[0])} to {km_text(metres[-1])} on {day_text(times[-1])}",
    )
    return (
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(words)}">'
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>'
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{_TOP}" y2="{_TOP}"/>'
        f'<text x="{_LEFT - 8}" y="{base + 4}" text-anchor="end">{low / 1000:,.{decimals}f} km</text>'
        f'<text x="{_LEFT - 8}" y="{_TOP + 4}" text-anchor="end">{high / 1000:,.{decimals}f} km</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">{day_text(from_t)}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{day_text(to_t)}</text>'
        f'<path d="{path}"/>{falls}</svg>'
    )


@cache
def _template() -> Template:
    return Template(files("shared").joinpath("passport_page", "sheet.html").read_text(encoding="utf-8"))
