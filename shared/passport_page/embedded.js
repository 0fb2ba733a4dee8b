// What a page carries: the passport, deflated, and whom to trust. Another page dropped on this one is not run: only its passport is taken
// out, as shared/service/passport_file.py does, and judged by this page's trust.

const PASSPORT_ELEMENT = /<script type="text\/plain" id="passport">([^<]*)<\/script>/g;
const PAGE_BEGIN = /^<!doctype html>/i;
const DEFLATED = "deflate,";
const MAX_PAGE_BYTES = 2 * MAX_PASSPORT_BYTES + 4 * 1024 * 1024;

// The octets of the passport that an element's text spells; null where a page carries none.
const passportOfText = (text) => {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Malformed("the page", "its passport was damaged or altered");
  }
  if (value === null) return null;
  if (typeof value !== "string" || !value.startsWith(DEFLATED)) throw new Malformed("the page", "its passport was damaged or altered");
  return inflate(decodeBase64(value.slice(DEFLATED.length), "the page"), MAX_PASSPORT_BYTES);
};

const passportOfPage = (bytes) => {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (!PAGE_BEGIN.test(text)) throw new Malformed("the page", "does not begin as one");
  const found = [...text.matchAll(PASSPORT_ELEMENT)];
  if (found.length !== 1) throw new Malformed("the page", `carries ${found.length} passports`);
  const passport = passportOfText(found[0][1]);
  if (passport === null) throw new Malformed("the page", "carries no passport");
  return passport;
};
