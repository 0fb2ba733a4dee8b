"""Which logs somebody follows: the `log` lines of a tlog-policy, or a list of verifier keys, one a line.

Witnesses need no more of a policy than that, so whichever an operator has will do; in a list a key may have the word before it with
which a log's own commands print it (`vkey`, `log`). Left out: URLs, which no witness needs.
"""

from shared.core.errors import DecodeError
from shared.ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy

_POLICY_WORDS = frozenset((b"witness", b"group", b"quorum"))
_PRINTED_WORDS = frozenset((b"vkey", b"log"))


def parse_log_list(data: bytes) -> Policy:
    """Return the logs as a policy without witnesses; raise `DecodeError` naming the line, or if there is none."""
    if len(data) > MAX_POLICY_BYTES:
        raise DecodeError("logs", f"{len(data)} bytes; at most {MAX_POLICY_BYTES} are read")
    is_policy = any(line.split()[0] in _POLICY_WORDS for line in data.splitlines() if line.split())
    if not is_policy:
        data = b"".join(_log_line(line.strip()) + b"\n" for line in data.split(b"\n")) + b"quorum none\n"
    logs = parse_policy(data).logs
    if not logs:
        raise DecodeError("logs", "names no log")
    return Policy(logs=logs, witnesses=(), groups=(), quorum=None)


def _log_line(line: bytes) -> bytes:
    words = line.split()
    if not words or words[0].startswith(b"#"):
        return line
    return b" ".join((b"log", *words[words[0] in _PRINTED_WORDS :]))
