"""What an anchoring program remembers: the checkpoint it trusts, and the transaction it is about to send or has sent.

    {"format": "v2x-anchor-state/1", "chain_id": 1337, "contract": "0x...", "origin": "...", "trusted": NOTE or null,
     "pending": null or {"note": NOTE, "nonce": 5, "price_wei": 7, "tip_wei": 1, "sent": ["0x...", ...]}}

A transaction is written here, as a whole, before the node sees it. So whenever the program is killed, it knows afterwards which
transactions may be on their way, and sends those again instead of new ones. One file for each log, contract and key; replaced as a
whole or not at all.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from shared.core.errors import ConfigError, DecodeError, StorageError
from shared.core.json_shape import check_depth
from shared.ledger.evm.bundle import MAX_NOTE_OCTETS
from shared.ledger.evm.header import hex_of
from shared.ledger.evm.primitives import Address
from shared.service.event_store import write_private_file

STATE_FORMAT = "v2x-anchor-state/1"
MAX_STATE_OCTETS = 1 << 20

MAX_SENT = 8
"""Versions of one transaction: the first and those that offered more."""

MAX_RAW_OCTETS = 16_384

_KEYS = {"format", "chain_id", "contract", "origin", "trusted", "pending"}
_PENDING_KEYS = {"note", "nonce", "price_wei", "tip_wei", "sent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A transaction that may be on its way.

    Attributes:
        note: what it states.
        nonce: its number among the account's.
        price_wei: what the last version offered for a unit of gas.
        tip_wei: how much of that goes to the proposer; None on a chain without a base fee.
        sent: all versions, the newest last; at most one of them comes into a block.
    """

    note: bytes
    nonce: int
    price_wei: int
    tip_wei: int | None
    sent: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a state is about."""

    chain_id: int
    contract: Address
    origin: str


class AnchorState:
    """The file.

    Args:
        path: where it is or will be.
        subject: what it must be about.

    Raises:
        StorageError: there is one that is damaged.
        ConfigError: there is one about another log, contract or chain.
    """

    def __init__(self, path: Path, subject: Subject) -> None:
        self._path = path
        self._subject = subject
        self._trusted: bytes | None = None
        self._pending: Pending | None = None
        if path.exists():
            self._load()

    @property
    def trusted(self) -> bytes | None:
        """The note of the checkpoint trusted last."""
        return self._trusted

    @property
    def pending(self) -> Pending | None:
        """The transaction that may be on its way."""
        return self._pending

    def keep_trusted(self, note: bytes) -> None:
        """Remember a checkpoint; raises `StorageError`."""
        if note != self._trusted:
            self._trusted = note
            self._write()

    def keep_pending(self, pending: Pending | None) -> None:
        """Remember a transaction before it is sent, or that none is on its way any more; raises `StorageError`."""
        if pending != self._pending:
            self._pending = pending
            self._write()

    def _write(self) -> None:
        pending = self._pending
        table = {
            "format": STATE_FORMAT,
            "chain_id": self._subject.chain_id,
            "contract": "0x" + self._subject.contract.hex(),
            "origin": self._subject.origin,
            "trusted": None if self._trusted is None else self._trusted.decode(),
            "pending": None
            if pending is None
            else {
                "note": pending.note.decode(),
                "nonce": pending.nonce,
                "price_wei": pending.price_wei,
                "tip_wei": pending.tip_wei,
                "sent": ["0x" + raw.hex() for raw in pending.sent],
            },
        }
        try:
            write_private_file(self._path, (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be written: {error.strerror or error}") from error

    def _load(self) -> None:
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_STATE_OCTETS + 1)
        except OSError as error:
            raise StorageError(str(self._path), f"cannot be read: {error.strerror or error}") from error
        try:
            text = data[: MAX_STATE_OCTETS + 1].decode()
            check_depth(text)
            table = _table(json.loads(text), _KEYS, "state")
            if len(data) > MAX_STATE_OCTETS or table["format"] != STATE_FORMAT:
                raise DecodeError("state.format", f"is not {STATE_FORMAT}")  # noqa: TRY301 - all that is wrong ends below
            about = (table["chain_id"], table["contract"], table["origin"])
            self._trusted = None if table["trusted"] is None else _note(table["trusted"], "state.trusted")
            self._pending = None if table["pending"] is None else _pending(table["pending"])
        except ValueError as error:
            raise StorageError(str(self._path), f"is damaged: no JSON ({error})") from error
        except DecodeError as error:
            raise StorageError(str(self._path), f"is damaged: {error}") from error
        if about != (self._subject.chain_id, "0x" + self._subject.contract.hex(), self._subject.origin):
            raise ConfigError(str(self._path), "is about another log, contract or chain; give each a state file of its own")


def _pending(value: object) -> Pending:
    table = _table(value, _PENDING_KEYS, "state.pending")
    sent = table["sent"]
    if not isinstance(sent, list) or not 0 < len(sent) <= MAX_SENT:
        raise DecodeError("state.pending.sent", f"is a list of 1 to {MAX_SENT} transactions")
    raws = tuple(hex_of(each, "state.pending.sent") for each in sent)
    if any(len(raw) > MAX_RAW_OCTETS for raw in raws):
        raise DecodeError("state.pending.sent", f"a transaction has at most {MAX_RAW_OCTETS} octets")
    tip = table["tip_wei"]
    return Pending(
        note=_note(table["note"], "state.pending.note"),
        nonce=_number(table["nonce"], "state.pending.nonce"),
        price_wei=_number(table["price_wei"], "state.pending.price_wei"),
        tip_wei=None if tip is None else _number(tip, "state.pending.tip_wei"),
        sent=raws,
    )


def _table(value: object, keys: set[str], field: str) -> dict[str, object]:
    if not isinstance(value, dict) or set(value) != keys:
        raise DecodeError(field, f"an object with the members {', '.join(sorted(keys))}")
    return value


def _note(value: object, field: str) -> bytes:
    if not isinstance(value, str) or len(value) > MAX_NOTE_OCTETS:
        raise DecodeError(field, "is no note")
    return value.encode()


def _number(value: object, field: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 128:
        raise DecodeError(field, "is a whole number from 0")
    return value
