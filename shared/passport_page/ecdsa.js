// ECDSA signatures over octets: WebCrypto where the browser has the curve, whole numbers where it has not.

const webCrypto = () => (typeof crypto === "object" && crypto !== null && crypto.subtle ? crypto.subtle : null);

// A public key that is known to lie on its curve; `isSignature` tells whether r || s over a message holds.
class EcdsaKey {
  constructor(curve, point) {
    this.curve = curve;
    this.point = point;
    this.imported = undefined;
  }

  async isSignature(message, signature) {
    const { curve } = this;
    if (signature.length !== 2 * curve.octets) return false;
    const r = numberOf(signature.subarray(0, curve.octets));
    const s = numberOf(signature.subarray(curve.octets));
    if (r < 1n || s < 1n || r >= curve.order || s >= curve.order) return false;
    if (this.imported === undefined) this.imported = this.toWebCrypto();
    const imported = await this.imported;
    if (imported === null) return isEcdsaInNumbers(curve, this.point, curve.hash(message), r, s);
    const algorithm = { name: "ECDSA", hash: curve.octets === 32 ? "SHA-256" : "SHA-384" };
    return webCrypto().verify(algorithm, imported, signature, message);
  }

  async toWebCrypto() {
    const { curve, point } = this;
    if (curve.web === null || webCrypto() === null) return null;
    const raw = concat([4], bytesOfNumber(point.x, curve.octets), bytesOfNumber(point.y, curve.octets));
    try {
      return await webCrypto().importKey("raw", raw, { name: "ECDSA", namedCurve: curve.web }, false, ["verify"]);
    } catch {
      return null;
    }
  }
}
