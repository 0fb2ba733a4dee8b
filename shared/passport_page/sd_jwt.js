// SD-JWT (RFC 9901) with ES256 and SHA-256, as in shared/records/sd_jwt.py: what the issuer signed, and the claims that are shown.

const MAX_SD_JWT_CHARACTERS = 16384;
const MAX_DISCLOSURES = 64;

const parseSdJwt = (text) => {
  if (charactersIn(text) > MAX_SD_JWT_CHARACTERS) {
    throw new Malformed("sd_jwt", `at most ${MAX_SD_JWT_CHARACTERS} characters are read`);
  }
  const [jwt, ...shown] = text.split("~");
  if (shown.length === 0 || shown.pop() !== "") {
    throw new Malformed("sd_jwt", "does not end with a tilde (key binding is not used here)");
  }
  if (shown.length > MAX_DISCLOSURES) throw new Malformed("sd_jwt.disclosures", `at most ${MAX_DISCLOSURES} are read`);
  const parts = jwt.split(".");
  if (parts.length !== 3) throw new Malformed("sd_jwt.jwt", "a JWT has three parts");
  const signature = decodeBase64url(parts[2], "sd_jwt.signature");
  if (signature.length !== 64) {
    throw new Malformed("sd_jwt.signature", `an ES256 signature has 64 bytes, not ${signature.length}`);
  }
  return {
    jwt,
    header: parseJwtPart(parts[0], "sd_jwt.header"),
    payload: parseJwtPart(parts[1], "sd_jwt.payload"),
    signature,
    disclosures: shown.map((each, number) => parseDisclosure(each, `sd_jwt.disclosures[${number}]`)),
  };
};

const parseJwtPart = (text, field) => {
  const value = parseJson(decodeBase64url(text, field), field, MAX_SD_JWT_CHARACTERS);
  if (!(value instanceof Map)) throw new Malformed(field, "not a JSON object");
  return value;
};

const parseDisclosure = (text, field) => {
  const value = parseJson(decodeBase64url(text, field), field, MAX_SD_JWT_CHARACTERS);
  const digest = encodeBase64url(sha256(utf8(text)));
  if (Array.isArray(value) && typeof value[0] === "string") {
    if (value.length === 3 && typeof value[1] === "string") {
      if (value[1] === "_sd" || value[1] === "...") throw new Malformed(field, `${value[1]} cannot be the name of a claim`);
      return { digest, name: value[1], value: value[2] };
    }
    if (value.length === 2) return { digest, name: null, value: value[1] };
  }
  throw new Malformed(field, "a disclosure is [salt, name, value] or [salt, value]");
};

// The claims of a token: visible ones and those disclosed (RFC 9901 7.1), or the check that failed.
const verifySdJwt = async (token, type, key) => {
  const { header, payload } = token;
  if (header.get("alg") !== "ES256" || header.get("typ") !== type || header.has("crit")) {
    throw new CheckFailed("type", `not a token of type ${type} signed with ES256`);
  }
  const signed = token.jwt.slice(0, token.jwt.lastIndexOf("."));
  if (!(await key.isSignature(utf8(signed), token.signature))) {
    throw new CheckFailed("signature", "the signature does not hold: the signed part was changed, or another key signed it");
  }
  if (payload.has("_sd_alg") && payload.get("_sd_alg") !== "sha-256") {
    throw new CheckFailed("disclosure", "disclosures are hashed with something else than SHA-256");
  }
  return new Disclosing(token.disclosures).claims(payload);
};

// Puts disclosed claims in the place of their digests.
class Disclosing {
  constructor(disclosures) {
    this.byDigest = new Map(disclosures.map((each) => [each.digest, each]));
    if (this.byDigest.size !== disclosures.length) throw new CheckFailed("disclosure", "the same claim is disclosed twice");
    this.seen = new Set();
  }

  claims(payload) {
    const claims = this.object(new Map([...payload].filter(([name]) => name !== "_sd_alg")));
    const foreign = [...this.byDigest].filter(([digest]) => !this.seen.has(digest)).map(([, each]) => each.name || "an array element");
    if (foreign.length > 0) {
      throw new CheckFailed("disclosure", `${foreign.join(", ")}: shown, but not what the issuer signed`);
    }
    return claims;
  }

  value(value) {
    if (value instanceof Map) return this.object(value);
    return Array.isArray(value) ? this.list(value) : value;
  }

  object(value) {
    if (value.has("...")) throw new CheckFailed("disclosure", "a digest of an array element stands where there is no array");
    const claims = new Map();
    for (const [name, item] of value) if (name !== "_sd") claims.set(name, this.value(item));
    const digests = value.has("_sd") ? value.get("_sd") : [];
    if (!Array.isArray(digests)) throw new CheckFailed("disclosure", "the digests are not a list");
    for (const digest of digests) {
      const disclosure = this.take(digest);
      if (disclosure === undefined) continue;
      if (disclosure.name === null || claims.has(disclosure.name)) {
        throw new CheckFailed("disclosure", "a disclosed claim has no name, or one that is taken");
      }
      claims.set(disclosure.name, this.value(disclosure.value));
    }
    return claims;
  }

  list(value) {
    const items = [];
    for (const item of value) {
      if (!(item instanceof Map) || !item.has("...")) {
        items.push(this.value(item));
        continue;
      }
      if (item.size !== 1) throw new CheckFailed("disclosure", "a digest of an array element has company");
      const disclosure = this.take(item.get("..."));
      if (disclosure === undefined) continue;
      if (disclosure.name !== null) throw new CheckFailed("disclosure", "an array element was disclosed under a name");
      items.push(this.value(disclosure.value));
    }
    return items;
  }

  take(digest) {
    if (typeof digest !== "string" || this.seen.has(digest)) {
      throw new CheckFailed("disclosure", "a digest is no text or appears twice");
    }
    this.seen.add(digest);
    return this.byDigest.get(digest);
  }
}
