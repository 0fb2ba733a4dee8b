// Inclusion in a Merkle tree of RFC 6962: the root that a proof leads to from an entry (RFC 9162 2.1.3.2).

const MAX_PROOF_HASHES = 64;

const leafHash = (entry) => sha256(concat([0], entry));

const nodeHash = (left, right) => sha256(concat([1], left, right));

const rootFromInclusion = (leaf, index, size, proof) => {
  if (index < 0n || index >= size) throw new Unproven(`a tree of ${size} entries has no entry ${index}`);
  if ([leaf, ...proof].some((hash) => hash.length !== 32)) throw new Unproven("a hash that is not 32 bytes long");
  let fn = index;
  let sn = size - 1n;
  let root = leaf;
  for (const sibling of proof) {
    if (sn === 0n) throw new Unproven("the inclusion proof is too long");
    if ((fn & 1n) === 1n || fn === sn) {
      root = nodeHash(sibling, root);
      while ((fn & 1n) === 0n && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      root = nodeHash(root, sibling);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  if (sn !== 0n) throw new Unproven("the inclusion proof is too short");
  return root;
};

const verifyInclusion = (entry, index, size, proof, root) => {
  if (!sameBytes(rootFromInclusion(leafHash(entry), index, size, proof), root)) {
    throw new Unproven(`entry ${index} is not in the tree of ${size} entries: the inclusion proof leads to another root`);
  }
};
