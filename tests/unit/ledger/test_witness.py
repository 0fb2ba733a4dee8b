"""A log and a witness, both real; only the wire between them is a function call."""

import pytest

from shared.core.clock import NS_PER_S, Instant, MonotonicNs, UtcNs
from shared.core.errors import DecodeError, EncodeError, SplitViewError
from shared.ledger.add_checkpoint import MAX_PROOF_LINES, MAX_REQUEST_BYTES, AddCheckpoint, parse_add_checkpoint
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.cosignature import find_cosignature
from shared.ledger.merkle import Hash, consistency_proof, tree_root
from shared.ledger.note import NoteSignature, add_signatures, encode_note, parse_note, sign_note
from shared.ledger.witness import Cosigned, Witness, WitnessAnswer
from shared.ledger.witnessing import MAX_ANSWER_BYTES, Cosigning, NotCosigned, WitnessRound, with_cosignatures
from tests.helpers.ledger import ORIGIN, NodesOf, ed25519_key, log_signer, policy_of, witness_key

NAME = "witness.example/w1"
NOW_S = 1_790_000_000
NOW = Instant(MonotonicNs(5), UtcNs(NOW_S * NS_PER_S))
HONEST = [b"entry %d" % n for n in range(300)]
OTHER = [b"entry 0", *(b"another %d" % n for n in range(1, 300))]


class Memory:
    """A store of a witness in memory."""

    def __init__(self) -> None:
        self.heads: dict[str, Cosigned] = {}
        self.forks: list[SplitViewError] = []
        self.moves_meanwhile: Cosigned | None = None

    def cosigned(self, origin: str) -> Cosigned | None:
        return self.heads.get(origin)

    def advance(self, origin: str, *, expected: Cosigned | None, cosigned: Cosigned) -> bool:
        if self.moves_meanwhile is not None:
            self.heads[origin], self.moves_meanwhile = self.moves_meanwhile, None
        if self.heads.get(origin) != expected:
            return False
        self.heads[origin] = cosigned
        return True

    def keep_fork(self, origin: str, contradiction: SplitViewError) -> None:
        self.forks.append(contradiction)


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def witness(store: Memory) -> Witness:
    return Witness(name=NAME, private_key=ed25519_key(NAME), logs=policy_of(), store=store)


def note_of(size: int, entries: list[bytes] = HONEST, origin: str = ORIGIN) -> bytes:
    root = tree_root(size, NodesOf(entries))
    return sign_note(Checkpoint(origin=origin, tree_size=size, root=root).encode(), log_signer(origin))


def stripped(note: bytes) -> bytes:
    """Return a note without cosignatures."""
    parsed = parse_note(note)
    return encode_note(parsed.body, parsed.signatures[:1])


def proof_of(old: int, new: int, entries: list[bytes] = HONEST) -> tuple[Hash, ...]:
    return consistency_proof(old, new, NodesOf(entries)) if 0 < old < new else ()


def request(old: int, new: int, entries: list[bytes] = HONEST) -> bytes:
    return AddCheckpoint(old_size=old, proof=proof_of(old, new, entries), note=note_of(new, entries)).encode()


def ask(witness: Witness, old: int, new: int, entries: list[bytes] = HONEST) -> WitnessAnswer:
    return witness.add_checkpoint(request(old, new, entries), NOW)


class TestRequest:
    @pytest.mark.parametrize(("old", "new"), [(0, 1), (3, 7), (4, 8), (255, 256), (256, 300)])
    def test_survives_its_own_encoding(self, old: int, new: int) -> None:
        encoded = request(old, new)
        assert parse_add_checkpoint(encoded).encode() == encoded

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"old",
            b"old ",
            b"old -1",
            b"old 01",
            b"Old 3",
            b"old 3 ",
            b"old 3\nAAAA",
            b"old 3\n" + b"A" * 44,
            b"size 3",
        ],
    )
    def test_spelled_otherwise_is_refused(self, head: bytes) -> None:
        with pytest.raises(DecodeError):
            parse_add_checkpoint(head + b"\n\n" + note_of(3))

    def test_cut_anywhere_is_refused_or_another_request(self) -> None:
        encoded = request(3, 7)
        for end in range(len(encoded)):
            with pytest.raises(DecodeError):
                parse_add_checkpoint(encoded[:end])

    def test_too_long_is_refused(self) -> None:
        with pytest.raises(DecodeError):
            parse_add_checkpoint(request(3, 7) + b"x" * MAX_REQUEST_BYTES)
        with pytest.raises(EncodeError):
            AddCheckpoint(old_size=3, proof=(Hash(bytes(32)),) * (MAX_PROOF_LINES + 1), note=note_of(7)).encode()
        lines = b"\n".join([b"old 3", *([b"A" * 43 + b"="] * (MAX_PROOF_LINES + 1))])
        with pytest.raises(DecodeError):
            parse_add_checkpoint(lines + b"\n\n" + note_of(7))


class TestWitness:
    def test_cosigns_a_log_from_nothing_and_as_it_grows(self, witness: Witness, store: Memory) -> None:
        for old, new in ((0, 1), (1, 2), (2, 2), (2, 7), (7, 256), (256, 300)):
            answer = ask(witness, old, new)
            assert answer.status == 200, answer.body
            note = note_of(new)
            cosigned = parse_note(note + answer.body)
            found = find_cosignature(cosigned, witness_key(NAME))
            assert found is not None
            assert found.timestamp_s == NOW_S
            assert store.heads[ORIGIN].tree_size == new

    def test_keeps_the_logs_lines_and_its_own_and_what_anybody_may_add_not(self, witness: Witness, store: Memory) -> None:
        foreign = tuple(NoteSignature(name=f"n{n}", key_id=b"\1\2\3\4", signature=b"x" * 64) for n in range(63))
        note = add_signatures(parse_note(note_of(3)), foreign)
        answer = witness.add_checkpoint(AddCheckpoint(old_size=0, proof=(), note=note).encode(), NOW)
        assert answer.status == 200
        kept = parse_note(store.heads[ORIGIN].note)
        assert [line.name for line in kept.signatures] == [ORIGIN, NAME]
        assert kept.encoded == note_of(3) + answer.body
        too_many = AddCheckpoint(old_size=3, proof=(), note=note + "— n64 AQIDBHh4\n".encode()).encode()
        assert witness.add_checkpoint(too_many, NOW).status == 400

    def test_starts_with_an_empty_log(self, witness: Witness) -> None:
        assert ask(witness, 0, 0).status == 200
        assert ask(witness, 0, 5).status == 200

    @pytest.mark.parametrize(
        ("old", "new", "status", "word"),
        [(8, 7, 400, "shrinking"), (0, 9, 409, "size"), (5, 9, 409, "size"), (9, 12, 409, "ahead"), (0, 7, 409, "size")],
    )
    def test_says_where_it_stands(self, witness: Witness, old: int, new: int, status: int, word: str) -> None:
        ask(witness, 0, 7)
        answer = ask(witness, old, new)
        assert (answer.status, answer.word) == (status, word)
        if status == 409:
            assert answer.body == b"7\n"
            assert answer.content_type == "text/x.tlog.size"

    @pytest.mark.parametrize("old", [4, 7])
    def test_a_fork_is_refused_and_kept_where_it_is_proven(self, witness: Witness, store: Memory, old: int) -> None:
        ask(witness, 0, old)
        answer = ask(witness, old, 12, OTHER)
        assert answer.status == 422
        assert stripped(store.heads[ORIGIN].note) == note_of(old)
        if old == 7:  # from a power of two the old root is not in the proof: it proves nothing either way
            assert [fork.conflicting_note for fork in store.forks] == [note_of(12, OTHER)]

    def test_another_root_for_a_cosigned_size_is_refused_and_kept(self, witness: Witness, store: Memory) -> None:
        ask(witness, 0, 7)
        assert ask(witness, 7, 7, OTHER).status == 422
        (fork,) = store.forks
        assert (stripped(fork.trusted_note), fork.conflicting_note) == (note_of(7), note_of(7, OTHER))

    @pytest.mark.parametrize("change", ["short", "long", "other", "for_equal", "from_nothing"])
    def test_a_proof_that_does_not_hold_is_refused_and_accuses_nobody(self, witness: Witness, store: Memory, change: str) -> None:
        old = 0 if change == "from_nothing" else 7
        if old:
            ask(witness, 0, 7)
        proof = proof_of(7, 12)
        changed = {
            "short": (12, proof[:-1]),
            "long": (12, (*proof, Hash(bytes(32)))),
            "other": (12, (*proof[:-1], Hash(bytes(32)))),
            "for_equal": (7, proof),
            "from_nothing": (12, proof),
        }
        new, proof = changed[change]
        answer = witness.add_checkpoint(AddCheckpoint(old_size=old, proof=proof, note=note_of(new)).encode(), NOW)
        assert (answer.status, answer.word) == (422, "proof")
        assert not store.forks

    def test_an_unknown_log_and_a_forged_one_are_told_apart(self, witness: Witness) -> None:
        foreign = AddCheckpoint(old_size=0, proof=(), note=note_of(3, origin="other.example/log")).encode()
        assert witness.add_checkpoint(foreign, NOW).status == 404
        body = Checkpoint(origin=ORIGIN, tree_size=3, root=tree_root(3, NodesOf(HONEST))).encode()
        forged = AddCheckpoint(old_size=0, proof=(), note=sign_note(body, log_signer("other.example/log"))).encode()
        assert witness.add_checkpoint(forged, NOW).status == 403

    def test_does_not_cosign_without_a_trusted_clock(self, witness: Witness, store: Memory) -> None:
        answer = witness.add_checkpoint(request(0, 3), Instant(MonotonicNs(1), None))
        assert (answer.status, answer.word) == (503, "clock")
        assert not store.heads

    def test_what_another_process_kept_meanwhile_counts(self, witness: Witness, store: Memory) -> None:
        ask(witness, 0, 3)
        meanwhile = note_of(9)
        store.moves_meanwhile = Cosigned(tree_size=9, root=tree_root(9, NodesOf(HONEST)), note=meanwhile)
        answer = ask(witness, 3, 7)
        assert (answer.status, answer.body) == (409, b"9\n")
        assert store.heads[ORIGIN].note == meanwhile

    @pytest.mark.parametrize("octets", [b"", b"old 0\n\n", b"\xff\xfe", b"old 0\n\nno checkpoint\n"])
    def test_nonsense_is_answered_400(self, witness: Witness, octets: bytes) -> None:
        assert witness.add_checkpoint(octets, NOW).status == 400


def round_of(new: int, known: int = 0, entries: list[bytes] = HONEST) -> WitnessRound:
    return WitnessRound(
        note=note_of(new, entries), key=witness_key(NAME), known_size=known, consistency=lambda a, b: proof_of(a, b, entries)
    )


def carry(asking: WitnessRound, witness: Witness) -> int:
    exchanges = 0
    while (body := asking.request()) is not None:
        exchanges += 1
        answer = witness.add_checkpoint(body, NOW)
        asking.answered(answer.status, answer.body, NOW)
    return exchanges


class TestLogsSide:
    @pytest.mark.parametrize(("known", "exchanges"), [(7, 1), (0, 2), (5, 2), (11, 2), (99, 2)])
    def test_gets_a_cosignature_whatever_it_thought_the_witness_had(self, witness: Witness, known: int, exchanges: int) -> None:
        ask(witness, 0, 7)
        asking = round_of(12, known)
        assert carry(asking, witness) == exchanges
        assert isinstance(asking.outcome, Cosigning)
        assert asking.known_size == 12
        cosigned = parse_note(with_cosignatures(note_of(12), (asking.outcome, None)))
        assert find_cosignature(cosigned, witness_key(NAME)) is not None

    def test_takes_no_for_an_answer(self, witness: Witness) -> None:
        ask(witness, 0, 7)
        forked = round_of(12, 7, OTHER)
        carry(forked, witness)
        assert isinstance(forked.outcome, NotCosigned)
        assert forked.outcome.word == "status_422"
        behind = round_of(5)
        carry(behind, witness)
        assert isinstance(behind.outcome, NotCosigned)
        assert behind.outcome.word == "ahead"

    def test_a_witness_that_wants_another_size_each_time_is_given_up(self) -> None:
        asking, exchanges = round_of(12), 0
        while asking.request() is not None:
            exchanges += 1
            asking.answered(409, b"%d\n" % exchanges, NOW)
        assert exchanges == 3
        assert isinstance(asking.outcome, NotCosigned)

    @pytest.mark.parametrize(
        ("status", "body", "word"),
        [
            (200, b"", "nonsense"),
            (200, b"hello\n", "nonsense"),
            (200, b"\xff" * 10, "nonsense"),
            (200, b"x" * (MAX_ANSWER_BYTES + 1), "flood"),
            (409, b"-1\n", "nonsense"),
            (409, b"", "nonsense"),
            (500, b"down for maintenance", "status_500"),
        ],
    )
    def test_nonsense_costs_the_witness_its_line_and_nothing_else(self, status: int, body: bytes, word: str) -> None:
        asking = round_of(12)
        asking.request()
        asking.answered(status, body, NOW)
        assert isinstance(asking.outcome, NotCosigned)
        assert asking.outcome.word == word
        assert with_cosignatures(note_of(12), (asking.outcome,)) == note_of(12)

    def test_a_cosignature_of_another_checkpoint_or_another_key_is_not_taken(self, witness: Witness) -> None:
        line = ask(witness, 0, 7).body
        asking = round_of(12)
        asking.request()
        asking.answered(200, line, NOW)
        assert isinstance(asking.outcome, NotCosigned)
        stranger = Witness(name=NAME, private_key=ed25519_key("stranger"), logs=policy_of(), store=Memory())
        asking = round_of(12)
        carry(asking, stranger)
        assert isinstance(asking.outcome, NotCosigned)

    @pytest.mark.parametrize(("ahead_s", "is_taken"), [(300, True), (-300, True), (301, False), (-301, False)])
    def test_a_cosignature_of_another_time_is_not_taken(self, witness: Witness, ahead_s: int, *, is_taken: bool) -> None:
        ours = Instant(NOW.monotonic, UtcNs(NOW.require_utc() - ahead_s * NS_PER_S))
        asking = round_of(12)
        body = asking.request()
        assert body is not None
        asking.answered(200, witness.add_checkpoint(body, NOW).body, ours)
        assert isinstance(asking.outcome, Cosigning) is is_taken
        assert isinstance(asking.outcome, Cosigning) or (asking.outcome is not None and asking.outcome.word == "date")

    def test_the_latest_of_several_lines_is_taken_and_the_others_must_hold_too(self, witness: Witness) -> None:
        body = round_of(12).request()
        assert body is not None
        early = witness.add_checkpoint(body, NOW).body
        late = witness.add_checkpoint(request(12, 12), Instant(NOW.monotonic, UtcNs(NOW.require_utc() + NS_PER_S))).body
        asking = round_of(12)
        asking.answered(200, early + late + early, NOW)
        assert isinstance(asking.outcome, Cosigning)
        assert asking.outcome.timestamp_s == NOW_S + 1
        spoilt = round_of(12)
        spoilt.answered(200, late + witness.add_checkpoint(request(12, 13), NOW).body, NOW)
        assert isinstance(spoilt.outcome, NotCosigned)

    def test_one_that_is_away_is_told_so(self) -> None:
        asking = round_of(12)
        asking.request()
        asking.failed("away", "no connection")
        assert asking.outcome == NotCosigned(word="away", reason="no connection")
        assert asking.request() is None
