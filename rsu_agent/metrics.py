"""The unit's counters as a Prometheus server reads them (text exposition format 0.0.4), served at `GET /metrics`.

They are made of the status document, so what a dashboard shows is what `rsu-agent status` says. Names are `v2x_rsu_...`, each with
its unit; what is counted by reason has the reason as a label, and labels come from closed sets of our own words and from the
configuration, never from a peer. Left out: a library for it, and one line for each peer, whose names would fill a database.
"""

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from rsu_agent.console.health import State, health_of
from rsu_agent.listening_config import MetricsConfig
from shared.cli.status_words import items, section
from shared.operator.http_server import listen, serve, url_of
from shared.service.counters import Counters

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTED: tuple[tuple[str, str, str, str], ...] = (
    ("sent", "messages_sent_total", "message", "Messages sent."),
    ("unsent", "messages_unsent_total", "reason", "Messages of our own that could not be sent."),
    ("verified", "messages_verified_total", "message", "Messages received and verified."),
    ("refused", "packets_refused_total", "reason", "Packets refused."),
    ("shed", "packets_shed_total", "reason", "Packets dropped unverified under load."),
    ("found", "findings_total", "check", "Claims of peers that failed a check."),
    ("events_heard", "events_heard_total", "what", "What became of others' warnings."),
)
"""Members of the status that count by a word: member, metric, label, help."""

_TOTALS: tuple[tuple[str, str, str], ...] = (
    ("echoes", "echoes_total", "Packets of our own that came back."),
    ("copies", "copies_total", "Packets accepted before that a forwarder repeated."),
    ("peers_begun", "peers_begun_total", "Tickets heard for the first time."),
    ("peers_evicted", "peers_evicted_total", "Peers that gave way because the table was full."),
    ("peers_ignored", "peers_ignored_total", "Times a peer came to be ignored."),
    ("refused_not_looked_at", "refused_not_looked_at_total", "Refused packets that came too thick to see whom they name."),
)
"""Members of the status that are one number."""

_TROUBLE = {State.GOOD.value: 0, State.ODD.value: 1, State.BAD.value: 2}


def metrics_text(document: Mapping[str, object]) -> str:
    """Return a unit's status document as metrics."""
    return "".join(f"{line}\n" for line in _lines(document))


def _lines(document: Mapping[str, object]) -> Iterator[str]:
    for member, name, label, words in _COUNTED:
        counts = section(document, member)
        yield from _head(name, "counter", words)
        for word, count in counts.items():
            yield _sample(name, count, **{label: word})
    priority = section(document, "priority")
    if priority:
        yield from _head("priority_requests_total", "counter", "Requests for priority at the junction, by what became of them.")
        for word, count in section(priority, "counters").items():
            yield _sample("priority_requests_total", count, what=word)
    for member, name, words in _TOTALS:
        if (count := document.get(member)) is not None:
            yield from _head(name, "counter", words)
            yield _sample(name, count)
    yield from _ages(section(document, "ages"))
    yield from _head("peers", "gauge", "Tickets heard lately, by what is thought of their holders.")
    for standing, count in section(document, "standings").items():
        yield _sample("peers", count, standing=standing)
    yield from _gauge("refused_senders", document.get("names_refused"), "Names that refused packets carried lately.")
    yield from _gauge("hazards_announced", len(items(document.get("hazards"))), "Hazards announced now.")
    yield from _head("hazards_total", "counter", "What became of hazards of our own.")
    for word, count in section(section(document, "hazard_sources"), "counters").items():
        yield _sample("hazards_total", count, what=word)
    yield from _head("operator_tokens_total", "counter", "Orders over HTTP, by the token they came with.")
    requests = section(section(document, "http"), "requests")
    for claim in ("right", "wrong", "absent"):
        yield _sample("operator_tokens_total", requests.get(f"token.{claim}", 0), token=claim)
    yield from _gauge("time_trusted", document.get("utc") is not None, "Whether UTC is known.")
    junction = document.get("junction")
    if isinstance(junction, Mapping):
        yield from _gauge("junction_available", junction.get("available"), "Whether the lights are believed and told.")
    yield from _head("part_trouble", "gauge", "How a part of the unit is: 0 good, 1 odd, 2 bad.")
    for part in health_of(document):
        yield _sample("part_trouble", _TROUBLE[part.state], part=part.part)


def _ages(ages: Mapping[str, object]) -> Iterator[str]:
    yield from _head("message_age_seconds", "histogram", "Age of verified messages when their turn came.")
    for bound_ms, count in section(ages, "within_ms").items():
        yield _sample("message_age_seconds_bucket", count, le=f"{int(bound_ms) / 1_000:g}")
    yield _sample("message_age_seconds_bucket", ages.get("count"), le="+Inf")
    yield _sample("message_age_seconds_sum", ages.get("sum_s"))
    yield _sample("message_age_seconds_count", ages.get("count"))


def _gauge(name: str, value: object, words: str) -> Iterator[str]:
    yield from _head(name, "gauge", words)
    yield _sample(name, value)


def _head(name: str, kind: str, words: str) -> Iterator[str]:
    yield f"# HELP v2x_rsu_{name} {words}"
    yield f"# TYPE v2x_rsu_{name} {kind}"


def _sample(name: str, value: object, **labels: object) -> str:
    quoted = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in labels.items())
    return f"v2x_rsu_{name}{{{quoted}}} {_number(value)}" if quoted else f"v2x_rsu_{name} {_number(value)}"


def _number(value: object) -> float:
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float) else 0


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMetrics:
    """Metrics that can be read; `run` serves.

    Attributes:
        url: what reaches them from this machine.
        app: answers.
        sock: listens.
        counters: of connections refused.
    """

    url: str
    app: ASGIApp
    sock: socket.socket
    counters: Counters

    async def run(self) -> None:
        """Serve until cancelled."""
        await serve(self.app, self.sock, counters=self.counters)


@asynccontextmanager
async def open_metrics(config: MetricsConfig, snapshot: Callable[[], Mapping[str, object]]) -> AsyncIterator[OpenMetrics]:
    """Listen for whoever reads the metrics.

    Args:
        config: where.
        snapshot: returns the status document; a brief one does.

    Raises:
        ConfigError: the address cannot be listened on.
    """

    async def answer(_request: Request) -> Response:
        return PlainTextResponse(metrics_text(snapshot()), media_type=TEXT_TYPE)

    sock = listen(*config.address)
    try:
        app = Router([Route("/metrics", answer, methods=["GET"])], redirect_slashes=False)
        yield OpenMetrics(url=url_of(sock), app=app, sock=sock, counters=Counters())
    finally:
        sock.close()
