"""The one tree of errors.

    V2xError
     +- ConfigError          a file the operator wrote is wrong            exit status 2
     +- EncodeError          we tried to say something unsayable           our bug
     +- DecodeError          bytes from outside are malformed              theirs; counted, dropped
     |   +- FrameError       a CAN frame does not fit its description
     +- VerificationError    a well-formed message must not be believed    theirs; counted by report
     +- ProofError           a ledger proof does not prove
     |   +- SplitViewError   two contradicting signed views of one log     keeps both as evidence
     +- RecordError          a record or passport is not what it claims
     +- UntrustedTimeError   UTC is not known well enough to sign or judge
     +- StorageError         a file of ours is damaged or cannot be written
     +- TransportError       a bus, radio or server failed                 retry

Every error carries the sentence for a person in `str(error)` and a stable word for counters in `code`. This module knows no
error of a layer above it; finer errors are subclasses declared where they are raised.
"""

from shared.core.ids import HashedId8, StationId
from shared.core.report import VerificationReport
from shared.core.value import Value


class Sender(Value):
    """Who is shown to have sent what was refused: the ticket that signed it, and what its holder calls itself in it."""

    ticket: HashedId8
    station_id: StationId


class V2xError(Exception):
    """Base of every error of this project; never raised itself."""

    sender: Sender | None = None
    """Who had signed what was refused; None where nobody is shown to have said it."""

    @property
    def code(self) -> str:
        """A stable lower-case word for counters and JSON."""
        return "error"


class ConfigError(V2xError):
    """A configuration, signal map, plan or DBC cannot be used.

    Args:
        path: file and, where known, the key inside it (`agent.toml: radio.port`).
        reason: what is wrong, as a sentence without the path.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    @property
    def code(self) -> str:
        """`configuration`."""
        return "configuration"


class EncodeError(V2xError):
    """A value cannot be encoded: a bug of ours or of the caller, never of a peer.

    Args:
        field: dotted path of the field.
        reason: why the value does not fit.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason

    @property
    def code(self) -> str:
        """`encode`."""
        return "encode"


class DecodeError(V2xError):
    """Bytes from outside are not what they should be.

    Args:
        field: dotted path of the field at which decoding stopped.
        reason: a sentence without the field.
        bit_offset: position in bits from the start of the structure, where known.
    """

    def __init__(self, field: str, reason: str, bit_offset: int | None = None) -> None:
        at = "" if bit_offset is None else f" (bit {bit_offset})"
        super().__init__(f"{field}{at}: {reason}")
        self.field = field
        self.reason = reason
        self.bit_offset = bit_offset

    @property
    def code(self) -> str:
        """`malformed`."""
        return "malformed"


class FrameError(DecodeError):
    """A CAN frame is too short, fails its checksum or counter, or carries a value out of range."""

    def __init__(self, field: str, reason: str, kind: str = "frame") -> None:
        super().__init__(field, reason)
        self.kind = kind

    @property
    def code(self) -> str:
        """The kind of fault: `too_short`, `checksum`, `counter`, `out_of_range` ..."""
        return self.kind


class VerificationError(V2xError):
    """A well-formed message must not be believed. These come in floods, so making one is cheap.

    Args:
        report: the reason as a code of TS 102 723-8 table 5, or a finer one of ours.
        detail: a sentence a person understands.
    """

    __slots__ = ("_detail", "report")

    def __init__(self, report: VerificationReport, detail: str) -> None:
        self.report = report
        self._detail = detail

    def __str__(self) -> str:
        return self.detail

    @property
    def detail(self) -> str:
        """The sentence."""
        return self._detail

    @property
    def code(self) -> str:
        """The report's name in lower case."""
        return self.report._value_  # what `value` gives, in a tenth of the time


class ProofError(V2xError):
    """A checkpoint, inclusion or consistency proof does not prove what it claims."""

    @property
    def code(self) -> str:
        """`proof`."""
        return "proof"


class SplitViewError(ProofError):
    """A log showed two views that cannot both be true.

    Args:
        detail: what contradicts what.
        trusted_note: the signed note we held.
        conflicting_note: the signed note that contradicts it.
    """

    def __init__(self, detail: str, trusted_note: bytes, conflicting_note: bytes) -> None:
        super().__init__(detail)
        self.trusted_note = trusted_note
        self.conflicting_note = conflicting_note

    @property
    def code(self) -> str:
        """`split_view`."""
        return "split_view"


class RecordError(V2xError):
    """A record or passport is not what it claims; `check` names the check that failed."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason

    @property
    def code(self) -> str:
        """`record`."""
        return "record"


class UntrustedTimeError(V2xError):
    """UTC is not known well enough to sign, to date evidence or to judge freshness."""

    def __init__(self, detail: str = "the clock is not set: no trusted source of UTC yet") -> None:
        super().__init__(detail)

    @property
    def code(self) -> str:
        """`untrusted_time`."""
        return "untrusted_time"


class StorageError(V2xError):
    """A file of ours is damaged, foreign, full or cannot be written.

    Args:
        path: the file.
        reason: what is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    @property
    def code(self) -> str:
        """`storage`."""
        return "storage"


class TransportError(V2xError):
    """A bus, radio or server failed; trying again may help.

    Args:
        endpoint: which one.
        reason: what happened.
    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"{endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason

    @property
    def code(self) -> str:
        """`transport`."""
        return "transport"
