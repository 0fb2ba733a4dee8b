// The same in words, for whoever reads or listens: lights, hazards, refusals, health and vehicles as lists and a table.

const MAX_ROWS = 40;
const TABLE_EVERY_MS = 1000;

const kept = { lights: new Map(), asking: new Map(), hazards: new Map(), refusals: new Map(), health: new Map(), vehicles: new Map() };

const lampOf = () =>
  draw(
    "svg",
    { viewBox: "0 0 16 40", class: "lamps", "aria-hidden": "true", focusable: "false" },
    draw("rect", { x: 0.5, y: 0.5, width: 15, height: 39, rx: 5, class: "lamp-box" }),
    draw("circle", { cx: 8, cy: 8, r: 4.6, class: "lamp on-red" }),
    draw("circle", { cx: 8, cy: 20, r: 4.6, class: "lamp on-amber" }),
    draw("circle", { cx: 8, cy: 32, r: 4.6, class: "lamp on-green" }),
  );

const showLights = (lights, atMs) => {
  keepList(at("lights"), kept.lights, lights.map((light) => [light[0], light]), {
    fresh: () => {
      const node = make("li", "light");
      const words = make("div");
      words.append(make("p", "light-name"), make("p", "light-phase"), make("p", "light-left"));
      node.append(lampOf(), words);
      return node;
    },
    fill: (node, light) => {
      const [group, name, phase] = light;
      const { word, lamp } = phaseOf(phase);
      const [title, shown, left] = node.querySelectorAll("p");
      mark(node, "lamp", lamp);
      mark(node, "group", String(group));
      say(title, name === null ? `Group ${group}` : `${group} ${name}`);
      say(shown, word);
      say(left, remaining(light, atMs));
    },
  });
  at("lights-none").hidden = lights.length > 0;
};

const showAsking = (asking) => {
  keepList(at("asking"), kept.asking, asking.map((each) => [each.key, each]), {
    fresh: () => {
      const node = make("li");
      node.append(make("p", "strong"), make("p", "soft"));
      return node;
    },
    fill: (node, each) => {
      const [title, words] = node.children;
      say(title, `${capital(each.level)}: ${each.answer}`);
      say(words, `Station ${each.station_id}, from ${each.way}`);
    },
  });
  at("asking-part").hidden = asking.length === 0;
};

const showHazards = (hazards) => {
  keepList(at("hazards"), kept.hazards, hazards.map((hazard) => [hazard.key, hazard]), {
    fresh: () => {
      const node = make("li");
      node.append(make("p", "strong"), make("p", "soft"), make("button", "small"));
      return node;
    },
    fill: (node, hazard) => {
      const [words, more, button] = node.children;
      say(words, capital(hazard.words));
      const who = hazard.is_own ? `Announced by this unit${hazard.id === null ? "" : ` as ${hazard.id}`}` : `Told by station ${hazard.station_id}`;
      const far = hazard.distance_m === null ? "" : `, ${metres(hazard.distance_m)} away`;
      say(more, `${who}${far}${hazard.is_disputed ? "; others say that it is not there" : ""}`);
      offerFor(button, hazard);
    },
  });
  at("hazards-none").hidden = hazards.length > 0;
};

const showRefusals = (refusals, atMs) => {
  keepList(at("refusals"), kept.refusals, refusals.map((each) => [`${each.source} ${each.reason}`, each]), {
    fresh: () => {
      const node = make("li");
      const head = make("p", "row");
      head.append(make("span", "strong"), make("span", "count"));
      node.append(head, make("p"), make("p", "soft"));
      return node;
    },
    fill: (node, each) => {
      const [head, words, more] = node.children;
      mark(node, "reason", each.reason);
      say(head.firstChild, capital(each.reason.replaceAll("_", " ")));
      say(head.lastChild, `${countWords(each.count)} so far`);
      say(words, each.words);
      say(more, capital(`${each.source === "radio" ? "" : `by the ${each.source}, `}${ago(each.last_ms, atMs)}`));
    },
  });
  at("refusals-none").hidden = refusals.length > 0;
};

const showHealth = (health) => {
  keepList(at("health"), kept.health, health.map((each) => [each.part, each]), {
    fresh: () => {
      const node = make("li");
      const words = make("div");
      words.append(make("p", "strong"), make("p", "soft"));
      node.append(make("span", "label"), words);
      return node;
    },
    fill: (node, each) => {
      const [title, words] = node.querySelectorAll("p");
      mark(node, "state", each.state);
      say(node.firstChild, STATES[each.state] ?? each.state);
      say(title, capital(each.part));
      say(words, each.words);
    },
  });
};

// Those in doubt come first, then the nearest: the table is for reading, so it is not drawn as often as the plan, and while somebody
// is in it with the keyboard nobody changes places.
const inOrder = (vehicles) => {
  const sorted = [...vehicles].sort(nearestFirst);
  const body = at("vehicles").tBodies[0];
  if (!body.contains(document.activeElement)) return sorted.slice(0, MAX_ROWS);
  const held = [...body.rows].map((row) => row.dataset.ticket).filter((ticket) => vehicles.has(ticket));
  const others = sorted.filter(([ticket]) => !held.includes(ticket)).slice(0, MAX_ROWS - held.length);
  return [...held.map((ticket) => [ticket, vehicles.get(ticket)]), ...others];
};
const nearestFirst = ([, a], [, b]) =>
  trustOf(a[ROW.trust]).rank - trustOf(b[ROW.trust]).rank || distanceOf(a) - distanceOf(b);
const distanceOf = (row) => (row[ROW.east] === null ? Infinity : Math.hypot(row[ROW.east], row[ROW.north]));

const showVehicles = (vehicles) => {
  keepList(at("vehicles").tBodies[0], kept.vehicles, inOrder(vehicles), {
    fresh: (ticket) => {
      const node = make("tr");
      node.dataset.ticket = ticket;
      const name = make("th");
      name.scope = "row";
      name.setAttribute("role", "rowheader");
      const button = make("button", "link", ticket.replace(REFUSED_PREFIX, ""));
      button.type = "button";
      button.addEventListener("click", () => choose(ticket));
      name.append(button);
      node.append(name, make("td"), make("td", "n"), make("td", "n"), make("td", "why"));
      node.children[1].append(make("span", "tag"));
      node.setAttribute("role", "row");  // said, for a narrow screen lays rows out in another way
      for (const cell of node.querySelectorAll("td")) cell.setAttribute("role", "cell");
      return node;
    },
    fill: (node, row) => {
      const [, trust, far, speed, why] = node.children;
      mark(node, "trust", row[ROW.trust]);
      say(trust.firstChild, trustOf(row[ROW.trust]).word);
      say(far, row[ROW.east] === null ? "–" : metres(distanceOf(row)));
      say(speed, kmh(row[ROW.speed]));
      say(why, whyOf(row));
    },
  });
  at("vehicles").hidden = vehicles.size === 0;
  const count = (trust) => [...vehicles.values()].filter((row) => row[ROW.trust] === trust).length;
  const [bad, odd] = [count("distrusted") + count("refused"), count("doubted")];
  say(at("vehicles-words"), vehicleWords(vehicles.size, bad, odd));
  say(at("count-vehicles"), String(vehicles.size));
  say(at("count-distrusted"), String(bad + odd));
  mark(at("count-distrusted").parentElement, "state", bad ? "bad" : odd ? "odd" : "good");
};

const vehicleWords = (all, bad, odd) => {
  if (all === 0) return "Nobody is around whose messages this unit could verify.";
  const shown = all > MAX_ROWS ? ` Those in doubt and the nearest of them, ${MAX_ROWS} at most, are listed.` : "";
  const doubts = bad + odd === 0 ? "all of them believed" : `${bad} of them not believed or refused, ${odd} in doubt`;
  return `${all} ${all === 1 ? "vehicle or station" : "vehicles and stations"}, ${doubts}.${shown}`;
};

const whyOf = (row) => {
  const refused = row[ROW.refused] === "" ? "" : `packets refused: ${row[ROW.refused]}`;
  const silent = row[ROW.isSilent] ? "not heard lately" : "";
  return [row[ROW.why], refused, silent].filter((each) => each !== "").join("; ");
};

// A name that refused packets carry is not that of a peer: anybody may have used it.
const REFUSED_PREFIX = "refused ";
const nameOf = (key) => (key.startsWith(REFUSED_PREFIX) ? `Somebody as ticket ${key.slice(REFUSED_PREFIX.length)}` : `Ticket ${key}`);

const showChosen = () => {
  const row = moving.chosen === null ? undefined : unit.vehicles.get(moving.chosen);
  at("chosen").hidden = row === undefined;
  if (row === undefined) return;
  say(at("chosen-name"), nameOf(moving.chosen));
  mark(at("chosen"), "trust", row[ROW.trust]);
  const heading = row[ROW.heading] === null ? "" : `, heading ${pointOf(row[ROW.heading])}`;
  const station = row[ROW.station] === null ? "Claims to be there" : `Station ${row[ROW.station]}`;
  const why = whyOf(row);
  const words = `${trustOf(row[ROW.trust]).word}${why === "" ? "" : `: ${why}`}`;
  say(at("chosen-words"), `${station}, ${kmh(row[ROW.speed])}${heading}. ${capital(words)}.`);
};
