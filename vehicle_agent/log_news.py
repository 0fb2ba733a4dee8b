"""What there is to tell of the vehicle's log when it is opened: it is an old copy, its counter is new, or it is another log."""

from dataclasses import dataclass

from shared.core.errors import DecodeError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.note import parse_note
from shared.service.counted_log import LogCounterIsNew, LogNews, LogRestored
from shared.service.spool import Spool
from shared.stack.effects import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChanged:
    """The vehicle's records go into another log from now on.

    Attributes:
        former: origin of the log they went into.
        origin: of the one they go into.
        unproven: records without a proof, which are sent to it.
    """

    former: str
    origin: str
    unproven: int

    def __str__(self) -> str:
        return (
            f"records go into the log {self.origin} from now on and no longer into {self.former}: the {self.unproven} that had no"
            " proof are sent to the new one; those that have one keep it, and whoever verifies them needs the former log's policy"
        )


def begin_with_log(spool: Spool, origin: str) -> LogChanged | None:
    """Let a spool go on with a log; what it knew of another one, beside its proofs, is forgotten. Raises `StorageError`."""
    note = spool.trusted_note()
    if note is None:
        return None
    try:
        former = parse_checkpoint(parse_note(note).body).origin
    except DecodeError:
        return None  # whoever anchors says what is wrong with it
    return None if former == origin else LogChanged(former=former, origin=origin, unproven=spool.leave_log())


def notice_of(news: LogNews | LogChanged) -> Notice:
    """Return what is told."""
    match news:
        case LogRestored():
            kind = "ledger_restored"
        case LogCounterIsNew():
            kind = "ledger_counter_new"
        case LogChanged():
            kind = "ledger_changed"
    return Notice(kind, {"reason": str(news)})
