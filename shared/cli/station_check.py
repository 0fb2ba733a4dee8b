"""What `check-config` of both agents says of a station's own state: its credential, its tickets, the lists it keeps.

Looks only: nothing is made or changed, no list is fetched or believed anew, and a running agent is not disturbed. The key store is
opened, so that a locked or absent token shows here and not when the agent starts. Whom the lists make it trust is worked out as at
the agent's start: from those it keeps, as far as they still count.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from shared.core.clock import NS_PER_S, Instant
from shared.core.itstime import Time64, utc_of, utc_text
from shared.security.freshness import trusted_time64
from shared.security.list_sequence import StoredList
from shared.security.trust_store import TrustStore
from shared.service.credential_folder import CredentialFolder
from shared.service.database import open_read_only
from shared.service.key_store import open_key_store
from shared.service.pki_config import PkiConfig, TrustConfig
from shared.service.station_trust import make_trust_lists
from shared.service.ticket_store import read_ticket_store
from shared.service.trust_list_store import TrustListStore

_S_PER_H = 3_600


def describe_state(
    *, config_file: Path, command: str, trust: TrustConfig | None, pki: PkiConfig | None, now: Instant
) -> Iterator[str]:
    """Describe a station's state, one line after another.

    Args:
        config_file: names the files; relative paths of the key store start beside it.
        command: of the agent, to be named where it is to be called.
        trust: `[trust]`.
        pki: `[pki]`.
        now: the present; without UTC nothing is said of ages.

    Raises:
        ConfigError: a key store, token or credential is not what it should be.
        StorageError: a file is damaged.
        TransportError: the token does not answer.
    """
    if trust is not None:
        yield from _lists(trust.lists, now)
    if pki is not None:
        yield _credential(pki, config_file.parent, command)
        yield _tickets(pki.tickets, now)


def describe_trust(store: TrustStore, *, folder: Path, trust: TrustConfig | None, now: Instant) -> str:
    """Say in numbers whom a station trusts.

    Args:
        store: whom its operator trusts, whatever lists say.
        folder: `identity.trust`.
        trust: `[trust]`.
        now: the present; without UTC no list counts.

    Raises:
        ConfigError: a file of the operator is not what it should be.
        StorageError: the kept lists are damaged.
    """
    by_whom = ""
    if trust is not None:
        by_whom = " by the operator's folder alone"
        if trust.lists.exists():
            lists = make_trust_lists(folder, trust)
            with TrustListStore(trust.lists, opening=open_read_only) as kept:
                lists.restore(kept.load(), now)
            store, by_whom = lists.trust(now), " by the operator's folder and the lists held"
    return f"{len(store.roots)} trusted root(s), {len(store.authorities)} known authorities{by_whom}"


def _lists(path: Path, now: Instant) -> Iterator[str]:
    if not path.exists():
        yield "lists: none fetched yet"
        return
    with TrustListStore(path, opening=open_read_only) as store:
        lists = store.load()
    if not lists:
        yield "lists: none fetched yet"
    for each in lists:
        yield f"{each.kind.value} of {each.issuer.hex()}: {_place(each, now)}"


def _place(stored: StoredList, now: Instant) -> str:
    signed = utc_of(stored.mark.generation_time)
    number = "" if stored.mark.sequence is None else f"number {stored.mark.sequence}, "
    age = "" if now.utc is None else f", {(now.utc - signed) // (NS_PER_S * _S_PER_H)} h ago"
    gone = "" if stored.documents else "; no longer in force"
    return f"{number}signed {_minute(stored.mark.generation_time)}{age}{gone}"


def _credential(pki: PkiConfig, base: Path, command: str) -> str:
    with open_key_store(pki.keys, base, environment=os.environ) as keys:
        credential = CredentialFolder(pki.credentials, keys).current
    if credential is None:
        return f"not enrolled yet: `{command} enrol` asks the enrolment authority for {pki.its_id}"
    certificate = credential.certificate
    return f"enrolled: credential {certificate.hashed_id8.hex()}, valid until {_minute(certificate.validity.end_time64)}"


def _tickets(path: Path, now: Instant) -> str:
    if not path.exists():
        return "no tickets yet"
    store = read_ticket_store(path)
    try:
        validities = [ticket.certificate.validity for ticket in store.tickets()]
    finally:
        store.close()
    if not validities:
        return "no tickets yet"
    end = _minute(max(validity.end_time64 for validity in validities))
    if now.utc is None:
        return f"{len(validities)} ticket(s), the last ends {end}"
    at = trusted_time64(now)
    return f"{len(validities)} ticket(s), {sum(each.contains(at) for each in validities)} valid now, the last ends {end}"


def _minute(at: Time64) -> str:
    return f"{utc_text(utc_of(at))[:16]}Z"
