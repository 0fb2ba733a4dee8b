"""The configuration of a radio by way of a broker: what it means, and what is refused in which words."""

from pathlib import Path

import pytest

from shared.core.errors import ConfigError
from shared.service.config import load
from shared.service.mqtt_config import BrokerConfig, MqttRadioConfig, broker_of
from shared.transport.mqtt_broker import Broker
from shared.transport.mqtt_radio import DEFAULT_RADIUS_M


def loaded(tmp_path: Path, text: str) -> MqttRadioConfig:
    file = tmp_path / "radio.toml"
    file.write_text(f'kind = "mqtt"\nhost = "broker.example"\n{text}')
    return load(file, MqttRadioConfig)


def test_a_host_is_enough(tmp_path: Path) -> None:
    config = loaded(tmp_path, "")
    assert (config.name, config.port, config.uses_tls) == ("mqtt", 8883, True)
    habits = config.habits()
    assert habits.radius_m_of == dict(DEFAULT_RADIUS_M)
    assert habits.grammar.publish_queue == habits.grammar.listen_queue  # a bare broker has no relay
    assert habits.no_local


def test_everything_said_arrives(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        'name = "cell"\nport = 443\nca = "ca.pem"\ncertificate = "car.pem"\nkey = "car.key"\nnamespace = "5GCroCo"\n'
        'listen_queue = "outQueue"\nretain = ["denm"]\nhear_own = true\noutbox_packets = 10\n'
        "[radius_m]\ncam = 0\ndenm = 5000\n[qos]\ncam = 0\n",
    )
    assert config.ca == tmp_path / "ca.pem"
    habits = config.habits()
    assert "cam" not in habits.radius_m_of
    assert habits.radius_m_of["denm"] == 5_000
    assert habits.qos_of == {"cam": 0}
    assert habits.retained == {"denm"}
    assert (habits.grammar.namespace, habits.grammar.listen_queue) == ("5GCroCo", "outQueue")
    assert (habits.no_local, habits.capacity_packets) == (False, 10)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = 0", "port"),
        ('certificate = "x"', "certificate and key belong together"),
        ('password_file = "x"', "password_file needs username"),
        ("[qos]\ncam = 2", "qos"),
        ("[qos]\ncam_ = 1", "'cam_' is none of"),
        ("[radius_m]\ncam = -1", "outside 0..50000"),
        ("[radius_m]\ncam = 1e9", "outside 0..50000"),
        ("[radius_m]\ncam = nan", "outside 0..50000"),
        ("[radius_m]\n" + "\n".join(f"{kind} = 0" for kind in DEFAULT_RADIUS_M), "nothing is listened to"),
        ('namespace = "a/+"', "namespace"),
        ('publish_queue = ""', "queue"),
        ('retain = ["everything"]', "'everything' is none of"),
        ("outbox_packets = 0", "outbox_packets"),
        ("tls_verify = false", "unknown key"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("host", "uses_tls"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("192.0.2.1", True),
        ("localhost.example", True),
        ("0.0.0.0", True),
    ],
)
def test_only_this_machine_is_spoken_to_in_the_clear(host: str, *, uses_tls: bool) -> None:
    assert BrokerConfig(host=host).uses_tls is uses_tls
    assert (broker_of(BrokerConfig(host=host)).tls is not None) is uses_tls
    if uses_tls:
        with pytest.raises(ValueError, match="without TLS only a broker on this machine"):
            Broker(host=host, port=1883, tls=None)


def test_a_broker_is_named_by_its_url() -> None:
    assert broker_of(BrokerConfig(host="::1", port=1883)).endpoint == "mqtt://[::1]:1883"
    assert broker_of(BrokerConfig(host="broker.example")).endpoint == "mqtts://broker.example:8883"


class TestFiles:
    def test_an_authority_file_without_certificates_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        with pytest.raises(ConfigError, match="holds no certificates in PEM"):
            broker_of(BrokerConfig(host="broker.example", ca=tmp_path / "ca.pem"))

    def test_a_password_is_its_files_first_line_and_is_not_shown(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.touch(mode=0o600)
        file.write_text("secret\nand a remark\n")
        broker = broker_of(BrokerConfig(host="localhost", username="car", password_file=file))
        assert broker.password is not None
        assert broker.password.encode() == b"secret"
        assert "secret of" in repr(broker.password)

    def test_a_password_open_to_others_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("secret")
        file.chmod(0o644)
        with pytest.raises(ConfigError, match="open to others"):
            broker_of(BrokerConfig(host="localhost", username="car", password_file=file))

    def test_a_credential_of_systemd_may_show_group_bits(self, tmp_path: Path) -> None:
        file = tmp_path / "password"
        file.write_text("secret")
        file.chmod(0o440)
        config = BrokerConfig(host="localhost", username="car", password_file=file)
        assert broker_of(config, credentials_directory=tmp_path).password is not None
        with pytest.raises(ConfigError, match="open to others"):
            broker_of(config)
