// Whether a certificate leads to a trusted root (IEEE 1609.2 5.1.2, TS 103 097), as in shared/security/chain.py: for each link the
// issuer's signature by the hash rule of 1609.2, validity, region and permissions within the issuer's, and the length of the chain.

const MAX_CHAIN_CERTIFICATES = 8;
const CERTIFICATE_REQUEST_AID = 623n;
const VEHICLE_RECORDS_AID = 270549110n;
const ENROLMENT_SSP_BITS = 0xc0;
const RECORD_SSP_BITS = 0xf8;

const checkCommonProfile = ({ tbs }) => {
  if (tbs.cracaId.some((octet) => octet !== 0) || tbs.crlSeries !== 0) {
    throw new Untrusted("the certificate names a revocation authority, which TS 103 097 forbids");
  }
  if (tbs.request !== null) throw new Untrusted("the certificate has request permissions, which TS 103 097 forbids");
  if (tbs.mayRollOver) throw new Untrusted("the certificate may request its own successor, which TS 103 097 forbids");
  if (tbs.owner.kind !== "name" && tbs.owner.kind !== "none") {
    throw new Untrusted("the certificate is identified by neither a name nor nothing");
  }
};

const checkAuthorityProfile = (certificate) => {
  checkCommonProfile(certificate);
  if (certificate.tbs.issue === null) {
    throw new Untrusted(`certificate ${hexOf(certificate.id)} may not issue anything, so it is no authority`);
  }
};

// An enrolment credential may request certificates, perhaps issue records in one role, and nothing else.
const checkEnrolmentProfile = (certificate) => {
  checkCommonProfile(certificate);
  const ssps = new Map((certificate.tbs.app || []).map((each) => [each.psid, each.ssp]));
  const others = [...ssps.keys()].filter((psid) => psid !== CERTIFICATE_REQUEST_AID && psid !== VEHICLE_RECORDS_AID);
  if (certificate.tbs.issue !== null || !ssps.has(CERTIFICATE_REQUEST_AID) || others.length > 0) {
    throw new Untrusted(
      "an enrolment credential has the permission to request certificates, perhaps to issue records, and no other",
    );
  }
  if (ssps.has(VEHICLE_RECORDS_AID)) {
    const role = ssps.get(VEHICLE_RECORDS_AID);
    const isOne = role !== null && role.length === 2 && role[0] === 1 && !(role[1] & ~RECORD_SSP_BITS);
    if (!isOne || role[1] === 0 || (role[1] & (role[1] - 1)) !== 0) throw new Untrusted("an issuer of records has one role");
  }
  const ssp = ssps.get(CERTIFICATE_REQUEST_AID);
  if (ssp === null || ssp.length !== 2 || ssp[0] !== 1 || ssp[1] & ~ENROLMENT_SSP_BITS) {
    throw new Untrusted("an enrolment credential may only sign enrolment and authorization requests");
  }
};

// The role a credential carries, as in shared/service/record_issuers.py; a vehicle's where it carries none.
const roleOf = (certificate) => {
  for (const { psid, ssp } of certificate.tbs.app || []) {
    if (psid !== VEHICLE_RECORDS_AID) continue;
    const named = hexOf(ssp || new Uint8Array(0));
    if (!Object.hasOwn(TABLES.roleOfSsp, named)) {
      throw new Untrusted("a credential carries a permission to issue records that names no role");
    }
    return TABLES.roleOfSsp[named];
  }
  return VEHICLE;
};

// Digest to sign = H(H(to be signed) || H(certificate of the signer)), the empty string standing in for one's own.
const checkCertificateSignature = async (certificate, key, issuerCanonical) => {
  const { curve } = key;
  const { signature, tbs } = certificate;
  const message = concat(curve.hash(tbs.bytes), curve.hash(issuerCanonical));
  const isHeld = signature.curve === curve && (await key.isSignature(message, concat(signature.point.x, signature.s)));
  if (!isHeld) throw new Untrusted(`the issuer's signature on certificate ${hexOf(certificate.id)} does not hold`);
};

class ChainVerifier {
  // `roots` are trusted, `authorities` only known.
  constructor(roots, authorities) {
    for (const authority of authorities) {
      if (authority.issuer.id === null) {
        throw new Untrusted(`certificate ${hexOf(authority.id)} is self-signed: it belongs to the roots`);
      }
    }
    this.roots = new Map(roots.map((root) => [hexOf(root.id), root]));
    this.authorities = new Map(authorities.map((authority) => [hexOf(authority.id), authority]));
    this.believed = new Map();
  }

  find(id) {
    return this.authorities.get(hexOf(id)) || this.roots.get(hexOf(id)) || null;
  }

  async checkEnrolmentCredential(certificate, time64) {
    if (!isValidAt(certificate.tbs.validity, time64)) {
      throw new Untrusted(`certificate ${hexOf(certificate.id)} is outside its validity period`);
    }
    checkEnrolmentProfile(certificate);
    if (certificate.issuer.id === null) throw new Untrusted("an end entity cannot vouch for itself");
    const issuer = this.find(certificate.issuer.id);
    if (issuer === null) throw new Untrusted(`the issuing authority ${hexOf(certificate.issuer.id)} is not known`);
    const above = await this.authority(issuer, MAX_CHAIN_CERTIFICATES - 1);
    return this.link(certificate, above);
  }

  async authority(certificate, left) {
    const name = hexOf(certificate.id);
    if (!this.believed.has(name)) this.believed.set(name, await this.judgeAuthority(certificate, left));
    return this.believed.get(name);
  }

  async judgeAuthority(certificate, left) {
    if (left === 0) throw new Untrusted(`the chain has more than ${MAX_CHAIN_CERTIFICATES} certificates`);
    checkAuthorityProfile(certificate);
    if (certificate.issuer.id === null) return this.root(certificate);
    const issuer = this.find(certificate.issuer.id);
    if (issuer === null) {
      throw new Untrusted(`authority ${hexOf(certificate.id)} is issued by ${hexOf(certificate.issuer.id)}, which is no trusted root`);
    }
    return this.link(certificate, await this.authority(issuer, left - 1));
  }

  async root(certificate) {
    const known = this.roots.get(hexOf(certificate.id));
    if (known === undefined || !sameBytes(known.digest, certificate.digest)) {
      throw new Untrusted(`root ${hexOf(certificate.id)} is not trusted`);
    }
    const key = keyOfCertificate(certificate);
    await checkCertificateSignature(certificate, key, new Uint8Array(0));
    return { certificate, key, region: certificate.tbs.region, length: 1, root: certificate };
  }

  async link(certificate, above) {
    const issuer = above.certificate;
    const { tbs } = certificate;
    if (above.length >= MAX_CHAIN_CERTIFICATES) throw new Untrusted("the chain is too long");
    if (certificate.issuer.hash !== issuer.tbs.key.curve.hash) {
      throw new Untrusted("the issuer is named by a hash that does not belong to its key");
    }
    if (tbs.validity.start < issuer.tbs.validity.start || tbs.validity.end > issuer.tbs.validity.end) {
      throw new Untrusted("the validity period is not within the issuer's");
    }
    const region = tbs.region === null ? above.region : tbs.region;
    if (region !== null && above.region !== null && !regionLiesWithin(region, above.region)) {
      throw new Untrusted("the region is not within the issuer's");
    }
    const issuable = issuer.tbs.issue || [];
    checkIssuedPermissions(issuable, tbs.app || [], APP_END_ENTITY | ENROL_END_ENTITY);
    checkDelegatedPermissions(issuable, tbs.issue || []);
    await checkCertificateSignature(certificate, above.key, issuer.canonical);
    return { certificate, key: keyOfCertificate(certificate), region, length: above.length + 1, root: above.root };
  }
}
