"""A unit's counters as a Prometheus server reads them."""

import asyncio
import re
from collections.abc import Mapping

import msgspec
import pytest

from rsu_agent.listening_config import MetricsConfig
from rsu_agent.metrics import TEXT_TYPE, metrics_text, open_metrics
from shared.cli.status_words import items
from shared.core.errors import ConfigError
from shared.transport.bounded_http import BoundedHttp, HttpAnswer
from tests.helpers.hierarchy import clock_at
from tests.helpers.identities import make_peer
from tests.unit.rsu_agent.test_refusals_of_peers import FOREIGN, HIERARCHY, cam, unit

STATUS: Mapping[str, object] = {
    "utc": None,
    "sent": {"cam": 3, "spatem": 31},
    "refused": {"untrusted_root": 4, 'od"d\n\\': 1},
    "echoes": 2,
    "ages": {"within_ms": {"1": 4, "500": 9}, "count": 10, "sum_s": 1.5},
    "peers_evicted": 7,
    "standings": {"believed": 1, "doubted": 0, "ignored": 2},
    "names_refused": 1,
    "junction": {"available": False},
    "radios": {"its-g5": {"fault": None, "sent": 1, "received": 2}},
    "hazard_sources": {"counters": {"placed": 5, "over": 2}},
    "http": {"requests": {"token.wrong": 9, "/api/orders 401": 9}},
}

LINE = re.compile(r'(# (HELP|TYPE) v2x_rsu_[a-z_]+ .+|v2x_rsu_[a-z_]+(\{[a-z]+="(\\.|[^"\\])*"\})? [0-9.e+-]+)\Z')


def test_every_line_is_a_comment_or_a_sample_and_no_family_is_told_of_twice() -> None:
    text = metrics_text(STATUS)
    lines = text.split("\n")
    assert lines.pop() == ""
    assert [line for line in lines if not LINE.match(line)] == []
    heads = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


def test_counts_have_their_reason_as_a_label_and_odd_words_are_escaped() -> None:
    text = metrics_text(STATUS)
    for line in (
        'v2x_rsu_messages_sent_total{message="spatem"} 31',
        'v2x_rsu_packets_refused_total{reason="untrusted_root"} 4',
        'v2x_rsu_packets_refused_total{reason="od\\"d\\n\\\\"} 1',
        "v2x_rsu_echoes_total 2",
        'v2x_rsu_message_age_seconds_bucket{le="0.001"} 4',
        'v2x_rsu_message_age_seconds_bucket{le="0.5"} 9',
        'v2x_rsu_message_age_seconds_bucket{le="+Inf"} 10',
        "v2x_rsu_message_age_seconds_sum 1.5",
        "v2x_rsu_message_age_seconds_count 10",
        "v2x_rsu_peers_evicted_total 7",
        'v2x_rsu_peers{standing="ignored"} 2',
        'v2x_rsu_peers{standing="doubted"} 0',
        "v2x_rsu_refused_senders 1",
        "v2x_rsu_time_trusted 0",
        "v2x_rsu_junction_available 0",
        'v2x_rsu_hazards_total{what="placed"} 5',
        'v2x_rsu_operator_tokens_total{token="wrong"} 9',
        'v2x_rsu_operator_tokens_total{token="right"} 0',
        "v2x_rsu_hazards_announced 0",
        'v2x_rsu_part_trouble{part="clock"} 2',
        'v2x_rsu_part_trouble{part="radio its-g5"} 0',
    ):
        assert f"\n{line}\n" in text


def test_a_name_that_a_peer_chose_is_nowhere_in_the_metrics_and_their_lines_do_not_grow_with_peers() -> None:
    agent, clock = unit(), clock_at()
    few = metrics_text(agent.status(clock.now())).count("\n")
    for number in range(1, 60):
        agent.on_packet(cam(make_peer(HIERARCHY, number), clock.now()), clock.now())
        agent.on_packet(cam(make_peer(FOREIGN, number), clock.now()), clock.now())
    status = agent.status(clock.now())
    text = metrics_text(status)
    assert text.count("\n") - few == 2, "messages verified, packets refused"
    assert len(items(status["peers"])) == 59
    for peer in (*items(status["peers"]), *items(status["refused_senders"])):
        assert str(peer.get("ticket", peer.get("claimed_ticket"))) not in text


def test_without_an_address_they_are_for_this_machine_alone() -> None:
    assert msgspec.convert({}, MetricsConfig).address == ("127.0.0.1", 9464)


def test_they_are_served_anew_for_each_who_asks_and_nothing_else_is() -> None:
    status = dict(STATUS)

    async def scene() -> list[HttpAnswer]:
        async with open_metrics(MetricsConfig(listen="127.0.0.1:0"), lambda: status) as metrics, BoundedHttp() as http:
            serving = asyncio.create_task(metrics.run())
            answers = []
            for path, echoes in (("/metrics", 2), ("/metrics", 3), ("/status", 4)):
                status["echoes"] = echoes
                answers.append(await http.answer("GET", f"{metrics.url}{path}", headers={}, body=b"", maximum=1 << 20))
            serving.cancel()
            await asyncio.wait([serving])
            return answers

    first, second, elsewhere = asyncio.run(scene())
    assert (first.status, first.content_type) == (200, TEXT_TYPE)
    assert b"\nv2x_rsu_echoes_total 2\n" in first.body
    assert b"\nv2x_rsu_echoes_total 3\n" in second.body
    assert elsewhere.status == 404


def test_an_address_of_another_machine_is_refused_when_it_is_opened_and_one_that_is_none_before() -> None:
    async def scene() -> None:
        async with open_metrics(MetricsConfig(listen="192.0.2.1:0"), lambda: STATUS):
            pytest.fail("listens on another machine's address")

    with pytest.raises(ConfigError, match="cannot be listened on"):
        asyncio.run(scene())
    with pytest.raises(ValueError, match="'9464' is no address with a port"):
        MetricsConfig(listen="9464")
