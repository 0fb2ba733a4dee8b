// Draws what moves: vehicles and hazards. A vehicle is an arrow; one that is not believed is red and crossed out, one whose
// packets are refused red and hollow in a broken ring, one in doubt hollow, one not heard lately is faint: no state is told by colour alone.

const ROW = { station: 0, east: 1, north: 2, heading: 3, speed: 4, trust: 5, why: 6, isSilent: 7, refused: 8 };

const STILL_EVERY_MS = 1000;

const moving = { nodes: new Map(), chosen: null, placedAt: -Infinity };

// Whoever wants little motion sees vehicles move once a second; what is thought of them is shown at once all the same.
const still = matchMedia("(prefers-reduced-motion: reduce)");

const freshVehicle = (ticket) => {
  const node = draw("g", { class: "vehicle", "data-ticket": ticket });
  node.append(
    draw("circle", { r: 6, class: "reach" }),
    draw("circle", { r: 4.6, class: "alarm" }),
    draw("circle", { r: 4.6, class: "chosen" }),
    draw("g", { class: "body" }, draw("path", { d: "M0-3.1 2 2.3 0 1.2-2 2.3Z" })),
    draw("path", { d: "M-2.4-2.4 2.4 2.4M2.4-2.4-2.4 2.4", class: "cross" }),
  );
  node.addEventListener("click", () => choose(ticket));
  return node;
};

const placeVehicle = (node, row) => {
  const known = row[ROW.east] !== null;
  node.style.display = known ? "" : "none";
  if (!known) return;
  node.setAttribute("transform", `translate(${row[ROW.east]} ${-row[ROW.north]})`);
  node.children[3].setAttribute("transform", `rotate(${row[ROW.heading] ?? 0})`);
  mark(node, "trust", row[ROW.trust]);
  mark(node, "silent", row[ROW.isSilent] ? "yes" : "no");
};

// Takes rows of vehicles that changed and tickets of those that are gone.
const moveVehicles = (changed, gone) => {
  const isTime = performance.now() - moving.placedAt >= STILL_EVERY_MS;
  if (isTime) moving.placedAt = performance.now();
  for (const [ticket, row] of still.matches && isTime ? unit.vehicles : Object.entries(changed)) {
    let node = moving.nodes.get(ticket);
    const isNews = node === undefined || node.dataset.trust !== row[ROW.trust];
    if (still.matches && !isTime && !isNews) continue;
    if (node === undefined) {
      node = at("vehicles-layer").appendChild(freshVehicle(ticket));
      moving.nodes.set(ticket, node);
    }
    if (isNews && trustOf(row[ROW.trust]).rank === 0) at("vehicles-layer").append(node);
    placeVehicle(node, row);
  }
  for (const ticket of gone) {
    moving.nodes.get(ticket)?.remove();
    moving.nodes.delete(ticket);
    if (moving.chosen === ticket) choose(null);
  }
};

const choose = (ticket) => {
  moving.nodes.get(moving.chosen)?.classList.remove("is-chosen");
  moving.chosen = moving.chosen === ticket ? null : ticket;
  moving.nodes.get(moving.chosen)?.classList.add("is-chosen");
  showChosen();
};

const hazardNodes = new Map();

const freshHazard = () => {
  const node = draw("g", { class: "hazard" });
  node.append(
    draw("circle", { class: "hazard-area" }),
    draw("path", { d: "M0-3.6 3.7 2.8H-3.7Z", class: "hazard-plate" }),
    draw("path", { d: "M0-1.4V1M0 1.9v.1", class: "hazard-mark" }),
  );
  return node;
};

const showHazardsOnPlan = (hazards) => {
  const placed = hazards.filter((hazard) => hazard.place !== null);
  keepList(at("hazards-layer"), hazardNodes, placed.map((hazard) => [hazard.key, hazard]), {
    fresh: freshHazard,
    fill: (node, hazard) => {
      node.setAttribute("transform", `translate(${hazard.place[0]} ${-hazard.place[1]})`);
      node.firstChild.setAttribute("r", hazard.radius_m ?? 0);
      mark(node, "own", hazard.is_own ? "yes" : "no");
    },
  });
};
