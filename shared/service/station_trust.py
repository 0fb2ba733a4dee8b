"""Whom a station trusts, opened from its configuration: the operator's folder, and the lists that follow from it.

    DIR/roots/*.oer         trusted whatever lists say
    DIR/tlm/*.oer           trust list managers, whose lists name further roots
    DIR/authorities/*.oer   known whatever lists say; X.proof beside X.oer shows it to be in the transparency log

Without `[trust]` in the configuration the folder is all there is. With it, lists are fetched and kept over restarts, and where
`require_logged` says so they must be in the log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import Instant
from shared.core.entropy import Entropy
from shared.core.errors import ConfigError, VerificationError
from shared.ledger.proof import MAX_PROOF_BYTES
from shared.pki.list_upkeep import ListUpkeep
from shared.security.region import NO_IDENTIFIED_AREAS, IdentifiedAreas
from shared.security.ticket_pool import TicketPool
from shared.security.ticket_standing import TicketStanding
from shared.security.trust_lists_held import TrustLists
from shared.security.trust_pins import ListAdmission, PinnedAuthority, PinnedManager, TrustPins
from shared.security.trust_store import TrustStore
from shared.service.identified_areas import read_identified_areas
from shared.service.keystore import read_bounded
from shared.service.logged_lists import LoggedAdmission, UnloggedAdmission
from shared.service.online_log import read_policy
from shared.service.pki_config import TrustConfig
from shared.service.state_lock import locked
from shared.service.trust_directory import AUTHORITIES, MANAGERS, ROOTS, read_certificates
from shared.service.trust_list_store import TrustListStore, open_trust_list_store

_S_PER_H = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class StationTrust:
    """Whom a station trusts, and how that is kept fresh.

    Attributes:
        store: whom to trust at the start.
        areas: the shapes of identified regions.
        upkeep: decides which lists to fetch.
        list_store: keeps them.
        standing: says which of the station's own tickets they leave in use.
    """

    store: TrustStore
    areas: IdentifiedAreas
    upkeep: ListUpkeep
    list_store: TrustListStore
    standing: TicketStanding

    def set_aside(self, tickets: TicketPool, now: Instant) -> tuple[VerificationError, ...]:
        """Take the tickets out of use that nobody believes any more; return why, for each of them."""
        refused = self.standing.refused(tickets.tickets, now)
        tickets.set_aside({each: str(refusal) for each, refusal in refused.items()})
        return tuple(refused.values())


def read_pins(directory: Path, config: TrustConfig) -> TrustPins:
    """Read what the operator has decided.

    Raises:
        ConfigError: neither a root nor a trust list manager is there, or a file is not what it should be.
    """
    roots = read_certificates(directory / ROOTS)
    managers = read_certificates(directory / MANAGERS)
    if not roots and not managers:
        raise ConfigError(str(directory), "holds neither a root (roots/*.oer) nor a trust list manager (tlm/*.oer)")
    authorities = []
    for path, certificate in read_certificates(directory / AUTHORITIES).items():
        proof = path.with_suffix(".proof")
        text = read_bounded(proof, MAX_PROOF_BYTES) if proof.exists() else None
        authorities.append(PinnedAuthority(certificate=certificate, proof=text))
    return TrustPins(
        managers=tuple(PinnedManager(certificate=each, access_point=config.trust_list_manager) for each in managers.values()),
        roots=tuple(roots.values()),
        authorities=tuple(authorities),
        distribution_centres=() if config.distribution_centre is None else (config.distribution_centre,),
    )


def pinned_store(pins: TrustPins) -> TrustStore:
    """Return whom the operator trusts whatever lists say."""
    return TrustStore.of_operator(pins.roots, tuple(each.certificate for each in pins.authorities))


def read_admission(config: TrustConfig) -> ListAdmission:
    """Return whether lists must be in a log; raises `ConfigError` for a policy that is none."""
    if not config.require_logged or config.log_policy is None:
        return UnloggedAdmission()
    return LoggedAdmission(read_policy(config.log_policy))


def read_areas(config: TrustConfig | None) -> IdentifiedAreas:
    """Read the shapes of identified regions, none where no file is named; raises `ConfigError`."""
    return NO_IDENTIFIED_AREAS if config is None or config.areas is None else read_identified_areas(config.areas)


def make_trust_lists(directory: Path, config: TrustConfig) -> TrustLists:
    """Make a station's trust lists, empty yet; raises `ConfigError` as `read_pins` and `read_admission`."""
    return TrustLists(pins=read_pins(directory, config), admission=read_admission(config), grace_s=config.grace_h * _S_PER_H)


@contextmanager
def open_station_trust(directory: Path, config: TrustConfig, *, entropy: Entropy, now: Instant) -> Iterator[StationTrust]:
    """Open a station's trust; closed again on leaving.

    Args:
        directory: the operator's folder.
        config: `[trust]`.
        entropy: source of waits.
        now: the present.

    Raises:
        ConfigError: a file of the operator is not what it should be.
        StorageError: the kept lists are damaged, or another program has them open.
    """
    lists = make_trust_lists(directory, config)
    areas = read_areas(config)
    with locked(config.lists), open_trust_list_store(config.lists) as list_store:
        upkeep = ListUpkeep(lists=lists, needs_proof=config.require_logged, stored=list_store.load(), entropy=entropy, now=now)
        standing = TicketStanding(lists=lists, areas=areas)
        yield StationTrust(store=upkeep.store, areas=areas, upkeep=upkeep, list_store=list_store, standing=standing)
