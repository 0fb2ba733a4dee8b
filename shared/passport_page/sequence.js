// What a series of records says about a vehicle, as in shared/records/sequence.py and in the same words: gaps, forks, rollbacks, changes
// of credential. Records left out after the last one shown cannot be noticed at all.

const READ_BY_EYE_M = 1609;
const ENTERED_LATE_MS = 86400000;
const SERIOUS = new Set([
  "rollback", "fork", "gap", "credential_not_introduced", "foreign_subject", "none_of_its_own", "bad_correction",
  "ownership_break", "distance_missing", "other_vehicle", "counter_out_of_step",
]);

const checkSequence = (items) => {
  const findings = [];
  if (items.length > 0 && items[0].record.seq > 0) {
    const first = items[0].record.seq;
    findings.push(finding("gap", first, `The records before number ${first} are not shown (${first} of them).`));
  }
  const corrections = new Corrections(items);
  const life = new LifeEvents(items, corrections);
  const lifeFindings = items.map((item, position) => (corrections.isCorrection(position) ? [] : life.check(position, item)));
  const [stamps, clock] = [stampedLater(items), checkClock(items)];
  const [remarks, counter] = [new Remarks(items, stamps), new CounterSteps()];
  const [dates, credentials, odometer] = [new Dates(), new Credentials(), new Odometer(corrections)];
  items.forEach((item, position) => {
    if (position > 0) findings.push(...linksBetween(items[position - 1], item));
    findings.push(...dates.check(item), ...(clock.has(position) ? [clock.get(position)] : []), ...credentials.check(item));
    findings.push(...odometer.check(position, datedItem(item, stamps.get(position))), ...counter.check(item));
    findings.push(...remarks.check(position, item));
    if (corrections.findings.has(position)) findings.push(corrections.findings.get(position));
    findings.push(...lifeFindings[position]);
  });
  findings.push(...takenUp(items));
  return findings.map((each) => ({ ...each, isSerious: SERIOUS.has(each.kind) }));
};

// Records of others after the vehicle's last one: it need not know of them; nor of any, where none is its own.
const takenUp = (items) => {
  const own = items.findLastIndex(isOwn);
  const last = items.slice(own + 1);
  if (last.length === 0) return [];
  const { seq } = last[0].record;
  if (own < 0) {
    const text = "No record shown is signed by the vehicle itself: whoever signed these could write them without it.";
    return [finding("none_of_its_own", seq, text)];
  }
  const text =
    last.length === 1
      ? `The last record (number ${seq}) is not the vehicle's own but signed by ${signerOf(last[0])}, and none of its own follows: ` +
        `nothing shows yet that the vehicle knows of it.`
      : `The last ${last.length} records, from number ${seq} on, are not the vehicle's own, and none of its own follows: ` +
        `nothing shows yet that the vehicle knows of them.`;
  return [finding("not_taken_up", seq, text)];
};

const linksBetween = (previous, item) => {
  const [a, b] = [previous.record, item.record];
  if (b.seq <= a.seq) {
    const text = `Record ${b.seq} stands after record ${a.seq}: two histories of one vehicle, as if its memory had been restored.`;
    return [finding("fork", b.seq, text)];
  }
  if (b.seq > a.seq + 1) {
    const missing = b.seq - a.seq - 1;
    const numbers = missing === 1 ? `${a.seq + 1}` : `${a.seq + 1} to ${b.seq - 1}`;
    const are = missing > 1 ? "s are" : " is";
    return [finding("gap", b.seq, `${missing} record${are} missing (number ${numbers}): what they said is not known.`)];
  }
  if (b.prev === null || !sameBytes(b.prev, previous.commitment)) {
    const text = `Record ${b.seq} follows another record ${a.seq} than the one shown: two histories of one vehicle.`;
    return [finding("fork", b.seq, text)];
  }
  return [];
};

// Dates that run backwards: a clock was wrong, or somebody entered a record later than what it states.
class Dates {
  constructor() {
    this.last = null;
  }

  check(item) {
    const { last } = this;
    const { occurred } = item.record;
    if (occurred === null) {
      this.last = isOwn(item) ? null : last;
      return [];
    }
    const before = last === null ? null : last.record.occurred;
    const findings = before !== null && occurred < before ? this.backwards(item, occurred, last, before) : [];
    if (isOwn(item) || before === null || occurred >= before) this.last = item;
    return findings;
  }

  backwards(item, occurred, last, before) {
    const [a, b] = [last.record.seq, item.record.seq];
    if (isOwn(item)) {
      return [finding("clock", b, `Record ${b} is dated ${occurred}, before record ${a} (${before}): a clock was wrong.`)];
    }
    if (Date.parse(before) - Date.parse(occurred) < ENTERED_LATE_MS) return [];
    const text =
      `Record ${b} was entered by ${signerOf(item)} after record ${a} of ${dayText(before)}, ` +
      `and is of something that happened on ${dayText(occurred)}.`;
    return [finding("entered_late", b, text)];
  }
}

// A record is the vehicle's if it is signed under the credential in force, or names it as its subject.
class Credentials {
  constructor() {
    this.inForce = null;
    this.lastOwn = null;
    this.last = null;
  }

  check(item) {
    const { inForce, last, lastOwn } = this;
    const { record } = item;
    this.last = item;
    const named = record.subject || item.credential;
    if (isOwn(item)) {
      this.lastOwn = item;
      this.inForce = record.nextCredential || item.credential;
    } else {
      this.inForce = inForce || named;
    }
    if (inForce === null || last === null || named === inForce) return [];
    if (!isOwn(item)) {
      const text =
        `Record ${record.seq}, signed by ${signerOf(item)}, is not about the credential under which the vehicle's records ` +
        `are signed there: it is about another vehicle, or a record that names that credential was left out.`;
      return [finding("foreign_subject", record.seq, text)];
    }
    return [finding("credential_not_introduced", record.seq, notIntroduced(item, lastOwn || last))];
  }
}

const notIntroduced = (item, last) => {
  const [a, b] = [last.record, item.record];
  if (isOwn(last) && item.credential === last.credential) {
    return `Record ${b.seq} is signed under the credential that had handed over to another with record ${a.seq}.`;
  }
  if (a.nextCredential !== null) {
    return `Record ${b.seq} is signed under another credential than the one that record ${a.seq} hands over to.`;
  }
  if (!isOwn(last)) return `Record ${b.seq} is signed under another credential than the one that record ${a.seq} is about.`;
  return (
    `Record ${b.seq} is signed under another credential than record ${a.seq}, and no record shown hands over to it: the ` +
    `earlier key was lost, the record that names the later one was left out, or these are records of another vehicle.`
  );
};

const isOwnReading = (reading) => isOwn(reading.statedBy);

const wordsOfReading = (reading, withSource) => {
  const whose = isOwnReading(reading) ? "the vehicle's own" : `${signerOf(reading.statedBy)}'s`;
  const source = withSource ? ` (${whose} reading)` : "";
  return `${kmText(reading.metres)}${source} on ${dayText(reading.item.record.occurred)} (record ${reading.statedBy.record.seq})`;
};

// Whether a reading is below an earlier one; what was read by eye from a display is given its last digit.
const fell = (before, reading) =>
  before !== null && reading.metres + (isOwnReading(reading) && isOwnReading(before) ? 0 : READ_BY_EYE_M) < before.metres;

// Readings of the odometer, whoever took them: none may be below one before it.
class Odometer {
  constructor(corrections) {
    this.corrections = corrections;
    this.highestOwn = null;
    this.highestRead = null;
    this.before = null;
    this.hasFallen = false;
  }

  check(position, item) {
    const { record } = item;
    let stated = [];
    if (record.kind === ODOMETER) stated = record.odometerM === null ? [] : [item];
    else if (this.corrections.isCorrection(position)) return [];
    else stated = this.corrections.readings(position);
    if (stated.length === 0 && record.hidden.includes("odometer_m")) this.before = null;
    const findings = stated.flatMap((statedBy) => this.held({ metres: statedBy.record.odometerM, statedBy, item }));
    if (findings.length > 0) return findings;
    return stated.length > 0 && this.hasFallen ? [] : this.flagged(item);
  }

  flagged(item) {
    const { record } = item;
    if (!record.flags.includes("rollback")) return [];
    const text =
      record.odometerM === null
        ? `Record ${record.seq} hides its reading, but the vehicle flagged it as lower than the one before.`
        : `Record ${record.seq} was flagged by the vehicle itself as lower than the reading before it.`;
    return [finding("rollback", record.seq, text)];
  }

  // Holds a reading against those before it, and remembers it.
  held(reading) {
    const highest = [this.highestOwn, this.highestRead].filter((before) => before !== null);
    const above = highest.filter((before) => fell(before, reading));
    const findings = this.compared(reading, above);
    if (above.length > 0) this.hasFallen = true;
    else if (highest.every((before) => before.metres <= reading.metres)) this.hasFallen = false;
    this.before = reading;
    const which = isOwnReading(reading) ? "highestOwn" : "highestRead";
    if (this[which] === null || reading.metres > this[which].metres) this[which] = reading;
    return findings;
  }

  // A fall is told once, where it happens; readings that climb again below the highest are its consequence.
  compared(reading, above) {
    const falls = this.before === null || fell(this.before, reading);
    if (above.length === 0 || (this.hasFallen && !falls)) return [];
    const highest = above.reduce((most, each) => (each.metres > most.metres ? each : most), above[0]);
    const since = this.before !== null && falls ? this.before : highest;
    const withSource = !(isOwnReading(reading) && isOwnReading(since));
    const text =
      `The odometer was rolled back: ${wordsOfReading(reading, withSource)}, after ` +
      `${wordsOfReading(since, withSource)}: ${kmText(since.metres - reading.metres)} are missing.`;
    return [finding("rollback", reading.item.record.seq, text)];
  }
}
