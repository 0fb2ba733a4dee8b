"""Traffic for the admission queue: packets that claim what they are told to, and a verifier of known speed that knows the truth.

Nothing here is decoded and no signature is checked: the queue reads claims only, so whether a packet is genuine is one octet in it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from random import Random

from shared.core.clock import NS_PER_S, Instant, MonotonicNs
from shared.core.ids import HashedId8, ItsAid
from shared.core.itstime import Time64
from shared.security.ecdsa import Curve, Signature
from shared.security.hashing import HashAlgorithm, hashed_id8
from shared.security.header_info import HeaderInfo
from shared.security.peek import peek_claims
from shared.security.secured_data import SignerIdentifier, SignerKind, encode_signed_data, encode_tbs_data
from shared.stack.admission import AdmissionQueue
from shared.stack.sender_lane import Waiting

BASIC = b"\x12\x00\x1a\x01"
EPOCH_US = 700_000_000_000_000
NO_SIGNATURE = Signature(curve=Curve.NIST_P256, r=bytes(32), s=bytes(32))
GENUINE, FORGED = b"\x01", b"\x00"
TRUTH_AT = 11
"""Octet of the truth: behind the Basic Header and the head of the secured structure."""


def name_of(number: int) -> HashedId8:
    """Return the name of a sender."""
    return HashedId8(number.to_bytes(8, "big"))


def packet_of(
    signer: HashedId8, at_ns: int, *, psid: int = ItsAid.CAM, is_genuine: bool = True, octets: int = 20, nonce: int = 0
) -> bytes:
    """Return a packet that claims to be signed under `signer`, generated at a moment."""
    header = HeaderInfo(psid=psid, generation_time=Time64(EPOCH_US + at_ns // 1_000))
    payload = (GENUINE if is_genuine else FORGED) + nonce.to_bytes(4, "big") + bytes(octets)
    return BASIC + encode_signed_data(
        hash_algorithm=HashAlgorithm.SHA256,
        tbs_encoded=encode_tbs_data(payload, header),
        signer=SignerIdentifier(kind=SignerKind.DIGEST, digest=signer),
        signature=NO_SIGNATURE,
    )


def showing(packet: bytes, certificate: bytes) -> tuple[bytes, HashedId8]:
    """Return the packet with octets in the place of a certificate, and the name they give the sender."""
    head, signature = packet[: -66 - 9], packet[-66:]
    return head + b"\x81\x01\x01" + certificate + signature, hashed_id8(HashAlgorithm.SHA256.digest(certificate))


def instant(at_ns: int) -> Instant:
    return Instant(MonotonicNs(at_ns), None)


Arrival = tuple[int, bytes]
"""When, and what."""


def every(
    period_ns: int, signer: HashedId8, *, until_ns: int, first_ns: int = 0, psid: int = ItsAid.CAM, is_genuine: bool = True
) -> Iterator[Arrival]:
    """Let one sender speak regularly."""
    for nonce, at in enumerate(range(first_ns, until_ns, period_ns)):
        yield at, packet_of(signer, at, psid=psid, is_genuine=is_genuine, nonce=nonce)


@dataclass
class Heard:
    """What became of some traffic.

    Attributes:
        verified: genuine packets verified, by (signer, service).
        ages_ns: their ages when they were, likewise.
        spent: forged packets on which a verification was spent, by claimed signer.
        most_octets: that waited at once.
    """

    verified: Counter[tuple[HashedId8, int]] = field(default_factory=Counter)
    ages_ns: dict[tuple[HashedId8, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    spent: Counter[HashedId8] = field(default_factory=Counter)
    most_octets: int = 0


class Verifier:
    """A queue and one who verifies so many packets a second.

    Args:
        per_second: verifications; a packet of an unknown signer named by digest costs nothing.
        known: names the queue takes for known.
    """

    def __init__(self, *, per_second: int, known: Iterable[HashedId8]) -> None:
        self._known = frozenset(known)
        self.queue = AdmissionQueue(knows=lambda signer, _now: signer in self._known, lot=Random(11))
        self._cost_ns = NS_PER_S // per_second

    def hear(self, *streams: Iterable[Arrival], drain: bool = True) -> Heard:
        """Let everything arrive at its time and verify as fast as can be."""
        heard, now = Heard(), 0
        arrivals = merge(*streams)
        upcoming = next(arrivals, None)
        while upcoming is not None or (drain and len(self.queue)):
            while upcoming is not None and upcoming[0] <= now:
                self.queue.offer(upcoming[1], instant(upcoming[0]))
                upcoming = next(arrivals, None)
            heard.most_octets = max(heard.most_octets, self.queue.octets)
            batch = self.queue.take(MonotonicNs(now))
            now += sum(map(self._cost_of, batch))
            for waiting in batch:
                self._judge(waiting, now, heard)
            if not batch and upcoming is not None:
                now = max(now, upcoming[0])
        return heard

    def _cost_of(self, waiting: Waiting) -> int:
        claims = peek_claims(waiting.packet, len(BASIC))
        is_light = claims is not None and not claims.shows_certificate and claims.signer not in self._known
        return 0 if is_light else self._cost_ns

    def _judge(self, waiting: Waiting, now: int, heard: Heard) -> None:
        claims = peek_claims(waiting.packet, len(BASIC))
        assert claims is not None
        is_genuine = waiting.packet[TRUTH_AT : TRUTH_AT + 1] == GENUINE
        self.queue.settle(waiting, MonotonicNs(now), is_verified=is_genuine)
        if is_genuine:
            generated_ns = (claims.generation_time - EPOCH_US) * 1_000
            heard.verified[claims.signer, claims.psid] += 1
            heard.ages_ns[claims.signer, claims.psid].append(now - generated_ns)
        else:
            heard.spent[claims.signer] += 1
