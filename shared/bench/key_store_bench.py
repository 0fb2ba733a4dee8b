"""Signatures from each home of private keys: a file, a PKCS#11 token and a TPM, beside a raw signature in the same rounds.

Token and TPM are the software ones (SoftHSM2, swtpm), made in a directory that goes afterwards, and left out where they are not
installed. What is measured is what our side and such a token cost; a TPM of silicon takes a hundred times longer by itself. By the
time that passes, for a token works in a thread or a program of its own.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.bench.figure import Effort, Figure, Unit, figure_of
from shared.bench.limits import RAW_SIGN, RawP256
from shared.bench.rounds import PASSING_TIME, Preparation, Side, Work, measure_rates
from shared.bench.soft_tokens import soft_token, soft_tpm
from shared.core.errors import ConfigError
from shared.security.ecdsa import Curve, Signer
from shared.service.key_store import open_key_store

FEWER = {"file": 1, "pkcs11": 5, "tpm2": 50}
"""A signature takes so many times longer, about."""

_SAYS = {
    "file": "sign a digest with a key from a file",
    "pkcs11": "sign a digest in a PKCS#11 token (SoftHSM2)",
    "tpm2": "sign a digest in a TPM (swtpm)",
}


def keys(effort: Effort) -> Iterable[Figure]:
    """Measure every home of keys that can be had here."""
    raw = RawP256()
    with TemporaryDirectory(prefix="v2x-bench-") as folder, ExitStack() as homes:
        sides = {RAW_SIGN: Side(raw.signing)}
        for kind, signer in _signers(Path(folder), homes):
            sides[kind] = Side(_signing(signer), fewer=FEWER[kind])
        rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls, clock=PASSING_TIME)
    limit = (RAW_SIGN, rates.pop(RAW_SIGN))
    for kind, rate in rates.items():
        yield figure_of(f"keys.{kind}", _SAYS[kind], Unit.PER_SECOND, rate, limit=limit)


def _signers(folder: Path, homes: ExitStack) -> Iterator[tuple[str, Signer]]:
    yield "file", _signer("file:keys", folder, homes)
    with suppress(ConfigError):  # no SoftHSM2, or not the extra for it
        yield "pkcs11", _signer(homes.enter_context(soft_token(folder / "hsm")).uri, folder, homes)
    with suppress(ConfigError):  # no swtpm, or not the extra for it
        yield "tpm2", _signer(homes.enter_context(soft_tpm(folder / "tpm")).uri(folder / "wrapped"), folder, homes)


def _signer(uri: str, folder: Path, homes: ExitStack) -> Signer:
    return homes.enter_context(open_key_store(uri, folder)).generate("ticket", Curve.NIST_P256)


def _signing(signer: Signer) -> Preparation:
    numbers = count()

    def prepare(calls: int) -> Work:
        digests = [sha256(next(numbers).to_bytes(8, "big")).digest() for _ in range(calls)]

        def work() -> None:
            for digest in digests:
                signer.sign_digest(digest)

        return work

    return prepare
