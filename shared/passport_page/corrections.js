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

class Corrections {
  constructor(items) {
    this.items = items;
    this.correctedBy = new Map();
    this.findings = new Map();
    const positions = new Map();
    items.forEach((item, position) => {
      if (!positions.has(item.record.seq)) positions.set(item.record.seq, position);
    });
    items.forEach((item, position) => {
      if (item.record.corrects !== null) this.findings.set(position, this.read(item, position, positions.get(item.record.corrects)));
    });
    this.counting = new Set(this.correctedBy.values());
  }

  read(item, position, wrongAt) {
    const { seq, corrects } = item.record;
    if (wrongAt === undefined || wrongAt >= position) {
      return finding("corrected", seq, `Record ${seq} corrects record ${corrects}, which is not shown before it.`);
    }
    const wrong = this.items[wrongAt];
    const fault = faultOfCorrection(item, wrong);
    if (fault !== null) return finding("bad_correction", seq, `Record ${seq} is no correction: ${fault}.`);
    let place = wrongAt;
    while (this.correctedBy.has(place)) place = this.correctedBy.get(place);
    this.correctedBy.set(place, position);
    const another = item.credential === wrong.credential || isOwn(item) ? "" : ", not the one that had issued it";
    const text = `Record ${corrects} was corrected with record ${seq} by ${signerOf(item)}${another}; both are shown.`;
    return finding("corrected", seq, text);
  }

  isCorrection(position) {
    return this.counting.has(position);
  }

  // The record that counts for what the one there said: its last correction, or itself.
  latest(position) {
    let place = position;
    while (this.correctedBy.has(place)) place = this.correctedBy.get(place);
    return this.items[place];
  }
}
