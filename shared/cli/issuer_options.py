"""What the commands share that sign as somebody enrolled, a garage or an insurer: which credential, which key, whom it trusts.

Also what they share in reading the command line: lists, kinds of records, moments, and new files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from shared.core.clock import NS_PER_MS, Instant, TimeSource, UtcNs
from shared.core.errors import ConfigError
from shared.core.itstime import utc_from_text
from shared.records.kind import RecordKind
from shared.service.issuer_identity import IssuerIdentity, open_issuer_identity
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_trust_directory

CredentialFolder = Annotated[
    Path,
    typer.Option(help="Folder of the enrolment credential: certificate.oer and, without --key, key.pem or key.uri.", metavar="DIR"),
]
KeyUri = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="The key is in this key store (file:, credential:, pkcs11:, tpm2:); relative paths start in the folder above the "
        "credential's.",
        metavar="URI",
    ),
]
KeyName = Annotated[
    str | None, typer.Option(help="Name of the key there; default: the name of the credential's folder.", metavar="NAME")
]
TrustFolder = Annotated[Path, typer.Option("--trust", help="Trust directory with roots/ and authorities/.", metavar="DIR")]


@contextmanager
def opened_identity(folder: Path, *, keys: str | None, key_name: str | None, trust: Path, now: Instant) -> Iterator[IssuerIdentity]:
    """Open the identity that the options name; raises as `open_issuer_identity`."""
    store = read_trust_directory(trust)
    with open_issuer_identity(folder, keys=keys, key_name=key_name, trust=store, now=now) as identity:
        yield identity


def present() -> Instant:
    """Return the present as this machine's clock has it."""
    return SystemClock(TimeSource.ASSUME_TRUSTED).now()


def listed(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(word for part in text.split(",") if (word := part.strip()))


def kinds_listed(text: str, option: str) -> tuple[RecordKind, ...]:
    """Return the kinds of records a list names, sorted and each once; raises `ConfigError`."""
    return tuple(sorted({kind_named(name, option) for name in listed(text)}, key=lambda kind: kind.value))


def kind_named(name: str, option: str) -> RecordKind:
    """Return the kind of record a word names; raises `ConfigError`."""
    try:
        return RecordKind(name)
    except ValueError:
        known = ", ".join(kind.value for kind in RecordKind)
        raise ConfigError(option, f"{name[:32]!r} is no kind of record; there are {known}") from None


def moment_of(text: str, option: str) -> UtcNs:
    """Return the moment, to the millisecond, that ISO 8601 text with its offset names; raises `ConfigError`."""
    try:
        utc = utc_from_text(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(option, f"{text[:40]!r} is no moment with its offset: {error}") from None
    return UtcNs(utc - utc % NS_PER_MS)


def check_new_file(path: Path, option: str) -> None:
    """Check, before anything is signed, that a file can be made; raises `ConfigError`."""
    if path.exists():
        raise ConfigError(option, f"{path} exists already and is not overwritten")
    if not path.absolute().parent.is_dir():
        raise ConfigError(option, f"{path} cannot be written: there is no such folder")
