// What a vehicle's records say beside the odometer, as in shared/records/life_events.py: owners, crashes and their repair, parts and
// where they came from, consent. What is hidden is not guessed at.

const NOT_TO_BE_OVERLOOKED = ["moderate", "structural", "total_loss"];
const EVENT_WORDS = {
  first_registration: "The vehicle was registered for the first time",
  transfer: "The vehicle changed hands",
  deregistration: "The vehicle was taken off the register",
  export: "The vehicle was exported",
  import: "The vehicle was imported",
  scrapped: "The vehicle was scrapped",
};
const ACTION_WORDS = {
  fitted: "a part had been fitted",
  replaced: "a part had been replaced",
  removed: "a part was gone",
  reprogrammed: "a part had other software than before",
};
const SEVERITY_WORDS = {
  not_known: "A crash, how bad is not known,",
  cosmetic: "A crash with cosmetic damage",
  moderate: "A crash with moderate damage",
  structural: "A crash with structural damage",
  total_loss: "A crash that was a total loss",
};

const isText = (value) => typeof value === "string";

const odometerWorkedOn = (item) => {
  const { seq, occurred } = item.record;
  const text = `The odometer itself was worked on by ${signerOf(item)} on ${dayText(occurred)} (record ${seq}).`;
  return finding("odometer_worked_on", seq, text);
};

class LifeEvents {
  constructor(items, corrections) {
    this.corrections = corrections;
    this.repaired = new Map();
    items.forEach((item, position) => {
      if (corrections.isCorrection(position) || item.record.kind !== "repair") return;
      const fields = corrections.fields(position);
      if (fields.get("outcome") === "complete") this.repaired.set(fields.get("accident_seq"), item);
    });
    this.holder = null;
    this.holders = null;
    this.fitted = new Map();
    this.grants = new Map();
    this.withdrawn = new Map();
  }

  check(position, item) {
    const fields = this.corrections.fields(position);
    switch (item.record.kind) {
      case "ownership": return this.ownership(item, fields);
      case "accident": return this.accident(item, fields);
      case "part": return this.part(item, fields);
      case "maintenance":
      case "repair": return (fields.get("works") || []).includes("odometer") ? [odometerWorkedOn(item)] : [];
      case "consent_grant": return this.grant(item, fields);
      case "consent_withdrawal": return this.withdrawal(item, fields);
      case "data_answer": return this.answer(item, fields);
      default: return [];
    }
  }

  ownership(item, fields) {
    const { seq, occurred } = item.record;
    const event = fields.get("event");
    if (!isText(event)) return [];
    const findings = [finding("ownership", seq, `${EVENT_WORDS[event]} on ${dayText(occurred)} (record ${seq}).`)];
    const [giver, taker, holders] = [fields.get("from_party"), fields.get("to_party"), fields.get("holders")];
    if (isText(giver) && this.holder !== null && giver !== this.holder.party) {
      const text =
        `Record ${seq} hands the vehicle on from somebody else than the one record ${this.holder.seq} gave it to: ` +
        `a change of owner is not shown.`;
      findings.push(finding("ownership_break", seq, text));
    }
    if (isInteger(holders)) {
      if (this.holders !== null && holders < this.holders.count) {
        const text = `Record ${seq} counts ${holders} holders, after ${this.holders.count} in record ${this.holders.seq}.`;
        findings.push(finding("ownership_break", seq, text));
      }
      this.holders = { count: holders, seq };
    }
    if (isText(taker)) this.holder = { party: taker, seq };
    else if (!fields.has("to_party")) this.holder = null;
    return findings;
  }

  accident(item, fields) {
    const { seq, occurred } = item.record;
    const severity = fields.get("severity");
    if (!isText(severity)) return [];
    const what = `${SEVERITY_WORDS[severity]} on ${dayText(occurred)} (record ${seq}, told by ${signerOf(item)})`;
    const repair = this.repaired.get(seq);
    let done = NOT_TO_BE_OVERLOOKED.includes(severity) ? "; no complete repair of it is shown." : ".";
    if (repair !== undefined && repair.record.seq > seq) done = `: repaired, says ${signerOf(repair)} (record ${repair.record.seq}).`;
    return [finding("damage", seq, `${what}${done}`)];
  }

  part(item, fields) {
    const { seq, hidden } = item.record;
    const [action, part, condition] = [fields.get("action"), fields.get("part"), fields.get("condition")];
    if (!isText(action) || !isText(part)) return [];
    if (isOwn(item)) {
      const text = `The vehicle noticed on ${dayText(item.record.occurred)} that ${ACTION_WORDS[action]}: ${part} (record ${seq}).`;
      return [finding("part", seq, text)];
    }
    const findings = action === "reprogrammed" ? [] : this.serials(item, part, action, fields);
    if (part.toLowerCase().includes("odometer")) findings.push(odometerWorkedOn(item));
    if (action === "removed" || !["used", "remanufactured", "repurposed"].includes(condition)) return findings;
    const holder = fields.get("previous_holder");
    let origin = hidden.includes("previous_holder") ? "where it came from is hidden" : "where it came from is not said";
    if (holder instanceof Map) {
      origin =
        holder.get("by") === "commitment"
          ? `it came with the record that the ledger holds as ${holder.get("hash")}`
          : `it came from the holder of credential ${holder.get("hash")}`;
    }
    const text = `A part that is ${condition} was fitted with record ${seq} by ${signerOf(item)}: ${part}; ${origin}.`;
    return [...findings, finding("part", seq, text)];
  }

  serials(item, part, action, fields) {
    const { seq } = item.record;
    const [maker, serial, replaced] = [fields.get("maker"), fields.get("serial_number"), fields.get("replaced_serial_number")];
    if (!isText(maker)) return [];
    if (isText(replaced)) this.fitted.delete(JSON.stringify([maker, replaced]));
    if (!isText(serial)) return [];
    const key = JSON.stringify([maker, serial]);
    const before = this.fitted.get(key);
    this.fitted.delete(key);
    if (action === "removed") return [];
    this.fitted.set(key, seq);
    if (before === undefined) return [];
    const text =
      `The ${part} with serial number ${serial} was fitted with record ${seq}, and had been fitted with record ${before} before.`;
    return [finding("part", seq, text)];
  }

  grant(item, fields) {
    this.grants.set(item.record.seq, fields);
    return [];
  }

  withdrawal(item, fields) {
    const granted = fields.get("grant_seq");
    if (isInteger(granted) && !this.withdrawn.has(granted)) this.withdrawn.set(granted, item.record.seq);
    return [];
  }

  answer(item, fields) {
    const { seq } = item.record;
    const granted = fields.get("grant_seq");
    if (!isInteger(granted)) return [];
    const words = `Data were given to others with record ${seq}`;
    let text = `${words}, as the holder had let them have with record ${granted}.`;
    if (this.withdrawn.has(granted)) {
      text = `${words} under grant ${granted}, which had been withdrawn with record ${this.withdrawn.get(granted)}.`;
    } else if (!this.grants.has(granted)) {
      text = `${words} under grant ${granted}, which is not shown before it.`;
    } else if (this.isOver(item, granted)) {
      text = `${words} under grant ${granted}, which had ended.`;
    }
    return [finding("consent", seq, text)];
  }

  isOver(item, granted) {
    const until = this.grants.get(granted).get("valid_until");
    const { occurred } = item.record;
    return isText(until) && occurred !== null && occurred >= until;
  }
}
