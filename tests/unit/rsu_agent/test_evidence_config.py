from pathlib import Path

import pytest

from rsu_agent.evidence_config import EvidenceConfig
from rsu_agent.evidence_open import check_evidence
from shared.core.clock import NS_PER_S
from shared.core.errors import ConfigError
from shared.service.config import ConfigStruct, load
from tests.helpers.ledger import ORIGIN, MemoryLog, log_signer


class Whole(ConfigStruct, frozen=True):
    """A configuration of evidence and nothing else."""

    evidence: EvidenceConfig


LEDGER = f"""
[evidence.ledger]
url = ["https://log.example/v2x"]
origin = "{ORIGIN}"
policy = "log.policy"
"""


def configured(folder: Path, text: str) -> EvidenceConfig:
    file = folder / "rsu.toml"
    file.write_text(text)
    return load(file, Whole).evidence


def test_evidence_without_a_ledger_is_kept_and_the_check_says_that_it_proves_nothing(tmp_path: Path) -> None:
    config = configured(tmp_path, '[evidence]\nfile = "evidence.db"\nmax_age_days = 2\nmax_megabytes = 10\n')
    assert (config.max_age_ns, config.max_bytes) == (2 * 86_400 * NS_PER_S, 10_000_000)
    assert config.file == tmp_path / "evidence.db"
    said = check_evidence(config, environment={})
    assert "for 2 days, 10 MB at most, and proven to nobody" in said


def test_a_ledger_is_judged_before_anything_is_sent_there(tmp_path: Path) -> None:
    config = configured(tmp_path, '[evidence]\nfile = "evidence.db"\n' + LEDGER)
    policy = tmp_path / "log.policy"
    with pytest.raises(ConfigError, match=r"log\.policy"):
        check_evidence(config, environment={})
    policy.write_text("nonsense\n")
    with pytest.raises(ConfigError, match="is no policy"):
        check_evidence(config, environment={})
    policy.write_text(f"log {log_signer('other.example/log').key.text}\nquorum none\n")
    with pytest.raises(ConfigError, match=r"knows no log 'log\.example/odometer'; its logs are other\.example/log"):
        check_evidence(config, environment={})
    policy.write_text(f"log {log_signer().key.text}\nquorum none\n")
    assert check_evidence(config, environment={}).endswith(f"its roots go into the log {ORIGIN} at https://log.example/v2x")


def test_a_pinned_checkpoint_must_be_the_logs(tmp_path: Path) -> None:
    config = configured(tmp_path, '[evidence]\nfile = "evidence.db"\n' + LEDGER + 'pinned = "pinned"\n')
    (tmp_path / "log.policy").write_text(f"log {log_signer().key.text}\nquorum none\n")
    log, other = MemoryLog(), MemoryLog("other.example/log")
    for each in (log, other):
        each.submit(b"entry")
    (tmp_path / "pinned").write_bytes(other.note)
    with pytest.raises(ConfigError, match="cannot be pinned"):
        check_evidence(config, environment={})
    (tmp_path / "pinned").write_bytes(log.note)
    assert check_evidence(config, environment={})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('file = "evidence.db"\nmax_age_days = 0\n', "max_age_days"),
        ('file = "evidence.db"\nmax_megabytes = 1\n', "max_megabytes"),
        ("max_age_days = 2\n", "missing key `file`"),
        ('file = "evidence.db"\nkeep = true\n', "unknown key"),
        ('file = "evidence.db"\n' + LEDGER.replace("https://log.example/v2x", "log.example"), "url"),
        ('file = "evidence.db"\n' + LEDGER.replace('"https://log.example/v2x"', '"https://a/x", "https://a/x"'), "named twice"),
        ('file = "evidence.db"\n' + LEDGER.replace(ORIGIN, "a name"), "origin"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(tmp_path, f"[evidence]\n{text}")
