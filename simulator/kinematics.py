"""Cars that follow each other, the lights and the bends: a deterministic fleet on the crossing's roads.

Car following is the Intelligent Driver Model (Treiber, Hennecke, Helbing 2000); a stop line at red, or at amber when there is
room to stop, is a standing obstacle; a bend caps the speed by its sideways acceleration. Cars change lane only where the street
parts before the crossing. One `random.Random` decides everything, in one fixed order. One car may break down: it brakes as hard as
it can, stands for a while with its hazard lights on, and drives on. Left out: overtaking, reverse gear, slip.
"""

from dataclasses import dataclass
from math import degrees, sqrt
from random import Random

from shared.core.errors import ConfigError
from simulator.roads import Approach, Entry, Exit, Pose, RoadNetwork, Segment, Turn, after
from simulator.scenarios import crossing
from simulator.scenarios.crossing import Arm, Aspect, Movement

CAR_LENGTH_M = 4.5
CAR_WIDTH_M = 1.8
WHEELBASE_M = 2.7
STEERING_RATIO = 15.0

SIDEWAYS_LIMIT_MPS2 = 2.5
"""Drivers take bends no faster than this sideways acceleration allows."""

AMBER_BRAKING_MPS2 = 3.0
"""A driver stops at amber if that takes no harder braking than this."""

RED_BRAKING_MPS2 = 7.0
HARDEST_BRAKING_MPS2 = 8.0
STANDSTILL_GAP_M = 2.0
STOP_LINE_MARGIN_M = 0.5
BEND_BRAKING_MPS2 = 1.8
BRAKING_LAG_S = 0.25
"""How fast a driver sheds speed above what the bend ahead allows."""

CREEP_MPS = 0.02
"""Below this speed a braking car stands."""

BREAKDOWN_BRAKING_MPS2 = 7.5
"""How hard a car brakes that breaks down: an emergency."""

BREAKDOWN_LEAST_MPS = 9.0
"""Only a car that is at least so fast breaks down: from less, nobody has to brake hard."""

BREAKDOWN_CLEAR_M = 35.0
"""It breaks down so far before the end of its street: not on the crossing."""

LOOK_AHEAD_M = 90.0
MAX_VEHICLES = 60
"""More cars than this do not fit the streets around the crossing with room to move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What differs from driver to driver; lengths in metres, times in seconds."""

    cruise_mps: float
    acceleration_mps2: float
    comfortable_braking_mps2: float
    headway_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """One car comes to grief and recovers; seconds of `Traffic.elapsed_s`.

    Attributes:
        from_s: from then on, the first car that is fast enough and on a street away from the crossing.
        standing_s: how long it stands.
    """

    from_s: float
    standing_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Where a car's centre is and how it moves at one moment.

    Attributes:
        east_m, north_m: metres from the crossing's centre.
        heading_deg: clockwise from north, [0, 360).
        acceleration_mps2: along the car, negative when braking.
        yaw_rate_deg_s: positive clockwise (to the right) as seen from above.
        steering_wheel_deg: positive to the left, as on a CAN bus.
        travelled_m: path length since the start of the simulation.
        broken_down: it stands because it cannot go on; its hazard lights are on.
    """

    east_m: float
    north_m: float
    heading_deg: float
    speed_mps: float
    acceleration_mps2: float
    yaw_rate_deg_s: float
    steering_wheel_deg: float
    travelled_m: float
    braking: bool
    standing: bool
    turn_signal: Movement
    broken_down: bool = False


class Car:
    """One car's place on the network; `along_m` is that of its centre on `segment`."""

    __slots__ = ("acceleration_mps2", "along_m", "driver", "movement", "number", "segment", "speed_mps", "travelled_m")

    def __init__(self, number: int, driver: Driver, segment: Segment, along_m: float, movement: Movement, speed_mps: float) -> None:
        self.number = number
        self.driver = driver
        self.segment: Segment = segment
        self.along_m = along_m
        self.movement = movement
        self.speed_mps = speed_mps
        self.acceleration_mps2 = 0.0
        self.travelled_m = 0.0


class Traffic:
    """All cars, moved together.

    Args:
        count: how many cars, 1..`MAX_VEHICLES`.
        rng: the only source of chance.
        start_offset_s: where in the signal cycle the simulation begins.
        breakdown: what happens to one car, or None.

    Raises:
        ConfigError: more cars than the streets hold.
    """

    def __init__(self, count: int, rng: Random, *, start_offset_s: float = 0.0, breakdown: Breakdown | None = None) -> None:
        if not 1 <= count <= MAX_VEHICLES:
            raise ConfigError("--vehicles", f"{count} is outside 1..{MAX_VEHICLES}: the streets around the crossing hold no more")
        self.network = RoadNetwork()
        self._rng = rng
        self._elapsed_s = start_offset_s
        self._limits = {segment: _limits(self.network, segment) for segment in self.network.paths}
        self.cars = self._placed(count)
        self._breakdown = breakdown
        self._stricken: Car | None = None
        self._goes_on_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of the signal plan's first cycle."""
        return self._elapsed_s

    def motion(self, number: int) -> Motion:
        """Return how car `number` moves now."""
        car = self.cars[number]
        pose = self.network.paths[car.segment].pose(car.along_m)
        yaw_rad_s = car.speed_mps * pose.curvature_per_m
        return Motion(
            east_m=pose.east_m,
            north_m=pose.north_m,
            heading_deg=pose.heading_deg,
            speed_mps=car.speed_mps,
            acceleration_mps2=car.acceleration_mps2,
            yaw_rate_deg_s=degrees(yaw_rad_s),
            steering_wheel_deg=-degrees(WHEELBASE_M * pose.curvature_per_m) * STEERING_RATIO,
            travelled_m=car.travelled_m,
            braking=car.acceleration_mps2 < -0.4 or car.speed_mps == 0.0,
            standing=car.speed_mps == 0.0,
            turn_signal=self._turn_signal(car),
            broken_down=car is self._stricken,
        )

    def pose(self, number: int) -> Pose:
        """Return where the centre of car `number` is."""
        car = self.cars[number]
        return self.network.paths[car.segment].pose(car.along_m)

    def step(self, step_s: float) -> None:
        """Move every car on by `step_s` seconds (0.005..0.1)."""
        self._strike()
        occupants: dict[Segment, list[Car]] = {}
        for car in self.cars:
            occupants.setdefault(car.segment, []).append(car)
        wanted = [self._acceleration(car, occupants) for car in self.cars]
        for car, acceleration in zip(self.cars, wanted, strict=True):
            before = car.speed_mps
            speed = max(0.0, before + acceleration * step_s)
            if acceleration < 0.0 and speed < CREEP_MPS:
                speed = 0.0
            moved = (before + speed) / 2 * step_s
            car.speed_mps = speed
            car.acceleration_mps2 = (speed - before) / step_s
            car.travelled_m += moved
            self._advance(car, moved)
        self._elapsed_s += step_s

    def aspect(self, arm: Arm, movement: Movement) -> Aspect:
        """Return what a driver on `arm` who will make `movement` sees now."""
        return crossing.aspect_at(crossing.signal_group(arm, movement), self._elapsed_s)

    def _strike(self) -> None:
        """Let the breakdown begin when its time has come, and end when the car has stood long enough."""
        if self._breakdown is None or self._elapsed_s < self._breakdown.from_s:
            return
        if self._stricken is None:
            if self._goes_on_s is None:
                self._stricken = next((car for car in self.cars if self._may_break_down(car)), None)
        elif self._goes_on_s is None:
            if self._stricken.speed_mps == 0.0:
                self._goes_on_s = self._elapsed_s + self._breakdown.standing_s
        elif self._elapsed_s >= self._goes_on_s:
            self._stricken = None

    def _may_break_down(self, car: Car) -> bool:
        clear_m = self.network.paths[car.segment].length_m - car.along_m
        return isinstance(car.segment, Exit) and car.speed_mps >= BREAKDOWN_LEAST_MPS and clear_m >= BREAKDOWN_CLEAR_M

    def _advance(self, car: Car, moved_m: float) -> None:
        car.along_m += moved_m
        length = self.network.paths[car.segment].length_m
        while car.along_m >= length:
            car.along_m -= length
            car.segment = after(car.segment, car.movement)
            if isinstance(car.segment, Exit):
                car.movement = self._rng.choice(tuple(Movement))
            length = self.network.paths[car.segment].length_m

    def _acceleration(self, car: Car, occupants: dict[Segment, list[Car]]) -> float:
        """Return the IDM acceleration towards whichever obstacle ahead asks for the hardest braking."""
        if car is self._stricken:
            return -BREAKDOWN_BRAKING_MPS2
        wish = min(car.driver.cruise_mps, crossing.SPEED_LIMIT_MPS)
        limit = self._limit_ahead(car, wish)
        if car.speed_mps <= limit:
            free = car.driver.acceleration_mps2 * (1.0 - (car.speed_mps / limit) ** 4)
        else:
            free = (limit - car.speed_mps) / BRAKING_LAG_S
        gap, ahead_mps = self._leader(car, occupants)
        interaction = self._interaction(car, gap, ahead_mps)
        stop_gap = self._stop_line_gap(car)
        if stop_gap is not None:
            interaction = max(interaction, self._interaction(car, stop_gap, 0.0))
        return max(free - interaction, -HARDEST_BRAKING_MPS2)

    def _interaction(self, car: Car, gap_m: float, ahead_mps: float) -> float:
        driver = car.driver
        closing = car.speed_mps * (car.speed_mps - ahead_mps)
        comfort = 2 * sqrt(driver.acceleration_mps2 * driver.comfortable_braking_mps2)
        desired = STANDSTILL_GAP_M + max(0.0, car.speed_mps * driver.headway_s + closing / comfort)
        return driver.acceleration_mps2 * (desired / max(gap_m, 0.1)) ** 2

    def _limit_ahead(self, car: Car, wish_mps: float) -> float:
        """Return the speed from which every bend in view can still be reached at its own limit by gentle braking."""
        limit = wish_mps
        distance = -car.along_m
        segment = car.segment
        while distance < LOOK_AHEAD_M:
            for begin, end, bend_mps in self._limits[segment]:
                to_bend = distance + begin
                if to_bend <= 0.0:
                    if distance + end > 0.0:
                        limit = min(limit, bend_mps)
                else:
                    limit = min(limit, sqrt(bend_mps**2 + 2 * BEND_BRAKING_MPS2 * to_bend))
            distance += self.network.paths[segment].length_m
            segment = after(segment, car.movement)
            if isinstance(segment, Exit) and isinstance(car.segment, Exit):
                break
        return limit

    def _stop_line_gap(self, car: Car) -> float | None:
        """Return the room between bumper and stop line if the car has to stop there, else None."""
        if not isinstance(car.segment, Approach):
            return None
        bumper = self.network.paths[car.segment].length_m - car.along_m - CAR_LENGTH_M / 2
        if bumper < 0.0:
            return None
        needed = car.speed_mps**2 / 2
        room = bumper - STOP_LINE_MARGIN_M
        braking_room = max(room, STOP_LINE_MARGIN_M)
        match self.aspect(car.segment.arm, car.movement):
            case Aspect.GREEN:
                return None
            case Aspect.AMBER:
                stops = needed <= AMBER_BRAKING_MPS2 * braking_room
            case Aspect.RED | Aspect.RED_AMBER:
                stops = needed <= RED_BRAKING_MPS2 * braking_room
        return room + STANDSTILL_GAP_M if stops else None

    def _leader(self, car: Car, occupants: dict[Segment, list[Car]]) -> tuple[float, float]:
        """Return bumper-to-bumper gap and speed of the nearest car ahead on this car's way (a far, fast one if there is none)."""
        best_m, best_mps = LOOK_AHEAD_M * 2, car.speed_mps
        distance = -car.along_m
        segment: Segment = car.segment
        first = True
        while distance < LOOK_AHEAD_M:
            for at_m, speed in self._in_the_way(car, segment, occupants, own_segment=first):
                ahead = distance + at_m
                if 0.0 < ahead < best_m:
                    best_m, best_mps = ahead, speed
            if best_m < LOOK_AHEAD_M:
                break
            distance += self.network.paths[segment].length_m
            segment = after(segment, car.movement)
            first = False
        return best_m - CAR_LENGTH_M, best_mps

    def _in_the_way(
        self, car: Car, segment: Segment, occupants: dict[Segment, list[Car]], *, own_segment: bool
    ) -> list[tuple[float, float]]:
        """Return (place along `segment`, speed) of the cars that stand in the way of one driving along it."""
        found = [(o.along_m, o.speed_mps) for o in occupants.get(segment, ()) if o is not car]
        rear = CAR_LENGTH_M / 2
        for other in self.network.parting.get(segment, ()):
            shared = self.network.shared_start_m[segment, other]
            found.extend((o.along_m, o.speed_mps) for o in occupants.get(other, ()) if o.along_m - rear < shared)
        length = self.network.paths[segment].length_m
        for other in self.network.meeting.get(segment, ()):
            shared = self.network.shared_end_m[segment, other]
            for o in occupants.get(other, ()):
                to_end = self.network.paths[other].length_m - o.along_m
                mine = length - car.along_m if own_segment else length
                if to_end - rear < shared and to_end < mine:
                    found.append((length - to_end, o.speed_mps))
        return found

    def _turn_signal(self, car: Car) -> Movement:
        match car.segment:
            case Approach() | Turn():
                return car.movement
            case Entry():
                return Movement.RIGHT
            case Exit():
                return Movement.STRAIGHT

    def _placed(self, count: int) -> list[Car]:
        """Spread the cars over approaches and exits, each with its own driver and way, leaving room between them."""
        rng = self._rng
        spots: list[tuple[Segment, float]] = []
        for arm in Arm:
            length = self.network.paths[Exit(arm)].length_m
            spots.extend((Exit(arm), at) for at in _every(30.0, length - 10.0, 38.0))
            for left in (False, True):
                length = self.network.paths[Approach(arm, left)].length_m
                spots.extend((Approach(arm, left), at) for at in _every(12.0, length - 35.0, 40.0))
        rng.shuffle(spots)
        cars = []
        for number, (segment, at) in enumerate(spots[:count]):
            if isinstance(segment, Approach):
                movement = Movement.LEFT if segment.left else rng.choice((Movement.STRAIGHT, Movement.RIGHT))
            else:
                movement = rng.choice(tuple(Movement))
            driver = Driver(
                cruise_mps=crossing.SPEED_LIMIT_MPS * rng.uniform(0.85, 1.0),
                acceleration_mps2=rng.uniform(1.4, 2.2),
                comfortable_braking_mps2=rng.uniform(1.8, 2.4),
                headway_s=rng.uniform(1.0, 1.6),
            )
            place = at + rng.uniform(-6.0, 6.0)
            cars.append(Car(number, driver, segment, place, movement, rng.uniform(6.0, 9.0)))
            for begin, end, bend_mps in self._limits[segment]:
                if begin - 25.0 <= place <= end:
                    cars[-1].speed_mps = min(cars[-1].speed_mps, bend_mps)
        return cars


def _limits(network: RoadNetwork, segment: Segment) -> tuple[tuple[float, float, float], ...]:
    """Return (begin_m, end_m, limit_mps) of every bend of a segment."""
    return tuple((begin, end, sqrt(SIDEWAYS_LIMIT_MPS2 * radius)) for begin, end, radius in network.paths[segment].bends())


def _every(begin: float, end: float, gap: float) -> list[float]:
    return [begin + n * gap for n in range(int((end - begin) / gap) + 1)]
