"""The anchor contract that is shipped is what the compiler makes of its source, and what the verifier expects."""

import json
import re
import subprocess
import sys
from hashlib import sha256

from shared.ledger.evm.account import map_slot
from shared.ledger.evm.anchor import ANCHOR_EVENT, CONFIRMATION_EVENT, CONTRACT_CODE_HASH, MAX_PUBLISHED_OCTETS, storage_slots
from shared.ledger.evm.primitives import keccak256
from shared.transport.evm_chain import contract_artefact
from tests.helpers.anchor_contract import ARTEFACT, SOURCE, compiled
from tests.helpers.ledger import ORIGIN


def test_the_shipped_contract_is_what_the_compiler_makes_of_its_source() -> None:
    assert json.loads(ARTEFACT.read_text()) == compiled()
    assert contract_artefact() == compiled()


def test_the_verifier_expects_the_code_of_the_shipped_contract() -> None:
    assert keccak256(bytes.fromhex(contract_artefact()["code"][2:])) == CONTRACT_CODE_HASH


def test_the_verifier_looks_where_the_contract_keeps_things() -> None:
    slots = contract_artefact()["slots"]
    log = storage_slots(ORIGIN, 5)[2]
    assert (slots["anchors"], slots["heads"]) == (1, 2)
    assert log == map_slot(b"\x02", sha256(ORIGIN.encode()).digest())


def test_the_verifier_knows_the_contracts_events() -> None:
    events = {
        f"{each['name']}({','.join(value['type'] for value in each['inputs'])})"
        for each in contract_artefact()["abi"]
        if each["type"] == "event"
    }
    assert {ANCHOR_EVENT.decode(), CONFIRMATION_EVENT.decode()} <= events


def test_the_contract_publishes_notes_as_long_as_we_send() -> None:
    assert re.search(r"MAX_NOTE: constant\(uint256\) = (\d+)", SOURCE.read_text())[1] == str(MAX_PUBLISHED_OCTETS)  # type: ignore[index]


def test_without_the_extra_the_rest_works_and_what_needs_it_says_what_to_install() -> None:
    program = """
import sys
from hashlib import sha256
for name in ("eth_hash", "eth_keys", "eth_account", "web3"):
    sys.modules[name] = None
from shared.core.errors import ConfigError
from shared.cli.main import app
from shared.ledger.evm.primitives import keccak256, recover_signer
for call in (lambda: keccak256(b""), lambda: recover_signer(bytes(32), bytes(65))):
    try:
        call()
    except ConfigError as error:
        assert "pip install 'v2x-trust[evm]'" in str(error), error
    else:
        raise SystemExit("did not say so")
try:
    app(["ledger", "anchor", "key", "--out", "never.key"], standalone_mode=False)
except ConfigError as error:
    assert "pip install 'v2x-trust[evm]'" in str(error), error
else:
    raise SystemExit("did not say so")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
