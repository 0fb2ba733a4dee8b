"""Signed notes: a text with signature lines below it, and the keys that sign (C2SP signed-note).

    first line of the text
    last line of the text

    — name base64(key id || signature)

The parser is strict: what it accepts encodes to the same bytes again. A signature of an unknown key is ignored, one of a known key
that does not hold spoils the note. Key kinds: Ed25519 (0x01) for logs; Ed25519 (0x04) and ML-DSA-44 (0x06) for witnesses. Lines of
any other kind are lines of unknown keys.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.core.value import Value
from shared.ledger import ed25519, mldsa
from shared.ledger.text import decode_base64, encode_base64

MAX_NOTE_BYTES = 65_536
MAX_NOTE_SIGNATURES = 64
MAX_NAME_CHARACTERS = 255
KEY_ID_BYTES = 4

_new_tuple = tuple.__new__
"""Makes a named tuple of a tuple, in half the time of its own constructor."""

_DASH = "—"
_SEAL = object()
_CONTROL_CHARACTERS = bytes(c for c in range(0x20) if c != 0x0A)
_PLAIN_LINE = re.compile(f"{_DASH} ".encode() + rb"([!-*,-~]{1,%d}) ([A-Za-z0-9+/=]+)\n" % MAX_NAME_CHARACTERS)
_LINE_OCTETS = len(f"{_DASH}  \n".encode())
"""Of a signature line beside name and base64."""

_NAME = re.compile(rf"[^\s+\x00-\x1f\ud800-\udfff]{{1,{MAX_NAME_CHARACTERS}}}")


class KeyKind(IntEnum):
    """Signature type identifiers of signed-note."""

    ED25519 = 0x01
    COSIGNATURE = 0x04
    ML_DSA_44_COSIGNATURE = 0x06

    @property
    def cosigns(self) -> bool:
        """Whether it is a witness's."""
        return self is not KeyKind.ED25519


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """Who may sign: a name, what kind of signature, and the public key (checked when made).

    Raises:
        DecodeError: the name or the key cannot be used.
    """

    name: str
    kind: KeyKind
    public_key: bytes
    key_id: bytes = field(init=False, repr=False, compare=False)
    """SHA-256(name || 0x0A || kind || public key)[:4]."""
    _loaded: mldsa.LoadedKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name, "vkey.name")
        load = mldsa.load_public_key if self.kind is KeyKind.ML_DSA_44_COSIGNATURE else ed25519.load_public_key
        object.__setattr__(self, "_loaded", load(self.public_key))
        digest = sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()
        object.__setattr__(self, "key_id", digest[:KEY_ID_BYTES])

    @property
    def text(self) -> str:
        """The vkey: name+hex key id+base64(kind || public key)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public_key)}"

    def is_signature(self, message: bytes, signature: bytes) -> bool:
        """Tell whether a bare signature over `message` holds under this key."""
        return not broken_claims(((self, message, signature),))


def broken_claims(claims: Sequence[tuple[VerifierKey, bytes, bytes]]) -> tuple[VerifierKey, ...]:
    """Return the first key, if any, under which the bare signature does not hold: of claims of key, message and signature.

    One loop with nothing else in it: whatever runs between two verifications is fetched anew each time.
    """
    verifications = [(key._loaded.verify, signature, message) for key, message, signature in claims]  # noqa: SLF001 - its own room
    held = 0
    try:
        for verify, signature, message in verifications:
            verify(signature, message)
            held += 1
    except InvalidSignature:
        return (claims[held][0],)
    return ()


class NoteSignature(NamedTuple):
    """One signature line: `signature` is what follows the key id, its form the key kind's business."""

    name: str
    key_id: bytes
    signature: bytes


class SignedNote(Value):
    """A parsed note; nothing about it is verified. Only `parse_note` makes one, so its parts are those of `encoded`.

    Attributes:
        body: the text, with its final newline: exactly the signed bytes.
        signatures: the lines below it, in order.
        encoded: the whole note as it came.
    """

    body: bytes
    signatures: tuple[NoteSignature, ...]
    encoded: bytes
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only parse_note makes a SignedNote")


class NoteSigner(Protocol):
    """Signs note texts as one named key; a file, a token or a TPM may be behind it."""

    @property
    def key(self) -> VerifierKey:
        """The key that verifies the signatures."""
        ...

    def sign_note_body(self, body: bytes) -> bytes:
        """Return the signature for a signature line, without the key id."""
        ...


class Ed25519NoteSigner:
    """Signs note texts with an Ed25519 key in memory.

    Args:
        name: the key's name; for a log its origin.
        private_key: the key.
    """

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._key = VerifierKey(name=name, kind=KeyKind.ED25519, public_key=private_key.public_key().public_bytes_raw())

    @property
    def key(self) -> VerifierKey:
        """The key that verifies the signatures."""
        return self._key

    def sign_note_body(self, body: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature over `body`."""
        return self._private_key.sign(body)


_KINDS = frozenset(KeyKind)


def check_name(name: str, where: str) -> None:
    """Raise `DecodeError` unless `name` may name a key: not empty, no space, no plus, no control character."""
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
        raise DecodeError(where, f"a key name has 1 to {MAX_NAME_CHARACTERS} characters")
    is_plain = name.isascii() and name.isprintable() and " " not in name and "+" not in name
    if not is_plain and _NAME.fullmatch(name) is None:
        raise DecodeError(where, "a key name has no space, plus sign or control character")


def parse_vkey(text: str) -> VerifierKey:
    """Parse `name+keyid+base64`; raise `DecodeError` where it is malformed or the key cannot be trusted to mean anything."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise DecodeError("vkey", "a verifier key reads name+keyid+key")
    name, key_id, key_text = parts
    check_name(name, "vkey.name")
    key = decode_base64(key_text, "vkey.key")
    if not key or key[0] not in _KINDS:
        raise DecodeError("vkey.kind", "only Ed25519 keys (01) and Ed25519 and ML-DSA-44 cosignature keys (04, 06) are supported")
    vkey = VerifierKey(name=name, kind=KeyKind(key[0]), public_key=key[1:])
    if vkey.key_id.hex() != key_id:
        raise DecodeError("vkey.key_id", f"reads {key_id[:16]!r}, but name and key make {vkey.key_id.hex()}")
    return vkey


def parse_note(data: bytes) -> SignedNote:
    """Parse a signed note; raise `DecodeError` unless it is canonical, bounded and carries at least one signature line."""
    if len(data) > MAX_NOTE_BYTES:
        raise DecodeError("note", f"{len(data)} bytes; at most {MAX_NOTE_BYTES} are read")
    data = bytes(data)
    cut = data.rfind(b"\n\n")
    body = data[: cut + 1]
    signatures = _plain_lines(data[cut + 2 :]) if body.isascii() else ()
    if cut < 0 or not 1 <= len(signatures) <= MAX_NOTE_SIGNATURES or body.translate(None, _CONTROL_CHARACTERS) != body:
        signatures = _checked_lines(data, cut)
    return SignedNote(body=body, signatures=signatures, encoded=data, seal=_SEAL)


def _plain_lines(block: bytes) -> tuple[NoteSignature, ...]:
    """Read signature lines whose names are printable ASCII, as nearly all are; nothing where a line has to be looked at."""
    signatures: list[NoteSignature] = []
    octets = 0
    for name, code in _PLAIN_LINE.findall(block):
        try:
            data = a2b_base64(code, strict_mode=True)
        except ValueError:
            return ()
        if len(data) <= KEY_ID_BYTES or b2a_base64(data, newline=False) != code:
            return ()
        octets += len(name) + len(code) + _LINE_OCTETS
        signatures.append(_new_tuple(NoteSignature, (name.decode(), data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])))
    return tuple(signatures) if octets == len(block) else ()


def _checked_lines(data: bytes, cut: int) -> tuple[NoteSignature, ...]:
    """Read the signature lines of a note whose blank line begins at `cut`, or raise for whatever is wrong with it."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("note", "not UTF-8") from None
    if len(data.translate(None, _CONTROL_CHARACTERS)) != len(data):
        raise DecodeError("note", "contains a control character")
    if cut < 0 or data[-1] != ord("\n"):
        raise DecodeError("note", "no blank line between text and signatures, or no final newline")
    lines = data[cut + 2 : -1].decode().split("\n") if cut + 2 < len(data) else []
    if not 1 <= len(lines) <= MAX_NOTE_SIGNATURES:
        raise DecodeError("note.signatures", f"{len(lines)} signature lines; 1 to {MAX_NOTE_SIGNATURES} are read")
    return tuple([_parse_line(line, number) for number, line in enumerate(lines)])


def _parse_line(line: str, number: int) -> NoteSignature:
    dash, *words = line.split(" ")
    if dash != _DASH or len(words) != 2:
        raise DecodeError(f"note.signatures[{number}]", "a signature line reads: em dash, name, base64")
    name, encoded = words
    try:
        check_name(name, ".name")
        signature = decode_base64(encoded, "")
    except DecodeError as error:
        raise DecodeError(f"note.signatures[{number}]{error.field}", error.reason) from None
    if len(signature) <= KEY_ID_BYTES:
        raise DecodeError(f"note.signatures[{number}]", "no signature behind the key id")
    return NoteSignature(name=name, key_id=signature[:KEY_ID_BYTES], signature=signature[KEY_ID_BYTES:])


def encode_note(body: bytes, signatures: tuple[NoteSignature, ...]) -> bytes:
    """Return the note; raise `EncodeError` if it would not parse."""
    lines = "".join(f"{_DASH} {s.name} {encode_base64(s.key_id + s.signature)}\n" for s in signatures)
    encoded = body + b"\n" + lines.encode()
    try:
        note = parse_note(encoded)
    except DecodeError as error:
        raise EncodeError(error.field, error.reason) from None
    if note.body != body or note.signatures != signatures:
        raise EncodeError("note.body", "the text does not survive as the text of a note")
    return encoded


def sign_note(body: bytes, signer: NoteSigner) -> bytes:
    """Return `body` as a note signed by `signer`."""
    signature = NoteSignature(name=signer.key.name, key_id=signer.key.key_id, signature=signer.sign_note_body(body))
    return encode_note(body, (signature,))


def add_signatures(note: SignedNote, added: tuple[NoteSignature, ...]) -> bytes:
    """Return the note with more signature lines below the ones it has."""
    return encode_note(note.body, (*note.signatures, *added))


def signatures_by(note: SignedNote, key: VerifierKey) -> tuple[NoteSignature, ...]:
    """Return the lines that claim to be by `key`: same name and same key id."""
    return tuple([s for s in note.signatures if s.key_id == key.key_id and s.name == key.name])


def verify_note(note: SignedNote, key: VerifierKey) -> None:
    """Raise `ProofError` unless the note carries a signature by `key` (Ed25519) and every line that claims to be by it holds."""
    if key.kind is not KeyKind.ED25519:
        raise ProofError(f"{key.name} is a witness's key, not a key that signs notes")
    lines = signatures_by(note, key)
    if not lines:
        raise ProofError(f"not signed by {key.name}")
    for line in lines:
        if not key.is_signature(note.body, line.signature):
            raise ProofError(f"the signature by {key.name} does not hold")
