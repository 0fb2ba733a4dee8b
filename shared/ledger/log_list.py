"""Which logs somebody follows: the `log` lines of a tlog-policy, or a list of verifier keys, one a line.

Witnesses need no more of a policy than that, so whichever an operator has will do. Left out: URLs, which no witness needs.
"""

from shared.core.errors import DecodeError
from shared.ledger.policy import MAX_POLICY_BYTES, Policy, parse_policy

_POLICY_WORDS = frozenset(("log", "witness", "group", "quorum"))


def parse_log_list(data: bytes) -> Policy:
    """Return the logs as a policy without witnesses; raise `DecodeError` naming the line, or if there is none."""
    if len(data) > MAX_POLICY_BYTES:
        raise DecodeError("logs", f"{len(data)} bytes; at most {MAX_POLICY_BYTES} are read")
    is_policy = any(line.split()[0].decode("utf-8", "replace") in _POLICY_WORDS for line in data.splitlines() if line.split())
    if not is_policy:
        lines = [line.strip() for line in data.split(b"\n")]
        data = b"".join((line if not line or line.startswith(b"#") else b"log " + line) + b"\n" for line in lines)
        data += b"quorum none\n"
    logs = parse_policy(data).logs
    if not logs:
        raise DecodeError("logs", "names no log")
    return Policy(logs=logs, witnesses=(), groups=(), quorum=None)
