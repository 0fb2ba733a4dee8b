"""Bearer tokens: one line in a file closed to others, or handed over by systemd; above all what a log's operator asks for."""

from collections.abc import Mapping
from pathlib import Path

from shared.core.errors import ConfigError, DecodeError
from shared.service.keystore import read_private_file
from shared.service.secret import SecretText
from shared.transport.ledger_http import MAX_TOKEN_CHARACTERS, check_token

LEDGER_TOKEN = "ledger.token"  # noqa: S105 - a name, no token
"""Name under which systemd may pass the token (`LoadCredential=`); it goes before the file."""


def read_ledger_token(path: Path | None, *, environment: Mapping[str, str]) -> str | None:
    """Return the token, None where no file is named.

    Args:
        path: the file.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: the file is absent, open to others, or holds no token in its first line.
    """
    return None if path is None else read_token(path, credential=LEDGER_TOKEN, environment=environment)


def read_token(path: Path, *, credential: str, environment: Mapping[str, str]) -> SecretText:
    """Return the token in the first line of a file.

    Args:
        path: the file.
        credential: name under which systemd may pass it; that goes before the file.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: the file is absent, open to others, or holds no token.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY")
    passed = None if folder is None else Path(folder) / credential
    path = path if passed is None or not passed.exists() else passed
    may_group_read = folder is not None and path.parent == Path(folder)
    octets = read_private_file(path, MAX_TOKEN_CHARACTERS + 2, what="token", may_group_read=may_group_read)
    try:
        return SecretText(check_token(bytes(octets).decode("ascii", "replace").split("\n", 1)[0].rstrip("\r")))
    except DecodeError as error:
        raise ConfigError(str(path), f"holds no token: {error.reason}") from None
