"""MQTT as a radio, on a real broker: mutual TLS, areas, expiry, sessions, pseudonyms, a broker that dies and comes back."""

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

from shared.core.clock import NS_PER_MS, ManualClock
from shared.core.errors import ConfigError, TransportError
from shared.core.geo import GeoPoint, displaced
from shared.service.mqtt_config import BrokerConfig, MqttRadioConfig, broker_of, open_mqtt_radio
from shared.stack.station import Station
from shared.transport.mqtt_broker import Broker
from shared.transport.mqtt_radio import MqttRadio
from tests.helpers.broker import PERSISTENT, MosquittoBroker, TlsAuthority
from tests.helpers.debian import require
from tests.helpers.hierarchy import NOON, Hierarchy, clock_at
from tests.helpers.mqtt_medium import BARE, open_radio, plain
from tests.helpers.stations import TURIN, Speaker, after_ms

PATIENCE_S = 20.0
"""A guard against a hung test; nothing waits for it to pass."""

MAC, NEW_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def run(scene: Callable[[], Coroutine[object, object, None]]) -> None:
    async def guarded_scene() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await scene()

    asyncio.run(guarded_scene())


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop turns until something is so."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


async def listening(*radios: MqttRadio, at: GeoPoint = TURIN) -> None:
    for radio in radios:
        radio.attend(at)
        await radio.settled()


@pytest.fixture(scope="module")
def car() -> Speaker:
    return Speaker(Hierarchy(1))


@pytest.fixture(name="broker")
def private_broker(tmp_path: Path) -> MosquittoBroker:
    return MosquittoBroker(tmp_path)


def endpoint_of(broker: MosquittoBroker) -> Broker:
    return plain(broker.host, broker.port)


class TestMutualTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> TlsAuthority:
        return TlsAuthority(tmp_path)

    def config(self, broker: MosquittoBroker, ca: TlsAuthority, own: tuple[Path, Path] | None) -> MqttRadioConfig:
        certificate, key = own or (None, None)
        return MqttRadioConfig(host=broker.host, port=broker.port, ca=ca.path, certificate=certificate, key=key)

    def test_who_shows_a_certificate_of_the_authority_is_let_in(
        self, tmp_path: Path, authority: TlsAuthority, car: Speaker
    ) -> None:
        async def scene() -> None:
            radios = [open_mqtt_radio(self.config(broker, authority, own), clock=clock_at()) for own in owns]
            await listening(*radios)
            packet = car.cam(NOON)
            await radios[0].send(packet, source_mac=MAC)
            assert (await radios[1].receive()).packet == packet
            assert radios[0].endpoint == f"mqtts://127.0.0.1:{broker.port}"
            for radio in radios:
                radio.close()

        owns = [authority.issue("car"), authority.issue("rsu")]
        with MosquittoBroker(tmp_path, authority=authority) as broker:
            run(scene)

    @pytest.mark.parametrize("flaw", ["no certificate", "another authority's certificate", "an expired certificate"])
    def test_others_are_refused_and_the_fault_says_so(self, tmp_path: Path, authority: TlsAuthority, flaw: str) -> None:
        async def scene() -> None:
            radio = open_mqtt_radio(self.config(broker, authority, own), clock=clock_at())
            await until(lambda: radio.status()["failures"] == 1)
            assert radio.fault is not None
            assert "TLS failed" in radio.fault or "broke" in radio.fault or "closed" in radio.fault
            assert not radio.status()["is_connected"]
            radio.close()

        own = {
            "no certificate": None,
            "another authority's certificate": TlsAuthority(tmp_path, "stranger").issue("car"),
            "an expired certificate": authority.issue("car", for_days=-1),
        }[flaw]
        with MosquittoBroker(tmp_path, authority=authority) as broker:
            run(scene)

    def test_a_broker_of_another_authority_is_not_believed(self, tmp_path: Path, authority: TlsAuthority) -> None:
        async def scene() -> None:
            radio = open_mqtt_radio(self.config(broker, TlsAuthority(tmp_path, "stranger"), own), clock=clock_at())
            await until(lambda: radio.status()["failures"] == 1)
            assert radio.fault == "TLS failed: CERTIFICATE_VERIFY_FAILED"
            radio.close()

        own = authority.issue("car")
        with MosquittoBroker(tmp_path, authority=authority) as broker:
            run(scene)

    def test_a_key_open_to_others_is_refused(self, authority: TlsAuthority) -> None:
        certificate, key = authority.issue("car")
        key.chmod(0o640)
        config = BrokerConfig(host="broker.example", ca=authority.path, certificate=certificate, key=key)
        with pytest.raises(ConfigError, match="chmod 600"):
            broker_of(config)

    def test_a_key_of_another_certificate_is_refused(self, authority: TlsAuthority) -> None:
        config = BrokerConfig(
            host="broker.example", ca=authority.path, certificate=authority.issue("car")[0], key=authority.issue("rsu")[1]
        )
        with pytest.raises(ConfigError, match="no PEM certificate that belongs to the key"):
            broker_of(config)


def test_a_password_from_a_file_lets_in_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    passwords, file = tmp_path / "passwords", tmp_path / "password"
    subprocess.run([require("mosquitto_passwd", "mosquitto"), "-b", "-c", passwords, "car", "right"], check=True)
    file.touch(mode=0o600)

    async def attempt(password: str) -> str | None:
        file.write_text(f"{password}\n")
        radio = open_mqtt_radio(
            MqttRadioConfig(host=broker.host, port=broker.port, username="car", password_file=file), clock=clock_at()
        )
        await until(lambda: radio.status()["connections"] != 0 or radio.status()["failures"] != 0)
        fault = radio.fault
        radio.close()
        return fault

    async def scene() -> None:
        assert await attempt("right") is None
        assert await attempt("wrong") == "the broker refuses: Not authorized"

    with MosquittoBroker(tmp_path, lines=(f"password_file {passwords}", "allow_anonymous false")) as broker:
        run(scene)


def test_what_is_said_far_away_is_not_heard_until_one_drives_there(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        here, there = open_radio(endpoint_of(broker), clock_at()), open_radio(endpoint_of(broker), clock_at())
        await listening(here)
        await listening(there, at=displaced(TURIN, 20_000.0, 0.0))
        first, second = car.cam(NOON), car.cam(after_ms(NOON, 100))
        await here.send(first, source_mac=MAC)
        await here.drained()
        for east_m in range(18_000, -1, -2_000):
            there.attend(displaced(TURIN, float(east_m), 0.0))
        await until(lambda: there.fault is None)
        await there.settled()
        await here.send(second, source_mac=MAC)
        assert (await there.receive()).packet == second
        assert there.counts.received == 1
        here.close()
        there.close()

    with broker:
        run(scene)


def test_a_warning_is_heard_around_its_area_wherever_its_sender_is(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        here, there = open_radio(endpoint_of(broker), clock_at()), open_radio(endpoint_of(broker), clock_at())
        await listening(there)
        warning = car.denm(NOON)
        await here.send(warning, source_mac=MAC)
        assert (await there.receive()).packet == warning
        here.close()
        there.close()

    with broker:
        run(scene)


def test_a_packet_that_cannot_be_read_is_refused_and_says_why(broker: MosquittoBroker) -> None:
    async def scene() -> None:
        radio = open_radio(endpoint_of(broker), clock_at())
        for packet, reason in ((b"\x12", "cut short"), (bytes(60), "version 0 instead of 1")):
            with pytest.raises(TransportError, match=reason):
                await radio.send(packet, source_mac=MAC)
        assert radio.status()["unreadable"] == 2
        radio.close()

    with broker:
        run(scene)


def test_what_expired_while_there_was_no_broker_is_not_published_later(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        clock = ManualClock(NOON)
        sender, hearer = open_radio(endpoint_of(broker), clock), open_radio(endpoint_of(broker), clock)
        hearer.attend(TURIN)
        await until(lambda: sender.status()["failures"] != 0)
        stale, warning = car.cam(NOON), car.denm(NOON)
        await sender.send(stale, source_mac=MAC)
        await sender.send(warning, source_mac=MAC)
        clock.advance(30_000 * NS_PER_MS)
        fresh = car.cam(after_ms(NOON, 30_000))
        await sender.send(fresh, source_mac=MAC)
        broker.start()
        await hearer.settled()
        await sender.drained()
        late = car.cam(after_ms(NOON, 30_100))
        clock.advance(100 * NS_PER_MS)
        await sender.send(late, source_mac=MAC)
        await until(lambda: hearer.counts.received != 0)
        assert sender.status()["expired"] == 1
        heard = [(await hearer.receive()).packet for _ in range(hearer.counts.received)]
        while heard[-1] != late:
            heard.append((await hearer.receive()).packet)
        assert heard == [packet for packet in (warning, fresh, late) if packet in heard]
        assert stale not in heard
        sender.close()
        hearer.close()

    run(scene)
    broker.kill()


def test_what_the_network_held_up_is_dropped_on_arrival(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        here, later = open_radio(endpoint_of(broker), clock_at()), open_radio(endpoint_of(broker), clock_at(after_ms(NOON, 1_100)))
        await listening(here, later)
        await here.send(car.cam(NOON), source_mac=MAC)
        warning = car.denm(NOON)
        await here.send(warning, source_mac=MAC)
        assert (await later.receive()).packet == warning
        assert later.status()["expired_on_arrival"] == 1
        here.close()
        later.close()

    with broker:
        run(scene)


def test_a_subscriber_that_was_away_gets_what_is_still_valid(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        clock = ManualClock(NOON)
        sender, hearer = open_radio(endpoint_of(broker), clock), open_radio(endpoint_of(broker), clock)
        await listening(sender, hearer)
        connection = hearer._session._connection
        assert connection is not None
        connection.fail("pulled out by the test")
        warnings = [car.denm(after_ms(NOON, number)) for number in range(5)]
        for warning in warnings:
            await sender.send(warning, source_mac=MAC)
        assert [(await hearer.receive()).packet for _ in warnings] == warnings
        await until(lambda: hearer.status()["connections"] == 2)
        assert hearer.counts.interruptions == 1
        sender.close()
        hearer.close()

    with broker:
        run(scene)


def test_who_comes_later_hears_the_warning_the_broker_keeps(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        sender = open_radio(endpoint_of(broker), clock_at(), habits=replace(BARE, retained=frozenset({"denm"})))
        warning = car.denm(NOON)
        await sender.send(warning, source_mac=MAC)
        await sender.send(car.cam(NOON), source_mac=MAC)
        await sender.drained()
        hearer = open_radio(endpoint_of(broker), clock_at())
        hearer.attend(TURIN)
        assert (await hearer.receive()).packet == warning
        assert hearer.counts.received == 1
        sender.close()
        hearer.close()

    with broker:
        run(scene)


def test_nothing_is_lost_that_a_killed_broker_had_not_acknowledged(tmp_path: Path, car: Speaker) -> None:
    async def scene() -> None:
        clock = ManualClock(NOON)
        sender, hearer = open_radio(endpoint_of(broker), clock), open_radio(endpoint_of(broker), clock)
        await listening(sender, hearer)
        broker.save()
        await until(lambda: broker.has_saved(hearer._session._client_id) and broker.has_saved("denm/+"))
        sent: list[bytes] = []
        seen: list[bytes] = []
        for round_number in range(3):
            for number in range(20):
                sent.append(car.denm(after_ms(NOON, 100 * round_number + number)))
                await sender.send(sent[-1], source_mac=MAC)
                if number == 10:
                    broker.kill()
            await until(lambda: sender.fault is not None and hearer.fault is not None)
            broker.start()
            while set(seen) != set(sent):
                packet = (await hearer.receive()).packet
                if packet not in seen:
                    seen.append(packet)
        assert seen == sent
        assert sender.counts.interruptions == 3
        await sender.drained()
        sender.close()
        hearer.close()

    with MosquittoBroker(tmp_path, lines=PERSISTENT) as broker:
        run(scene)


def test_a_new_pseudonym_has_a_new_session_and_the_old_one_finishes_its_work(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        radio, hearer = open_radio(endpoint_of(broker), clock_at()), open_radio(endpoint_of(broker), clock_at())
        await listening(radio, hearer)
        old = radio._session
        before, after = car.denm(NOON), car.denm(after_ms(NOON, 1))
        await radio.send(before, source_mac=MAC)
        await radio.send(after, source_mac=NEW_MAC)
        new = radio._session
        assert new is not old
        assert new._client_id != old._client_id
        assert {(await hearer.receive()).packet for _ in range(2)} == {before, after}
        await until(lambda: old.has_ended)
        assert not old.is_connected
        assert new.is_settled
        back = car.cam(NOON)
        await hearer.send(back, source_mac=NEW_MAC)
        heard = (await radio.receive()).packet
        if heard == after:  # by the old session, to which the new one is a stranger; the stack drops its own echo
            heard = (await radio.receive()).packet
        assert heard == back
        assert radio.counts.interruptions == 0
        radio.close()
        hearer.close()

    with broker:
        run(scene)


def test_the_last_words_before_closing_are_published(broker: MosquittoBroker, car: Speaker) -> None:
    async def scene() -> None:
        radio, hearer = open_radio(endpoint_of(broker), clock_at()), open_radio(endpoint_of(broker), clock_at())
        await listening(radio, hearer)
        farewell = car.denm(NOON)
        await radio.send(farewell, source_mac=MAC)
        radio.close()
        assert (await hearer.receive()).packet == farewell
        hearer.close()

    with broker:
        run(scene)


def test_a_verifying_station_hears_over_the_broker_what_was_said(broker: MosquittoBroker) -> None:
    async def scene() -> None:
        radio, hearer = open_radio(endpoint_of(broker), clock_at()), open_radio(endpoint_of(broker), clock_at())
        await listening(radio, hearer)
        await radio.send(speaker.cam(NOON), source_mac=speaker.station.identity.address.mac)
        heard = await hearer.receive()
        receiver: Station = listener.station
        assert type(receiver.receive(heard.packet, heard.received)).__name__ == "Verified"
        radio.close()
        hearer.close()

    hierarchy = Hierarchy(2)
    speaker, listener = Speaker(hierarchy), Speaker(hierarchy, seed=2)
    with broker:
        run(scene)
