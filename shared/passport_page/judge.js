// The verdict: every check of `v2x passport verify`, each told apart, so that one that fails does not hide what the others say. The
// order is that of shared/cli/passport.py: what the file is, who signed, in which role, what the series says, what the ledger holds.
// A check is true, false, or null where it could not be judged; only when all are true is a passport green.

const MAX_FAULTS_TOLD = 3;

// From how many faults of one check on the entries that follow are not looked at: a hostile file must not keep a reader waiting.
const MAX_FAULTS = 200;
const ENTRIES_AT_ONCE = 64;

const CHECKS = {
  form: [
    "The file is whole",
    "A passport has exactly one spelling. A file that somebody edited, even by a space, is refused before anything in it is believed.",
  ],
  signatures: [
    "Every record is signed and unchanged",
    "Each record carries the signature of whoever made it. Their certificates lead to a root authority; changing one digit of a " +
      "record, or of what is shown of it, breaks the signature.",
  ],
  roles: [
    "Everybody kept to their role",
    "A garage cannot write an inspection and nobody but the vehicle its own odometer: what an issuer may say is in the certificate.",
  ],
  sequence: [
    "No record is missing",
    "The vehicle numbers its records, and each names the one before it. A record left out leaves a gap, a second history a fork. " +
      "Records left out after the last one shown cannot be noticed.",
  ],
  odometer: [
    "The odometer never went back, and left nothing out",
    "Every reading, whoever took it, is held against the highest before it. What else the vehicle measures its way by says whether " +
      "all that was driven is in it.",
  ],
  inclusion: [
    "The ledger holds every record",
    "A fingerprint of each record was entered in a public ledger when it was made. The path from it to the ledger's root is " +
      "recomputed here; a record written afterwards has no such path.",
  ],
  checkpoint: [
    "The ledger signed this state of itself",
    "The root that the paths lead to is signed with the key that the policy names for this ledger.",
  ],
  witnesses: [
    "Independent witnesses saw it",
    "Witnesses countersign a ledger only as long as it never changes its past. Enough of them, as the policy asks, must have signed.",
  ],
  trust: [
    "Whom this verdict rests on",
    "Compare these fingerprints with those that the operators publish themselves: whoever made this page chose them, and a page " +
      "made by a fraud would name the fraud's own. You can load your own list of roots and your own policy.",
  ],
};

// What genuine records say about the vehicle; the other checks are about whether they are genuine.
const ABOUT_VEHICLE = ["sequence", "odometer"];

// Serious findings that are about the distance, not about whose records these are or which are missing.
const ABOUT_ODOMETER = ["rollback", "distance_missing"];

class Verdict {
  constructor() {
    this.faults = new Map(Object.keys(CHECKS).map((id) => [id, []]));
    this.open = new Map(Object.keys(CHECKS).map((id) => [id, []]));
    this.told = new Map();
    this.titles = new Map();
    this.unfinished = new Set();
  }

  fail(id, text) {
    this.faults.get(id).push(text);
  }

  leaveOpen(id, text) {
    this.open.get(id).push(text);
  }

  tell(id, text) {
    this.told.set(id, text);
  }

  // What a check that held is called, where its own name would say more than was found.
  rename(id, title) {
    this.titles.set(id, title);
  }

  isHopeless(...ids) {
    return ids.some((id) => this.faults.get(id).length >= MAX_FAULTS);
  }

  // Runs one part of the work; what goes wrong in a way nobody thought of makes its checks red.
  async part(ids, work) {
    try {
      await work();
    } catch (error) {
      for (const id of ids) {
        this.unfinished.add(id);
        this.fail(id, `this page could not finish the check: ${error.message}`);
      }
    }
  }

  checks() {
    return Object.entries(CHECKS).map(([id, [title, explains]]) => {
      const [faults, open] = [this.faults.get(id), this.open.get(id)];
      const passed = faults.length > 0 ? false : open.length > 0 || !this.told.has(id) ? null : true;
      const told = passed === true ? this.told.get(id) : summed(faults.length > 0 ? faults : open) || "This was not checked.";
      const name = passed === true ? (this.titles.get(id) ?? title) : title;
      return { id, title: name, passed, told, explains, isAboutVehicle: ABOUT_VEHICLE.includes(id) && !this.unfinished.has(id) };
    });
  }
}

const summed = (texts) => {
  const different = [...new Set(texts)];
  const more = different.length - MAX_FAULTS_TOLD;
  const told = different.slice(0, MAX_FAULTS_TOLD).map((text) => `${text[0].toUpperCase()}${text.slice(1)}`);
  return `${told.join(". ")}${more > 0 ? `. And ${more} more` : ""}`;
};

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// Entries in groups, until a check is hopeless; between them `progress` is told how far it is.
const inGroups = async (entries, verdict, ids, { progress, words }, judge) => {
  for (let at = 0; at < entries.length; at += ENTRIES_AT_ONCE) {
    if (verdict.isHopeless(...ids)) {
      for (const id of ids) verdict.leaveOpen(id, `${entries.length - at} entries more were not looked at`);
      return;
    }
    await judge(entries.slice(at, at + ENTRIES_AT_ONCE));
    await progress(`${words}: ${Math.min(at + ENTRIES_AT_ONCE, entries.length)} of ${entries.length}`);
  }
};

// `progress` is awaited now and then with a few words for people.
const judgePassport = async (passport, trust, progress = async () => {}) => {
  const verdict = new Verdict();
  const bytes = typeof passport === "string" ? utf8(passport) : passport;
  const judged = { bytes, trust: null, credentials: [], entries: [], notes: new Map(), verifiers: new Map(), findings: [], counting: new Map(), stamps: new Map(), progress };
  await verdict.part(["trust"], async () => {
    judged.trust = await judgeTrust(trust, verdict);
  });
  await verdict.part(["form"], () => judgeForm(judged, verdict));
  await verdict.part(["signatures", "roles"], () => judgeSigners(judged, verdict));
  await verdict.part(["inclusion", "checkpoint", "witnesses"], () => judgeLedger(judged, verdict));
  await verdict.part(["sequence", "odometer"], () => judgeSeries(judged, verdict));
  return reportOf(judged, verdict.checks());
};

const judgeForm = (judged, verdict) => {
  let read = null;
  try {
    read = readPassport(judged.bytes);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    verdict.fail("form", `the passport cannot be read: ${error.message}`);
    return;
  }
  read.faults.forEach((fault) => verdict.fail("form", fault));
  judged.credentials = read.credentials.map((credential, n) => ({ number: n + 1, ...credential, isReadable: credential !== null }));
  judged.entries = read.records.map((item, n) => ({
    number: n + 1,
    where: `entry ${n + 1} of ${read.records.length}`,
    item,
    record: null,
    issuer: null,
    commitment: item === null ? null : commitmentOf(item.token.jwt, item.salt),
    isGenuine: false,
  }));
  verdict.tell("form", `${counted(read.records.length, "record")} under ${counted(read.credentials.length, "credential")}`);
};

// The ledger: inclusion of every entry, and every distinct checkpoint once.
const judgeLedger = async ({ trust, entries, notes, progress }, verdict) => {
  const policy = trust === null ? null : trust.policy;
  const ids = ["inclusion", "checkpoint", "witnesses"];
  await inGroups(entries, verdict, ids, { progress, words: "Looking records up in the ledger" }, async (some) => {
    for (const entry of some) await judgeInclusion(entry, notes, policy, verdict);
  });
  if (entries.length > 0) verdict.tell("inclusion", `${counted(entries.length, "record")}, each with its path to the ledger's root`);
  if (policy !== null) return;
  for (const id of ["checkpoint", "witnesses"]) verdict.leaveOpen(id, "there is no policy that says which ledger and witnesses count");
};

const judgeInclusion = async (entry, notes, policy, verdict) => {
  if (entry.item === null) {
    verdict.leaveOpen("inclusion", `${entry.where} cannot be read`);
    return;
  }
  const { proof } = entry.item;
  if (!notes.has(proof.note)) {
    notes.set(proof.note, await judgeNote(proof.note, policy));
    if (policy !== null) judgeCheckpoint(notes.get(proof.note), policy, verdict);
  }
  const note = notes.get(proof.note);
  if (note.malformed !== null) {
    verdict.leaveOpen("inclusion", `${entry.where} comes with a checkpoint that cannot be read`);
    return;
  }
  const { size, root } = note.checkpoint;
  const fault = await faultOf(() => verifyInclusion(entry.commitment, proof.index, size, proof.hashes, root));
  if (fault !== null) verdict.fail("inclusion", `${entry.where}: the ledger is not shown to hold this record: ${fault}`);
};

const judgeCheckpoint = (note, policy, verdict) => {
  if (note.malformed !== null) {
    verdict.fail("checkpoint", `the ledger's checkpoint cannot be read: ${note.malformed}`);
    verdict.leaveOpen("witnesses", "the ledger's checkpoint cannot be read");
    return;
  }
  const { origin, size } = note.checkpoint;
  if (note.unsigned !== null) verdict.fail("checkpoint", `the checkpoint of ${size} entries: ${note.unsigned}`);
  verdict.tell("checkpoint", `${origin}, ${size} ${size === 1n ? "entry" : "entries"}`);
  note.badCosignatures.forEach((fault) => verdict.fail("witnesses", fault));
  const names = note.witnesses.map(shownName).join(", ") || "no known witness";
  if (!note.isQuorum) {
    const asked = quorumAsked(policy);
    verdict.fail("witnesses", `not enough witnesses have seen the ledger: the policy asks for ${asked}, cosigned by ${names}`);
  }
  verdict.tell("witnesses", `Cosigned by ${names}; the policy asks for ${quorumAsked(policy)}`);
  if (note.witnesses.length === 0) verdict.rename("witnesses", "No independent witness was asked for, and none saw it");
};

// What the genuine records say; where one is not genuine, only what speaks against the vehicle can be told for certain.
const judgeSeries = (judged, verdict) => {
  const genuine = judged.entries.filter((entry) => entry.isGenuine);
  const items = genuine.map((entry) => ({
    record: entry.record,
    commitment: entry.commitment,
    credential: entry.item.kid,
    role: entry.issuer.role,
  }));
  judged.counting = countingReadings(items);
  judged.findings = checkSequence(items);
  judged.stamps = new Map([...stampedLater(items)].map(([position, stamp]) => [items[position].record, stamp]));
  for (const each of judged.findings.filter((found) => found.isSerious)) {
    verdict.fail(ABOUT_ODOMETER.includes(each.kind) ? "odometer" : "sequence", each.text);
  }
  const doubtful = judged.entries.length - genuine.length;
  if (doubtful > 0 || genuine.length === 0) {
    const text = `${counted(doubtful, "record")} of ${judged.entries.length} ${doubtful === 1 ? "is" : "are"} not shown to be genuine`;
    verdict.leaveOpen("sequence", text);
    verdict.leaveOpen("odometer", text);
    return;
  }
  const [first, last] = [genuine[0], genuine[genuine.length - 1]];
  verdict.tell("sequence", `Records ${first.record.seq} to ${last.record.seq}, each naming the one before it`);
  const readings = genuine.map((entry) => entry.record.odometerM).filter((metres) => metres !== null);
  verdict.tell("odometer", readings.length === 0 ? "No reading is shown" : `${counted(readings.length, "reading")}, none below one before it`);
};
