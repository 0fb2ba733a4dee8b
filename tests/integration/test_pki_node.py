"""The authorities as a process, asked over HTTP by stations that have nothing but the trust directory."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.core.errors import VerificationError
from shared.core.ids import ItsAid
from shared.core.report import VerificationReport
from shared.ledger.policy import Policy, parse_policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.operator.list_office import stated_list
from shared.operator.pki_http_app import MAX_REQUEST_OCTETS
from shared.pki.permission_sets import StationRole
from shared.pki.response_codes import AuthorityRefusal, AuthorizationResponseCode, EnrolmentResponseCode
from shared.security.ctl import Ctl
from shared.security.list_places import WantedList, proof_url
from shared.security.list_sequence import ListKind
from shared.security.sign import SigningService
from shared.security.trust_lists_held import TrustChange, TrustLists
from shared.security.trust_pins import PinnedManager, TrustPins
from shared.service.logged_lists import LoggedAdmission
from shared.service.trust_directory import read_certificate_file
from shared.transport.pki_http import HttpStatusError
from tests.helpers.hierarchy import verifying
from tests.helpers.pki_node import PATIENCE_S, PROGRAM, Asker, PkiNode, get, now, post, serving, v2x_pki


def hierarchy(directory: Path) -> Path:
    v2x_pki("init", directory, "--name", "integration test")
    return directory


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PkiNode]:
    with serving(hierarchy(tmp_path_factory.mktemp("pki") / "authorities"), "--requests-per-s", "1000") as running:
        yield running


def policy_of(node: PkiNode) -> Policy:
    return parse_policy((node.directory / "trust/log.policy").read_bytes())


def trust_lists(node: PkiNode) -> TrustLists:
    """Return the lists of a station that has pinned the manager and asks for everything to be logged."""
    (manager,) = (node.directory / "trust/tlm").glob("*.oer")
    pinned = PinnedManager(certificate=read_certificate_file(manager), access_point=node.url + "/cpoc")
    return TrustLists(pins=TrustPins(managers=(pinned,)), admission=LoggedAdmission(policy_of(node)), grace_s=0)


def take(lists: TrustLists, wanted: WantedList, *, delta: bool = False) -> TrustChange:
    """Fetch a list and its proof, and take them."""
    place = wanted.places[0]
    url = wanted.delta_url(place) if delta else wanted.url(place)
    assert url is not None
    document = get(url)
    proof = get(proof_url(place, document))
    match wanted.kind:
        case ListKind.ECTL:
            return lists.take_ectl(document, proof, now())
        case ListKind.ROOT_CTL:
            return lists.take_ctl(document, proof, now())
        case ListKind.CRL:
            return lists.take_crl(document, proof, now())


def synchronised(node: PkiNode) -> TrustLists:
    """Return lists that hold everything there is, found from the manager alone."""
    lists = trust_lists(node)
    while wanted := lists.wanted(now()):
        for each in wanted:
            take(lists, each)
    return lists


def wanted_of(node: PkiNode, kind: ListKind, held: int | None = None) -> WantedList:
    root = node.certificate("root").hashed_id8
    return WantedList(kind=kind, issuer=root, places=(node.url + "/dc",), held_sequence=held)


def status(node: PkiNode) -> Any:
    return json.loads(node.get("/status"))


def refusal_of(node: PkiNode, path: str, body: bytes) -> HttpStatusError:
    with pytest.raises(HttpStatusError) as caught:
        node.post(path, body)
    return caught.value


def test_a_station_enrols_and_speaks_under_a_ticket_that_strangers_believe_by_the_lists_alone(node: PkiNode) -> None:
    station = Asker(node, "speaker")
    station.register()
    station.enrol()
    ticket = station.authorize()
    store = synchronised(node).trust(now())
    assert list(store.roots) == [node.certificate("root").hashed_id8]
    secured = SigningService(ticket=ticket, trust_store=store).sign(b"payload", ItsAid.CAM, now=now(), location=None)
    assert verifying(store).verify(secured, now=now()).payload == b"payload"


def test_a_roadside_unit_gets_the_permissions_of_its_role(node: PkiNode) -> None:
    station = Asker(node, "gantry", StationRole.RSU)
    station.register()
    station.enrol()
    assert ItsAid.RLT in {permission.psid for permission in station.authorize().certificate.tbs.app_permissions or ()}
    liar = Asker(node, "car as gantry")
    liar.register()
    liar.enrol()
    liar.role = StationRole.RSU
    with pytest.raises(AuthorityRefusal) as caught:
        liar.authorize()
    assert caught.value.answer is AuthorizationResponseCode.EA_DENIED_PERMISSIONS


def test_whom_nobody_registered_is_told_so(node: PkiNode) -> None:
    with pytest.raises(AuthorityRefusal) as caught:
        Asker(node, "nobody").enrol()
    assert caught.value.answer is EnrolmentResponseCode.UNKNOWN_ITS
    assert "no station" in node.log.read_text()


def test_the_same_octets_get_the_same_answer_and_no_second_certificate(node: PkiNode) -> None:
    station = Asker(node, "repeats")
    station.register()
    pending, _key = station.enrolment()
    before = status(node)["kept"]["ea"]["credentials"]
    first = node.post("/ea", pending.request)
    assert node.post("/ea", pending.request) == first
    assert status(node)["kept"]["ea"]["credentials"] == before + 1
    station.enrol()
    asked, _key = station.authorization()
    answer = node.post("/aa", asked.request)
    assert node.post("/aa", asked.request) == answer
    assert status(node)["authorities"]["aa"]["repeated"] == 1


def test_a_blocked_station_gets_no_ticket_and_no_credential_until_it_is_served_again(node: PkiNode) -> None:
    station = Asker(node, "blocked")
    station.register()
    station.enrol()
    v2x_pki("block", node.directory, "--its-id", "blocked")
    for ask in (station.authorize, station.enrol):
        with pytest.raises(AuthorityRefusal):
            ask()
    v2x_pki("unblock", node.directory, "--its-id", "blocked")
    assert station.authorize().certificate.issuer.hashed_id8 == node.certificate("aa").hashed_id8


def test_a_revoked_credential_gets_no_ticket_but_its_station_may_enrol_again(node: PkiNode) -> None:
    station = Asker(node, "lost its key")
    station.register()
    lost = station.enrol()
    v2x_pki("block", node.directory, "--credential", lost.hashed_id8.hex())
    with pytest.raises(AuthorityRefusal):
        station.authorize()
    station.enrol()
    assert station.authorize().certificate.tbs.app_permissions


def test_garbage_and_requests_to_others_are_refused_with_a_sentence_and_counted(node: PkiNode) -> None:
    station = Asker(node, "misdirected")
    station.register()
    pending, _key = station.enrolment()
    assert refusal_of(node, "/ea", b"garbage").status == 400
    misdirected = refusal_of(node, "/aa", pending.request)
    assert "not encrypted to this authority" in misdirected.reason
    assert refusal_of(node, "/ea", bytes(MAX_REQUEST_OCTETS + 1)).status == 413
    counted = status(node)["requests"]
    assert counted["/aa unanswerable"] >= 1
    assert counted["/ea 413"] >= 1


def test_every_certificate_and_list_is_proven_to_be_logged(node: PkiNode) -> None:
    policy = policy_of(node)
    for part in ("root", "tlm", "ea", "aa"):
        certificate = node.certificate(part).encoded
        proof = parse_proof(get(proof_url(node.url + "/dc", certificate)))
        assert verify_proof(proof, certificate, policy).index >= 0
    for pinned in (node.directory / "trust/authorities").glob("*.oer"):
        assert verify_proof(parse_proof(pinned.with_suffix(".proof").read_bytes()), pinned.read_bytes(), policy).index >= 0
    assert node.get("/cpoc/gettlmcertificate") == node.certificate("tlm").encoded
    assert node.get("/log/checkpoint").startswith(b"pki.v2x-trust/")
    size = status(node)["log"]["size"]
    assert len(node.get(f"/log/tile/0/000.p/{size}")) == 32 * size


def test_what_is_revoked_while_the_node_runs_is_on_its_list_at_once_and_not_answered_any_more(tmp_path: Path) -> None:
    with serving(hierarchy(tmp_path / "authorities")) as node:
        station = Asker(node, "served")
        station.register()
        station.enrol()
        ticket = station.authorize()
        lists = synchronised(node)
        revoked = node.certificate("aa").hashed_id8
        v2x_pki("crl", node.directory, "--revoke", revoked.hex(), "--out", tmp_path / "revoked.crl")
        assert (
            node.get(f"/dc/getcrl/{node.certificate('root').hashed_id8.hex().upper()}") == (tmp_path / "revoked.crl").read_bytes()
        )
        assert take(lists, wanted_of(node, ListKind.CRL)).revoked == (revoked,)
        store = lists.trust(now())
        secured = SigningService(ticket=ticket, trust_store=store).sign(b"payload", ItsAid.CAM, now=now(), location=None)
        with pytest.raises(VerificationError) as caught:
            verifying(store).verify(secured, now=now())
        assert caught.value.report is VerificationReport.REVOKED_CERTIFICATE
        with pytest.raises(AuthorityRefusal):
            station.authorize()


def test_an_authority_that_is_added_is_unknown_until_it_is_listed_and_then_comes_with_the_delta(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    v2x_pki("issue", directory, "--kind", "aa", "--name", "second AA", "--out", directory / "second")
    with serving(directory) as node:
        lists = synchronised(node)
        second = node.certificate("second")
        assert second.hashed_id8 not in lists.trust(now()).authorities
        with pytest.raises(HttpStatusError):
            get(proof_url(node.url + "/dc", second.encoded))
        v2x_pki("ctl", directory, "--add-aa", "second")
        (held,) = (each.mark.sequence for each in lists.held() if each.kind is ListKind.ROOT_CTL)
        change = take(lists, wanted_of(node, ListKind.ROOT_CTL, held), delta=True)
        assert change.authorities_added == (second,)
        assert not take(lists, wanted_of(node, ListKind.ROOT_CTL)).is_news
        station = Asker(node, "of the second")
        station.register()
        station.enrol()
        point = lists.access_point(second.hashed_id8)
        assert point == node.url + "/aa/second"
        assert station.authorize("second", "/aa/second").certificate.issuer.hashed_id8 == second.hashed_id8
        assert station.authorize().certificate.issuer.hashed_id8 == node.certificate("aa").hashed_id8
        v2x_pki("ctl", directory, "--remove-aa", "second")
        asked, _key = station.authorization("second")
        assert refusal_of(node, "/aa/second", asked.request).status == 404
        assert station.authorize().certificate.issuer.hashed_id8 == node.certificate("aa").hashed_id8
        assert status(node)["requests"]["authority.opened"] == status(node)["requests"]["authority.closed"] == 1


def test_both_authorities_are_replaced_while_the_node_runs_and_it_starts_again_without_the_old_ones(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    with serving(directory) as node:
        station = Asker(node, "rotated")
        station.register()
        station.enrol()
        for kind in ("ea", "aa"):
            v2x_pki("issue", directory, "--kind", kind, "--name", f"next {kind}", "--out", directory / f"next-{kind}")
        v2x_pki("ctl", directory, "--add-ea", "next-ea", "--add-aa", "next-aa")
        assert station.authorize("next-aa", "/aa/next-aa").certificate.issuer.hashed_id8 == node.certificate("next-aa").hashed_id8
        v2x_pki("ctl", directory, "--remove-ea", "ea", "--remove-aa", "aa")
        pending, _key = station.enrolment()
        assert refusal_of(node, "/ea", pending.request).status == 404
        with pytest.raises(AuthorityRefusal) as caught:
            station.authorize("next-aa", "/aa/next-aa")
        assert caught.value.answer is AuthorizationResponseCode.UNKNOWN_EA
        station.enrol("next-ea", "/ea/next-ea")
        assert station.credential is not None
        assert station.credential.certificate.issuer.hashed_id8 == node.certificate("next-ea").hashed_id8
        assert station.authorize("next-aa", "/aa/next-aa").certificate.tbs.app_permissions
        lists = synchronised(node)
        assert {each.certificate.hashed_id8 for each in lists.entries} == {
            node.certificate(part).hashed_id8 for part in ("next-ea", "next-aa")
        }
        assert sorted(status(node)["authorities"]) == ["aa/next-aa", "ea/next-ea"]
    for part in ("ea", "aa"):
        (directory / part / "key.pem").unlink()
    with serving(directory) as node:
        station.node = node
        station.enrol("next-ea", "/ea/next-ea")
        station.authorize("next-aa", "/aa/next-aa")


def test_an_authority_that_cannot_be_opened_costs_its_own_answers_and_is_tried_again(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    v2x_pki("issue", directory, "--kind", "aa", "--name", "second AA", "--out", directory / "second")
    key = directory / "second/key.pem"
    key.chmod(0o644)
    with serving(directory) as node:
        station = Asker(node, "waiting")
        station.register()
        station.enrol()
        v2x_pki("ctl", directory, "--add-aa", "second")
        asked, _key = station.authorization("second")
        assert refusal_of(node, "/aa/second", asked.request).status == 503
        assert refusal_of(node, "/aa/second", asked.request).status == 503
        assert "chmod 600" in status(node)["not_opened"]["aa/second"]
        assert node.log.read_text().count("authority_not_opened") == 1
        station.authorize()
        key.chmod(0o600)
        v2x_pki("ctl", directory)
        assert station.authorize("second", "/aa/second").certificate.issuer.hashed_id8 == node.certificate("second").hashed_id8
        assert status(node)["not_opened"] == {}


def test_a_node_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    with serving(directory) as node:
        station = Asker(node, "patient")
        station.register()
        pending, _key = station.enrolment()
        answer = node.post("/ea", pending.request)
        lists = synchronised(node)
        before = status(node)
        node.process.send_signal(signal.SIGKILL)
        node.process.wait()
    with serving(directory, listen=node.url.removeprefix("http://")) as again:
        assert again.post("/ea", pending.request) == answer
        after = status(again)
        assert (after["lists"], after["log"], after["kept"]) == (before["lists"], before["log"], before["kept"])
        assert not take(lists, wanted_of(again, ListKind.ROOT_CTL)).is_news
        assert again.stop() == 0
        assert again.process.stdout is not None
        assert again.process.stdout.read() == b""


def test_another_address_is_in_new_lists_that_follow_the_old_ones(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    with serving(directory) as node:
        lists = synchronised(node)
    with serving(directory, "--url", "https://pki.example/v2x/") as moved:
        assert take(lists, wanted_of(moved, ListKind.ROOT_CTL)).is_news
        assert lists.access_point(moved.certificate("aa").hashed_id8) == "https://pki.example/v2x/aa"
        assert lists.access_point(moved.certificate("ea").hashed_id8) == "https://pki.example/v2x/ea"


def test_the_lists_of_one_directory_are_published_by_one_program(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    with serving(directory) as node:
        lists = synchronised(node)
        for only in ((), ("--only", "tlm,cpoc")):
            words = [str(PROGRAM), "pki", "serve", str(directory), "--listen", "127.0.0.1:0", *only]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
            assert (done.returncode, done.stdout) == (1, "")
            assert f"the lists of {directory} are published by another program already" in done.stderr
        assert not take(lists, wanted_of(node, ListKind.ROOT_CTL)).is_news
        assert lists.access_point(node.certificate("aa").hashed_id8) == f"{node.url}/aa"
    with serving(directory) as again:
        assert take(lists, wanted_of(again, ListKind.ROOT_CTL)).is_news


def test_lists_are_renewed_before_they_run_out(tmp_path: Path) -> None:
    with serving(hierarchy(tmp_path / "authorities"), "--list-period-s", "4") as node:
        lists = synchronised(node)
        first = stated_list(node.get(f"/dc/getctl/{node.certificate('root').hashed_id8.hex()}"))
        assert isinstance(first, Ctl)
        newest = first
        while newest == first:
            stated = stated_list(node.get(f"/dc/getctl/{node.certificate('root').hashed_id8.hex()}"))
            assert isinstance(stated, Ctl)
            newest = stated
        assert newest.sequence == first.sequence + 1
        assert newest.commands == first.commands
        assert newest.next_update > first.next_update
        assert take(lists, wanted_of(node, ListKind.ROOT_CTL)).is_news


def test_requests_beyond_the_rate_are_told_when_to_come_back(tmp_path: Path) -> None:
    with serving(hierarchy(tmp_path / "authorities"), "--requests-per-s", "0.2") as node:
        assert refusal_of(node, "/ea", b"garbage").status == 400
        refused = refusal_of(node, "/ea", b"garbage")
        assert refused.status == 429
        assert refused.retry_after_s in range(1, 6)
        assert status(node)["requests"]["/ea 429"] == 1


def test_authorities_in_processes_of_their_own_reach_each_other_over_http(tmp_path: Path) -> None:
    directory = hierarchy(tmp_path / "authorities")
    with serving(directory, "--only", "ea") as ea:
        address = ea.url.removeprefix("http://")
        with (
            serving(directory, "--only", "aa") as aa,
            serving(directory, "--only", "root,tlm,dc,cpoc,log", "--ea-url", f"{ea.url}/ea", "--aa-url", f"{aa.url}/aa") as centre,
        ):
            lists = synchronised(centre)
            assert lists.access_point(ea.certificate("ea").hashed_id8) == f"{ea.url}/ea"
            station = Asker(ea, "between")
            station.register()
            station.enrol()
            asked, _key = station.authorization()
            assert asked.open(post(f"{aa.url}/aa", asked.request), now()).issuer.hashed_id8 == aa.certificate("aa").hashed_id8
            with pytest.raises(HttpStatusError):
                post(f"{aa.url}/ea", asked.request)
            assert ea.stop() == 0
            later, _key = station.authorization()
            with pytest.raises(AuthorityRefusal) as caught:
                later.open(post(f"{aa.url}/aa", later.request), now())
            assert caught.value.answer is AuthorizationResponseCode.CANT_REACH_EA
            with serving(directory, "--only", "ea", listen=address):
                assert later.open(post(f"{aa.url}/aa", later.request), now()).validity.count > 0


def test_what_is_secret_is_its_owners_alone_and_nothing_of_it_is_logged(node: PkiNode) -> None:
    secret = [path for path in node.directory.rglob("*") if path.suffix in (".pem", ".key", ".db")]
    assert {path.name for path in secret} >= {"key.pem", "log.key", "registry.db", "answers.db", "lists.db", "log.db"}
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    logged = node.log.read_text()
    for path in secret:
        if path.suffix != ".db":
            assert not any(line in logged for line in path.read_text().splitlines()[1:-1])
