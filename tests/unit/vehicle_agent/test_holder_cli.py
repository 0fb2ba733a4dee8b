"""The holder's commands where no agent runs, and what they say when one runs that cannot be reached."""

import asyncio
import json
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.records.exchange import parse_slot
from shared.records.passport import parse_passport
from shared.records.record import read_record
from shared.records.strict_json import encode_json_lines
from shared.service.command_socket import CommandSocket, Order
from shared.service.state_lock import locked
from tests.helpers.holder import PURPOSE, Ended, World, drive, make_world, moment, told, v2x, vehicle

GRANTEE = "A" * 43
WORDS = ("--grantee", GRANTEE, "--kinds", "odometer", "--fields", "occurred,odometer_m", "--purpose", PURPOSE)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(tmp_path_factory.mktemp("world"))
    for role in ("garage", "insurer"):
        world.enrol(role)
    return world


@pytest.fixture
def world(template: World, tmp_path: Path) -> World:
    """Return a vehicle that has no record yet."""
    shutil.copytree(template.folder, tmp_path / "w")
    return World(folder=tmp_path / "w")


def holder(world: World, *words: object) -> Ended:
    return vehicle(*words, "-c", world.config)


def refused(ended: Ended, status: int = 1) -> str:
    """Return the sentence of a refusal."""
    assert (ended.status, ended.out) == (status, ""), ended
    return ended.error


def kinds(world: World) -> list[str]:
    """Return what is on record, once it is all anchored."""
    (world.folder / "empty.log").write_text("")
    told(holder(world, "replay", world.folder / "empty.log"))
    out = world.folder / "kinds.json"
    out.unlink(missing_ok=True)
    told(holder(world, "passport", "--out", out))
    return [read_record(each.token).kind.value for each in parse_passport(out.read_bytes()).records]


def grants(world: World) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(told(holder(world, "consent", "list", "--json")))["grants"]
    return found


def service(world: World, name: str = "service.json") -> Path:
    """Have the garage sign for the next slot."""
    slot, out = world.folder / f"slot-{name}", world.folder / name
    told(holder(world, "slot", "--out", slot))
    words = ("--credential", world.folder / "garage", "--trust", world.trust, "--fields", world.write_maintenance())
    told(v2x("record", "issue", "--kind", "maintenance", "--slot", slot, "--out", out, *words))
    return out


def test_a_parked_vehicle_takes_a_record_as_its_first_and_another_behind_it(world: World) -> None:
    assert "admitted as record 0: maintenance, issued by garage" in told(holder(world, "admit", service(world)))
    drive(world.config, (13_000_000,))
    late = service(world, "late.json")
    assert parse_slot((world.folder / "slot-late.json").read_bytes()).seq == 2
    told(holder(world, "admit", late))
    assert "record 2 was admitted before" in refused(holder(world, "admit", late))
    assert kinds(world) == ["maintenance", "odometer", "maintenance"]


def test_a_grant_is_given_in_words_listed_and_taken_back(world: World) -> None:
    assert "nothing was ever granted to anybody" in told(holder(world, "consent", "list"))
    until = ("--valid-until", moment(days=30))
    said = told(holder(world, "consent", "grant", *WORDS, *until, "--name", "Example [b]Insurance"))
    assert "granted with record 0; `vehicle-agent consent withdraw 0` takes it back" in said
    listed = told(holder(world, "consent", "list"))
    for words in ("this vehicle is asked as ", "Example [b]Insurance", "odometer_m", PURPOSE, "live", "all"):
        assert words in listed
    told(holder(world, "consent", "withdraw", 0, "--note", "sold"))
    (standing,) = grants(world)
    assert (standing["grantee"], standing["answers"]) == (GRANTEE, 0)
    assert "grant 0 was withdrawn" in str(standing["over"])
    assert kinds(world) == ["consent_grant", "consent_withdrawal"]


def test_a_grant_in_the_words_of_a_request_covers_it_and_may_be_narrowed(world: World) -> None:
    drive(world.config, (13_000_000,))
    assert kinds(world) == ["odometer"]
    subject = json.loads(told(holder(world, "consent", "list", "--json")))["vehicle"]
    request = world.folder / "request"
    words = ("--vehicle", subject, "--kinds", "odometer", "--fields", "occurred,odometer_m", "--purpose", PURPOSE)
    period = ("--from", moment(days=-1), "--until", moment(days=1), "--out", request)
    told(v2x("data", "request", "--credential", world.folder / "insurer", "--trust", world.trust, *words, *period))
    forged = json.loads((request / "request.json").read_text())
    jwt, _, signature = forged["request"].rpartition(".")
    forged["request"] = f"{jwt}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    (request / "forged.json").write_bytes(encode_json_lines(forged).encode())
    granting_forged = ("consent", "grant", "--request", request / "forged.json", "--valid-until", moment(days=3))
    assert "the signature does not hold: the request was changed" in refused(holder(world, *granting_forged))
    granting = ("consent", "grant", "--request", request / "request.json", "--valid-until", moment(days=3))
    told(holder(world, *granting, "--fields", "odometer_m"))
    asking = ("answer", request / "request.json", "--out", world.folder / "answer.json")
    assert "fields: grant 1 does not cover occurred" in refused(holder(world, *asking))
    told(holder(world, *granting, "--replaces", 1))
    assert "1 record(s) under grant 2, on record as 3" in told(holder(world, *asking))
    opening = ("--request", request, "--trust", world.trust, "--policy", world.policy, "--json")
    opened = json.loads(told(v2x("data", "open", world.folder / "answer.json", *opening)))
    assert [each["claims"]["odometer_m"] for each in opened["records"]] == [13_000_000]
    again = ("answer", request / "request.json", "--out", world.folder / "again.json")
    assert "answered before" in refused(holder(world, *again))
    told(holder(world, *again, "--again"))
    assert [each["over"] for each in grants(world)] == ["grant 1 was replaced by grant 2", None]
    assert kinds(world) == ["odometer", "consent_grant", "consent_grant", "data_answer"]


def test_a_vehicle_that_never_signed_says_that_nothing_was_granted_and_not_that_another_is_asked(world: World) -> None:
    told(holder(world, "admit", service(world)))
    subject = json.loads(told(holder(world, "consent", "list", "--json")))["vehicle"]
    words = ("--vehicle", subject, "--kinds", "maintenance", "--fields", "odometer_m", "--purpose", PURPOSE)
    period = ("--from", moment(days=-1), "--until", moment(days=1), "--out", world.folder / "request")
    told(v2x("data", "request", "--credential", world.folder / "insurer", "--trust", world.trust, *words, *period))
    asking = ("answer", world.folder / "request" / "request.json", "--out", world.folder / "answer.json")
    assert "grant: nothing was ever granted to anybody" in refused(holder(world, *asking))


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (WORDS[2:], 2, "--grantee: is needed where no --request says it"),
        (WORDS[:-2], 2, "--purpose: is needed"),
        ((*WORDS, "--kinds", "magic"), 2, "kinds: 'magic' is no kind of record; there are odometer"),
        ((*WORDS, "--fields", "colour"), 1, "colour: records of kind odometer have no such claim"),
        ((*WORDS, "--fields", ","), 2, "--fields: is needed"),
        ((*WORDS, "--grantee", "me"), 1, "record.grantee: not a SHA-256 hash in base64url"),
        ((*WORDS, "--data-from", "yesterday"), 2, "data_from: 'yesterday' is no moment with its offset"),
        ((*WORDS, "--valid-until", "2026-01-01"), 2, "valid_until: '2026-01-01' is no moment with its offset"),
        ((*WORDS, "--valid-until", "2020-01-01T00:00:00Z"), 1, "it would be over already: it ends on 2020-01-01"),
        ((*WORDS, "--replaces", 7), 1, "record 7 is no grant"),
    ],
)
def test_a_grant_that_could_never_be_used_is_refused_in_words(
    world: World, words: tuple[object, ...], status: int, sentence: str
) -> None:
    ended = holder(world, "consent", "grant", "--valid-until", moment(days=3), *words)
    assert sentence in refused(ended, status)
    assert grants(world) == []


def test_what_is_no_record_no_request_and_no_grant_is_refused(world: World) -> None:
    (world.folder / "file").write_bytes(b"{}")
    (world.folder / "octets").write_bytes(b"\xff\xfe")
    assert "this is not a record of the form v2x-issued-record/1" in refused(holder(world, "admit", world.folder / "file"))
    assert "is not UTF-8" in refused(holder(world, "admit", world.folder / "octets"), 2)
    assert "cannot be read" in refused(holder(world, "admit", world.folder / "absent"), 2)
    out = ("--out", world.folder / "x")
    assert "this is not a request of the form" in refused(holder(world, "answer", world.folder / "file", *out))
    assert "record 5 is no grant" in refused(holder(world, "consent", "withdraw", 5))


def test_no_file_is_written_over_and_none_without_a_place(world: World) -> None:
    (world.folder / "there").write_text("mine")
    for words in (("slot",), ("answer", world.folder / "there"), ("passport",)):
        assert "exists already and is not overwritten" in refused(holder(world, *words, "--out", world.folder / "there"), 2)
        assert "there is no such folder" in refused(holder(world, *words, "--out", world.folder / "absent/x"), 2)
    assert (world.folder / "there").read_text() == "mine"


def test_a_passport_tells_how_many_records_are_not_proven_yet(world: World) -> None:
    told(holder(world, "admit", service(world)))
    early, later = world.folder / "early.json", world.folder / "later.json"
    assert "early.json is not written: the vehicle has no record that is proven by its log; 1 wait for the ledger" in refused(
        holder(world, "passport", "--out", early)
    )
    assert not early.exists()
    assert kinds(world) == ["maintenance"]
    assert told(holder(world, "passport", "--out", later)).endswith("later.json: 1 record(s)\n")


def test_a_vehicle_without_records_has_no_passport(world: World) -> None:
    assert "spool.db" in refused(holder(world, "passport", "--out", world.folder / "passport.json"))


def test_an_agent_that_runs_and_takes_no_orders_is_told_with_what_to_do(world: World) -> None:
    with locked(world.folder / "state/spool.db"):
        assert "orders.sock: no agent takes orders here" in refused(holder(world, "consent", "list"))
        text = world.config.read_text()
        world.config.write_text(text.replace('command_socket = "state/orders.sock"\n', ""))
        sentence = "state.command_socket: an agent runs: it takes orders where this key says"
        assert sentence in refused(holder(world, "slot", "--out", world.folder / "slot.json"), 2)


def test_a_lock_that_cannot_be_made_is_not_taken_for_an_agent_that_runs(world: World) -> None:
    (world.folder / "state/spool.db.lock").mkdir(parents=True)
    assert "spool.db: cannot be locked" in refused(holder(world, "consent", "list"))


@pytest.mark.parametrize(
    ("copied", "is_counter_lost", "sentence"),
    [
        (True, False, "was put back from an older copy, or replaced: 1 record that was made is not in it (it has 1)"),
        (False, True, "the counter is new, though 2 records were made"),
    ],
)
def test_what_the_counter_does_not_agree_with_is_left_to_the_agent_which_tells_of_it(
    world: World, *, copied: bool, is_counter_lost: bool, sentence: str
) -> None:
    spool, copy, counter = world.folder / "state/spool.db", world.folder / "copy", world.folder / "elsewhere/count"
    counter.parent.mkdir()
    world.config.write_text(world.config.read_text() + 'counter = "file:elsewhere/count"\n')
    for _ in range(2):
        if spool.exists():
            shutil.copy(spool, copy)
        told(holder(world, "consent", "grant", *WORDS, "--valid-until", moment(days=3)))
    if copied:
        for file in spool.parent.glob("spool.db-*"):
            file.unlink()
        shutil.copy(copy, spool)
    if is_counter_lost:
        counter.unlink()
    before = (spool.read_bytes(), counter.exists() and counter.read_bytes())
    for words in (("consent", "list"), ("slot", "--out", world.folder / "slot.json")):
        said = refused(holder(world, *words))
        assert sentence in said
        assert "let the agent run first, which tells of it and goes on" in said
    assert (spool.read_bytes(), counter.exists() and counter.read_bytes()) == before
    (world.folder / "empty.log").write_text("")
    notices = told(holder(world, "replay", world.folder / "empty.log"))
    assert ("records_restored" in notices, "record_counter_new" in notices) == (copied, is_counter_lost)
    assert kinds(world).count("consent_grant") == len(grants(world)) == (1 if copied else 2)
    told(holder(world, "slot", "--out", world.folder / "slot.json"))
    slot = parse_slot((world.folder / "slot.json").read_bytes())
    assert (slot.seq, [flag.value for flag in slot.flags]) == (2, ["sequence_resumed"] if copied else [])


def test_a_socket_that_a_killed_agent_left_behind_misleads_nobody(world: World) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(world.folder / "state/orders.sock"))
    assert (world.folder / "state/orders.sock").is_socket()
    told(holder(world, "consent", "grant", *WORDS, "--valid-until", moment(days=3)))
    assert len(grants(world)) == 1


def test_the_answer_of_an_agent_that_means_something_else_is_no_answer(world: World) -> None:
    async def nonsense(_order: Order) -> Mapping[str, object]:
        return {"slot": 7, "grants": {}, "vehicle": None}

    async def scene() -> None:
        async with asyncio.timeout(20), CommandSocket(world.folder / "state/orders.sock", nonsense):
            for words in (("slot", "--out", world.folder / "x"), ("consent", "list"), ("consent", "grant", *WORDS)):
                until = ("--valid-until", moment(days=3)) if "grant" in words else ()
                ended = await asyncio.to_thread(holder, world, *words, *until)
                assert "another version runs" in refused(ended)

    with locked(world.folder / "state/spool.db"):
        asyncio.run(scene())
