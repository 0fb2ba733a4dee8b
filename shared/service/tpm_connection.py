"""A connection to a TPM 2.0 (TCG TPM 2.0 Library part 3) through libtss2: what it is told, and what its refusals mean.

Objects live in a TPM only while they are used: a TPM without a resource manager has room for three, and a program that dies leaves
its own behind. A loaded key waits outside as its saved context, which the TPM itself has sealed. Whoever imports this file needs
the extra `tpm`. Left out: sessions that hide a PIN from whoever taps the bus of the TPM.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

os.environ.setdefault("TSS2_LOG", "all+NONE")  # the library would write to standard error what becomes a sentence here

from tpm2_pytss import (
    ESAPI,
    TPM2_ALG,
    TPM2_CAP,
    TPM2_ECC,
    TPM2_SU,
    TPM2B_DIGEST,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TPMS_ECC_PARMS,
    TPMS_SCHEME_HASH,
    TPMS_SENSITIVE_CREATE,
    TPMT_ECC_SCHEME,
    TPMT_KDF_SCHEME,
    TPMT_PUBLIC,
    TPMT_SIG_SCHEME,
    TPMT_SYM_DEF_OBJECT,
    TPMU_ASYM_SCHEME,
    TPMU_PUBLIC_PARMS,
    TPMU_SIG_SCHEME,
    TPMU_SYM_KEY_BITS,
    TPMU_SYM_MODE,
    TSS2_Exception,
)

from shared.core.errors import ConfigError
from shared.service.key_errors import TokenError
from shared.service.secret import SecretOctets

TCTI_KINDS = ("device", "swtpm", "mssim", "tabrmd")
"""Ways to a TPM; libtss2 knows more, among them one that runs a command."""

_INITIALIZE = 0x100
_FAILURE = 0x101
_AUTH_FAIL = 0x08E
_BAD_AUTH = 0x0A2
_INTEGRITY = 0x09F
_HIERARCHY = 0x085
_OBJECT_MEMORY = 0x902
_LOCKOUT = 0x921
_AUTH_MISSING = 0x125
_NO_ANSWER_LAYER = 0xA
_MARSHALLING_LAYER = 0x9
_OWN_LAYERS = (0x7, 0x8)
"""Layers of libtss2 (TSS2_RC bits 16-23): 0 is the TPM itself, 10 the way to it, the others the library."""


class TpmRefusal(Exception):  # noqa: N818 - what a TPM said, before anybody knows what it means for a key
    """The TPM, or the way to it, did not do what it was asked.

    Args:
        code: of TSS2_RC, without the number of the handle, parameter or session it is about.
        detail: what the library says.
        is_about_input: whether something it was given was no good.
    """

    def __init__(self, code: int, detail: str, *, is_about_input: bool) -> None:
        super().__init__(detail)
        self.code = code
        self.is_about_input = is_about_input or code >> 16 == _MARSHALLING_LAYER

    @property
    def is_pin(self) -> bool:
        """Whether a password was wrong or is missing."""
        return self.code in (_AUTH_FAIL, _BAD_AUTH, _AUTH_MISSING)

    @property
    def is_foreign(self) -> bool:
        """Whether something sealed was not sealed by this TPM, or not since it was last reset."""
        return self.code in (_INTEGRITY, _HIERARCHY)

    @property
    def is_lost(self) -> bool:
        """Whether the connection broke, or the TPM was started anew and knows nothing of us."""
        return self.code >> 16 in (_NO_ANSWER_LAYER, *_OWN_LAYERS) or self.code == _INITIALIZE or self.is_foreign

    def meaning(self, tpm: str) -> TokenError:
        """Return what it means for whoever runs this."""
        if self.code == _LOCKOUT:
            return TokenError(
                tpm,
                "takes no PIN for a while after too many wrong ones; wait for its recovery time, or clear the lockout as its owner",
                "token_locked",
            )
        if self.code >> 16 == _NO_ANSWER_LAYER:
            return TokenError(tpm, "is no longer there", "token_gone")
        if self.code == _OBJECT_MEMORY:
            return TokenError(
                tpm,
                "has no room left: other programs use it up; reach it through its resource manager, /dev/tpmrm0",
                "token_failed",
            )
        if self.code == _FAILURE:
            return TokenError(tpm, "is in failure mode; only a restart of the machine helps", "token_failed")
        return TokenError(tpm, f"failed: {self}", "token_failed")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the library's errors into `TpmRefusal`."""
    try:
        yield
    except TSS2_Exception as error:
        code = int(error.error) if error.fmt1 else int(error.rc)
        raise TpmRefusal(code, str(error), is_about_input=error.fmt1 and error.parameter != 0) from error


class TpmConnection:
    """An open connection.

    Args:
        tcti: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`.
        name: of the TPM, for errors.

    Raises:
        ConfigError: there is no TPM, or none that can sign on P-256.
    """

    def __init__(self, tcti: str, *, name: str) -> None:
        self._name = name
        _check_device(tcti, name)
        try:
            with refusals():
                self._esys = ESAPI(tcti)
        except TpmRefusal as refusal:
            raise _nobody(name, tcti) from refusal
        try:
            self._check_curve()
        except TpmRefusal as refusal:
            self.close()
            raise (_nobody(name, tcti) if refusal.is_lost else refusal.meaning(name)) from refusal
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; nothing of ours is left in the TPM."""
        self._esys.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, pin: SecretOctets | None) -> tuple[Any, Any]:
        """Make a key that signs ECDSA on P-256 over SHA-256, and only for who knows its PIN, where it gets one.

        Returns:
            TPM2B_PRIVATE, wrapped for this TPM alone, and TPM2B_PUBLIC.
        """
        with self._primary() as primary, refusals():
            private, public, *_ = self._esys.create(primary, _sensitive(pin), key_template())
        return private, public

    def load(self, private: Any, public: Any) -> Any:  # noqa: ANN401 - the library has no types
        """Return the saved context of a wrapped key: what `sign` takes."""
        with self._primary() as primary, refusals():
            handle = self._esys.load(primary, private, public)
        with self._flushed(handle), refusals():
            return self._esys.context_save(handle)

    def sign(self, context: Any, pin: SecretOctets | None, digest: bytes) -> tuple[bytes, bytes]:  # noqa: ANN401
        """Return r and s over a digest of SHA-256, as the TPM writes them."""
        with refusals():
            handle = self._esys.context_load(context)
        with self._flushed(handle), refusals():
            self._esys.tr_set_auth(handle, pin or b"")
            signed = self._esys.sign(handle, TPM2B_DIGEST(digest), _ECDSA_SHA256)
        return bytes(signed.signature.ecdsa.signatureR), bytes(signed.signature.ecdsa.signatureS)

    @contextmanager
    def _primary(self) -> Iterator[Any]:
        """Derive the storage key of the owner hierarchy: the same one each time, so that none need be kept."""
        try:
            with refusals():
                handle, *_ = self._esys.create_primary(TPM2B_SENSITIVE_CREATE(), PRIMARY_TEMPLATE)
        except TpmRefusal as refusal:
            if refusal.is_pin:
                raise ConfigError(
                    self._name, "its owner hierarchy has a password, but keys are kept under it; it must have none"
                ) from refusal
            raise
        with self._flushed(handle):
            yield handle

    @contextmanager
    def _flushed(self, handle: Any) -> Iterator[None]:  # noqa: ANN401 - the library has no types
        try:
            yield
        finally:
            with suppress(TSS2_Exception):  # gone with the connection
                self._esys.flush_context(handle)

    def _check_curve(self) -> None:
        with refusals():
            try:
                found = self._curves()
            except TSS2_Exception as error:
                if error.rc != _INITIALIZE:
                    raise
                self._esys.startup(TPM2_SU.CLEAR)  # no firmware did; a simulator has none
                found = self._curves()
        if TPM2_ECC.NIST_P256 not in found:
            raise ConfigError(self._name, "this TPM makes no keys on P-256")

    def _curves(self) -> list[int]:
        _, capability = self._esys.get_capability(TPM2_CAP.ECC_CURVES, TPM2_ECC.NIST_P256, 1)
        return [int(curve) for curve in capability.data.eccCurves]


_ELSEWHERE = "one that is reached in another way is named with ?tcti=, as in tpm2:DIR?tcti=swtpm:host=127.0.0.1,port=2321"


def _nobody(name: str, tcti: str) -> ConfigError:
    return ConfigError(name, f"no TPM answers at {tcti}; switch it on, start it, or correct ?tcti=")


def _check_device(tcti: str, name: str) -> None:
    kind, _, where = tcti.partition(":")
    if kind not in TCTI_KINDS:
        raise ConfigError(name, f"a TPM is not reached by {kind[:64]!r}; {', '.join(TCTI_KINDS)} are ways to one (tcti=)")
    if kind == "device" and where:
        if not Path(where).exists():
            raise ConfigError(name, f"there is no {where}: no TPM, or switched off in the firmware; {_ELSEWHERE}")
        if not os.access(where, os.R_OK | os.W_OK):
            raise ConfigError(name, f"this user may not use {where}; the group tss usually may")


def _sensitive(pin: SecretOctets | None) -> Any:  # noqa: ANN401 - the library has no types
    return TPM2B_SENSITIVE_CREATE() if pin is None else TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(userAuth=pin))


_MADE_HERE = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN | TPMA_OBJECT.USERWITHAUTH

PRIMARY_TEMPLATE = TPM2B_PUBLIC(
    publicArea=TPMT_PUBLIC(
        type=TPM2_ALG.ECC,
        nameAlg=TPM2_ALG.SHA256,
        objectAttributes=_MADE_HERE | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT | TPMA_OBJECT.NODA,
        parameters=TPMU_PUBLIC_PARMS(
            eccDetail=TPMS_ECC_PARMS(
                symmetric=TPMT_SYM_DEF_OBJECT(
                    algorithm=TPM2_ALG.AES,
                    keyBits=TPMU_SYM_KEY_BITS(aes=128),
                    mode=TPMU_SYM_MODE(aes=TPM2_ALG.CFB),
                ),
                scheme=TPMT_ECC_SCHEME(scheme=TPM2_ALG.NULL),
                curveID=TPM2_ECC.NIST_P256,
                kdf=TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
            ),
        ),
    ),
)
"""The storage key every program derives that keeps TSS2 key files (TCG, ASN.1 specification for TPM 2.0 key files)."""

_SHA256 = TPMS_SCHEME_HASH(hashAlg=TPM2_ALG.SHA256)
_ECDSA_SHA256 = TPMT_SIG_SCHEME(scheme=TPM2_ALG.ECDSA, details=TPMU_SIG_SCHEME(ecdsa=_SHA256))


def key_template() -> Any:  # noqa: ANN401 - the library has no types
    """Return what a key of ours is.

    Wrong PINs do not lock the TPM (NODA): it would count every loss of power after a signature as a wrong PIN too, and a vehicle
    whose power is cut at each halt would lock itself out. So the PIN must be long enough not to be guessed.
    """
    return TPM2B_PUBLIC(
        publicArea=TPMT_PUBLIC(
            type=TPM2_ALG.ECC,
            nameAlg=TPM2_ALG.SHA256,
            objectAttributes=_MADE_HERE | TPMA_OBJECT.SIGN_ENCRYPT | TPMA_OBJECT.NODA,
            parameters=TPMU_PUBLIC_PARMS(
                eccDetail=TPMS_ECC_PARMS(
                    symmetric=TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL),
                    scheme=TPMT_ECC_SCHEME(scheme=TPM2_ALG.ECDSA, details=TPMU_ASYM_SCHEME(ecdsa=_SHA256)),
                    curveID=TPM2_ECC.NIST_P256,
                    kdf=TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
                ),
            ),
        ),
    )
