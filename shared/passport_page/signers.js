// Who signed: every enclosed credential chained to a trusted root at the date of what it signed last, every record verified with the
// key of the credential it names, as in `verify_with_trust` of shared/cli/passport.py and `verify_passport` of shared/records/passport.py.

const isVehicle = (entry) => entry.issuer !== null && entry.issuer.role === VEHICLE;

const judgeSigners = async (judged, verdict) => {
  const issuers = judgeCredentials(judged.credentials, verdict);
  const { entries, credentials, progress } = judged;
  await inGroups(entries, verdict, ["signatures", "roles"], { progress, words: "Verifying signatures" }, async (some) => {
    const told = await Promise.all(some.map((entry) => judgeEntry(entry, issuers, credentials)));
    for (const fault of told.filter((each) => each !== null)) verdict[fault.how](fault.id, fault.text);
  });
  const newest = [...judged.entries].reverse().find((entry) => entry.record !== null && isVehicle(entry));
  for (const issuer of issuers.values()) {
    const own = judged.trust !== null && judged.trust.at !== null && newest !== undefined && newest.issuer === issuer;
    const moment = own ? judged.trust.at : lastSigned(issuer, judged.entries);
    await judgeChain(issuer, moment === null ? new Date().toISOString() : moment, judged, verdict);
  }
  for (const entry of judged.entries) judgeDate(entry, verdict);
  if (judged.entries.length === 0) return;
  const roles = [...new Set([...issuers.values()].map((issuer) => (issuer.role === VEHICLE ? "the vehicle" : roleWords(issuer.role))))];
  const roots = [...new Set([...issuers.values()].filter((issuer) => issuer.root).map((issuer) => nameOfCertificate(issuer.root)))];
  verdict.tell("signatures", `${counted(judged.entries.length, "record")}, signed by ${roles.join(", ")}, under ${roots.join(", ")}`);
  const unread = judged.entries.filter((entry) => entry.record === null).length;
  if (unread > 0) verdict.leaveOpen("roles", `of ${counted(unread, "record")} it is not known who wrote ${unread === 1 ? "it" : "them"}`);
  verdict.tell("roles", `${counted(issuers.size, "credential")}: ${roles.join(", ")}`);
};

// The issuers by `kid`; a credential that cannot be used is told and left out.
const judgeCredentials = (credentials, verdict) => {
  const issuers = new Map();
  const readable = credentials.filter((each) => each.isReadable);
  const decoded = readable.map((each) => ({ ...each, ...decodedCredential(each, verdict) }));
  const vehicles = decoded.filter((each) => each.role === VEHICLE).length;
  let own = 0;
  for (const each of decoded) {
    if (each.leaf === undefined) continue;
    own += each.role === VEHICLE ? 1 : 0;
    const which = vehicles === 1 ? "" : ` number ${own} of ${vehicles}`;
    const name = each.role === VEHICLE ? `the vehicle's enrolment credential${which}` : `the credential of ${roleWords(each.role)}`;
    try {
      if (each.leaf.tbs.key.curve !== P256) throw new Malformed("key", "no P-256 key; records are signed with ES256");
      issuers.set(each.id, { ...each, name, key: keyOfCertificate(each.leaf), root: null });
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      verdict.fail("signatures", `${name} holds no usable key: ${error.message}`);
    }
  }
  return issuers;
};

const decodedCredential = ({ number, certificate, authority }, verdict) => {
  try {
    const leaf = decodeCertificate(certificate);
    return { leaf, above: decodeCertificate(authority), role: roleOf(leaf) };
  } catch (error) {
    if (error instanceof Untrusted) verdict.fail("roles", `credential ${number}: ${error.message}`);
    else if (error instanceof Malformed) {
      verdict.fail("signatures", `certificate of credential ${number} is damaged or altered: ${error.message}`);
    } else throw error;
    return {};
  }
};

// What is wrong with one entry, as `{how, id, text}`; null if nothing is.
const judgeEntry = async (entry, issuers, credentials) => {
  const told = (how, id, text) => ({ how, id, text: `${entry.where} ${text}` });
  if (entry.item === null) return told("leaveOpen", "signatures", "cannot be read");
  const issuer = issuers.get(entry.item.kid);
  if (issuer === undefined) {
    const isEnclosed = credentials.some((each) => each.isReadable && each.id === entry.item.kid);
    if (isEnclosed) return told("leaveOpen", "signatures", "was signed under a credential that cannot be used");
    return told("fail", "signatures", "was signed under another certificate than those in this passport");
  }
  entry.issuer = issuer;
  try {
    entry.record = new Claims(await verifySdJwt(entry.item.token, RECORD_TYPE, issuer.key)).record();
    checkMayIssue(issuer.role, entry.record);
    entry.isGenuine = true;
    return null;
  } catch (error) {
    if (!(error instanceof CheckFailed) && !(error instanceof Malformed)) throw error;
    const isRole = error.check === "role" || error.check === "subject";
    const text = `${entry.where}: ${isRole ? error.message : meaningOf(error, issuer.role)}`;
    return { how: "fail", id: isRole ? "roles" : "signatures", text };
  }
};

const meaningOf = (error, role) => {
  const who = role === VEHICLE ? "the vehicle" : roleWords(role);
  const other = role === VEHICLE ? "another vehicle" : "somebody else";
  if (error.check === "signature") {
    return `this is not what ${who} signed: a reading, its date or another part of it was changed afterwards, or ${other} signed it`;
  }
  if (error.check === "disclosure") {
    return `a reading, its date or another detail was changed: what is shown is not what ${who} signed`;
  }
  return error.message;
};

// When a credential signed last, as far as dates are shown; a hand-over may be written late and counts only where nothing else does.
const lastSigned = (issuer, entries) => {
  const latest = (some) => some.map(dateOf).filter((date) => date !== null).sort().pop();
  const own = entries.filter((entry) => entry.issuer === issuer);
  const until = own.length === 0 ? 0 : entries.indexOf(own[own.length - 1]);
  const found = latest(own.filter((entry) => !handsOver(entry))) || latest(own) || latest(entries.slice(0, until));
  return found || entries.map(dateOf).filter((date) => date !== null).sort()[0] || null;
};

const dateOf = (entry) => (entry.record === null ? null : entry.record.occurred);

const handsOver = (entry) => entry.record !== null && entry.record.nextCredential !== null;

const judgeChain = async (issuer, moment, judged, verdict) => {
  const distrust = () => {
    for (const entry of judged.entries) if (entry.issuer === issuer) entry.isGenuine = false;
  };
  if (judged.trust === null || judged.trust.roots === null) {
    verdict.leaveOpen("signatures", "there is no root that could be trusted");
    distrust();
    return;
  }
  try {
    const time64 = time64Of(moment);
    if (time64 === null) throw new Untrusted("no certificate was valid before 2004");
    const authority = hexOf(issuer.above.encoded);
    if (!judged.verifiers.has(authority)) judged.verifiers.set(authority, new ChainVerifier(judged.trust.roots, [issuer.above]));
    const verifier = judged.verifiers.get(authority);
    issuer.root = (await verifier.checkEnrolmentCredential(issuer.leaf, time64)).root;
  } catch (error) {
    distrust();
    if (!(error instanceof Untrusted) && !(error instanceof Malformed)) throw error;
    verdict.fail("signatures", `${issuer.name} does not lead to a trusted root: ${error.message}`);
  }
};

const judgeDate = (entry, verdict) => {
  const date = dateOf(entry);
  if (date === null || handsOver(entry)) return;
  const time64 = time64Of(date);
  if (time64 !== null && isValidAt(entry.issuer.leaf.tbs.validity, time64)) return;
  const what = isVehicle(entry) ? "a reading" : entry.record.spec.words;
  verdict.fail("signatures", `${what} is dated ${dayText(date)}, when ${entry.issuer.name} was not valid`);
  entry.isGenuine = false;
};
