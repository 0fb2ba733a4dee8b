// The mileage curve: readings over time as SVG, built node by node.
//
// Who took a reading is told by shape, a fall of the odometer by a thick red stroke with the missing distance beside it, records
// that are missing by hatching, a correction by a hollow sign and an arrow to what counts. A reading without a date stands between
// its neighbours; where no reading has a date, the numbers of the records make the axis. Nothing is judged here: the report is.

const passportCurve = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEAST_ROOM_M = 2000;
  const PIXELS_FOR_A_SIGN = 10;
  const LEAST_WIDTH_FOR_WORDS = 74;
  const MAX_GAPS = 200;
  const MAX_FALLS_TOLD = 5;
  const MAX_SIGNS = 1000;
  const DAY_MS = 86_400_000;
  const SHAPES = {
    vehicle: "circle", garage: "square", inspector: "triangle", insurer: "diamond", maker: "pentagon", registrar: "cross",
  };
  const { km, number, dayOf, monthOf, count, signedKm, time } = passportWords;

  function shapeOf(role) {
    return Object.hasOwn(SHAPES, role ?? "") ? SHAPES[role] : "star";
  }

  /** Return the points of the curve: what counts, at the place of the record that it counts for, and what that said before. */
  function pointsOf(readings) {
    const places = new Map();
    readings.forEach((reading, place) => {
      if (!places.has(reading.seq)) places.set(reading.seq, place);
    });
    const points = [];
    readings.forEach((reading, place) => {
      if (typeof reading.odometerM !== "number" || typeof reading.countsFor !== "number") return;
      const at = reading.countsFor === reading.seq ? place : (places.get(reading.countsFor) ?? place);
      const first = readings[at];
      const isAmended = first !== reading && first.countsFor !== first.seq && typeof first.odometerM === "number";
      points.push({
        reading, place: at, role: reading.role, metres: reading.odometerM, at: time(first.recordedAt), was: isAmended ? first.odometerM : null,
      });
    });
    points.sort((a, b) => a.place - b.place);
    const isDated = points.some((point) => point.at !== null);
    if (isDated) placeUndated(points);
    else points.forEach((point) => { point.x = readings[point.place].seq; });
    return { points, isDated };
  }

  /** Place points over time, those without a date evenly between their neighbours, or a day apart at the ends. */
  function placeUndated(points) {
    let last = null;
    let waiting = [];
    for (const point of points) {
      if (point.at === null) {
        waiting.push(point);
        continue;
      }
      const [from, to, first] = [last, point.at, waiting.length + 1];
      waiting.forEach((each, n) => {
        each.x = from === null ? to - (waiting.length - n) * DAY_MS : from + ((to - from) * (n + 1)) / first;
      });
      [last, waiting, point.x] = [point.at, [], point.at];
    }
    waiting.forEach((each, n) => { each.x = last + (n + 1) * DAY_MS; });
  }

  /** Return where numbers are missing: between which records, and how many. */
  function gapsOf(readings) {
    const gaps = [];
    let [before, unread] = [-1, 0];
    readings.forEach(({ seq }, place) => {
      if (!Number.isInteger(seq)) {
        unread += 1;
        return;
      }
      const missing = seq - before - 1 - unread;
      if (missing > 0) gaps.push({ from: before, to: seq, missing, place });
      [before, unread] = [seq, 0];
    });
    return gaps;
  }

  function niceStep(span, most) {
    const raw = span / Math.max(1, most);
    const power = 10 ** Math.floor(Math.log10(raw));
    return power * [1, 2, 5, 10].find((step) => step * power >= raw);
  }

  function timeTicks(from, to, most) {
    const span = to - from;
    const months = span / (30.44 * DAY_MS);
    if (months < most / 2) {
      const step = Math.max(DAY_MS, Math.ceil(span / DAY_MS / most) * DAY_MS);
      return spread(Math.ceil(from / DAY_MS) * DAY_MS, to, step).map((at) => [at, dayOf(at)]);
    }
    const step = [1, 2, 3, 6, 12, 24, 60, 120, 600, 1200].find((each) => months / each <= most) ?? 12_000;
    const first = new Date(from);
    const ticks = [];
    let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth() + 1) / step) * step;
    if (first.getUTCDate() === 1 && (month - 1) % step === 0) month -= 1;
    for (; ticks.length <= most + 2; month += step) {
      const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
      if (at > to) break;
      ticks.push([at, step % 12 === 0 ? String(new Date(at).getUTCFullYear()) : monthOf(at)]);
    }
    return ticks;
  }

  function spread(from, to, step) {
    const values = [];
    for (let value = from; value <= to && values.length < 50; value += step) values.push(value);
    return values;
  }

  /** Draw the curve, `width` CSS pixels wide, with the records of `fallen` as falls; null where there is nothing to draw. */
  function drawCurve(readings, fallen, document, width) {
    const { points, isDated } = pointsOf(readings);
    if (points.length === 0) return null;
    const plot = frame(points, isDated, width);
    const svg = node("svg", { viewBox: `0 0 ${plot.width} ${plot.height}`, class: "curve-drawing", role: "img" });
    svg.setAttribute("aria-label", describe(readings, fallen));
    hatch(svg);
    axes(svg, plot);
    for (const gap of gapsOf(readings).slice(0, MAX_GAPS)) drawGap(svg, plot, points, gap);
    drawLine(svg, plot, points, readings);
    drawSigns(svg, plot, points);
    const cursor = node("line", { class: "cursor", x1: -9, x2: -9, y1: plot.top, y2: plot.bottom });
    const spot = node("circle", { class: "spot", cx: -9, cy: -9, r: 8 });
    svg.append(cursor, spot);
    const drawn = points.map(({ reading, metres, x }) => ({ reading, metres, x: plot.x(x), y: plot.y(metres) }));
    const pointAt = (place) => {
      cursor.setAttribute("x1", drawn[place].x);
      cursor.setAttribute("x2", drawn[place].x);
      spot.setAttribute("cx", drawn[place].x);
      spot.setAttribute("cy", drawn[place].y);
    };
    return { svg, places: drawn, pointAt, width: plot.width };

    // A fall is drawn from the reading before it, where that is above.
    function isLower(a, b) {
      return fallen.has(b.reading.seq) && b.metres < a.metres;
    }

    function node(name, attributes, text) {
      const made = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
      if (text !== undefined) made.textContent = text;
      return made;
    }

    function hatch(parent) {
      const turned = { patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
      const pattern = node("pattern", { id: "gap-hatch", width: 8, height: 8, ...turned });
      pattern.append(node("rect", { width: 8, height: 8, class: "hatch-ground" }));
      pattern.append(node("line", { x1: 0, y1: 0, x2: 0, y2: 8, class: "hatch-line" }));
      const defs = node("defs", {});
      defs.append(pattern);
      parent.append(defs);
    }

    function axes(parent, { left, right, top, bottom, ticksY, ticksX, x, y }) {
      for (const value of ticksY) {
        parent.append(node("line", { class: "grid", x1: left, x2: right, y1: y(value), y2: y(value) }));
        parent.append(node("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value / 1000, 0)));
      }
      parent.append(node("text", { class: "tick", x: left - 8, y: top - 10, "text-anchor": "end" }, "km"));
      let free = -Infinity;
      for (const [value, words] of ticksX) {
        const at = x(value);
        parent.append(node("line", { class: "grid-tick", x1: at, x2: at, y1: bottom, y2: bottom + 5 }));
        const half = words.length * 3.4;
        const middle = Math.min(Math.max(at, half), right + 12 - half);
        if (middle - half < free) continue;
        free = middle + half + 8;
        parent.append(node("text", { class: "tick", x: middle, y: bottom + 20, "text-anchor": "middle" }, words));
      }
    }

    function drawGap(parent, { x, left, right, top, bottom }, all, gap) {
      const before = all.findLast((point) => point.reading.seq <= gap.from);
      const after = all.find((point) => point.reading.seq >= gap.to);
      if (!before && !after) return;
      let from = before ? x(before.x) : left;
      let to = after ? x(after.x) : right;
      if (to < from) [from, to] = [to, from];
      const wide = Math.max(to - from, 6);
      const band = node("rect", { class: "gap", x: from + (to - from - wide) / 2, y: top, width: wide, height: bottom - top });
      band.append(node("title", {}, `${count(gap.missing, "record is", "records are")} missing here`));
      parent.append(band);
      if (wide > LEAST_WIDTH_FOR_WORDS) {
        const place = { class: "gap-words", x: (from + to) / 2, y: top + 16, "text-anchor": "middle" };
        parent.append(node("text", place, `${number(gap.missing, 0)} missing`));
      }
    }

    function drawLine(parent, { x, y, right }, all, every) {
      const gaps = gapsOf(every);
      let path = "";
      const falls = [];
      const line = [];
      let gap = 0;
      let before = null;
      for (const point of all) {
        while (gap < gaps.length && gaps[gap].to <= (before?.reading.seq ?? -1)) gap += 1;
        const skips = before !== null && gap < gaps.length && gaps[gap].to <= point.reading.seq;
        const isFall = before !== null && isLower(before, point);
        if (before !== null && point.x < before.x && !isFall) continue;
        const spot = `${x(point.x).toFixed(1)} ${y(point.metres).toFixed(1)}`;
        if (before !== null && (isFall || skips)) {
          if (isFall) falls.push([before, point]);
          else line.push(`M${x(before.x).toFixed(1)} ${y(before.metres).toFixed(1)}L${spot}`);
          path += `M${spot}`;
        } else {
          path += `${before === null ? "M" : "L"}${spot}`;
        }
        before = point;
      }
      parent.append(node("path", { class: "line", d: path }));
      if (line.length > 0) parent.append(node("path", { class: "line unsure", d: line.join("") }));
      const fallen = falls.map(([a, b]) => `M${x(a.x)} ${y(a.metres)}L${x(b.x)} ${y(b.metres)}`);
      if (fallen.length > 0) parent.append(node("path", { class: "fall", d: fallen.join("") }));
      for (const [a, b] of falls.length > MAX_FALLS_TOLD ? [] : falls) {
        const [ax, ay, bx, by] = [x(a.x), y(a.metres), x(b.x), y(b.metres)];
        const words = signedKm(b.metres - a.metres);
        const isTight = (ax + bx) / 2 + 10 + words.length * 7.4 > right;
        const left = { x: Math.min(ax, bx) - 10, "text-anchor": "end" };
        const side = isTight ? left : { x: (ax + bx) / 2 + 10, "text-anchor": "start" };
        parent.append(node("text", { class: "fall-words", y: (ay + by) / 2 + 4, ...side }, words));
      }
    }

    function drawSigns(parent, { x, y, width }, all) {
      const isDense = all.length > width / PIXELS_FOR_A_SIGN;
      let left = MAX_SIGNS;
      all.forEach((point, place) => {
        const isFallen = (place > 0 && isLower(all[place - 1], point)) || (place + 1 < all.length && isLower(point, all[place + 1]));
        const isEnd = place === 0 || place === all.length - 1;
        const isPlain = point.role === "vehicle" && point.was === null && !isFallen && !isEnd;
        if ((isDense && isPlain) || left === 0) return;
        left -= 1;
        const [px, py] = [x(point.x), y(point.metres)];
        if (point.was !== null) {
          const wy = y(point.was);
          parent.append(node("path", { class: "amends", d: `M${px} ${wy}L${px} ${py}` }));
          parent.append(sign(point.role, px, wy, "sign-point was", 5.5));
          parent.append(node("path", { class: "struck", d: `M${px - 8} ${wy + 8}L${px + 8} ${wy - 8}` }));
        }
        const date = point.at === null ? "date not shown" : dayOf(point.at);
        const names = ["sign-point", ...(isFallen ? ["is-fall"] : []), ...(point.at === null ? ["is-undated"] : [])];
        const shape = sign(point.role, px, py, names.join(" "), isDense ? 5 : 4.5);
        shape.append(node("title", {}, `${km(point.metres)}, ${date}, record ${point.reading.seq}`));
        parent.append(shape);
      });
    }

    function sign(role, cx, cy, name, r) {
      return drawShape(document, shapeOf(role), cx, cy, r, name);
    }
  }

  function frame(points, isDated, wanted) {
    const width = Math.round(Math.min(Math.max(wanted, 260), 1400));
    const height = Math.round(Math.min(Math.max(width * 0.42, 230), 400));
    const [top, bottom, right] = [28, height - 32, width - 14];
    const [least, most] = extremes(points.map((point) => point.metres));
    const room = Math.max((most - least) * 0.08, LEAST_ROOM_M);
    const low = least < (most - least) * 0.6 ? 0 : Math.max(0, least - room);
    const high = most + room;
    const step = Math.max(1000, niceStep(high - low, height / 48));
    const ticksY = spread(Math.ceil(low / step) * step, high, step);
    const longest = Math.max(...ticksY.map((value) => number(value / 1000, 0).length), 2);
    const left = 14 + longest * 7;
    let [from, to] = extremes(points.map((point) => point.x));
    const margin = from === to ? (isDated ? 30 * DAY_MS : 1) : (to - from) * 0.015;
    [from, to] = [from - margin, to + margin];
    const x = (value) => left + ((value - from) / (to - from)) * (right - left);
    const y = (value) => Math.min(bottom, Math.max(top, bottom - ((value - low) / (high - low)) * (bottom - top)));
    const mostX = Math.max(2, Math.floor((right - left) / 92));
    const ticksX = isDated ? timeTicks(from, to, mostX) : numberTicks(from, to, mostX);
    return { width, height, left, right, top, bottom, ticksX, ticksY, x, y };
  }

  function numberTicks(from, to, most) {
    const step = Math.max(1, niceStep(to - from, most));
    return spread(Math.ceil(from / step) * step, to, step).map((value) => [value, `No. ${number(value, 0)}`]);
  }

  function extremes(values) {
    let [least, most] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return [least, most];
  }

  /** Return one sign of the curve, also for the legend. */
  function drawShape(document, shape, cx, cy, r, name) {
    const made = document.createElementNS(SVG, shape === "circle" ? "circle" : "path");
    made.setAttribute("class", name.trim());
    if (shape === "circle") {
      for (const [key, value] of [["cx", cx], ["cy", cy], ["r", r]]) made.setAttribute(key, String(value));
      return made;
    }
    made.setAttribute("d", outline(shape, cx, cy, r * 1.3));
    return made;
  }

  function outline(shape, cx, cy, r) {
    const corner = (turn, radius) => {
      const angle = (turn * 2 - 0.5) * Math.PI;
      return `${(cx + radius * Math.cos(angle)).toFixed(1)} ${(cy + radius * Math.sin(angle)).toFixed(1)}`;
    };
    const polygon = (sides, offset, radii) => {
      const corners = Array.from({ length: sides }, (_, n) => corner((n + offset) / sides, radii[n % radii.length]));
      return `M${corners.join("L")}Z`;
    };
    switch (shape) {
      case "square": return polygon(4, 0.5, [r * 1.15]);
      case "triangle": return polygon(3, 0, [r * 1.25]);
      case "diamond": return polygon(4, 0, [r * 1.2]);
      case "pentagon": return polygon(5, 0, [r * 1.1]);
      case "cross": return polygon(8, 0, [r * 1.3, r * 0.45]);
      default: return polygon(10, 0, [r * 1.3, r * 0.6]);
    }
  }

  /** Say in one sentence what the curve shows. */
  function describe(readings, fallen) {
    const { points } = pointsOf(readings);
    if (points.length === 0) return "No reading of the odometer is shown.";
    const [first, last] = [points[0], points.at(-1)];
    const falls = fallen.size;
    const missing = gapsOf(readings).reduce((sum, gap) => sum + gap.missing, 0);
    const date = (point) => (point.at === null ? "an unknown date" : dayOf(point.at));
    const from = `${km(first.metres)} on ${date(first)}`;
    const many = `${count(points.length, "reading", "readings")} from ${from} to ${km(last.metres)} on ${date(last)}.`;
    const span = points.length === 1 ? `One reading: ${from}.` : many;
    const back = falls === 0 ? "" : ` The odometer falls ${falls === 1 ? "once" : `${falls} times`}.`;
    const gap = missing === 0 ? "" : ` ${count(missing, "record is", "records are")} missing.`;
    return span + back + gap;
  }

  return { describe, drawCurve, drawShape, gapsOf, pointsOf, shapeOf };
})();
