// Trust policies (C2SP tlog-policy), as in shared/ledger/policy.py: which ledgers, which witnesses, how many of them. Names are
// opaque octets, so the file is read octet by octet and only keys are read as text.

const MAX_POLICY_BYTES = 65536;
const MAX_POLICY_ITEMS = 64;

const octetsOf = (text) => Uint8Array.from(text, (character) => character.charCodeAt(0));

// For people only: the octets of a name as text, as far as they are.
const shownName = (name) => new TextDecoder().decode(octetsOf(name));

class PolicyReader {
  constructor() {
    this.logs = [];
    this.witnesses = [];
    this.groups = [];
    this.members = new Set();
    this.quorum = null;
  }

  isDefined(name) {
    return this.witnesses.some((each) => each.name === name) || this.groups.some((each) => each.name === name);
  }

  read(words, field) {
    const [keyword, ...rest] = words;
    if (keyword === "log" && (rest.length === 1 || rest.length === 2)) this.readLog(rest[0], field);
    else if (keyword === "witness" && (rest.length === 2 || rest.length === 3)) this.readWitness(rest[0], rest[1], field);
    else if (keyword === "group" && rest.length >= 3) this.readGroup(rest[0], rest[1], rest.slice(2), field);
    else if (keyword === "quorum" && rest.length === 1) this.readQuorum(rest[0], field);
    else throw new Malformed(field, `${keyword.slice(0, 32)} with ${rest.length} words after it is no policy line`);
  }

  readLog(vkey, field) {
    if (this.logs.length === MAX_POLICY_ITEMS) throw new Malformed(field, `more than ${MAX_POLICY_ITEMS} logs`);
    const key = policyKey(vkey, false, field);
    if (this.logs.some((each) => sameBytes(each.publicKey, key.publicKey))) {
      throw new Malformed(field, "a second log with the same key");
    }
    this.logs.push(key);
  }

  readWitness(name, vkey, field) {
    if (this.witnesses.length === MAX_POLICY_ITEMS) throw new Malformed(field, `more than ${MAX_POLICY_ITEMS} witnesses`);
    this.checkNewName(name, field);
    const key = policyKey(vkey, true, field);
    if (this.witnesses.some((each) => sameBytes(each.key.publicKey, key.publicKey))) {
      throw new Malformed(field, "a second witness with the same key");
    }
    this.witnesses.push({ name, key });
  }

  readGroup(name, threshold, members, field) {
    if (this.groups.length === MAX_POLICY_ITEMS) throw new Malformed(field, `more than ${MAX_POLICY_ITEMS} groups`);
    this.checkNewName(name, field);
    for (const member of members) {
      if (!this.isDefined(member)) throw new Malformed(field, `member ${member} is not defined above`);
      if (this.members.has(member)) throw new Malformed(field, `${member} is a member for the second time`);
      this.members.add(member);
    }
    const words = { any: 1, all: members.length };
    const count = Object.hasOwn(words, threshold) ? BigInt(words[threshold]) : decodeDecimal(threshold, field);
    if (count < 1n || count > BigInt(members.length)) {
      throw new Malformed(field, `${count} of ${members.length} members cannot be asked for`);
    }
    this.groups.push({ name, threshold: Number(count), members });
  }

  readQuorum(name, field) {
    if (this.quorum !== null) throw new Malformed(field, "a second quorum line");
    if (name !== "none" && !this.isDefined(name)) throw new Malformed(field, `quorum ${name} is not defined above`);
    this.quorum = name;
  }

  checkNewName(name, field) {
    if (name === "none") throw new Malformed(field, "none means no witness; it cannot be a name");
    if (this.isDefined(name)) throw new Malformed(field, `${name} is defined twice`);
  }
}

const policyKey = (vkey, mayCosign, field) => {
  const key = parseVkey(textOf(octetsOf(vkey), field));
  if ((key.kind !== ED25519_KIND) !== mayCosign) {
    throw new Malformed(field, mayCosign ? "this is not the key of a witness (04 or 06)" : "this is not the key of a log (01)");
  }
  return key;
};

const parsePolicy = (bytes) => {
  if (bytes.length > MAX_POLICY_BYTES) throw new Malformed("policy", `${bytes.length} bytes; at most ${MAX_POLICY_BYTES} are read`);
  if (bytes.some((octet) => (octet < 0x20 && octet !== 0x09 && octet !== 0x0a) || octet === 0x7f)) {
    throw new Malformed("policy", "contains a control character");
  }
  if (bytes.length > 0 && bytes[bytes.length - 1] !== 0x0a) {
    throw new Malformed("policy", "the last line does not end with a newline");
  }
  const reader = new PolicyReader();
  const text = Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");
  text.split("\n").forEach((line, number) => {
    const words = line.replaceAll("\t", " ").split(" ").filter((word) => word !== "");
    if (words.length > 0 && !words[0].startsWith("#")) reader.read(words, `policy line ${number + 1}`);
  });
  if (reader.quorum === null) throw new Malformed("policy", "no quorum line; write `quorum none` to require no witness");
  const { logs, witnesses, groups } = reader;
  return { logs, witnesses, groups, quorum: reader.quorum === "none" ? null : reader.quorum };
};

const isQuorum = (policy, cosigned) => {
  if (policy.quorum === null) return true;
  const witnessed = new Set(cosigned);
  for (const group of policy.groups) {
    if (group.members.filter((member) => witnessed.has(member)).length >= group.threshold) witnessed.add(group.name);
  }
  return witnessed.has(policy.quorum);
};
