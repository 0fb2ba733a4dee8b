"""The `vehicle-agent` command: run, check-config, enrol, status, replay, learn, and the orders of `holder_cli` and `ledger_cli`."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from shared.cli import entry
from shared.cli.enrol import PublicKeyOption, RefreshOption, enrol
from shared.cli.moments import moment_of
from shared.cli.station_check import describe_state, describe_trust
from shared.core.clock import Instant, MonotonicNs, TimeSource, UtcNs
from shared.core.errors import ConfigError, RecordError
from shared.core.itstime import utc_of, utc_text
from shared.security.sign import TicketCredential
from shared.service.capture import describe_capture
from shared.service.config import load
from shared.service.identity import describe_ticket
from shared.service.keystore import write_new_file
from shared.service.notices import NoticeWriter
from shared.service.open_radios import describe_radios
from shared.service.socket_path import check_socket_path
from shared.service.status_socket import read_status
from shared.service.system_clock import SystemClock
from shared.stack.cam_permissions import ticket_flags
from shared.stack.effects import DriverView, Effect, Evidence, Notice, SendCan, Transmit
from shared.transport.can_link import require_known_interface
from shared.transport.can_log import CanLog
from shared.transport.capture import CaptureWriter, open_capture
from shared.transport.link_frames import UNKNOWN_MAC
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.bus_status import describe_buses
from vehicle_agent.composition import VehicleParts, listening, make_agent, make_passport, open_vehicle, read_files
from vehicle_agent.config import VehicleConfig
from vehicle_agent.driver_outputs import describe_driver_outputs
from vehicle_agent.gnss.describe import describe_position
from vehicle_agent.holder_cli import admit, answer, consent_app, slot
from vehicle_agent.holder_cli import passport as passport_command
from vehicle_agent.inspection_cli import inspect
from vehicle_agent.learn_cli import learn_map
from vehicle_agent.ledger_cli import app as ledger_app
from vehicle_agent.ledger_parts import check_ledger
from vehicle_agent.odometer.describe import describe_odometer
from vehicle_agent.odometer.status_rows import waiting_words
from vehicle_agent.replay import check_enrolled, length_ns
from vehicle_agent.replay import replay as replay_log
from vehicle_agent.requests.config import describe_requests
from vehicle_agent.run import DEFAULT_CONFIG, run_agent
from vehicle_agent.signals.car_maps import describe_j1939, j1939_buses, load_car_maps
from vehicle_agent.signals.map_check import check_map
from vehicle_agent.signals.vss import name_of
from vehicle_agent.special_vehicle import lacking
from vehicle_agent.spool_cli import app as spool_app
from vehicle_agent.status_view import status_tables
from vehicle_agent.track import Fix, read_track

PASSPORT_MODE = 0o644

app = typer.Typer(
    name="vehicle-agent", help="The in-vehicle edge agent.", no_args_is_help=True, add_completion=False, rich_markup_mode=None
)

app.add_typer(ledger_app)
app.add_typer(spool_app)
app.add_typer(consent_app)
for order in (slot, admit, answer, passport_command, inspect):
    app.command()(order)
app.command("learn")(learn_map)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (TOML).")]


def main() -> NoReturn:
    """Run `vehicle-agent`."""
    entry.run(app, "vehicle-agent")


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run as a service: read the bus, speak, listen, record."""
    raise typer.Exit(run_agent(config))


@app.command("enrol")
def enrol_command(
    config: ConfigOption = DEFAULT_CONFIG,
    public_key: PublicKeyOption = None,
    *,
    refresh: RefreshOption = False,
) -> None:
    """Get a credential and tickets from the authorities that `[pki]` and the trust lists name."""
    settings = load(config, VehicleConfig)
    enrol(
        config_file=config,
        trust_folder=settings.identity.trust,
        trust=settings.trust,
        pki=settings.pki,
        role=settings.station.ticket_role,
        clock=SystemClock(TimeSource(settings.time.source)),
        public_key=public_key,
        refresh=refresh,
    )


@app.command("check-config")
def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check the configuration and every file it names; decode a trial of every mapped CAN message."""
    settings = load(config, VehicleConfig)
    files = read_files(settings, environment=os.environ)
    for number, bus in enumerate(settings.can):
        require_known_interface(bus.interface, key=f"can[{number}].interface")
    check_socket_path(settings.state.status_socket, key="state.status_socket")
    if settings.state.command_socket is not None:
        check_socket_path(settings.state.command_socket, key="state.command_socket")
    console = Console(markup=False, emoji=False)  # `[requests]` is the name of a table here
    for report in (check_map(path) for path in dict.fromkeys(bus.map for bus in settings.can if bus.map is not None)):
        title = f"signal map: {report.name}" + (f" ({report.car})" if report.car else "")
        columns = (Column(header, overflow="fold") for header in ("message", "identifier", "feeds", "checks"))
        table = Table(*columns, title=title)
        for message in report.messages:
            checks = [name for name in (message.checksum, "counter" if message.has_counter else None) if name]
            fields = ", ".join(f"{name_of(field)} <- {' '.join(signals)}" for field, signals in message.fields)
            identifier = f"{message.arbitration_id:#x}" if message.pgn is None else f"PGN {message.pgn}"
            table.add_row(message.name, identifier, fields, ", ".join(checks))
        console.print(table)
    missing = files.signal_map.missing_fields()
    if missing:
        console.print(f"on no bus: {', '.join(map(name_of, missing))}")
    heard = load_car_maps(settings.buses)
    for line in (*describe_position(settings.position, heard), *describe_odometer(heard, settings.requests)):
        console.print(line)
    ticket = "tickets from the authorities" if files.ticket is None else describe_ticket(files.ticket)
    clock = SystemClock(TimeSource(settings.time.source))
    trusted = describe_trust(files.trust_store, folder=settings.identity.trust, trust=settings.trust, now=clock.now())
    console.print(f"{ticket}; {trusted}")
    console.print(check_ledger(settings.ledger, environment=os.environ))
    for line in _role_lines(settings, files.ticket):
        console.print(line)
    for line in describe_state(
        config_file=config, command="vehicle-agent", trust=settings.trust, pki=settings.pki, now=clock.now()
    ):
        console.print(line)
    for line in (
        *describe_buses(settings.buses),
        *describe_requests(settings.requests),
        *describe_j1939(j1939_buses(files.signal_map, settings.buses)),
    ):
        console.print(line)
    ways = (*describe_radios(settings.radio), *describe_capture(settings.capture), *describe_driver_outputs(settings.driver))
    for line in ways:
        console.print(line)
    console.print(f"{config}: ok")


def _role_lines(settings: VehicleConfig, ticket: TicketCredential | None) -> Iterator[str]:
    """Say what the vehicle is, and what of it the ticket at hand does not let it say."""
    duty = settings.station.duty
    role = settings.station.role.replace("_", " ")
    yield f"role {role}" + (", shown while light bar or siren is on" if duty.shows_by_lamps else "")
    withheld = () if ticket is None else lacking(duty, ticket_flags(ticket))
    if withheld:
        yield f"warning: the ticket does not allow {', '.join(withheld)}: the CAMs will leave it out"


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as one JSON document.")] = False,
) -> None:
    """Show what a running agent has done so far."""
    document = read_status(load(config, VehicleConfig).state.status_socket)
    if as_json:
        typer.echo(json.dumps(document))
        return
    Console().print(status_tables(document))


@app.command()
def replay(
    log: Annotated[Path, typer.Argument(help="A CAN log: candump (.log, .log.gz), .asc, .blf or .mf4.", metavar="LOG")],
    config: ConfigOption = DEFAULT_CONFIG,
    track: Annotated[Path | None, typer.Option(help="Recorded GNSS track (CSV) on the log's time base.")] = None,
    start_utc: Annotated[
        str | None,
        typer.Option(
            help="UTC of the log's first frame, with its offset: while the vehicle's enrolment credential is valid."
            "  [default: so that the log ends now, or begins with the credential]",
            metavar="UTC",
        ),
    ] = None,
    pcap: Annotated[Path | None, typer.Option(help="Write every signed packet to this capture (pcap; pcapng by .pcapng).")] = None,
    passport: Annotated[Path | None, typer.Option(help="Write the vehicle's passport to this new file.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON document.")] = False,
) -> None:
    """Drive the agent with a recorded bus instead of a live one; nothing is transmitted.

    It records and anchors like a drive: give it a configuration with a state of its own. All of the log has to lie where the
    enrolment credential is valid.

    A log that is damaged or cut short is used up to there: what came of it is kept, and the exit status is 1.
    """
    settings = load(config, VehicleConfig)
    utc = None if start_utc is None else moment_of(start_utc, "--start-utc")
    source = CanLog(log)
    if passport is not None and passport.exists():
        raise ConfigError("--passport", f"{passport} exists already and is not overwritten")
    lasts_ns = length_ns(CanLog(log).frames(), _fixes(track))
    with ExitStack() as stack:
        present = SystemClock(TimeSource.ASSUME_TRUSTED).now().require_utc()
        begin = Instant(MonotonicNs(0), present if utc is None else utc)
        opening = open_vehicle(settings, base=config.parent, environment=os.environ, now=begin)
        parts = listening(stack.enter_context(opening).parts)
        validity = parts.enrolled.validity
        if utc is None:
            utc = UtcNs(max(present - lasts_ns, utc_of(validity.start_time64)))
        check_enrolled(validity, start_utc=utc, length_ns=lasts_ns)
        capture = None if pcap is None else stack.enter_context(open_capture(pcap))
        sink = _ReplaySink(capture, NoticeWriter(sys.stderr if as_json else sys.stdout))

        def make(started: Instant) -> VehicleAgent:
            agent = make_agent(parts, entropy=os.urandom, started=started)
            sink.speaker = agent
            return agent

        replayed = replay_log(
            make,
            frames=source.frames(),
            track=_fixes(track),
            start_utc=utc,
            perform=sink.perform,
        )
        written = None if passport is None else _write_passport(parts, passport)
    summary: dict[str, object] = {
        "log": str(log),
        "start_utc": utc_text(utc),
        "duration_s": round(replayed.duration_s, 3),
        "frames": replayed.frames,
        "frames_skipped": source.skipped,
        "frames_clamped": source.clamped,
        "fixes": replayed.fixes,
        "packets": sink.packets,
        **replayed.agent.status(),
        "passport": written,
        "damage": None if replayed.damage is None else str(replayed.damage),
    }
    typer.echo(json.dumps(summary) if as_json else _sentences(summary))
    if replayed.damage is not None:
        raise replayed.damage
    if track is not None and not replayed.fixes:
        raise ConfigError("--track", f"{track} has no fix while the log runs; its times are on the log's own time base")
    if passport is not None and written is None:
        raise RecordError("passport", f"{passport} is not written: the vehicle has no record that is proven by its log")


@dataclass(slots=True)
class _ReplaySink:
    """Where a replay's effects go: the capture and the notices."""

    pcap: CaptureWriter | None
    notices: NoticeWriter
    speaker: VehicleAgent | None = None
    packets: int = 0

    def perform(self, effect: Effect, now: Instant) -> None:
        match effect:
            case Transmit(packet):
                self.packets += 1
                if self.pcap is not None:
                    source_mac = UNKNOWN_MAC if self.speaker is None else self.speaker.identity.address.mac
                    self.pcap.write(packet, utc=now.require_utc(), source_mac=source_mac)
            case Notice():
                self.notices.write(effect, now)
            case Evidence() | DriverView() | SendCan():  # a recorded bus hears nobody, and nobody looks
                pass


def _fixes(track: Path | None) -> Iterator[Fix]:
    return iter(()) if track is None else read_track(track)


def _write_passport(parts: VehicleParts, path: Path) -> dict[str, object] | None:
    """Write the passport; None where there is no record to put into it."""
    passport = make_passport(parts)
    if not passport.records:
        return None
    write_new_file(path, passport.encode(), mode=PASSPORT_MODE)
    return {"path": str(path), "records": len(passport.records)}


def _sentences(summary: Mapping[str, object]) -> str:
    lines = [f"{summary['frames']} frames over {summary['duration_s']} s gave {summary['packets']} signed messages."]
    for name, meaning in (
        ("frames_skipped", "error and remote frames were passed over"),
        ("frames_clamped", "frames ran backwards in time and were taken as of the moment before"),
    ):
        if summary[name]:
            lines.append(f"{summary[name]} {meaning}.")
    if summary["frames"] and not summary["packets"]:
        lines.append("Without a position nothing is sent: it comes from the bus, --track, or [position] in the configuration.")
    odometer, passport = summary["odometer"], summary["passport"]
    if isinstance(odometer, Mapping):
        lines.append(f"Odometer: {odometer['recorded']} recorded, {odometer['anchored']} anchored.")
        waiting = waiting_words(odometer)
        if waiting is not None:
            lines.append(f"{waiting}.")
    if isinstance(passport, Mapping):
        lines.append(f"Passport with {passport['records']} records: {passport['path']}")
    return "\n".join(lines)
