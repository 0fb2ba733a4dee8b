"""Signed notes: a text with signature lines below it, and the keys that sign (C2SP signed-note).

    first line of the text
    last line of the text

    — name base64(key id || signature)

The parser is strict: what it accepts encodes to the same bytes again. A signature of an unknown key is ignored, one of a known key
that does not hold spoils the note. Key kinds: Ed25519 (0x01) for logs and Ed25519 cosignatures (0x04) for witnesses; ML-DSA-44
(0x06) is still to come and is refused by name.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.core.errors import DecodeError, EncodeError, ProofError
from shared.ledger.ed25519 import check_public_key, verify_ed25519
from shared.ledger.text import decode_base64, encode_base64

MAX_NOTE_BYTES = 65_536
MAX_NOTE_SIGNATURES = 64
MAX_NAME_CHARACTERS = 255
KEY_ID_BYTES = 4

_DASH = "— "


class KeyKind(IntEnum):
    """Signature type identifiers of signed-note."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """Who may sign: a name, what kind of signature, and the public key (checked when made).

    Raises:
        DecodeError: the name or the key cannot be used.
    """

    name: str
    kind: KeyKind
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name, "vkey.name")
        check_public_key(self.public_key)

    @property
    def key_id(self) -> bytes:
        """SHA-256(name || 0x0A || kind || public key)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The vkey: name+hex key id+base64(kind || public key)."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public_key)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: `signature` is what follows the key id, its form the key kind's business."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A parsed note; nothing about it is verified.

    Attributes:
        body: the text, with its final newline: exactly the signed bytes.
        signatures: the lines below it, in order.
        encoded: the whole note as it came.
    """

    body: bytes
    signatures: tuple[NoteSignature, ...]
    encoded: bytes


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


def check_name(name: str, field: str) -> None:
    """Raise `DecodeError` unless `name` may name a key: not empty, no space, no plus, no control character."""
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise DecodeError(field, f"a key name has 1 to {MAX_NAME_CHARACTERS} characters")
    if any(c.isspace() or c == "+" or ord(c) < 0x20 or 0xD800 <= ord(c) < 0xE000 for c in name):
        raise DecodeError(field, "a key name has no space, plus sign or control character")


def parse_vkey(text: str) -> VerifierKey:
    """Parse `name+keyid+base64`; raise `DecodeError` where it is malformed or the key cannot be trusted to mean anything."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise DecodeError("vkey", "a verifier key reads name+keyid+key")
    name, key_id, key_text = parts
    check_name(name, "vkey.name")
    key = decode_base64(key_text, "vkey.key")
    if not key or key[0] not in (KeyKind.ED25519, KeyKind.COSIGNATURE):
        raise DecodeError("vkey.kind", "only Ed25519 keys (01) and Ed25519 cosignature keys (04) are supported")
    vkey = VerifierKey(name=name, kind=KeyKind(key[0]), public_key=key[1:])
    if vkey.key_id.hex() != key_id:
        raise DecodeError("vkey.key_id", f"reads {key_id[:16]!r}, but name and key make {vkey.key_id.hex()}")
    return vkey


def parse_note(data: bytes) -> SignedNote:
    """Parse a signed note; raise `DecodeError` unless it is canonical, bounded and carries at least one signature line."""
    if len(data) > MAX_NOTE_BYTES:
        raise DecodeError("note", f"{len(data)} bytes; at most {MAX_NOTE_BYTES} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError("note", "not UTF-8") from None
    if any(c < 0x20 and c != 0x0A for c in data):
        raise DecodeError("note", "contains a control character")
    cut = text.rfind("\n\n")
    if cut < 0 or not text.endswith("\n"):
        raise DecodeError("note", "no blank line between text and signatures, or no final newline")
    lines = text[cut + 2 :].split("\n")[:-1]
    if not 1 <= len(lines) <= MAX_NOTE_SIGNATURES:
        raise DecodeError("note.signatures", f"{len(lines)} signature lines; 1 to {MAX_NOTE_SIGNATURES} are read")
    return SignedNote(
        body=text[: cut + 1].encode(),
        signatures=tuple(_parse_line(line, f"note.signatures[{n}]") for n, line in enumerate(lines)),
        encoded=bytes(data),
    )


def _parse_line(line: str, field: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise DecodeError(field, "a signature line reads: em dash, name, base64")
    check_name(name, f"{field}.name")
    signature = decode_base64(encoded, field)
    if len(signature) <= KEY_ID_BYTES:
        raise DecodeError(field, "no signature behind the key id")
    return NoteSignature(name=name, key_id=signature[:KEY_ID_BYTES], signature=signature[KEY_ID_BYTES:])


def encode_note(body: bytes, signatures: tuple[NoteSignature, ...]) -> bytes:
    """Return the note; raise `EncodeError` if it would not parse."""
    lines = "".join(f"{_DASH}{s.name} {encode_base64(s.key_id + s.signature)}\n" for s in signatures)
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
    key_id = key.key_id
    return tuple(s for s in note.signatures if s.name == key.name and s.key_id == key_id)


def verify_note(note: SignedNote, key: VerifierKey) -> None:
    """Raise `ProofError` unless the note carries a signature by `key` (Ed25519) and every line that claims to be by it holds."""
    if key.kind is not KeyKind.ED25519:
        raise ProofError(f"{key.name} is a witness's key, not a key that signs notes")
    lines = signatures_by(note, key)
    if not lines:
        raise ProofError(f"not signed by {key.name}")
    for line in lines:
        try:
            verify_ed25519(key.public_key, note.body, line.signature)
        except ProofError:
            raise ProofError(f"the signature by {key.name} does not hold") from None
