// Explicit certificates of IEEE 1609.2 6.4, as in shared/security/certificate.py: read strictly, with the octets that are hashed. A
// certificate is hashed in canonical form: points of keys compressed, r of the signature x-only; where octets received are not, the
// canonical ones are made by replacing just those points.

const MAX_CERTIFICATE_OCTETS = 4096;
const MAX_OWNER_NAME_OCTETS = 255;
const US_PER_S = 1000000n;
const DURATION_US = [1n, 1000n, US_PER_S, 60n * US_PER_S, 3600n * US_PER_S, 216000n * US_PER_S, 31556952n * US_PER_S];
const X_ONLY = 0;
const UNCOMPRESSED = 4;

// A point as written, and where it stands, so that its canonical form can be put there.
const readPoint = (reader, octets, field) => {
  const start = reader.at;
  const form = reader.choice(field);
  if (form === 1 || form > UNCOMPRESSED) throw reader.refuse(field, `point form ${form} is not usable`);
  const x = reader.octets(octets, field);
  const y = form === UNCOMPRESSED ? reader.octets(octets, field) : null;
  const odd = y === null ? form === 3 : (y[octets - 1] & 1) === 1;
  return { form, x, y, odd, start, end: reader.at };
};

const compressedPoint = (point) => (point.y === null ? null : concat([point.odd ? 0x83 : 0x82], point.x));

// A key or signature on one of four curves; those behind the extension marker are wrapped in a length.
const readOnCurve = (reader, field, read) => {
  const start = reader.at;
  const curve = CURVES[reader.choice(field)];
  if (curve === undefined) throw reader.refuse(field, "this algorithm is not supported");
  const isWrapped = curve.index >= 2;
  const inner = isWrapped ? reader.openType(field) : reader;
  const value = { curve, ...read(inner, curve) };
  if (isWrapped) inner.finish(field);
  const point = value.point;
  const canonical = value.canonicalOf(point);
  if (canonical === null) return { ...value, bytes: reader.since(start), isCanonical: true };
  const body = concat(canonical, reader.bytes.slice(point.end, isWrapped ? inner.end : reader.at));
  const wrapped = isWrapped ? concat([body.length], body) : body;
  return { ...value, bytes: concat([0x80 + curve.index], wrapped), isCanonical: false };
};

const readVerificationKey = (reader, field) => {
  const key = readOnCurve(reader, field, (inner, curve) => ({
    point: readPoint(inner, curve.octets, field),
    canonicalOf: compressedPoint,
  }));
  if (key.point.form === X_ONLY) throw reader.refuse(field, "an x-only point does not determine a public key");
  return key;
};

const readSignature = (reader, field) =>
  readOnCurve(reader, field, (inner, curve) => {
    const point = readPoint(inner, curve.octets, field);
    return {
      point,
      s: inner.octets(curve.octets, field),
      canonicalOf: ({ form, x }) => (form === X_ONLY ? null : concat([0x80], x)),
    };
  });

const readEncryptionKey = (reader, field) => {
  const start = reader.at;
  if (reader.enumerated(field) !== 0) throw reader.refuse(field, "the symmetric algorithm is not AES-128-CCM");
  if (reader.choice(field) > 1) throw reader.refuse(field, "this key algorithm is not supported");
  const point = readPoint(reader, 32, field);
  if (point.form === X_ONLY) throw reader.refuse(field, "an x-only point does not determine a public key");
  const compressed = compressedPoint(point);
  return compressed === null
    ? { bytes: reader.since(start), isCanonical: true }
    : { bytes: concat(reader.bytes.slice(start, point.start), compressed), isCanonical: false };
};

const readHashAlgorithm = (reader, field) => {
  const value = reader.enumerated(field);
  if (value > 1) throw reader.refuse(field, `hash algorithm ${value} is not supported`);
  return value === 0 ? sha256 : sha384;
};

const readIssuer = (reader, field) => {
  const index = reader.choice(field);
  if (index === 0) return { hash: sha256, id: reader.octets(8, field) };
  if (index === 1) return { hash: readHashAlgorithm(reader, field), id: null };
  if (index !== 2) throw reader.refuse(field, `issuer alternative ${index} is not supported`);
  const inner = reader.openType(field);
  const id = inner.octets(8, field);
  inner.finish(field);
  return { hash: sha384, id };
};

const readOwner = (reader, field) => {
  const index = reader.choice(field);
  if (index === 0) {
    const hasGroup = reader.preamble(field, 1);
    reader.octets(11 + (hasGroup ? 13 : 0), field);
    return { kind: "linkage", name: null };
  }
  if (index === 1) return { kind: "name", name: textOf(reader.opaque(field, MAX_OWNER_NAME_OCTETS), field) };
  if (index === 2) {
    if (reader.opaque(field, 64).length === 0) throw reader.refuse(field, "the binary identifier is empty");
    return { kind: "binary", name: null };
  }
  if (index !== 3) throw reader.refuse(field, `identifier alternative ${index} is unknown`);
  return { kind: "none", name: null };
};

// Times are IEEE 1609.2 Time64: microseconds of TAI since 2004.
const readValidity = (reader, field) => {
  const start = BigInt(reader.unsigned(4, field)) * US_PER_S;
  const unit = DURATION_US[reader.choice(field)];
  if (unit === undefined) throw reader.refuse(field, "this duration unit is unknown");
  return { start, end: start + BigInt(reader.unsigned(2, field)) * unit };
};

const isValidAt = (validity, time64) => validity.start <= time64 && time64 < validity.end;

const readToBeSigned = (reader) => {
  const start = reader.at;
  const present = reader.preamble("certificate.tbs", 8);
  if (present & 0x80) throw reader.refuse("certificate.tbs", "extensions of the certificate are not supported");
  const owner = readOwner(reader, "certificate.tbs.id");
  const cracaId = reader.octets(3, "certificate.tbs.craca_id");
  const crlSeries = reader.unsigned(2, "certificate.tbs.crl_series");
  const validity = readValidity(reader, "certificate.tbs.validity");
  const region = present & 0x40 ? readRegion(reader, "certificate.tbs.region") : null;
  if (present & 0x20) reader.octets(1, "certificate.tbs.assurance_level");
  const app = present & 0x10 ? readAppPermissions(reader, "certificate.tbs.app_permissions") : null;
  const issue = present & 0x08 ? readGroupPermissions(reader, "certificate.tbs.cert_issue_permissions") : null;
  const request = present & 0x04 ? readGroupPermissions(reader, "certificate.tbs.cert_request_permissions") : null;
  const beforeEncryption = reader.since(start);
  const none = { bytes: new Uint8Array(0), isCanonical: true };
  const encryption = present & 0x01 ? readEncryptionKey(reader, "certificate.tbs.encryption_key") : none;
  const field = "certificate.tbs.verification_key";
  if (reader.choice(field) !== 0) throw reader.refuse(field, "implicit certificates are not supported");
  const key = readVerificationKey(reader, field);
  return {
    owner, cracaId, crlSeries, validity, region, app, issue, request,
    mayRollOver: (present & 0x02) !== 0,
    key,
    isCanonical: encryption.isCanonical && key.isCanonical,
    bytes: concat(beforeEncryption, encryption.bytes, [0x80], key.bytes),
  };
};

const decodeCertificate = (encoded) => {
  const reader = new CoerReader(encoded);
  if (reader.preamble("certificate", 1) !== 0x80) throw reader.refuse("certificate", "the signature is absent");
  if (reader.unsigned(1, "certificate") !== 3) throw reader.refuse("certificate", "the version is not 3");
  if (reader.enumerated("certificate") !== 0) throw reader.refuse("certificate", "the certificate is not explicit");
  const issuer = readIssuer(reader, "certificate.issuer");
  const head = reader.since(0);
  const tbs = readToBeSigned(reader);
  const signature = readSignature(reader, "certificate.signature");
  if (reader.at > MAX_CERTIFICATE_OCTETS) throw reader.refuse("certificate", `more than ${MAX_CERTIFICATE_OCTETS} octets`);
  const { hash } = tbs.key.curve;
  if (issuer.id === null && issuer.hash !== hash) {
    throw reader.refuse("certificate.issuer", "the hash of the self-signature does not belong to the key");
  }
  reader.finish("certificate");
  const canonical = concat(head, tbs.bytes, signature.bytes);
  const digest = hash(canonical);
  return { encoded, canonical, digest, id: digest.slice(-8), issuer, tbs, signature, name: tbs.owner.name };
};

const keyOfCertificate = (certificate) => {
  const { curve, point } = certificate.tbs.key;
  const found = pointOn(curve, numberOf(point.x), point.y === null ? null : numberOf(point.y), point.odd);
  if (found === null) throw new Malformed("public_key", `the point is not on ${curve.name}`);
  return new EcdsaKey(curve, found);
};
