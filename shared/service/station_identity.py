"""A station's own identity, opened from `[pki]`: its long-term keys and credentials, its tickets, and what keeps them fresh."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.core.clock import Instant
from shared.core.entropy import Entropy
from shared.core.ids import HashedId8
from shared.core.itstime import Time64, time32_of
from shared.pki.happenings import Happening, TicketGranted
from shared.pki.identity_upkeep import IdentityUpkeep
from shared.pki.key_source import KeySource, SystemKeySource
from shared.pki.listed_authorities import ListedAuthorities
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.certificate import Certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.security.freshness import trusted_time64
from shared.security.sign import TicketCredential
from shared.security.ticket_pool import TicketPolicy, TicketPool
from shared.service.credential_folder import CredentialFolder
from shared.service.key_store import open_key_store
from shared.service.pki_config import PkiConfig
from shared.service.state_lock import locked
from shared.service.station_trust import StationTrust
from shared.service.ticket_store import TicketStore, open_ticket_store


class StoredTicketKeys:
    """Keys of tickets in a ticket store; what has run out is deleted there as new ones are made.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: TicketStore) -> None:
        self._store = store

    def prepare(self, keys: KeySource, at: Time64) -> SoftwareSigner:
        """Return a key whose ticket never came, or a fresh one, which is kept when this returns; raises `StorageError`."""
        self._store.forget_expired(at)
        requested = self._store.requested()
        if requested:
            return requested[0].signer
        signer = keys.generate(Curve.NIST_P256)
        self._store.prepare((signer,), time32_of(at))
        return signer

    def grant(self, certificate: Certificate) -> TicketCredential:
        """Keep the ticket beside its key; raises `StorageError`."""
        return self._store.grant(certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationIdentityParts:
    """What one station's identity is made of.

    Attributes:
        account: its long-term keys and credentials.
        pool: its tickets.
        upkeep: decides what to ask its authorities for.
    """

    account: CredentialFolder
    pool: TicketPool
    upkeep: IdentityUpkeep

    def take(self, happening: Happening) -> None:
        """Put a granted ticket into the pool, where no agent does that."""
        if isinstance(happening, TicketGranted):
            self.pool.add((happening.ticket,))


@contextmanager
def open_station_identity(
    config: PkiConfig,
    *,
    base: Path,
    role: StationRole,
    trust: StationTrust,
    tickets: Iterable[TicketCredential],
    entropy: Entropy,
    environment: Mapping[str, str],
    now: Instant,
) -> Iterator[StationIdentityParts]:
    """Open a station's identity; closed again on leaving.

    Args:
        config: `[pki]`.
        base: folder of the configuration file, where relative paths of the key store start.
        role: what its tickets allow.
        trust: who its authorities are.
        tickets: brought by the operator, besides those of its own.
        entropy: source of nonces and waits.
        environment: of the process, where systemd names the folder of its credentials.
        now: the present.

    Raises:
        ConfigError: a key store, token or credential is not what it should be.
        StorageError: the ticket store is damaged, or another program has it open.
        TransportError: the token does not answer.
    """
    with ExitStack() as stack:
        keys = stack.enter_context(open_key_store(config.keys, base, environment=environment))
        account = CredentialFolder(config.credentials, keys)
        stack.enter_context(locked(config.tickets))
        store = open_ticket_store(config.tickets)
        stack.callback(store.close)
        pool = store.pool(TicketPolicy(target=config.target_tickets))
        if now.utc is not None:  # from the pool alone: a replay says what time it likes, and takes no ticket off the disk
            pool.drop_expired(trusted_time64(now))
        pool.add(tickets)
        upkeep = IdentityUpkeep(
            its_id=config.its_id.encode(),
            permissions=TICKET_PERMISSIONS[role],
            account=account,
            ticket_keys=StoredTicketKeys(store),
            pool=pool,
            authorities=ListedAuthorities(
                trust.upkeep.lists,
                areas=trust.areas,
                enrolment_authority=_identifier(config.enrolment_authority),
                authorization_authority=_identifier(config.authorization_authority),
            ),
            keys=SystemKeySource(),
            entropy=entropy,
        )
        yield StationIdentityParts(account=account, pool=pool, upkeep=upkeep)


def _identifier(text: str | None) -> HashedId8 | None:
    return None if text is None else HashedId8(bytes.fromhex(text))
