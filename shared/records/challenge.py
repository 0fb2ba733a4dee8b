"""An inspector's challenge: a fresh random number as short text, which a vehicle puts into a reading it takes at once.

    V2X1-0B2C8-51M6W-QZ9R0-ABCDE-FGHJK-MNPQR

Base 32 of the nonce in Crockford's alphabet (no I, L, O, U), then four characters of its checksum, in groups of five: read aloud,
typed, shown as a QR code (all of it is in the code's alphanumeric set) or carried by NFC. A letter that is easily taken for a digit
is read as the digit, case and spaces do not count, and whatever else was mistyped is noticed. The nonce itself goes into the record
in base64url. Nothing about it is secret: that the inspector drew it a moment ago is the point, so nobody can have recorded the
answer before. Whether a record answers it, `check_answer` says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import DecodeError, EncodeError, RecordError
from shared.records.boot_dates import duration_text
from shared.records.odometer import MAX_NONCE_OCTETS, MIN_NONCE_OCTETS
from shared.records.sd_jwt import Entropy

CHALLENGE_OCTETS = 16
"""Of a fresh one."""

MAX_CHALLENGE_CHARACTERS = 256
"""Of what is read as one, with whatever stands between its characters."""

MAX_CLOCK_DIFFERENCE_NS = 300 * NS_PER_S
"""A reading may be dated so far after the inspector's present: both clocks are right, and not the same."""

MAX_READING_AGE_MS = 10_000
"""A reading that was older when it was given as an answer is not called fresh: whoever verifies it is warned."""

_MARK = "V2X1"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_CHECK_CHARACTERS = 4
_GROUP = 5
_DOMAIN = b"v2x-trust inspection challenge v1\n"


def draw_challenge(entropy: Entropy) -> bytes:
    """Return a fresh nonce; raises `EncodeError` where the source of entropy runs dry."""
    nonce = entropy(CHALLENGE_OCTETS)
    if len(nonce) != CHALLENGE_OCTETS:
        raise EncodeError("challenge", f"the entropy source gave {len(nonce)} bytes, not {CHALLENGE_OCTETS}")
    return nonce


def challenge_text(nonce: bytes) -> str:
    """Return the text of a nonce.

    Raises:
        EncodeError: it is too short or too long.
    """
    if not MIN_NONCE_OCTETS <= len(nonce) <= MAX_NONCE_OCTETS:
        raise EncodeError("challenge", f"{len(nonce)} bytes; {MIN_NONCE_OCTETS} to {MAX_NONCE_OCTETS} fit")
    text = _base32(nonce) + _check(nonce)
    return "-".join((_MARK, *(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))))


def parse_challenge(text: str) -> bytes:
    """Return the nonce of a text that somebody typed or scanned.

    Raises:
        DecodeError: it is none; the sentence says what to look at.
    """
    if len(text) > MAX_CHALLENGE_CHARACTERS:
        raise DecodeError("challenge", f"{len(text)} characters are no challenge")
    characters = "".join(each for each in text.upper() if each not in " -\t\r\n")
    if not characters.startswith(_MARK):
        raise DecodeError("challenge", f"a challenge begins with {_MARK}")
    characters = characters.removeprefix(_MARK)
    strange = next((each for each in characters if each not in _VALUES), None)
    if strange is not None:
        raise DecodeError("challenge", f"{strange!r} stands in no challenge")
    data, check = characters[:-_CHECK_CHARACTERS], characters[-_CHECK_CHARACTERS:]
    octets = len(data) * 5 // 8
    if not MIN_NONCE_OCTETS <= octets <= MAX_NONCE_OCTETS or len(data) != -(-octets * 8 // 5):
        raise DecodeError("challenge", f"{len(characters)} characters follow {_MARK}: some are missing, or too many")
    bits = 0
    for each in data:
        bits = bits << 5 | _VALUES[each]
    spare = len(data) * 5 - octets * 8
    nonce = (bits >> spare).to_bytes(octets)
    if bits & ((1 << spare) - 1) or [_VALUES[each] for each in check] != [_VALUES[each] for each in _check(nonce)]:
        raise DecodeError("challenge", "a character is wrong, or two changed places: its last four do not fit the others")
    return nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A record that may answer a challenge.

    Attributes:
        seq: its number.
        nonce: the challenge it names; None where it names none, or hides it.
        is_own: whether the vehicle itself signed it.
        odometer_m: what it says, in metres; None where it is hidden.
        occurred: when it was read; None where that is hidden or was not known.
        reading_age_ms: how old the reading was when it was recorded, as the vehicle says; None where that is hidden.
    """

    seq: int
    nonce: bytes | None
    is_own: bool
    odometer_m: int | None
    occurred: UtcNs | None
    reading_age_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A challenge that was answered.

    Attributes:
        seq: the record's number.
        age_ns: how old its reading is by the inspector's clock; None where it says no date.
        reading_age_ms: how old the reading was when the record was signed, as the vehicle says; None where that is hidden.
    """

    seq: int
    age_ns: int | None
    reading_age_ms: int | None

    @property
    def is_fresh(self) -> bool:
        """Whether the reading was no older than `MAX_READING_AGE_MS` when it was given as an answer."""
        return self.reading_age_ms is not None and self.reading_age_ms <= MAX_READING_AGE_MS

    @property
    def words(self) -> str:
        """For people: what follows from the signature, and what the vehicle says besides."""
        if self.age_ns is None:
            age = "The vehicle did not know the date, so how old its reading is only you can say: since you drew the challenge"
        elif self.age_ns < 0:
            age = f"By its clock, which is ahead of this one, it was read {duration_text(-self.age_ns // 1_000_000)} from now"
        else:
            age = f"By its clock it was read {duration_text(self.age_ns // 1_000_000)} ago"
        signed = "it was signed after the challenge was drawn"
        return f"Record {self.seq} answers the challenge: {signed}. {self._reading_words}. {age}."

    @property
    def _reading_words(self) -> str:
        if self.reading_age_ms is None:
            return "How old its reading was then, it hides: it may be from before the challenge"
        if self.is_fresh:
            return f"The vehicle says that its reading was {self.reading_age_ms / 1_000:.1f} s old then"
        age = duration_text(self.reading_age_ms)
        return f"The vehicle says that its reading was {age} old then: this is no fresh reading, compare the display"


def check_answer(answers: Iterable[Answer], nonce: bytes, now: UtcNs) -> Answered:
    """Return which of some verified records answers a challenge, and how old its reading is against the inspector's clock.

    Raises:
        RecordError: `challenge`: none does, one that does is not the vehicle's own, it hides its reading, two do, or it is dated in
            the future.
    """
    found = [each for each in answers if each.nonce == nonce]
    if not found:
        raise RecordError(
            "challenge", "no record shown answers this challenge: it was not read for you, it hides that, or waits for the ledger"
        )
    answer = found[0]
    if len(found) > 1:
        raise RecordError("challenge", f"records {answer.seq} and {found[1].seq} both answer it; a vehicle answers one once")
    if not answer.is_own:
        raise RecordError("challenge", f"record {answer.seq} answers it, and is not the vehicle's own")
    if answer.odometer_m is None:
        raise RecordError("challenge", f"record {answer.seq} answers it, and hides its reading")
    age_ns = None if answer.occurred is None else now - answer.occurred
    if age_ns is not None and age_ns < -MAX_CLOCK_DIFFERENCE_NS:
        ahead = duration_text(-age_ns // 1_000_000)
        raise RecordError("challenge", f"record {answer.seq} answers it, and is dated {ahead} from now: one of the clocks is wrong")
    return Answered(seq=answer.seq, age_ns=age_ns, reading_age_ms=answer.reading_age_ms)


def _base32(nonce: bytes) -> str:
    characters = -(-len(nonce) * 8 // 5)
    bits = int.from_bytes(nonce) << (characters * 5 - len(nonce) * 8)
    return "".join(_ALPHABET[bits >> (5 * at) & 31] for at in reversed(range(characters)))


def _check(nonce: bytes) -> str:
    digest = int.from_bytes(sha256(_DOMAIN + nonce).digest()[:4]) >> (32 - 5 * _CHECK_CHARACTERS)
    return "".join(_ALPHABET[digest >> (5 * at) & 31] for at in reversed(range(_CHECK_CHARACTERS)))
