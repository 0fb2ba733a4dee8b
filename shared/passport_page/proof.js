// Proofs that a ledger holds an entry (C2SP tlog-proof, tlog-checkpoint), as in shared/ledger/proof.py, checkpoint.py and verify.py:
// the checkpoint is signed by a ledger of the policy, cosigned by its quorum of witnesses, and the entry is in its tree.

const PROOF_HEADER = "c2sp.org/tlog-proof@v1";
const MAX_PROOF_BYTES = MAX_NOTE_BYTES + 16384;
const MAX_EXTRA_BYTES = 4096;
const MAX_CHECKPOINT_BYTES = 4096;
const MAX_EXTENSION_LINES = 16;
const EMPTY_ROOT = sha256(new Uint8Array(0));

const parseProof = (text) => {
  const bytes = utf8(text);
  if (bytes.length > MAX_PROOF_BYTES) {
    throw new Malformed("tlog_proof", `${bytes.length} bytes; at most ${MAX_PROOF_BYTES} are read`);
  }
  const cut = text.indexOf("\n\n");
  if (cut < 0) throw new Malformed("tlog_proof", "no blank line before the checkpoint");
  const lines = text.slice(0, cut).split("\n");
  if (/[^\u0000-\u007f]/.test(text.slice(0, cut))) throw new Malformed("tlog_proof", "not ASCII before the checkpoint");
  if (lines.shift() !== PROOF_HEADER) throw new Malformed("tlog_proof", `the first line is not ${PROOF_HEADER}`);
  let extra = null;
  if (lines.length > 0 && lines[0].startsWith("extra ")) {
    extra = decodeBase64(lines.shift().slice(6), "tlog_proof.extra");
    if (extra.length > MAX_EXTRA_BYTES) throw new Malformed("tlog_proof.extra", `at most ${MAX_EXTRA_BYTES} bytes are read`);
  }
  if (lines.length === 0 || !lines[0].startsWith("index ")) throw new Malformed("tlog_proof.index", "no index line");
  const index = decodeDecimal(lines.shift().slice(6), "tlog_proof.index");
  if (lines.length > MAX_PROOF_HASHES) throw new Malformed("tlog_proof.hashes", `at most ${MAX_PROOF_HASHES} hashes are read`);
  const hashes = lines.map((line, number) => decodeHash(line, `tlog_proof.hashes[${number}]`));
  const note = text.slice(cut + 2);
  parseNote(utf8(note));
  if (index >= MAX_63_BITS) throw new Malformed("tlog_proof", "no such index");
  return { index, hashes, note, extra };
};

const parseCheckpoint = (body) => {
  if (body.length > MAX_CHECKPOINT_BYTES) throw new Malformed("checkpoint", `at most ${MAX_CHECKPOINT_BYTES} bytes are read`);
  const lines = textOf(body, "checkpoint").split("\n");
  if (lines.pop() !== "") throw new Malformed("checkpoint", "no final newline");
  if (lines.length < 3 || lines.length > 3 + MAX_EXTENSION_LINES) {
    throw new Malformed("checkpoint", `${lines.length} lines; 3 to ${3 + MAX_EXTENSION_LINES} are read`);
  }
  if (lines.includes("")) throw new Malformed("checkpoint", "an empty line");
  const size = decodeDecimal(lines[1], "checkpoint.tree_size");
  const root = decodeHash(lines[2], "checkpoint.root");
  if (size === 0n && !sameBytes(root, EMPTY_ROOT)) {
    throw new Malformed("checkpoint.root", "an empty tree with a root that is not the empty tree's");
  }
  return { origin: lines[0], size, root };
};

const checkLogSignature = async (note, origin, policy) => {
  const keys = policy.logs.filter((key) => key.name === origin);
  if (keys.length === 0) throw new Unproven(`the policy knows no log ${origin}`);
  const signing = keys.filter((key) => signaturesBy(note, key).length > 0);
  if (signing.length === 0) throw new Unproven(`not signed by any key the policy has for ${origin}`);
  for (const key of signing) await verifyNote(note, key);
};

// What is wrong, as a sentence; null if nothing is. What is neither malformed nor unproven is a fault of this page and goes on up.
const faultOf = async (attempt) => {
  try {
    await attempt();
    return null;
  } catch (error) {
    if (error instanceof Malformed || error instanceof Unproven) return error.message;
    throw error;
  }
};

// A checkpoint note held against a policy, each question apart: `{checkpoint, malformed, unsigned, witnesses, badCosignatures, isQuorum,
// time}`; `time` is when the last witness that counts saw it, in seconds since 1970.
const judgeNote = async (noteText, policy) => {
  const judged = {
    checkpoint: null, malformed: null, unsigned: null, witnesses: [], badCosignatures: [], isQuorum: false, time: null,
  };
  let note = null;
  judged.malformed = await faultOf(() => {
    note = parseNote(utf8(noteText));
    judged.checkpoint = parseCheckpoint(note.body);
  });
  if (judged.malformed !== null || policy === null) return judged;
  judged.unsigned = await faultOf(() => checkLogSignature(note, judged.checkpoint.origin, policy));
  for (const { name, key } of policy.witnesses) {
    const fault = await faultOf(async () => {
      const seen = await findCosignature(note, judged.checkpoint, key);
      if (seen === null) return;
      judged.witnesses.push(name);
      if (judged.time === null || seen > judged.time) judged.time = seen;
    });
    if (fault !== null) judged.badCosignatures.push(fault);
  }
  judged.isQuorum = isQuorum(policy, judged.witnesses);
  return judged;
};
