"""One run from options to files: puts the world together by hand, in order, lets it pass, and writes down what came of it.

    DIR/summary.json  report.html  radio.pcap (our stations)  attacks.pcap (the attackers)
    DIR/passports/car-N.json  car-N.html (the same as a page that verifies itself)  ledger.policy
    DIR/trust/  state/ (the ledger and each car's record store)

Files of an earlier run in the same directory are replaced; nothing else in it is touched.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from shutil import rmtree
from statistics import median
from time import perf_counter, sleep
from typing import Any

from rsu_agent.agent import RsuAgent
from shared.cli.passport import verify_with_trust
from shared.core.clock import NS_PER_S, ManualClock, UtcNs
from shared.core.errors import RecordError, StorageError, TransportError, V2xError
from shared.core.ids import ItsAid, StationType
from shared.ledger.policy import Policy, parse_policy
from shared.messages.cam_special import Emergency, EmergencyPriority
from shared.messages.cdd import VehicleRole
from shared.network.headers import BASIC_HEADER_OCTETS, HOP_LIMIT_OCTET
from shared.network.packet import decode_gn_pdu
from shared.pki.permission_sets import StationRole
from shared.records.passport import VerifiedPassport, parse_passport
from shared.security.secured_data import SignedData, UnsecuredData, decode_secured_data
from shared.security.ticket_pool import FleetingUse, TicketPolicy, TicketPool
from shared.service.log_store import open_log_store
from shared.service.passport_page import render_page
from shared.service.spool import AnchorState, Spool, open_spool
from shared.service.trust_directory import write_trust_directory
from shared.stack.effects import Notice
from shared.transport.pcap import PcapWriter
from simulator.adversaries import Adversary
from simulator.adversaries.rollback import drawn_rollback
from simulator.authorities import LOG_ORIGIN, Authorities, log_signer
from simulator.cast import make_adversary, make_rsu
from simulator.ecu import SIM_CAR_MAP, Rollback, SimulatedEcu, honest, load_sim_car
from simulator.fleet import CarBus, SimulatedCar, SimulatedStation, bus_config
from simulator.kinematics import CAR_LENGTH_M, CAR_WIDTH_M, Traffic
from simulator.medium import Frame, Medium
from simulator.options import AttackerKind, Mode, Options
from simulator.report import report_html
from simulator.scenario import plan_offset_s, planned_breakdown, planned_call_out, start_utc
from simulator.scenarios import crossing
from simulator.story import Account, Attacker, CarStory, Story
from simulator.summary import make_summary, summary_json
from simulator.unit_evidence import EVIDENCE_FILE, UnitEvidence
from simulator.warnings import WARNING_KINDS, hazards_summary
from simulator.witnesses import WitnessedLedger, draw_witness_keys, make_witnesses, policy_text
from simulator.words import ATTACK_TITLES
from simulator.world import TimedNotice, World
from vehicle_agent.agent import VehicleAgent
from vehicle_agent.composition import VehicleParts, make_agent, make_passport
from vehicle_agent.odometer import OdometerPolicy
from vehicle_agent.signals.signal_map import load_signal_map
from vehicle_agent.special_vehicle import NO_DUTY, Duty

RECORD_EVERY_M = 100
RECORD_EVERY_S = 3_600
"""A run is short: a real car records every few kilometres, a simulated one every hundred metres."""

RSU_PLACE_M = (12.0, 12.0)
ATTACKER_RING_M = ((34.0, -30.0), (-38.0, 30.0), (-32.0, -36.0), (40.0, 34.0))
"""Where radio attackers stand, in turn: in the corners between the arms."""

ATTACKER_RANGE_M = 120.0
"""An attacker's hand-held radio; those it reaches have nearly all heard the originals of what it repeats."""

LEAST_ODOMETER_KM, MOST_ODOMETER_KM = 80_000, 240_000

AMBULANCE = 1
"""Which of the cars, counted from 0, is an ambulance, where there are so many."""

AMBULANCE_DUTY = Duty(
    role=VehicleRole.EMERGENCY, container=Emergency(priority=EmergencyPriority.REQUEST_FOR_RIGHT_OF_WAY), shows_by_lamps=True
)

_KINDS = {ItsAid.CAM: "cam", ItsAid.DENM: "denm", ItsAid.TLM: "spatem", ItsAid.RLT: "mapem"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run left: its story and where the files are."""

    story: Story
    summary_file: Path
    report: Path
    radio_pcap: Path
    attacks_pcap: Path
    passports: Path


def simulate(options: Options, out: Path, *, progress: Callable[[float], None]) -> Outcome:
    """Run a scenario and write its files.

    Args:
        options: what to run.
        out: directory for the files; made if absent.
        progress: told the simulated seconds gone.

    Raises:
        ConfigError: a bus or another part cannot be had.
        TransportError: a bus failed.
        StorageError: a file cannot be written.
    """
    began = perf_counter()
    _prepare(out)
    with ExitStack() as stack:
        run = _Run(options, out, stack)
        if options.mode is Mode.LIVE:
            run.world.run(options.duration_s, after_step=_paced(progress, began=perf_counter()))
        else:
            run.world.run(options.duration_s, after_step=progress)
        run.stop()
        cars = tuple(run.car_story(antenna) for antenna in run.cars)
        story = run.story(cars, wall_s=perf_counter() - began)
    outcome = Outcome(
        story=story,
        summary_file=out / "summary.json",
        report=out / "report.html",
        radio_pcap=out / "radio.pcap",
        attacks_pcap=out / "attacks.pcap",
        passports=out / "passports",
    )
    with _written(out):
        outcome.summary_file.write_text(summary_json(story.summary), encoding="utf-8")
        outcome.report.write_text(report_html(story), encoding="utf-8")
    return outcome


class _Run:
    """The parts of one run, built by hand, in order."""

    def __init__(self, options: Options, out: Path, stack: ExitStack) -> None:
        self._options = options
        self._out = out
        self._stack = stack
        self.clock = ManualClock(start_utc())
        breakdown = planned_breakdown(options.duration_s, plan_offset_s())
        self.traffic = Traffic(options.vehicles, self._rng("traffic"), start_offset_s=plan_offset_s(), breakdown=breakdown)
        self._authorities = Authorities(self._rng("authorities"), start_utc(), name="Simulation")
        write_trust_directory(out / "trust", self._authorities.trust_store)
        self._signer = log_signer(self._rng("ledger"))
        witness_keys = draw_witness_keys(self._rng("witnesses"))
        self._policy_text = policy_text(self._signer.key, witness_keys)
        with _written(out):
            (out / "passports" / "ledger.policy").write_text(self._policy_text, encoding="ascii")
        self._policy: Policy = parse_policy(self._policy_text.encode())
        log = open_log_store(out / "state" / "ledger.sqlite", self._signer)
        stack.callback(log.close)
        witnesses = make_witnesses(witness_keys, logs=self._policy, directory=out / "state", stack=stack)
        self._ledger = WitnessedLedger(log, witnesses, self.clock.now)
        self._radio = stack.enter_context(PcapWriter(out / "radio.pcap"))
        self._attacks = stack.enter_context(PcapWriter(out / "attacks.pcap"))
        self.medium = Medium(self._rng("air"), on_frame=self._record)
        self.sent_by: Counter[int] = Counter()
        self._parts: dict[int, VehicleParts] = {}
        self._spools: dict[int, Spool] = {}
        self.cars: dict[int, SimulatedCar] = {}
        self.stations: dict[int, SimulatedStation] = {}
        self._put_up_cars()
        self.rsu = self._put_up_rsu()
        self._evidence = UnitEvidence(
            out / "state",
            agent=self.rsu,
            ledger=self._ledger,
            origin=LOG_ORIGIN,
            policy=self._policy,
            entropy=self._rng("evidence").randbytes,
            stack=stack,
        )
        self.adversaries, self.account = self._put_up_adversaries()
        self.world = World(
            clock=self.clock,
            traffic=self.traffic,
            medium=self.medium,
            account=self.account,
            cars=self.cars,
            stations=self.stations,
            adversaries=self.adversaries,
            keep_notice=lambda notice: _is_rollback(notice) or notice.kind in WARNING_KINDS,
        )

    def stop(self) -> None:
        """Let every agent go to sleep: last records, last proofs, last words."""
        now = self.clock.now()
        for antenna, car in self.cars.items():
            self.world.carry_out(antenna, car.agent.stop(now))
        self.world.carry_out(len(self.cars), self.rsu.stop(now))
        half = UtcNs(start_utc() + int(self._options.duration_s * NS_PER_S) // 2)
        with _written(self._out):
            self._evidence.finish(half, self._out / "evidence" / EVIDENCE_FILE, now)

    def car_story(self, antenna: int) -> CarStory:
        """Write a car's passport, verify it as anybody could, and tell how the car ended."""
        car = self.cars[antenna]
        motion = self.traffic.motion(car.number)
        states = self._spools[antenna].counts()
        file = self._out / "passports" / f"car-{car.number + 1}.json"
        page = file.with_suffix(".html")
        verified, verdict = self._passport(antenna, file, page)
        flags = () if verified is None else tuple(sorted({flag.value for reading in verified.readings for flag in reading.flags}))
        proven = states[AnchorState.INCLUDED] + states[AnchorState.WITNESSED]
        return CarStory(
            name=car.name,
            travelled_m=motion.travelled_m,
            sent=self.sent_by[antenna],
            odometer_m=(int(car.first_odometer_m), car.shown_odometer_m(motion.travelled_m, self.clock.now().monotonic)),
            rolled_back_m=None if car.rollback is None else round(car.rollback.by_m),
            records=sum(states.values()),
            anchored=proven,
            witnessed=states[AnchorState.WITNESSED],
            flags=flags,
            passport=f"passports/{file.name}" if file.exists() else None,
            page=f"passports/{page.name}" if page.exists() else None,
            passport_verified=verified is not None,
            verdict=verdict,
            trace=tuple(self.world.traces[antenna]),
        )

    def story(self, cars: tuple[CarStory, ...], *, wall_s: float) -> Story:
        """Tell the whole run."""
        summary = make_summary(
            options=self._options,
            wall_s=wall_s,
            account=self.account,
            verified=[station.inbound.verified for station in self.stations.values()],
            refused=[station.inbound.refused for station in self.stations.values()],
            cars=cars,
            rollback=self._rollback_summary(cars),
            hazards=hazards_summary(self.world.notices),
            can_frames=sum(_frames_read(car.agent) for car in self.cars.values()),
        )
        return Story(
            summary=summary,
            title=self._options.scenario,
            started=crossing.START_UTC,
            cars=cars,
            account=self.account,
            rsu_place=RSU_PLACE_M,
            attacker_places=tuple((a, self.medium.position(antenna)) for antenna, a in self.account.attackers.items()),
            notices=dict(sorted(self.world.notice_counts.items())),
            verify_command="v2x passport verify passports/car-1.json --trust trust --policy passports/ledger.policy",
        )

    def _rng(self, purpose: str) -> Random:
        """Return a source of chance of its own for each purpose, so that one more draw here changes nothing there."""
        return Random(f"{self._options.seed}/{purpose}")  # noqa: S311  # a simulation must repeat

    def _put_up_cars(self) -> None:
        signal_map = load_signal_map(SIM_CAR_MAP)
        dbc = load_sim_car()
        rolled_back = self._rolled_back()
        odometers = self._rng("odometers")
        for number in range(self._options.vehicles):
            pose = self.traffic.pose(number)
            is_ambulance = number == AMBULANCE and self._options.vehicles > AMBULANCE
            role = StationRole.EMERGENCY if is_ambulance else StationRole.VEHICLE
            antenna = self.medium.put_up(pose.east_m, pose.north_m)
            spool = open_spool(self._out / "state" / f"car-{number + 1}.sqlite")
            self._stack.callback(spool.close)
            parts = VehicleParts(
                station_type=StationType.SPECIAL_VEHICLE if is_ambulance else StationType.PASSENGER_CAR,
                length_m=CAR_LENGTH_M,
                width_m=CAR_WIDTH_M,
                tickets=TicketPool((self._authorities.ticket(role),), policy=TicketPolicy(), uses=FleetingUse()),
                trust_store=self._authorities.trust_store,
                enrolled=self._authorities.enrolled(),
                signal_map=signal_map,
                odometer_policy=OdometerPolicy(every_m=RECORD_EVERY_M, every_s=RECORD_EVERY_S),
                spool=spool,
                ledger=self._ledger,
                origin=LOG_ORIGIN,
                policy=self._policy,
                duty=AMBULANCE_DUTY if is_ambulance else NO_DUTY,
            )
            agent = make_agent(parts, entropy=self._rng(f"car {number}").randbytes, started=self.clock.now())
            bus = CarBus(bus_config(self._options.can, number, f"run-{id(self):x}"), self.clock)
            self._stack.callback(bus.close)
            rollback = rolled_back.get(number)
            car = SimulatedCar(
                number=number,
                agent=agent,
                ecu=SimulatedEcu(dbc, channel=bus.channel, start=self.clock.now().monotonic, odometer_tamper=rollback or honest),
                bus=bus,
                odometer_m=odometers.randrange(LEAST_ODOMETER_KM, MOST_ODOMETER_KM) * 1_000.0,
                rollback=rollback,
                call_out=planned_call_out(self._options.duration_s) if is_ambulance else None,
            )
            self._parts[antenna], self._spools[antenna] = parts, spool
            self.cars[antenna], self.stations[antenna] = car, agent

    def _rolled_back(self) -> dict[int, Rollback]:
        rng = self._rng("rollback")
        count = self._options.attacker_counts[AttackerKind.ROLLBACK]
        return {
            number: drawn_rollback(rng, self._options.duration_s)
            for number in sorted(rng.sample(range(self._options.vehicles), count))
        }

    def _put_up_rsu(self) -> RsuAgent:
        antenna = self.medium.put_up(*RSU_PLACE_M)
        agent = make_rsu(self._authorities, self.traffic.network, RSU_PLACE_M, self._rng("rsu"))
        self.stations[antenna] = agent
        return agent

    def _put_up_adversaries(self) -> tuple[dict[int, Adversary], Account]:
        forgery = Authorities(self._rng("forgers"), start_utc(), name="Forger")
        adversaries: dict[int, Adversary] = {}
        attackers: dict[int, Attacker] = {}
        for kind, count in self._options.attacker_counts.items():
            for number in range(count):
                rng = self._rng(f"{kind.value} {number}")
                adversary = make_adversary(kind, forgery, self._authorities.authorization.certificate, rng)
                if adversary is None:
                    continue
                east, north = ATTACKER_RING_M[len(adversaries) % len(ATTACKER_RING_M)]
                outward = 1.0 + 0.35 * (len(adversaries) // len(ATTACKER_RING_M))
                antenna = self.medium.put_up(east * outward, north * outward, range_m=ATTACKER_RANGE_M)
                adversaries[antenna] = adversary
                attackers[antenna] = Attacker(f"{ATTACK_TITLES[kind]} {number + 1}", kind)
        return adversaries, Account(self._options.duration_s, attackers)

    def _record(self, frame: Frame) -> None:
        """Write a frame into the capture it belongs to, and into the account."""
        utc = self.clock.now().require_utc()
        if frame.attack is None:
            kind, is_forwarded = _said(frame.packet)
            if self.stations[frame.sender] is self.rsu:  # and not a car that passes its word on
                self._evidence.said(frame.packet, self.clock.now())
            self._radio.write(frame.packet, utc=utc, source_mac=self.stations[frame.sender].identity.address.mac)
            if not is_forwarded:  # another's message, which its own sender has counted
                self.sent_by[frame.sender] += 1
                self.account.frame_sent(frame, kind)
        else:
            self._attacks.write(frame.packet, utc=utc)
            self.account.frame_sent(frame, frame.attack.value)

    def _passport(self, antenna: int, file: Path, page: Path) -> tuple[VerifiedPassport | None, str]:
        try:
            encoded = make_passport(self._parts[antenna]).encode()
        except V2xError as error:
            return None, str(error)
        roots = [root.encoded for root in self._authorities.trust_store.roots.values()]
        with _written(file):
            file.write_bytes(encoded)
            page.write_text(render_page(encoded, roots, self._policy_text.encode("ascii")), encoding="utf-8")
        try:
            verified = verify_with_trust(
                parse_passport(file.read_bytes()), store=self._authorities.trust_store, policy=self._policy, at=None
            )
        except RecordError as error:
            return None, str(error)
        return verified, "; ".join(finding.text for finding in verified.findings)

    def _rollback_summary(self, cars: tuple[CarStory, ...]) -> dict[str, Any]:
        """Return `attacks.rollback`: detected are those whose own passport says so, and who told their owner."""
        told: dict[int, TimedNotice] = {}
        for timed in filter(lambda timed: _is_rollback(timed.notice), self.world.notices):
            told.setdefault(timed.station, timed)
        by_antenna = dict(zip(self.cars, cars, strict=True))
        set_back = {antenna: car.rollback for antenna, car in self.cars.items() if car.rollback is not None}
        detected = [antenna for antenna in set_back if antenna in told and "rollback" in by_antenna[antenna].flags]
        times = [told[antenna].elapsed_s - set_back[antenna].at / 1e9 for antenna in detected]
        return {
            "senders": len(set_back),
            "cars": [by_antenna[antenna].name for antenna in set_back],
            "detected": len(detected),
            "false_accusations": sum("rollback" in car.flags for antenna, car in by_antenna.items() if antenna not in set_back),
            "median_detect_s": round(median(times), 3) if times else None,
        }


def _is_rollback(notice: Notice) -> bool:
    flags = notice.fields.get("flags")
    return notice.kind == "odometer_recorded" and isinstance(flags, list) and "rollback" in flags


def _said(packet: bytes) -> tuple[str, bool]:
    """Return the kind of message in a packet of ours, and whether it is one that another station has said."""
    content = decode_secured_data(packet[BASIC_HEADER_OCTETS:]).content
    if not isinstance(content, SignedData) or content.payload is None or not isinstance(content.payload.content, UnsecuredData):
        raise TransportError("medium", "one of our own stations sent an unsigned packet")
    common = decode_gn_pdu(content.payload.content.payload).common
    return _KINDS.get(ItsAid(content.header.psid), "other"), packet[HOP_LIMIT_OCTET] < common.max_hop_limit


def _frames_read(agent: VehicleAgent) -> int:
    can = agent.status()["can"]
    frames = can.get("frames") if isinstance(can, dict) else None
    return frames if isinstance(frames, int) else 0


def _paced(progress: Callable[[float], None], *, began: float) -> Callable[[float], None]:
    """Return a step that waits until the wall clock has gone as far as the simulated one."""

    def step(elapsed_s: float) -> None:
        progress(elapsed_s)
        ahead = began + elapsed_s - perf_counter()
        if ahead > 0.0:
            sleep(ahead)

    return step


def _prepare(out: Path) -> None:
    """Make the directory and clear what an earlier run left in it."""
    with _written(out):
        for name in ("trust", "passports", "evidence", "state"):
            if (out / name).is_dir():
                rmtree(out / name)
        for name in ("summary.json", "report.html", "radio.pcap", "attacks.pcap"):
            (out / name).unlink(missing_ok=True)
        for name in ("passports", "state"):
            (out / name).mkdir(parents=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a `StorageError` that names the path."""
    try:
        yield
    except OSError as error:
        raise StorageError(str(error.filename or path), f"cannot be written: {error.strerror or error}") from error
