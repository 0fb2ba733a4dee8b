"""The file that names whom to trust about a chain: every rule of it, by the key that breaks it."""

import pytest

from shared.core.errors import ConfigError
from shared.ledger.evm.chain_trust import MAX_PINNED_HEADERS, MAX_TRUST_OCTETS, PinnedNode, parse_chain_trust

CONTRACT = "0x" + "c0" * 20
A, B = "0x" + "0a" * 20, "0x" + "0b" * 20
HEADER = "0x" + "11" * 32

CONSORTIUM = f"""
chain_id = 1337
contract = "{CONTRACT}"
[[validators]]
from_block = 0
addresses = ["{A}"]
[[validators]]
from_block = 90
addresses = ["{A}", "{B}"]
"""

DEVELOPMENT = f"""
chain_id = 31337
contract = "{CONTRACT}"
[pinned_node]
name = "the bench's anvil"
headers = ["{HEADER}"]
"""


def test_a_consortium_is_read_with_its_changes() -> None:
    trust = parse_chain_trust(CONSORTIUM.encode(), "trust.toml")
    assert (trust.chain_id, trust.contract.hex(), trust.is_development) == (1337, "c0" * 20, False)
    assert [len(trust.validators_at(block).addresses) for block in (0, 89, 90, 10**12)] == [1, 1, 2, 2]


def test_a_development_chain_is_one_nodes_word_and_says_so() -> None:
    trust = parse_chain_trust(DEVELOPMENT.encode(), "trust.toml")
    assert trust.is_development
    assert trust.by == PinnedNode(name="the bench's anvil", headers=frozenset({bytes.fromhex("11" * 32)}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "either"),
        ("chain_id = ", "no TOML"),
        (CONSORTIUM + "[pinned_node]\n", "either"),
        (CONSORTIUM.replace("chain_id = 1337", ""), "chain_id"),
        (CONSORTIUM.replace("1337", "true"), "chain_id"),
        (CONSORTIUM.replace("1337", "0"), "chain_id"),
        (CONSORTIUM.replace(CONTRACT, "0xc0"), "contract"),
        (CONSORTIUM.replace(CONTRACT, CONTRACT[2:]), "contract"),
        (CONSORTIUM + "seals = 3\n", "unknown key 'seals'"),
        ("colour = 1\n" + CONSORTIUM, "unknown key 'colour'"),
        (CONSORTIUM.replace("90", "0"), "from_block"),
        (CONSORTIUM.replace("from_block = 0\n", ""), "from_block"),
        (CONSORTIUM.replace(B, A), "twice"),
        (CONSORTIUM.replace(f'["{A}"]', "[]"), "addresses"),
        (CONSORTIUM.replace(f'["{A}"]', "[5]"), "addresses"),
        (f'chain_id = 1\ncontract = "{CONTRACT}"\nvalidators = []\n', "validators"),
        (f'chain_id = 1\ncontract = "{CONTRACT}"\nvalidators = [5]\n', "validators"),
        (f'chain_id = 1\ncontract = "{CONTRACT}"\npinned_node = 5\n', "pinned_node"),
        (DEVELOPMENT.replace("the bench's anvil", ""), "pinned_node.name"),
        (DEVELOPMENT.replace(HEADER, "0x11"), "pinned_node.headers"),
        (DEVELOPMENT.replace(f'["{HEADER}"]', f"{[HEADER] * (MAX_PINNED_HEADERS + 1)}"), "pinned_node.headers"),
        (DEVELOPMENT + "trusting = true\n", "unknown key 'trusting'"),
        ("#" * (MAX_TRUST_OCTETS + 1), "octets"),
    ],
)
def test_a_file_that_breaks_a_rule_names_the_key(text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key) as caught:
        parse_chain_trust(text.encode(), "trust.toml")
    assert str(caught.value).startswith("trust.toml")


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="no TOML"):
        parse_chain_trust(b"\xff\xfe", "trust.toml")
