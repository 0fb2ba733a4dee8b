"""The raw limits: what the cryptographic library does with a key at hand and nothing around it, on one thread and on several."""

from collections.abc import Callable
from hashlib import sha256
from itertools import cycle, islice
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
    """Keys made once, with a signature of each."""

    def __init__(self) -> None:
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(KEYS)]
        digests = [sha256(number.to_bytes(4, "big")).digest() for number in range(KEYS)]
        self._verifications: list[_Verification] = [
            (key.public_key().verify, key.sign(digest, _ALGORITHM), digest) for key, digest in zip(keys, digests, strict=True)
        ]
        self._signings = list(zip([key.sign for key in keys], digests, strict=True))

    def verifying(self, calls: int) -> Work:
        """Prepare that many verifications on one thread."""
        jobs = list(islice(cycle(self._verifications), calls))
        return lambda: _verify(jobs)

    def signing(self, calls: int) -> Work:
        """Prepare that many signatures on one thread."""
        jobs = list(islice(cycle(self._signings), calls))

        def work() -> None:
            for sign, digest in jobs:
                sign(digest, _ALGORITHM)

        return work

    def verifying_on(self, threads: int) -> Preparation:
        """Return the preparation of verifications shared by several threads."""

        def prepare(calls: int) -> Work:
            jobs = list(islice(cycle(self._verifications), calls))
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
