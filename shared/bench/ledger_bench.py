"""The ledger as a verifier meets it: bundles, passports, moving on with a log, and what that holds in memory.

A bundle proves one entry of a log of a million, with the signatures of the log and of three witnesses; beside it, those four
signatures alone, verified by the same library with keys at hand. No signature is measured twice. Memory is measured in a process of
its own, imports included, at a million entries and at 2^40.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from os import urandom
from random import Random
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.great_log import ORIGIN, GreatLog, GreatTree
from shared.bench.light_client_child import Serve, Task, measure_client
from shared.bench.limits import RawP256
from shared.bench.rounds import Side, Work, elapsed_ns, measure_rates
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.errors import ProofError
from shared.ledger.light_client import MAX_ROUND_PROOFS, Advanced, ClientEvent, LightClient
from shared.ledger.proof import parse_proof, verify_proof
from shared.ledger.tiles import CHECKPOINT_PATH
from shared.records.credential import credential_of
from shared.records.issuers import Issuer, IssuerRole
from shared.records.kind import RecordKind
from shared.records.odometer import BOOT_ID_BYTES, BootTime, OdometerReading, OdometerSource, RecordReason
from shared.records.passport import build_passport, build_record, parse_passport, verify_passport
from shared.records.record import Record, SignedRecord, sign_record
from shared.records.sd_jwt import Es256PublicKey

MILLION = 1_000_000
TRILLION = 1 << 40

VERIFY_TARGET = 1 / 1.15
"""Of the bare signatures' rate: at most 1.15 times their duration."""

MAX_BUNDLE_OCTETS = 2_000
MAX_CLIENT_MIB = 10_000_000 / (1 << 20)
"""What the light client may add to the agent, at any size of the log."""

GROWTH = 1_000
"""Entries by which the log grows between two checkpoints of a client that moves on."""

PASSPORTS = (100, 500)
"""Records in them."""

RECORDS_PER_CHECKPOINT = 10
"""A vehicle proves some records at a time: so many share a checkpoint."""

ENTRY_OCTETS = 32
MEASURED_BUNDLES = 16
MOST_ROUNDS = 9
"""Of passports: one of 500 takes a while."""

MOST_PROCESSES = 3
"""In which memory is measured."""

BUNDLE_FEWER, MOVE_FEWER = 5, 10

_SCALAR_OCTETS = 32
_DAY_NS = 86_400 * NS_PER_S
_FIRST_DAY = UtcNs(1_767_225_600 * NS_PER_S)
_BARE = "four Ed25519 verifies"
_BARE_RECORD = "raw P-256 verify of each record"


class _Bundle(NamedTuple):
    """A `tlog-proof@v1` text, the entry it is about, and the note in it."""

    text: bytes
    entry: bytes
    note: bytes


class _Scene:
    """A log, and whoever verifies what it says."""

    def __init__(self) -> None:
        self.log = GreatLog()
        self._policy = self.log.policy
        self._random = Random(6)  # noqa: S311 - places in a tree
        self._vehicle = _Vehicle()

    def bundle(self) -> _Bundle:
        """Return a bundle about an entry that is anywhere."""
        index, entry = self._random.randrange(MILLION), self._random.randbytes(ENTRY_OCTETS)
        tree = GreatTree(MILLION, {index: entry})
        note = self.log.note(tree)
        return _Bundle(text=self.log.proof(tree, index, note).encode(), entry=entry, note=note)

    def verifying(self, calls: int) -> Work:
        """Prepare verifying so many bundles, from their text on."""
        bundles = [self.bundle() for _ in range(calls)]
        policy = self._policy

        def work() -> None:
            for bundle in bundles:
                verify_proof(parse_proof(bundle.text), bundle.entry, policy)

        return work

    def bare(self, calls: int) -> Work:
        """Prepare verifying the signatures of so many bundles and nothing else."""
        signatures = [
            (key.verify, signature, message)
            for bundle in (self.bundle() for _ in range(calls))
            for key, signature, message in self.log.claims(bundle.note)
        ]

        def work() -> None:
            for verify, signature, message in signatures:
                verify(signature, message)

        return work

    def moving_on(self, calls: int) -> Work:
        """Prepare a client that moves on so many times, with the tiles that show that the log only grew."""
        first = MILLION + self._random.randrange(MILLION)
        trees = [GreatTree(first + GROWTH * step, {}) for step in range(calls + 1)]
        notes = [self.log.note(tree) for tree in trees]
        client = LightClient(origin=ORIGIN, policy=self._policy, trusted_note=notes[0])
        rounds = [
            {CHECKPOINT_PATH: note, **{path: tree.tile(path) for path in self.paths(before, note)}}
            for (before, note), tree in zip(pairwise(notes), trees[1:], strict=True)
        ]

        def work() -> None:
            for answers in rounds:
                _move_on(client, answers)

        return work

    def paths(self, before: bytes, note: bytes) -> Iterator[str]:
        """Yield what a client asks for that trusts one checkpoint and is served another."""
        client = LightClient(origin=ORIGIN, policy=self._policy, trusted_note=before)
        client.begin()
        client.give(CHECKPOINT_PATH, note)
        yield from client.wants()

    def passport(self, count: int) -> bytes:
        """Return a passport of a vehicle that was read out once a day."""
        vehicle = self._vehicle
        records = vehicle.records(count)
        indexes = sorted(self._random.sample(range(MILLION), count))
        shown = []
        for start in range(0, count, RECORDS_PER_CHECKPOINT):
            some = dict(zip(indexes[start:], records[start : start + RECORDS_PER_CHECKPOINT], strict=False))
            tree = GreatTree(MILLION + start, {index: record.commitment for index, record in some.items()})
            note = self.log.note(tree)
            for index, record in some.items():
                shown.append(build_record(record.sd_jwt, record.salt, self.log.proof(tree, index, note).encode()))
        return build_passport(credentials=[credential_of(vehicle)], records=shown).encode()

    def reading(self, passport: bytes) -> Work:
        """Return the work of reading and verifying a passport once."""
        issuers = {credential_of(self._vehicle).id: Issuer(key=self._vehicle.public_key, role=IssuerRole.VEHICLE)}
        policy = self._policy
        return lambda: verify_passport(parse_passport(passport), policy=policy, issuers=issuers)

    def task(self, size: int) -> tuple[Task, Serve]:
        """Return what a client is to do with a log of a size, all the proofs it does in one round, and what the log answers."""
        old_size = size - GROWTH
        entries = {index: self._random.randbytes(ENTRY_OCTETS) for index in self._random.sample(range(size), MAX_ROUND_PROOFS)}
        before = GreatTree(old_size, {index: entry for index, entry in entries.items() if index < old_size})
        tree = GreatTree(size, entries)
        task = Task(policy=self.log.policy_text, note=self.log.note(before), entries=entries)
        return task, lambda path: self.log.answer(tree, path)


class _Vehicle:
    """Signs records with a key made when it is made; its certificates mean nothing here."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate, self.authority = b"certificate of a vehicle", b"certificate of its authority"
        self.public_key = Es256PublicKey(self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint))

    def sign_es256(self, message: bytes) -> bytes:
        """Return r || s."""
        r, s = decode_dss_signature(self._key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(_SCALAR_OCTETS) + s.to_bytes(_SCALAR_OCTETS)

    def records(self, count: int) -> list[SignedRecord]:
        """Return a reading a day, each naming the one before."""
        records: list[SignedRecord] = []
        for seq in range(count):
            metres = 30_000 * seq
            reading = OdometerReading(
                odometer_m=metres,
                reason=RecordReason.DISTANCE,
                sources=(OdometerSource(name="cluster", odometer_m=metres, age_ms=20),),
                boot=BootTime(boot_id=bytes(BOOT_ID_BYTES), elapsed_ms=seq),
            )
            record = Record(
                kind=RecordKind.ODOMETER,
                seq=seq,
                prev=records[-1].commitment if records else None,
                occurred=UtcNs(_FIRST_DAY + seq * _DAY_NS),
                fields=reading.fields(),
            )
            records.append(sign_record(record, self, urandom))
        return records


def _move_on(client: LightClient, answers: Mapping[str, bytes]) -> None:
    """Let a client do a round; one that does not move on would be no measurement."""
    events: list[ClientEvent] = []
    client.begin()
    while wanted := client.wants():
        for path in wanted:
            events += client.give(path, answers[path])
    if not any(isinstance(event, Advanced) for event in events):
        raise ProofError("a light client did not move on with a sound log")


def ledger(effort: Effort) -> Iterable[Figure]:
    """Verify bundles and passports, move on with a log, and see what it takes in memory."""
    scene = _Scene()
    sides = {
        "bundle": Side(scene.verifying, fewer=BUNDLE_FEWER),
        _BARE: Side(scene.bare, fewer=BUNDLE_FEWER),
        "move": Side(scene.moving_on, fewer=MOVE_FEWER),
    }
    rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
    bare = (_BARE, rates[_BARE])
    says = f"verify a bundle with three witnesses at {MILLION:,} entries"
    yield figure_of(
        "ledger.bundle",
        says,
        Unit.PER_SECOND,
        rates["bundle"],
        limit=bare,
        targets=(Target(measure=Measure.MEDIAN_RATIO, bound=VERIFY_TARGET),),
    )
    yield figure_of(
        "ledger.size",
        f"text of such a bundle, the longest of {MEASURED_BUNDLES}",
        Unit.OCTETS,
        [max(len(scene.bundle().text) for _ in range(MEASURED_BUNDLES))],
        targets=(Target(measure=Measure.MEDIAN, bound=MAX_BUNDLE_OCTETS),),
    )
    says = f"move on by {GROWTH:,} entries: checkpoint, three witnesses, consistency from tiles"
    yield figure_of("ledger.move", says, Unit.PER_SECOND, rates["move"], limit=bare)
    yield from _passports(scene, max(1, min(effort.rounds, MOST_ROUNDS)))
    yield from _memory(scene, max(1, min(effort.rounds, MOST_PROCESSES)))


def _passports(scene: _Scene, rounds: int) -> Iterable[Figure]:
    """Verify passports, each beside the signatures of as many records."""
    raw = RawP256()
    for count in PASSPORTS:
        passport = scene.passport(count)
        rates, bare = [], []
        for _ in range(rounds):
            signatures = raw.verifying(count)
            rates.append(count * NS_PER_S / elapsed_ns(scene.reading(passport)))
            bare.append(count * NS_PER_S / elapsed_ns(signatures))
        says = f"records of a passport of {count}, read and verified"
        yield figure_of(f"ledger.passport.{count}", says, Unit.PER_SECOND, rates, limit=(_BARE_RECORD, bare))


def _memory(scene: _Scene, rounds: int) -> Iterable[Figure]:
    """Measure what a light client adds to a process, in processes of their own."""
    for name, size, words in (("million", MILLION, f"{MILLION:,}"), ("trillion", TRILLION, "2^40")):
        added: list[float] = []
        for _ in range(rounds):
            result = measure_client(*scene.task(size))
            if result.proven != MAX_ROUND_PROOFS:
                raise ProofError(f"a light client proved {result.proven} of {MAX_ROUND_PROOFS} entries of a sound log")
            added.append(result.octets / (1 << 20))
        says = f"memory a light client adds, imports and {MAX_ROUND_PROOFS} proofs at once included, at {words} entries"
        targets = (Target(measure=Measure.MEDIAN, bound=MAX_CLIENT_MIB),)
        yield figure_of(f"ledger.memory.{name}", says, Unit.MEBIBYTES, added, targets=targets)
