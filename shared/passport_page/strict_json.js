// JSON read strictly, as in shared/records/strict_json.py: bounded in depth and values, no duplicate names, no integer beyond 53 bits, no
// half of a surrogate pair. Objects are maps, so that no name is special; a number with a point or an exponent stays apart from integers.

const MAX_JSON_DEPTH = 16;
const MAX_JSON_VALUES = 2 ** 18;

class Float {
  constructor(value) {
    this.value = value;
  }
}

const JSON_NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const JSON_PLAIN = /[^"\\\u0000-\u001f]*/y;
const JSON_SPACE = /[ \t\n\r]*/y;
const JSON_ESCAPES = new Map([['"', '"'], ["\\", "\\"], ["/", "/"], ["b", "\b"], ["f", "\f"], ["n", "\n"], ["r", "\r"], ["t", "\t"]]);
const HALF_PAIR = /[\ud800-\udfff]/u;

class JsonReader {
  constructor(text, field) {
    this.text = text;
    this.field = field;
    this.at = 0;
    this.values = 0;
  }

  refuse(reason = "not JSON") {
    return new Malformed(this.field, reason);
  }

  matched(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  space() {
    this.matched(JSON_SPACE);
  }

  takes(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  whole() {
    this.space();
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw this.refuse();
    return value;
  }

  value(depth) {
    switch (this.text[this.at]) {
      case "{": return this.object(depth + 1);
      case "[": return this.list(depth + 1);
      case '"': return this.string();
      case "t": return this.word("true", true);
      case "f": return this.word("false", false);
      case "n": return this.word("null", null);
      default: return this.number();
    }
  }

  word(spelled, value) {
    if (!this.text.startsWith(spelled, this.at)) throw this.refuse();
    this.at += spelled.length;
    return value;
  }

  number() {
    const found = this.matched(JSON_NUMBER);
    if (found === null) throw this.refuse();
    const [literal, fraction, exponent] = found;
    if (fraction !== undefined || exponent !== undefined) {
      const value = Number(literal);
      if (!Number.isFinite(value)) throw this.refuse("a number too large");
      return new Float(value);
    }
    if (literal.length > 17 || !Number.isSafeInteger(Number(literal))) throw this.refuse("an integer of more than 53 bits");
    return Number(literal) + 0;
  }

  string() {
    this.at += 1;
    let text = "";
    for (;;) {
      text += this.matched(JSON_PLAIN)[0];
      if (this.takes('"')) break;
      if (!this.takes("\\")) throw this.refuse();
      text += this.escaped();
    }
    if (HALF_PAIR.test(text)) throw this.refuse("half of a surrogate pair");
    return text;
  }

  escaped() {
    const character = this.text[this.at];
    this.at += 1;
    if (character === "u") {
      const digits = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.refuse();
      this.at += 4;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const meant = JSON_ESCAPES.get(character);
    if (meant === undefined) throw this.refuse();
    return meant;
  }

  another() {
    this.values += 1;
    if (this.values > MAX_JSON_VALUES) throw this.refuse(`more than ${MAX_JSON_VALUES} values`);
  }

  deeper(depth) {
    this.another();
    if (depth > MAX_JSON_DEPTH) throw this.refuse(`nested more than ${MAX_JSON_DEPTH} deep`);
    this.at += 1;
    this.space();
  }

  object(depth) {
    this.deeper(depth);
    const names = new Map();
    if (this.takes("}")) return names;
    for (;;) {
      if (this.text[this.at] !== '"') throw this.refuse();
      const name = this.string();
      if (names.has(name)) throw this.refuse("a name appears twice in one object");
      this.space();
      if (!this.takes(":")) throw this.refuse();
      this.space();
      names.set(name, this.value(depth));
      this.space();
      if (this.takes("}")) return names;
      if (!this.takes(",")) throw this.refuse();
      this.another();
      this.space();
    }
  }

  list(depth) {
    this.deeper(depth);
    const items = [];
    if (this.takes("]")) return items;
    for (;;) {
      items.push(this.value(depth));
      this.space();
      if (this.takes("]")) return items;
      if (!this.takes(",")) throw this.refuse();
      this.another();
      this.space();
    }
  }
}

const parseJson = (bytes, field, maximum) => {
  if (bytes.length > maximum) throw new Malformed(field, `${bytes.length} bytes; at most ${maximum} are read`);
  return new JsonReader(textOf(bytes, field), field).whole();
};

const isObjectOf = (value, ...names) =>
  value instanceof Map && value.size === names.length && names.every((name) => value.has(name));
