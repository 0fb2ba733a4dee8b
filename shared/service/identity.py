"""A station's certificate from its folder, and the key that belongs to it from where the operator keeps it.

Under systemd the key comes as a credential (`LoadCredential=ticket.key:...`): root owns the file, and only the one service sees it,
in `$CREDENTIALS_DIRECTORY`. Without such a credential the key is `key.pem` in the folder, readable by its owner alone. Left out:
tokens, which need no file.
"""

from collections.abc import Mapping
from pathlib import Path

from shared.security.sign import TicketCredential
from shared.service.keystore import read_credential_key
from shared.service.trust_directory import read_ticket

TICKET_KEY = "ticket.key"
"""Name of the systemd credential with the authorization ticket's key."""

ENROLMENT_KEY = "enrolment.key"
"""Name of the systemd credential with the enrolment credential's key."""

_CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"


def read_identity(directory: Path, *, credential: str, environment: Mapping[str, str]) -> TicketCredential:
    """Read a certificate and its key.

    Args:
        directory: holds `certificate.oer` and, where systemd passes no key, `key.pem`.
        credential: the name under which systemd would pass the key: `TICKET_KEY` or `ENROLMENT_KEY`.
        environment: the environment of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, damaged or too open, or key and certificate do not belong together.
    """
    named = environment.get(_CREDENTIALS_DIRECTORY)
    if named is None or not (Path(named) / credential).exists():
        return read_ticket(directory)
    return read_ticket(directory, signer=read_credential_key(Path(named), credential))
