"""A recorded bus on which another logger asked, replayed by the command: its answers count, and nothing is asked."""

import json
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_S, MonotonicNs
from shared.core.itstime import utc_text
from shared.transport.can_frame import CanFrame
from tests.helpers.hierarchy import NOON
from tests.unit.vehicle_agent.agent_bench import HIERARCHY, WOKEN, candump, recorded_drive
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.cli import main


def test_a_replay_uses_what_another_logger_asked_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_vehicle(tmp_path, HIERARCHY, config=CONFIG + '\n[requests]\nbus = "can0"\n')
    answers = [
        CanFrame(0x7E8, False, bytes.fromhex(octets), "can0", MonotonicNs(WOKEN + n * NS_PER_S // 2))
        for n, octets in enumerate(("03410d36", "0641a60003d440", "03410d36", "03410d37"))
    ]
    frames = sorted([*recorded_drive(3.0), *answers], key=lambda frame: frame.received)
    (tmp_path / "drive.log").write_text(candump(frames))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", ["vehicle-agent", "replay", "drive.log", "-c", "agent.toml", "--start-utc", utc_text(NOON), "--json"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    requests = json.loads(capsys.readouterr().out)["requests"]
    assert not ended.value.code
    assert (requests["asks"], requests["counters"], requests["faults"]) == (False, {"overheard": 4}, {})
    said = {each["quantity"]: each["value"] for each in requests["witnesses"]}
    assert said["odometer_m"] == 25_094_400.0
