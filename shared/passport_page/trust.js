// What a verdict rests on: roots of the authorities and a policy for ledgers and witnesses. They come with the page or from whoever reads
// it, never from the passport. `{roots: [base64], policy: base64, at: moment or null}`.

const MAX_TRUSTED_ROOTS = 1024;

const nameOfCertificate = (certificate) => certificate.name || `certificate ${hexOf(certificate.id)}`;

const fingerprintOf = (bytes) => hexOf(sha256(bytes)).replace(/(.{4})(?!$)/g, "$1 ");

const judgeTrust = async (trust, verdict) => {
  const judged = { roots: null, policy: null, policyBytes: null, at: trust.at || null };
  await verdict.part(["trust"], () => {
    judged.roots = readRoots(trust.roots.map((text, n) => decodeBase64(text, `roots[${n}]`)));
  });
  await verdict.part(["trust"], () => {
    const bytes = decodeBase64(trust.policy, "policy");
    judged.policy = parsePolicy(bytes);
    judged.policyBytes = bytes;
  });
  const roots = (judged.roots || []).map((root) => `${nameOfCertificate(root)} (${fingerprintOf(root.encoded)})`);
  const policy = judged.policyBytes === null ? "" : `; policy ${fingerprintOf(judged.policyBytes)}`;
  verdict.tell("trust", `Roots: ${roots.join(", ")}${policy}`);
  return judged;
};

const readRoots = (encoded) => {
  if (encoded.length === 0) throw new Malformed("roots", "no root certificate: nobody could be trusted");
  if (encoded.length > MAX_TRUSTED_ROOTS) throw new Malformed("roots", `more than ${MAX_TRUSTED_ROOTS} certificates`);
  const roots = new Map();
  for (const octets of encoded) {
    const root = decodeCertificate(octets);
    if (root.issuer.id !== null) throw new Malformed("roots", `certificate ${hexOf(root.id)} is not self-signed`);
    const known = roots.get(hexOf(root.id));
    if (known !== undefined && !sameBytes(known.digest, root.digest)) {
      throw new Malformed("roots", `two certificates share the identifier ${hexOf(root.id)}`);
    }
    roots.set(hexOf(root.id), root);
  }
  return [...roots.values()];
};
