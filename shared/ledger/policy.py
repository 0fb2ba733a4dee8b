"""Trust policies: which logs, which witnesses, and how many of them (C2SP tlog-policy).

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>...
    quorum <name>|none

A group or quorum names only what stands above it and each name is a member once, so every witness counts in one way. Names are
opaque octets; here they are text with surrogate escapes, which keeps distinct octets distinct. The policy says what is enough; the
functions that hold checkpoints against it are in `shared.ledger.verify`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.core.errors import DecodeError
from shared.ledger.note import NoteSignature, VerifierKey, parse_vkey
from shared.ledger.text import decode_decimal

MAX_POLICY_BYTES = 65_536
MAX_POLICY_LOGS = 64
MAX_POLICY_WITNESSES = 64
MAX_POLICY_GROUPS = 64

NO_QUORUM = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLog:
    """A log whose checkpoints count; `url` is where it may be reached, if the policy says so."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyWitness:
    """A witness, under the name the policy calls it by."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyGroup:
    """A group that has witnessed once `threshold` of its `members` (witnesses or groups) have."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A parsed policy; make one with `parse_policy`.

    Attributes:
        logs: accepted logs.
        witnesses: known witnesses.
        groups: groups in the order of definition: members before groups that contain them.
        quorum: name of the witness or group that must have witnessed, None for `quorum none`.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str | None
    _log_keys: Mapping[str, tuple[VerifierKey, ...]] = field(init=False, repr=False, compare=False)
    _witness_keys: Mapping[tuple[bytes, str], PolicyWitness] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_origin: dict[str, tuple[VerifierKey, ...]] = {}
        for log in self.logs:
            by_origin[log.key.name] = (*by_origin.get(log.key.name, ()), log.key)
        object.__setattr__(self, "_log_keys", by_origin)
        object.__setattr__(self, "_witness_keys", {(w.key.key_id, w.key.name): w for w in self.witnesses})

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """Return the keys of the log with this origin: several while a log changes its key, none for an unknown log."""
        return self._log_keys.get(origin, ())

    def witness_of(self, line: NoteSignature) -> PolicyWitness | None:
        """Return the witness that a signature line claims to be by; None if the policy knows none of that name and key id."""
        return self._witness_keys.get((line.key_id, line.name))

    def is_quorum(self, cosigned: Collection[str]) -> bool:
        """Tell whether the witnesses named in `cosigned` are enough."""
        if self.quorum is None:
            return True
        witnessed = {w.name for w in self.witnesses if w.name in cosigned}
        for group in self.groups:
            if len(witnessed.intersection(group.members)) >= group.threshold:
                witnessed.add(group.name)
        return self.quorum in witnessed


def parse_policy(data: bytes) -> Policy:
    """Parse a policy file; raise `DecodeError` naming the line where it breaks a rule."""
    if len(data) > MAX_POLICY_BYTES:
        raise DecodeError("policy", f"{len(data)} bytes; at most {MAX_POLICY_BYTES} are read")
    if any((c < 0x20 and c not in (0x09, 0x0A)) or c == 0x7F for c in data):
        raise DecodeError("policy", "contains a control character")
    if data and not data.endswith(b"\n"):
        raise DecodeError("policy", "the last line does not end with a newline")
    reader = _PolicyReader()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = [word for word in line.replace("\t", " ").split(" ") if word]
        if words and not words[0].startswith("#"):
            reader.read(words, f"policy line {number}")
    return reader.finish()


class _PolicyReader:
    """Collects the lines of a policy file in order."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: list[PolicyWitness] = []
        self._groups: list[PolicyGroup] = []
        self._members: set[str] = set()
        self._quorum: str | None = None

    def read(self, words: list[str], line: str) -> None:
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self._read_log(vkey, url, line)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._read_witness(name, vkey, url, line)
            case ["group", name, threshold, *members] if members:
                self._read_group(name, threshold, tuple(members), line)
            case ["quorum", name]:
                if self._quorum is not None:
                    raise DecodeError(line, "a second quorum line")
                if name != NO_QUORUM and name not in self._names():
                    raise DecodeError(line, f"quorum {name!r} is not defined above")
                self._quorum = name
            case [keyword, *_]:
                raise DecodeError(line, f"{keyword[:32]!r} with {len(words) - 1} words after it is no policy line")

    def finish(self) -> Policy:
        if self._quorum is None:
            raise DecodeError("policy", "no quorum line; write `quorum none` to require no witness")
        return Policy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=tuple(self._groups),
            quorum=None if self._quorum == NO_QUORUM else self._quorum,
        )

    def _names(self) -> set[str]:
        return {w.name for w in self._witnesses} | {g.name for g in self._groups}

    def _read_log(self, vkey: str, url: list[str], line: str) -> None:
        if len(self._logs) == MAX_POLICY_LOGS:
            raise DecodeError(line, f"more than {MAX_POLICY_LOGS} logs")
        key = _key(vkey, line, cosigns=False)
        if any(log.key.public_key == key.public_key for log in self._logs):
            raise DecodeError(line, "a second log with the same key")
        self._logs.append(PolicyLog(key=key, url=url[0] if url else None))

    def _read_witness(self, name: str, vkey: str, url: list[str], line: str) -> None:
        if len(self._witnesses) == MAX_POLICY_WITNESSES:
            raise DecodeError(line, f"more than {MAX_POLICY_WITNESSES} witnesses")
        self._check_new_name(name, line)
        key = _key(vkey, line, cosigns=True)
        if any(w.key.public_key == key.public_key for w in self._witnesses):
            raise DecodeError(line, "a second witness with the same key")
        self._witnesses.append(PolicyWitness(name=name, key=key, url=url[0] if url else None))

    def _read_group(self, name: str, threshold: str, members: tuple[str, ...], line: str) -> None:
        if len(self._groups) == MAX_POLICY_GROUPS:
            raise DecodeError(line, f"more than {MAX_POLICY_GROUPS} groups")
        self._check_new_name(name, line)
        known = self._names()
        for member in members:
            if member not in known:
                raise DecodeError(line, f"member {member!r} is not defined above")
            if member in self._members:
                raise DecodeError(line, f"{member!r} is a member for the second time")
            self._members.add(member)
        count = {"any": 1, "all": len(members)}.get(threshold)
        if count is None:
            count = decode_decimal(threshold, line)
        if not 1 <= count <= len(members):
            raise DecodeError(line, f"{count} of {len(members)} members cannot be asked for")
        self._groups.append(PolicyGroup(name=name, threshold=count, members=members))

    def _check_new_name(self, name: str, line: str) -> None:
        if name == NO_QUORUM:
            raise DecodeError(line, f"{NO_QUORUM!r} means no witness; it cannot be a name")
        if name in self._names():
            raise DecodeError(line, f"{name!r} is defined twice")


def _key(vkey: str, line: str, *, cosigns: bool) -> VerifierKey:
    try:
        key = parse_vkey(vkey)
    except DecodeError as error:
        raise DecodeError(line, f"{error.field}: {error.reason}") from None
    if key.kind.cosigns is not cosigns:
        role = "a witness cosigns with a key of kind 04 or 06" if cosigns else "a log signs with an Ed25519 key (01)"
        raise DecodeError(line, f"{role}, this key is of kind {key.kind:02x}")
    return key
