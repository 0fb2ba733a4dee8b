"""Keys of a TPM 2.0: made inside it, kept in files that mean nothing without it.

    DIR/NAME.tss2     "TSS2 PRIVATE KEY" (TCG, ASN.1 specification for TPM 2.0 key files), mode 0600: the key wrapped for this TPM
                      under the owner hierarchy's storage key, which is derived anew whenever it is needed

ECDSA on P-256 only, which every TPM can. With a PIN, files and machine alone sign nothing; it should be long, for a TPM does not
count wrong ones for keys made here (see `key_template`). When the TPM was reset or the connection broke, all is asked once more
from the beginning. Whoever imports this file needs the extra `tpm`. Left out: keys at persistent handles, policies, an owner
hierarchy with a password.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from tpm2_pytss import TPM2_ALG, TPM2_ECC, TPM2_RH, TPMA_OBJECT
from tpm2_pytss.tsskey import TSSPrivKey

from shared.core.errors import ConfigError
from shared.security.ecdsa import Curve, PublicKey, Signature
from shared.service.file_keys import KeyDirectory
from shared.service.key_errors import TokenError
from shared.service.keystore import PRIVATE_MODE, read_private_file, write_new_file
from shared.service.secret import SecretOctets, SecretText
from shared.service.token_signer import TokenSigner
from shared.service.token_thread import ANSWER_S, TokenThread
from shared.service.tpm_connection import TpmConnection, TpmRefusal

DEFAULT_TCTI = "device:/dev/tpmrm0"
"""The kernel's resource manager, which shares a TPM among programs."""

MAX_WRAPPED_OCTETS = 4_096
"""Octets of a wrapped key's file; one on P-256 has about 400."""

KEY_SUFFIX = ".tss2"

_OCTETS = 32
_T = TypeVar("_T")


class TpmKeyStore:
    """The keys of one directory and the TPM that can use them.

    Args:
        directory: of the wrapped keys; the first key makes it.
        tcti: the way to the TPM.
        pin: of keys made here, or None; keys that have one need it.
        pin_source: where the PIN came from, for errors.
        answer_s: seconds the TPM has for one answer.

    Raises:
        ConfigError: there is no such TPM, or others may write into the directory.
        TokenError: the TPM does not answer.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tcti: str = DEFAULT_TCTI,
        pin: SecretText | None = None,
        pin_source: str = "",
        answer_s: float = ANSWER_S,
    ) -> None:
        self._name = f"tpm2:{directory}"
        self._files = KeyDirectory(directory, suffix=KEY_SUFFIX, store=self._name)
        self._tcti = tcti
        self._pin = None if pin is None else SecretOctets(pin.encode())
        self._pin_source = pin_source
        self._answer_s = answer_s
        self._connection: TpmConnection | None = None
        self._contexts: dict[str, tuple[Any, SecretOctets | None]] = {}
        self._is_closed = False
        self._thread = TokenThread(self._name)
        try:
            self._thread.call(self._connect, answer_s=answer_s)
        except BaseException:
            self._thread.close()
            raise

    def __repr__(self) -> str:
        return f"TpmKeyStore({self._name})"

    def generate(self, name: str, curve: Curve) -> TokenSigner:
        """Make a key inside the TPM and keep it wrapped; raises as `KeyStore.generate`."""
        path = self._files.path_of_new(name)
        if curve is not Curve.NIST_P256:
            raise ConfigError(self._name, f"a TPM makes keys on {Curve.NIST_P256.value} here, not on {curve.value}")
        private, public = self._do(lambda tpm: tpm.create(self._pin))
        public_key = self._public_key(name, public)
        write_new_file(path, TSSPrivKey(private, public, empty_auth=self._pin is None).to_pem(), mode=PRIVATE_MODE)
        return TokenSigner(self, name, public_key)

    def find(self, name: str) -> TokenSigner | None:
        """Return the key of that name, or None; the TPM proves that it can use it.

        Raises:
            ConfigError: the name cannot be one, the file is damaged or open to others, or was wrapped by another TPM, or the PIN is
                wrong or missing.
            TokenError: the TPM does not answer, is locked or went away.
        """
        path = self._files.path_of(name)
        if path is None:
            return None
        wrapped = self._read(name, path)
        public_key = self._public_key(name, wrapped.public)
        self._do(lambda tpm: self._load(tpm, name, wrapped))
        signer = TokenSigner(self, name, public_key)
        if not wrapped.empty_auth:
            self._sign(name, public_key, bytes(_OCTETS))  # tells a wrong PIN now; nobody knows a message of this digest
        return signer

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys, in order; raises `StorageError`."""
        return self._files.names()

    def remove(self, name: str) -> None:
        """Remove a wrapped key: nothing else of it is left anywhere; raises as `KeyStore.remove`."""
        self._files.remove(name)
        self._contexts.pop(name, None)

    def sign(self, name: str, public_key: PublicKey, digest: bytes) -> Signature:
        """Sign with the key of that name, which must be the one of `public_key`; for its signer."""
        try:
            return self._sign(name, public_key, digest)
        except ConfigError as error:
            raise TokenError(self._name, error.reason, "token_refused") from error

    def close(self) -> None:
        """Close the connection; its signers sign no more. Closing twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(TokenError):  # it does not answer: the process's end closes the connection
            self._thread.call(self._disconnect, answer_s=self._answer_s)
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sign(self, name: str, public_key: PublicKey, digest: bytes) -> Signature:
        def work(tpm: TpmConnection) -> tuple[bytes, bytes]:
            if name not in self._contexts:
                path = self._files.path_of(name)
                wrapped = None if path is None else self._read(name, path)
                if wrapped is None or self._public_key(name, wrapped.public) != public_key:
                    raise TokenError(self._name, f"has the key {name!r} no longer", "token_gone")
                self._load(tpm, name, wrapped)
            context, pin = self._contexts[name]
            try:
                return tpm.sign(context, pin, digest)
            except TpmRefusal as refusal:
                if refusal.is_pin:
                    raise ConfigError(
                        self._name,
                        f"the TPM refuses the PIN of the key {name!r}; correct {self._pin_source}",
                    ) from refusal
                raise

        r, s = self._do(work)
        return Signature(public_key.curve, r.rjust(_OCTETS, b"\x00"), s.rjust(_OCTETS, b"\x00"))

    def _do(self, work: Callable[[TpmConnection], _T]) -> _T:
        if self._is_closed:
            raise TokenError(self._name, "was closed", "token_closed")
        return self._thread.call(lambda: self._with_connection(work), answer_s=self._answer_s)

    # What follows runs in the TPM's thread.

    def _with_connection(self, work: Callable[[TpmConnection], _T]) -> _T:
        try:
            try:
                if self._connection is not None:
                    return work(self._connection)
            except TpmRefusal as refusal:
                if not refusal.is_lost:
                    raise
            self._disconnect()
            return work(self._reconnect())
        except TpmRefusal as refusal:
            raise refusal.meaning(self._name) from refusal

    def _connect(self) -> TpmConnection:
        self._connection = TpmConnection(self._tcti, name=self._name)
        return self._connection

    def _reconnect(self) -> TpmConnection:
        try:
            return self._connect()
        except ConfigError as error:
            raise TokenError(self._name, f"was there and is no longer: {error.reason}", "token_gone") from error

    def _disconnect(self) -> None:
        self._contexts.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _load(self, tpm: TpmConnection, name: str, wrapped: TSSPrivKey) -> None:
        if not wrapped.empty_auth and self._pin is None:
            raise ConfigError(self._name, f"the key {name!r} wants a PIN; say where it is: pin-source=")
        try:
            self._contexts[name] = (tpm.load(wrapped.private, wrapped.public), None if wrapped.empty_auth else self._pin)
        except TpmRefusal as refusal:
            if refusal.is_foreign or refusal.is_about_input:
                raise ConfigError(
                    self._name, f"the key {name!r} was wrapped by another TPM, or is damaged; enrol anew here"
                ) from refusal
            raise

    def _read(self, name: str, path: Path) -> TSSPrivKey:
        pem = read_private_file(path, MAX_WRAPPED_OCTETS, what="wrapped key", may_group_read=False)
        try:
            wrapped = TSSPrivKey.from_pem(pem)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ConfigError(str(path), "holds no TSS2 PRIVATE KEY in PEM") from error
        if int(wrapped.parent) != TPM2_RH.OWNER:
            raise ConfigError(str(path), f"the key {name!r} is not under the owner hierarchy's storage key")
        return wrapped

    def _public_key(self, name: str, public: Any) -> PublicKey:  # noqa: ANN401 - the library has no types
        area = public.publicArea
        needed = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN | TPMA_OBJECT.SIGN_ENCRYPT
        if area.type != TPM2_ALG.ECC or area.parameters.eccDetail.curveID != TPM2_ECC.NIST_P256:
            raise ConfigError(self._name, f"the key {name!r} is not on {Curve.NIST_P256.value}")
        if area.objectAttributes & needed != needed or area.objectAttributes & TPMA_OBJECT.RESTRICTED:
            raise ConfigError(self._name, f"the key {name!r} was not made in a TPM to sign")
        x, y = (int.from_bytes(bytes(part), "big") for part in (area.unique.ecc.x, area.unique.ecc.y))
        try:
            return PublicKey(Curve.NIST_P256, ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key())
        except ValueError as error:
            raise ConfigError(self._name, f"the public half of the key {name!r} is not on {Curve.NIST_P256.value}") from error
