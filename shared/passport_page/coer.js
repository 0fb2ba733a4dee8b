// Canonical OER (ITU-T X.696), as in shared/codec/coer.py: a cursor that accepts one encoding of each value.

const MAX_LENGTH_OCTETS = 3;
const MAX_QUANTITY_OCTETS = 8;

class CoerReader {
  constructor(bytes, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  refuse(field, reason) {
    return new Malformed(`${field} (bit ${8 * this.at})`, reason);
  }

  since(start) {
    return this.bytes.slice(start, this.at);
  }

  octets(count, field) {
    if (this.at + count > this.end) throw this.refuse(field, `needs ${count} octets, ${this.end - this.at} are left`);
    this.at += count;
    return this.bytes.slice(this.at - count, this.at);
  }

  unsigned(width, field) {
    return Number(numberOf(this.octets(width, field)));
  }

  signed(width, field) {
    return Number(BigInt.asIntN(8 * width, numberOf(this.octets(width, field))));
  }

  enumerated(field) {
    const value = this.unsigned(1, field);
    if (value > 127) throw this.refuse(field, "long-form enumeration");
    return value;
  }

  length(field) {
    const first = this.unsigned(1, field);
    if (first < 128) return first;
    const width = first & 0x7f;
    if (width === 0 || width > MAX_LENGTH_OCTETS) throw this.refuse(field, `length of ${width} octets`);
    const value = this.unsigned(width, field);
    if (value < 128 || value < 256 ** (width - 1)) throw this.refuse(field, "length is not in its shortest form");
    return value;
  }

  opaque(field, maximum = Infinity) {
    const count = this.length(field);
    if (count > maximum) throw this.refuse(field, `${count} octets, at most ${maximum} are allowed`);
    return this.octets(count, field);
  }

  integerOctets(field) {
    const width = this.length(field);
    if (width < 1 || width > MAX_QUANTITY_OCTETS) throw this.refuse(field, `integer of ${width} octets`);
    return this.octets(width, field);
  }

  quantity(field) {
    const octets = this.integerOctets(field);
    if (octets.length > 1 && octets[0] === 0) throw this.refuse(field, "integer is not in its shortest form");
    return numberOf(octets);
  }

  integer(field) {
    const octets = this.integerOctets(field);
    if (octets.length > 1 && ((octets[0] === 0 && octets[1] < 128) || (octets[0] === 255 && octets[1] >= 128))) {
      throw this.refuse(field, "integer is not in its shortest form");
    }
    return BigInt.asIntN(8 * octets.length, numberOf(octets));
  }

  count(field, minimum, maximum) {
    const value = this.quantity(field);
    if (value < BigInt(minimum) || value > BigInt(maximum)) {
      throw this.refuse(field, `${value} items, allowed are ${minimum} to ${maximum}`);
    }
    return Number(value);
  }

  preamble(field, bits) {
    const value = this.unsigned(1, field);
    if (value & ((1 << (8 - bits)) - 1)) throw this.refuse(field, "preamble has padding bits set");
    return value;
  }

  choice(field) {
    const index = this.unsigned(1, field) - 0x80;
    if (index < 0 || index > 62) throw this.refuse(field, "no alternative of a choice");
    return index;
  }

  openType(field) {
    const count = this.length(field);
    const start = this.at;
    this.octets(count, field);
    return new CoerReader(this.bytes, start, start + count);
  }

  finish(field) {
    if (this.at !== this.end) throw this.refuse(field, `${this.end - this.at} octets follow the value`);
  }
}
