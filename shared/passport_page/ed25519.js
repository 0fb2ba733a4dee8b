// Ed25519 (RFC 8032): which 32 octets may be a key, and whether a signature holds. WebCrypto verifies where it knows Ed25519, whole
// numbers where it does not. A key of low or mixed order, or in a second spelling, proves nothing and is refused.

const ED_P = (1n << 255n) - 19n;
const ED_L = (1n << 252n) + 27742317777372353535851937790883648493n;
const ED_D = modulo(-121665n * powerModulo(121666n, ED_P - 2n, ED_P), ED_P);
const ED_ROOT_OF_MINUS_1 = powerModulo(2n, (ED_P - 1n) / 4n, ED_P);
const ED_IDENTITY = [0n, 1n, 1n, 0n];

const littleEndian = (bytes) => numberOf(Uint8Array.from(bytes).reverse());

const edRecoverX = (y, sign) => {
  const square = modulo((y * y - 1n) * powerModulo(ED_D * y * y + 1n, ED_P - 2n, ED_P), ED_P);
  let x = powerModulo(square, (ED_P + 3n) / 8n, ED_P);
  if ((x * x - square) % ED_P !== 0n) x = (x * ED_ROOT_OF_MINUS_1) % ED_P;
  if ((x * x - square) % ED_P !== 0n) throw new Malformed("public_key", "not a point of the curve");
  if (x === 0n && sign) throw new Malformed("public_key", "not a canonical encoding (zero with a sign)");
  return (x & 1n) === sign ? x : modulo(-x, ED_P);
};

// Extended coordinates, unified addition (RFC 8032 5.1.4).
const edAdd = ([x1, y1, z1, t1], [x2, y2, z2, t2]) => {
  const a = ((y1 - x1) * (y2 - x2)) % ED_P;
  const b = ((y1 + x1) * (y2 + x2)) % ED_P;
  const c = (((2n * t1 * t2) % ED_P) * ED_D) % ED_P;
  const d = (2n * z1 * z2) % ED_P;
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [(e * f) % ED_P, (g * h) % ED_P, (f * g) % ED_P, (e * h) % ED_P];
};

const edMultiply = (scalar, point) => {
  let result = ED_IDENTITY;
  let power = point;
  for (let rest = scalar; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = edAdd(result, power);
    power = edAdd(power, power);
  }
  return result;
};

const edIsIdentity = ([x, y, z]) => modulo(x, ED_P) === 0n && modulo(y - z, ED_P) === 0n;

const ED_BASE_Y = modulo(4n * powerModulo(5n, ED_P - 2n, ED_P), ED_P);
const edPoint = (x, y) => [x, y, 1n, (x * y) % ED_P];
const ED_BASE = edPoint(edRecoverX(ED_BASE_Y, 0n), ED_BASE_Y);

const edDecode = (encoded) => {
  if (encoded.length !== 32) throw new Malformed("public_key", `an Ed25519 public key has 32 bytes, not ${encoded.length}`);
  const value = littleEndian(encoded);
  const y = value & ((1n << 255n) - 1n);
  if (y >= ED_P) throw new Malformed("public_key", "not a canonical encoding (y is not below 2^255 - 19)");
  return edPoint(edRecoverX(y, value >> 255n), y);
};

const edEncode = ([x, y, z]) => {
  const inverse = inverseModulo(z, ED_P);
  const value = modulo(y * inverse, ED_P) | ((modulo(x * inverse, ED_P) & 1n) << 255n);
  return bytesOfNumber(value, 32).reverse();
};

const goodEd25519Keys = new Set();

// Throws unless the octets are the canonical encoding of a point of prime order (RFC 8032 5.1.3, 5.1.7).
const checkEd25519Key = (encoded) => {
  const name = hexOf(encoded);
  if (goodEd25519Keys.has(name)) return;
  const point = edDecode(encoded);
  if (edIsIdentity(point) || !edIsIdentity(edMultiply(ED_L, point))) {
    throw new Malformed("public_key", "a point of low or mixed order, under which a signature proves nothing");
  }
  goodEd25519Keys.add(name);
};

const isEd25519InNumbers = (key, message, signature) => {
  const s = littleEndian(signature.subarray(32));
  if (s >= ED_L) return false;
  const k = modulo(littleEndian(sha512(concat(signature.subarray(0, 32), key, message))), ED_L);
  const [x, y, z, t] = edDecode(key);
  const sum = edAdd(edMultiply(s, ED_BASE), edMultiply(k, [modulo(-x, ED_P), y, z, modulo(-t, ED_P)]));
  return sameBytes(edEncode(sum), signature.subarray(0, 32));
};

let webKnowsEd25519 = true;

// Whether a signature over a message holds under a key that was checked before.
const isEd25519 = async (key, message, signature) => {
  if (signature.length !== 64) return false;
  if (webKnowsEd25519 && webCrypto() !== null) {
    try {
      const imported = await webCrypto().importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
      return await webCrypto().verify({ name: "Ed25519" }, imported, signature, message);
    } catch {
      webKnowsEd25519 = false;
    }
  }
  return isEd25519InNumbers(key, message, signature);
};
