"""The operator's bearer token: read from its file, compared without telling how much of a guess was right (RFC 6750).

Only its digest is kept, so nothing that shows the unit's state can show the token. A token has `MIN_TOKEN_CHARACTERS`, which is
more than anybody guesses over a network: wrong ones are counted and slowed down for the sake of the log, not of the token.
"""

import hmac
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from pathlib import Path

from shared.core.errors import ConfigError, DecodeError
from shared.service.ledger_token import read_token
from shared.transport.ledger_http import check_token

OPERATOR_TOKEN = "operator.token"  # noqa: S105 - a name, no token
"""Name under which systemd may pass the token (`LoadCredential=`); it goes before the file."""

MIN_TOKEN_CHARACTERS = 24
"""Characters of a token, at least: `openssl rand -hex 16` makes 32."""

_SCHEME = "bearer"


class Claim(Enum):
    """What a request says of who sends it."""

    NONE = "absent"
    WRONG = "wrong"
    OPERATOR = "right"


class OperatorToken:
    """Knows the token when it sees it.

    Args:
        token: at least `MIN_TOKEN_CHARACTERS` of those a bearer token may have.

    Raises:
        DecodeError: it is no such token.
    """

    __slots__ = ("_digest",)

    def __init__(self, token: str) -> None:
        check_token(token)
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise DecodeError("token", f"{len(token)} characters can be guessed; at least {MIN_TOKEN_CHARACTERS} are needed")
        self._digest = sha256(token.encode()).digest()

    def judge(self, authorization: str | None) -> Claim:
        """Judge the `Authorization` header of a request; takes as long for one wrong token as for another."""
        if authorization is None:
            return Claim.NONE
        scheme, _, token = authorization.partition(" ")
        digest = sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
        is_right = hmac.compare_digest(digest, self._digest)
        return Claim.OPERATOR if is_right and scheme.lower() == _SCHEME else Claim.WRONG


def read_operator_token(path: Path, *, environment: Mapping[str, str]) -> OperatorToken:
    """Read the token.

    Args:
        path: the file; its first line counts.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: the file is absent, open to others, or holds no token that is long enough.
    """
    token = read_token(path, credential=OPERATOR_TOKEN, environment=environment)
    try:
        return OperatorToken(token)
    except DecodeError as error:
        raise ConfigError(str(path), f"holds no token: {error.reason}") from None
