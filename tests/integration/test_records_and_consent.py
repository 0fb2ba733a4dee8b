"""A running vehicle, a garage and insurers under one hierarchy: records are taken and data are given, both only as allowed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import TimeSource, UtcNs
from shared.records.exchange import IssuedRecord, parse_slot
from shared.records.kind import RecordKind
from shared.records.record import Record, sign_token
from shared.service.record_key import enrolled_signer
from shared.service.system_clock import SystemClock
from shared.service.trust_directory import read_ticket, read_trust_directory
from tests.helpers.fleet import Air, make_vehicle
from tests.helpers.holder import PURPOSE, World, drive, make_world, moment, told, v2x, vehicle
from tests.helpers.online_agent import OnlineAgent, agent_online
from tests.helpers.pki_node import serving
from tests.unit.records.test_kinds import fields_of


class Agent:
    """A vehicle whose agent runs."""

    def __init__(self, world: World, running: OnlineAgent) -> None:
        self.world = world
        self._running = running

    def await_proven(self, count: int) -> None:
        """Wait until so many records are proven."""
        self._running.awaits(included=count)

    def holder(self, *words: object) -> str:
        """Order something that is done."""
        return told(vehicle(*words, "-c", self.world.config))

    def refuses(self, *words: object) -> str:
        """Order something that is refused, and return the sentence."""
        ended = vehicle(*words, "-c", self.world.config)
        assert ended.status == 1, ended
        assert "orders.sock: " in ended.error  # it is the running agent that refuses
        return ended.error


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("world"))
    for role in ("garage", "insurer"):
        world.enrol(role)
    world.enrol("insurer", "rival")
    return world


@pytest.fixture(scope="module")
def agent(world: World) -> Iterator[Agent]:
    """Run the agent of a vehicle with two readings."""
    drive(world.config, (12_000_000, 12_340_000))
    with agent_online(world.config) as running:
        running.awaits(included=2)
        yield Agent(world, running)


def issue(world: World, slot: Path, fields: Path, out: Path, *, kind: str = "maintenance", by: str = "garage") -> str:
    words = ("record", "issue", "--kind", kind, "--slot", slot, "--fields", fields, "--out", out)
    ended = v2x(*words, "--credential", world.folder / by, "--trust", world.trust)
    return ended.out if ended.status == 0 else ended.error


def ask(world: World, name: str, subject: str, *, by: str = "insurer", kinds: str = "odometer,maintenance") -> Path:
    """Have somebody ask for readings and dates, and return the folder of the request."""
    out = world.folder / name
    period = ("--from", moment(days=-1), "--until", moment(days=1), "--purpose", PURPOSE)
    words = ("--vehicle", subject, "--kinds", kinds, "--fields", "occurred,odometer_m")
    told(v2x("data", "request", "--credential", world.folder / by, "--trust", world.trust, *words, *period, "--out", out))
    return out


def test_records_are_taken_and_given_only_as_allowed_and_the_passport_tells_it_all(agent: Agent) -> None:
    world, folder = agent.world, agent.world.folder
    slot, service, late = folder / "slot.json", folder / "service.json", folder / "late.json"

    agent.holder("slot", "--out", slot)
    place = parse_slot(slot.read_bytes())
    assert place.seq == 2
    assert "a garage may not issue inspection records; an inspector may" in issue(
        world, slot, world.write_maintenance(), folder / "x.json", kind="inspection"
    )
    for out in (service, late):
        assert "maintenance record by a garage, number 2" in issue(world, slot, world.write_maintenance(), out)
    forge_inspection(world, slot, folder / "forged.json")
    assert "role: a garage may not issue inspection records; an inspector may" in agent.refuses("admit", folder / "forged.json")
    assert "admitted as record 2: maintenance, issued by garage" in agent.holder("admit", service)
    assert "record 2 does not follow the last one; number 3 is next" in agent.refuses("admit", late)
    assert "record 2 was admitted before: it is there already" in agent.refuses("admit", service)
    agent.await_proven(3)

    request, answer = ask(world, "request", place.subject), folder / "answer.json"
    assert "nothing was ever granted to anybody" in agent.refuses("answer", request / "request.json", "--out", answer)
    until = ("--valid-until", moment(days=30), "--name", "Example Insurance")
    assert "granted with record 3" in agent.holder("consent", "grant", "--request", request / "request.json", *until)
    foreign = ask(world, "foreign", place.subject, by="rival")
    assert "nothing was granted to who asks" in agent.refuses("answer", foreign / "request.json", "--out", answer)
    assert not answer.exists()
    said = agent.holder("answer", request / "request.json", "--out", answer)
    assert "3 record(s) under grant 3, on record as 4" in said
    assert "answered before" in agent.refuses("answer", request / "request.json", "--out", folder / "twice.json")

    opening = ("--trust", world.trust, "--policy", world.policy)
    opened = json.loads(told(v2x("data", "open", answer, "--request", request, *opening, "--json")))
    assert [(r["kind"], r["signed_by"], r["claims"]["odometer_m"]) for r in opened["records"]] == [
        ("odometer", "vehicle", 12_000_000),
        ("odometer", "vehicle", 12_340_000),
        ("maintenance", "garage", 12_345_000),
    ]
    assert (opened["grant"]["seq"], opened["receipt"]["seq"], opened["grant"]["purpose"]) == (3, 4, PURPOSE)
    table = told(v2x("data", "open", answer, "--request", request, *opening, "--passport", folder / "given.json"))
    assert "All 3 records are genuine" in table
    assert "12,345,000 m" in table
    assert "All 3 records are genuine" in told(v2x("passport", "verify", folder / "given.json", *opening))
    assert "answers another request" in v2x("data", "open", answer, "--request", foreign, *opening).error
    (foreign / "request.json").write_bytes((request / "request.json").read_bytes())
    assert "does not open" in v2x("data", "open", answer, "--request", foreign, *opening).error

    assert "grant 3 is withdrawn (record 5)" in agent.holder("consent", "withdraw", 3, "--note", "sold")
    more = ask(world, "more", place.subject, kinds="odometer")
    refusal = agent.refuses("answer", more / "request.json", "--out", folder / "more.json")
    assert re.search(r"grant 3 was withdrawn on \d{4}-\d\d-\d\d \(record 5\)", refusal)
    assert "grant 3 was withdrawn" in agent.holder("consent", "list")

    agent.await_proven(6)
    passport = folder / "passport.json"
    assert "6 record(s)" in agent.holder("passport", "--out", passport)
    verified = json.loads(told(v2x("passport", "verify", passport, *opening, "--json")))
    assert [(r["kind"], r["signed_by"]) for r in verified["readings"]] == [
        ("odometer", "vehicle"),
        ("odometer", "vehicle"),
        ("maintenance", "garage"),
        ("consent_grant", "vehicle"),
        ("data_answer", "vehicle"),
        ("consent_withdrawal", "vehicle"),
    ]
    assert verified["clean"] is True
    shown = told(v2x("passport", "show", passport))
    assert "Data were given to others with record 4, as the holder had let them have with record 3." in shown
    assert "consent grant" in shown


def forge_inspection(world: World, slot: Path, out: Path) -> None:
    """Sign as a garage that does not ask what it may sign."""
    place = parse_slot(slot.read_bytes())
    signer = enrolled_signer(read_ticket(world.folder / "garage"), trust_store=read_trust_directory(world.trust))
    utc = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
    record = Record(
        kind=RecordKind.INSPECTION,
        seq=place.seq,
        prev=place.prev,
        occurred=UtcNs(utc - utc % 1_000_000),
        fields=fields_of(RecordKind.INSPECTION),
        subject=place.subject,
    )
    issued = IssuedRecord(token=sign_token(record, signer, Random(2).randbytes), credential=signer.credential)
    out.write_bytes(issued.encode())


def test_a_vehicle_that_enrolled_over_the_network_takes_records_by_the_roots_of_its_lists(tmp_path: Path) -> None:
    world = World(folder=tmp_path)
    told(v2x("pki", "init", world.pki))
    world.enrol("garage")
    with serving(world.pki, "--requests-per-s", "1000") as node:
        car = make_vehicle(tmp_path / "car", node, Air(), its_id="car-7", keys="file:keys", environment={})
        told(vehicle("enrol", "--public-key", tmp_path / "canonical.pem", "-c", car.config))
        told(v2x("pki", "register", world.pki, "--its-id", "car-7", "--key", tmp_path / "canonical.pem"))
        told(vehicle("enrol", "-c", car.config))
    slot, service = tmp_path / "slot.json", tmp_path / "service.json"
    told(vehicle("slot", "--out", slot, "-c", car.config))
    issue(world, slot, world.write_maintenance(), service)
    assert "admitted as record 0" in told(vehicle("admit", service, "-c", car.config))
    stranger = World(folder=tmp_path / "elsewhere")
    told(v2x("pki", "init", stranger.pki))
    stranger.enrol("garage")
    (next_slot, theirs) = (tmp_path / "next.json", tmp_path / "theirs.json")
    told(vehicle("slot", "--out", next_slot, "-c", car.config))
    issue(stranger, next_slot, stranger.write_maintenance(), theirs)
    refusal = vehicle("admit", theirs, "-c", car.config)
    assert (refusal.status, "does not lead to a trusted root" in refusal.error) == (1, True), refusal
    told(vehicle("slot", "--out", tmp_path / "still.json", "-c", car.config))
    assert parse_slot((tmp_path / "still.json").read_bytes()) == parse_slot(next_slot.read_bytes())
