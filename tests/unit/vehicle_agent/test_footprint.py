"""What a plain vehicle agent must not load: libraries of other commands and of configurations it does not have."""

import subprocess
import sys

import pytest

from tests.helpers.data import REPOSITORY

LOADED = """
import sys
import vehicle_agent.run
print("\\n".join(name for name, module in sys.modules.items() if module is not None))
"""

FOREIGN = {
    *("asammdf", "numpy", "pandas", "opendbc"),  # logs of other formats, and tests
    *("typer", "rich", "pygments", "segno"),  # command lines, tables, colours and pictures for people
    *("httpx._client", "starlette", "uvicorn", "web3"),  # the network, where somebody is asked or answered
    *("pkcs11", "tpm2_pytss"),  # keys elsewhere than in files
    *("pycrate_asn1rt", "pycrate_asn1dir"),  # schemas, read with the first message
    *("vehicle_agent.cli", "vehicle_agent.replay", "vehicle_agent.learning", "vehicle_agent.signals.map_check"),  # other commands
    *("vehicle_agent.gnss.receiver", "vehicle_agent.bench.cam", "shared.bench"),
}


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    told = subprocess.run([sys.executable, "-c", LOADED], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300)
    return set(told.stdout.split())


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_a_plain_agent_does_not_load(loaded: set[str], name: str) -> None:
    assert "vehicle_agent.shell" in loaded
    assert name not in loaded


def test_the_service_and_the_other_commands_are_one_program() -> None:
    for words, expected in ((("run", "--help"), "Run as a service"), (("--help",), "check-config")):
        program = "from vehicle_agent.command import main; main()"
        told = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300
        )
        assert expected in told.stdout
        assert "vehicle-agent" in told.stdout
