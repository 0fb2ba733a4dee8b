"""The running unit: what it refuses is the same by status, tables, metrics and console, with a witness beside it."""

import asyncio
import io
import json
from pathlib import Path

import httpx
from typer.testing import CliRunner

from rsu_agent.cli import app
from shared.cli.status_words import items, number, section
from shared.core.clock import NS_PER_MS
from shared.core.ids import BtpPort, ItsAid
from shared.messages.cam import encode_cam
from shared.security.trust_store import TrustStore
from shared.service.status_socket import read_status
from shared.transport.bounded_http import BoundedHttp
from shared.transport.udp_radio import UdpRadio
from tests.helpers.console import Follower
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import cam_of, ego, make_peer
from tests.helpers.ledger import ORIGIN, log_signer
from tests.helpers.unit_folder import lay_out_unit, run_unit
from tests.helpers.unmannered import forged_message, roadworks_by
from tests.helpers.witnesses import request_of

GROUP = "239.137.71.23"
MAC = bytes.fromhex("02000000002a")
HIERARCHY = Hierarchy(3)
FOREIGN = Hierarchy(4)
ABSENT = {"junction", "priority", "capture", "upkeep", "evidence", "evidence_store", "ledger_relay"}
"""What this unit does not have, and its status says so."""

EXPECTED = {"untrusted_root": 1, "expired_certificate": 1, "permission_denied": 1}


SECTIONS = """
[http]
listen = "127.0.0.1:0"

[metrics]
listen = "127.0.0.1:0"

[witness]
directory = "witness"
name = "rsu.example/w1"
logs = "logs"
listen = "127.0.0.1:0"
"""


def test_three_peers_are_refused_for_three_reasons_by_status_metrics_and_console_while_a_log_is_witnessed(tmp_path: Path) -> None:
    clock, log = clock_at(), io.StringIO()
    honest, stranger = make_peer(HIERARCHY, 6), make_peer(FOREIGN, 7)
    run_out, plain = HIERARCHY.ticket(valid_hours=1), HIERARCHY.ticket()
    late, warner = make_peer(HIERARCHY, 8, ticket=run_out), make_peer(HIERARCHY, 9, ticket=plain)

    def started() -> dict[str, str]:
        """Return the addresses a unit has logged so far."""
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        return {line["event"]: line["address"] for line in lines if "address" in line}

    async def console() -> Follower:
        """Return what a browser sees once it is told of three refusals."""
        page = Follower()
        async with httpx.AsyncClient(base_url=started()["console"]) as browser, browser.stream("GET", "/console/events") as stream:
            octets = stream.aiter_bytes()
            while not page.picture or len(page.refused) < len(EXPECTED):
                clock.advance(NS_PER_MS * 10)
                page.take(await anext(octets))
        return page

    async def scene() -> tuple[dict[str, object], str, str, Follower]:
        radio = UdpRadio.open(clock=clock, group=GROUP, port=0)
        known = TrustStore.of_operator((HIERARCHY.root.certificate,), (HIERARCHY.aa.certificate, FOREIGN.aa.certificate))
        path = lay_out_unit(tmp_path, HIERARCHY, SECTIONS, group=GROUP, port=radio.port, trust_store=known)
        (tmp_path / "logs").write_text(f"{log_signer(ORIGIN).key.text}\n")

        async def heard() -> None:
            """Wait until the unit says something; time goes on meanwhile."""
            receiving = asyncio.ensure_future(radio.receive())
            while not receiving.done():
                clock.advance(NS_PER_MS * 50)
                await asyncio.wait((receiving,), timeout=0.01)

        async with asyncio.timeout(20), BoundedHttp() as http:
            unit = asyncio.create_task(run_unit(path, clock=clock, log=log))
            await heard()
            now = clock.now()
            for packet in (
                honest.send(cam_of(honest, now), position=ego(now), now=now),
                stranger.send(cam_of(stranger, now), position=ego(now), now=now),
                forged_message(run_out, encode_cam(cam_of(late, now)), BtpPort.CAM, ItsAid.CAM, now),
                roadworks_by(warner, plain, now),
            ):
                await radio.send(packet, source_mac=MAC)
            url = started()["witnessing"]
            answer = await http.answer("POST", f"{url}/add-checkpoint", headers={}, body=request_of(0, 10), maximum=1 << 16)
            assert answer.status == 200
            status: dict[str, object] = {}
            while sum(number(count) for count in section(status, "refused").values()) < len(EXPECTED):
                await heard()
                status = await asyncio.to_thread(read_status, tmp_path / "status.sock")
            shown = await asyncio.to_thread(CliRunner().invoke, app, ["status", "--once", "-c", str(path)])
            assert shown.exit_code == 0, shown.output
            printed = await asyncio.to_thread(CliRunner().invoke, app, ["status", "--json", "-c", str(path)])
            assert {name for name, value in json.loads(printed.output).items() if value is None} == ABSENT
            metrics = await http.answer("GET", started()["metrics"], headers={}, body=b"", maximum=1 << 20)
            page = await console()
            unit.cancel()
            await asyncio.wait([unit])
        radio.close()
        return status, metrics.body.decode(), shown.output, page

    status, metrics, shown, page = asyncio.run(scene())
    assert status["refused"] == EXPECTED
    peers = {peer["station_id"]: peer for peer in items(status["peers"])}
    assert {number_: peer["standing"] for number_, peer in peers.items()} == {6: "believed", 9: "doubted"}
    names = {str(each["claimed_ticket"]): each["refused"] for each in items(status["refused_senders"])}
    assert names[run_out.certificate.hashed_id8.hex()] == {"expired_certificate": 1}
    assert {"untrusted_root": 1} in names.values()
    doubted = peers[9]
    assert doubted["ticket"] == plain.certificate.hashed_id8.hex()
    assert (doubted["messages"], doubted["refused"]) == ({}, {"permission_denied": 1})
    assert section(doubted, "opinion") == {"belief": 0.0, "disbelief": 0.333, "uncertainty": 0.667}
    assert number(peers[6]["known_s"]) >= number(peers[6]["silent_s"]) > 0.0
    for reason in EXPECTED:
        assert f'v2x_rsu_packets_refused_total{{reason="{reason}"}} 1\n' in metrics
    assert section(section(status, "witness"), "logs") == {ORIGIN: {"size": 10}}
    tables = " ".join(shown.replace("│", " ").split())
    assert "expired certificate 1" in tables
    assert "2 peers" in tables
    assert f"cosigned entries {ORIGIN} 10" in tables
    assert {each["reason"]: (each["source"], each["count"]) for each in page.picture["refusals"]} == dict.fromkeys(
        EXPECTED, ("radio", 1)
    )
    foreign = next(name for name, refused in names.items() if refused == {"untrusted_root": 1})
    for ticket, trust, why, refused in (
        (f"refused {foreign}", "refused", "no root this station trusts", "untrusted root 1"),
        (f"refused {run_out.certificate.hashed_id8.hex()}", "refused", "is outside its validity period", "expired certificate 1"),
        (plain.certificate.hashed_id8.hex(), "doubted", "S1: permission_denied: the ticket does not allow", "permission denied 1"),
    ):
        row = page.row(ticket)
        assert (row["trust"], row["refused"]) == (trust, refused)
        assert why in row["why"]
