"""`v2x data` as an insurer meets it: what it asks, what it can open, and what of an answer it is told to believe."""

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from shared.core.clock import UtcNs
from shared.pki.permission_sets import RecordRole
from shared.records.data_answer import parse_answer
from shared.records.data_request import SignedRequest, parse_request, verify_request
from shared.records.issuers import IssuerRole
from shared.records.kind import RecordKind
from shared.security.certificate import decode_certificate
from shared.service.keystore import write_key
from shared.service.record_issuers import issuer_of
from shared.service.sealed_answer import open_answer, seal_answer
from shared.service.trust_directory import write_trust_directory
from tests.helpers.consenting import NOW, Owned, enrol, own
from tests.helpers.hierarchy import BEGIN, Hierarchy
from tests.helpers.holder import PURPOSE, Ended, World, moment, told, v2x
from tests.helpers.ledger import log_signer
from tests.helpers.requesting import DAY_NS

VEHICLE = "-" + "A" * 42
"""A name may begin like an option."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return authorities and an insurer; everything but the vehicle."""
    world = World(folder=tmp_path_factory.mktemp("world"))
    told(v2x("pki", "init", world.pki))
    world.enrol("insurer")
    return world


def ask(world: World, out: Path, *, by: str = "insurer", **changes: object) -> Ended:
    options: dict[str, object] = {
        "vehicle": VEHICLE,
        "kinds": "trip, odometer,odometer",
        "fields": "odometer_m,occurred",
        "from": moment(days=-30),
        "until": moment(),
        "purpose": PURPOSE,
    }
    words = [word for name, value in (options | changes).items() for word in (f"--{name}", value)]
    return v2x("data", "request", "--credential", world.folder / by, "--trust", world.trust, "--out", out, *words)


def refused(ended: Ended, status: int = 1) -> str:
    """Return the sentence of a refusal."""
    assert ended.status == status, ended
    return ended.error


def test_a_request_is_signed_and_the_key_that_opens_its_answer_stays(world: World, tmp_path: Path) -> None:
    out = tmp_path / "request"
    assert "an insurer asks as " in told(ask(world, out))
    assert stat.S_IMODE((out / "response-key.pem").stat().st_mode) == 0o600
    signed = parse_request((out / "request.json").read_bytes())
    asked = signed.request
    assert (asked.role, asked.kinds) == (IssuerRole.INSURER, (RecordKind.ODOMETER, RecordKind.TRIP))
    assert (asked.fields, asked.purpose) == (("occurred", "odometer_m"), PURPOSE)
    assert (asked.expires - asked.issued) // DAY_NS == 7
    shown = told(v2x("data", "show", out / "request.json", "--trust", world.trust))
    for words in ("an insurer", VEHICLE, "odometer, trip", PURPOSE):
        assert words in shown
    assert "was not checked: --trust DIR does" in told(v2x("data", "show", out / "request.json"))
    value = json.loads(told(v2x("data", "show", out / "request.json", "--trust", world.trust, "--json")))
    assert (value["role"], value["verified"], value["chained"]) == ("insurer", True, True)


def test_two_requests_share_neither_key_nor_nonce(world: World, tmp_path: Path) -> None:
    requests = []
    for name in ("one", "two"):
        told(ask(world, tmp_path / name))
        requests.append(parse_request((tmp_path / name / "request.json").read_bytes()).request)
    assert len({(each.response_key, each.nonce) for each in requests}) == 2
    assert requests[0].response_key != requests[1].response_key


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"vehicle": "my car"}, "--vehicle: not the kid of a credential"),
        ({"kinds": "odometer,magic"}, "--kinds: 'magic' is no kind of record; there are odometer"),
        ({"kinds": ","}, "--kinds: none"),
        ({"fields": "colour"}, "--fields: colour: no claim of the records asked for"),
        ({"fields": ""}, "--fields: none"),
        ({"until": "2000-01-01T00:00:00Z"}, "--until: not after the begin of the period"),
        ({"from": "yesterday"}, "--from: 'yesterday' is no moment with its offset"),
        ({"from": "2026-01-01T00:00:00"}, "--from: '2026-01-01T00:00:00' is no moment with its offset"),
        ({"purpose": ""}, "--purpose: 0 characters"),
        ({"purpose": "x" * 201}, "--purpose: 201 characters; text of 1 to 200 characters fit"),
        ({"purpose": "pay \u202e"}, "--purpose: holds a control character"),
    ],
)
def test_a_request_that_nobody_could_answer_is_not_made(
    world: World, tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    assert sentence in refused(ask(world, tmp_path / "request", **changes), 2)
    assert not (tmp_path / "request").exists()


def test_a_vehicle_asks_no_vehicle(world: World, tmp_path: Path) -> None:
    told(v2x("pki", "issue", world.pki, "--kind", "enrolment", "--out", world.folder / "car"))
    assert "vehicles are given no data" in refused(ask(world, tmp_path / "request", by="car"))


def test_a_request_is_never_written_over_another(world: World, tmp_path: Path) -> None:
    told(ask(world, tmp_path / "request"))
    before = (tmp_path / "request/response-key.pem").read_bytes()
    assert "never overwritten" in refused(ask(world, tmp_path / "request"), 2)
    assert (tmp_path / "request/response-key.pem").read_bytes() == before


def test_a_request_of_an_insurer_nobody_knows_is_shown_and_called_so(world: World, tmp_path: Path) -> None:
    told(ask(world, tmp_path / "request"))
    stranger = World(folder=tmp_path)
    told(v2x("pki", "init", stranger.pki))
    ended = v2x("data", "show", tmp_path / "request/request.json", "--trust", stranger.trust)
    assert "does not lead to a trusted root" in refused(ended)
    assert PURPOSE in ended.out


class Insurer:
    """Files on an insurer's desk: a request, its key, an answer, and whom the insurer trusts."""

    def __init__(self, folder: Path, owned: Owned, request: SignedRequest, answer: bytes) -> None:
        self.folder, self.owned = folder, owned
        self.put(request)
        write_key(folder / "request/response-key.pem", owned.response)
        (folder / "answer.json").write_bytes(answer)
        write_trust_directory(folder / "trust", owned.pki.trust_store)
        (folder / "policy").write_text(f"log {log_signer().key.text}\nquorum none\n")

    def put(self, request: SignedRequest) -> None:
        (self.folder / "request").mkdir(exist_ok=True)
        (self.folder / "request/request.json").write_bytes(request.encode())

    def open(self, *options: object) -> Ended:
        words = ("--request", self.folder / "request", "--trust", self.folder / "trust", "--policy", self.folder / "policy")
        return v2x("data", "open", self.folder / "answer.json", *words, *options)


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Owned]:
    made = own(tmp_path)
    yield made
    made.spool.close()


@pytest.fixture
def insurer(tmp_path: Path, owned: Owned) -> Insurer:
    owned.grant()
    request = owned.ask()
    return Insurer(tmp_path, owned, request, owned.desk.answer(request, NOW).file)


def test_an_answer_is_opened_verified_and_told(insurer: Insurer) -> None:
    out = told(insurer.open())
    for words in ("2,000 m", "10,000 m", "20,000 m", "All 3 records are genuine", "under grant 3", PURPOSE, "vehicle"):
        assert words in out
    value = json.loads(told(insurer.open("--json")))
    assert [each["claims"]["odometer_m"] for each in value["records"]] == [2_000, 10_000, 20_000]
    assert {name for each in value["records"] for name in each["claims"]} == {"occurred", "odometer_m"}
    assert (value["verified"], value["receipt"]["given"], value["grant"]["purpose"]) == (True, [[0, 2]], PURPOSE)


def test_the_records_are_kept_as_a_passport_that_anybody_can_verify(insurer: Insurer) -> None:
    kept = insurer.folder / "kept.json"
    told(insurer.open("--passport", kept))
    words = ("--trust", insurer.folder / "trust", "--policy", insurer.folder / "policy")
    assert "All 3 records are genuine" in told(v2x("passport", "verify", kept, *words))
    assert "exists already" in refused(insurer.open("--passport", kept), 2)


def test_an_answer_opens_for_nobody_else_and_under_no_other_request(insurer: Insurer) -> None:
    insurer.put(insurer.owned.ask(nonce=b"\x01" * 16))
    assert "this answers another request" in refused(insurer.open())
    ended = insurer.open("--json")
    assert (ended.status, json.loads(ended.out)["check"]) == (1, "request")
    insurer.put(insurer.owned.ask())
    (insurer.folder / "request/response-key.pem").unlink()
    write_key(insurer.folder / "request/response-key.pem", insurer.owned.pki.keys.generate(insurer.owned.response.curve))
    assert "the answer does not open" in refused(insurer.open())


def test_an_answer_of_a_vehicle_or_a_ledger_that_is_not_trusted_is_refused(insurer: Insurer, tmp_path: Path) -> None:
    (insurer.folder / "policy").write_text("log other.example+00000000+AAAA\nquorum none\n")
    assert refused(insurer.open(), 2)
    (insurer.folder / "policy").write_text(f"log {log_signer('another.example/log').key.text}\nquorum none\n")
    assert "ledger" in refused(insurer.open())
    (insurer.folder / "trust").rename(tmp_path / "old")
    write_trust_directory(insurer.folder / "trust", Hierarchy(78).trust_store)
    assert "certificate: the credential of whoever signed does not lead to a trusted root" in refused(insurer.open())


def test_an_answer_under_a_grant_to_somebody_else_is_not_believed(insurer: Insurer) -> None:
    """A vehicle that puts another grant into an answer, and seals it as it should be."""
    owned = insurer.owned
    rival = enrol(owned.pki, RecordRole.INSURER)
    owned.grant(grantee=rival.credential.id)
    theirs = owned.ask(by=rival)
    other = parse_answer(open_answer(owned.desk.answer(theirs, NOW).file, request_hash=theirs.hash, private_key=owned.response))
    ours = owned.ask()
    honest = parse_answer(
        open_answer((insurer.folder / "answer.json").read_bytes(), request_hash=ours.hash, private_key=owned.response)
    )
    issuer = issuer_of(decode_certificate(ours.credential.certificate))
    verified = verify_request(ours, issuer=issuer, vehicle=(owned.car.credential.id,), now=NOW)
    for changes, sentence in (
        ({"grant": other.grant}, "the grant in it is not the one it was given under, or not ours"),
        ({"receipt": other.receipt}, "its receipt names another request"),
        ({"request_hash": other.request_hash}, "it answers another request"),
        ({"grant": honest.receipt}, "in the place of its grant stands a data answer record"),
    ):
        forged = replace(honest, **changes).encode()
        sealed = seal_answer(forged, verified, keys=owned.pki.keys, entropy=Random(1).randbytes)
        (insurer.folder / "answer.json").write_bytes(sealed)
        assert sentence in refused(insurer.open())


def test_records_without_their_dates_are_verified_as_of_the_day_of_the_answer(insurer: Insurer) -> None:
    owned = insurer.owned
    request = owned.ask(fields=("odometer_m",), nonce=b"\x02" * 16, data_until=UtcNs(BEGIN + 11 * DAY_NS))
    insurer.put(request)
    (insurer.folder / "answer.json").write_bytes(owned.desk.answer(request, NOW).file)
    records = json.loads(told(insurer.open("--json")))["records"]
    assert [each["claims"] for each in records] == [{"odometer_m": 2_000}, {"odometer_m": 10_000}]
