// Octets and their spellings: hexadecimal, UTF-8, and base64 that has exactly one spelling (RFC 4648 4 and 5).

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The value of each character code, -1 for those that are not in the alphabet.
const valuesOf = (alphabet) => Int8Array.from({ length: 128 }, (_, code) => alphabet.indexOf(String.fromCharCode(code)));
const BASE64_VALUES = valuesOf(BASE64);
const BASE64URL_VALUES = valuesOf(BASE64URL);

const concat = (...parts) => {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const sameBytes = (a, b) => a.length === b.length && a.every((octet, at) => octet === b[at]);

const HEX_OF_OCTET = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

const hexOf = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 1) text += HEX_OF_OCTET[bytes[at]];
  return text;
};

const bytesOfHex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));

const ENCODER = new TextEncoder();

const utf8 = (text) => ENCODER.encode(text);

const textOf = (bytes, field) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Malformed(field, "not UTF-8");
  }
};

const numberOf = (bytes) => BigInt(`0x0${hexOf(bytes)}`);

const bytesOfNumber = (value, width) => bytesOfHex(value.toString(16).padStart(2 * width, "0"));

const encodeWith = (alphabet, bytes) => {
  const characters = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const group = (bytes[at] << 16) | ((bytes[at + 1] || 0) << 8) | (bytes[at + 2] || 0);
    const count = Math.min(bytes.length - at, 3) + 1;
    for (let n = 0; n < count; n += 1) characters.push(alphabet[(group >> (18 - 6 * n)) & 63]);
  }
  return characters.join("");
};

const decodeWith = (values, text, field, name) => {
  if (text.length % 4 === 1) throw new Malformed(field, `not ${name}`);
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let place = 0; place < text.length; place += 1) {
    const code = text.charCodeAt(place);
    const value = code < 128 ? values[code] : -1;
    if (value < 0) throw new Malformed(field, `not ${name}`);
    held = (held << 6) | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at] = (held >> bits) & 255;
      at += 1;
      held &= (1 << bits) - 1;
    }
  }
  if (held !== 0) throw new Malformed(field, `${name} that is not canonical`);
  return bytes;
};

const encodeBase64url = (bytes) => encodeWith(BASE64URL, bytes);

const decodeBase64url = (text, field) => decodeWith(BASE64URL_VALUES, text, field, "base64url");

const encodeBase64 = (bytes) => {
  const text = encodeWith(BASE64, bytes);
  return text + "=".repeat((4 - (text.length % 4)) % 4);
};

const decodeBase64 = (text, field) => {
  const bare = text.replace(/={1,2}$/, "");
  if (text.length % 4 !== 0) throw new Malformed(field, "not base64");
  const bytes = decodeWith(BASE64_VALUES, bare, field, "base64");
  if (encodeBase64(bytes) !== text) throw new Malformed(field, "base64 that is not canonical");
  return bytes;
};

// Characters as Python counts them: a pair of surrogates is one.
const charactersIn = (text) => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};
