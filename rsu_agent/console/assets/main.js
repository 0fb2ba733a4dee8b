// Runs when the page is loaded: follows the unit's events and shows what they say. Where nothing comes any more, it says so: a picture
// that stands still must not pass for the present.

const LOST_AFTER_MS = 3000;
const REOPEN_AFTER_MS = 2000;
const WATCH_EVERY_MS = 500;
const EVENTS = "console/events";

const unit = {
  atMs: null, heardAt: -Infinity, openedAt: -Infinity, shownAt: -Infinity, unavailable: null, lights: [], vehicles: new Map(),
  hazards: [], refusals: [], health: [], stationId: null, orders: null, source: null, reopening: null, whyNot: null,
  tableAt: -Infinity, listed: false,
};

// How the unit is: the line at the top, a word and a sentence.
const bannerOf = (state) => {
  if (state === "waiting") return ["wait", unit.whyNot ?? "Connecting to the unit"];
  if (state === "lost") {
    const seconds = Math.floor((performance.now() - unit.heardAt) / 1000);
    return ["lost", `${unit.whyNot ?? "No connection"}: what you see is ${seconds} s old`];
  }
  if (unit.unavailable !== null) return ["trouble", `Lights not believed: ${unit.unavailable}`];
  const worst = unit.health.find((each) => each.state !== "good");
  return worst ? [STATES[worst.state], `${capital(worst.part)}: ${worst.words}`] : ["well", "The unit works as it should"];
};

const judge = () => {
  const isHeard = performance.now() - Math.max(unit.heardAt, unit.shownAt) < LOST_AFTER_MS;
  const state = unit.stationId === null ? "waiting" : isHeard ? "live" : "lost";
  const [word, text] = bannerOf(state);
  const root = document.documentElement;
  if (root.dataset.state === "live" && state === "lost") announce("connection", () => "The connection to the unit is lost.");
  if (root.dataset.state === "lost" && state === "live") announce("connection", () => "The unit is heard again.");
  mark(root, "state", state);
  mark(at("banner"), "word", word);
  say(at("banner-word"), capital(word));
  say(at("banner-words"), text);
  say(at("clock"), clockTime(unit.atMs));
};

const take = (told) => {
  unit.heardAt = performance.now();
  unit.whyNot = null;
  unit.atMs = told.at_ms;
  if (told.unavailable !== undefined) {
    if (told.unavailable !== unit.unavailable && unit.listed) {
      const words = told.unavailable === null ? "The lights are believed again." : `The lights are not believed: ${told.unavailable}`;
      announce("lights", () => words);
    }
    unit.unavailable = told.unavailable;
  }
  if (told.lights) {
    unit.lights = told.lights;
    showLightsOnPlan(unit.lights);
  }
  if (told.vehicles || told.gone) takeVehicles(told.vehicles ?? {}, told.gone ?? []);
  if (told.hazards) takeHazards(told.hazards);
  if (told.asking) showAsking(told.asking);
  if (told.refusals) unit.refusals = told.refusals;
  if (told.health) {
    unit.health = told.health;
    showHealth(unit.health);
  }
  if (told.counts) takeCounts(told.counts);
  showLights(unit.lights, unit.atMs);
  const isTime = performance.now() - unit.tableAt >= TABLE_EVERY_MS;
  if (told.refusals || isTime) showRefusals(unit.refusals, unit.atMs);
  if (isTime) {
    unit.tableAt = performance.now();
    showVehicles(unit.vehicles);
  }
  if (moving.chosen !== null) showChosen();
  judge();
};

const takeVehicles = (changed, gone) => {
  for (const [ticket, row] of Object.entries(changed)) {
    const before = unit.vehicles.get(ticket);
    const isWorse = trustOf(row[ROW.trust]).rank === 0 && before?.[ROW.trust] !== row[ROW.trust];
    if (isWorse) unit.tableAt = -Infinity;
    if (isWorse && unit.listed) announce("vehicles", (count) => worseWords(count, ticket, row));
    unit.vehicles.set(ticket, row);
  }
  for (const ticket of gone) unit.vehicles.delete(ticket);
  moveVehicles(changed, gone);
};

const worseWords = (count, ticket, row) =>
  count === 1
    ? `${nameOf(ticket)}, ${trustOf(row[ROW.trust]).word}: ${row[ROW.why]}`
    : `${count} vehicles more that are not believed or refused`;

const takeHazards = (hazards) => {
  const known = new Set(unit.hazards.map((each) => each.key));
  const fresh = hazards.filter((each) => !known.has(each.key));
  for (const { words } of unit.listed ? fresh : []) {
    announce("hazards", (count) => (count === 1 ? `New hazard: ${words}` : `${count} new hazards, the latest: ${words}`));
  }
  unit.hazards = hazards;
  showHazards(hazards);
  showHazardsOnPlan(hazards);
};

const takeCounts = (counts) => {
  for (const name of ["sent", "verified", "refused"]) say(at(`count-${name}`), countWords(counts[name] ?? 0));
};

const takeWhole = (told) => {
  if (unit.stationId === null) drawPlan(told.plan);
  unit.stationId = told.station_id;
  unit.orders = told.orders;
  say(at("station"), `Roadside unit ${told.station_id}`);
  const name = told.plan?.name ?? "A unit without a junction";
  say(at("title"), name);
  document.title = `${name}: roadside unit ${told.station_id}`;
  offerOrders();
  const gone = [...unit.vehicles.keys()].filter((ticket) => !Object.hasOwn(told.vehicles, ticket));
  unit.tableAt = -Infinity;
  take({ ...told, gone });
  unit.listed = true;
};

const open = () => {
  unit.source?.close();
  clearTimeout(unit.reopening);
  const source = new EventSource(EVENTS);
  unit.source = source;
  unit.openedAt = performance.now();
  source.addEventListener("whole", (event) => takeWhole(JSON.parse(event.data)));
  source.addEventListener("change", (event) => take(JSON.parse(event.data)));
  source.addEventListener("beat", (event) => take(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    unit.reopening = setTimeout(open, REOPEN_AFTER_MS);
    askWhy();
  });
};

// A stream that is refused does not say why; whoever asks for it in another way is told.
const askWhy = async () => {
  const asking = new AbortController();
  try {
    const answer = await fetch(EVENTS, { signal: asking.signal, credentials: "omit", redirect: "error" });
    unit.whyNot = answer.ok ? null : `The unit answers: ${(await answer.json()).refused}`;
  } catch {
    unit.whyNot = null;
  }
  asking.abort();
};

// A connection may be dead without anybody having been told: where nothing comes, another one is opened.
const watch = () => {
  if (document.hidden) return;
  judge();
  if (performance.now() - Math.max(unit.heardAt, unit.openedAt) >= LOST_AFTER_MS) open();
};

// A page that nobody looks at takes no events; when somebody looks again, it has as long as ever to be heard.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(unit.reopening);
    unit.source?.close();
  } else {
    unit.shownAt = performance.now();
    open();
  }
});

attendPlan();
attendOrders();
judge();
open();
setInterval(watch, WATCH_EVERY_MS);
setInterval(speak, WATCH_EVERY_MS);
