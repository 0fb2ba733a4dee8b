// The types a claim may have, as in shared/records/fields.py. The tables of kinds, roles and spellings are not written here: TABLES is
// made from those of the Python program when a page is made, so that both read the same.

// A claim in a table is [name, number of its type], and 1 behind that where it is optional.
const fieldOf = ([name, type, isOptional]) => ({ name, type, isOptional: isOptional === 1 });

for (const kind of Object.values(TABLES.kinds)) kind.fields = kind.fields.map(fieldOf);
for (const type of TABLES.types) if (type.is === "group") type.members = type.members.map(fieldOf);

const spelledPatterns = new Map();

const isSpelled = (pattern, text) => {
  if (!spelledPatterns.has(pattern)) spelledPatterns.set(pattern, new RegExp(`^(?:${pattern})$`, "u"));
  return spelledPatterns.get(pattern).test(text);
};

const INVISIBLE = new RegExp(TABLES.invisible, "u");

const isBetween = (least, value, most) => least <= value && value <= most;

// Why a value does not fit the type of a number, null if it does.
const faultOfType = (number, value) => {
  const type = TABLES.types[number];
  switch (type.is) {
    case "whole":
      if (typeof value !== "number") return "not an integer";
      return isBetween(type.least, value, type.most) ? null : `${value} is outside ${type.least} to ${type.most}`;
    case "yes_no":
      return typeof value === "boolean" ? null : "neither true nor false";
    case "text":
      if (typeof value !== "string") return "not a text";
      if (!isBetween(1, charactersIn(value), type.most)) return `not a text of 1 to ${type.most} characters`;
      return INVISIBLE.test(value) ? "holds a control character or one that hides or turns text" : null;
    case "spelled":
      return typeof value === "string" && isSpelled(type.pattern, value) ? null : `not ${type.meaning}`;
    case "choice":
      return typeof value === "string" && type.of.includes(value) ? null : `not one of ${type.of.join(", ")}`;
    case "many":
      return faultOfMany(type, value);
    case "group":
      return faultOfGroup(type, value);
    default:
      return "of no type that is known here";
  }
};

const faultOfMany = (type, value) => {
  if (!Array.isArray(value) || !isBetween(type.least, value.length, type.most)) {
    return `not a list of ${type.least} to ${type.most}`;
  }
  for (const [number, item] of value.entries()) {
    const fault = faultOfType(type.item, item);
    if (fault !== null) return `item ${number + 1}: ${fault}`;
  }
  const isSet = TABLES.types[type.item].is !== "group";
  return isSet && new Set(value.map(String)).size !== value.length ? "an item appears twice" : null;
};

const faultOfGroup = (type, value) => {
  const names = type.members.map((member) => member.name);
  if (!isObjectOf(value, ...names)) return `not an object of ${names.join(", ")}`;
  for (const member of type.members) {
    const fault = faultOfField(member, value.get(member.name));
    if (fault !== null) return `${member.name}: ${fault}`;
  }
  return null;
};

const faultOfField = (field, value) => (value === null && field.isOptional ? null : faultOfType(field.type, value));
