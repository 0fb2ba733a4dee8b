"""What the desks of both authorities share: how a request is refused, what is counted, how other authorities are looked up.

A desk takes octets and returns octets. A request that could be decrypted is answered, if only with a refusal; what cannot be
answered raises `UnanswerableRequest`. Nothing about a refusal goes to the requester but its code; the operator finds the last
reasons here.

Some codes of the standard's tables no desk here gives. Not the recipient, unknown encryption, decryption failed (3 to 5): without
the request's key there is nothing to answer under. Of the enrolment authority's: bad content type, for a request it does not take
for a question gets an answer of the other table; unknown encryption, for the authorization authority finds that unreadable before
it asks; invalid encryption key, for the enrolment authority sees no key.
"""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from shared.core.errors import DecodeError, VerificationError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32, Time64
from shared.pki.policy import US_PER_S
from shared.pki.response_codes import ResponseCode
from shared.security.chain import ChainVerifier, UnknownSignerError
from shared.security.trust_store import TrustStore
from shared.security.trusted_certificate import TrustedCertificate

ANSWER_KEPT_S = 900
"""How long an answer is kept for the same octets. A request is fresh for less, even one dated ahead as far as it may be."""

MAX_RECENT_REFUSALS = 32
"""Refusals a desk remembers with their reasons."""


class Refused(Exception):  # noqa: N818  # caught by the desk, which answers with the code
    """A request is to be answered with a refusal.

    Args:
        code: for the requester.
        reason: for the operator.
    """

    def __init__(self, code: ResponseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refusal, for the operator: the code's word, and the reason in full."""

    word: str
    reason: str


class DeskRecord:
    """What a desk did.

    Attributes:
        answers: how often each code was answered, by table and word: `EnrolmentResponseCode.unknownits`.
        repeated: requests that were answered with the octets kept from before.
        unanswerable: requests that could not be answered at all.
        refusals: the last ones, the newest last.
        refused: how many there were.
    """

    __slots__ = ("answers", "refusals", "refused", "repeated", "unanswerable")

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.repeated = 0
        self.unanswerable = 0
        self.refused = 0
        self.refusals: deque[Refusal] = deque(maxlen=MAX_RECENT_REFUSALS)

    def answered(self, code: ResponseCode, reason: str = "") -> None:
        """Note an answer."""
        word = f"{type(code).__name__}.{code.word}"
        self.answers[word] += 1
        if code.number:
            self.refused += 1
            self.refusals.append(Refusal(word=code.word, reason=reason))


class TrustedAuthorities(Protocol):
    """The other authorities a desk deals with."""

    def find(self, hashed_id8: HashedId8, at: Time64) -> TrustedCertificate:
        """Return an authority whose chain holds at a moment.

        Raises:
            UnknownSignerError: no such authority is known.
            VerificationError: it is known, but must not be believed.
        """
        ...


class ChainedAuthorities:
    """The authorities of a trust store, each checked up to its root.

    Args:
        trust_store: where they are looked up.
        chain: checks them, against the same store.
    """

    __slots__ = ("_chain", "_trust_store")

    def __init__(self, *, trust_store: TrustStore, chain: ChainVerifier) -> None:
        self._trust_store = trust_store
        self._chain = chain

    def find(self, hashed_id8: HashedId8, at: Time64) -> TrustedCertificate:
        """Return an authority; raises as `TrustedAuthorities.find`."""
        certificate = self._trust_store.authorities.get(hashed_id8)
        if certificate is None:
            raise UnknownSignerError(hashed_id8, "the authority {} is not known")
        return self._chain.check_authority(certificate, at)

    def change_trust(self, trust_store: TrustStore) -> None:
        """Look up in another store, and check against it, from now on."""
        self._trust_store = trust_store
        self._chain.change_trust(trust_store)


@contextmanager
def refusing(code: ResponseCode) -> Iterator[None]:
    """Turn a failed check into a refusal with `code`."""
    try:
        yield
    except (DecodeError, VerificationError) as error:
        raise Refused(code, str(error)) from error


def refuse_unless(condition: bool, code: ResponseCode, reason: str) -> None:  # noqa: FBT001  # reads like a sentence
    """Raise `Refused` unless a condition holds."""
    if not condition:
        raise Refused(code, reason)


def kept_until(at: Time64) -> Time32:
    """Return how long an answer given now is kept."""
    return Time32(at // US_PER_S + ANSWER_KEPT_S)
