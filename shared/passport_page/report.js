// What is drawn: the checks, the records, the findings and the anchors, as plain values. A record that is not shown to be genuine keeps its
// place and says nothing.

const plainValue = (value) => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, item]) => [name, plainValue(item)]));
  return Array.isArray(value) ? value.map(plainValue) : value;
};

const reportOf = (judged, checks) => {
  const green = checks.every((check) => check.passed === true);
  return {
    green,
    // What `v2x passport verify` answers with status 0: everything is proven, whatever the records say about the vehicle.
    verified: checks.every((check) => check.isAboutVehicle || check.passed === true),
    checks,
    readings: readingsOf(judged),
    findings: judged.findings.map(({ kind, seq, text, isSerious }) => ({ severity: isSerious ? "red" : "note", text, kind, seq })),
    subject: subjectOf(judged),
    checkpoint: checkpointOf(judged),
    trust: anchorsOf(judged.trust),
    passportSha256: hexOf(sha256(judged.bytes)),
  };
};

const readingsOf = ({ entries, findings, counting, stamps }) => {
  const fallen = new Set(findings.filter((each) => each.kind === "rollback").map((each) => each.seq));
  let before = null;
  return entries.map((entry) => {
    const { record, isGenuine } = entry;
    if (!isGenuine) return doubtfulReading(entry);
    const { odometerM, hasReading } = record;
    const distanceSinceM = odometerM === null || before === null || before.odometerM === null ? null : odometerM - before.odometerM;
    if (hasReading) before = record;
    const isBack = fallen.has(record.seq);
    const stamp = stamps.get(record);
    return {
      seq: record.seq,
      recordedAt: stamp === undefined ? record.occurred : stamp.occurred,
      datedBy: stamp === undefined ? null : stamp.bySeq,
      kind: record.kind,
      role: entry.issuer.role,
      source: sourceOf(entry),
      odometerM,
      distanceSinceM,
      flags: isBack && !record.flags.includes("rollback") ? ["rollback", ...record.flags] : record.flags,
      corrects: record.corrects,
      countsFor: counting.get(record) ?? null,
      credential: entry.issuer.number,
      handsOver: record.nextCredential !== null,
      isGenuine,
      fields: record.spec.fields.map(({ name }) => {
        const hidden = record.hidden.includes(name);
        const value = name === "occurred" ? record.occurred : plainValue(record.fields.get(name));
        return { name, value: hidden ? null : value, hidden };
      }),
    };
  });
};

const doubtfulReading = (entry) => ({
  seq: entry.record === null ? null : entry.record.seq,
  recordedAt: null,
  datedBy: null,
  kind: entry.record === null ? null : entry.record.kind,
  role: null,
  source: null,
  odometerM: null,
  distanceSinceM: null,
  flags: ["not_genuine"],
  corrects: null,
  countsFor: null,
  credential: null,
  handsOver: false,
  isGenuine: false,
  fields: [],
});

const sourceOf = (entry) => {
  const { record } = entry;
  if (!isVehicle(entry)) return roleWords(entry.issuer.role);
  if (record.kind !== ODOMETER) return "the vehicle";
  return (record.fields.get("sources") || []).map((source) => source.get("name")).join(", ") || "hidden";
};

// The `kid` of the vehicle's credential in force at the end.
const subjectOf = ({ entries }) => {
  const own = entries.filter((entry) => entry.isGenuine && isVehicle(entry));
  return own.length === 0 ? null : own[own.length - 1].item.kid;
};

// The largest state of the ledger that was proven.
const checkpointOf = ({ notes }) => {
  const proven = [...notes.values()].filter((note) => note.checkpoint !== null && note.unsigned === null && note.isQuorum);
  if (proven.length === 0) return null;
  const largest = proven.reduce((most, each) => (each.checkpoint.size > most.checkpoint.size ? each : most));
  const { origin, size, root } = largest.checkpoint;
  const seenAt = largest.time === null ? null : momentOfSeconds(largest.time);
  return { origin, size: Number(size), root: encodeBase64(root), witnesses: largest.witnesses.map(shownName), seenAt };
};

const momentOfSeconds = (seconds) => {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
};

// A quorum in words: the policy's own names of groups say nothing to who compares keys.
const quorumWords = ({ groups }, name) => {
  const group = groups.find((each) => each.name === name);
  if (group === undefined) return shownName(name);
  const members = group.members.map((member) => quorumWords({ groups }, member));
  if (members.length === 1) return members[0];
  const all = group.threshold === members.length;
  return `(${all ? "all" : group.threshold} of ${members.join(", ")})`;
};

const quorumAsked = (policy) =>
  policy.quorum === null ? "none" : quorumWords(policy, policy.quorum).replace(/^\((.*)\)$/, "$1");

const quorumSentence = (policy) =>
  policy.quorum === null ? "No witness must have seen it" : `Must have been seen by ${quorumAsked(policy)}`;

// Whose word it stands on, for people who compare it with what the operators publish.
const anchorsOf = (trust) => {
  if (trust === null) return [];
  const { roots, policy, policyBytes } = trust;
  const anchors = (roots || []).map((root) => ({
    title: "Root authority",
    name: `${nameOfCertificate(root)} (${hexOf(root.id).toUpperCase()}), SHA-256 of its certificate`,
    fingerprint: hexOf(sha256(root.encoded)),
  }));
  if (policy === null) return anchors;
  const keyed = (title, name, key) => ({
    title,
    name: `${name}, key id ${hexOf(key.keyId)}, public key`,
    fingerprint: hexOf(key.kind === ML_DSA_44_KIND ? sha256(key.publicKey) : key.publicKey),
  });
  return [
    ...anchors,
    ...policy.logs.map((key) => keyed("Ledger that counts", key.name, key)),
    ...policy.witnesses.map(({ name, key }) => keyed("Witness", shownName(name), key)),
    { title: "Policy", name: `${quorumSentence(policy)}; SHA-256 of the policy file`, fingerprint: hexOf(sha256(policyBytes)) },
  ];
};
