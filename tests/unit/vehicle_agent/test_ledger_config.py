"""`[ledger]`: an embedded log or one on a network, and every mistake told in one sentence before anything is made."""

from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ConfigError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.merkle import EMPTY_ROOT
from shared.ledger.note import sign_note
from shared.service.config import load
from shared.service.ledger_token import read_ledger_token
from shared.service.spool import AnchorState
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.ledger import ORIGIN, log_signer
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.composition import make_agent, open_vehicle, read_files
from vehicle_agent.config import DEFAULT_SUBMIT_DELAY_S, VehicleConfig
from vehicle_agent.ledger_parts import check_ledger
from vehicle_agent.online_anchoring import Errands

HIERARCHY = Hierarchy(12)
START = ManualClock(NOON).now()
EMBEDDED = CONFIG[CONFIG.index("[ledger]\n") : CONFIG.index("[state]")]
ONLINE = f"""\
[ledger]
url = ["http://relay.example:8481", "https://log.example/v2x"]
policy = "log.policy"
origin = "{ORIGIN}"
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = set_up_vehicle(tmp_path, HIERARCHY, config=CONFIG.replace(EMBEDDED, ONLINE))
    (tmp_path / "log.policy").write_text(f"log {log_signer().key.text}\nquorum none\n")
    (tmp_path / "pinned").write_bytes(sign_note(Checkpoint(origin=ORIGIN, tree_size=0, root=EMPTY_ROOT).encode(), log_signer()))
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    token.chmod(0o600)
    return path


def read(path: Path, ledger: str = ONLINE) -> VehicleConfig:
    path.write_text(CONFIG.replace(EMBEDDED, ledger))
    return load(path, VehicleConfig)


def test_a_vehicle_with_a_log_on_a_network_opens_without_it_and_spools(config_file: Path) -> None:
    with open_vehicle(load(config_file, VehicleConfig), base=config_file.parent, environment={}, now=START) as vehicle:
        parts = vehicle.parts
        assert isinstance(parts.ledger, Errands)
        assert parts.pinned is None
        agent = make_agent(parts, entropy=bytes, started=START)
        agent.on_ledger_answers(START)
        odometer = agent.status()["odometer"]
        assert isinstance(odometer, dict)
        assert odometer["ledger"]["log"] == ORIGIN
        assert parts.spool.counts()[AnchorState.PENDING] == 0
    assert not (config_file.parent / "state/log.db").exists()


def test_a_pinned_checkpoint_is_trusted_from_the_start(config_file: Path) -> None:
    configuration = read(config_file, ONLINE + 'pinned = "pinned"\n')
    with open_vehicle(configuration, base=config_file.parent, environment={}, now=START) as vehicle:
        assert vehicle.parts.pinned == (config_file.parent / "pinned").read_bytes()
        make_agent(vehicle.parts, entropy=bytes, started=START)
        assert vehicle.parts.spool.trusted_note() == vehicle.parts.pinned


def test_what_check_config_says_of_the_log(config_file: Path) -> None:
    assert check_ledger(load(config_file, VehicleConfig).ledger, environment={}) == (
        f"records go into the log {ORIGIN} at http://relay.example:8481, https://log.example/v2x"
    )
    more = read(config_file, ONLINE + 'pinned = "pinned"\ntoken = "token"\n')
    assert check_ledger(more.ledger, environment={}).endswith("(pinned, with a token)")
    assert check_ledger(read(config_file, EMBEDDED).ledger, environment={}).startswith("records go into the embedded ledger")


def test_submissions_are_spread_over_a_minute_unless_said_otherwise(config_file: Path) -> None:
    assert load(config_file, VehicleConfig).ledger.delay_s == DEFAULT_SUBMIT_DELAY_S
    assert read(config_file, ONLINE + "submit_delay_s = 0.0\n").ledger.delay_s == 0


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        (ONLINE.replace('"http://relay.example:8481"', '"ftp://relay.example"'), "url: .*no http or https URL"),
        (ONLINE.replace("https://log.example/v2x", "http://relay.example:8481"), "named twice"),
        (ONLINE + 'log = "state/log.db"\n', "one is enough"),
        (ONLINE.replace('url = ["http://relay.example:8481", "https://log.example/v2x"]', "url = []"), "needs url"),
        (EMBEDDED + 'token = "token"\n', "belong to a log on a network"),
        (EMBEDDED + "submit_delay_s = 3\n", "belong to a log on a network"),
        (ONLINE + "submit_delay_s = -1\n", "submit_delay_s"),
        (ONLINE.replace(ORIGIN, "two words"), "origin"),
        (ONLINE + "witnesses = 3\n", "unknown key"),
    ],
)
def test_a_table_that_means_nothing_is_refused(config_file: Path, ledger: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(config_file, ledger)


@pytest.mark.parametrize(
    ("ledger", "spoil", "words"),
    [
        (ONLINE, "log.policy", "is no policy"),
        (ONLINE.replace(ORIGIN, "other.example"), "", f"knows no log 'other.example'; its logs are {ORIGIN}"),
        (ONLINE.replace("log.policy", "absent"), "", "absent: cannot be read"),
        (ONLINE + 'pinned = "pinned"\n', "pinned", "cannot be pinned"),
        (ONLINE + 'pinned = "absent"\n', "", "absent: cannot be read"),
        (ONLINE + 'token = "absent"\n', "", "the token cannot be read"),
        (ONLINE + 'token = "token"\n', "token", "holds no token"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named_and_nothing_is_made(
    config_file: Path, ledger: str, spoil: str, words: str
) -> None:
    configuration = read(config_file, ledger)
    if spoil:
        (config_file.parent / spoil).write_text("no such thing\n")
    with pytest.raises(ConfigError, match=words):
        read_files(configuration, environment={})
    assert list((config_file.parent / "state").iterdir()) == []


def test_a_token_others_may_read_is_refused_and_systemds_goes_before_the_file(config_file: Path) -> None:
    token = config_file.parent / "token"
    assert read_ledger_token(token, environment={}) == "t0ken"
    token.chmod(0o644)
    with pytest.raises(ConfigError, match="token"):
        read_ledger_token(token, environment={})
    passed = config_file.parent / "credentials"
    passed.mkdir()
    (passed / "ledger.token").write_text("from-systemd")
    (passed / "ledger.token").chmod(0o440)
    assert read_ledger_token(token, environment={"CREDENTIALS_DIRECTORY": str(passed)}) == "from-systemd"
    assert read_ledger_token(None, environment={}) is None
