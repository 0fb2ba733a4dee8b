"""The raw limits: what the cryptographic library does with a key at hand and nothing around it, on one thread and on several."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count, cycle, islice
from threading import Thread

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from shared.bench.rounds import Preparation, Work

KEYS = 32
"""Keys in turn, as in traffic."""

RAW_VERIFY = "raw P-256 verify"
RAW_SIGN = "raw P-256 sign"

_ALGORITHM = ec.ECDSA(Prehashed(hashes.SHA256()))
_Verification = tuple[Callable[[bytes, bytes, ec.ECDSA], None], bytes, bytes]


class RawP256:
    """Keys made once. As on a channel, nothing is signed twice: a processor would learn the very signatures."""

    def __init__(self) -> None:
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(KEYS)]
        self._keys = cycle([(key.sign, key.public_key().verify) for key in keys])
        self._numbers = count()

    def verifying(self, calls: int) -> Work:
        """Prepare that many verifications on one thread."""
        jobs = self._verifications(calls)
        return lambda: _verify(jobs)

    def signing(self, calls: int) -> Work:
        """Prepare that many signatures on one thread."""
        jobs = [(sign, self._digest()) for sign, _ in islice(self._keys, calls)]

        def work() -> None:
            for sign, digest in jobs:
                sign(digest, _ALGORITHM)

        return work

    def _verifications(self, calls: int) -> list[_Verification]:
        jobs: list[_Verification] = []
        for sign, verify in islice(self._keys, calls):
            digest = self._digest()
            jobs.append((verify, sign(digest, _ALGORITHM), digest))
        return jobs

    def _digest(self) -> bytes:
        return sha256(next(self._numbers).to_bytes(8, "big")).digest()

    def verifying_on(self, threads: int) -> Preparation:
        """Return the preparation of verifications shared by several threads."""

        def prepare(calls: int) -> Work:
            jobs = self._verifications(calls)
            shares = [jobs[number::threads] for number in range(threads)]

            def work() -> None:
                helpers = [Thread(target=_verify, args=(share,)) for share in shares[1:]]
                for helper in helpers:
                    helper.start()
                _verify(shares[0])
                for helper in helpers:
                    helper.join()

            return work

        return prepare


def _verify(jobs: list[_Verification]) -> None:
    for verify, signature, digest in jobs:
        verify(signature, digest, _ALGORITHM)
