"""From a configuration to a running vehicle: what is read, in what order, and what a mistake in it leaves behind."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.core.clock import ManualClock
from shared.core.errors import ConfigError, StorageError
from shared.core.geo import GeoPoint
from shared.core.ids import StationType
from shared.records.passport import Passport
from shared.service.config import load
from shared.service.identity import ENROLMENT_KEY, TICKET_KEY
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.unit.vehicle_agent.vehicle_files import CONFIG, set_up_vehicle
from vehicle_agent.composition import VehicleParts, make_agent, make_passport, open_vehicle, read_files
from vehicle_agent.config import VehicleConfig

HIERARCHY = Hierarchy(11)
START = ManualClock(NOON).now()
FIXED = '[position]\nsource = "fixed"\nlat_deg = 48.1\nlon_deg = 11.5\n'


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return set_up_vehicle(tmp_path, HIERARCHY)


def config(path: Path) -> VehicleConfig:
    return load(path, VehicleConfig)


def changed(path: Path, old: str, new: str) -> VehicleConfig:
    assert old in CONFIG
    path.write_text(CONFIG.replace(old, new))
    return config(path)


def made(path: Path) -> list[str]:
    """Return the agent's own files that are there."""
    return sorted(file.name for file in (path.parent / "state").iterdir())


def test_a_vehicle_is_opened_used_and_closed_again(config_file: Path) -> None:
    for _ in range(2):
        with opening(config(config_file)) as parts:
            agent = make_agent(parts, entropy=bytes, started=ManualClock(NOON).now())
            assert agent.status()["sent"] == {}
    assert {"log.db", "log.key", "log.policy", "spool.db"} <= set(made(config_file))


def test_two_agents_do_not_record_into_one_spool(config_file: Path) -> None:
    with (
        opening(config(config_file)),
        pytest.raises(StorageError, match=r"spool\.db: is in use by another program"),
        opening(config(config_file)),
    ):
        pass


@contextmanager
def opening(configuration: VehicleConfig) -> Iterator[VehicleParts]:
    """Open a vehicle and look at what it is made of."""
    with open_vehicle(configuration, base=Path("/nowhere"), environment={}, now=START) as vehicle:
        assert vehicle.trust is None
        assert vehicle.identity is None
        assert vehicle.successor is None
        yield vehicle.parts


def test_the_first_start_makes_a_policy_that_trusts_the_embedded_log_and_the_second_keeps_it(config_file: Path) -> None:
    policy = config_file.parent / "state/log.policy"
    with opening(config(config_file)) as parts:
        assert [log.key.name for log in parts.policy.logs] == ["vehicle.example/log"]
        assert parts.policy.quorum is None
    before = policy.read_bytes()
    assert policy.stat().st_mode & 0o777 == 0o644
    with opening(config(config_file)):
        assert policy.read_bytes() == before


def test_what_the_operator_wrote_is_what_the_vehicle_is_made_of(config_file: Path) -> None:
    with opening(config(config_file)) as parts:
        assert (parts.length_m, parts.width_m, parts.station_type) == (4.6, 1.8, StationType.PASSENGER_CAR)
        assert (parts.odometer_policy.every_m, parts.odometer_policy.every_s) == (50, 86_400)
        assert parts.fixed_position is None
        assert set(parts.trust_store.roots) == {HIERARCHY.root.certificate.hashed_id8}


def test_a_bench_has_its_place_from_the_configuration(config_file: Path) -> None:
    place = 'map = "sim_car.toml"\n[position]\nsource = "fixed"\nlat_deg = 48.1\nlon_deg = 11.5\nheading_deg = 270'
    with opening(changed(config_file, 'map = "sim_car.toml"', place)) as parts:
        assert (parts.fixed_position, parts.fixed_heading_deg) == (GeoPoint(48.1, 11.5), 270.0)


def test_keys_come_from_systemd_where_it_passes_them(config_file: Path, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for folder, name in (("ticket", TICKET_KEY), ("enrolment", ENROLMENT_KEY)):
        (tmp_path / folder / "key.pem").rename(credentials / name)
    with pytest.raises(ConfigError, match=r"key\.pem"):
        read_files(config(config_file), environment={})
    files = read_files(config(config_file), environment={"CREDENTIALS_DIRECTORY": str(credentials)})
    assert files.ticket is not None
    assert files.enrolled is not None
    assert files.ticket.certificate.encoded == (tmp_path / "ticket/certificate.oer").read_bytes()
    assert files.enrolled.certificate == (tmp_path / "enrolment/certificate.oer").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('ticket = "ticket"', 'ticket = "absent"', "absent"),
        ('enrolment = "enrolment"', 'enrolment = "absent"', "absent"),
        ('trust = "trust"', 'trust = "state"', "roots"),
        ('map = "sim_car.toml"', 'map = "absent.toml"', "absent.toml"),
    ],
)
def test_a_mistake_of_the_operator_is_named_before_any_file_is_made(config_file: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named), opening(changed(config_file, old, new)):
        pass
    assert made(config_file) == []


def test_a_key_that_others_may_read_is_refused(config_file: Path) -> None:
    (config_file.parent / "ticket/key.pem").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"), opening(config(config_file)):
        pass


def test_a_key_of_another_ticket_is_refused(config_file: Path) -> None:
    shutil.copy(config_file.parent / "enrolment/key.pem", config_file.parent / "ticket/key.pem")
    with pytest.raises(ConfigError, match="does not belong"), opening(config(config_file)):
        pass


@pytest.mark.parametrize("text", ["rubbish\n", "", "\x00", "log nobody+00000000+AA== x\nquorum none\n"])
def test_a_policy_that_is_none_is_the_operator_s_mistake(config_file: Path, text: str) -> None:
    (config_file.parent / "state/log.policy").write_text(text)
    with pytest.raises(ConfigError, match=r"log\.policy"), opening(config(config_file)):
        pass


def test_a_policy_that_does_not_name_the_log_is_the_operator_s_mistake(config_file: Path) -> None:
    with opening(config(config_file)):
        pass
    state = config_file.parent / "state"
    for name in ("log.db", "log.key"):
        (state / name).unlink()
    with (
        pytest.raises(ConfigError, match="does not name the embedded log's key"),
        opening(config(config_file)),
    ):
        pass


@pytest.mark.parametrize("name", ["log.db", "spool.db"])
def test_a_file_cut_short_is_refused_and_left_alone(config_file: Path, name: str) -> None:
    with opening(config(config_file)):
        pass
    file = config_file.parent / "state" / name
    file.write_bytes(file.read_bytes()[:-100])
    before = file.read_bytes()
    with pytest.raises(StorageError, match="is cut short"), opening(config(config_file)):
        pass
    assert file.read_bytes() == before


def test_a_vehicle_without_records_has_an_empty_passport(config_file: Path) -> None:
    with opening(config(config_file)) as parts:
        assert parts.enrolled.authority == HIERARCHY.ea.certificate.encoded
        assert make_passport(parts) == Passport(credentials=(), records=())


def test_a_vehicle_whose_records_nobody_could_verify_does_not_start(config_file: Path, tmp_path: Path) -> None:
    identifier = HIERARCHY.ea.certificate.hashed_id8.hex().upper()
    (tmp_path / f"trust/authorities/{identifier}.oer").unlink()
    with pytest.raises(ConfigError, match=r"enrolment: is no enrolment credential others could believe: .* is not known"):
        read_files(config(config_file), environment={})


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('ticket = "ticket"', 'ticket = "enrolment"', "enrolment: is no ticket others could believe"),
        ('enrolment = "enrolment"', 'enrolment = "ticket"', "ticket: is no enrolment credential others could believe"),
    ],
)
def test_a_certificate_for_something_else_is_refused_at_the_start(config_file: Path, old: str, new: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_files(changed(config_file, old, new), environment={})


def test_two_starts_of_one_vehicle_are_two_pseudonyms(config_file: Path) -> None:
    def identity(parts: VehicleParts, octet: int) -> object:
        started = ManualClock(NOON).now()
        return make_agent(parts, entropy=lambda count: bytes([octet]) * count, started=started).status()["station_id"]

    with opening(config(config_file)) as parts:
        assert identity(parts, 1) != identity(parts, 2)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("length_m = 4.6", "length_m = 0", "station.length_m"),
        ("width_m = 1.8", 'width_m = "wide"', "station.width_m"),
        ("[station]", "[station]\ncolour = 1", "station"),
        ("every_m = 50", "every_m = 0", "odometer.every_m"),
        ("every_m = 50", "every_s = -1", "odometer.every_s"),
        ('source = "assume_trusted"', 'source = "hope"', "time.source"),
        ('origin = "vehicle.example/log"', 'origin = "two words"', "ledger"),
        ('origin = "vehicle.example/log"', 'origin = ""', "ledger"),
        ("[odometer]", '[[radio]]\nkind = "udp"\nport = 70000\n[odometer]', "radio[0].port"),
        ("[odometer]", '[[radio]]\nkind = "ethernet"\ninterface = "a/b"\n[odometer]', "radio[0]"),
        ("[odometer]", '[[radio]]\nkind = "ethernet"\n[odometer]', "radio[0]"),
        ("[odometer]", '[capture]\nfile = "radio.txt"\n[odometer]', "capture"),
        ("[odometer]", '[position]\nsource = "fixed"\nlat_deg = 48.1\n[odometer]', "position"),
        ("[odometer]", '[position]\nsource = "fixed"\nlat_deg = 98.1\nlon_deg = 0.0\n[odometer]', "position"),
        ("[odometer]", "[position]\nlat_deg = 48.1\nlon_deg = 11.5\n[odometer]", "position"),
        ("[odometer]", "[position]\nheading_deg = 90\n[odometer]", "position"),
        ("[odometer]", f"{FIXED}heading_deg = 360\n[odometer]", "position.heading_deg"),
        ("[odometer]", '[position]\nsource = "gpsd"\nbaud = 9600\n[odometer]', "position"),
        ("[odometer]", '[position]\nsource = "gpsd"\nport = 0\n[odometer]', "position.port"),
        ("[odometer]", '[position]\nsource = "nmea"\n[odometer]', "position"),
        ("[odometer]", '[position]\nsource = "nmea"\nhost = "127.0.0.1"\n[odometer]', "position"),
        ("[odometer]", '[position]\nsource = "nmea"\nfile = "a"\ndevice = "b"\n[odometer]', "position"),
        ("[odometer]", '[position]\nsource = "nmea"\nfile = "a"\nbaud = 9600\n[odometer]', "position"),
        ("[odometer]", '[position]\nsource = "nmea"\ndevice = "a"\nbaud = 9601\n[odometer]', "position.baud"),
        ('source = "assume_trusted"', 'source = "gnss"', ""),
    ],
)
def test_an_impossible_value_is_named_by_its_key(config_file: Path, old: str, new: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        changed(config_file, old, new)
    assert str(caught.value).startswith(f"{config_file}: {key}")
