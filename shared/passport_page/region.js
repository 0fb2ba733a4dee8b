// Where a certificate is valid (IEEE 1609.2 6.4.17-6.4.25), as in shared/security/region.py and region_containment.py: read, and whether
// a region provably lies within its issuer's. Countries are numbers without shape here: one lies only within its own number.

const MAX_LATITUDE = 900000000;
const MAX_LONGITUDE = 1800000000;
const UNITS_PER_DEGREE = 10000000;
const MAX_SHAPES = 64;
const CIRCLE_MARGIN = 0.01;

const readLocation = (reader, field) => {
  const lat = reader.signed(4, field);
  const lon = reader.signed(4, field);
  if (Math.abs(lat) > MAX_LATITUDE || Math.abs(lon) > MAX_LONGITUDE) throw reader.refuse(field, "no such place");
  return { lat, lon };
};

const readRectangle = (reader, field) => {
  const first = readLocation(reader, field);
  const second = readLocation(reader, field);
  if (first.lat <= second.lat || first.lon >= second.lon) {
    throw reader.refuse(field, "the first corner is not north-west of the second");
  }
  return { kind: "box", north: first.lat, west: first.lon, south: second.lat, east: second.lon };
};

const readIdentified = (reader, field) => {
  const kind = reader.choice(field);
  if (kind > 2) throw reader.refuse(field, `identified region alternative ${kind} is unknown`);
  const country = reader.unsigned(2, field);
  if (kind === 0) return [[country]];
  const keys = [];
  for (let parts = reader.count(field, 1, MAX_SHAPES); parts > 0; parts -= 1) {
    const part = reader.unsigned(1, field);
    if (kind === 1) {
      keys.push([country, part]);
      continue;
    }
    for (let n = reader.count(field, 1, MAX_SHAPES); n > 0; n -= 1) keys.push([country, part, reader.unsigned(2, field)]);
  }
  return keys;
};

const readRegion = (reader, field) => {
  const index = reader.choice(field);
  if (index === 0) return { kind: "circle", centre: readLocation(reader, field), radius: reader.unsigned(2, field) };
  if (index > 3) throw reader.refuse(field, `region alternative ${index} is unknown`);
  const count = reader.count(field, index === 2 ? 3 : 1, MAX_SHAPES);
  if (index === 1) return { kind: "boxes", boxes: readList(reader, count, () => readRectangle(reader, field)) };
  if (index === 2) return { kind: "polygon", corners: readList(reader, count, () => readLocation(reader, field)) };
  return { kind: "countries", keys: readList(reader, count, () => readIdentified(reader, field)).flat() };
};

const sameRegion = (a, b) => JSON.stringify(a) === JSON.stringify(b);

const regionLiesWithin = (inner, outer) => {
  if (sameRegion(inner, outer)) return true;
  if (inner.kind === "countries") {
    const known = new Set(outer.kind === "countries" ? outer.keys.map(String) : []);
    return inner.keys.every((key) => key.some((_, n) => known.has(String(key.slice(0, n + 1)))));
  }
  if (outer.kind === "countries") return false;
  const singles = outer.kind === "boxes" ? outer.boxes : [outer];
  return (inner.kind === "boxes" ? inner.boxes : [inner]).every((part) => singles.some((whole) => singleLiesWithin(part, whole)));
};

const singleLiesWithin = (inner, outer) => {
  if (sameRegion(inner, outer)) return true;
  if (outer.kind === "circle") return liesInCircle(inner, outer);
  if (outer.kind === "polygon") return liesInPolygon(inner, outer.corners);
  const box = boundsOf(inner);
  return box !== null && box.north <= outer.north && box.south >= outer.south && box.west >= outer.west && box.east <= outer.east;
};

const metresPerDegree = (latitude) => {
  const phi = (latitude * Math.PI) / 180;
  const e2 = 6.69437999014e-3;
  const w = Math.sqrt(1 - e2 * Math.sin(phi) ** 2);
  const radian = Math.PI / 180;
  return [((6378137 * (1 - e2)) / w ** 3) * radian, (6378137 / w) * Math.cos(phi) * radian];
};

const distanceBetween = (a, b) => {
  const [latA, lonA, latB, lonB] = [a.lat, a.lon, b.lat, b.lon].map((each) => each / UNITS_PER_DEGREE);
  const [perLat, perLon] = metresPerDegree((latA + latB) / 2);
  const turn = ((((lonB - lonA + 180) % 360) + 360) % 360) - 180;
  return Math.hypot(turn * perLon, (latB - latA) * perLat);
};

const cornersOf = (shape) =>
  shape.kind === "polygon"
    ? shape.corners
    : [[shape.north, shape.west], [shape.north, shape.east], [shape.south, shape.east], [shape.south, shape.west]].map(
        ([lat, lon]) => ({ lat, lon }),
      );

const liesInCircle = (inner, outer) => {
  const reach = outer.radius * (1 - CIRCLE_MARGIN);
  if (inner.kind === "circle") {
    return distanceBetween(outer.centre, inner.centre) + inner.radius * (1 + CIRCLE_MARGIN) <= reach;
  }
  return cornersOf(inner).every((corner) => distanceBetween(outer.centre, corner) <= reach);
};

const boundsOf = (shape) => {
  if (shape.kind === "box") return shape;
  if (shape.kind === "polygon") {
    const lats = shape.corners.map((corner) => corner.lat);
    const lons = shape.corners.map((corner) => corner.lon);
    return { kind: "box", north: Math.max(...lats), west: Math.min(...lons), south: Math.min(...lats), east: Math.max(...lons) };
  }
  const { centre } = shape;
  const reach = shape.radius * (1 + CIRCLE_MARGIN);
  const high = Math.ceil((reach / metresPerDegree(centre.lat / UNITS_PER_DEGREE)[0]) * UNITS_PER_DEGREE) + 1;
  const perLon = metresPerDegree(Math.min(90, (Math.abs(centre.lat) + high) / UNITS_PER_DEGREE))[1];
  if (perLon < 1) return null;
  const wide = Math.ceil((reach / perLon) * UNITS_PER_DEGREE) + 1;
  const box = { kind: "box", north: centre.lat + high, west: centre.lon - wide, south: centre.lat - high, east: centre.lon + wide };
  const isOff = Math.max(box.north, -box.south) > MAX_LATITUDE || Math.max(box.east, -box.west) > MAX_LONGITUDE;
  return isOff ? null : box;
};

// Twice the signed area of the triangle a, b, c, exactly.
const crossOf = (a, b, c) =>
  BigInt(b.lon - a.lon) * BigInt(c.lat - a.lat) - BigInt(b.lat - a.lat) * BigInt(c.lon - a.lon);

const signOf = (value) => (value > 0n ? 1 : value < 0n ? -1 : 0);

const edgesOf = (corners) => corners.map((corner, n) => [corner, corners[(n + 1) % corners.length]]);

const polygonContains = (corners, at) => {
  let isInside = false;
  for (const [a, b] of edgesOf(corners)) {
    const side = signOf(crossOf(a, b, at));
    const isBetween = (low, high, value) => Math.min(low, high) <= value && value <= Math.max(low, high);
    if (side === 0 && isBetween(a.lat, b.lat, at.lat) && isBetween(a.lon, b.lon, at.lon)) return true;
    if (a.lat > at.lat !== b.lat > at.lat && side > 0 === b.lat > a.lat) isInside = !isInside;
  }
  return isInside;
};

const isConvex = (corners) => {
  const count = corners.length;
  const turns = corners.map((corner, n) => signOf(crossOf(corner, corners[(n + 1) % count], corners[(n + 2) % count])));
  if (!turns.every((turn) => turn > 0) && !turns.every((turn) => turn < 0)) return false;
  const steps = edgesOf(corners).map(([a, b]) => b.lon - a.lon).filter((step) => step !== 0);
  return steps.filter((step, n) => step > 0 !== steps[(n + steps.length - 1) % steps.length] > 0).length === 2;
};

const touch = (a, b, c, d) => {
  if (Math.max(a.lat, b.lat) < Math.min(c.lat, d.lat) || Math.max(c.lat, d.lat) < Math.min(a.lat, b.lat)) return false;
  if (Math.max(a.lon, b.lon) < Math.min(c.lon, d.lon) || Math.max(c.lon, d.lon) < Math.min(a.lon, b.lon)) return false;
  return signOf(crossOf(a, b, c)) * signOf(crossOf(a, b, d)) <= 0 && signOf(crossOf(c, d, a)) * signOf(crossOf(c, d, b)) <= 0;
};

const liesInPolygon = (inner, corners) => {
  if (inner.kind === "circle") {
    const box = boundsOf(inner);
    return box !== null && liesInPolygon(box, corners);
  }
  const points = cornersOf(inner);
  if (!points.every((point) => polygonContains(corners, point))) return false;
  if (isConvex(corners)) return true;
  return !edgesOf(points).some(([a, b]) => edgesOf(corners).some(([c, d]) => touch(a, b, c, d)));
};
