// Permissions in certificates (IEEE 1609.2 6.4.28-6.4.34), as in shared/security/permissions.py: what an owner may send, and what an
// authority may hand out and let others hand out.

const MAX_PERMISSIONS = 64;
const MAX_SSP_OCTETS = 256;
const MAX_BITMAP_SSP_OCTETS = 31;
const UNBOUNDED_CHAIN = -1n;
const APP_END_ENTITY = 0x80;
const ENROL_END_ENTITY = 0x40;

const readList = (reader, count, read) => {
  const items = [];
  for (let n = 0; n < count; n += 1) items.push(read(reader));
  return items;
};

const readAppPermissions = (reader, field) => {
  const permissions = readList(reader, reader.count(field, 1, MAX_PERMISSIONS), () => readPsidSsp(reader, field));
  if (new Set(permissions.map((each) => each.psid)).size !== permissions.length) {
    throw reader.refuse(field, "an ITS-AID occurs twice");
  }
  return permissions;
};

const readPsidSsp = (reader, field) => {
  const present = reader.preamble(field, 1);
  const psid = reader.quantity(field);
  if (!present) return { psid, ssp: null, isBitmap: true };
  const index = reader.choice(field);
  if (index === 0) return { psid, ssp: reader.opaque(field, MAX_SSP_OCTETS), isBitmap: false };
  if (index !== 1) throw reader.refuse(field, `SSP alternative ${index} is unknown`);
  const inner = reader.openType(field);
  const ssp = inner.opaque(field, MAX_BITMAP_SSP_OCTETS);
  inner.finish(field);
  return { psid, ssp, isBitmap: true };
};

// An SSP range is {any}, {values} or {value, mask}.
const readRange = (reader, field) => {
  const present = reader.preamble(field, 1);
  const psid = reader.quantity(field);
  if (!present) return { psid, any: true };
  const index = reader.choice(field);
  if (index === 0) {
    const values = readList(reader, reader.count(field, 0, MAX_PERMISSIONS), () => reader.opaque(field, MAX_SSP_OCTETS));
    return { psid, values };
  }
  if (index === 1) return { psid, any: true };
  if (index !== 2) throw reader.refuse(field, `SSP range alternative ${index} is unknown`);
  const inner = reader.openType(field);
  const value = inner.opaque(field, MAX_BITMAP_SSP_OCTETS + 1);
  const mask = inner.opaque(field, MAX_BITMAP_SSP_OCTETS + 1);
  inner.finish(field);
  if (value.length !== mask.length) throw reader.refuse(field, "SSP value and mask differ in length");
  return { psid, value, mask };
};

const readGroupPermissions = (reader, field) =>
  readList(reader, reader.count(field, 1, MAX_PERMISSIONS), () => readGroup(reader, field));

const readGroup = (reader, field) => {
  const present = reader.preamble(field, 3);
  const index = reader.choice(field);
  if (index > 1) throw reader.refuse(field, `subject permission alternative ${index} is unknown`);
  const ranges = index === 1 ? null : readList(reader, reader.count(field, 1, MAX_PERMISSIONS), () => readRange(reader, field));
  const minChain = present & 0x80 ? reader.integer(field) : 1n;
  const chainRange = present & 0x40 ? reader.integer(field) : 0n;
  const endEntities = present & 0x20 ? reader.unsigned(1, field) : APP_END_ENTITY;
  if ((present & 0x80 && minChain === 1n) || (present & 0x40 && chainRange === 0n)) {
    throw reader.refuse(field, "a default value is written out");
  }
  if (minChain < 1n || chainRange < UNBOUNDED_CHAIN) throw reader.refuse(field, "impossible chain length");
  if (endEntities & ~(APP_END_ENTITY | ENROL_END_ENTITY)) throw reader.refuse(field, "end entity type has unknown bits");
  return { ranges, minChain, chainRange, endEntities };
};

const bitmapContains = (range, ssp) =>
  ssp.length === range.value.length && ssp.every((bits, n) => ((bits ^ range.value[n]) & range.mask[n]) === 0);

const hasValue = (values, value) => values.some((each) => sameBytes(each, value));

const rangeCovers = (range, permission) => {
  if (range.psid !== permission.psid) return false;
  if (range.any) return true;
  if (range.values) return !permission.isBitmap && hasValue(range.values, permission.ssp);
  return permission.isBitmap && permission.ssp !== null && bitmapContains(range, permission.ssp);
};

const rangeCoversRange = (range, other) => {
  if (range.psid !== other.psid) return false;
  if (range.any) return true;
  if (range.values && other.values) return other.values.every((value) => hasValue(range.values, value));
  if (!range.mask || !other.mask) return false;
  const isNarrower = range.mask.every((own, n) => n >= other.mask.length || (own & ~other.mask[n]) === 0);
  return isNarrower && bitmapContains(range, other.value);
};

const groupMayIssue = (group, permission, endEntities) => {
  if (group.minChain > 1n || !(group.endEntities & endEntities)) return false;
  if (group.chainRange !== UNBOUNDED_CHAIN && 1n > group.minChain + group.chainRange) return false;
  return group.ranges === null || group.ranges.some((range) => rangeCovers(range, permission));
};

const groupCoversChainsBelow = (group, child) => {
  if (child.minChain + 1n < group.minChain) return false;
  if (group.chainRange === UNBOUNDED_CHAIN) return true;
  if (child.chainRange === UNBOUNDED_CHAIN) return false;
  return child.minChain + child.chainRange + 1n <= group.minChain + group.chainRange;
};

const groupMayDelegate = (group, child, entry) => {
  if (child.endEntities & ~group.endEntities || !groupCoversChainsBelow(group, child)) return false;
  if (group.ranges === null) return true;
  return entry !== null && group.ranges.some((range) => rangeCoversRange(range, entry));
};

const checkIssuedPermissions = (issuer, permissions, endEntities) => {
  for (const permission of permissions) {
    if (!issuer.some((group) => groupMayIssue(group, permission, endEntities))) {
      throw new Untrusted(`the issuer may not issue ITS-AID ${permission.psid} with this SSP`);
    }
  }
};

const checkDelegatedPermissions = (issuer, delegated) => {
  for (const child of delegated) {
    for (const entry of child.ranges === null ? [null] : child.ranges) {
      if (!issuer.some((group) => groupMayDelegate(group, child, entry))) {
        throw new Untrusted("the issuer may not delegate issuing this far");
      }
    }
  }
};
