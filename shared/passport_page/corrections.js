// Corrections among the records of one vehicle, as in shared/records/corrections.py: a record that puts an earlier one right stands
// beside it. An item is {record, commitment, credential, role}.

const isOwn = (item) => item.record.subject === null;

const signerOf = (item) => (isOwn(item) ? "the vehicle" : roleWords(item.role));

const finding = (kind, seq, text) => ({ kind, seq, text });

const faultOfCorrection = (item, wrong) => {
  if (item.record.kind !== wrong.record.kind) {
    const [own, other] = [item.record, wrong.record];
    return `record ${own.seq} is ${own.spec.words} and cannot correct record ${other.seq}, ${other.spec.words}`;
  }
  if (item.role !== wrong.role) {
    return `record ${wrong.record.seq} was issued by ${roleWords(wrong.role)}; ${roleWords(item.role)} may not correct it`;
  }
  return null;
};

// How a reading was changed, where both are shown.
const changeOf = (wrong, item) => {
  const [before, after] = [wrong.record.odometerM, item.record.odometerM];
  if (before === null || after === null || before === after) return "; both are shown";
  return `, from ${kmText(before)} to ${kmText(after)}; both are shown`;
};

// The records whose readings count, each with the number of the record in whose place it stands: its own, or the corrected one's.
const countingReadings = (items) => {
  const corrections = new Corrections(items);
  const counting = new Map();
  items.forEach(({ record }, position) => {
    if (corrections.isCorrection(position)) return;
    for (const item of corrections.readings(position)) counting.set(item.record, record.seq);
  });
  return counting;
};

class Corrections {
  constructor(items) {
    this.items = items;
    this.first = new Map();
    this.later = new Map();
    this.findings = new Map();
    const positions = new Map();
    items.forEach((item, position) => {
      if (!positions.has(item.record.seq)) positions.set(item.record.seq, position);
    });
    items.forEach((item, position) => {
      if (item.record.corrects !== null) this.findings.set(position, this.read(item, position, positions.get(item.record.corrects)));
    });
  }

  read(item, position, wrongAt) {
    const { seq, corrects } = item.record;
    if (wrongAt === undefined || wrongAt >= position) {
      return finding("corrected", seq, `Record ${seq} corrects record ${corrects}, which is not shown before it.`);
    }
    const wrong = this.items[wrongAt];
    const fault = faultOfCorrection(item, wrong);
    if (fault !== null) return finding("bad_correction", seq, `Record ${seq} is no correction: ${fault}.`);
    const first = this.first.has(wrongAt) ? this.first.get(wrongAt) : wrongAt;
    this.first.set(position, first);
    if (!this.later.has(first)) this.later.set(first, []);
    this.later.get(first).push(position);
    const another = item.credential === wrong.credential || isOwn(item) ? "" : ", not the one that had issued it";
    const text = `Record ${corrects} was corrected with record ${seq} by ${signerOf(item)}${another}${changeOf(wrong, item)}.`;
    return finding("corrected", seq, text);
  }

  isCorrection(position) {
    return this.first.has(position);
  }

  // The record there, which is no correction, and its corrections in order.
  saidOf(position) {
    return [position, ...(this.later.get(position) || [])].map((each) => this.items[each]);
  }

  // What counts of a record that is no correction: of each claim, what was last said and is shown.
  fields(position) {
    return new Map(this.saidOf(position).flatMap((item) => [...item.record.fields]));
  }

  // The records whose readings count for one that is no correction: of whoever gave one, the last that is shown. What one issuer had
  // read, another does not take back; what is hidden takes nothing back.
  readings(position) {
    const counting = new Map();
    for (const item of this.saidOf(position)) {
      if (item.record.hidden.includes("odometer_m")) continue;
      const who = isOwn(item) ? "" : item.credential;
      counting.delete(who);
      if (item.record.odometerM !== null) counting.set(who, item);
    }
    return [...counting.values()];
  }
}
