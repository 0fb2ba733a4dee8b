// The four curves of IEEE 1609.2 6.3.29 in whole numbers: points, and the ECDSA equation for browsers that lack a curve. Nothing
// here is secret, so nothing need take the same time; WebCrypto does the same faster where it can (ecdsa.js).

const curveOf = (name, index, octets, hash, web, p, a, b, gx, gy, order) => ({
  name, index, octets, hash, web, p: BigInt(p), a: BigInt(a), b: BigInt(b), gx: BigInt(gx), gy: BigInt(gy), order: BigInt(order),
});

const P256 = curveOf(
  "P-256", 0, 32, sha256, "P-256",
  "0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
  "0xffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
  "0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
  "0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
  "0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
  "0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
);
const BRAINPOOL_P256R1 = curveOf(
  "brainpoolP256r1", 1, 32, sha256, null,
  "0xa9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377",
  "0x7d5a0975fc2c3057eef67530417affe7fb8055c126dc5c6ce94a4b44f330b5d9",
  "0x26dc5c6ce94a4b44f330b5d9bbd77cbf958416295cf7e1ce6bccdc18ff8c07b6",
  "0x8bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262",
  "0x547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997",
  "0xa9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7",
);
const BRAINPOOL_P384R1 = curveOf(
  "brainpoolP384r1", 2, 48, sha384, null,
  "0x8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53",
  "0x7bc382c63d8c150c3c72080ace05afa0c2bea28e4fb22787139165efba91f90f8aa5814a503ad4eb04a8c7dd22ce2826",
  "0x04a8c7dd22ce28268b39b55416f0447c2fb77de107dcd2a62e880ea53eeb62d57cb4390295dbc9943ab78696fa504c11",
  "0x1d1c64f068cf45ffa2a63a81b7c13f6b8847a3e77ef14fe3db7fcafe0cbd10e8e826e03436d646aaef87b2e247d4af1e",
  "0x8abe1d7520f9c2a45cb1eb8e95cfd55262b70b29feec5864e19c054ff99129280e4646217791811142820341263c5315",
  "0x8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565",
);
const P384 = curveOf(
  "P-384", 3, 48, sha384, "P-384",
  "0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
  "0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000fffffffc",
  "0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
  "0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
  "0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
  "0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
);

const CURVES = [P256, BRAINPOOL_P256R1, BRAINPOOL_P384R1, P384];

const modulo = (value, modulus) => {
  const rest = value % modulus;
  return rest < 0n ? rest + modulus : rest;
};

const powerModulo = (base, exponent, modulus) => {
  let result = 1n;
  let square = modulo(base, modulus);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
};

const inverseModulo = (value, modulus) => {
  let [a, b, x, y] = [modulo(value, modulus), modulus, 1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b, x, y] = [b, a - quotient * b, y, x - quotient * y];
  }
  return modulo(x, modulus);
};

// Of x (and y, or which of the two y is odd) the point, or null: it is not on the curve (SEC 1 2.3.4). All four primes are 3 mod 4.
const pointOn = (curve, x, y, isOdd) => {
  const { p, a, b } = curve;
  if (x >= p || (y !== null && y >= p)) return null;
  const right = modulo(((x * x) % p) * x + a * x + b, p);
  if (y !== null) return (y * y - right) % p === 0n ? { x, y } : null;
  const root = powerModulo(right, (p + 1n) / 4n, p);
  if ((root * root - right) % p !== 0n) return null;
  if (root === 0n && isOdd) return null;
  return { x, y: ((root & 1n) === 1n) === isOdd ? root : p - root };
};

// Jacobian coordinates: x = X / Z^2, y = Y / Z^3; Z = 0 is the point at infinity.
const doubled = ({ p, a }, [x, y, z]) => {
  if (z === 0n || y === 0n) return [1n, 1n, 0n];
  const yy = (y * y) % p;
  const s = (4n * x * yy) % p;
  const zz = (z * z) % p;
  const m = (3n * x * x + a * zz * zz) % p;
  const x3 = modulo(m * m - 2n * s, p);
  return [x3, modulo(m * (s - x3) - 8n * yy * yy, p), (2n * y * z) % p];
};

const added = (curve, left, right) => {
  const { p } = curve;
  const [x1, y1, z1] = left;
  const [x2, y2, z2] = right;
  if (z1 === 0n) return right;
  if (z2 === 0n) return left;
  const z1z1 = (z1 * z1) % p;
  const z2z2 = (z2 * z2) % p;
  const u1 = (x1 * z2z2) % p;
  const u2 = (x2 * z1z1) % p;
  const s1 = (y1 * z2 * z2z2) % p;
  const s2 = (y2 * z1 * z1z1) % p;
  const h = modulo(u2 - u1, p);
  const r = modulo(s2 - s1, p);
  if (h === 0n) return r === 0n ? doubled(curve, left) : [1n, 1n, 0n];
  const hh = (h * h) % p;
  const hhh = (h * hh) % p;
  const v = (u1 * hh) % p;
  const x3 = modulo(r * r - hhh - 2n * v, p);
  return [x3, modulo(r * (v - x3) - s1 * hhh, p), (h * z1 * z2) % p];
};

// SEC 1 4.1.4: whether r is the x of u1 G + u2 Q; both multiples at once, bit by bit.
const isEcdsaInNumbers = (curve, point, digest, r, s) => {
  const { order, p } = curve;
  const inverse = inverseModulo(s, order);
  const u1 = modulo(numberOf(digest) * inverse, order);
  const u2 = modulo(r * inverse, order);
  const g = [curve.gx, curve.gy, 1n];
  const q = [point.x, point.y, 1n];
  const choices = [null, g, q, added(curve, g, q)];
  let sum = [1n, 1n, 0n];
  for (let bit = BigInt(8 * curve.octets) - 1n; bit >= 0n; bit -= 1n) {
    sum = doubled(curve, sum);
    const choice = choices[Number(((u1 >> bit) & 1n) | (((u2 >> bit) & 1n) << 1n))];
    if (choice !== null) sum = added(curve, sum, choice);
  }
  if (sum[2] === 0n) return false;
  const z = inverseModulo(sum[2], p);
  return modulo(sum[0] * z * z, p) % order === r;
};
