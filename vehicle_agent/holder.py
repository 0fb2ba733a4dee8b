"""The holder's desk of a vehicle: beside a running agent, or on the vehicle's own files where none runs.

Where the agent runs and `state.command_socket` names its socket, an order goes there. Where none runs, the spool is locked and the
same desk works on it: what it records is anchored when the agent runs next.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from shared.core.clock import Instant, UtcNs
from shared.core.errors import ConfigError, StorageError
from shared.pki.key_source import SystemKeySource
from shared.records.credential import VehicleCredential
from shared.records.issuers import Issuer
from shared.records.odometer import BOOT_ID_BYTES
from shared.records.recorder import Recorder
from shared.security.trust_store import TrustStore
from shared.service.command_socket import give_order
from shared.service.consent_desk import ConsentDesk
from shared.service.record_archive import SpoolArchive, reading
from shared.service.record_issuers import trusted_issuer
from shared.service.record_key import signing_next
from shared.service.rollback_counter import CountedSpool, open_counter
from shared.service.spool import Spool, open_spool
from shared.service.state_lock import locked
from shared.service.station_identity import open_station_identity
from shared.service.station_trust import open_station_trust
from vehicle_agent.composition import read_files, signers_at_hand
from vehicle_agent.config import VehicleConfig
from vehicle_agent.orders import MAX_DONE_OCTETS, PATIENCE_S, AnyOrder, obey_alone


def make_desk(spool: Spool, path: Path, recorder: Recorder, trust: Callable[[], TrustStore]) -> ConsentDesk:
    """Put up the desk of one vehicle.

    Args:
        spool: its records.
        path: of their file, opened anew for what takes long.
        recorder: makes the next one.
        trust: says whom the vehicle believes at the moment.
    """

    def chain(credential: VehicleCredential, at: UtcNs) -> Issuer:
        return trusted_issuer(credential, roots=trust(), at=at)

    return ConsentDesk(
        archive=SpoolArchive(spool),
        recorder=recorder,
        reader=partial(reading, path),
        chain=chain,
        keys=SystemKeySource(),
        entropy=os.urandom,
    )


def carry_out(
    order: AnyOrder, config: VehicleConfig, *, base: Path, environment: Mapping[str, str], now: Instant
) -> Mapping[str, object]:
    """Have the running agent carry an order out, or do it where none runs.

    Args:
        order: what the holder wants.
        config: of the vehicle.
        base: folder of the configuration file.
        environment: of the process.
        now: the present, where no agent runs.

    Raises:
        RecordError, UntrustedTimeError, EncodeError: it is refused, in a sentence.
        TransportError: the running agent refuses, in its own words, or does not answer.
        ConfigError: an agent runs, and the configuration names no socket for orders.
        StorageError: a file is damaged.
    """
    socket = config.state.command_socket
    if socket is not None and socket.is_socket():
        return give_order(socket, msgspec.to_builtins(order), timeout_s=2 * PATIENCE_S, max_answer_octets=MAX_DONE_OCTETS)
    with _open_desk(config, base=base, environment=environment, now=now) as desk:
        return obey_alone(desk, order, now)


@contextmanager
def _open_desk(config: VehicleConfig, *, base: Path, environment: Mapping[str, str], now: Instant) -> Iterator[ConsentDesk]:
    """Open the files that the desk needs, and nothing that the agent alone may touch."""
    files = read_files(config, environment=environment)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(config.state.spool))
        except StorageError as error:
            if config.state.command_socket is None:
                raise ConfigError("state.command_socket", "an agent runs: it takes orders where this key says") from error
            raise
        trust = identity = None
        if config.trust is not None:
            opening = open_station_trust(config.identity.trust, config.trust, entropy=os.urandom, now=now)
            trust = stack.enter_context(opening)
        if config.pki is not None and trust is not None:
            identity = stack.enter_context(
                open_station_identity(
                    config.pki,
                    base=base,
                    role=config.station.ticket_role,
                    trust=trust,
                    tickets=(),
                    entropy=os.urandom,
                    environment=environment,
                    now=now,
                )
            )
        spool = open_spool(config.state.spool)
        stack.callback(spool.close)
        signer = signing_next(signers_at_hand(files, identity), spool.credentials())
        counter = None if config.state.counter is None else open_counter(config.state.counter, base)
        if counter is not None:
            stack.callback(counter.close)
        records = spool if counter is None else CountedSpool(spool, counter)
        recorder = Recorder(signer=signer, store=records, entropy=os.urandom, boot_id=os.urandom(BOOT_ID_BYTES))
        store = files.trust_store if trust is None else trust.store
        yield make_desk(spool, config.state.spool, recorder, lambda: store)
