"""Keys in a PKCS#11 token (PKCS#11 2.40): made there, sensitive, not extractable; what comes out are signatures by CKM_ECDSA.

    CKA_LABEL = the key's name, on the private and the public half alike

A session that is lost (a token pulled and put back, a log-out by another part of this program) is opened again once, with the PIN
that was read at the start; then the operation is done once more. A wrong PIN is tried once: tokens lock after a few. Whoever
imports this file needs the extra `pkcs11`. Left out: keys that want their PIN for every signature, read-only tokens, ECDH.
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Protocol, Self, TypeVar, cast

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from shared.core.errors import ConfigError, DecodeError
from shared.security.ecdsa import Curve, PublicKey, Signature
from shared.service.key_errors import (
    MAX_KEYS,
    KeyStoreError,
    TokenError,
    check_key_name,
    is_key_name,
    key_absent,
    key_exists,
    store_full,
)
from shared.service.pkcs11_module import Pkcs11Module
from shared.service.secret import SecretText
from shared.service.token_signer import TokenSigner
from shared.service.token_thread import ANSWER_S

_EC_PARAMS = {
    Curve.NIST_P256: bytes.fromhex("06082a8648ce3d030107"),
    Curve.BRAINPOOL_P256R1: bytes.fromhex("06092b2403030208010107"),
    Curve.BRAINPOOL_P384R1: bytes.fromhex("06092b240303020801010b"),
    Curve.NIST_P384: bytes.fromhex("06052b81040022"),
}
"""CKA_EC_PARAMS: the curve's object identifier in DER."""

_CURVES = {octets: curve for curve, octets in _EC_PARAMS.items()}

_SESSION_LOST = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.UserNotLoggedIn,
    pkcs11.KeyHandleInvalid,
    pkcs11.ObjectHandleInvalid,
    pkcs11.DeviceRemoved,
    pkcs11.DeviceError,
    pkcs11.TokenNotPresent,
)

_TOKEN_GONE = (pkcs11.DeviceRemoved, pkcs11.TokenNotPresent, pkcs11.TokenNotRecognised, pkcs11.SlotIDInvalid)
_NO_SUCH_CURVE = (
    pkcs11.MechanismInvalid,
    pkcs11.MechanismParamInvalid,
    pkcs11.DomainParamsInvalid,
    pkcs11.AttributeValueInvalid,
    pkcs11.TemplateInconsistent,
    pkcs11.KeySizeRange,
)

_T = TypeVar("_T")


class _Private(Protocol):
    def sign(self, data: bytes, *, mechanism: Mechanism) -> bytes: ...


class PinRefusedError(ConfigError):
    """The token does not take the PIN it was given."""


class Pkcs11KeyStore:
    """The keys in one token.

    Args:
        module_path: the token's PKCS#11 module.
        label: the token's label.
        serial: its serial number, where the label is not enough.
        pin: of the user.
        pin_source: where the PIN came from, for errors.
        answer_s: seconds the token has for one answer.

    Raises:
        ConfigError: the module or the token is not there, or refuses the PIN.
        TokenError: the PIN is locked, or the token does not answer.
    """

    def __init__(
        self,
        *,
        module_path: Path,
        label: str,
        serial: str | None,
        pin: SecretText,
        pin_source: str,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._name = f"pkcs11:token={label}"
        self._label = label
        self._serial = serial
        self._pin = pin
        self._pin_source = pin_source
        self._answer_s = answer_s
        self._session: pkcs11.Session | None = None
        self._has_logged_in = False
        self._refusal: str | None = None
        self._keys: dict[str, _Private] = {}
        self._is_closed = False
        self._module = Pkcs11Module.acquire(module_path)
        try:
            self._module.call(self._open_session, answer_s=answer_s)
        except BaseException:
            self._module.release(answer_s=answer_s)
            raise

    def __repr__(self) -> str:
        return f"Pkcs11KeyStore({self._name})"

    def generate(self, name: str, curve: Curve) -> TokenSigner:
        """Make a key inside the token; raises as `KeyStore.generate`."""
        check_key_name(name, self._name)
        return self._do(lambda: self._generate(name, curve))

    def find(self, name: str) -> TokenSigner | None:
        """Return the key of that name, or None; raises as `KeyStore.find`."""
        check_key_name(name, self._name)
        return self._do(lambda: self._find(name))

    def names(self) -> tuple[str, ...]:
        """Return the names of all keys we could use, in order; raises `TransportError`."""
        return self._do(self._names)

    def remove(self, name: str) -> None:
        """Destroy both halves of a key; raises as `KeyStore.remove`."""
        check_key_name(name, self._name)
        self._do(lambda: self._remove(name))

    def sign(self, name: str, public_key: PublicKey, digest: bytes) -> Signature:
        """Sign with the key of that name, which must be the one of `public_key`; for its signer."""
        try:
            return self._do(lambda: self._sign(name, public_key, digest))
        except ConfigError as error:
            raise TokenError(self._name, error.reason, "token_refused") from error

    def close(self) -> None:
        """Log out and give the module back; its signers sign no more. Closing twice is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(TokenError):  # it does not answer: nobody will miss the session
            self._module.call(self._close_session, answer_s=self._answer_s)
        self._module.release(answer_s=self._answer_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, work: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise TokenError(self._name, "was closed", "token_closed")
        return self._module.call(lambda: self._with_session(work), answer_s=self._answer_s)

    # Everything below runs in the module's thread.

    def _with_session(self, work: Callable[[], _T]) -> _T:
        try:
            try:
                return work()
            except pkcs11.PKCS11Error as error:
                if not isinstance(error, _SESSION_LOST) and type(error) is not pkcs11.PKCS11Error:
                    raise
            self._close_session()
            self._reopen()
            return work()
        except pkcs11.PKCS11Error as error:
            raise self._error_of(error) from error

    def _reopen(self) -> None:
        """Open a session in the middle of things, where a missing token is no fault of the configuration."""
        try:
            try:
                self._open_session()
            except PinRefusedError:
                raise
            except ConfigError:
                self._module.initialise_anew()  # there are modules that see a token come back only then
                self._open_session()
        except PinRefusedError as error:
            raise TokenError(self._name, error.reason, "token_refused") from error
        except ConfigError as error:
            raise TokenError(self._name, f"was there and is no longer: {error.reason}", "token_gone") from error

    def _open_session(self) -> None:
        if self._refusal is not None:
            raise PinRefusedError(self._name, self._refusal)  # the same PIN again would bring the token nearer to its lock
        try:
            self._log_in()
        except PinRefusedError as refusal:
            self._refusal = refusal.reason
            raise

    def _log_in(self) -> None:
        token = self._module.find_token(self._label, self._serial, store=self._name)
        try:
            try:
                self._session = token.open(rw=True, user_pin=self._pin)
                self._has_logged_in = True
            except pkcs11.UserAlreadyLoggedIn:  # another store of this program has this token too
                self._session = token.open(rw=True)
                self._has_logged_in = False
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            raise PinRefusedError(
                self._name, f"refuses the PIN; correct {self._pin_source} and start again: a few wrong ones lock the token"
            ) from error
        except pkcs11.UserPinNotInitialized as error:
            raise PinRefusedError(self._name, "has no PIN for users yet; set one with the tool of its maker") from error
        except pkcs11.PinExpired as error:
            raise PinRefusedError(self._name, f"wants a new PIN; set one and write it to {self._pin_source}") from error
        except pkcs11.PKCS11Error as error:
            raise self._error_of(error) from error

    def _close_session(self) -> None:
        session, self._session = self._session, None
        self._keys.clear()
        # Closing the session that logged in would log out all others of this program; it goes when the module is given back.
        if session is not None and not self._has_logged_in:
            with suppress(pkcs11.PKCS11Error):  # lost already
                session.close()

    def _objects(self, kind: ObjectClass, name: str) -> list[pkcs11.Object]:
        wanted = {Attribute.CLASS: kind, Attribute.KEY_TYPE: KeyType.EC, Attribute.LABEL: name}
        return list(islice(self._opened().get_objects(wanted), MAX_KEYS))

    def _opened(self) -> pkcs11.Session:
        """Return the session, known to be alive: the library would complain on standard error of a search in a dead one."""
        if self._session is None:
            raise pkcs11.SessionClosed
        with suppress(pkcs11.RandomNoRNG, pkcs11.FunctionNotSupported):
            self._session.generate_random(8)
        return self._session

    def _generate(self, name: str, curve: Curve) -> TokenSigner:
        session = self._opened()
        if self._objects(ObjectClass.PRIVATE_KEY, name) or self._objects(ObjectClass.PUBLIC_KEY, name):
            raise key_exists(self._name, name)
        if len(self._names()) >= MAX_KEYS:
            raise store_full(self._name)
        parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _EC_PARAMS[curve]}, local=True)
        try:
            public, private = parameters.generate_keypair(
                store=True,
                label=name,
                id=name.encode(),
                mechanism=Mechanism.EC_KEY_PAIR_GEN,
                capabilities=pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
                private_template={Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )
        except _NO_SUCH_CURVE as error:
            raise ConfigError(self._name, f"the token makes no keys on {curve.value}") from error
        except pkcs11.DeviceMemory as error:
            raise KeyStoreError(self._name, "has no room for another key; remove some", "token_full") from error
        except pkcs11.TokenWriteProtected as error:
            raise KeyStoreError(self._name, "is write-protected") from error
        self._keys[name] = cast("_Private", private)
        return TokenSigner(self, name, self._public_key(name, public))

    def _find(self, name: str) -> TokenSigner | None:
        privates = self._objects(ObjectClass.PRIVATE_KEY, name)
        if not privates:
            return None
        publics = self._objects(ObjectClass.PUBLIC_KEY, name)
        if len(privates) > 1 or len(publics) != 1:
            raise ConfigError(
                self._name, f"has {len(privates)} private and {len(publics)} public keys named {name!r}; one of each is needed"
            )
        private = privates[0]
        if not private[Attribute.SENSITIVE] or private[Attribute.EXTRACTABLE]:
            raise ConfigError(self._name, f"the key {name!r} can be taken out of the token; make one that cannot")
        self._keys[name] = cast("_Private", private)
        return TokenSigner(self, name, self._public_key(name, cast("pkcs11.PublicKey", publics[0])))

    def _names(self) -> tuple[str, ...]:
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.KEY_TYPE: KeyType.EC}
        labels = (key[Attribute.LABEL] for key in islice(list(self._opened().get_objects(wanted)), MAX_KEYS))
        return tuple(sorted({label for label in labels if is_key_name(label)}))

    def _remove(self, name: str) -> None:
        self._keys.pop(name, None)
        found = self._objects(ObjectClass.PRIVATE_KEY, name) + self._objects(ObjectClass.PUBLIC_KEY, name)
        if not found:
            raise key_absent(self._name, name)
        try:
            for half in found:
                half.destroy()
        except (pkcs11.TokenWriteProtected, pkcs11.SessionReadOnly, pkcs11.AttributeReadOnly) as error:
            raise KeyStoreError(self._name, f"does not let the key {name!r} be removed") from error

    def _sign(self, name: str, public_key: PublicKey, digest: bytes) -> Signature:
        private = self._keys.get(name)
        if private is None:
            signer = self._find(name)
            if signer is None or signer.public_key != public_key:
                raise TokenError(self._name, f"has the key {name!r} no longer", "token_gone")
            private = self._keys[name]
        octets = private.sign(digest, mechanism=Mechanism.ECDSA)
        try:
            return Signature.from_p1363(public_key.curve, octets)
        except DecodeError as error:
            raise TokenError(self._name, f"answers with no signature: {error.reason}", "token_failed") from error

    def _public_key(self, name: str, public: pkcs11.PublicKey) -> PublicKey:
        curve = _CURVES.get(public[Attribute.EC_PARAMS])
        if curve is None:
            raise ConfigError(self._name, f"the key {name!r} is on no curve of IEEE 1609.2")
        wrapped = public[Attribute.EC_POINT]
        # An OCTET STRING around the point; some tokens leave it out.
        point = wrapped[2:] if wrapped[:1] == b"\x04" and len(wrapped) == 2 + wrapped[1] else wrapped
        try:
            return PublicKey(curve, ec.EllipticCurvePublicKey.from_encoded_point(curve.parameters, point))
        except ValueError as error:
            raise ConfigError(self._name, f"the public half of the key {name!r} is not on {curve.value}") from error

    def _error_of(self, error: pkcs11.PKCS11Error) -> TokenError:
        """Say what a token's error means for whoever runs this."""
        if isinstance(error, pkcs11.PinLocked):
            return TokenError(
                self._name, "is locked after too many wrong PINs; its security officer can set a new one", "token_locked"
            )
        if isinstance(error, _TOKEN_GONE):
            return TokenError(self._name, "is no longer there; plug it in again", "token_gone")
        detail = str(error) or type(error).__name__
        return TokenError(self._name, f"failed: {detail}", "token_failed")
