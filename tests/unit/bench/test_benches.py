"""Each bench runs, measures what it says, and compares with what the issue names; how fast is for the machine to say."""

import shutil
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import pytest

from rsu_agent.bench import rsu
from rsu_agent.load_bench import rsu_load
from shared.bench.catalogue import ENTRY_POINT_GROUP, SHARED_BENCHES, all_benches
from shared.bench.figure import Bench, Effort, Figure
from shared.bench.overload_bench import sustainable_rate
from shared.bench.traffic import Hierarchy, Traffic, shows_certificate
from shared.codec.reference import ReferenceCodec
from shared.core.errors import VerificationError
from shared.core.ids import MessageId
from shared.messages import samples
from shared.messages.cam import decode_cam, encode_cam
from shared.messages.denm import encode_denm
from shared.messages.mapem import encode_mapem
from shared.messages.spatem import encode_spatem
from simulator.bench import end_to_end
from tests.helpers.data import REPOSITORY
from vehicle_agent.bench.cam import vehicle
from vehicle_agent.bench.can import can, can_stall
from vehicle_agent.bench.footprint import agent_footprint
from vehicle_agent.bench.spool import spool

TINY = Effort(
    rounds=1,
    calls=3,
    kept_messages=5,
    overload_s=0.02,
    overload_cars=40,
    threads=2,
    audited_entries=700,
    append_s=1.0,
    stored_appends=800,
    spool_records=300,
    load_s=1.5,
    load_cars=5,
)

TOKENS_HERE = [
    name
    for name, program, binding in (("keys.pkcs11", "softhsm2-util", "pkcs11"), ("keys.tpm2", "swtpm", "tpm2_pytss"))
    if shutil.which(program) and find_spec(binding)
]

MOSQUITTO_HERE = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/sbin")

WRK_HERE = shutil.which("wrk")

FIGURES: dict[str, dict[str, int]] = {
    "codec": {f"codec.{kind}.{way}": kind in ("cam", "denm") or way == "decode"
              for kind in ("cam", "denm", "spatem", "mapem", "ivim", "srem", "ssem") for way in ("encode", "decode")},
    "sign": {"sign": 0},
    "keys": {"keys.file": 0} | dict.fromkeys(TOKENS_HERE, 0),
    "verify": {"verify.digest": 0, "verify.certificate": 0, "verify.new": 0},
    "identity": {"identity.chain": 0, "identity.enrolment": 0, "identity.authorization": 0},
    "inbound": {"inbound.typed": 1, "inbound.kept": 1, "inbound.lazy": 1, "inbound.single": 0},
    "outbound": {"outbound": 1},
    "rubbish": {"refuse.unknown": 1, "refuse.replay": 1, "refuse.malformed": 0},
    "threads": {"threads.gain": 1, "threads.inbound": 0},
    "overload": {"overload.cam_age": 1, "overload.denm_lost": 1, "overload.memory": 0, "overload.queue": 0, "overload.cams": 0},
    "mqtt": {"mqtt.qos0": 1, "mqtt.qos1": 1, "mqtt.latency.qos0.p50": 1, "mqtt.latency.qos0.p99": 0,
             "mqtt.latency.qos1.p50": 1, "mqtt.latency.qos1.p99": 0} if MOSQUITTO_HERE else {},
    "ledger": {"ledger.bundle": 1, "ledger.size": 1, "ledger.move": 0, "ledger.passport.100": 0, "ledger.passport.500": 0,
               "ledger.memory.million": 1, "ledger.memory.trillion": 1},
    "ledger_audit": {"ledger_audit.http": 1, "ledger_audit.files": 0},
    "ledger_append": ({"ledger_append.http": 1, "ledger_append.fdatasync": 0} if WRK_HERE else {}) | {"ledger_append.flat": 1},
    "vehicle": {"vehicle.cam": 0},
    "can": {"can.mapped": 1, "can.unmapped": 0, "can.core": 1, "can.core.all": 0},
    "can_stall": {"can_stall.lost": 1, "can_stall.uncounted": 1, "can_stall.frames": 0, "can_stall.core": 0},
    "agent_footprint": {"agent_footprint.ready": 1, "agent_footprint.start": 0, "agent_footprint.resident": 1,
                        "agent_footprint.idle": 1},
    "spool": {"spool.octets": 1, "spool.records": 0, "spool.open": 1},
    "rsu_load": {f"rsu_load.{load}.{name}": promised
                 for load in ("once", "twice")
                 for name, promised in {"cams": load == "once", "lost": 1, "dropped": 1, "shed": 0, "refused": 0, "warnings": 1,
                                        "least_heard": 0,
                                        "spatem.p50": 0, "spatem.p99": 1, "spatem.most": 0, "denm.p99": 1, "age": 0,
                                        "age_growth": 1, "unit_cam": 0, "unit_core": 0, "senders_cam": 0, "senders_core": 0,
                                        "memory": 0}.items()},
    "rsu": {"rsu.spatem": 0, "rsu.console": 1, "rsu.console.updates": 1},
    "end_to_end": {f"end_to_end.{medium}.{kind}{moment}.p{percent}": medium == "udp" and not moment
                   for medium in (("udp", "mqtt") if MOSQUITTO_HERE else ("udp",))
                   for kind in ("cam", "braking") for moment in ("", ".any_moment") for percent in (50, 99)},
}  # fmt: skip
"""The figures of each bench, and whether something is promised of them."""

PROGRAMS: dict[str, Bench] = {
    "vehicle": vehicle,
    "spool": spool,
    "agent_footprint": agent_footprint,
    "can": can,
    "can_stall": can_stall,
    "rsu": rsu,
    "rsu_load": rsu_load,
    "end_to_end": end_to_end,
}
BENCHES: dict[str, Bench] = {**SHARED_BENCHES, **PROGRAMS}


@cache
def figures_of(name: str) -> list[Figure]:
    return list(BENCHES[name](TINY))


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_gives_the_figures_that_bear_its_name(name: str) -> None:
    figures = figures_of(name)
    assert {figure.name: bool(figure.targets) for figure in figures} == {n: bool(t) for n, t in FIGURES[name].items()}
    for figure in figures:
        assert figure.says
        assert figure.value.best >= 0
        assert (figure.limit is None) == (figure.ratio is None)


def test_without_a_load_nothing_of_the_street_is_lost_or_shed() -> None:
    figures = {figure.name: figure for figure in SHARED_BENCHES["overload"](TINY)}
    assert figures["overload.denm_lost"].value.median == 0


def test_the_programs_benches_are_entry_points_that_exist() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    listed = project["project"]["entry-points"][ENTRY_POINT_GROUP]
    found = {}
    for name, target in listed.items():
        module, _, attribute = target.partition(":")
        found[name] = getattr(import_module(module), attribute)
    assert found == PROGRAMS
    assert list(all_benches())[: len(SHARED_BENCHES)] == list(SHARED_BENCHES)


def test_the_samples_are_as_long_as_they_say() -> None:
    assert len(encode_cam(samples.CAM)) == 135
    assert len(samples.SPATEM.intersections[0].movements) == 12
    assert 245 <= len(encode_mapem(samples.MAPEM)) <= 255
    assert 80 <= len(encode_denm(samples.DENM)) <= 130


@pytest.mark.parametrize(
    ("message_id", "encoded"),
    [
        (MessageId.CAM, encode_cam(samples.CAM)),
        (MessageId.DENM, encode_denm(samples.DENM)),
        (MessageId.SPATEM, encode_spatem(samples.SPATEM)),
        (MessageId.MAPEM, encode_mapem(samples.MAPEM)),
    ],
)
def test_the_reference_reads_and_writes_the_same_octets(message_id: MessageId, encoded: bytes) -> None:
    reference = ReferenceCodec(message_id)
    assert reference.encode(reference.decode(encoded)) == encoded


def test_traffic_by_digest_is_heard_by_those_who_heard_the_certificates() -> None:
    hierarchy = Hierarchy()
    traffic, hearer, stranger = Traffic(hierarchy, cars=3), hierarchy.station(90), hierarchy.station(91)
    packets = traffic.by_digest(10, (hearer,))
    assert not any(shows_certificate(packet) for packet, _ in packets)
    assert [len(packet) for packet, _ in packets].count(len(packets[0][0])) == 10
    heard = [hearer.receive(packet, now) for packet, now in packets]
    assert all(indication is not None for indication in heard)
    for station in (hearer, stranger):
        for packet, now in packets:
            with pytest.raises(VerificationError):
                station.receive(packet, now)


def test_each_packet_of_traffic_says_135_octets_of_its_own_moment() -> None:
    hierarchy = Hierarchy()
    packet, now = Traffic(hierarchy, cars=1).next_packet()
    indication = hierarchy.station(90).receive(packet, now)
    assert indication is not None
    assert decode_cam(encode_cam(samples.CAM)) != indication.message
    assert shows_certificate(packet)


def test_what_can_be_sustained_is_a_rate() -> None:
    assert sustainable_rate(Hierarchy(), 64) > 1


def test_of_a_small_load_on_a_roadside_unit_everything_is_verified_and_no_packet_is_unaccounted_for() -> None:
    figures = {figure.name: figure for figure in figures_of("rsu_load")}
    for load, cars in (("once", TINY.load_cars), ("twice", 2 * TINY.load_cars)):
        asked = round(cars * 10 * TINY.load_s)
        told = figures[f"rsu_load.{load}.cams"].says
        assert f"of {cars} cars" in told
        sent = int(told.split()[0])
        assert 0 < sent <= asked
        for word in ("lost", "dropped", "refused", "warnings"):
            assert figures[f"rsu_load.{load}.{word}"].value.median == 0, (load, word, figures)
