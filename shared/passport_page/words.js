// Words for people: distances, dates, and the names of kinds, roles, flags and claims.
//
// Everything here turns a value into plain text; nothing touches the page. Dates are shown in UTC, as the records state them, and
// without the habits of any country: 3 Nov 2026.

const passportWords = (() => {
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
  const DAY = /^\d{4}-\d\d-\d\d$/;
  const CODE_WORD = /^[a-z]+(_[a-z]+)*$/;
  const MAX_VALUE_CHARACTERS = 600;
  const MINUS = "\u2212";

  const WHO = {
    vehicle: "the vehicle", garage: "a garage", inspector: "an inspector", insurer: "an insurer", maker: "the maker",
    registrar: "the register",
  };
  const FLAGS = {
    rollback: "rolled back: lower than before",
    step: "jumped further than the time allows",
    sources_disagree: "its sources disagree",
    unit_error: "off by a factor of units",
    zero: "shows nothing, or next to nothing",
    frozen_while_moving: "stood still while the vehicle moved",
    blocker_suspected: "does not count all that is driven",
    other_vehicle: "the car says to be another vehicle",
    bus_silent_while_moving: "moved while its bus was silent",
    odometer_frame_missing: "the odometer's message is missing",
    odometer_frame_doubled: "the odometer's message comes as from two",
    odometer_frame_off_period: "the odometer's message comes at odd moments",
    clock_jumped: "the vehicle's clock was set",
    unknown_part: "an unknown control unit answered",
    clock_not_set: "the vehicle did not know the date",
    sequence_resumed: "the store of earlier records was lost",
  };
  const NAMES = {
    occurred: "Date", odometer_m: "Odometer", boot: "Time since the computer started", sources: "Read from", reason: "Why recorded",
    works: "Worked on", next_due: "Next one due", next_due_odometer_m: "Next one due at", paid: "Paid", age_ms: "Age",
    judgement: "Other sources say", missing_permille: "Not counted", bound_to: "Bound to", nonce: "Inspector's challenge",
    accident_seq: "About accident record", grant_seq: "About grant record", co2_g: "Carbon dioxide",
    co2_method: "How that was counted",
  };
  const UNITS = [
    ["_m", 1000, "km", 1], ["_wh", 1000, "kWh", 1], ["_mah", 1000, "Ah", 1], ["_w", 1000, "kW", 1], ["_g", 1000, "kg", 1],
    ["_ml", 1000, "l", 1], ["_permille", 10, "%", 1], ["_dc", 10, "\u00b0C", 1], ["_kmh", 1, "km/h", 0], ["_ms", 1000, "s", 1],
    ["_s", 3600, "h", 1],
  ];

  function number(value, digits) {
    const [whole, part] = Math.abs(value).toFixed(digits).split(".");
    const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
    return (value < 0 ? MINUS : "") + grouped + (part ? `.${part}` : "");
  }

  function km(metres) {
    return `${number(metres / 1000, 1)} km`;
  }

  function signedKm(metres) {
    return (metres > 0 ? "+" : "") + km(metres);
  }

  function time(iso) {
    const ms = typeof iso === "string" ? Date.parse(iso) : NaN;
    return Number.isFinite(ms) ? ms : null;
  }

  function dayOf(ms) {
    const date = new Date(ms);
    return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  }

  function monthOf(ms) {
    const date = new Date(ms);
    return `${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  }

  function day(iso) {
    const ms = time(iso);
    return ms === null ? null : dayOf(ms);
  }

  function clock(iso) {
    return time(iso) === null ? "" : `${new Date(time(iso)).toISOString().slice(11, 16)} UTC`;
  }

  function plain(code) {
    return String(code).replaceAll("_", " ");
  }

  function capital(text) {
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  function kind(reading) {
    return plain(String(reading.kind ?? "record").split("/")[0]);
  }

  function who(role) {
    return Object.hasOwn(WHO, role ?? "") ? WHO[role] : "somebody";
  }

  function flag(name) {
    return Object.hasOwn(FLAGS, name) ? FLAGS[name] : plain(name);
  }

  function hidesReading(reading) {
    return (reading.fields ?? []).some((field) => field.name === "odometer_m" && field.hidden);
  }

  function unitOf(name) {
    return UNITS.find(([suffix]) => name.endsWith(suffix));
  }

  function fieldName(name) {
    if (Object.hasOwn(NAMES, name)) return NAMES[name];
    const unit = unitOf(name);
    return capital(plain(unit ? name.slice(0, -unit[0].length) : name));
  }

  function fieldValue(name, value) {
    const text = valueText(name, value);
    return text.length > MAX_VALUE_CHARACTERS ? `${text.slice(0, MAX_VALUE_CHARACTERS)} ...` : text;
  }

  function valueText(name, value) {
    if (value === null || value === undefined) return "not known";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value === "number") {
      const unit = unitOf(name);
      return unit ? `${number(value / unit[1], unit[3])} ${unit[2]}` : String(value);
    }
    if (typeof value === "string") {
      if (MOMENT.test(value)) return `${day(value)}, ${clock(value)}`;
      if (DAY.test(value)) return day(`${value}T00:00:00Z`) ?? value;
      return CODE_WORD.test(value) ? plain(value) : value;
    }
    if (Array.isArray(value)) {
      const between = value.some((item) => item !== null && typeof item === "object") ? "; " : ", ";
      return value.length === 0 ? "none" : value.map((item) => valueText(name, item)).join(between);
    }
    if (Number.isInteger(value.amount_minor)) return `${number(value.amount_minor / 100, 2)} ${value.currency}`;
    if (Number.isInteger(value.latitude_e7) && Number.isInteger(value.longitude_e7)) {
      return `${(value.latitude_e7 / 1e7).toFixed(5)}, ${(value.longitude_e7 / 1e7).toFixed(5)}`;
    }
    const known = Object.entries(value).filter(([, item]) => item !== null);
    return known.map(([key, item]) => `${fieldName(key).toLowerCase()} ${valueText(key, item)}`).join(", ");
  }

  function count(howMany, one, many) {
    return `${number(howMany, 0)} ${howMany === 1 ? one : many}`;
  }

  function list(items) {
    return items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
  }

  function grouped(text) {
    return /^[0-9a-f]{8,}$/i.test(text) ? text.match(/.{1,4}/g).join(" ") : text;
  }

  return {
    capital, clock, count, day, dayOf, fieldName, fieldValue, flag, grouped, hidesReading, kind, km, list, monthOf, number, plain,
    signedKm, time, who,
  };
})();
