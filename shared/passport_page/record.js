// Records read strictly, as in shared/records/record.py and issuers.py: which claims a kind may show, who may issue it, and the
// commitment that the ledger holds.

const RECORD_TYPE = "v2x-record+sd-jwt";
const COMMITMENT_SALT_BYTES = 16;
const VISIBLE_CLAIMS = ["kind", "seq", "prev", "flags", "next_credential", "subject", "corrects"];
const VEHICLE = "vehicle";
const ODOMETER = "odometer";

const roleWords = (role) => TABLES.roles[role].words;

const commitmentOf = (jwt, salt) => sha256(concat(utf8("v2x-trust record commitment v1\n"), salt, utf8(jwt)));

const isInteger = (value) => typeof value === "number";

// What stands in a claim that is an object; null where nothing does, or the claim is hidden.
const memberOf = (record, claim, name) => {
  const members = record.fields.get(claim);
  return members instanceof Map ? members.get(name) : null;
};

class Claims {
  constructor(claims) {
    this.claims = claims;
    const claim = claims.get("kind");
    if (typeof claim !== "string" || !Object.hasOwn(TABLES.kinds, claim)) {
      throw new CheckFailed("content", "not a record of a known kind and version");
    }
    this.spec = TABLES.kinds[claim];
    const known = new Set([...VISIBLE_CLAIMS, ...this.spec.fields.map((field) => field.name)]);
    const unknown = [...claims.keys()].filter((name) => !known.has(name));
    if (unknown.length > 0) {
      throw new CheckFailed("content", `${unknown[0].slice(0, 32)} is no claim of ${this.spec.words}`);
    }
  }

  wrong(claim, fault = null) {
    const why = fault === null ? "" : `: ${fault}`;
    return new CheckFailed("content", `${claim} is not what ${this.spec.words} may say there${why}`);
  }

  record() {
    const { claims, spec } = this;
    const seq = claims.get("seq");
    if (!isInteger(seq) || seq < 0) throw this.wrong("seq");
    const prev = claims.has("prev") ? decodeBase64url(this.hash("prev"), "prev") : null;
    if ((prev === null) !== (seq === 0)) throw this.wrong("prev");
    const fields = this.fields();
    const nextCredential = claims.has("next_credential") ? this.hash("next_credential") : null;
    const isOdometer = spec.kind === ODOMETER;
    if (nextCredential !== null && !isOdometer) throw this.wrong("next_credential");
    if (isOdometer && fields.has("reason") && (fields.get("reason") === "credential_renewed") !== (nextCredential !== null)) {
      throw this.wrong("next_credential");
    }
    const subject = claims.has("subject") ? this.hash("subject") : null;
    const hidden = spec.fields.map((field) => field.name).filter((name) => !claims.has(name));
    return {
      kind: spec.kind,
      spec,
      seq,
      prev,
      flags: this.flags(),
      occurred: claims.has("occurred") ? claims.get("occurred") : null,
      fields,
      nextCredential,
      subject,
      corrects: this.corrects(seq),
      hidden,
      odometerM: isInteger(fields.get("odometer_m")) ? fields.get("odometer_m") : null,
      hasReading: isInteger(fields.get("odometer_m")) || hidden.includes("odometer_m"),
    };
  }

  fields() {
    const fields = new Map();
    for (const field of this.spec.fields) {
      if (!this.claims.has(field.name)) continue;
      const value = this.claims.get(field.name);
      const fault = faultOfField(field, value);
      if (fault !== null) throw this.wrong(field.name, fault);
      if (field.name !== "occurred") fields.set(field.name, value);
    }
    for (const [first, second] of this.spec.inOrder) {
      const [begin, end] = [fields.get(first), fields.get(second)];
      if (typeof begin === "string" && typeof end === "string" && end < begin) throw this.wrong(second, `before ${first}`);
    }
    return fields;
  }

  hash(claim) {
    const text = this.claims.get(claim);
    const fault = faultOfType(TABLES.hash, text);
    if (fault !== null) throw this.wrong(claim, fault);
    return text;
  }

  flags() {
    const isOdometer = this.spec.kind === ODOMETER;
    if (!this.claims.has("flags") && !isOdometer) return [];
    const names = this.claims.get("flags");
    if (!Array.isArray(names)) throw this.wrong("flags");
    const known = this.spec.flags;
    const areKnown = names.every((name) => typeof name === "string" && known.includes(name));
    if (!areKnown || new Set(names).size !== names.length) throw this.wrong("flags");
    if (names.length === 0 && !isOdometer) throw this.wrong("flags", "left out where there is none");
    return names;
  }

  corrects(seq) {
    if (!this.claims.has("corrects")) return null;
    const corrects = this.claims.get("corrects");
    if (!isInteger(corrects) || corrects < 0 || corrects >= seq) throw this.wrong("corrects", "not the number of an earlier record");
    return corrects;
  }
}

// Throws unless a role may issue a record, and says about which vehicle where it is not the vehicle itself.
const checkMayIssue = (role, record) => {
  if (!TABLES.roles[role].kinds.includes(record.kind)) {
    const others = Object.values(TABLES.roles).filter((each) => each.kinds.includes(record.kind)).map((each) => each.words);
    throw new CheckFailed("role", `${roleWords(role)} may not issue ${record.spec.plural}; ${others.join(" or ")} may`);
  }
  if ((record.subject === null) !== (role === VEHICLE)) {
    throw new CheckFailed(
      "subject",
      record.subject === null
        ? `${roleWords(role)} signed it, and it does not say about which vehicle`
        : "the vehicle signed it, and it says to be about another one",
    );
  }
};
