// Draws what does not move: lanes, ways across, stop lines; and the lights on them. Metres; north is up, so y is north turned over.

const FIRST_SIGHT_M = 75;
const MARKING_M = 0.18;
const LIGHT_M = 1.8;
const ARROW_FROM_LINE_M = 9;
const ARROWS = {
  straight: "M0 2.2V-2.2M-.7-1.2 0-2.3.7-1.2",
  left: "M0 2.2V.2Q0-1-1.3-1M-.5-1.7-1.5-1-.5-.3",
  right: "M0 2.2V.2Q0-1 1.3-1M.5-1.7 1.5-1 .5-.3",
  u_turn: "M.5 2.2V-.6A.8.8 0 0 0-1.1-.6V.5M-1.8-.3-1.1.7-.4-.3",
};

// What is in sight, the whole, and how far one sees at first: half widths in metres.
const plan = { box: null, whole: null, first: FIRST_SIGHT_M, lights: new Map(), ways: new Map() };

const path = (points) => points.map(([east, north], n) => `${n ? "L" : "M"}${east} ${-north}`).join("");

const drawPlan = (geometry) => {
  const ground = at("ground");
  ground.replaceChildren();
  at("lights-layer").replaceChildren();
  plan.lights.clear();
  plan.ways.clear();
  const [west, south, east, north] = geometry === null ? [-150, -150, 150, 150] : geometry.bounds_m;
  plan.whole = { x: (west + east) / 2, y: -(south + north) / 2, half: Math.max(east - west, north - south) / 2 + 4 };
  plan.first = Math.min(FIRST_SIGHT_M, plan.whole.half);
  if (plan.box === null) plan.box = { ...plan.whole, half: plan.first };
  if (geometry === null) {
    ground.append(draw("circle", { r: 2.2, class: "unit-mark" }));
  } else {
    drawRoads(geometry, ground);
    drawArrows(geometry, ground);
    for (const signal of geometry.signals) drawSignal(signal);
  }
  at("plan-none").hidden = geometry !== null;
  say(at("plan-none"), "This unit speaks for no junction: who is around is drawn, with the unit in the middle");
  lookAt();
};

// Kerb, asphalt and markings are each one layer over all lanes, so that lanes side by side grow together into a road.
const drawRoads = (geometry, ground) => {
  const layer = (name) => ground.appendChild(draw("g", { class: name }));
  const layers = ["kerb", "road", "middle", "across", "rim", "ways", "stops"].map((name) => [name, layer(name)]);
  const { kerb, road, middle, across, rim, ways, stops } = Object.fromEntries(layers);
  const isRoad = (lane) => lane.kind === "vehicle" || lane.kind === "tracked_vehicle" || lane.kind === "bike_lane";
  const widths = new Map(geometry.lanes.map((lane) => [lane.number, lane.width_m]));
  for (const lane of geometry.lanes.filter(isRoad)) {
    const d = path(lane.centre_m);
    kerb.append(draw("path", { d, "stroke-width": lane.width_m + 1 }));
    road.append(draw("path", { d, "stroke-width": lane.width_m + 0.1, class: `lane is-${lane.direction} of-${lane.kind}` }));
    if (lane.stop_line_m) stops.append(draw("path", { d: path(lane.stop_line_m), class: "stop" }));
    for (const d of edges(lane)) rim.append(draw("path", { d, "stroke-width": MARKING_M }));
  }
  const ends = geometry.connections.flatMap((way) => [way.path_m[0], way.path_m.at(-1)]);
  if (ends.length > 2) middle.append(draw("path", { d: `${path(hull(ends))}Z` }));
  for (const lane of geometry.lanes.filter((each) => each.kind === "crosswalk")) {
    across.append(draw("path", { d: path(lane.centre_m), "stroke-width": lane.width_m, class: "crosswalk" }));
  }
  for (const way of geometry.connections) {
    const d = path(way.path_m);
    const width = widths.get(way.from_lane) ?? 3;
    kerb.append(draw("path", { d, "stroke-width": width + 1 }));
    across.insertBefore(draw("path", { d, "stroke-width": width + 0.1, class: "lane" }), across.querySelector(".crosswalk"));
    const manner = way.yields ? "way gives-way" : "way";
    const line = ways.appendChild(draw("path", { d, class: manner, "marker-end": "url(#way-end)" }));
    if (way.signal_group === null) continue;
    if (!plan.ways.has(way.signal_group)) plan.ways.set(way.signal_group, []);
    plan.ways.get(way.signal_group).push(line);
  }
};

// The middle of a junction is asphalt too, also where nobody's way leads across it: all that lies between the ways' ends.
const hull = (points) => {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
  const half = (all) => {
    const kept = [];
    for (const point of all) {
      while (kept.length > 1 && turn(kept.at(-2), kept.at(-1), point) <= 0) kept.pop();
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
};

// Arrows painted on the lanes: where the ways lead that begin at each.
const drawArrows = (geometry, ground) => {
  const painted = ground.appendChild(draw("g", { class: "arrows" }));
  for (const lane of geometry.lanes.filter((each) => each.stop_line_m)) {
    const turns = new Set(geometry.connections.filter((way) => way.from_lane === lane.number && way.turn).map((way) => way.turn));
    const [[east, north], [nextEast, nextNorth]] = lane.centre_m;
    const length = Math.hypot(nextEast - east, nextNorth - north);
    if (length < 2 * ARROW_FROM_LINE_M) continue;
    const part = ARROW_FROM_LINE_M / length;
    const where = [east + (nextEast - east) * part, north + (nextNorth - north) * part];
    const heading = (Math.atan2(east - nextEast, north - nextNorth) * 180) / Math.PI;
    const d = [...turns].map((turn) => ARROWS[turn] ?? "").join("");
    painted.append(draw("path", { d, transform: `translate(${where[0]} ${-where[1]}) rotate(${heading})` }));
  }
};

// The markings on both sides of a lane: its centre line moved aside.
const edges = (lane) =>
  [-1, 1].map((side) => {
    const aside = (side * lane.width_m) / 2;
    return path(
      lane.centre_m.map(([east, north], n, all) => {
        const [a, b] = [all[Math.max(0, n - 1)], all[Math.min(all.length - 1, n + 1)]];
        const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
        return [east + ((b[1] - a[1]) / length) * aside, north - ((b[0] - a[0]) / length) * aside];
      }),
    );
  });

// A light stands before its stop line; what it shows is told by colour, by shape and by the list beside the plan.
const drawSignal = (signal) => {
  const turn = (signal.heading_deg * Math.PI) / 180;
  const [east, north] = [signal.at_m[0] + Math.sin(turn) * LIGHT_M, signal.at_m[1] + Math.cos(turn) * LIGHT_M];
  const where = `translate(${east} ${-north}) rotate(${signal.heading_deg}) scale(1.15)`;
  const lamp = draw("g", { class: "signal", transform: where, "data-lamp": "unknown", "data-group": signal.signal_group });
  lamp.append(
    draw("circle", { r: 1.35, class: "signal-plate" }),
    draw("path", { d: "M-.8-.8H.8V.8H-.8Z", class: "shape for-red" }),
    draw("path", { d: "M0-1 1 0 0 1-1 0Z", class: "shape for-amber" }),
    draw("path", { d: "M-.8 0H.8V.8H-.8Z", class: "shape for-ready-amber" }),
    draw("path", { d: "M-.8-.8H.8V0H-.8Z", class: "shape for-ready-red" }),
    draw("path", { d: "M0-1 .95.75H-.95Z", class: "shape for-green" }),
    draw("path", { d: "M-.55-.4c0-.8 1.1-.8 1.1 0 0 .5-.55.4-.55.9m0 .35v.1", class: "shape for-unknown" }),
  );
  at("lights-layer").append(lamp);
  if (!plan.lights.has(signal.signal_group)) plan.lights.set(signal.signal_group, []);
  plan.lights.get(signal.signal_group).push(lamp);
};

const showLightsOnPlan = (lights) => {
  for (const [group, , phase] of lights) {
    const { lamp } = phaseOf(phase);
    for (const node of plan.lights.get(group) ?? []) mark(node, "lamp", lamp);
    for (const node of plan.ways.get(group) ?? []) mark(node, "lamp", lamp);
  }
};
