"""What `rsu-agent check-config` looks at: every file a configuration names, each for itself, so that no mistake hides another.

Looks only: nothing is made or changed, and nobody is asked over the network. What depends on a file that cannot be used is not
judged; it is when that one is mended.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from rsu_agent.composition import make_agent, read_junction, read_objects, read_parts, read_ticket, read_trust
from rsu_agent.config import RsuConfig, hazards_of
from rsu_agent.console.http_config import HttpConfig
from rsu_agent.console.http_door import read_http
from rsu_agent.evidence_config import EvidenceConfig
from rsu_agent.evidence_open import check_evidence
from rsu_agent.hazard_feeds import describe_hazard_ways
from rsu_agent.listening_config import LedgerRelayConfig, WitnessConfig
from rsu_agent.sign_files import load_signs
from rsu_agent.signal_controllers.feeds import describe_feed
from rsu_agent.witness import read_witness_logs
from shared.cli.station_check import describe_state, describe_trust
from shared.core.clock import Instant
from shared.core.entropy import Entropy
from shared.core.errors import V2xError
from shared.service.capture import describe_capture
from shared.service.identity import describe_ticket
from shared.service.ledger_token import read_ledger_token
from shared.service.open_radios import describe_radios
from shared.service.socket_path import check_socket_path


class Checkup:
    """Looks at one configuration.

    Args:
        config: the configuration.
        path: its file.
        environment: of the process, where systemd names the folder of its credentials.
        now: the present; without UTC nothing is said of ages.

    Attributes:
        found: what there is, a line each.
        mistakes: what is wrong, each once.
    """

    def __init__(self, config: RsuConfig, path: Path, *, environment: Mapping[str, str], now: Instant) -> None:
        self._config = config
        self._path = path
        self._environment = environment
        self._now = now
        self.found: list[str] = []
        self.mistakes: list[V2xError] = []

    def look(self, entropy: Entropy) -> None:
        """Look at everything; `entropy` is for the agent that is built of it in the end, where nothing is wrong."""
        config = self._config
        self._take(self._junction)
        self._take(self._hazards)
        if config.signs is not None:
            self._take(partial(_signs, config.signs))
        self._take(self._identity)
        self._take(self._state)
        self._take(partial(describe_radios, config.radio))
        self._take(partial(describe_capture, config.capture))
        if config.evidence is not None:
            self._take(partial(_evidence, config.evidence, self._environment))
        if config.http is not None:
            self._take(partial(_http, config.http, self._environment))
        if config.ledger_relay is not None:
            self._take(partial(_relay, config.ledger_relay, self._environment))
        if config.metrics is not None:
            self.found.append(f"metrics on {config.metrics.listen}")
        if config.witness is not None:
            self._take(partial(_witness, config.witness))
        self._take(partial(_socket, config.state.status_socket, "state.status_socket"))
        if config.state.command_socket is not None:
            self._take(partial(_socket, config.state.command_socket, "state.command_socket"))
        if not self.mistakes:
            self._take(partial(self._whole, entropy))

    def _take(self, check: Callable[[], Iterable[str]]) -> None:
        lines: list[str] = []
        try:
            lines.extend(check())
        except V2xError as mistake:
            self.mistakes.append(mistake)
        self.found += lines

    def _junction(self) -> Iterator[str]:
        if self._config.junction is None:
            return
        junction = read_junction(self._config.junction)
        lanes = junction.lanes
        groups = ", ".join(str(group) for group in sorted(lanes.signal_groups))
        yield f"junction {lanes.name!r}: {len(lanes.lanes)} lanes, signal groups {groups}, no conflicting greens"
        if junction.place is not None:
            yield describe_feed(junction.place, environment=self._environment)

    def _hazards(self) -> Iterator[str]:
        yield f"{len(hazards_of(self._config, self._path))} hazard(s)"
        read_objects(self._config, self._path)
        yield from describe_hazard_ways(self._config, environment=self._environment)

    def _identity(self) -> Iterator[str]:
        config = self._config
        trust_store, areas = read_trust(config)
        ticket = read_ticket(config, trust_store=trust_store, areas=areas, environment=self._environment)
        described = "tickets from the authorities" if ticket is None else describe_ticket(ticket)
        trusted = describe_trust(trust_store, folder=config.identity.trust, trust=config.trust, now=self._now)
        yield f"{described}; {trusted}"

    def _state(self) -> Iterator[str]:
        yield from describe_state(
            config_file=self._path, command="rsu-agent", trust=self._config.trust, pki=self._config.pki, now=self._now
        )

    def _whole(self, entropy: Entropy) -> Iterator[str]:
        """Build the agent: what fits only together is judged there."""
        make_agent(read_parts(self._config, self._path, environment=self._environment), entropy=entropy)
        yield f"{self._path}: ok"


def _signs(path: Path) -> Iterator[str]:
    yield f"{len(load_signs(path))} road sign(s)"


def _evidence(config: EvidenceConfig, environment: Mapping[str, str]) -> Iterator[str]:
    yield check_evidence(config, environment=environment)


def _http(config: HttpConfig, environment: Mapping[str, str]) -> Iterator[str]:
    read = read_http(config, environment=environment)
    way = "in the clear" if read.tls is None else "over TLS"
    orders = "shows only" if read.token is None else "takes an operator's orders"
    yield f"console on {config.listen}, {way}: {orders}"


def _relay(config: LedgerRelayConfig, environment: Mapping[str, str]) -> Iterator[str]:
    read_ledger_token(config.token, environment=environment)
    yield f"relays the log at {', '.join(config.upstream)} on {config.listen}"


def _witness(config: WitnessConfig) -> Iterator[str]:
    named = ", ".join(sorted({log.key.name for log in read_witness_logs(config).logs}))
    yield f"witness {config.name} on {config.listen} for {named}"


def _socket(path: Path, key: str) -> tuple[str, ...]:
    check_socket_path(path, key=key)
    return ()
