// What codes are called: phases, trust, states, and numbers as people read them.

const PHASES = {
  unavailable: { word: "not known", lamp: "unknown" },
  dark: { word: "dark", lamp: "dark" },
  stop_then_proceed: { word: "flashing red", lamp: "red" },
  stop_and_remain: { word: "red", lamp: "red" },
  pre_movement: { word: "red and amber", lamp: "ready" },
  permissive_movement_allowed: { word: "green, give way", lamp: "green" },
  protected_movement_allowed: { word: "green", lamp: "green" },
  permissive_clearance: { word: "amber", lamp: "amber" },
  protected_clearance: { word: "amber", lamp: "amber" },
  caution_conflicting_traffic: { word: "flashing amber", lamp: "amber" },
};
const phaseOf = (name) => (Object.hasOwn(PHASES, name) ? PHASES[name] : { word: name.replaceAll("_", " "), lamp: "unknown" });

const TRUST = {
  trusted: { word: "believed", rank: 2 },
  doubted: { word: "in doubt", rank: 1 },
  distrusted: { word: "not believed", rank: 0 },
  refused: { word: "refused", rank: 0 },
};
const trustOf = (name) => (Object.hasOwn(TRUST, name) ? TRUST[name] : TRUST.doubted);

const STATES = { good: "well", odd: "look", bad: "trouble" };
const POINTS = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"];
const pointOf = (degrees) => POINTS[Math.round(degrees / 45) % 8];

const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);
const countWords = (count) => count.toLocaleString("en", count < 100000 ? {} : { notation: "compact", maximumFractionDigits: 1 });
const kmh = (mps) => (mps === null ? "–" : `${Math.round(mps * 3.6)} km/h`);
const metres = (m) => (m < 1000 ? `${Math.round(m)} m` : `${(m / 1000).toFixed(1)} km`);
const clockTime = (ms) => (ms === null ? "time not known" : `${new Date(ms).toISOString().slice(11, 19)} UTC`);
const ago = (fromMs, toMs) => {
  if (fromMs === null || toMs === null) return "time not known";
  const s = Math.max(0, Math.round((toMs - fromMs) / 1000));
  if (s < 2) return "just now";
  return s < 100 ? `${s} s ago` : s < 5400 ? `${Math.round(s / 60)} min ago` : `${Math.round(s / 3600)} h ago`;
};

// How long a phase lasts: one number where the controller is sure, a range where it is not.
const remaining = (light, atMs) => {
  const [, , , minEnd, likelyEnd, maxEnd] = light;
  if (atMs === null || minEnd === null) return "";
  const seconds = (ms) => Math.max(0, Math.ceil((ms - atMs) / 1000));
  const [least, most] = [seconds(minEnd), maxEnd === null ? null : seconds(maxEnd)];
  if (most === least) return `${least} s`;
  const range = most === null ? `at least ${least} s` : `${least} to ${most} s`;
  return likelyEnd === null ? range : `about ${seconds(likelyEnd)} s (${range})`;
};
