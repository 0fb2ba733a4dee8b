// SHA-256, SHA-384 and SHA-512 (FIPS 180-4), at once and without a promise; the constants are computed, not listed: the first bits
// of the fractional parts of square and cube roots of the first primes.

const PRIMES = [];
for (let candidate = 2; PRIMES.length < 80; candidate += 1) {
  if (PRIMES.every((prime) => candidate % prime !== 0)) PRIMES.push(candidate);
}

const rootOf = (value, power) => {
  let low = 0n;
  let high = value;
  while (low < high) {
    const middle = (low + high + 1n) >> 1n;
    if (middle ** power <= value) low = middle;
    else high = middle - 1n;
  }
  return low;
};

// The first `bits` fractional bits of the `power`-th root of a prime.
const fraction = (prime, power, bits) => {
  const scaled = rootOf(BigInt(prime) << (power * bits), power);
  return scaled & ((1n << bits) - 1n);
};

const K256 = Uint32Array.from(PRIMES.slice(0, 64), (prime) => Number(fraction(prime, 3n, 32n)));
const START_256 = Uint32Array.from(PRIMES.slice(0, 8), (prime) => Number(fraction(prime, 2n, 32n)));
const K512 = PRIMES.map((prime) => fraction(prime, 3n, 64n));
const START_512 = PRIMES.slice(0, 8).map((prime) => fraction(prime, 2n, 64n));
const START_384 = PRIMES.slice(8, 16).map((prime) => fraction(prime, 2n, 64n));

// The message, a one bit, zeros, and its length in bits at the end of the last block.
const padded = (message, block, lengthOctets) => {
  const total = Math.ceil((message.length + 1 + lengthOctets) / block) * block;
  const bytes = new Uint8Array(total);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(total - 8, Math.floor(message.length / 0x20000000));
  view.setUint32(total - 4, message.length << 3);
  return bytes;
};

const W256 = new Uint32Array(64);

const sha256 = (message) => {
  const bytes = padded(message, 64, 8);
  const view = new DataView(bytes.buffer);
  const state = Uint32Array.from(START_256);
  const w = W256;
  for (let block = 0; block < bytes.length; block += 64) {
    for (let t = 0; t < 16; t += 1) w[t] = view.getUint32(block + 4 * t);
    for (let t = 16; t < 64; t += 1) {
      const x = w[t - 15];
      const y = w[t - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = (w[t - 16] + s0 + w[t - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, h] = [state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]];
    for (let t = 0; t < 64; t += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K256[t] + w[t]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((value, n) => digest.setUint32(4 * n, value));
  return new Uint8Array(digest.buffer);
};

const MASK_64 = (1n << 64n) - 1n;
const turned = (x, n) => ((x >> n) | (x << (64n - n))) & MASK_64;

const sha512From = (start, message) => {
  const bytes = padded(message, 128, 16);
  const view = new DataView(bytes.buffer);
  let state = start;
  for (let block = 0; block < bytes.length; block += 128) {
    const w = [];
    for (let t = 0; t < 16; t += 1) w.push(view.getBigUint64(block + 8 * t));
    for (let t = 16; t < 80; t += 1) {
      const s0 = turned(w[t - 15], 1n) ^ turned(w[t - 15], 8n) ^ (w[t - 15] >> 7n);
      const s1 = turned(w[t - 2], 19n) ^ turned(w[t - 2], 61n) ^ (w[t - 2] >> 6n);
      w.push((w[t - 16] + s0 + w[t - 7] + s1) & MASK_64);
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 80; t += 1) {
      const s1 = turned(e, 14n) ^ turned(e, 18n) ^ turned(e, 41n);
      const t1 = h + s1 + ((e & f) ^ (~e & MASK_64 & g)) + K512[t] + w[t];
      const s0 = turned(a, 28n) ^ turned(a, 34n) ^ turned(a, 39n);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & MASK_64, c, b, a, (t1 + t2) & MASK_64];
    }
    state = [a, b, c, d, e, f, g, h].map((value, n) => (value + state[n]) & MASK_64);
  }
  return concat(...state.map((word) => bytesOfNumber(word, 8)));
};

const sha512 = (message) => sha512From(START_512, message);

const sha384 = (message) => sha512From(START_384, message).slice(0, 48);
