"""Anchor bundles: one JSON file with all that proves a checkpoint anchored, to be checked offline and years later.

    {"format": "v2x-anchor/1", "chain_id": 1337, "contract": "0x...", "note": "...", "header": "0x...",
     "account_proof": ["0x..."], "root_proof": [...], "stamp_proof": [...], "head_proof": [...],
     "receipt": {"place": 0, "nodes": ["0x..."]}}

`receipt` may be missing: the state alone proves that the chain holds the checkpoint. Parsing believes nothing;
`shared.ledger.evm.anchor` verifies.
"""

import json
from dataclasses import dataclass

from shared.core.errors import DecodeError
from shared.core.json_shape import check_depth
from shared.ledger.evm.header import MAX_HEADER_OCTETS, hex_of
from shared.ledger.evm.primitives import ADDRESS_OCTETS, Address
from shared.ledger.evm.receipts import MAX_RECEIPT_OCTETS
from shared.ledger.evm.trie import MAX_ORDERED_ITEMS, MAX_PROOF_NODES

BUNDLE_FORMAT = "v2x-anchor/1"

MAX_BUNDLE_OCTETS = 1 << 20
"""Octets of a file; one on a chain of a million accounts has some 30,000."""

MAX_NOTE_OCTETS = 65_536

_MAX_CHAIN_ID = (1 << 63) - 1
_KEYS = ("format", "chain_id", "contract", "note", "header", "account_proof", "root_proof", "stamp_proof", "head_proof")

Nodes = tuple[bytes, ...]
"""Nodes of a trie, from the root down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptProof:
    """The proof of one receipt: the place of its transaction in the block, and the nodes down to it."""

    place: int
    nodes: Nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorBundle:
    """A parsed bundle, nothing of it verified.

    Attributes:
        chain_id: of the chain.
        contract: the anchor contract.
        note: the signed checkpoint.
        header: RLP of a header at or after the anchoring, with its seals.
        account_proof: of the contract, down from the header's state root.
        root_proof: of the slot with the root.
        stamp_proof: of the slot after it.
        head_proof: of the slot with the log's largest size.
        receipt: that of the transaction, where it was in this very block.
    """

    chain_id: int
    contract: Address
    note: bytes
    header: bytes
    account_proof: Nodes
    root_proof: Nodes
    stamp_proof: Nodes
    head_proof: Nodes
    receipt: ReceiptProof | None = None

    def encode(self) -> bytes:
        """Return the file's octets."""
        table: dict[str, object] = {
            "format": BUNDLE_FORMAT,
            "chain_id": self.chain_id,
            "contract": _text(self.contract),
            "note": self.note.decode(),
            "header": _text(self.header),
            "account_proof": [*map(_text, self.account_proof)],
            "root_proof": [*map(_text, self.root_proof)],
            "stamp_proof": [*map(_text, self.stamp_proof)],
            "head_proof": [*map(_text, self.head_proof)],
        }
        if self.receipt is not None:
            table["receipt"] = {"place": self.receipt.place, "nodes": [*map(_text, self.receipt.nodes)]}
        return (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode()


def parse_bundle(data: bytes) -> AnchorBundle:
    """Parse a bundle; raise `DecodeError` naming the field that is not what it should be."""
    if len(data) > MAX_BUNDLE_OCTETS:
        raise DecodeError("bundle", f"{len(data)} octets; at most {MAX_BUNDLE_OCTETS} are read")
    try:
        text = data.decode()
        check_depth(text)
        table = json.loads(text, object_pairs_hook=_object)
    except ValueError as error:
        raise DecodeError("bundle", f"is no JSON: {error}") from None
    if not isinstance(table, dict) or table.get("format") != BUNDLE_FORMAT:
        raise DecodeError("bundle.format", f"is not {BUNDLE_FORMAT}")
    _check_keys(table, _KEYS, ("receipt",), "bundle")
    note = table["note"]
    if not isinstance(note, str) or len(note) > MAX_NOTE_OCTETS:
        raise DecodeError("bundle.note", f"is a text of at most {MAX_NOTE_OCTETS} characters")
    try:
        note_octets = note.encode()
    except UnicodeEncodeError:
        raise DecodeError("bundle.note", "is no text") from None
    contract = hex_of(table["contract"], "bundle.contract")
    if len(contract) != ADDRESS_OCTETS:
        raise DecodeError("bundle.contract", f"an address has {ADDRESS_OCTETS} octets")
    return AnchorBundle(
        chain_id=_number(table["chain_id"], 1, _MAX_CHAIN_ID, "bundle.chain_id"),
        contract=Address(contract),
        note=note_octets,
        header=_bounded(table["header"], MAX_HEADER_OCTETS, "bundle.header"),
        account_proof=_nodes(table["account_proof"], "bundle.account_proof"),
        root_proof=_nodes(table["root_proof"], "bundle.root_proof"),
        stamp_proof=_nodes(table["stamp_proof"], "bundle.stamp_proof"),
        head_proof=_nodes(table["head_proof"], "bundle.head_proof"),
        receipt=_receipt(table["receipt"]) if "receipt" in table else None,
    )


def _receipt(value: object) -> ReceiptProof:
    field = "bundle.receipt"
    if not isinstance(value, dict):
        raise DecodeError(field, "is an object")
    _check_keys(value, ("place", "nodes"), (), field)
    return ReceiptProof(
        place=_number(value["place"], 0, MAX_ORDERED_ITEMS - 1, f"{field}.place"), nodes=_nodes(value["nodes"], f"{field}.nodes")
    )


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return table


def _check_keys(table: dict[str, object], needed: tuple[str, ...], optional: tuple[str, ...], field: str) -> None:
    for key in needed:
        if key not in table:
            raise DecodeError(f"{field}.{key}", "is missing")
    for key in table:
        if key not in needed and key not in optional:
            raise DecodeError(field, f"has an unknown member {key[:32]!r}")


def _number(value: object, least: int, most: int, field: str) -> int:
    if type(value) is not int or not least <= value <= most:
        raise DecodeError(field, f"is a whole number from {least} to {most}")
    return value


def _nodes(value: object, field: str) -> Nodes:
    if not isinstance(value, list) or len(value) > MAX_PROOF_NODES:
        raise DecodeError(field, f"is a list of at most {MAX_PROOF_NODES} nodes")
    return tuple(_bounded(each, MAX_RECEIPT_OCTETS, field) for each in value)


def _bounded(value: object, octets: int, field: str) -> bytes:
    found = hex_of(value, field)
    if len(found) > octets:
        raise DecodeError(field, f"{len(found)} octets; at most {octets} are read")
    return found


def _text(octets: bytes) -> str:
    return "0x" + octets.hex()
