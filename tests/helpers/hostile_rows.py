"""The ways of a log to be hostile, and what a vehicle does then: the table behind `docs/ledger-faults.md` and its test."""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.ledger.checkpoint import Checkpoint
from shared.ledger.merkle import HASH_BYTES, Hash
from shared.ledger.note import sign_note
from tests.helpers.hostile_logs import (
    ADD,
    CHECKPOINT,
    TILES,
    Answer,
    HostileLog,
    Lie,
    Silence,
    answer,
    cut_short,
    drip,
    endless_body,
    endless_header,
    others,
)
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer

BAD_ANSWER, UNAVAILABLE, BEHIND, SPLIT = "ledger_bad_answer", "ledger_unavailable", "ledger_behind", "ledger_split_view"
WRONG_INDEX, NEVER_CAME = "ledger_wrong_index", "ledger_index_never_came"
PAGE = b"<!DOCTYPE html><title>Welcome</title><p>Please accept the terms of this network.</p>"
PATIENT, BRIEF = 25, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way of a log to be hostile.

    Attributes:
        name: what it does.
        says: what the vehicle does, in a sentence.
        lie: makes its answers.
        notices: what the vehicle tells while it lasts, each kind once or more.
        proves: whether the record is proven all the same.
        turns: of the vehicle's polling, while it lasts.
    """

    name: str
    says: str
    lie: Lie
    notices: frozenset[str]
    proves: bool = False
    turns: int = 12

    @property
    def is_split(self) -> bool:
        """Whether it is a contradiction: the vehicle stops, and keeps both notes."""
        return SPLIT in self.notices


def _when(start: str, say: Callable[[], Answer]) -> Lie:
    """Lie to requests that begin so."""
    return lambda _server, asked: say() if asked.startswith(start) else None


def _altered(start: str, alter: Callable[[bytes], bytes]) -> Lie:
    """Alter the body of true answers to requests that begin so."""

    def lie(server: HostileLog, asked: str) -> Answer:
        if not asked.startswith(start):
            return None
        head, _, body = server.true_answer(asked).partition(b"\r\n\r\n")
        return answer(alter(body)) if b" 200 " in head else None

    return lie


def _instead(make: Callable[[MemoryLog], MemoryLog], *, signs_more: bool = True) -> Lie:
    """Serve another log in the place of the true one, made once from it; it takes an entry for what is submitted, or says so."""
    made: dict[HostileLog, HostileLog] = {}

    def lie(server: HostileLog, asked: str) -> Answer:
        if server not in made:
            made[server] = HostileLog(make(server.log))
        if asked == ADD:
            log = made[server].log
            return answer(b"%d" % (log.submit(b"what was sent") if signs_more else len(log.entries)))
        return made[server].true_answer(asked)

    return lie


def _tiles_of(log: MemoryLog) -> Lie:
    """Serve another log's tiles behind the true checkpoint."""
    other = HostileLog(log)
    return lambda _server, asked: other.true_answer(asked) if asked.startswith(TILES) else None


def _history(entries: Sequence[bytes]) -> MemoryLog:
    log = MemoryLog()
    log.entries = [*entries]
    log.publish()
    return log


def _grown_otherwise(log: MemoryLog) -> MemoryLog:
    return _history([*log.entries[:100], *others(300, "another history").entries])


def _signed(size: int, *, key: str = ORIGIN, origin: str = ORIGIN, root: bytes = bytes(range(HASH_BYTES))) -> bytes:
    checkpoint = Checkpoint(origin=origin, tree_size=size, root=Hash(root))
    return sign_note(checkpoint.encode(), log_signer(key))


def _checkpoint_of(make: Callable[[HostileLog], bytes]) -> Lie:
    """Serve another checkpoint before the true tiles."""
    return lambda server, asked: answer(make(server)) if asked == CHECKPOINT else None


def _old(server: HostileLog, size: int) -> bytes:
    return _history(server.log.entries[:size]).note


def _at_every_other_look(lie: Lie) -> Lie:
    """Lie at one look at the checkpoint, and be honest at the next."""
    looks = 0

    def now_and_then(server: HostileLog, asked: str) -> Answer:
        nonlocal looks
        looks += asked == CHECKPOINT
        return lie(server, asked) if looks % 2 else None

    return now_and_then


def _elsewhere(server: HostileLog, asked: str) -> Answer:
    location = f"{server.other_url}{asked.split(' ')[1]}"
    return answer(b"", status=302, headers=b"Location: " + location.encode() + b"\r\n")


def _row(name: str, says: str, lie: Lie, *notices: str, proves: bool = False, turns: int = 12) -> Row:
    return Row(name=name, says=says, lie=lie, notices=frozenset(notices), proves=proves, turns=turns)


_STOPS = "stops, keeps both notes, tells of it, and goes on when a person has looked"
_GIVES_UP = "gives up within its time, tells that the log is away, and comes again later"
_REFUSES = "tells of a bad answer, proves nothing by it, and comes again later"
_ASKS_AGAIN = "tells of it, and hands the record over again"

ROWS = (
    _row(
        "it was put back from an old backup",
        _GIVES_UP,
        _instead(lambda log: _history(log.entries[:100]), signs_more=False),
        UNAVAILABLE,
    ),
    _row("it was put back from an old backup and grew on past what it had signed", _STOPS, _instead(_grown_otherwise), SPLIT),
    _row("it shows quite another history", _STOPS, _instead(lambda _log: others(400, "another history")), SPLIT),
    _row("it signs another root for a size it has signed", _STOPS, _checkpoint_of(lambda _server: _signed(302)), SPLIT),
    _row("it signs a tree that its tiles do not lead to", _REFUSES, _checkpoint_of(lambda _server: _signed(303)), BAD_ANSWER),
    _row("it shows an older tree", "tells once, proves nothing by it", _checkpoint_of(lambda server: _old(server, 200)), BEHIND),
    _row(
        "it shows an older tree that it never had",
        _STOPS,
        _checkpoint_of(lambda _server: _signed(200)),
        SPLIT,
    ),
    _row(
        "it shows the newest tree and an older one in turn",
        "takes the newer one, never goes back",
        _at_every_other_look(_checkpoint_of(lambda server: _old(server, 300))),
        BEHIND,
        proves=True,
    ),
    _row(
        "it never shows a tree with the record in it",
        _ASKS_AGAIN,
        _checkpoint_of(lambda server: _old(server, 302)),
        NEVER_CAME,
        turns=PATIENT,
    ),
    _row("it gives the index of somebody else's entry", _ASKS_AGAIN, _when(ADD, lambda: answer(b"5")), WRONG_INDEX),
    _row("it gives the index of an earlier record", _ASKS_AGAIN, _when(ADD, lambda: answer(b"300")), WRONG_INDEX),
    _row(
        "it gives an index that it never comes to",
        _ASKS_AGAIN,
        _when(ADD, lambda: answer(b"1000000000000000")),
        NEVER_CAME,
        turns=PATIENT,
    ),
    _row("it gives an index below zero", _GIVES_UP, _when(ADD, lambda: answer(b"-1")), UNAVAILABLE),
    _row("it gives an index that no log can have", _GIVES_UP, _when(ADD, lambda: answer(b"9" * 19)), UNAVAILABLE),
    _row("it answers words for an index", _GIVES_UP, _when(ADD, lambda: answer(b"taken")), UNAVAILABLE),
    _row("its tiles are zeros", _REFUSES, _altered(TILES, lambda body: bytes(len(body))), BAD_ANSWER),
    _row("its tiles are turned round", _REFUSES, _altered(TILES, lambda body: body[::-1]), BAD_ANSWER),
    _row("one bit of its tiles is wrong", _REFUSES, _altered(TILES, lambda body: bytes((body[0] ^ 1,)) + body[1:]), BAD_ANSWER),
    _row(
        "the hashes of its tiles are in another order",
        _REFUSES,
        _altered(TILES, lambda body: body[-HASH_BYTES:] + body[:-HASH_BYTES]),
        BAD_ANSWER,
    ),
    _row("its tiles are those of another history", _REFUSES, _tiles_of(others(303, "another history")), BAD_ANSWER),
    _row("its tiles are a hash too narrow", _REFUSES, _altered(TILES, lambda body: body[:-HASH_BYTES]), BAD_ANSWER),
    _row("its tiles are a hash too wide", _GIVES_UP, _altered(TILES, lambda body: body + bytes(HASH_BYTES)), UNAVAILABLE),
    _row("its tiles end within a hash", _REFUSES, _altered(TILES, lambda body: body[:-1]), BAD_ANSWER),
    _row("its tiles are empty", _REFUSES, _when(TILES, lambda: answer(b"")), BAD_ANSWER),
    _row("its tiles are not there", _GIVES_UP, _when(TILES, lambda: answer(b"none", status=404)), UNAVAILABLE),
    _row(
        "its checkpoint is signed by a stranger",
        _REFUSES,
        _checkpoint_of(lambda _server: _signed(303, key="x.example")),
        BAD_ANSWER,
    ),
    _row(
        "its checkpoint is another log's",
        _REFUSES,
        _checkpoint_of(lambda _server: _signed(303, key="x.example", origin="x.example")),
        BAD_ANSWER,
    ),
    _row(
        "its checkpoint is altered", _REFUSES, _altered(CHECKPOINT, lambda body: body.replace(b"\n303\n", b"\n304\n")), BAD_ANSWER
    ),
    _row("its checkpoint has no signature", _REFUSES, _altered(CHECKPOINT, lambda body: body.partition(b"\n\n")[0]), BAD_ANSWER),
    _row(
        "its checkpoint has a thousand signatures",
        _REFUSES,
        _altered(CHECKPOINT, lambda body: body + body.partition(b"\n\n")[2] * 500),
        BAD_ANSWER,
    ),
    _row("it answers with a page of a network that wants to be paid", _REFUSES, _when("GET", lambda: answer(PAGE)), BAD_ANSWER),
    _row("it says nothing", _GIVES_UP, _when("", lambda: Silence.STALLS), UNAVAILABLE, turns=BRIEF),
    _row("it takes the record and says nothing more", _GIVES_UP, _when("GET", lambda: Silence.STALLS), UNAVAILABLE, turns=BRIEF),
    _row("it drips, an octet now and then", _GIVES_UP, _when("", drip), UNAVAILABLE, turns=BRIEF),
    _row("it sends an answer without an end", _GIVES_UP, _when("", endless_body), UNAVAILABLE, turns=BRIEF),
    _row("it sends tiles without an end", _GIVES_UP, _when(TILES, endless_body), UNAVAILABLE, turns=BRIEF),
    _row("it sends headers without an end", _GIVES_UP, _when("", endless_header), UNAVAILABLE, turns=BRIEF),
    _row("it ends in the middle of an answer", _GIVES_UP, _when("", cut_short), UNAVAILABLE),
    _row(
        "it announces a terabyte",
        _GIVES_UP,
        _when("", lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n"),
        UNAVAILABLE,
    ),
    _row(
        "it packs a megabyte into a few octets",
        _GIVES_UP,
        _when("GET", lambda: answer(gzip.compress(bytes(1 << 20)), headers=b"Content-Encoding: gzip\r\n")),
        UNAVAILABLE,
    ),
    _row("it points elsewhere", "does not go there, " + _GIVES_UP, _elsewhere, UNAVAILABLE),
    _row("it speaks no HTTP", _GIVES_UP, _when("", lambda: b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), UNAVAILABLE),
    _row("it has an error of its own each time", _GIVES_UP, _when("", lambda: answer(b"oops", status=500)), UNAVAILABLE),
    _row(
        "it wants to be left alone for a year",
        "leaves it alone for ten minutes at most",
        _when("", lambda: answer(b"", status=503, headers=b"Retry-After: 31536000\r\n")),
        UNAVAILABLE,
    ),
    _row(
        "it answers true and false in turn",
        "takes the true ones",
        _at_every_other_look(_when("GET", lambda: answer(PAGE))),
        BAD_ANSWER,
        proves=True,
    ),
)
