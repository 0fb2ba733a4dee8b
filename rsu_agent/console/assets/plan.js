// Draws what does not move: lanes, ways across, stop lines; and the lights on them. Metres; north is up, so y is north turned over.

const ARROWS = { left: "↰", straight: "↑", right: "↱", u_turn: "↶" };
const ZOOM_STEP = 1.5;
const NEAREST_M = 15;
const FIRST_SIGHT_M = 75;
const MARKING_M = 0.18;

const plan = { box: null, whole: null, lights: new Map(), ways: new Map() };

const path = (points) => points.map(([east, north], n) => `${n ? "L" : "M"}${east} ${-north}`).join("");

const drawPlan = (geometry) => {
  const ground = at("ground");
  ground.replaceChildren();
  plan.lights.clear();
  plan.ways.clear();
  const [west, south, east, north] = geometry === null ? [-150, -150, 150, 150] : geometry.bounds_m;
  plan.whole = { x: (west + east) / 2, y: -(south + north) / 2, half: Math.max(east - west, north - south) / 2 + 4 };
  if (plan.box === null) plan.box = { ...plan.whole, half: Math.min(FIRST_SIGHT_M, plan.whole.half) };
  if (geometry !== null) {
    drawRoads(geometry, ground);
    for (const signal of geometry.signals) drawSignal(signal, ground);
  }
  lookAt();
};

// Kerb, asphalt and markings are each one layer over all lanes, so that lanes side by side grow together into a road.
const drawRoads = (geometry, ground) => {
  const layer = (name) => ground.appendChild(draw("g", { class: name }));
  const layers = ["kerb", "road", "across", "rim", "ways", "stops"].map((name) => [name, layer(name)]);
  const { kerb, road, across, rim, ways, stops } = Object.fromEntries(layers);
  const isRoad = (lane) => lane.kind === "vehicle" || lane.kind === "tracked_vehicle" || lane.kind === "bike_lane";
  const widths = new Map(geometry.lanes.map((lane) => [lane.number, lane.width_m]));
  for (const lane of geometry.lanes.filter(isRoad)) {
    const d = path(lane.centre_m);
    kerb.append(draw("path", { d, "stroke-width": lane.width_m + 1 }));
    road.append(draw("path", { d, "stroke-width": lane.width_m + 0.1, class: `lane is-${lane.direction} of-${lane.kind}` }));
    if (lane.stop_line_m) stops.append(draw("path", { d: path(lane.stop_line_m), class: "stop" }));
    for (const d of edges(lane)) rim.append(draw("path", { d, "stroke-width": MARKING_M }));
  }
  for (const lane of geometry.lanes.filter((each) => each.kind === "crosswalk")) {
    across.append(draw("path", { d: path(lane.centre_m), "stroke-width": lane.width_m, class: "crosswalk" }));
  }
  for (const way of geometry.connections) {
    const d = path(way.path_m);
    const width = widths.get(way.from_lane) ?? 3;
    kerb.append(draw("path", { d, "stroke-width": width + 1 }));
    across.insertBefore(draw("path", { d, "stroke-width": width + 0.1, class: "lane" }), across.querySelector(".crosswalk"));
    const line = ways.appendChild(draw("path", { d, class: "way", "marker-end": "url(#way-end)" }));
    if (way.signal_group === null) continue;
    if (!plan.ways.has(way.signal_group)) plan.ways.set(way.signal_group, []);
    plan.ways.get(way.signal_group).push(line);
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
const drawSignal = (signal, ground) => {
  const turn = (signal.heading_deg * Math.PI) / 180;
  const [east, north] = [signal.at_m[0] + Math.sin(turn) * 1.6, signal.at_m[1] + Math.cos(turn) * 1.6];
  const where = `translate(${east} ${-north}) rotate(${signal.heading_deg})`;
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
  ground.append(lamp);
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

const lookAt = () => {
  const { x, y, half } = plan.box;
  at("plan").setAttribute("viewBox", `${x - half} ${y - half} ${2 * half} ${2 * half}`);
  at("zoom-in").disabled = half <= NEAREST_M;
  at("zoom-out").disabled = half >= plan.whole.half * 4;
};

const zoom = (factor) => {
  plan.box.half = Math.min(Math.max(plan.box.half * factor, NEAREST_M), plan.whole.half * 4);
  lookAt();
};

const showWhole = () => {
  plan.box = { ...plan.whole };
  lookAt();
};

// Where on the plan a pointer is, as metres east and north.
const placeOf = (event) => {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(at("plan").getScreenCTM().inverse());
  return [x, -y];
};

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const attendPlan = () => {
  const drawing = at("plan");
  let held = null;
  drawing.addEventListener("pointerdown", (event) => {
    held = { id: event.pointerId, x: event.clientX, y: event.clientY, box: { ...plan.box } };
  });
  drawing.addEventListener("pointermove", (event) => {
    if (held === null || held.id !== event.pointerId || event.pointerType === "touch") return;
    const scale = 1 / drawing.getScreenCTM().a;
    plan.box.x = held.box.x - (event.clientX - held.x) * scale;
    plan.box.y = held.box.y - (event.clientY - held.y) * scale;
    lookAt();
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) drawing.addEventListener(end, () => (held = null));
  drawing.addEventListener("keydown", (event) => {
    const step = Object.hasOwn(MOVES, event.key) ? MOVES[event.key] : null;
    if (step === null) return;
    event.preventDefault();
    plan.box.x += (step[0] * plan.box.half) / 5;
    plan.box.y += (step[1] * plan.box.half) / 5;
    lookAt();
  });
  at("zoom-in").addEventListener("click", () => zoom(1 / ZOOM_STEP));
  at("zoom-out").addEventListener("click", () => zoom(ZOOM_STEP));
  at("zoom-whole").addEventListener("click", showWhole);
};
