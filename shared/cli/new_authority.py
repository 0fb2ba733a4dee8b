"""What the commands share that make an authority: where its keys are made, and when its certificate begins."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.moments import moment_of
from shared.core.clock import TimeSource
from shared.core.errors import ConfigError, EncodeError
from shared.core.itstime import Time32, time32_of, time64_of
from shared.pki.authority import AuthorityKind
from shared.security.freshness import trusted_time64
from shared.service.authority_keys import AuthorityKeys, NewAuthorityKeys
from shared.service.system_clock import SystemClock

CLOCK_ALLOWANCE_S = 60
"""Certificates made now are valid from a minute ago, for stations whose clocks are a little behind."""

MAX_YEARS = 100

KINDS = {"ea": AuthorityKind.ENROLMENT, "aa": AuthorityKind.AUTHORIZATION}
"""How the kinds of authorities are called in commands."""

Keys = Annotated[
    str | None,
    typer.Option(
        help="Make signing keys in this key store (file:, pkcs11:, tpm2:), named as the folders; relative paths start in the "
        "folder above an authority's. Encryption keys stay files. Default: a file in each folder.",
        metavar="URI",
    ),
]


@contextmanager
def new_keys(uri: str | None, base: Path, *, opened: AuthorityKeys | None = None) -> Iterator[NewAuthorityKeys]:
    """Make keys of authorities; when the block fails, those in a key store are removed again."""
    with ExitStack() as stack:
        stores = opened or stack.enter_context(AuthorityKeys())
        new = NewAuthorityKeys(None if uri is None else stores.store(uri, base), uri or "")
        try:
            yield new
        except BaseException as error:
            new.discard()
            if isinstance(error, EncodeError):
                raise ConfigError(f"certificate: {error.field}", error.reason) from error
            raise


def check_is_new(directory: Path) -> None:
    """Raise `ConfigError` unless a directory is not there yet, or empty."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(str(directory), "exists already and is not empty: keys and certificates are never overwritten")


def begin_of_validity(valid_from: str | None) -> Time32:
    """Read `--valid-from`, None for now; raises `ConfigError`."""
    if valid_from is None:
        return Time32(time32_of(trusted_time64(SystemClock(TimeSource.ASSUME_TRUSTED).now())) - CLOCK_ALLOWANCE_S)
    return time32_of(time64_of(moment_of(valid_from, "--valid-from")))
