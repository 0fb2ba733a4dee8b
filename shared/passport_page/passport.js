// The file of a passport, as in shared/records/passport.py: it has exactly one spelling. Here one damaged entry does not hide the others:
// what can be read is read, and every fault is told.

const PASSPORT_FORMAT = "v2x-passport/1";
const MAX_PASSPORT_BYTES = 64 * 1024 * 1024;
const MAX_PASSPORT_RECORDS = 30000;
const MAX_PASSPORT_CREDENTIALS = 64 + 192;

const certificateId = (certificate) => encodeBase64url(sha256(certificate));

const readCertificateText = (text, field) => {
  const octets = decodeBase64url(text, field);
  if (octets.length < 1 || octets.length > MAX_CERTIFICATE_OCTETS) throw new Malformed(field, "no certificate");
  return octets;
};

const readCredential = (item, number) => {
  if (!isObjectOf(item, "credential", "authority") || ![...item.values()].every(isText)) {
    throw new Malformed(`credentials[${number}]`, "not two certificates");
  }
  const certificate = readCertificateText(item.get("credential"), `credentials[${number}].credential`);
  const authority = readCertificateText(item.get("authority"), `credentials[${number}].authority`);
  return { id: certificateId(certificate), certificate, authority };
};

const readEntry = (item) => {
  if (!isObjectOf(item, "sd_jwt", "salt", "proof") || ![...item.values()].every(isText)) {
    throw new Malformed("entry", "not a record");
  }
  const token = parseSdJwt(item.get("sd_jwt"));
  if (token.disclosures.some((each) => each.name === null || !TABLES.hideable.includes(each.name))) {
    throw new Malformed("sd_jwt", "shows a claim that no record has");
  }
  const salt = decodeBase64url(item.get("salt"), "salt");
  if (salt.length !== COMMITMENT_SALT_BYTES) throw new Malformed("salt", `${salt.length} bytes, not ${COMMITMENT_SALT_BYTES}`);
  const proof = parseProof(item.get("proof"));
  if (proof.extra !== null) throw new Malformed("proof", "carries extra data, which nothing vouches for");
  const kid = token.header.get("kid");
  return { token, salt, proof, kid: isText(kid) ? kid : "" };
};

// JSON in the one spelling of our files, of a value that holds no numbers.
const spelledJson = (value) => {
  const plain = (each) => {
    if (each instanceof Map) return Object.fromEntries([...each].map(([name, item]) => [name, plain(item)]));
    return Array.isArray(each) ? each.map(plain) : each;
  };
  return `${JSON.stringify(plain(value), null, 1)}\n`;
};

// `{credentials, records, faults}`; an entry that cannot be read is null, a file that cannot be read throws.
const readPassport = (bytes) => {
  const value = parseJson(bytes, "the file", MAX_PASSPORT_BYTES);
  const isForm =
    isObjectOf(value, "format", "credentials", "records") &&
    value.get("format") === PASSPORT_FORMAT &&
    Array.isArray(value.get("credentials")) &&
    Array.isArray(value.get("records"));
  if (!isForm) throw new Malformed("the file", `not a passport of the form ${PASSPORT_FORMAT}`);
  const [credentialItems, recordItems] = [value.get("credentials"), value.get("records")];
  if (recordItems.length > MAX_PASSPORT_RECORDS || credentialItems.length > MAX_PASSPORT_CREDENTIALS) {
    throw new Malformed("the file", "more records or credentials than a passport may have");
  }
  const faults = [];
  const attempt = (read, what) => {
    try {
      return read();
    } catch (error) {
      faults.push(`${what} was damaged or altered: ${error.message}`);
      return null;
    }
  };
  const count = recordItems.length;
  const credentials = credentialItems.map((item, n) =>
    attempt(() => readCredential(item, n + 1), `credential ${n + 1} of ${credentialItems.length}`),
  );
  const records = recordItems.map((item, n) => attempt(() => readEntry(item), `entry ${n + 1} of ${count}`));
  if (count === 0) faults.push("the passport holds no record; it proves nothing");
  if (faults.length === 0) {
    if (spelledJson(orderedAsSpelled(value)) !== textOf(bytes, "the file")) {
      faults.push("the passport is not spelled the one way a passport is: the file was edited");
    }
    faults.push(...faultsOfCredentials(credentials, records));
  }
  return { credentials, records, faults };
};

const orderedAsSpelled = (value) => {
  const ordered = (map, ...names) => new Map(names.map((name) => [name, map.get(name)]));
  return new Map([
    ["format", value.get("format")],
    ["credentials", value.get("credentials").map((each) => ordered(each, "credential", "authority"))],
    ["records", value.get("records").map((each) => ordered(each, "sd_jwt", "salt", "proof"))],
  ]);
};

// A credential that stands twice, that signed nothing, or that is out of order.
const faultsOfCredentials = (credentials, records) => {
  const faults = [];
  const used = [...new Set(records.map((record) => record.kid))];
  const enclosed = [];
  credentials.forEach(({ id }, n) => {
    const which = `credential ${n + 1} of ${credentials.length}`;
    if (enclosed.includes(id)) faults.push(`${which} stands in this passport twice`);
    else if (!used.includes(id)) faults.push(`${which} signed none of the records: it has no place here`);
    enclosed.push(id);
  });
  const expected = used.filter((kid) => enclosed.includes(kid));
  if (faults.length === 0 && enclosed.some((id, n) => id !== expected[n])) {
    faults.push("the credentials do not stand in the order in which they signed: the file was edited");
  }
  return faults;
};
