"""Checkpoints on a real EVM chain (anvil): stated, advanced, proven; rollbacks, forks and strangers refused."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import ProofError, SplitViewError, TransportError, V2xError
from shared.ledger.evm.anchor import AnchoredCheckpoint, check_agrees, check_roots_agree, prove_anchored, verify_anchor
from shared.ledger.evm.bundle import AnchorBundle, ReceiptProof, parse_bundle
from shared.ledger.evm.chain_trust import ChainTrust, PinnedNode, ValidatorSet
from shared.ledger.evm.header import decode_header
from shared.ledger.evm.primitives import Address
from shared.ledger.merkle import consistency_path, range_hash
from shared.ledger.policy import Policy
from shared.ledger.verify import QuorumError, trust_first, verify_signed
from shared.operator.anchor_round import Outcome
from shared.operator.anchor_service import approve_writer
from shared.transport.bounded_http import BoundedHttp
from shared.transport.evm_chain import AnchorRefusedError, EvmChain, SignedTransaction
from tests.helpers.anchoring import PATIENCE, TLS, Organisation, Served, account, deployed, key_file, serve_log
from tests.helpers.anvil import Anvil
from tests.helpers.ledger import ORIGIN, MemoryLog, NodesOf, policy_of
from tests.helpers.qbft import Consortium

WITNESSES = ("w1", "w2")
POLICY = policy_of(witnesses=WITNESSES, quorum="2")


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil() as chain:
        yield chain


@pytest.fixture(scope="module")
def contract(anvil: Anvil, tmp_path_factory: pytest.TempPathFactory) -> Address:
    return deployed(anvil, tmp_path_factory.mktemp("governor"), writers=("maker", "insurer"))


@dataclass
class Scene:
    """A log, a contract with two writers, and what is needed to make organisations."""

    anvil: Anvil
    directory: Path
    log: MemoryLog
    server: Served
    contract: Address

    @property
    def governor(self) -> Path:
        return key_file(self.directory, "governor")

    def organisation(self, name: str, *, url: str | None = None, policy: Policy = POLICY) -> Organisation:
        return Organisation(
            name,
            self.directory,
            anvil=self.anvil,
            contract=self.contract,
            log_url=self.server.url if url is None else url,
            policy=policy,
        )

    def grow(self, size: int) -> None:
        self.log.entries += [f"entry {n}".encode() for n in range(len(self.log.entries), size)]
        self.log.publish()


@pytest.fixture
def scene(anvil: Anvil, contract: Address, tmp_path: Path) -> Iterator[Scene]:
    log = MemoryLog(witnesses=WITNESSES)
    before = anvil.ask("evm_snapshot")
    with serve_log(log) as server:
        yield Scene(anvil, tmp_path, log, server, contract)
    anvil.ask("evm_revert", before)


def other_log(size: int, differs_at: int) -> MemoryLog:
    """The same log shown with another entry to somebody else."""
    log = MemoryLog(witnesses=WITNESSES)
    log.entries = [f"entry {n}".encode() if n != differs_at else b"another" for n in range(size)]
    log.publish()
    return log


def pinned(trust: ChainTrust, bundle: AnchorBundle) -> ChainTrust:
    """Trust in the very header of a bundle."""
    return replace(trust, by=PinnedNode(name="anvil", headers=frozenset({decode_header(bundle.header).hash()})))


def read(result_path: Path | None) -> AnchorBundle:
    assert result_path is not None
    return parse_bundle(result_path.read_bytes())


def statement(size: int, root: bytes, note: bytes = b"note") -> tuple[str, int, bytes, bytes]:
    return ORIGIN, size, root, note


def state_directly(scene: Scene, name: str, said: tuple[str, int, bytes, bytes]) -> int:
    """Have an organisation speak to the contract past all our checks; returns the gas it took."""

    async def run() -> int:
        async with EvmChain(scene.anvil.url, http=BoundedHttp(tls=TLS, kept_connections=1)) as chain:
            key = account(name)
            org = scene.organisation(name)
            nonce = await chain.nonce(org.address)
            signed: SignedTransaction = await chain.sign_anchor(key, org.trust.contract, said, nonce=nonce, fees=await chain.fees())
            await chain.send(signed)
            async with asyncio.timeout(20):
                while await chain.mined(signed.hash) is None:
                    pass
            return int(scene.anvil.ask("eth_getTransactionReceipt", "0x" + signed.hash.hex())["gasUsed"], 16)

    return asyncio.run(run())


def test_an_empty_log_is_not_anchored(scene: Scene) -> None:
    assert scene.organisation("maker").round().outcome is Outcome.EMPTY


def test_checkpoints_are_stated_advanced_confirmed_and_proven(scene: Scene) -> None:
    maker, insurer = scene.organisation("maker"), scene.organisation("insurer")
    scene.grow(3)
    first = maker.round()
    assert first.outcome is Outcome.ANCHORED
    assert first.anchored is not None
    assert (first.anchored.checkpoint.tree_size, first.anchored.confirmations, first.anchored.latest_size) == (3, 1, 3)
    assert first.bundle is not None
    kept = first.bundle.read_bytes()
    again = maker.round()
    assert (again.outcome, again.bundle, first.bundle.read_bytes()) == (Outcome.STOOD, first.bundle, kept)
    first.bundle.write_bytes(kept.replace(b"0x", b"0xff", 1))
    assert maker.round().outcome is Outcome.STOOD
    assert read(first.bundle).note == scene.log.note  # a damaged proof is fetched anew
    confirmed = insurer.round()
    assert confirmed.outcome is Outcome.ANCHORED
    assert confirmed.anchored is not None
    assert (confirmed.anchored.confirmations, confirmed.anchored.block_number) == (2, first.anchored.block_number)
    scene.grow(700)
    second = insurer.round()
    assert second.anchored is not None
    assert (second.anchored.checkpoint.tree_size, second.anchored.confirmations) == (700, 1)
    bundle = read(second.bundle)
    assert bundle.receipt is not None
    assert verify_anchor(bundle, trust=pinned(insurer.trust, bundle), policy=POLICY).trusted.witnesses == WITNESSES
    assert len(bundle.encode()) < 16_384


@pytest.mark.parametrize("fork", ["london", "shanghai", "cancun", "prague"])
def test_headers_of_every_fork_prove(fork: str, tmp_path: Path) -> None:
    log = MemoryLog()
    log.submit(b"entry")
    with Anvil("--hardfork", fork, "--base-fee", "0", "--gas-price", "0") as chain, serve_log(log) as server:
        contract = deployed(chain, tmp_path, writers=("maker",))
        org = Organisation("maker", tmp_path, anvil=chain, contract=contract, log_url=server.url, policy=policy_of())
        result = org.round()
        assert result.anchored is not None
        header = result.anchored.header.header
        fields = (header.base_fee_wei, header.withdrawals_root, header.parent_beacon_root, header.requests_hash)
        count = ("london", "shanghai", "cancun", "prague").index(fork) + 1
        assert [field is not None for field in fields] == [True] * count + [False] * (4 - count)
        assert read(result.bundle).receipt is not None


def test_a_log_that_was_rolled_back_is_told_by_what_the_chain_holds(scene: Scene) -> None:
    scene.grow(5)
    scene.organisation("maker").round()
    with (
        serve_log(other_log(4, -1)) as older,
        pytest.raises(ProofError, match="shows 4 entries, and the chain holds 5, which the log signed"),
    ):
        scene.organisation("insurer", url=older.url).round()


def test_a_log_that_shows_two_organisations_two_trees_of_one_size_is_caught_with_both_notes(scene: Scene) -> None:
    scene.grow(5)
    scene.organisation("maker").round()
    lie = other_log(5, 2)
    with serve_log(lie) as server, pytest.raises(SplitViewError, match="signed a tree of 5 entries") as caught:
        scene.organisation("insurer", url=server.url).round()
    assert caught.value.trusted_note == lie.note
    assert caught.value.conflicting_note == scene.log.note


def test_a_larger_tree_that_does_not_contain_what_the_chain_holds_is_caught_with_both_notes(scene: Scene) -> None:
    scene.grow(5)
    scene.organisation("maker").round()
    lie = other_log(300, 2)
    with serve_log(lie) as server, pytest.raises(SplitViewError) as caught:
        scene.organisation("insurer", url=server.url).round()
    assert (caught.value.trusted_note, caught.value.conflicting_note) == (lie.note, scene.log.note)
    assert scene.organisation("insurer").state().pending is None


def test_what_a_writer_anchored_that_no_log_signed_is_not_blamed_on_the_log(scene: Scene) -> None:
    scene.grow(5)
    state_directly(scene, "maker", statement(5, b"\x55" * 32, b"no note at all"))
    with pytest.raises(ProofError, match="ask the organisation") as caught:
        scene.organisation("insurer").round()
    assert not isinstance(caught.value, SplitViewError)


def test_a_stolen_key_blocks_a_log_only_until_the_governors_remove_it(scene: Scene) -> None:
    scene.grow(5)
    insurer, maker = scene.organisation("insurer"), scene.organisation("maker")
    assert insurer.round().outcome is Outcome.ANCHORED
    state_directly(scene, "maker", statement((1 << 63) - 1, b"\x66" * 32, b"made up"))
    scene.grow(9)
    with pytest.raises(ProofError, match="with no note that the log signed"):
        insurer.round()
    assert asyncio.run(approve_writer(scene.anvil.url, scene.governor, maker.trust.contract, (ORIGIN, maker.address, False)))
    result = insurer.round()
    assert result.anchored is not None
    assert (result.outcome, result.anchored.latest_size) == (Outcome.ANCHORED, 9)
    with pytest.raises(AnchorRefusedError, match="rollback"):
        state_directly(scene, "insurer", statement(7, b"\x01" * 32))


def test_an_unwitnessed_checkpoint_is_not_anchored(scene: Scene) -> None:
    scene.log.witnesses = ("w1",)
    scene.grow(2)
    assert scene.organisation("maker").round().outcome is Outcome.EMPTY


@pytest.mark.parametrize(
    ("size", "root", "note", "word"),
    [
        (4, 1, b"note", "rollback"),
        (5, 2, b"note", "fork"),
        (0, 1, b"note", "empty"),
        (1 << 63, 1, b"note", "empty"),
        (6, 0, b"note", "empty"),
        (6, 1, b"", "empty"),
    ],
)
def test_the_contract_itself_refuses(scene: Scene, size: int, root: int, note: bytes, word: str) -> None:
    state_directly(scene, "maker", statement(5, b"\x01" * 32))
    with pytest.raises(AnchorRefusedError) as caught:
        state_directly(scene, "insurer", statement(size, bytes((root,)) * 32, note))
    assert caught.value.code == word


def test_the_contract_refuses_strangers_and_writers_that_were_removed(scene: Scene) -> None:
    scene.grow(1)
    stranger = scene.organisation("stranger")
    with pytest.raises(AnchorRefusedError, match="not a writer of this log") as caught:
        stranger.round()
    assert caught.value.code == "foreign"
    maker = scene.organisation("maker")
    governor = scene.governor
    assert asyncio.run(approve_writer(scene.anvil.url, governor, maker.trust.contract, (ORIGIN, maker.address, False)))
    with pytest.raises(AnchorRefusedError, match="not a writer"):
        maker.round()
    assert asyncio.run(approve_writer(scene.anvil.url, governor, maker.trust.contract, (ORIGIN, maker.address, True)))
    assert maker.round().outcome is Outcome.ANCHORED


def test_a_writer_of_one_log_is_a_stranger_to_another(scene: Scene) -> None:
    with pytest.raises(AnchorRefusedError, match="not a writer"):
        state_directly(scene, "maker", ("log.example/other", 5, b"\x01" * 32, b"note"))


def test_writers_are_registered_when_enough_governors_say_so(anvil: Anvil, tmp_path: Path) -> None:
    governors = ("g1", "g2")
    contract = deployed(anvil, tmp_path, writers=("maker",), governors=governors)
    change = (ORIGIN, Organisation.address_of("late"), True)

    def approve(name: str) -> bool:
        return asyncio.run(approve_writer(anvil.url, key_file(tmp_path, name), contract, change))

    assert not approve("g1")
    assert not approve("g1")  # the same governor again counts once
    with pytest.raises(AnchorRefusedError, match="not a governor"):
        approve("maker")
    assert approve("g2")
    with pytest.raises(AnchorRefusedError, match="the writer is so already"):
        approve("g1")


def test_what_an_anchoring_costs_does_not_grow(scene: Scene) -> None:
    costs = [state_directly(scene, "maker", statement(size, b"\x01" * 32)) for size in range(1, 13)]
    assert max(costs) < 150_000
    assert max(costs[1:]) - min(costs[1:]) < 500
    assert state_directly(scene, "maker", statement(13, b"\x01" * 32, b"\xff" * 4096)) < 350_000
    with pytest.raises(TransportError):
        state_directly(scene, "maker", statement(14, b"\x01" * 32, b"\xff" * 4097))


def test_no_octet_of_a_bundle_can_change(scene: Scene) -> None:
    scene.grow(3)
    result = scene.organisation("maker").round()
    bundle = read(result.bundle)
    trust = pinned(scene.organisation("maker").trust, bundle)
    assert bundle.receipt is not None
    altered: list[AnchorBundle] = [replace(bundle, header=octets) for octets in flips(bundle.header)]
    for name in ("account_proof", "root_proof", "stamp_proof", "head_proof"):
        altered += [with_nodes(bundle, name, nodes) for nodes in flipped_nodes(getattr(bundle, name))]
    altered += [replace(bundle, receipt=ReceiptProof(place=0, nodes=nodes)) for nodes in flipped_nodes(bundle.receipt.nodes)]
    altered += [replace(bundle, note=octets) for octets in flips(bundle.note)]
    altered += [
        replace(bundle, receipt=replace(bundle.receipt, place=1)),
        replace(bundle, chain_id=1),
        replace(bundle, contract=bundle.contract[:-1] + b"\x00"),  # type: ignore[arg-type]
        replace(bundle, root_proof=bundle.stamp_proof),
        replace(bundle, stamp_proof=bundle.head_proof),
        replace(bundle, head_proof=()),
    ]
    assert len(altered) > 300
    for each in altered:
        with pytest.raises(V2xError):
            verify_anchor(each, trust=trust, policy=POLICY)
    with pytest.raises(QuorumError):
        verify_anchor(bundle, trust=trust, policy=policy_of(witnesses=(*WITNESSES, "w3"), quorum="3"))
    with pytest.raises(TypeError):
        AnchoredCheckpoint(**dict.fromkeys(AnchoredCheckpoint.__slots__), seal=None)  # type: ignore[arg-type]


def flips(octets: bytes) -> Iterator[bytes]:
    """The octets with one bit other, at places spread over them."""
    for at in range(0, len(octets), max(1, len(octets) // 40)):
        yield octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def with_nodes(bundle: AnchorBundle, name: str, nodes: tuple[bytes, ...]) -> AnchorBundle:
    changed: dict[str, Any] = {name: nodes}
    return replace(bundle, **changed)


def flipped_nodes(nodes: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    for number, node in enumerate(nodes):
        for octets in flips(node):
            yield (*nodes[:number], octets, *nodes[number + 1 :])


def test_another_contract_at_the_address_is_not_believed(scene: Scene) -> None:
    scene.grow(3)
    maker = scene.organisation("maker")
    maker.round()
    code = scene.anvil.ask("eth_getCode", "0x" + maker.trust.contract.hex(), "latest")
    scene.anvil.ask("anvil_setCode", "0x" + maker.trust.contract.hex(), code + "00")
    scene.anvil.mine()
    with pytest.raises(ProofError, match="its code is another one"):
        maker.round()


def test_a_consortiums_seals_over_a_real_state_prove_and_one_seal_short_does_not(scene: Scene) -> None:
    scene.grow(3)
    maker = scene.organisation("maker")
    bundle = read(maker.round().bundle)
    four = Consortium()
    trust = replace(maker.trust, by=(ValidatorSet(from_block=0, addresses=four.addresses),))
    header = decode_header(bundle.header)
    sealed = replace(bundle, header=four.sealed(header, by=("north", "east", "west")).encode())
    anchored = verify_anchor(sealed, trust=trust, policy=POLICY)
    assert anchored.header.on_whose_word == "3 of 4 named validators"
    with pytest.raises(ProofError, match="3 are needed"):
        verify_anchor(replace(bundle, header=four.sealed(header, by=("north", "east")).encode()), trust=trust, policy=POLICY)


def test_an_anchored_checkpoint_is_held_against_the_one_a_light_client_trusts(scene: Scene) -> None:
    scene.grow(5)
    maker = scene.organisation("maker")
    result = maker.round()
    assert result.anchored is not None
    for size in (3, 5, 90):
        honest, lie = other_log(size, -1), other_log(size, 1)
        old, new = sorted((size, 5))
        for log in (honest, lie):
            trusted = trust_first(verify_signed(log.note, POLICY), POLICY)
            larger = NodesOf(log.entries if size > 5 else scene.log.entries)
            path = () if old == new else tuple(range_hash(leaves, larger) for leaves in consistency_path(old, new))
            if log is honest:
                check_agrees(trusted, result.anchored, path)
                continue
            with pytest.raises(SplitViewError) as caught:
                check_agrees(trusted, result.anchored, path)
            assert (caught.value.trusted_note, caught.value.conflicting_note) == (lie.note, scene.log.note)


def test_two_anchored_roots_are_compared_by_a_consistency_proof(scene: Scene) -> None:
    maker = scene.organisation("maker")
    scene.grow(5)
    older = read(maker.round().bundle)
    scene.grow(9)
    newer = read(maker.round().bundle)
    roots = [prove_anchored(each, ORIGIN, size, pinned(maker.trust, each)) for each, size in ((older, 5), (newer, 9))]
    nodes = NodesOf(scene.log.entries)
    proof = tuple(range_hash(leaves, nodes) for leaves in consistency_path(5, 9))
    check_roots_agree(roots[0], roots[1], proof)
    with pytest.raises(ProofError):
        check_roots_agree(roots[0], roots[1], proof[::-1])


def test_a_node_that_is_away_or_of_another_chain_is_named(scene: Scene) -> None:
    scene.grow(1)
    nonsense = b'{"jsonrpc": "2.0", "id": 1, "result": "0xnonsense"}'
    with Served(lambda *_: (200, nonsense)) as liar, pytest.raises(TransportError, match="eth_blockNumber"):
        scene.organisation("maker").round(rpc_url=liar.url, patience=PATIENCE)
    with pytest.raises(TransportError, match="cannot be reached"):
        scene.organisation("maker").round(rpc_url="http://127.0.0.1:1")
