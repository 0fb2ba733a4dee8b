// DEFLATE (RFC 1951), to read the passport in the page: written out, for not every browser that can check a passport can inflate one. It
// refuses what zlib refuses, so that page and program read the same pages.

const MAX_CODE_BITS = 15;
const MAX_LITERALS = 286;
const MAX_DISTANCES = 30;
const END_OF_BLOCK = 256;
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LENGTH_BASE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385,
  24577,
];
const DISTANCE_BITS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

// A canonical Huffman code: how many codes there are of each length, and the symbols in the order of their codes.
const huffmanOf = (lengths) => {
  const counts = new Uint16Array(MAX_CODE_BITS + 1);
  for (const length of lengths) counts[length] += 1;
  counts[0] = 0;
  const starts = new Uint16Array(MAX_CODE_BITS + 2);
  let room = 1;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits += 1) {
    room = 2 * room - counts[bits];
    if (room < 0) throw new Malformed("deflate", "too many codes");
    starts[bits + 1] = starts[bits] + counts[bits];
  }
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    symbols[starts[length]] = symbol;
    starts[length] += 1;
  });
  return { counts, symbols, room };
};

// A code that leaves sequences of bits without a meaning; of literals or distances a single one of one bit may, or none at all.
const isIncomplete = ({ counts, room }, mayBeSingle) => {
  const longest = counts.findLastIndex((count) => count > 0);
  return room > 0 && longest >= 0 && !(mayBeSingle && longest === 1);
};

const FIXED_LITERALS = huffmanOf(Array.from({ length: 288 }, (_, n) => (n < 144 ? 8 : n < 256 ? 9 : n < 280 ? 7 : 8)));
const FIXED_DISTANCES = huffmanOf(Array.from({ length: 30 }, () => 5));

class Inflating {
  constructor(bytes, maximum) {
    this.bytes = bytes;
    this.maximum = maximum;
    this.at = 0;
    this.held = 0;
    this.count = 0;
    this.out = new Uint8Array(Math.min(maximum, 4 * bytes.length + 1024));
    this.length = 0;
  }

  bits(count) {
    while (this.count < count) {
      if (this.at === this.bytes.length) throw new Malformed("deflate", "cut short");
      this.held |= this.bytes[this.at] << this.count;
      this.at += 1;
      this.count += 8;
    }
    const value = this.held & ((1 << count) - 1);
    this.held >>>= count;
    this.count -= count;
    return value;
  }

  symbol({ counts, symbols }) {
    let [code, first, index] = [0, 0, 0];
    for (let bits = 1; bits <= MAX_CODE_BITS; bits += 1) {
      code |= this.bits(1);
      const count = counts[bits];
      if (code - count < first) return symbols[index + code - first];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    throw new Malformed("deflate", "no such code");
  }

  put(octet) {
    if (this.length === this.out.length) {
      if (this.length >= this.maximum) throw new Malformed("deflate", `more than ${this.maximum} bytes`);
      const larger = new Uint8Array(Math.min(this.maximum, 2 * this.length));
      larger.set(this.out);
      this.out = larger;
    }
    this.out[this.length] = octet;
    this.length += 1;
  }

  stored() {
    this.held = 0;
    this.count = 0;
    const length = this.bits(16);
    if ((this.bits(16) ^ length) !== 0xffff) throw new Malformed("deflate", "a length and its check differ");
    for (let n = 0; n < length; n += 1) this.put(this.bits(8));
  }

  codes() {
    const literals = this.bits(5) + 257;
    const distances = this.bits(5) + 1;
    if (literals > MAX_LITERALS || distances > MAX_DISTANCES) throw new Malformed("deflate", "more codes than there are");
    const lengths = new Array(19).fill(0);
    for (let left = this.bits(4) + 4, n = 0; n < left; n += 1) lengths[CODE_LENGTH_ORDER[n]] = this.bits(3);
    const code = huffmanOf(lengths);
    if (isIncomplete(code, false)) throw new Malformed("deflate", "a code is not complete");
    const all = [];
    while (all.length < literals + distances) {
      const symbol = this.symbol(code);
      if (symbol === 16 && all.length === 0) throw new Malformed("deflate", "nothing to repeat");
      const repeated = symbol === 16 ? all[all.length - 1] : 0;
      if (symbol < 16) all.push(symbol);
      else for (let n = [3, 3, 11][symbol - 16] + this.bits([2, 3, 7][symbol - 16]); n > 0; n -= 1) all.push(repeated);
    }
    if (all.length > literals + distances) throw new Malformed("deflate", "too many lengths");
    if (all[END_OF_BLOCK] === 0) throw new Malformed("deflate", "a block without an end");
    const codes = [huffmanOf(all.slice(0, literals)), huffmanOf(all.slice(literals))];
    if (codes.some((each) => isIncomplete(each, true))) throw new Malformed("deflate", "a code is not complete");
    return codes;
  }

  block(literals, distances) {
    for (;;) {
      const symbol = this.symbol(literals);
      if (symbol === END_OF_BLOCK) return;
      if (symbol < END_OF_BLOCK) {
        this.put(symbol);
        continue;
      }
      if (symbol > 285) throw new Malformed("deflate", "no such length");
      const length = LENGTH_BASE[symbol - 257] + this.bits(LENGTH_BITS[symbol - 257]);
      const far = this.symbol(distances);
      if (far > 29) throw new Malformed("deflate", "no such distance");
      const distance = DISTANCE_BASE[far] + this.bits(DISTANCE_BITS[far]);
      if (distance > this.length) throw new Malformed("deflate", "reaches back before the beginning");
      for (let n = 0; n < length; n += 1) this.put(this.out[this.length - distance]);
    }
  }

  whole() {
    let isLast = 0;
    while (!isLast) {
      isLast = this.bits(1);
      const kind = this.bits(2);
      if (kind === 0) this.stored();
      else if (kind === 1) this.block(FIXED_LITERALS, FIXED_DISTANCES);
      else if (kind === 2) this.block(...this.codes());
      else throw new Malformed("deflate", "no such kind of block");
    }
    if (this.at !== this.bytes.length) throw new Malformed("deflate", "something follows the end");
    return this.out.subarray(0, this.length);
  }
}

const inflate = (bytes, maximum) => new Inflating(bytes, maximum).whole();
