"""A node of an EVM chain as anchoring needs it: what the anchor contract holds, proofs of it, and transactions sent once or again.

Transactions are made and signed with web3.py and eth-account, headers and proofs come as the node gives them, for
`shared.ledger.evm` to verify. Nothing is retried and nothing waited for here: that is `shared.operator.anchor_round`'s. A
contract's refusal arrives as `AnchorRefusedError` with the contract's own word.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

from eth_account.signers.local import LocalAccount
from web3 import AsyncWeb3
from web3.contract.async_contract import AsyncContractFunction

from shared.core.errors import ConfigError, DecodeError, ProofError, TransportError
from shared.ledger.evm.anchor import ANCHOR_EVENT, origin_id, storage_slots
from shared.ledger.evm.bundle import AnchorBundle, ReceiptProof
from shared.ledger.evm.chain_trust import ChainTrust, block_hash
from shared.ledger.evm.header import BlockHeader, header_from_rpc, hex_of, quantity_of
from shared.ledger.evm.primitives import Address, Hash32, keccak256
from shared.ledger.evm.receipts import receipt_from_rpc, receipt_proof
from shared.ledger.evm.trie import MAX_ORDERED_ITEMS, MAX_PROOF_NODES
from shared.transport.bounded_http import BoundedHttp, one_line
from shared.transport.evm_rpc import BoundedProvider, RpcError, web3_over

GAS_ALLOWANCE_PERCENT = 25
"""Gas offered beyond what the node estimates: another writer may come first and change what it costs."""

MAX_GAS = 3_000_000
"""Gas of one transaction; deploying the contract takes some 1,100,000, an anchoring some 150,000."""

BUMP_PERCENT = 13
"""By how much a transaction that replaces another pays more; nodes ask for 10 or 12.5."""

_REFUSAL = "Error(string)"
_MAX_RETURNED_OCTETS = 4_096


class AnchorRefusedError(ProofError):
    """The anchor contract refused a statement.

    Args:
        word: why, in one word: `foreign`, `fork`, `rollback`, `empty`, `unchanged`, `threshold`, `governor`.
        detail: the contract's sentence.
    """

    def __init__(self, word: str, detail: str) -> None:
        super().__init__(f"the anchor contract refused: {detail}")
        self.word = word

    @property
    def code(self) -> str:
        """The contract's word."""
        return self.word


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What a transaction offers for a unit of gas, in wei; `tip_wei` is None on a chain without a base fee."""

    price_wei: int
    tip_wei: int | None

    def raised(self) -> "Fees":
        """Return enough to replace a transaction that offered this."""
        tip = None if self.tip_wei is None else _raised(self.tip_wei)
        return Fees(price_wei=_raised(self.price_wei), tip_wei=tip)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """A transaction ready to be sent, as often as needed."""

    hash: Hash32
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MinedTransaction:
    """Where a transaction stands, as the node says."""

    block_number: int
    block_hash: bytes
    place: int
    succeeded: bool
    contract: Address | None


class EvmChain:
    """A node of a chain, for as long as it is entered (`async with`).

    Args:
        url: of its JSON-RPC.
        http: carries every exchange; a client of its own by default.
    """

    def __init__(self, url: str, *, http: BoundedHttp | None = None) -> None:
        self._url = url
        self._http = BoundedHttp(kept_connections=1) if http is None else http
        self._provider = BoundedProvider(url, self._http)
        self._web3 = web3_over(self._provider)
        self._artefact = contract_artefact()

    async def __aenter__(self) -> Self:
        """Be ready; nothing is asked yet."""
        await self._http.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close what is open."""
        await self._http.__aexit__(kind, error, trace)

    async def check_chain(self, chain_id: int) -> None:
        """Raise `ConfigError` unless the node is of the chain with this id."""
        found = await self.chain_id()
        if found != chain_id:
            raise ConfigError(self._url, f"is a node of chain {found}, not of {chain_id}")

    async def chain_id(self) -> int:
        """Return the id of the node's chain."""
        return await self._quantity("eth_chainId")

    async def newest_block(self) -> int:
        """Return the number of the newest block."""
        return await self._quantity("eth_blockNumber")

    async def header(self, number: int, trust: ChainTrust) -> BlockHeader:
        """Return a header of the node's chain, which is what the node calls the block by.

        Raises:
            TransportError: the node has none, or one that does not have the hash it says.
        """
        block = await self._provider.ask("eth_getBlockByNumber", (hex(number), False))
        with self._reading():
            found = _object(block, f"block {number}")
            header = header_from_rpc(found)
            named = hex_of(found.get("hash"), "block.hash")
            ours = block_hash(header, trust)
        if header.number != number or ours != named:
            raise TransportError(
                self._url, f"block {number}: the header makes the hash 0x{ours.hex()}, the node says 0x{named.hex()[:64]}"
            )
        return header

    async def bundle(self, trust: ChainTrust, note: bytes, origin: str, tree_size: int, number: int) -> AnchorBundle:
        """Return what proves, at a block, what the contract holds about a size of a log; nothing of it is verified yet."""
        header = await self.header(number, trust)
        slots = [_hex(slot) for slot in storage_slots(origin, tree_size)]
        answer = await self._provider.ask("eth_getProof", (_checksum(trust.contract), slots, hex(number)))
        with self._reading():
            proof = _object(answer, "proof")
            storage = proof.get("storageProof")
            if not isinstance(storage, list) or len(storage) != len(slots):
                raise DecodeError("proof.storageProof", f"{len(slots)} slots were asked for")
            nodes = [_nodes(_object(each, "proof.storageProof").get("proof"), "proof.storageProof") for each in storage]
            return AnchorBundle(
                chain_id=trust.chain_id,
                contract=trust.contract,
                note=note,
                header=header.encode(),
                account_proof=_nodes(proof.get("accountProof"), "proof.accountProof"),
                root_proof=nodes[0],
                stamp_proof=nodes[1],
                head_proof=nodes[2],
            )

    async def receipt_proof(self, mined: MinedTransaction, receipts_root: bytes) -> ReceiptProof:
        """Return the proof of a transaction's receipt, from all receipts of its block.

        Raises:
            TransportError: the node does not have them.
            ProofError: they are not those of the block.
        """
        answer = await self._provider.ask("eth_getBlockReceipts", (_hex(mined.block_hash),))
        with self._reading():
            if not isinstance(answer, list) or len(answer) > MAX_ORDERED_ITEMS:
                raise DecodeError("receipts", f"a list of at most {MAX_ORDERED_ITEMS}")
            receipts = [receipt_from_rpc(_object(each, "receipt")) for each in answer]
        return ReceiptProof(place=mined.place, nodes=receipt_proof(receipts, mined.place, receipts_root))

    async def writers(self, contract: Address, origin: str) -> tuple[Address, ...]:
        """Return all writers a log ever had in a contract, in the order of their bits."""
        found = await self._call(self._functions(contract).writers_of(origin_id(origin)))
        return tuple(Address(bytes.fromhex(each[2:])) for each in found)

    async def is_writer(self, contract: Address, origin: str, writer: Address) -> bool:
        """Return whether an address may anchor a log's checkpoints now."""
        return bool(await self._call(self._functions(contract).is_writer(origin_id(origin), _checksum(writer))))

    async def published_notes(self, contract: Address, origin: str, tree_size: int) -> tuple[bytes, ...]:
        """Return the notes that were published when a size was first anchored: one, or none where the node keeps no events."""
        topics = [_hex(keccak256(ANCHOR_EVENT)), _hex(origin_id(origin)), _hex(tree_size.to_bytes(32))]
        query = {"address": _checksum(contract), "fromBlock": "0x0", "toBlock": "latest", "topics": topics}
        events = await self._provider.ask("eth_getLogs", (query,))
        if not isinstance(events, list):
            raise TransportError(self._url, "eth_getLogs: no list")
        notes: list[bytes] = []
        for event in events[:1]:
            try:
                data = hex_of(_object(event, "event").get("data"), "event.data")
                _, note = self._web3.codec.decode(["bytes32", "bytes"], data)
            except Exception as error:
                raise TransportError(self._url, f"the event of an anchoring is malformed: {one_line(str(error))}") from error
            notes.append(note)
        return tuple(notes)

    async def nonce(self, account: Address) -> int:
        """Return how many transactions of an account are in blocks."""
        return await self._quantity("eth_getTransactionCount", _checksum(account), "latest")

    async def fees(self) -> Fees:
        """Return what a transaction should offer now; all zero on a chain whose gas is free."""
        with self._reading():
            block = _object(await self._provider.ask("eth_getBlockByNumber", ("latest", False)), "block")
            base_wei = None if block.get("baseFeePerGas") is None else quantity_of(block["baseFeePerGas"], "block.baseFeePerGas")
        if base_wei is None:
            return Fees(price_wei=await self._quantity("eth_gasPrice"), tip_wei=None)
        try:
            tip = await self._quantity("eth_maxPriorityFeePerGas")
        except RpcError:  # optional for a node
            tip = 0
        return Fees(price_wei=2 * base_wei + tip, tip_wei=tip)

    async def sign_anchor(
        self, key: LocalAccount, contract: Address, statement: tuple[str, int, bytes, bytes], *, nonce: int, fees: Fees
    ) -> SignedTransaction:
        """Make and sign the transaction that states (origin, size, root, note).

        Raises:
            AnchorRefusedError: the contract would refuse it.
        """
        origin, tree_size, root, note = statement
        call = self._functions(contract).anchor(origin_id(origin), tree_size, root, note)
        return await self._sign(key, {"to": _checksum(contract), "data": call._encode_transaction_data()}, nonce=nonce, fees=fees)  # noqa: SLF001 - web3.py has no public way

    async def sign_set_writer(
        self, key: LocalAccount, contract: Address, change: tuple[str, Address, bool], *, nonce: int, fees: Fees
    ) -> SignedTransaction:
        """Make and sign a governor's word about (origin, writer, active); raises as `sign_anchor`."""
        origin, writer, active = change
        call = self._functions(contract).set_writer(origin_id(origin), _checksum(writer), active)
        return await self._sign(key, {"to": _checksum(contract), "data": call._encode_transaction_data()}, nonce=nonce, fees=fees)  # noqa: SLF001 - as above

    async def sign_deployment(
        self, key: LocalAccount, governors: Sequence[Address], threshold: int, *, nonce: int, fees: Fees
    ) -> SignedTransaction:
        """Make and sign the transaction that puts the contract on the chain; raises as `sign_anchor`."""
        factory = self._web3.eth.contract(abi=self._artefact["abi"], bytecode=self._artefact["bytecode"])
        data = factory.constructor([_checksum(each) for each in governors], threshold).data_in_transaction
        return await self._sign(key, {"data": data}, nonce=nonce, fees=fees)

    async def send(self, transaction: SignedTransaction) -> None:
        """Hand a transaction to the node; raises `RpcError` where it does not take it, perhaps because it has it already."""
        await self._provider.ask("eth_sendRawTransaction", (_hex(transaction.raw),))

    async def mined(self, transaction_hash: bytes) -> MinedTransaction | None:
        """Return where a transaction stands, None while it is in no block."""
        answer = await self._provider.ask("eth_getTransactionReceipt", (_hex(transaction_hash),))
        if answer is None:
            return None
        with self._reading():
            receipt = _object(answer, "receipt")
            contract = receipt.get("contractAddress")
            return MinedTransaction(
                block_number=quantity_of(receipt.get("blockNumber"), "receipt.blockNumber"),
                block_hash=hex_of(receipt.get("blockHash"), "receipt.blockHash"),
                place=quantity_of(receipt.get("transactionIndex"), "receipt.transactionIndex"),
                succeeded=quantity_of(receipt.get("status"), "receipt.status") == 1,
                contract=None if contract is None else Address(hex_of(contract, "receipt.contractAddress")),
            )

    async def knows(self, transaction_hash: bytes) -> bool:
        """Return whether the node has a transaction, in a block or waiting for one."""
        return await self._provider.ask("eth_getTransactionByHash", (_hex(transaction_hash),)) is not None

    def _functions(self, contract: Address) -> Any:  # noqa: ANN401 - named by the contract, at run time
        return self._web3.eth.contract(address=_checksum(contract), abi=self._artefact["abi"]).functions

    async def _call(self, function: AsyncContractFunction) -> Any:  # noqa: ANN401 - as the contract answers
        try:
            return await function.call()
        except TransportError:
            raise
        except Exception as error:
            raise TransportError(self._url, f"the contract does not answer: {one_line(str(error))}") from error

    async def _sign(self, key: LocalAccount, call: dict[str, Any], *, nonce: int, fees: Fees) -> SignedTransaction:
        asked = {"from": key.address, **call}
        try:
            gas = await self._quantity("eth_estimateGas", asked)
        except RpcError as error:
            raise self._refusal(error) from error
        transaction: dict[str, Any] = {
            **call,
            "chainId": await self.chain_id(),
            "nonce": nonce,
            "value": 0,
            "gas": min(MAX_GAS, gas + gas * GAS_ALLOWANCE_PERCENT // 100),
        }
        if fees.tip_wei is None:
            transaction["gasPrice"] = fees.price_wei
        else:
            transaction |= {"type": 2, "maxFeePerGas": fees.price_wei, "maxPriorityFeePerGas": fees.tip_wei}
        signed = key.sign_transaction(transaction)
        return SignedTransaction(hash=Hash32(bytes(signed.hash)), raw=bytes(signed.raw_transaction))

    def _refusal(self, error: RpcError) -> Exception:
        """Return what a contract said when it refused; the node's error itself where no contract spoke."""
        selector = keccak256(_REFUSAL.encode())[:4].hex()
        data = error.data.removeprefix("0x")
        if not data.startswith(selector) or len(data) > 2 * _MAX_RETURNED_OCTETS:
            return error
        try:
            (sentence,) = self._web3.codec.decode(["string"], bytes.fromhex(data[8:]))
        except Exception:  # noqa: BLE001 - whatever eth-abi finds wrong, the node's own error says enough
            return error
        detail = one_line(sentence)
        return AnchorRefusedError(detail.partition(":")[0], detail)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Blame the node for an answer that is malformed."""
        try:
            yield
        except DecodeError as error:
            raise TransportError(self._url, str(error)) from error

    async def _quantity(self, method: str, *params: object) -> int:
        answer = await self._provider.ask(method, params)
        with self._reading():
            return quantity_of(answer, method)


def contract_artefact() -> dict[str, Any]:
    """Return the compiled contract: `abi`, `bytecode` to deploy, `code` as it stands on a chain, `slots`."""
    text = files("shared.ledger.evm").joinpath("CheckpointAnchor.json").read_text()
    artefact: dict[str, Any] = json.loads(text)
    return artefact


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DecodeError(field, "the node gives none")
    return value


def _nodes(value: object, field: str) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_PROOF_NODES:
        raise DecodeError(field, f"a list of at most {MAX_PROOF_NODES} nodes")
    return tuple(hex_of(each, field) for each in value)


def _hex(octets: bytes) -> str:
    return "0x" + octets.hex()


def _checksum(address: Address) -> Any:  # noqa: ANN401 - web3.py's own type of text
    return AsyncWeb3.to_checksum_address(_hex(address))


def _raised(wei: int) -> int:
    return wei + wei * BUMP_PERCENT // 100 + 1
