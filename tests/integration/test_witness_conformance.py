"""C2SP tlog-witness as a table of requests and answers, held against the decision alone and against the program over HTTP."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.ledger.add_checkpoint import MAX_PROOF_LINES, MAX_REQUEST_BYTES, AddCheckpoint
from shared.ledger.merkle import EMPTY_ROOT, Hash
from shared.ledger.note import NoteSignature, VerifierKey, add_signatures, parse_note, sign_note
from shared.ledger.policy import parse_policy
from shared.ledger.text import encode_base64
from shared.ledger.witness import Witness
from shared.service.witness_store import open_witness_file
from shared.transport.bounded_http import BoundedHttp
from tests.helpers.ledger import ed25519_key, log_signer
from tests.helpers.witnesses import HONEST, OTHER, is_cosigned, note_of, proof_of, request_of, witnessing

FOREIGN = "foreign.example/log"


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of a witness that has cosigned `stands` entries of the log `origin`, and its answer."""

    sentence: str
    stands: int | None
    ask: Callable[[str], bytes]
    status: int
    size: int | None = None


def changed(old: int, new: int, proof: tuple[Hash, ...]) -> Callable[[str], bytes]:
    return lambda origin: AddCheckpoint(old_size=old, proof=proof, note=note_of(new, origin=origin)).encode()


def honest(old: int, new: int) -> Callable[[str], bytes]:
    return lambda origin: request_of(old, new, HONEST, origin)


def other(old: int, new: int) -> Callable[[str], bytes]:
    return lambda origin: request_of(old, new, OTHER, origin)


def with_lines(count: int) -> Callable[[str], bytes]:
    lines = "".join(f"\u2014 n{number} AQIDBHh4\n" for number in range(count)).encode()
    return lambda origin: request_of(0, 3, HONEST, origin) + lines


def signed_by_another(origin: str) -> bytes:
    body = parse_note(note_of(3, origin=origin)).body
    return AddCheckpoint(old_size=0, proof=(), note=sign_note(body, log_signer(FOREIGN))).encode()


def spoilt_signature(origin: str) -> bytes:
    note = parse_note(note_of(3, origin=origin))
    line = NoteSignature(name=origin, key_id=note.signatures[0].key_id, signature=bytes(64))
    return AddCheckpoint(old_size=0, proof=(), note=add_signatures(note, (line,))).encode()


def with_extension(origin: str) -> bytes:
    body = parse_note(note_of(3, origin=origin)).body + b"an extension\n"
    return AddCheckpoint(old_size=0, proof=(), note=sign_note(body, log_signer(origin))).encode()


def empty_tree(root: Hash) -> Callable[[str], bytes]:
    def ask(origin: str) -> bytes:
        body = f"{origin}\n0\n{encode_base64(root)}\n".encode()
        return AddCheckpoint(old_size=0, proof=(), note=sign_note(body, log_signer(origin))).encode()

    return ask


def edited(old: bytes, new: bytes) -> Callable[[str], bytes]:
    def ask(origin: str) -> bytes:
        request = request_of(7, 12, HONEST, origin)
        assert request.count(old) >= 1
        return request.replace(old, new, 1)

    return ask


def too_many_lines(origin: str) -> bytes:
    lines = b"".join(b"A" * 43 + b"=\n" for _ in range(MAX_PROOF_LINES + 1))
    return b"old 7\n" + lines + b"\n" + note_of(12, origin=origin)


CASES = (
    Case("a first checkpoint is cosigned", None, honest(0, 7), 200),
    Case("a first checkpoint of an empty log is cosigned", None, honest(0, 0), 200),
    Case("an empty log may grow", 0, honest(0, 7), 200),
    Case("one with an extension line is cosigned as it is", None, with_extension, 200),
    Case("lines of unknown keys are passed over", None, with_lines(63), 200),
    Case("growth by one is cosigned", 7, honest(7, 8), 200),
    Case("growth from a power of two is cosigned", 8, honest(8, 12), 200),
    Case("growth to a power of two is cosigned", 7, honest(7, 256), 200),
    Case("the same checkpoint is cosigned again", 7, honest(7, 7), 200),
    Case("who knows no size is told it", 7, honest(0, 12), 409, 7),
    Case("an older size is told the newer", 7, honest(5, 12), 409, 7),
    Case("a newer size is told the older", 7, honest(9, 12), 409, 7),
    Case("one that knew nothing of it is told nought", None, honest(5, 12), 409, 0),
    Case("an old checkpoint is not taken back to", 7, honest(3, 5), 409, 7),
    Case("a size larger than the checkpoint is refused", 7, honest(8, 7), 400),
    Case("the size it has, larger than the checkpoint, is refused", 7, honest(7, 5), 400),
    Case("an unknown log is refused", None, lambda _origin: request_of(0, 3, HONEST, FOREIGN), 404),
    Case("a checkpoint signed by another log is refused", None, signed_by_another, 403),
    Case("a second line by the log that does not hold spoils it", None, spoilt_signature, 403),
    Case("another history is refused", 7, other(7, 12), 422),
    Case("another history from a power of two is refused", 8, other(8, 12), 422),
    Case("another root of the same size is refused", 7, other(7, 7), 422),
    Case("no proof is refused", 7, changed(7, 12, ()), 422),
    Case("no proof from a power of two is refused", 8, changed(8, 12, ()), 422),
    Case("a shorter proof is refused", 7, changed(7, 12, proof_of(7, 12)[:-1]), 422),
    Case("a longer proof is refused", 7, changed(7, 12, (*proof_of(7, 12), Hash(bytes(32)))), 422),
    Case("another proof is refused", 7, changed(7, 12, proof_of(7, 13)), 422),
    Case("a proof from nothing is refused", None, changed(0, 12, proof_of(7, 12)), 422),
    Case("a proof that a tree is itself is refused", 7, changed(7, 7, proof_of(7, 12)), 422),
    Case("sixty-three hashes are read", 7, changed(7, 12, (Hash(bytes(32)),) * MAX_PROOF_LINES), 422),
    Case("sixty-four hashes are not", 7, too_many_lines, 400),
    Case("sixty-five signature lines are not", None, with_lines(64), 400),
    Case("an empty tree with a root of its own is refused", None, empty_tree(Hash(bytes(32))), 400),
    Case("an empty tree has the empty root", None, empty_tree(EMPTY_ROOT), 200),
    Case("an empty request is refused", None, lambda _origin: b"", 400),
    Case("a request without a checkpoint is refused", None, lambda _origin: b"old 0\n\n", 400),
    Case("a size with a leading zero is refused", 7, edited(b"old 7", b"old 07"), 400),
    Case("a negative size is refused", 7, edited(b"old 7", b"old -7"), 400),
    Case("a size of more than 63 bits is refused", 7, edited(b"old 7", b"old 9223372036854775808"), 400),
    Case("a size without its word is refused", 7, edited(b"old 7", b"7"), 400),
    Case("two spaces are refused", 7, edited(b"old 7", b"old  7"), 400),
    Case("carriage returns are refused", 7, edited(b"old 7\n", b"old 7\r\n"), 400),
    Case("base64 without padding is refused", 7, edited(b"=\n", b"\n"), 400),
    Case("a checkpoint without a final newline is refused", None, lambda origin: request_of(0, 7, HONEST, origin)[:-1], 400),
)

ORIGINS = tuple(f"log{number}.example/log" for number in range(len(CASES)))

Ask = Callable[[bytes], tuple[int, bytes, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A witness and a way to ask it."""

    key: VerifierKey
    ask: Ask


@pytest.fixture(scope="module", params=["the decision alone", "the program"])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    directory: Path = tmp_path_factory.mktemp("witness")
    if request.param == "the program":
        with witnessing(directory / "w", "--requests-per-s", "10000", origins=ORIGINS) as witness:

            async def post(body: bytes) -> tuple[int, bytes, str]:
                async with BoundedHttp() as http:
                    url = f"{witness.address.url}/add-checkpoint"
                    answer = await http.answer("POST", url, headers={}, body=body, maximum=20_000)
                return answer.status, answer.body, answer.content_type

            yield Asked(witness.address.key, lambda body: asyncio.run(post(body)))
        return
    logs = parse_policy("".join([*(f"log {log_signer(origin).key.text}\n" for origin in ORIGINS), "quorum none\n"]).encode())
    with open_witness_file(directory / "w.sqlite") as store:
        alone = Witness(name="witness.example/alone", private_key=ed25519_key("alone"), logs=logs, store=store)

        def decide(body: bytes) -> tuple[int, bytes, str]:
            answer = alone.add_checkpoint(body, Instant(MonotonicNs(0), UtcNs(1_790_000_000_000_000_000)))
            return answer.status, answer.body, answer.content_type

        yield Asked(alone.key, decide)


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.sentence for case in CASES])
def test_it_answers_as_the_protocol_says(asked: Asked, number: int) -> None:
    case, origin = CASES[number], ORIGINS[number]
    if case.stands is not None:
        assert asked.ask(request_of(0, case.stands, HONEST, origin))[0] == 200
    request = case.ask(origin)
    status, body, content_type = asked.ask(request)
    assert status == case.status, body
    if case.status == 200:
        note = request.partition(b"\n\n")[2]
        assert is_cosigned(parse_note(note).body + b"\n" + body, asked.key)
    elif case.status == 409:
        assert (body, content_type) == (b"%d\n" % (case.size or 0), "text/x.tlog.size")
    else:
        assert content_type.startswith("text/plain")
        assert body.endswith(b"\n")
        assert body.count(b"\n") == 1
    if case.status != 200 and case.stands is not None:
        assert asked.ask(request_of(case.stands, 40, HONEST, origin))[0] == 200, "a refusal has changed what it stands at"


def test_a_request_too_long_is_refused_by_both(asked: Asked) -> None:
    assert asked.ask(b"x" * (MAX_REQUEST_BYTES + 1))[0] in (400, 413)
