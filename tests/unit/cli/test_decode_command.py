import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner, Result

from shared.cli.dissection import dissect
from shared.cli.main import app
from shared.cli.rows import Rows, line_console
from shared.cli.source import MAX_INPUT_OCTETS, MAX_STRUCTURE_OCTETS, Kind, recognise
from shared.core.clock import UtcNs
from shared.core.errors import ConfigError, DecodeError, V2xError
from shared.core.ids import BtpPort, ItsAid, MessageId
from shared.messages.cam import encode_cam
from shared.messages.denm import encode_denm
from shared.messages.mapem import encode_mapem
from shared.messages.spatem import encode_spatem
from shared.network.address import GnAddress
from shared.network.btp import BtpB
from shared.network.extended import ShbHeader
from shared.network.headers import BASIC_HEADER_OCTETS, TrafficClass
from shared.network.packet import encode_gn_payload
from shared.network.position_vector import LongPositionVector
from shared.pki.permission_sets import StationRole
from shared.security.crl import Crl
from shared.security.ctl import AaEntry, Ctl, CtlKind, DcEntry, DeleteCertificate, EaEntry
from shared.security.header_info import HeaderInfo
from shared.security.secured_data import encode_unsecured
from shared.security.trust_list import encode_trust_list
from shared.transport.link_frames import BROADCAST_MAC
from shared.transport.pcap import PcapWriter
from tests.helpers.data import REPOSITORY, data_file
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.stations import Speaker, after_ms, payload_of, sealed
from tests.helpers.trust_lists import ListIssuer, its, its_s
from tests.unit.codec.uper_values import Draw
from tests.unit.messages.message_samples import BARE_DENM, CAR, PHASES, ROADSIDE, ROADWORKS, SILENT_CAR, TOPOLOGY

HIERARCHY = Hierarchy(21)
CRL = Crl(this_update=its_s(NOON), next_update=its_s(NOON, after_s=60), revoked=())
SOURCE = LongPositionVector(
    address=GnAddress(station_type=5, mac=bytes(6)),
    timestamp_ms=0,
    position=None,
    is_accurate=False,
    speed_mps=None,
    heading_deg=None,
)
CAM_PACKET = Speaker(HIERARCHY).cam(NOON)
RSU = Speaker(HIERARCHY, StationRole.RSU, seed=2)
DENM_PACKET, SPATEM_PACKET, MAPEM_PACKET = RSU.denm(NOON), RSU.spatem(NOON), RSU.mapem(NOON)
PACKETS = {"cam": CAM_PACKET, "denm": DENM_PACKET, "spatem": SPATEM_PACKET, "mapem": MAPEM_PACKET}
MESSAGES = {
    "car": encode_cam(CAR),
    "silent car": encode_cam(SILENT_CAR),
    "roadside": encode_cam(ROADSIDE),
    "roadworks": encode_denm(ROADWORKS),
    "bare denm": encode_denm(BARE_DENM),
    "phases": encode_spatem(PHASES),
    "topology": encode_mapem(TOPOLOGY),
}


def v2x_decode(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["decode", *(str(argument) for argument in arguments)], input=stdin, env={"COLUMNS": "100"})


def shown(*arguments: object, stdin: bytes | None = None, status: int = 0) -> str:
    result = v2x_decode(*arguments, stdin=stdin)
    assert result.exit_code == status, result.output + repr(result.exception)
    return result.stdout


def as_json(*arguments: object, status: int = 0) -> dict[str, object]:
    found = json.loads(shown(*arguments, "--json", status=status))
    assert isinstance(found, dict)
    return found


def refused(*arguments: object, stdin: bytes | None = None) -> V2xError:
    result = v2x_decode(*arguments, stdin=stdin)
    assert isinstance(result.exception, V2xError), result.output + repr(result.exception)
    return result.exception


def layers(described: dict[str, object]) -> list[str]:
    found = described["layers"]
    assert isinstance(found, list)
    return [layer["layer"] for layer in found]


def innermost(described: dict[str, object]) -> dict[str, object]:
    found = described["layers"]
    assert isinstance(found, list)
    assert isinstance(found[-1], dict)
    return found[-1]


def refusal_of(described: dict[str, object]) -> dict[str, object]:
    refusal = described["refusal"]
    assert isinstance(refusal, dict)
    return refusal


def pcap(path: Path, *packets: tuple[bytes, UtcNs]) -> Path:
    with PcapWriter(path) as writer:
        for packet, utc in packets:
            writer.write(packet, utc=utc)
    return path


def test_a_packet_is_shown_layer_by_layer_with_units_and_names() -> None:
    text = shown(CAM_PACKET.hex())
    for line in (
        "octets that begin with 12 00: GeoNetworking packet",
        "Basic Header: version 1, next secured, lifetime 1.0 s, remaining hops 1",
        "ITS-AID: 36 (CAM)",
        "generation time: 2026-11-22T12:00:00Z",
        "issued by: " + HIERARCHY.aa.certificate.hashed_id8.hex(),
        "permissions: CAM 010000; DENM 01dfbfe5; GN MANAGEMENT",
        "BTP-B: destination port 2001, destination port info 0, message CAM",
        "position: 45.0700000, 7.6800000",
        "speed: 13.9 m/s (50.0 km/h), ±0.5 m/s",
        "heading: 90.0°",
        "exterior lights low beam headlights on",
    ):
        assert line in text
    assert "refused" not in text


def test_a_light_says_its_colour_and_the_seconds_until_it_changes() -> None:
    assert "events: red until +10.0 s; green from +10.0 s until +10.0 s" in shown(SPATEM_PACKET.hex())


def test_a_warning_says_its_cause_and_its_area() -> None:
    text = shown(DENM_PACKET.hex())
    assert "area: shape circle, position 45.0700000, 7.6800000, radius 300.0 m" in text
    assert "cause code: stationary vehicle" in text
    assert "detection time: 2026-11-22T12:00:00Z" in text


def test_machines_get_the_same_with_units_in_the_names() -> None:
    described = as_json(CAM_PACKET.hex())
    assert layers(described) == ["basic_header", "signed_data", "common_header", "shb", "btp", "cam"]
    assert (described["kind"], described["octets"], described["refusal"]) == ("gn_packet", len(CAM_PACKET), None)
    cam = innermost(described)
    assert (cam["speed_mps"], cam["generation_time"]) == (13.9, "2026-11-22T12:00:00.000Z")


@pytest.mark.parametrize("name", PACKETS)
def test_a_packet_cut_at_any_octet_gives_what_can_be_read_and_a_reason(name: str) -> None:
    packet = PACKETS[name]
    whole = dissect(packet, Kind.GN_PACKET)
    assert whole.refusal is None
    assert whole.layers[-1].name == name
    for length in range(len(packet)):
        cut = dissect(packet[:length], Kind.GN_PACKET)
        assert isinstance(cut.refusal, DecodeError)
        assert cut.refusal.reason
        assert cut.layers == whole.layers[: len(cut.layers)]
        assert bool(cut.layers) is (length >= BASIC_HEADER_OCTETS)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_cut_at_any_octet_gives_its_header_and_a_reason(name: str) -> None:
    encoded = MESSAGES[name]
    assert dissect(encoded, Kind.FACILITIES_MESSAGE).refusal is None
    for length in range(len(encoded)):
        cut = dissect(encoded[:length], Kind.FACILITIES_MESSAGE)
        assert isinstance(cut.refusal, DecodeError)


def test_a_cut_packet_on_the_command_line_ends_in_a_sentence_and_status_1() -> None:
    for length in (1, 3, 4, 40, 100, len(CAM_PACKET) - 1):
        text = shown(CAM_PACKET[:length].hex(), status=1)
        assert "refused (malformed): " in text
        assert "Traceback" not in text


def test_a_packet_with_a_flipped_bit_is_shown_or_refused_and_nothing_else() -> None:
    for bit in range(0, 8 * len(CAM_PACKET), 3):
        flipped = bytearray(CAM_PACKET)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        dissect(bytes(flipped), Kind.GN_PACKET)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_field_of_every_message_can_be_shown(name: str) -> None:
    text = shown(MESSAGES[name].hex())
    assert "facilities message" in text
    json.dumps(as_json(MESSAGES[name].hex()), allow_nan=False)


def test_an_unsecured_packet_is_shown_and_then_refused() -> None:
    payload = payload_of(CAM_PACKET)
    described = as_json((b"\x11" + CAM_PACKET[1:BASIC_HEADER_OCTETS] + payload).hex(), status=1)
    assert layers(described) == ["basic_header", "common_header", "shb", "btp", "cam"]
    assert described["refusal"] == {"code": "unsigned_message", "reason": "the packet is not secured"}
    described = as_json(encode_unsecured(payload).hex(), status=1)
    assert layers(described) == ["unsecured_data", "common_header", "shb", "btp", "cam"]
    assert described["refusal"] == {"code": "unsigned_message", "reason": "the message is not signed"}


def test_a_message_signed_as_another_service_is_shown_and_then_refused() -> None:
    ticket = HIERARCHY.ticket()
    payload = encode_gn_payload(
        extended=ShbHeader(source=SOURCE),
        btp=BtpB(destination_port=BtpPort.CAM),
        message=MESSAGES["car"],
        traffic_class=TrafficClass(priority=2),
        is_mobile=True,
    )
    for its_aid, reason in (
        (ItsAid.DENM, "a CAM was signed as ITS-AID 37 for port 2001"),
        (ItsAid.CAM, "the ticket does not allow a CAM with protected communication zones"),
        (ItsAid.GNSS_CORRECTION, "ITS-AID 540802 is no service of this station"),
    ):
        header = HeaderInfo(psid=its_aid, generation_time=its(NOON))
        described = as_json(sealed(ticket, payload, header).hex(), status=1)
        assert layers(described)[-1] == "cam"
        assert refusal_of(described)["reason"] == reason


def test_a_header_against_its_profile_is_refused_after_everything_was_shown() -> None:
    header = HeaderInfo(psid=ItsAid.DENM, generation_time=its(NOON))
    described = as_json(sealed(RSU.ticket, payload_of(DENM_PACKET), header).hex(), status=1)
    assert layers(described)[-1] == "denm"
    assert refusal_of(described)["code"] == "header_profile"


def test_content_without_a_type_of_its_own_is_named() -> None:
    issuer = ListIssuer.made(3)
    request = issuer.signed(CRL, payload=b"\x01\x80rest", header=HeaderInfo(psid=623, generation_time=its(NOON)))
    described = as_json(request.hex())
    assert (layers(described), described["summary"]) == (["signed_data", "management_data"], "enrolment request")
    assert layers(as_json(issuer.signed(CRL).hex())) == ["signed_data", "crl"]
    assert layers(as_json("0383021234")) == ["certificate_request"]


def test_a_truncated_payload_names_the_field_the_bit_and_the_reason() -> None:
    described = as_json(CAM_PACKET[:-1].hex(), status=1)
    assert described["refusal"] == {
        "code": "malformed",
        "reason": "needs 32 octets, 31 are left",
        "field": "signed.signature",
        "bit": 8 * (len(CAM_PACKET) - BASIC_HEADER_OCTETS - 32),
    }


def test_more_hops_than_the_packet_began_with_are_refused() -> None:
    described = as_json((CAM_PACKET[:3] + b"\x05" + CAM_PACKET[4:]).hex(), status=1)
    assert layers(described)[-1] == "cam"
    assert described["refusal"] == {
        "code": "malformed",
        "reason": "5 hops remain of 1",
        "field": "basic_header.remaining_hop_limit",
        "bit": 24,
    }


def test_a_secured_message_without_its_basic_header_is_shown_too() -> None:
    described = as_json(CAM_PACKET[BASIC_HEADER_OCTETS:].hex())
    assert (described["kind"], layers(described)[0], layers(described)[-1]) == ("secured_data", "signed_data", "cam")


def test_an_ethernet_frame_is_opened() -> None:
    frame = BROADCAST_MAC + bytes.fromhex("0200000000018947") + CAM_PACKET
    assert layers(as_json(frame.hex()))[:2] == ["ethernet", "basic_header"]


def test_a_certificate_is_described() -> None:
    text = shown(HIERARCHY.root.certificate.encoded.hex())
    assert "kind: root" in text
    assert f"HashedId8: {HIERARCHY.root.certificate.hashed_id8.hex()}" in text


def test_published_certificates_and_an_encrypted_request_are_shown() -> None:
    assert 'name: "EU-TLM_L2"' in shown(data_file("security/E7A4B2B045E7ACF9.oer"))
    assert "kind: authorization ticket" in shown(data_file("security/bc_at.coer"))
    assert "kind: authorization authority" in shown(data_file("security/bc_aa.coer"))
    assert "recipients: by certificate, HashedId8 6cc2023b5115003e" in shown(data_file("security/bc_encrypted.coer"))


def test_the_european_trust_list_names_its_roots() -> None:
    text = shown(data_file("security/CE4CF6C19BFED720.oer"))
    for line in (
        "ITS-AID: 624 (CTL)",
        'root "1_EU-ROOT-CA_L2" 624e2e81b7945c4f',
        'root "3_Microsec-CCMS-RCA-2024_L2" b1fc75cd5a80c630',
        "next update: 2025-07-16T21:59:58Z",
        'trust list manager "EU-TLM_L2" e7a4b2b045e7acf9, access point https://cpoc.jrc.ec.europa.eu/L2',
        "valid: 2024-07-18T00:00:00Z to 2029-07-18T05:06:00Z",
        "distribution centre URL http://1.eu-dc.l2.c-its-eu-rca.eu, roots 624e2e81b7945c4f",
        "hash: SHA-384",
    ):
        assert line in text


def test_the_list_nested_150_deep_is_refused_at_once() -> None:
    text = shown(data_file("security/CE4CF6C19BFED720_with_recursion_depth150.oer"), status=1)
    assert "nested more than 4 deep" in text


def test_a_trust_list_without_its_signature_is_shown() -> None:
    entries = (
        EaEntry(certificate=HIERARCHY.ea.certificate, aa_access_point="http://ea.example"),
        AaEntry(certificate=HIERARCHY.aa.certificate, access_point="http://aa.example"),
        DcEntry(url="http://dc.example", roots=(HIERARCHY.root.certificate.hashed_id8,)),
        DeleteCertificate(hashed_id8=HIERARCHY.root.certificate.hashed_id8),
    )
    ctl = Ctl(kind=CtlKind.ROOT_CTL, next_update=its_s(NOON), is_full=False, sequence=2, commands=entries)
    text = shown(encode_trust_list(ctl).hex())
    assert "CTL of a root" in text
    assert f'enrolment authority "EA 21" {HIERARCHY.ea.certificate.hashed_id8.hex()}, AA access point http://ea.example' in text
    assert f'authorization authority "AA 21" {HIERARCHY.aa.certificate.hashed_id8.hex()}, access point http://aa.example' in text
    assert "full: no" in text
    assert f"deletes: certificate {HIERARCHY.root.certificate.hashed_id8.hex()}" in text
    signed = ListIssuer.made(3).signed(ctl)
    assert layers(as_json(signed.hex())) == ["signed_data", "root_ctl"]


def test_messages_of_the_united_states_are_shown_with_units_too() -> None:
    assert "lane width 3.66 m" in shown(data_file("messages/jpo-ode_udp_map.hex"))
    assert "events: red until 36:58.1 past the hour" in shown(data_file("messages/jpo-ode_udp_spat.hex"))
    request = shown(data_file("messages/jpo-ode_udp_srm.hex"))
    assert "request type priority request, duration 10979 ms" in request
    assert "inbound: lane 13" in request
    assert "role public transport" in request
    answer = shown(data_file("messages/jpo-ode_udp_ssm.hex"))
    assert "status granted" in answer
    assert "inbound: lane 23" in answer


def test_what_a_signal_controller_broadcasts_is_shown_by_what_it_shows() -> None:
    text = shown(data_file("messages/v2xhub_ntcip1202_tscbm_spat_1721238398773.bin"))
    assert "time of day: 01:32:33.000" in text
    assert "greens: 2, 6" in text
    assert "number 8, vehicle min 4.0 s" in text
    assert "refused (malformed): tscbm: 2 octets, not 241 or 245" in shown("cd10", status=1)


def test_the_same_content_in_a_european_message_is_shown_alike() -> None:
    for name, message, number in (("srm", "srem", 9), ("ssm", "ssem", 10)):
        frame = bytes.fromhex(data_file(f"messages/jpo-ode_udp_{name}.hex").read_text())
        described = as_json((bytes((2, number, 0, 0, 0, 77)) + frame[3:]).hex())
        assert layers(described) == [message]
        assert innermost(described) == {**innermost(as_json(frame.hex())), "layer": message, "station_id": 77}


def test_messages_without_units_are_shown_as_their_asn1_has_them() -> None:
    _, corrections = Draw(Random(1)).message(MessageId.RTCMEM)
    described = as_json(corrections.hex())
    assert layers(described) == ["rtcmem"]
    assert "messageID" in json.dumps(innermost(described)["header"])


def test_a_message_frame_cut_at_any_octet_is_refused() -> None:
    frame = bytes.fromhex(data_file("messages/jpo-ode_udp_spat.hex").read_text())
    for length in range(len(frame)):
        assert isinstance(dissect(frame[:length], Kind.MESSAGE_FRAME).refusal, DecodeError)


def test_a_capture_is_shown_packet_by_packet_until_the_limit(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "c.pcap", *((CAM_PACKET, after_ms(NOON, 10 * number)) for number in range(7)))
    text = shown(capture)
    assert text.count("Frame ") == 5
    assert "Frame 1, 2026-11-22T12:00:00.000Z" in text
    assert "2 more packets in c.pcap" in text
    assert shown(capture, "--limit", "0").count("Frame ") == 7
    assert shown(capture, "--limit", "1").count("Frame ") == 1
    assert len(shown(capture, "--json").splitlines()) == 7
    assert len(shown(capture, "--brief").splitlines()) == 8


def test_packets_of_a_capture_are_chosen_by_kind_by_refusal_and_by_number(tmp_path: Path) -> None:
    packets = [*PACKETS.values(), CAM_PACKET[:-1]]
    capture = pcap(tmp_path / "c.pcap", *((packet, NOON) for packet in packets))
    chosen = [json.loads(line) for line in shown(capture, "--filter", "spatem", "--json").splitlines()]
    assert [(one["frame"], one["layers"][-1]["layer"]) for one in chosen] == [(3, "spatem")]
    (refusal,) = [json.loads(line) for line in shown(capture, "--filter", "refused", "--json", status=1).splitlines()]
    assert refusal["frame"] == 5
    assert json.loads(shown(capture, "--frame", "2", "--json"))["layers"][-1]["layer"] == "denm"
    assert "no GeoNetworking packet in frame 9" in str(refused(capture, "--frame", "9"))
    assert "No packet of c.pcap is 'beacon'" in shown(capture, "--filter", "beacon")


def test_a_capture_that_was_cut_is_shown_up_to_the_cut(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "c.pcap", (CAM_PACKET, NOON), (CAM_PACKET, NOON))
    capture.write_bytes(capture.read_bytes()[:-10])
    result = v2x_decode(capture)
    assert result.stdout.count("Frame ") == 1
    assert isinstance(result.exception, DecodeError)
    assert "frame 2: cut short" in str(result.exception)


def test_a_capture_without_packets_or_of_another_format_is_refused(tmp_path: Path) -> None:
    assert "holds no GeoNetworking packet" in str(refused(pcap(tmp_path / "empty.pcap")))
    (tmp_path / "ng.pcap").write_bytes(bytes.fromhex("0a0d0d0a") + bytes(40))
    assert "its byte order is neither" in str(refused(tmp_path / "ng.pcap"))


def test_a_packet_from_before_its_time_is_shown_all_the_same(tmp_path: Path) -> None:
    payload = bytes.fromhex("11000501")
    assert "Frame 1, 1970-01-01" in shown(pcap(tmp_path / "c.pcap", (payload, UtcNs(0))), status=1)


def test_standard_input_takes_octets_text_and_captures(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "c.pcap", (CAM_PACKET, NOON)).read_bytes()
    for stdin in (CAM_PACKET, CAM_PACKET.hex().encode(), CAM_PACKET.hex(" ").upper().encode() + b"\n", capture):
        assert "CAM" in shown("-", stdin=stdin)


def test_a_pipe_is_read_once_and_wholly(tmp_path: Path) -> None:
    capture = pcap(tmp_path / "c.pcap", (CAM_PACKET, NOON), (DENM_PACKET, NOON)).read_bytes()
    for octets, lines in ((capture, 3), (CAM_PACKET, 1)):
        reader, writer = os.pipe()
        os.write(writer, octets)
        os.close(writer)
        assert len(shown(f"/dev/fd/{reader}", "--brief").splitlines()) == lines
        os.close(reader)


def test_a_terminal_that_knows_only_ascii_gets_ascii() -> None:
    command = [sys.executable, "-c", "from shared.cli.main import main; main()", "decode", CAM_PACKET.hex()]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    ran = subprocess.run(command, capture_output=True, env=environment, check=True, timeout=60, cwd=REPOSITORY)
    assert b"speed: 13.9 m/s (50.0 km/h), \\xb10.5 m/s" in ran.stdout
    assert ran.stderr == b""


def test_a_file_may_hold_octets_or_hexadecimal_text(tmp_path: Path) -> None:
    (tmp_path / "packet.bin").write_bytes(CAM_PACKET)
    (tmp_path / "packet.hex").write_text("0x" + CAM_PACKET.hex(":") + "\n")
    assert as_json(tmp_path / "packet.bin") == as_json(tmp_path / "packet.hex")


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        ("1200", Kind.GN_PACKET),
        ("1100", Kind.GN_PACKET),
        ("0381", Kind.SECURED_DATA),
        ("0382", Kind.SECURED_DATA),
        ("800300", Kind.CERTIFICATE),
        ("0184", Kind.TRUST_LIST),
        ("0202", Kind.FACILITIES_MESSAGE),
        ("0104", Kind.FACILITIES_MESSAGE),
        ("0012", Kind.MESSAGE_FRAME),
        ("cd10", Kind.CONTROLLER_DATAGRAM),
    ],
)
def test_the_first_octets_say_what_it_is(octets: str, kind: Kind) -> None:
    assert recognise(bytes.fromhex(octets)) is kind


@pytest.mark.parametrize("octets", ["00", "0000", "2200", "0300", "0385", "0193", "0402", "8103", "ffffffffffff"])
def test_what_begins_like_nothing_known_is_refused_with_what_would_be(octets: str) -> None:
    with pytest.raises(DecodeError, match="no GeoNetworking packet"):
        recognise(bytes.fromhex(octets))


def test_wrong_usage_and_wrong_input_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "long").write_bytes(bytes(MAX_INPUT_OCTETS + 1))
    (tmp_path / "long.hex").write_text("12" * (MAX_STRUCTURE_OCTETS + 1))
    assert isinstance(refused("no/such/file"), ConfigError)
    assert isinstance(refused(tmp_path), ConfigError)
    assert isinstance(refused("z" * 5_000), ConfigError)
    assert isinstance(refused(CAM_PACKET.hex(), "--frame", "1"), ConfigError)
    assert "holds nothing" in str(refused(tmp_path / "empty"))
    assert "is no capture" in str(refused(tmp_path / "long"))
    assert f"at most {MAX_STRUCTURE_OCTETS}" in str(refused(tmp_path / "long.hex"))
    assert "one is missing or too many" in str(refused("120"))
    assert "begins with 20 00" in str(refused("2000"))
    assert not str(refused("2000")).startswith("the octets given: is text")


def test_what_a_peer_wrote_cannot_steer_the_terminal() -> None:
    packet = Speaker(HIERARCHY, StationRole.RSU, seed=3).mapem(NOON, name="\x1b[31mred[bold]\x07\x7f")
    text = shown(packet.hex())
    assert r'name "\x1b[31mred[bold]\x07\x7f"' in text
    assert not any(ord(character) < 0x20 and character != "\n" for character in text)
    assert "\x1b" not in shown(packet.hex(), "--json")


def test_a_text_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("to whom it may concern\n")
    assert str(refused(tmp_path / "notes.txt")).startswith("notes.txt: is text; it begins with 74 6f")


def test_a_row_is_one_line_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    Rows(line_console(), (("Frame", 5), ("Says", 0))).row("1", "a word " * 25)
    assert len(capsys.readouterr().out.splitlines()) == 1
