"""`enrol` of both agents, against authorities over HTTP: what it prints, what it leaves behind, and how it says no."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.cli.enrol import EnrolmentError, enrol
from shared.cli.station_check import describe_state, describe_trust
from shared.core.clock import Clock, Instant, ManualClock
from shared.core.errors import ConfigError, StorageError
from shared.core.ids import HashedId8
from shared.pki.permission_sets import StationRole
from shared.pki.registry import StationStatus
from shared.security.ecdsa import Curve, PublicKey
from shared.service.file_keys import FileKeyStore
from shared.service.pki_config import PkiConfig, TrustConfig
from shared.service.state_lock import locked
from shared.service.trust_directory import read_trust_directory
from tests.helpers.desks import ITS_ID
from tests.helpers.online import Online, online, respond


@dataclass
class Car:
    """A car's folder, and the command as its operator calls it."""

    authorities: Online
    folder: Path
    trust: TrustConfig | None
    pki: PkiConfig | None

    def enrol(self, *, clock: Clock | None = None, public_key: Path | None = None, refresh: bool = False) -> None:
        enrol(
            config_file=self.folder / "agent.toml",
            trust_folder=self.folder / "trust",
            trust=self.trust,
            pki=self.pki,
            role=StationRole.VEHICLE,
            clock=clock or self.authorities.desks.clock,
            public_key=public_key,
            refresh=refresh,
        )

    def register(self) -> None:
        """Make the canonical key and have the enrolment authority's operator register it."""
        self.enrol(public_key=self.folder / "canonical.pem")
        native = load_pem_public_key((self.folder / "canonical.pem").read_bytes())
        assert isinstance(native, ec.EllipticCurvePublicKey)
        stations = self.authorities.desks.registry.stations
        key = PublicKey(Curve.NIST_P256, native)
        stations[ITS_ID] = type(stations[ITS_ID])(
            its_id=ITS_ID, canonical_key=key, role=StationRole.VEHICLE, status=StationStatus.ACTIVE
        )

    def state(self, now: Instant | None = None) -> list[str]:
        """What `check-config` says."""
        return list(
            describe_state(
                config_file=self.folder / "agent.toml",
                command="vehicle-agent",
                trust=self.trust,
                pki=self.pki,
                now=now or self.authorities.desks.now,
            )
        )


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    with online(83) as authorities:
        authorities.pin(tmp_path / "trust")
        yield Car(authorities, tmp_path, authorities.trust_config(tmp_path), authorities.pki_config(tmp_path))


def stopped(car: Car, *, clock: Clock | None = None) -> EnrolmentError:
    with pytest.raises(EnrolmentError) as error:
        car.enrol(clock=clock)
    return error.value


def test_a_car_shows_its_key_is_registered_and_enrols(car: Car, capsys: pytest.CaptureFixture[str]) -> None:
    car.register()
    car.enrol()
    out, err = capsys.readouterr()
    shown, lists, enrolled = out.splitlines()
    assert shown == f"register car 7 with this key: {car.folder / 'canonical.pem'}"
    assert lists == "lists: 1 root(s), 2 authorities"
    assert enrolled.startswith("enrolled: credential ")
    assert enrolled.endswith("2 valid tickets")
    assert err == ""


def test_enrolling_twice_asks_for_nothing_more(car: Car, capsys: pytest.CaptureFixture[str]) -> None:
    car.register()
    car.enrol()
    asked = len(car.authorities.asked)
    capsys.readouterr()
    car.enrol()
    assert len(car.authorities.asked) == asked
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("enrolled: credential ")


def test_the_canonical_key_is_shown_without_a_clock_lists_or_authorities_and_never_made_twice(car: Car) -> None:
    car.authorities.spoil["dc"] = lambda handler: respond(handler, 500, b"")
    car.enrol(clock=ManualClock(None), public_key=car.folder / "one.pem")
    with locked(car.folder / "lists.db"), locked(car.folder / "tickets.db"):
        car.enrol(clock=ManualClock(None), public_key=car.folder / "two.pem")
    assert (car.folder / "one.pem").read_bytes() == (car.folder / "two.pem").read_bytes()
    assert b"PRIVATE" not in (car.folder / "one.pem").read_bytes()
    with pytest.raises(StorageError, match="exists already"):
        car.enrol(public_key=car.folder / "one.pem")
    assert car.authorities.asked == []


def test_without_a_clock_nobody_is_enrolled_and_that_is_said(car: Car) -> None:
    error = stopped(car, clock=ManualClock(None))
    assert error.code == "untrusted_time"
    assert "the clock is not set" in str(error)
    assert not (car.folder / "lists.db").exists()


def test_a_configuration_without_authorities_is_the_operator_s_mistake(car: Car) -> None:
    car.pki = None
    with pytest.raises(ConfigError, match="nobody to enrol at"):
        car.enrol()


def test_an_authority_that_does_not_know_the_car_says_so(car: Car) -> None:
    error = stopped(car)
    assert error.code == "invalidsignature"
    assert str(error).startswith("enrolment: ")
    car.register()
    car.enrol()


def test_an_authority_that_is_gone_is_named(car: Car) -> None:
    car.register()
    car.authorities.spoil["aa"] = lambda handler: respond(handler, 503, b"")
    error = stopped(car)
    assert error.code == "transport"
    assert str(error).startswith(f"tickets: {car.authorities.url}/aa: ")
    assert car.state()[2].startswith("enrolled: credential ")
    assert car.state()[3] == "no tickets yet"
    car.authorities.spoil.clear()
    car.enrol()


def test_where_no_list_can_be_fetched_that_is_the_reason(car: Car) -> None:
    car.authorities.spoil["dc"] = lambda handler: respond(handler, 503, b"")
    error = stopped(car)
    assert (error.code, str(error)[:7]) == ("transport", "lists: ")


def test_lists_that_name_nobody_are_the_reason(car: Car) -> None:
    car.authorities.publish(entries=car.authorities.entries[2:])
    error = stopped(car)
    assert error.code == "no_authority"
    assert "no enrolment authority" in str(error)


def test_a_list_near_its_end_with_none_to_follow_is_no_obstacle(car: Car, capsys: pytest.CaptureFixture[str]) -> None:
    car.register()
    car.authorities.publish(life_s=1_000)
    car.authorities.desks.pass_time(900)
    car.enrol()
    assert "enrolled: credential" in capsys.readouterr().out


def test_a_list_that_does_not_come_is_a_warning_where_nothing_is_lacking_for_want_of_it(
    car: Car, capsys: pytest.CaptureFixture[str]
) -> None:
    car.register()
    (crl,) = [path for path in car.authorities.documents if "getcrl" in path]
    del car.authorities.documents[crl]
    car.enrol()
    out, err = capsys.readouterr()
    assert "enrolled: credential" in out
    assert err.startswith("warning: lists: crl of ")


def test_beside_a_running_agent_nothing_is_enrolled(car: Car) -> None:
    car.register()
    with locked(car.folder / "tickets.db"), pytest.raises(StorageError, match="a running agent has it to itself"):
        car.enrol()


def test_what_a_station_has_is_told_before_and_after_enrolment(car: Car) -> None:
    assert car.state() == [
        "lists: none fetched yet",
        "not enrolled yet: `vehicle-agent enrol` asks the enrolment authority for car 7",
        "no tickets yet",
    ]
    assert sorted(path.name for path in car.folder.iterdir()) == ["trust"]
    car.register()
    car.enrol()
    name = car.authorities.root.identifier.hex()
    before = {path: path.read_bytes() for path in car.folder.rglob("*") if path.is_file()}
    crl, ctl, credential, tickets = car.state()
    assert ctl == f"ctl of {name}: number 0, signed 2026-11-22T12:00Z, 0 h ago"
    assert crl == f"crl of {name}: signed 2026-11-22T12:00Z, 0 h ago"
    assert credential.startswith("enrolled: credential ")
    assert tickets.startswith("2 ticket(s), 2 valid now, the last ends 2026-")
    assert {path: path.read_bytes() for path in car.folder.rglob("*") if path.is_file()} == before
    car.authorities.desks.pass_time(40 * 86_400)
    assert car.state()[1].endswith("960 h ago")
    assert car.state()[3].startswith("2 ticket(s), 0 valid now")
    timeless = ManualClock(None).now()
    assert car.state(timeless)[1] == f"ctl of {name}: number 0, signed 2026-11-22T12:00Z"
    assert car.state(timeless)[3].startswith("2 ticket(s), the last ends ")


def test_a_station_without_authorities_has_nothing_to_tell(car: Car) -> None:
    car.trust = car.pki = None
    assert car.state() == []


def test_a_key_that_is_gone_or_a_damaged_file_shows_in_the_check(car: Car) -> None:
    car.register()
    car.enrol()
    FileKeyStore(car.folder / "keys").remove("enrolment-0001")
    with pytest.raises(ConfigError, match="is not in the key store"):
        car.state()
    assert car.pki is not None
    car.pki = msgspec.structs.replace(car.pki, keys="file:canonical.pem")
    with pytest.raises(ConfigError):
        car.state()
    lists = car.folder / "lists.db"
    lists.write_bytes(lists.read_bytes()[:-10])
    with pytest.raises(StorageError):
        car.state()


def trusted(car: Car, now: Instant | None = None) -> str:
    """What `check-config` says of whom the car trusts."""
    folder = car.folder / "trust"
    store = read_trust_directory(folder)
    return describe_trust(store, folder=folder, trust=car.trust, now=now or car.authorities.desks.now)


def test_the_numbers_of_the_check_are_those_of_the_lists_held(car: Car) -> None:
    assert trusted(car) == "1 trusted root(s), 0 known authorities by the operator's folder alone"
    car.register()
    car.enrol()
    assert trusted(car) == "1 trusted root(s), 2 known authorities by the operator's folder and the lists held"
    assert trusted(car, ManualClock(None).now()).startswith("1 trusted root(s), 0 known")
    car.trust = None
    assert trusted(car) == "1 trusted root(s), 0 known authorities"


def test_an_operator_who_cannot_wait_has_all_lists_fetched_anew(car: Car, capsys: pytest.CaptureFixture[str]) -> None:
    car.register()
    car.enrol()
    asked = len(car.authorities.asked)
    car.authorities.desks.pass_time(60)
    aa = car.authorities.entries[1]
    car.authorities.publish(entries=tuple(entry for entry in car.authorities.entries if entry != aa))
    car.enrol()
    assert len(car.authorities.asked) == asked
    capsys.readouterr()
    with pytest.raises(EnrolmentError, match=r"tickets: 2 ticket\(s\) are out of use"):
        car.enrol(refresh=True)
    assert capsys.readouterr().out.splitlines() == ["lists: 1 root(s), 1 authorities"]


def test_however_often_trust_changes_the_lists_are_told_once(car: Car, capsys: pytest.CaptureFixture[str]) -> None:
    car.register()
    name = car.authorities.root.identifier.hex().upper()
    car.authorities.documents[f"/dc/getcrl/{name}"] = car.authorities.root.crl(0, HashedId8(b"whoever!"))
    car.enrol()
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("lists:")] == [
        "lists: 1 root(s), 2 authorities"
    ]
