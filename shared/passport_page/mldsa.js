// Verification of ML-DSA-44 signatures (FIPS 204), which witnesses begin to cosign with, in whole numbers: no browser does it yet. SHAKE
// (FIPS 202) is here too. Nothing is secret, so nothing need take the same time. Left out: making signatures, contexts.

const MLDSA_Q = 8380417;
const MLDSA_SIZE = 4;
const MLDSA_GAMMA_1 = 131072;
const MLDSA_GAMMA_2 = 95232;
const MLDSA_BETA = 78;
const MLDSA_TAU = 39;
const MLDSA_OMEGA = 80;
const MLDSA_KEY_BYTES = 1312;
const MLDSA_SIGNATURE_BYTES = 2420;

const LANES = Array.from({ length: 25 }, (_, n) => n);

// Offsets and places of the steps rho and pi, constants of iota: as they follow from FIPS 202 3.2.2, 3.2.3 and 3.2.5.
const KECCAK_TURNS = new Array(25).fill(0n);
const KECCAK_PLACES = LANES.map((n) => (Math.floor(n / 5) + 5 * ((2 * (n % 5) + 3 * Math.floor(n / 5)) % 5)));
for (let t = 0, x = 1, y = 0; t < 24; t += 1) {
  KECCAK_TURNS[x + 5 * y] = BigInt((((t + 1) * (t + 2)) / 2) % 64);
  [x, y] = [y, (2 * x + 3 * y) % 5];
}
const KECCAK_ROUNDS = [];
for (let round = 0, register = 1; round < 24; round += 1) {
  let constant = 0n;
  for (let j = 0; j <= 6; j += 1) {
    if (register & 1) constant |= 1n << BigInt((1 << j) - 1);
    register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
  }
  KECCAK_ROUNDS.push(constant);
}

const turnedLeft = (lane, by) => (by === 0n ? lane : ((lane << by) | (lane >> (64n - by))) & MASK_64);

const keccak = (lanes) => {
  const moved = new Array(25);
  for (const constant of KECCAK_ROUNDS) {
    const columns = [0, 1, 2, 3, 4].map((x) => lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]);
    for (const n of LANES) {
      const mixed = lanes[n] ^ columns[(n + 4) % 5] ^ turnedLeft(columns[((n % 5) + 1) % 5], 1n);
      moved[KECCAK_PLACES[n]] = turnedLeft(mixed, KECCAK_TURNS[n]);
    }
    for (const n of LANES) {
      const row = n - (n % 5);
      lanes[n] = moved[n] ^ (~moved[row + ((n + 1) % 5)] & MASK_64 & moved[row + ((n + 2) % 5)]);
    }
    lanes[0] ^= constant;
  }
};

class Shake {
  // `rate` in octets: 168 for SHAKE128, 136 for SHAKE256.
  constructor(rate, message) {
    this.rate = rate;
    this.lanes = new Array(25).fill(0n);
    this.at = rate;
    const whole = new Uint8Array(Math.ceil((message.length + 1) / rate) * rate);
    whole.set(message);
    whole[message.length] ^= 0x1f;
    whole[whole.length - 1] ^= 0x80;
    const view = new DataView(whole.buffer);
    for (let block = 0; block < whole.length; block += rate) {
      for (let n = 0; n < rate / 8; n += 1) this.lanes[n] ^= view.getBigUint64(block + 8 * n, true);
      if (block + rate < whole.length) keccak(this.lanes);
    }
    this.block = new DataView(new ArrayBuffer(rate));
  }

  octet() {
    if (this.at === this.rate) {
      keccak(this.lanes);
      for (let n = 0; n < this.rate / 8; n += 1) this.block.setBigUint64(8 * n, this.lanes[n], true);
      this.at = 0;
    }
    this.at += 1;
    return this.block.getUint8(this.at - 1);
  }

  octets(count) {
    return Uint8Array.from({ length: count }, () => this.octet());
  }
}

const shake256 = (count, ...parts) => new Shake(136, concat(...parts)).octets(count);

// 1753 to the power of each number below 256 with its bits reversed.
const MLDSA_ZETAS = Array.from({ length: 256 }, (_, n) => {
  const reversed = parseInt(n.toString(2).padStart(8, "0").split("").reverse().join(""), 2);
  return Number(powerModulo(1753n, BigInt(reversed), BigInt(MLDSA_Q)));
});

const modQ = (value) => ((value % MLDSA_Q) + MLDSA_Q) % MLDSA_Q;

const toNtt = (polynomial) => {
  const w = polynomial.map(modQ);
  let m = 0;
  for (let length = 128; length >= 1; length >>= 1) {
    for (let start = 0; start < 256; start += 2 * length) {
      m += 1;
      for (let j = start; j < start + length; j += 1) {
        const t = (MLDSA_ZETAS[m] * w[j + length]) % MLDSA_Q;
        w[j + length] = modQ(w[j] - t);
        w[j] = (w[j] + t) % MLDSA_Q;
      }
    }
  }
  return w;
};

const fromNtt = (transformed) => {
  const w = [...transformed];
  let m = 256;
  for (let length = 1; length < 256; length *= 2) {
    for (let start = 0; start < 256; start += 2 * length) {
      m -= 1;
      for (let j = start; j < start + length; j += 1) {
        const t = w[j];
        w[j] = (t + w[j + length]) % MLDSA_Q;
        w[j + length] = modQ(-MLDSA_ZETAS[m] * (t - w[j + length]));
      }
    }
  }
  return w.map((value) => (value * 8347681) % MLDSA_Q);
};

// 256 numbers of a width in bits, the lowest bit first.
const unpacked = (bytes, width) => {
  const numbers = [];
  let [held, count] = [0, 0];
  for (const octet of bytes) {
    held += octet * 2 ** count;
    count += 8;
    while (count >= width) {
      numbers.push(held % 2 ** width);
      held = Math.floor(held / 2 ** width);
      count -= width;
    }
  }
  return numbers;
};

const slices = (bytes, length) => [0, 1, 2, 3].map((n) => bytes.subarray(n * length, (n + 1) * length));

const sampledNtt = (rho, s, r) => {
  const source = new Shake(168, concat(rho, [s, r]));
  const polynomial = [];
  while (polynomial.length < 256) {
    const value = source.octet() + source.octet() * 256 + (source.octet() & 0x7f) * 65536;
    if (value < MLDSA_Q) polynomial.push(value);
  }
  return polynomial;
};

const sampledInBall = (seed) => {
  const source = new Shake(136, seed);
  const signs = unpacked(source.octets(8), 1);
  const c = new Array(256).fill(0);
  for (let i = 256 - MLDSA_TAU; i < 256; i += 1) {
    let j = source.octet();
    while (j > i) j = source.octet();
    c[i] = c[j];
    c[j] = signs[i + MLDSA_TAU - 256] === 1 ? -1 : 1;
  }
  return c;
};

// Which coefficients carry a hint, per polynomial; null where the spelling is not the one.
const unpackedHints = (bytes) => {
  const hints = [0, 1, 2, 3].map(() => new Array(256).fill(0));
  let index = 0;
  for (let i = 0; i < MLDSA_SIZE; i += 1) {
    const end = bytes[MLDSA_OMEGA + i];
    if (end < index || end > MLDSA_OMEGA) return null;
    for (const first = index; index < end; index += 1) {
      if (index > first && bytes[index - 1] >= bytes[index]) return null;
      hints[i][bytes[index]] = 1;
    }
  }
  return bytes.subarray(index, MLDSA_OMEGA).some((octet) => octet !== 0) ? null : hints;
};

const usedHint = (hint, value) => {
  const steps = (MLDSA_Q - 1) / (2 * MLDSA_GAMMA_2);
  let low = value % (2 * MLDSA_GAMMA_2);
  if (low > MLDSA_GAMMA_2) low -= 2 * MLDSA_GAMMA_2;
  let high = (value - low) / (2 * MLDSA_GAMMA_2);
  if (value - low === MLDSA_Q - 1) [high, low] = [0, low - 1];
  if (hint === 0) return high;
  return (high + (low > 0 ? 1 : -1) + steps) % steps;
};

// Four numbers of six bits in three octets.
const packedHigh = (polynomial) => {
  const bytes = new Uint8Array(192);
  for (let n = 0; n < 64; n += 1) {
    const [a, b, c, d] = polynomial.slice(4 * n, 4 * n + 4);
    bytes.set([a | ((b & 3) << 6), (b >> 2) | ((c & 15) << 4), (c >> 4) | (d << 2)], 3 * n);
  }
  return bytes;
};

const isMlDsa44 = (key, message, signature) => {
  if (key.length !== MLDSA_KEY_BYTES || signature.length !== MLDSA_SIGNATURE_BYTES) return false;
  const rho = key.subarray(0, 32);
  const seed = signature.subarray(0, 32);
  const z = slices(signature.subarray(32), 576).map((bytes) => unpacked(bytes, 18).map((value) => MLDSA_GAMMA_1 - value));
  const hints = unpackedHints(signature.subarray(32 + 4 * 576));
  if (hints === null || z.flat().some((value) => Math.abs(value) >= MLDSA_GAMMA_1 - MLDSA_BETA)) return false;
  const c = toNtt(sampledInBall(seed));
  const zTransformed = z.map(toNtt);
  const highs = slices(key.subarray(32), 320).map((bytes, r) => {
    const t = toNtt(unpacked(bytes, 10).map((value) => value * 8192));
    const sum = t.map((value, n) => modQ(-c[n] * value));
    zTransformed.forEach((polynomial, s) => {
      sampledNtt(rho, s, r).forEach((value, n) => {
        sum[n] = (sum[n] + value * polynomial[n]) % MLDSA_Q;
      });
    });
    return packedHigh(fromNtt(sum).map((value, n) => usedHint(hints[r][n], value)));
  });
  const mu = shake256(64, shake256(64, key), [0, 0], message);
  return sameBytes(shake256(32, mu, ...highs), seed);
};
