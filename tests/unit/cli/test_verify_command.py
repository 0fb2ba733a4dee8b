import json
from pathlib import Path
from shutil import copy

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from shared.cli.judgement import Judge
from shared.cli.main import app
from shared.cli.report_words import MEANINGS, meaning_of
from shared.cli.rows import Rows
from shared.core.clock import Instant, MonotonicNs, UtcNs
from shared.core.errors import ConfigError, DecodeError, V2xError
from shared.core.ids import ItsAid
from shared.core.itstime import utc_from_text, utc_text
from shared.core.report import VerificationReport
from shared.messages.cdd import CauseCode
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.pki.permission_sets import StationRole
from shared.security.crl import Crl
from shared.security.header_info import GenerationLocation, HeaderInfo
from shared.security.region import Location
from shared.security.trust_store import TrustStore
from shared.service.identified_areas import read_identified_areas
from shared.service.trust_directory import read_trust_directory, write_trust_directory
from shared.transport.pcap import PcapWriter
from tests.conformance.secured_messages.judge import BELIEVED, expected, kind_of, sentences
from tests.conformance.secured_messages.judge import DIRECTORY as CONFORMANCE
from tests.conformance.secured_messages.workshop import Kind
from tests.helpers.data import data_file
from tests.helpers.hierarchy import NOON, Hierarchy, seconds
from tests.helpers.stations import TURIN, Speaker, after_ms, payload_of, sealed
from tests.helpers.trust_lists import ListIssuer, its, its_s

HIERARCHY, FOREIGN = Hierarchy(31), Hierarchy(32)
AT = ("--at", utc_text(NOON))


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trust")
    write_trust_directory(directory, HIERARCHY.trust_store)
    return directory


def v2x_verify(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["verify", *(str(argument) for argument in arguments)], input=stdin, env={"COLUMNS": "100"})


def said(*arguments: object, status: int = 0, stdin: bytes | None = None) -> str:
    result = v2x_verify(*arguments, stdin=stdin)
    assert result.exit_code == status, result.output + repr(result.exception)
    return result.stdout


def verdicts(*arguments: object, status: int = 0) -> list[dict[str, object]]:
    return [json.loads(line) for line in said(*arguments, "--json", status=status).splitlines()]


def refused(*arguments: object) -> V2xError:
    result = v2x_verify(*arguments)
    assert isinstance(result.exception, V2xError), result.output + repr(result.exception)
    return result.exception


def pcap(path: Path, *packets: tuple[bytes, UtcNs]) -> Path:
    with PcapWriter(path) as writer:
        for packet, utc in packets:
            writer.write(packet, utc=utc)
    return path


def test_a_capture_of_honest_stations_verifies_message_by_message(tmp_path: Path, trust: Path) -> None:
    car, rsu = Speaker(HIERARCHY), Speaker(HIERARCHY, StationRole.RSU, seed=2)
    moments = [after_ms(NOON, 100 * number) for number in range(3)]
    packets = [(car.cam(moment), moment) for moment in moments]
    packets += [(rsu.spatem(moments[2]), moments[2]), (rsu.mapem(moments[2]), moments[2]), (rsu.denm(moments[2]), moments[2])]
    capture = pcap(tmp_path / "c.pcap", *packets)
    text = said(capture, "--trust", trust)
    assert "6 messages: 6 verified" in text
    assert f"{car.ticket.certificate.hashed_id8.hex()}  3         0" in text
    assert "Chain that held: AA 31" in text
    found = verdicts(capture, "--trust", trust)
    assert [one["message"] for one in found] == ["cam", "cam", "cam", "spatem", "mapem", "denm"]
    assert [one["signed_by"] for one in found[:3]] == ["certificate", "digest", "digest"]
    assert {one["verdict"] for one in found} == {"verified"}
    last = found[1]
    assert (last["frame"], last["received"], last["signature"], last["ssp"]) == (2, utc_text(moments[1]), "holds", "010000")
    assert (last["its_aid"], last["service"], last["content_judged"]) == (36, "cam", True)
    chain = (car.ticket.certificate, HIERARCHY.aa.certificate, HIERARCHY.root.certificate)
    ids = [certificate.hashed_id8.hex() for certificate in chain]
    assert last["chain"] == [{"hashed_id8": one, "name": name} for one, name in zip(ids, (None, "AA 31", "root 31"), strict=True)]
    assert last["root"] == {"hashed_id8": ids[2], "name": "root 31"}


def test_every_refusal_has_its_code_and_its_sentence(tmp_path: Path, trust: Path) -> None:
    car, stranger = Speaker(HIERARCHY), Speaker(FOREIGN, seed=3)
    first, second = car.cam(NOON), car.cam(after_ms(NOON, 100))
    forged = second[:-1] + bytes((second[-1] ^ 1,))
    late, many_hops = car.cam(after_ms(NOON, 200)), first[:3] + b"\x07" + car.cam(after_ms(NOON, 300))[4:]
    packets = [
        (second, after_ms(NOON, 80), "signer_certificate_not_found", "not checked"),
        (first, after_ms(NOON, 90), "verified", "holds"),
        (first, after_ms(NOON, 100), "duplicate_message", "not checked"),
        (forged, after_ms(NOON, 110), "false_signature", "false"),
        (second, after_ms(NOON, 120), "verified", "holds"),
        (stranger.cam(NOON), after_ms(NOON, 130), "signer_certificate_not_found", "not checked"),
        (late, after_ms(NOON, 9_000), "invalid_timestamp", "not checked"),
        (many_hops, after_ms(NOON, 310), "malformed", "not checked"),
        (first[:-1], after_ms(NOON, 320), "malformed", "not checked"),
        (b"\x11" + first[1:], after_ms(NOON, 330), "unsigned_message", "absent"),
        (b"\x00", after_ms(NOON, 340), "malformed", "not checked"),
    ]
    capture = pcap(tmp_path / "c.pcap", *((packet, utc) for packet, utc, _code, _signature in packets))
    found = verdicts(capture, "--trust", trust, status=1)
    assert [(one["verdict"], one["signature"]) for one in found] == [(code, signature) for _p, _u, code, signature in packets]
    assert all(one["reason"] for one in found if not one["verified"])
    assert found[4]["chain_holds"]
    assert not found[5]["chain_holds"]
    assert found[5]["root"] is None
    text = said(capture, "--trust", trust, status=1)
    assert "11 messages: 2 verified, 9 refused: malformed 3, signer certificate not found 2" in text
    assert "REFUSED duplicate message: " in text


def test_a_ticket_of_the_wrong_root_is_refused_once_the_way_to_it_is_known(tmp_path: Path, trust: Path) -> None:
    store = TrustStore.of_operator((HIERARCHY.root.certificate,), (HIERARCHY.aa.certificate, FOREIGN.aa.certificate))
    both = tmp_path / "trust"
    write_trust_directory(both, store)
    packet = Speaker(FOREIGN, seed=3).cam(NOON)
    (verdict,) = verdicts(packet.hex(), "--trust", both, *AT, status=1)
    assert verdict["verdict"] == "untrusted_root"
    assert "not believed: CAM 010000" in said(packet.hex(), "--trust", both, *AT, status=1)
    (verdict,) = verdicts(packet.hex(), "--trust", trust, *AT, status=1)
    assert verdict["verdict"] == "signer_certificate_not_found"


def test_a_single_packet_is_judged_at_the_moment_that_is_named(trust: Path) -> None:
    packet = Speaker(HIERARCHY).cam(NOON)
    assert "1 message: 1 verified" in said(packet.hex(), "--trust", trust, *AT)
    later = utc_text(UtcNs(NOON + seconds(2.5)))
    assert "REFUSED invalid timestamp: generated 2.500 s ago" in said(packet.hex(), "--trust", trust, "--at", later, status=1)
    assert "1 message: 1 verified" in said("-", "--trust", trust, *AT, stdin=packet)


def test_a_single_packet_is_not_judged_at_a_moment_that_nobody_named(trust: Path) -> None:
    error = refused(Speaker(HIERARCHY).cam(NOON).hex(), "--trust", trust)
    assert isinstance(error, ConfigError)
    assert f"it says it was made at {utc_text(NOON)}" in str(error)


def test_a_capture_may_be_judged_at_another_moment_than_its_own(tmp_path: Path, trust: Path) -> None:
    capture = pcap(tmp_path / "c.pcap", (Speaker(HIERARCHY).cam(NOON), UtcNs(NOON + seconds(3_600))))
    assert verdicts(capture, "--trust", trust, status=1)[0]["verdict"] == "invalid_timestamp"
    assert verdicts(capture, "--trust", trust, *AT)[0]["verdict"] == "verified"


def test_a_secured_message_is_judged_without_its_basic_header(trust: Path) -> None:
    secured = Speaker(HIERARCHY).cam(NOON)[BASIC_HEADER_OCTETS:]
    (verdict,) = verdicts(secured.hex(), "--trust", trust, *AT)
    assert (verdict["verdict"], verdict["message"], verdict["content_judged"]) == ("verified", "cam", True)


def test_what_was_not_judged_is_said() -> None:
    case = CONFORMANCE / "a_cam_with_its_certificate_is_believed"
    at = json.loads((case / "expected.json").read_text())["at"]
    text = said(case / "message.oer", "--trust", CONFORMANCE / "trust", "--at", at)
    assert "verified; its payload is no GeoNetworking packet and was not judged" in " ".join(text.split())


PLAIN_CASES = [
    sentence
    for sentence in sentences()
    if kind_of(sentence) in (Kind.MESSAGE, Kind.PACKET) and expected(sentence).keys() <= {"at", "verdict", "says"}
]
"""Those that need nothing but themselves, the trust directory and the table of areas."""

LISTS_ON_THE_RADIO = {"a_trust_list_on_the_radio_is_refused", "a_revocation_list_on_the_radio_is_refused"}
"""By itself such a list may well be one: here it is judged as one, and by its signer refused."""


@pytest.mark.parametrize("sentence", PLAIN_CASES)
def test_what_judges_for_the_command_gives_the_verdicts_of_the_conformance_cases(sentence: str) -> None:
    wanted, kind = expected(sentence), kind_of(sentence)
    judge = Judge(read_trust_directory(CONFORMANCE / "trust"), (), read_identified_areas(CONFORMANCE / "areas.toml"))
    octets, now = (CONFORMANCE / sentence / kind.value).read_bytes(), Instant(MonotonicNs(0), utc_from_text(wanted["at"]))
    verdict = judge.judge_packet(octets, now) if kind is Kind.PACKET else judge.judge_secured(octets, now)
    if sentence in LISTS_ON_THE_RADIO:
        assert verdict.code == "untrusted_root"
        return
    assert verdict.code == ("verified" if wanted["verdict"] == BELIEVED else wanted["verdict"])
    assert wanted.get("says", "") in verdict.reason


@pytest.mark.parametrize(
    "sentence",
    [
        "a_cam_with_its_certificate_is_believed",
        "a_denm_inside_the_country_of_its_ticket_is_believed",
        "a_denm_outside_the_country_of_its_ticket_is_refused",
        "a_packet_with_a_cam_is_believed",
        "a_car_in_turin_by_its_packet_and_in_milan_by_its_cam_is_refused",
    ],
)
def test_the_command_gives_the_verdicts_of_the_conformance_cases(sentence: str) -> None:
    wanted = expected(sentence)
    is_believed = wanted["verdict"] == BELIEVED
    told = ("--trust", CONFORMANCE / "trust", "--areas", CONFORMANCE / "areas.toml", "--at", wanted["at"])
    (verdict,) = verdicts(CONFORMANCE / sentence / kind_of(sentence).value, *told, status=0 if is_believed else 1)
    assert verdict["verdict"] == ("verified" if is_believed else wanted["verdict"])
    assert wanted.get("says", "") in str(verdict["reason"])


def test_without_a_table_of_areas_a_country_is_nowhere() -> None:
    case = CONFORMANCE / "a_denm_inside_the_country_of_its_ticket_is_believed"
    told = ("--trust", CONFORMANCE / "trust", "--at", expected(case.name)["at"])
    (verdict,) = verdicts(case / "message.oer", *told, status=1)
    assert verdict["verdict"] == "outside_region"
    assert isinstance(refused(case / "message.oer", *told, "--areas", case / "absent.toml"), ConfigError)


def test_every_report_has_a_meaning_that_the_command_tells(trust: Path) -> None:
    assert set(MEANINGS) == set(VerificationReport)
    assert len(set(MEANINGS.values())) == len(MEANINGS)
    for report in VerificationReport:
        assert meaning_of(report.value) == MEANINGS[report]
    packet = Speaker(HIERARCHY).cam(NOON)
    stale = ("--trust", trust, "--at", utc_text(UtcNs(NOON + seconds(9))))
    assert f"invalid timestamp: {MEANINGS[VerificationReport.INVALID_TIMESTAMP]}" in said(packet.hex(), *stale, status=1)
    assert verdicts(packet.hex(), *stale, status=1)[0]["meaning"] == MEANINGS[VerificationReport.INVALID_TIMESTAMP]
    assert verdicts(packet.hex(), "--trust", trust, *AT)[0]["meaning"] == ""
    cut = said(packet[:-1].hex(), "--trust", trust, *AT, status=1)
    assert "malformed: its octets are not what the standards say they must be" in cut
    assert meaning_of("some_new_code") == "some new code"


def test_a_denm_beyond_the_tickets_permissions_is_refused_although_its_signature_holds(tmp_path: Path, trust: Path) -> None:
    packet = Speaker(HIERARCHY, StationRole.RSU, seed=2).denm(NOON, cause=CauseCode.ROADWORKS)
    place = GenerationLocation(location=Location.of(TURIN), elevation=4_095)
    header = HeaderInfo(psid=ItsAid.DENM, generation_time=its(NOON), generation_location=place)
    overreaching = packet[:BASIC_HEADER_OCTETS] + sealed(HIERARCHY.ticket(StationRole.VEHICLE), payload_of(packet), header)
    (verdict,) = verdicts(pcap(tmp_path / "c.pcap", (overreaching, NOON)), "--trust", trust, status=1)
    assert (verdict["verdict"], verdict["signature"], verdict["ssp"]) == ("permission_denied", "holds", "01dfbfe5")
    assert verdict["reason"] == "the ticket does not allow a DENM of cause 3"


def test_a_capture_cut_short_closes_with_its_account_and_fails(tmp_path: Path, trust: Path) -> None:
    car = Speaker(HIERARCHY)
    capture = pcap(tmp_path / "c.pcap", (car.cam(NOON), NOON), (car.cam(after_ms(NOON, 100)), after_ms(NOON, 100)))
    capture.write_bytes(capture.read_bytes()[:-9])
    result = v2x_verify(capture, "--trust", trust)
    assert "1 message: 1 verified" in result.stdout
    assert isinstance(result.exception, DecodeError)


def test_a_capture_without_messages_verifies_nothing(tmp_path: Path, trust: Path) -> None:
    assert "nothing was verified" in said(pcap(tmp_path / "c.pcap"), "--trust", trust, status=1)


def test_wrong_usage_is_told_from_wrong_messages(tmp_path: Path, trust: Path) -> None:
    packet = Speaker(HIERARCHY).cam(NOON).hex()
    certificate = HIERARCHY.root.certificate.encoded.hex()
    assert isinstance(refused(packet, "--trust", tmp_path, *AT), ConfigError)
    assert isinstance(refused(packet, "--trust", trust, "--at", "noon"), ConfigError)
    assert isinstance(refused(packet, "--trust", trust, "--at", "1999-01-01T00:00:00Z"), ConfigError)
    assert "is no message but a certificate" in str(refused(certificate, "--trust", trust, *AT))
    assert v2x_verify(packet).exit_code == 2


def test_the_european_trust_list_verifies_where_its_manager_is_trusted(tmp_path: Path, trust: Path) -> None:
    (tmp_path / "tlm").mkdir()
    copy(data_file("security/E7A4B2B045E7ACF9.oer"), tmp_path / "tlm")
    ectl = data_file("security/CE4CF6C19BFED720.oer")
    (verdict,) = verdicts(ectl, "--trust", tmp_path, "--at", "2025-04-01T00:00:00Z")
    assert (verdict["verdict"], verdict["message"], verdict["ssp"]) == ("verified", "ctl", "01c8")
    assert verdict["root"] == {"hashed_id8": "e7a4b2b045e7acf9", "name": "EU-TLM_L2"}
    assert verdicts(ectl, "--trust", tmp_path, "--at", "2025-08-01T00:00:00Z", status=1)[0]["verdict"] == "invalid_timestamp"
    assert verdicts(ectl, "--trust", trust, "--at", "2025-04-01T00:00:00Z", status=1)[0]["verdict"] == "untrusted_root"


def test_a_revocation_list_is_judged_under_its_root(tmp_path: Path) -> None:
    root = ListIssuer.made(5)
    write_trust_directory(tmp_path / "t", TrustStore.of_operator((root.certificate,), ()))
    crl = Crl(this_update=its_s(NOON), next_update=its_s(NOON, after_s=60), revoked=())
    assert verdicts(root.signed(crl).hex(), "--trust", tmp_path / "t", *AT)[0]["message"] == "crl"
    forged = ListIssuer(certificate=root.certificate, signer=ListIssuer.made(6).signer).signed(crl)
    (verdict,) = verdicts(forged.hex(), "--trust", tmp_path / "t", *AT, status=1)
    assert (verdict["verdict"], verdict["signature"]) == ("false_signature", "false")


@pytest.mark.parametrize("length", [0, 1, 5, 100, -1])
def test_a_cut_packet_gets_a_verdict_too(tmp_path: Path, trust: Path, length: int) -> None:
    packet = Speaker(HIERARCHY).cam(NOON)[:length] or b"\x12"
    (verdict,) = verdicts(pcap(tmp_path / "c.pcap", (packet, NOON)), "--trust", trust, status=1)
    assert (verdict["verdict"], verdict["message"]) == ("malformed", "?")


def test_rows_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows(Console(width=30), (("No.", 4), ("Words", 0)))
    rows.head()
    rows.row("1", "a line that is longer than its column")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["No.   Words", "1     a line that is longer", "      than its column"]
