"""Whom a reader trusts about a chain, by name, and the one way to a `TrustedHeader`.

    # a consortium (Besu QBFT): the addresses of its validators, again from each block at which they changed
    chain_id = 1337
    contract = "0x..."
    [[validators]]
    from_block = 0
    addresses = ["0x...", "0x...", "0x...", "0x..."]

    # a development chain: one node's word about each header
    chain_id = 31337
    contract = "0x..."
    [pinned_node]
    name = "the laboratory's anvil"
    headers = ["0x..."]

Believing a consortium means: no more than a third of its named validators are false. Believing a pinned node means: that node is
not, and what it said is good for nobody else; that is why it is never a default. The id of the chain is what transactions are
signed for; headers do not carry it. Left out: following a chain from block to block, and consensus other than QBFT.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from itertools import pairwise

from shared.core.errors import ConfigError, DecodeError, ProofError
from shared.ledger.evm.header import BlockHeader, decode_header, hex_of
from shared.ledger.evm.primitives import ADDRESS_OCTETS, HASH_OCTETS, Address, Hash32
from shared.ledger.evm.qbft import MAX_VALIDATORS, check_seals, qbft_block_hash

MAX_TRUST_OCTETS = 65_536
MAX_VALIDATOR_SETS = 64
"""Changes of a consortium that one file tells of."""

MAX_PINNED_HEADERS = 512
MAX_NAME_CHARACTERS = 100
MAX_CHAIN_ID = (1 << 63) - 1

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorSet:
    """The validators of a consortium from a block on; two thirds of them, rounded up, seal each block."""

    from_block: int
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedNode:
    """One node's word, for development chains: these headers are the chain's because that node said so.

    Attributes:
        name: whose node.
        headers: hashes of the headers it vouched for.
    """

    name: str
    headers: frozenset[Hash32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainTrust:
    """What a reader of anchors trusts.

    Attributes:
        chain_id: for which transactions are signed.
        contract: where the anchor contract is.
        by: the consortium's validators, oldest set first, or one pinned node.
    """

    chain_id: int
    contract: Address
    by: tuple[ValidatorSet, ...] | PinnedNode

    @property
    def is_development(self) -> bool:
        """Whether this is one node's word only."""
        return isinstance(self.by, PinnedNode)

    def validators_at(self, block: int) -> ValidatorSet:
        """Return the set that sealed a block; raises `ProofError` where none is named for it."""
        sets = () if isinstance(self.by, PinnedNode) else self.by
        for each in reversed(sets):
            if each.from_block <= block:
                return each
        raise ProofError(f"no validators are named for block {block}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedHeader:
    """A header that whom we trust has sealed or vouched for.

    Attributes:
        header: it.
        block_hash: what the chain calls the block.
        sealed_by: the validators whose seals hold; empty for a pinned node.
        on_whose_word: for people: who vouches.
    """

    header: BlockHeader
    block_hash: Hash32
    sealed_by: tuple[Address, ...]
    on_whose_word: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only shared.ledger.evm.chain_trust makes a TrustedHeader")


def trust_header(encoded: bytes, trust: ChainTrust) -> TrustedHeader:
    """Return a header that the named validators sealed, or that the pinned node vouched for.

    Raises:
        DecodeError: malformed.
        ProofError: it is not.
    """
    header = decode_header(encoded)
    if isinstance(trust.by, PinnedNode):
        named = header.hash()
        if named not in trust.by.headers:
            raise ProofError(f"block {header.number} (0x{named.hex()}) is not one that {trust.by.name} was pinned for")
        word = f"DEVELOPMENT CHAIN: the word of one node, {trust.by.name}"
        return TrustedHeader(header=header, block_hash=named, sealed_by=(), on_whose_word=word, seal=_SEAL)
    validators = trust.validators_at(header.number).addresses
    signers = check_seals(header, validators)
    return TrustedHeader(
        header=header,
        block_hash=qbft_block_hash(header),
        sealed_by=signers,
        on_whose_word=f"{len(signers)} of {len(validators)} named validators",
        seal=_SEAL,
    )


def block_hash(header: BlockHeader, trust: ChainTrust) -> Hash32:
    """Return what a chain trusted so calls a block; raises `DecodeError` where a consortium's header has no QBFT data."""
    return header.hash() if trust.is_development else qbft_block_hash(header)


def parse_chain_trust(data: bytes, path: str) -> ChainTrust:
    """Parse a chain trust file.

    Args:
        data: TOML.
        path: the file, for errors.

    Raises:
        ConfigError: it breaks a rule; the error names the key.
    """
    if len(data) > MAX_TRUST_OCTETS:
        raise ConfigError(path, f"has more than {MAX_TRUST_OCTETS} octets")
    try:
        table: dict[str, object] = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # also of a number of more digits than the interpreter reads
        raise ConfigError(path, f"is no TOML: {error}") from error
    _check_keys(table, {"chain_id", "contract", "validators", "pinned_node"}, path)
    if ("validators" in table) is ("pinned_node" in table):
        raise ConfigError(path, "names either [[validators]] of a consortium or the [pinned_node] of a development chain")
    by = _pinned(table, path) if "pinned_node" in table else _sets(table, path)
    return ChainTrust(
        chain_id=_number(table, "chain_id", 1, f"{path}: chain_id"),
        contract=parse_address(table.get("contract"), f"{path}: contract"),
        by=by,
    )


def parse_address(value: object, path: str) -> Address:
    """Return an address written as 0x and 40 digits; raises `ConfigError`."""
    return Address(_octets(value, ADDRESS_OCTETS, path))


def _pinned(table: dict[str, object], path: str) -> PinnedNode:
    node = table["pinned_node"]
    path = f"{path}: pinned_node"
    if not isinstance(node, dict):
        raise ConfigError(path, "is a table")
    _check_keys(node, {"name", "headers"}, path)
    name, headers = node.get("name"), node.get("headers")
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise ConfigError(f"{path}.name", f"says whose node it is, in at most {MAX_NAME_CHARACTERS} characters")
    if not isinstance(headers, list) or len(headers) > MAX_PINNED_HEADERS:
        raise ConfigError(f"{path}.headers", f"is a list of at most {MAX_PINNED_HEADERS} hashes")
    return PinnedNode(name=name, headers=frozenset(Hash32(_octets(each, HASH_OCTETS, f"{path}.headers")) for each in headers))


def _sets(table: dict[str, object], path: str) -> tuple[ValidatorSet, ...]:
    listed = table["validators"]
    path = f"{path}: validators"
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_VALIDATOR_SETS:
        raise ConfigError(path, f"is a list of 1 to {MAX_VALIDATOR_SETS} tables")
    sets = tuple(_set(each, path) for each in listed)
    if any(a.from_block >= b.from_block for a, b in pairwise(sets)):
        raise ConfigError(f"{path}.from_block", "each set begins after the one before it")
    return sets


def _set(each: object, path: str) -> ValidatorSet:
    if not isinstance(each, dict):
        raise ConfigError(path, "is a list of tables")
    _check_keys(each, {"from_block", "addresses"}, path)
    listed = each.get("addresses")
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_VALIDATORS:
        raise ConfigError(f"{path}.addresses", f"is a list of 1 to {MAX_VALIDATORS} addresses")
    addresses = tuple(parse_address(address, f"{path}.addresses") for address in listed)
    if len(set(addresses)) != len(addresses):
        raise ConfigError(f"{path}.addresses", "names a validator twice")
    return ValidatorSet(from_block=_number(each, "from_block", 0, f"{path}.from_block"), addresses=addresses)


def _number(table: dict[str, object], key: str, least: int, path: str) -> int:
    value = table.get(key)
    if type(value) is not int or not least <= value <= MAX_CHAIN_ID:
        raise ConfigError(path, f"is a whole number from {least}")
    return value


def _octets(value: object, octets: int, path: str) -> bytes:
    try:
        found = hex_of(value, path)
    except DecodeError:
        found = b""
    if len(found) != octets:
        raise ConfigError(path, f"0x and {2 * octets} hexadecimal digits are expected")
    return found


def _check_keys(table: dict[str, object], known: Sequence[str] | set[str], path: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ConfigError(path, f"has an unknown key {unknown[0]!r}")
