// Signed notes and the keys that sign them (C2SP signed-note), cosignatures (tlog-cosignature) and canonical pieces of text, as in
// shared/ledger/note.py, cosignature.py and text.py. A signature of an unknown key is ignored, one of a known key that does not hold
// spoils the note.

const MAX_NOTE_BYTES = 65536;
const MAX_NOTE_SIGNATURES = 64;
const MAX_NAME_CHARACTERS = 255;
const KEY_ID_BYTES = 4;
const ED25519_KIND = 1;
const COSIGNATURE_KIND = 4;
const ML_DSA_44_KIND = 6;
const COSIGNATURE_LENGTHS = { [COSIGNATURE_KIND]: 8 + 64, [ML_DSA_44_KIND]: 8 + MLDSA_SIGNATURE_BYTES };
const MAX_COSIGNED_NAME_BYTES = 255;
const MAX_63_BITS = (1n << 63n) - 1n;
const UNNAMABLE = /[\u0000-\u0020+\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ud800-\udfff]/u;

const decodeDecimal = (text, field) => {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(text)) throw new Malformed(field, "not a canonical decimal number");
  const number = BigInt(text);
  if (number > MAX_63_BITS) throw new Malformed(field, `${number} is larger than ${MAX_63_BITS}`);
  return number;
};

const decodeHash = (text, field) => {
  const hash = decodeBase64(text, field);
  if (hash.length !== 32) throw new Malformed(field, `a SHA-256 hash has 32 bytes, not ${hash.length}`);
  return hash;
};

const checkKeyName = (name, field) => {
  if (name === "" || charactersIn(name) > MAX_NAME_CHARACTERS) {
    throw new Malformed(field, `a key name has 1 to ${MAX_NAME_CHARACTERS} characters`);
  }
  if (UNNAMABLE.test(name)) throw new Malformed(field, "a key name has no space, plus sign or control character");
};

// `name+keyid+base64(kind || public key)`.
const parseVkey = (text) => {
  const first = text.indexOf("+");
  const second = text.indexOf("+", first + 1);
  if (first < 0 || second < 0) throw new Malformed("vkey", "a verifier key reads name+keyid+key");
  const name = text.slice(0, first);
  checkKeyName(name, "vkey.name");
  const key = decodeBase64(text.slice(second + 1), "vkey.key");
  if (key.length === 0 || ![ED25519_KIND, COSIGNATURE_KIND, ML_DSA_44_KIND].includes(key[0])) {
    throw new Malformed("vkey.kind", "only Ed25519 keys (01) and Ed25519 and ML-DSA-44 cosignature keys (04, 06) are known");
  }
  if (key[0] !== ML_DSA_44_KIND) checkEd25519Key(key.subarray(1));
  else if (key.length !== 1 + MLDSA_KEY_BYTES) throw new Malformed("vkey.key", "no ML-DSA-44 public key");
  const keyId = sha256(concat(utf8(name), [0x0a], key)).subarray(0, KEY_ID_BYTES);
  if (hexOf(keyId) !== text.slice(first + 1, second)) {
    throw new Malformed("vkey.key_id", `name and key make ${hexOf(keyId)}`);
  }
  return { name, kind: key[0], publicKey: key.subarray(1), keyId, text };
};

const parseNote = (bytes) => {
  if (bytes.length > MAX_NOTE_BYTES) throw new Malformed("note", `${bytes.length} bytes; at most ${MAX_NOTE_BYTES} are read`);
  const text = textOf(bytes, "note");
  if (bytes.some((octet) => octet < 0x20 && octet !== 0x0a)) throw new Malformed("note", "contains a control character");
  const cut = text.lastIndexOf("\n\n");
  if (cut < 0 || !text.endsWith("\n")) {
    throw new Malformed("note", "no blank line between text and signatures, or no final newline");
  }
  const lines = text.slice(cut + 2).split("\n").slice(0, -1);
  if (lines.length < 1 || lines.length > MAX_NOTE_SIGNATURES) {
    throw new Malformed("note.signatures", `${lines.length} signature lines; 1 to ${MAX_NOTE_SIGNATURES} are read`);
  }
  return { body: utf8(text.slice(0, cut + 1)), signatures: lines.map(parseSignatureLine) };
};

const parseSignatureLine = (line, number) => {
  const field = `note.signatures[${number}]`;
  const space = line.indexOf(" ", 2);
  if (!line.startsWith("\u2014 ") || space < 0) throw new Malformed(field, "a signature line reads: em dash, name, base64");
  const name = line.slice(2, space);
  checkKeyName(name, `${field}.name`);
  const signature = decodeBase64(line.slice(space + 1), field);
  if (signature.length <= KEY_ID_BYTES) throw new Malformed(field, "no signature behind the key id");
  return { name, keyId: signature.subarray(0, KEY_ID_BYTES), signature: signature.subarray(KEY_ID_BYTES) };
};

const signaturesBy = (note, key) => note.signatures.filter((line) => line.name === key.name && sameBytes(line.keyId, key.keyId));

const verifyNote = async (note, key) => {
  for (const line of signaturesBy(note, key)) {
    if (!(await isEd25519(key.publicKey, note.body, line.signature))) {
      throw new Unproven(`the signature by ${key.name} does not hold`);
    }
  }
};

// What a witness of that name signs with ML-DSA-44 for a checkpoint.
const cosignedSubtree = ({ origin, size, root }, witness, time) => {
  const names = [utf8(witness), utf8(origin)];
  if (names.some((name) => name.length < 1 || name.length > MAX_COSIGNED_NAME_BYTES)) {
    throw new Unproven(`no ML-DSA-44 cosignature can name a witness or a log of more than ${MAX_COSIGNED_NAME_BYTES} bytes`);
  }
  const [cosigner, log] = names.map((name) => concat([name.length], name));
  return concat(utf8("subtree/v1\n\0"), cosigner, bytesOfNumber(time, 8), log, new Uint8Array(8), bytesOfNumber(size, 8), root);
};

const isCosignature = (note, checkpoint, key, time, signature) => {
  if (key.kind === ML_DSA_44_KIND) return isMlDsa44(key.publicKey, cosignedSubtree(checkpoint, key.name, time), signature);
  return isEd25519(key.publicKey, concat(utf8(`cosignature/v1\ntime ${time}\n`), note.body), signature);
};

// The time of a witness's latest cosignature in seconds since 1970, null if it has not cosigned.
const findCosignature = async (note, checkpoint, key) => {
  let latest = null;
  for (const line of signaturesBy(note, key)) {
    if (line.signature.length !== COSIGNATURE_LENGTHS[key.kind]) throw new Unproven(`the cosignature by ${key.name} has the wrong length`);
    const time = numberOf(line.signature.subarray(0, 8));
    if (time > MAX_63_BITS) throw new Unproven(`the cosignature by ${key.name} has an impossible time`);
    if (!(await isCosignature(note, checkpoint, key, time, line.signature.subarray(8)))) {
      throw new Unproven(`the cosignature by ${key.name} does not hold`);
    }
    if (latest === null || time > latest) latest = time;
  }
  return latest;
};
