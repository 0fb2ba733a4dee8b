// What can be wrong, as in shared/core/errors.py: octets that do not decode, a proof that does not prove, and the named check of
// a passport that failed. A fault is always thrown: a check that returns has held.

class Malformed extends Error {
  constructor(field, reason) {
    super(`${field}: ${reason}`);
    this.field = field;
    this.reason = reason;
  }
}

class Unproven extends Error {}

class Untrusted extends Error {}

class CheckFailed extends Error {
  constructor(check, reason) {
    super(reason);
    this.check = check;
    this.reason = reason;
  }
}
