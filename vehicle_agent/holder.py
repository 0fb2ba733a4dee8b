"""The desks of a vehicle's holder: beside a running agent, or on the vehicle's own files where none runs.

Where none runs, the spool is locked and the desks work on it: what they record is anchored when the agent runs next. Where one
does, it has the spool to itself, and an order goes to the socket that `state.command_socket` names. A socket that an agent left
behind when it was killed therefore misleads nobody.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from shared.core.clock import Instant, UtcNs
from shared.core.errors import ConfigError, StorageError
from shared.pki.key_source import SystemKeySource
from shared.records.credential import VehicleCredential
from shared.records.issuers import Issuer
from shared.records.odometer import BOOT_ID_BYTES
from shared.records.passport import Passport, build_passport, build_record
from shared.records.recorder import Recorder, uncounted
from shared.security.trust_store import TrustStore
from shared.service.admission_desk import AdmissionDesk
from shared.service.command_socket import give_order
from shared.service.consent_desk import ConsentDesk
from shared.service.database import open_read_only
from shared.service.record_archive import SpoolArchive, reading
from shared.service.record_issuers import trusted_issuer
from shared.service.record_key import signing_next
from shared.service.rollback_counter import CountedSpool, CounterIsNew, Restored, check_restored, open_counter
from shared.service.spool import Spool, open_spool
from shared.service.spool_format import SPOOL_FORMAT
from shared.service.state_lock import IN_USE, locked
from vehicle_agent.composition import open_trust_and_identity, read_files, signers_at_hand
from vehicle_agent.config import VehicleConfig
from vehicle_agent.orders import MAX_DONE_OCTETS, PATIENCE_S, AnyOrder, Desks, obey_alone


def make_desks(spool: Spool, path: Path, recorder: Recorder, trust: Callable[[], TrustStore]) -> Desks:
    """Put up the desks of one vehicle.

    Args:
        spool: its records.
        path: of their file, opened anew for what takes long.
        recorder: makes the next one.
        trust: says whom the vehicle believes at the moment.
    """

    def chain(credential: VehicleCredential, at: UtcNs) -> Issuer:
        return trusted_issuer(credential, roots=trust(), at=at)

    consent = ConsentDesk(
        archive=SpoolArchive(spool),
        recorder=recorder,
        reader=partial(reading, path),
        chain=chain,
        keys=SystemKeySource(),
        entropy=os.urandom,
    )
    return Desks(consent=consent, admission=AdmissionDesk(recorder=recorder, shelf=spool, trust=trust))


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
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(config.state.spool))
        except StorageError as error:
            if error.reason != IN_USE:
                raise
            if config.state.command_socket is None:
                raise ConfigError("state.command_socket", "an agent runs: it takes orders where this key says") from error
            return _order(config.state.command_socket, order)
        desks = stack.enter_context(_open_desks(config, base=base, environment=environment, now=now))
        return obey_alone(desks, order, now)


def _order(socket: Path, order: AnyOrder) -> Mapping[str, object]:
    return give_order(socket, msgspec.to_builtins(order), timeout_s=2 * PATIENCE_S, max_answer_octets=MAX_DONE_OCTETS)


def read_passport_of(path: Path) -> tuple[Passport, int]:
    """Make a passport of every proven record in a spool, beside whoever writes it; return how many wait for the ledger, too.

    Raises:
        RecordError: a credential that signed records is not in the spool, which was damaged.
        StorageError: the spool is not there, or damaged.
    """
    with closing(Spool(path, open_read_only(path, SPOOL_FORMAT))) as spool:
        records = list(spool.records())
        proven = [build_record(r.sd_jwt, r.salt, r.proof) for r in records if r.proof is not None]
        made = build_passport(credentials=[each.credential for each in spool.all_credentials()], records=proven)
        return made, len(records) - len(proven)


@contextmanager
def _open_desks(config: VehicleConfig, *, base: Path, environment: Mapping[str, str], now: Instant) -> Iterator[Desks]:
    """Open the files that the desks need, and nothing that the agent alone may touch."""
    files = read_files(config, environment=environment)
    with ExitStack() as stack:
        opening = open_trust_and_identity(config, base=base, tickets=(), environment=environment, now=now)
        trust, identity = stack.enter_context(opening)
        spool = open_spool(config.state.spool, limit_mib=config.state.spool_limit_mib)
        stack.callback(spool.close)
        signer = signing_next(signers_at_hand(files, identity), spool.credentials())
        counter = None if config.state.counter is None else open_counter(config.state.counter, base)
        odd: Restored | CounterIsNew | None = spool.lost()
        if counter is not None:
            stack.callback(counter.close)
            head = spool.head()
            odd = odd or check_restored(0 if head is None else head.seq + 1, counter.read())
        if odd is not None:  # to resume quietly here would keep it from whoever must hear of it
            raise StorageError(str(config.state.spool), f"{odd}; let the agent run first, which tells of it and goes on")
        records = spool if counter is None else CountedSpool(spool, counter)
        counts = records.count_of if isinstance(records, CountedSpool) else uncounted
        recorder = Recorder(signer=signer, store=records, entropy=os.urandom, boot_id=os.urandom(BOOT_ID_BYTES), count_of=counts)
        store = files.trust_store if trust is None else trust.store
        yield make_desks(spool, config.state.spool, recorder, lambda: store)
