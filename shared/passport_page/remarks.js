// What a vehicle itself found odd about its readings, as in shared/records/remarks.py and in the same words.

const FLAGS_AT_ONCE = {
  step: "jumped further than the time since the last record allows",
  sources_disagree: "came from sources that disagree",
  clock_not_set: "was made while the vehicle did not know the date",
  sequence_resumed: "was made after the vehicle's store of records was lost or damaged",
};
const FLAGS_WHILE_THEY_LAST = {
  unit_error: "The odometer was off by the factor between kilometres and miles, or by a power of ten",
  zero: "The odometer showed nothing, or next to nothing, after it had shown a distance",
  frozen_while_moving: "The odometer stood still while the vehicle moved: what was driven then is not in it",
  blocker_suspected: "The odometer did not count all that was driven",
  other_vehicle:
    "The car said to be another vehicle than before: these are records of two vehicles, or the control unit that names it was " +
    "replaced",
  bus_silent_while_moving: "The vehicle moved while nothing came from its bus",
  odometer_frame_missing: "The vehicle's bus spoke, and no longer of the odometer",
  odometer_frame_doubled: "The odometer's message came more often than its sender sends it, as from two",
  odometer_frame_off_period: "The odometer's message came at other moments than its sender keeps",
  clock_jumped: "The vehicle's clock was set while its computer ran",
  unknown_part: "A control unit answered that had never been introduced",
};
const KIND_OF_FLAG = {
  frozen_while_moving: "distance_missing", blocker_suspected: "distance_missing", other_vehicle: "other_vehicle",
};
const SHARES = [
  [100, "a tenth"], [200, "a fifth"], [250, "a quarter"], [333, "a third"], [500, "half"], [667, "two thirds"],
  [750, "three quarters"],
];
const NEAR_PERMILLE = 15;

const shareText = (permille) => {
  const percent = `${Math.floor((permille + 5) / 10)} %`;
  const near = SHARES.find(([share]) => Math.abs(permille - share) <= NEAR_PERMILLE);
  return near === undefined ? `about ${percent}` : `about ${near[1]} (${percent})`;
};

class Remarks {
  constructor(items, stamps) {
    this.items = items;
    this.stamps = stamps;
    this.bounds = boundedDates(items, stamps);
    this.lasting = new Map();
    const own = [...items.keys()].filter((position) => isOwn(items[position]) && items[position].record.kind === ODOMETER);
    for (const flag of Object.keys(FLAGS_WHILE_THEY_LAST)) {
      let run = [];
      for (const position of own) {
        if (items[position].record.flags.includes(flag)) {
          run.push(position);
          continue;
        }
        this.tell(flag, run);
        run = [];
      }
      this.tell(flag, run);
    }
  }

  check(position, item) {
    const { record } = item;
    const told = record.flags.filter((flag) => Object.hasOwn(FLAGS_AT_ONCE, flag));
    const findings = told.map((flag) => {
      const when = flag === "clock_not_set" ? this.when(position) : "";
      return finding("flagged", record.seq, `Record ${record.seq} ${FLAGS_AT_ONCE[flag]}${when}.`);
    });
    findings.push(...(this.lasting.get(position) || []));
    if (record.hidden.includes("odometer_m")) findings.push(finding("hidden", record.seq, `Record ${record.seq} hides its reading.`));
    return findings;
  }

  // When a record without a date was made, as far as others of the same start of the computer tell.
  when(position) {
    if (this.stamps.has(position)) return `; it was ${stampWords(this.stamps.get(position))} of the same start of its computer`;
    if (!this.bounds.has(position)) return "";
    const [first, last] = this.bounds.get(position);
    return `; it was between ${momentWords(first)} and ${momentWords(last)} UTC, when the readings before and after it were taken`;
  }

  tell(flag, run) {
    if (run.length === 0) return;
    let share = "";
    if (flag === "blocker_suspected") {
      const known = run.map((each) => memberOf(this.items[each].record, "judgement", "missing_permille")).filter(isInteger);
      const part = known.length > 0 ? shareText(known[known.length - 1]) : "a part";
      share = `: ${part} of the distance is missing, by what other witnesses of it say`;
    }
    const [first, last] = [run[0], run[run.length - 1]];
    const [fromDay, toDay] = [this.day(first), this.day(last)];
    const days = fromDay === toDay ? fromDay : `${fromDay} to ${toDay}`;
    const [firstSeq, lastSeq] = [this.items[first].record.seq, this.items[last].record.seq];
    const where = run.length === 1 ? `record ${firstSeq}, ${days}` : `records ${firstSeq} to ${lastSeq}, ${days}`;
    if (!this.lasting.has(first)) this.lasting.set(first, []);
    const text = `${FLAGS_WHILE_THEY_LAST[flag]}${share} (${where}).`;
    this.lasting.get(first).push(finding(KIND_OF_FLAG[flag] ?? "flagged", firstSeq, text));
  }

  day(position) {
    const stamp = this.stamps.get(position);
    return dayText(stamp === undefined ? this.items[position].record.occurred : stamp.occurred);
  }
}
