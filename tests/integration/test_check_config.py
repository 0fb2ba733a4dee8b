"""`check-config` of both agents: each mistake is one sentence that names the file and the key, and status 2; never a traceback."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

import rsu_agent.cli
import vehicle_agent.cli
from shared.core.errors import ConfigError
from shared.service.run import EXIT_CONFIGURATION, error_line, exit_code_of
from tests.helpers.data import REPOSITORY
from tests.helpers.vehicle import issue_identities, write_vehicle_config

UDP = '[[radio]]\nkind = "udp"\n'
MQTT = '[[radio]]\nkind = "mqtt"\nhost = "127.0.0.1"\n'
ETHERNET = '[[radio]]\nkind = "ethernet"\n'
ZONE = "[[protected_zone]]\nlat_deg = 48.0\nlon_deg = 11.0\n"
HAZARD = '[[hazard]]\ncause = "roadworks"\nlat_deg = 48.1\nlon_deg = 11.5\nrelevance_distance_m = 500\nradius_m = '
ROLE = '[station]\nlength_m = 4.6\nwidth_m = 1.8\nrole = "{}"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A folder with whatever configurations name, and two that are right but for radios."""

    folder: Path
    vehicle: str
    unit: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("mistakes")
    identities = issue_identities(folder)
    vehicle = write_vehicle_config(folder, identities, state=folder / "state").read_text()
    for part in ("plan", "map"):
        shutil.copy(REPOSITORY / f"rsu_agent/junctions/crossing.{part}.toml", folder)
    for name in ("open.secret", "rubbish"):
        (folder / name).write_text("nothing anybody could use")
        (folder / name).chmod(0o644)
    (folder / "folder.pcap").mkdir()
    unit = f"""\
[identity]
ticket = "{identities.rsu_ticket}"
trust = "{identities.trust}"
[time]
source = "assume_trusted"
[state]
status_socket = "status.sock"
[station]
station_id = 4049
lat_deg = 48.137
lon_deg = 11.575
"""
    without_media = re.sub(r"(?s)\[\[radio\]\]\n.*?\n\n|\[capture\]\n.*?\n\n", "", vehicle)
    return Place(folder=folder, vehicle=without_media, unit=unit)


def checked(place: Place, app: Typer, text: str) -> BaseException | None:
    (place.folder / "agent.toml").write_text(text)
    return CliRunner().invoke(app, ["check-config", "-c", str(place.folder / "agent.toml")]).exception


def expect(place: Place, app: Typer, text: str, where: str, reason: str) -> None:
    error = checked(place, app, text)
    assert isinstance(error, ConfigError), error
    assert exit_code_of(error) == EXIT_CONFIGURATION
    line = error_line(error)
    assert "\n" not in line
    assert where in line.replace(f"{place.folder}/", "")
    assert reason in line


COMMON = [
    ('[radio]\nkind = "udp"\n', "agent.toml: radio:", "there is a [[radio]] table for each; this is a single [radio]"),
    ("[[radio]]\nport = 1\n", "agent.toml: radio[0]:", "missing key `kind`"),
    ('[[radio]]\nkind = "wifi"\n', "agent.toml: radio[0].kind:", "it may be 'udp', 'ethernet', 'mqtt'"),
    (UDP + "port = 0\n", "agent.toml: radio[0].port:", ">= 1"),
    (UDP + 'group = "10.0.0.1"\n', "agent.toml: radio[0]:", "10.0.0.1 is not a multicast address"),
    (UDP + 'interface = "eth0"\n', "agent.toml: radio[0]:", "'eth0' is not an IPv4 address"),
    (UDP + "prot = 1\n", "agent.toml: radio[0]:", "unknown key `prot`"),
    (UDP + 'name = "its g5"\n', "agent.toml: radio[0].name:", "matching regex"),
    (UDP + 'name = "its\\n"\n', "agent.toml: radio[0].name:", "matching regex"),
    (UDP + UDP, "agent.toml:", "two radios are called 'udp'"),
    (UDP + UDP + 'name = "b"\n', "agent.toml:", "is on the same medium as another"),
    (ETHERNET, "agent.toml: radio[0]:", "missing key `interface`"),
    (ETHERNET + 'interface = "a/b"\n', "agent.toml: radio[0]:", "cannot be the name of a network interface"),
    ('[[radio]]\nkind = "mqtt"\n', "agent.toml: radio[0]:", "missing key `host`"),
    ('[[radio]]\nkind = "mqtt"\nhost = "mqtt://broker"\n', "agent.toml: radio[0]: host:", "neither the name of a host"),
    ('[[radio]]\nkind = "mqtt"\nhost = "my broker"\n', "agent.toml: radio[0]: host:", "neither the name of a host"),
    (MQTT + 'ca = "absent.pem"\n', "radio mqtt: absent.pem:", "No such file"),
    (MQTT + 'name = "cloud"\nca = "rubbish"\n', "radio cloud: rubbish:", "holds no certificates"),
    (MQTT + 'certificate = "rubbish"\n', "agent.toml: radio[0]:", "certificate and key belong together"),
    (MQTT + 'certificate = "rubbish"\nkey = "open.secret"\n', "radio mqtt: open.secret:", "is open to others"),
    (MQTT + 'password_file = "open.secret"\n', "agent.toml: radio[0]:", "password_file needs username"),
    (MQTT + 'username = "u"\npassword_file = "open.secret"\n', "radio mqtt: open.secret:", "is open to others"),
    (MQTT + 'namespace = "a/#"\n', "agent.toml: radio[0]: namespace", "is not made of"),
    (MQTT + "[radio.radius_m]\ncam = nan\n", "agent.toml: radio[0]: radius_m", "is outside"),
    (MQTT + "[radio.qos]\ncam = 2\n", "agent.toml: radio[0].qos[...]:", "it may be 0, 1"),
    (MQTT + 'retain = ["x"]\n', "agent.toml: radio[0]: retain", "'x' is none of"),
    (MQTT + "insecure = true\n", "agent.toml: radio[0]:", "unknown key `insecure`"),
    ("[capture]\nheard = true\n", "agent.toml: capture:", "missing key `file`"),
    ('[capture]\nfile = "a.txt"\n', "agent.toml: capture:", "must end in .pcap or .pcapng"),
    ('[capture]\nfile = "a.pcap"\nheard = "yes"\n', "agent.toml: capture.heard:", "Expected `bool`"),
    ('[capture]\nfile = "folder.pcap"\n', "capture.file: folder.pcap", "is no file"),
    ('[network]\nforward = "some"\n', "agent.toml: network.forward:", "it may be 'all_radios', 'none', 'same_radio'"),
    ("[network]\nhops = 3\n", "agent.toml: network:", "unknown key `hops`"),
]


@pytest.mark.parametrize(("table", "where", "reason"), COMMON)
def test_a_mistake_in_what_both_agents_have_is_named(place: Place, table: str, where: str, reason: str) -> None:
    expect(place, vehicle_agent.cli.app, place.vehicle + table, where, reason)
    expect(place, rsu_agent.cli.app, place.unit + table, where, reason)


@pytest.mark.parametrize(
    ("table", "where", "reason"),
    [
        ('[hazards]\nannounce = "no"\n', "agent.toml: hazards.announce:", "Expected `bool`"),
        ('[hazards]\nwithout = ["fogg"]\n', "agent.toml: hazards.without[0]:", "it may be 'breakdown', "),
        ('[hazards]\nenergy = ["steam"]\n', "agent.toml: hazards.energy[0]:", "'gasoline'"),
        ("[hazards]\nwith = []\n", "agent.toml: hazards:", "unknown key `with`"),
        ("[driver]\nsocket = 1\n", "agent.toml: driver.socket:", "expected the path"),
        (f'[driver]\nsocket = "/{"x" * 120}"\n', "driver.socket:", "too long for a socket by"),
        ('[driver]\nsocket = "rubbish"\n', "driver.socket: rubbish", "is no socket"),
        ("[driver]\ntown_limit_kmh = 500\n", "agent.toml: driver.town_limit_kmh:", "<= 130"),
        ('[driver.mqtt]\nhost = "192.0.2.1"\n', "agent.toml: driver.mqtt:", "on this machine"),
        ('[driver.mqtt]\ntopic = "a/#"\n', "agent.toml: driver.mqtt.topic:", "matching regex"),
        ('[driver.mqtt]\nusername = "u"\npassword_file = "absent"\n', "absent:", "No such file"),
        ('[driver.mqtt]\nusername = "u"\npassword_file = "open.secret"\n', "open.secret:", "is open to others"),
        ('[driver.can]\nchannel = "x"\n', "agent.toml: driver.can:", "missing key `interface`"),
        ('[driver.can]\ninterface = "telepathy"\nchannel = "x"\n', "driver.can.interface:", "'telepathy' is none of"),
        ('[driver.can]\ninterface = "virtual"\nchannel = "x"\ndbc = "rubbish"\n', "driver.can.dbc", "rubbish"),
        ("[position]\nlat_deg = 48.1\n", "agent.toml: position:", "missing key `source`"),
        ('[position]\nsource = "gps"\n', "agent.toml: position.source:", "it may be 'can', 'fixed', 'gpsd', 'nmea'"),
        ('[position]\nsource = "fixed"\nlat_deg = 48.1\n', "agent.toml: position:", "missing key `lon_deg`"),
        ('[position]\nsource = "can"\nlat_deg = 48.1\n', "agent.toml: position:", "unknown key `lat_deg`"),
        ('[position]\nsource = "gpsd"\nbaud = 9600\n', "agent.toml: position:", "unknown key `baud`"),
        ('[position]\nsource = "gpsd"\nhost = ""\n', "agent.toml: position.host:", "length >= 1"),
        ('[position]\nsource = "nmea"\n', "agent.toml: position:", "one of device, host with port, and file"),
        ('[position]\nsource = "nmea"\nhost = "127.0.0.1"\n', "agent.toml: position:", "host and port belong together"),
        ('[position]\nsource = "nmea"\nfile = "a"\nbaud = 9600\n', "agent.toml: position:", "baud belongs to a device"),
        ('[position]\nsource = "nmea"\ndevice = "a"\nbaud = 1200\n', "agent.toml: position.baud:", "it may be 4800"),
        ('[position]\nsource = "nmea"\nfile = "absent"\n', "position.file: absent", "is no file"),
        ('[position]\nsource = "nmea"\ndevice = "a"\ndelay_ms = 5000\n', "agent.toml: position.delay_ms:", "<= 2000"),
    ],
)
def test_a_mistake_in_what_a_vehicle_has_is_named(place: Place, table: str, where: str, reason: str) -> None:
    expect(place, vehicle_agent.cli.app, place.vehicle + table, where, reason)


def test_the_date_of_a_receiver_needs_a_receiver(place: Place) -> None:
    text = place.vehicle.replace('source = "assume_trusted"', 'source = "gnss"')
    expect(place, vehicle_agent.cli.app, text, "agent.toml:", 'time.source "gnss" needs a receiver')
    assert checked(place, vehicle_agent.cli.app, text + '[position]\nsource = "gpsd"\n') is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('source = "gpsd"\n', ("position: gpsd 127.0.0.1:2947", "not taken from the bus", "Vehicle.CurrentLocation")),
        ('source = "nmea"\ndevice = "absent"\n', ("position: NMEA", "not there at the moment")),
        ('source = "nmea"\nhost = "127.0.0.1"\nport = 10110\ntransport = "udp"\n', ("position: NMEA udp 127.0.0.1:10110",)),
        ('source = "fixed"\nlat_deg = 48.1\nlon_deg = 11.5\n', ("position: fixed",)),
    ],
)
def test_it_says_where_the_position_comes_from(place: Place, table: str, words: tuple[str, ...]) -> None:
    (place.folder / "agent.toml").write_text(f"{place.vehicle}[position]\n{table}")
    result = CliRunner().invoke(vehicle_agent.cli.app, ["check-config", "-c", str(place.folder / "agent.toml")])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("role", "table", "where", "reason"),
    [
        ("police", "", "agent.toml: station.role:", "'emergency'"),
        ("default", "[station.emergency]\n", "agent.toml: station:", "belongs to the role 'emergency'"),
        ("dangerous_goods", "", "agent.toml: station:", "needs [station.dangerous_goods]"),
        ("dangerous_goods", '[station.dangerous_goods]\ngoods = "milk"\n', "station.dangerous_goods:", "goods is none of"),
        ("special_transport", "[station.special_transport]\n", "station.special_transport:", "must be true"),
        ("public_transport", '[station.public_transport]\nactivation_data = "00"\n', "station.public_transport:", "together"),
        ("emergency", '[station.emergency]\nincident_cause = "party"\n', "station.emergency:", "no cause 'party'"),
        ("emergency", '[station.emergency]\nat_work = "never"\n', "station.emergency.at_work:", "it may be 'always', 'lamps'"),
        ("road_work", "[station.road_work]\nclosed_lanes = []\n", "station.road_work.closed_lanes:", "length >= 1"),
        ("safety_car", "[station.safety_car]\nspeed_limit_kmh = 0\n", "station.safety_car.speed_limit_kmh:", ">= 1"),
        ("safety_car", '[station.safety_car]\ntraffic_rule = "honk"\n', "station.safety_car.traffic_rule:", "'no_passing'"),
    ],
)
def test_a_mistake_in_a_vehicles_role_is_named(place: Place, role: str, table: str, where: str, reason: str) -> None:
    text, changed = re.subn(r"(?s)\[station\]\n.*?\n\n", ROLE.format(role) + table + "\n", place.vehicle)
    assert changed
    expect(place, vehicle_agent.cli.app, text, where, reason)


@pytest.mark.parametrize(
    ("table", "where", "reason"),
    [
        ("[[protected_zone]]\nlat_deg = 98.0\nlon_deg = 11.0\n", "agent.toml: protected_zone[0]:", "no such place"),
        (ZONE + "radius_m = 300\n", "agent.toml: protected_zone[0].radius_m:", "<= 255"),
        (ZONE + "expires = 2027-01-01T00:00:00\n", "agent.toml: protected_zone[0].expires:", "timezone"),
        (ZONE + "expires = 1990-01-01T00:00:00Z\n", "agent.toml: protected_zone[0]:", "between 2004 and 2100"),
        (ZONE + "id = -1\n", "agent.toml: protected_zone[0].id:", ">= 0"),
        (ZONE * 17, "agent.toml: protected_zone:", "length <= 16"),
        (HAZARD + "6000\n", "agent.toml: hazard[0]: radius_m:", "is not within"),
        (HAZARD + "600\nsub_cause_code = 999\n", "agent.toml: hazard[0]: sub_cause_code:", "is not within"),
        ((HAZARD + "600\n") * 65, "agent.toml: hazard[64]", "at most 64"),
    ],
)
def test_a_mistake_in_what_a_unit_has_is_named(place: Place, table: str, where: str, reason: str) -> None:
    expect(place, rsu_agent.cli.app, place.unit + table, where, reason)


def test_the_configurations_are_right_where_nothing_is_wrong_with_them(place: Place) -> None:
    more = '[[radio]]\nkind = "udp"\nname = "its-g5"\n[capture]\nfile = "radio.pcapng"\nheard = true\n'
    driver = '[driver]\nsocket = "driver.sock"\n[driver.mqtt]\n[driver.can]\ninterface = "virtual"\nchannel = "x"\n'
    assert checked(place, vehicle_agent.cli.app, place.vehicle + more + driver) is None
    assert checked(place, rsu_agent.cli.app, place.unit + more) is None
