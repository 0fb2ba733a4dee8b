// Dates by the time since a start of the vehicle's computer, as in shared/records/boot_dates.py: of records made before the date was
// known, and against a clock that was set. An item is {record, commitment, credential, role}.

const FIRST_VERSION_IN_BOOT_TIME = 2;
const CLOCK_SET_MS = 60000;
const DRIFT_DIVISOR = 1000;
const DURATIONS_MS = [["day", 86400000], ["hour", 3600000], ["minute", 60000], ["second", 1000]];
const MAX_MOMENT_MS = 253402300800000;

// The vehicle's own records in boot time, by start: {position, seq, elapsedMs, occurredMs}.
const recordsByStart = (items) => {
  const starts = new Map();
  items.forEach((item, position) => {
    const { record } = item;
    const boot = record.kind === ODOMETER ? record.fields.get("boot") : undefined;
    const isTold = boot !== undefined && record.spec.version >= FIRST_VERSION_IN_BOOT_TIME && !record.hidden.includes("occurred");
    if (!isOwn(item) || !isTold) return;
    const id = boot.get("id");
    if (!starts.has(id)) starts.set(id, []);
    const occurredMs = record.occurred === null ? null : Date.parse(record.occurred);
    starts.get(id).push({ position, seq: record.seq, elapsedMs: boot.get("elapsed_ms"), occurredMs });
  });
  return [...starts.values()];
};

// The dates of undated records, by position: by the next dated record of the same start, else by the last before.
const stampedLater = (items) => {
  const stamps = new Map();
  const stamp = (waiting, by) => {
    for (const each of waiting) {
      const ms = by.occurredMs - (by.elapsedMs - each.elapsedMs);
      if (ms >= 0 && ms < MAX_MOMENT_MS) stamps.set(each.position, { occurred: new Date(ms).toISOString(), bySeq: by.seq });
    }
  };
  for (const timed of recordsByStart(items)) {
    let [before, waiting] = [null, []];
    for (const each of timed) {
      if (each.occurredMs === null) {
        waiting.push(each);
        continue;
      }
      stamp(waiting, each);
      [before, waiting] = [each, []];
    }
    if (before !== null) stamp(waiting, before);
  }
  return stamps;
};

const momentWords = ({ occurred }) => occurred.slice(0, 16).replace("T", " ");

const stampWords = (stamp) => `${momentWords(stamp)} UTC by record ${stamp.bySeq}`;

// Between which moments the vehicle made records of other kinds without a date, by position: those of the readings before and after it
// where both are of the same start and have dates, or were given them later.
const boundedDates = (items, stamps) => {
  const bounds = new Map();
  const timed = new Map();
  recordsByStart(items).forEach((starts, start) => starts.forEach((each) => timed.set(each.position, { each, start })));
  const made = ({ each }) =>
    each.occurredMs === null ? stamps.get(each.position) : { occurred: items[each.position].record.occurred, bySeq: each.seq };
  let [before, waiting] = [null, []];
  items.forEach((item, position) => {
    const { record } = item;
    if (!timed.has(position)) {
      if (isOwn(item) && record.kind === ODOMETER) [before, waiting] = [null, []];
      else if (isOwn(item) && record.occurred === null && !record.hidden.includes("occurred")) waiting.push(position);
      return;
    }
    const here = timed.get(position);
    if (before !== null && before.start === here.start) {
      const [first, last] = [made(before), made(here)];
      if (first !== undefined && last !== undefined) waiting.forEach((each) => bounds.set(each, [first, last]));
    }
    [before, waiting] = [here, []];
  });
  return bounds;
};

// A record as if it had said the date that it was given later.
const datedItem = (item, stamp) => (stamp === undefined ? item : { ...item, record: { ...item.record, occurred: stamp.occurred } });

// Where the clock was set between two records of one start, by position of the later one.
const checkClock = (items) => {
  const found = new Map();
  for (const timed of recordsByStart(items)) {
    const known = timed.filter((each) => each.occurredMs !== null);
    known.slice(1).forEach((each, n) => {
      const told = clockSet(known[n], each);
      if (told !== null) found.set(each.position, told);
    });
  }
  return found;
};

const clockSet = (a, b) => {
  const ranMs = b.elapsedMs - a.elapsedMs;
  const offMs = b.occurredMs - a.occurredMs - ranMs;
  if (Math.abs(offMs) <= CLOCK_SET_MS + Math.floor(Math.abs(ranMs) / DRIFT_DIVISOR)) return null;
  const text =
    `Between record ${a.seq} and record ${b.seq} the vehicle's clock was set ${offMs > 0 ? "forward" : "back"} by ` +
    `${durationText(Math.abs(offMs))}: its computer ran on from one to the other and measured the time.`;
  return finding("clock", b.seq, text);
};

const durationText = (ms) => {
  const unit = DURATIONS_MS.find(([, unitMs]) => ms >= 2 * unitMs);
  return unit === undefined ? "a second" : `${Math.floor(ms / unit[1])} ${unit[0]}s`;
};
