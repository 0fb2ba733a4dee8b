"""What the vehicle tells others, brought on the air: events kept before they are said, the pseudonym held while they live.

    DenmService.poll -> announcements -> kept on disk -> router.say -> Transmit
    live events      -> PseudonymRules.hold, and release when they are over

What needs a restart to end it properly is kept before it leaves; where it cannot be kept it is said all the same, and that is told.
A repetition that is due while the position is not known is sent from where the event is.
"""

from collections import Counter
from collections.abc import Mapping

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import StorageError, V2xError
from shared.core.geo import GeoPoint
from shared.core.ids import ItsAid
from shared.facilities.event_report import Announcement
from shared.facilities.originated_events import LiveEvent
from shared.facilities.saved_events import EventKeeper
from shared.security.pseudonyms import PseudonymRules
from shared.stack.effects import Effect, Notice
from shared.stack.router import Router
from shared.stack.station import EgoPosition, Station
from vehicle_agent.denm_service import DenmService
from vehicle_agent.ego import ego_position
from vehicle_agent.vehicle_state import VehicleState


class OwnHazards:
    """The events of one vehicle, from its state to its radios.

    Args:
        denms: finds and words them.
        station: whose ticket says what may be said.
        router: sends.
        rules: keep the pseudonym while an event lives.
        keeper: keeps what a restart needs.
    """

    def __init__(self, *, denms: DenmService, station: Station, router: Router, rules: PseudonymRules, keeper: EventKeeper) -> None:
        self._denms = denms
        self._station = station
        self._router = router
        self._rules = rules
        self._keeper = keeper
        self._kept_revision: int | None = None
        self._is_kept = len(denms.events.live) > 0
        self._is_keeper_failing = False
        self._held: frozenset[str] = frozenset()
        self._sent = 0
        self._unsent: Counter[str] = Counter()
        self._unkept: Counter[str] = Counter()

    @property
    def live(self) -> tuple[LiveEvent, ...]:
        """The events the vehicle tells of."""
        return self._denms.events.live

    @property
    def sent(self) -> int:
        """DENMs handed to the router."""
        return self._sent

    @property
    def unsent(self) -> Mapping[str, int]:
        """DENMs that could not be sent, by reason."""
        return dict(self._unsent)

    def next_due(self) -> MonotonicNs:
        """When `poll` wants to be called."""
        return self._denms.next_due()

    def renamed(self, now: Instant) -> None:
        """The station has another name: live events go on under it."""
        identity = self._station.identity
        self._denms.assume(identity.station_id, identity.first_sequence_number, now)

    def poll(self, state: VehicleState, now: Instant) -> tuple[Effect, ...]:
        """Look at the car, and say what is due."""
        if now.monotonic < self._denms.next_due():
            return ()
        announcements = self._denms.poll(state, now, ssp=self._station.ssp(ItsAid.DENM))
        self._hold(now.monotonic)
        effects: list[Effect] = [*self._keep(), *self._denms.take_notices()]
        for announcement in announcements:
            try:
                effects += self._router.say(
                    announcement.denm, position=_sender_position(announcement, state, now), now=now, area=announcement.area
                )
            except V2xError as reason:
                self._unsent[reason.code] += 1
            else:
                self._sent += 1
        return tuple(effects)

    def status(self) -> dict[str, object]:
        """Everything counted so far, as JSON values."""
        return {**self._denms.status(), "unkept": dict(self._unkept)}

    def _hold(self, now: MonotonicNs) -> None:
        holds = dict(self._denms.holds())
        for name in self._held - holds.keys():
            self._rules.release(name)
        for name, until in holds.items():
            self._rules.hold(name, until=until, now=now)
        self._held = frozenset(holds)

    def _keep(self) -> tuple[Notice, ...]:
        """Keep what has changed since it was kept last; a store that fails is told once, and asked again with the next change.

        Events that run out by themselves, such as a braking told anew ten times a second, are not worth a write.
        """
        events = self._denms.events
        if self._kept_revision == events.revision or not (self._denms.must_be_ended or self._is_kept):
            return ()
        saved = events.snapshot()
        try:
            self._keeper.keep(saved)
        except StorageError as failure:
            self._unkept[failure.code] += 1
            was_failing, self._is_keeper_failing = self._is_keeper_failing, True
            return () if was_failing else (Notice("hazards_not_kept", {"reason": str(failure)}),)
        self._kept_revision = events.revision
        self._is_kept = bool(saved.events)
        self._is_keeper_failing = False
        return ()


def _sender_position(announcement: Announcement, state: VehicleState, now: Instant) -> EgoPosition:
    here = ego_position(state, now)
    if here is not None:
        return here
    denm = announcement.denm
    place = GeoPoint(denm.lat_deg or 0.0, denm.lon_deg or 0.0)
    return EgoPosition(point=place, taken_at=now.require_utc(), is_accurate=False)
