"""`enrol` of both agents: make a station's keys, ask its authorities for a credential and for the first tickets.

    AGENT enrol --public-key FILE    writes the public half of the canonical key, for `v2x pki register`
    AGENT enrol                      fetches the lists, enrols, and fills the pool of tickets
    AGENT enrol --refresh            the same, and fetches lists that are not due yet

Both may be repeated: what is there already is kept, and what is complete asks for nothing. A running agent renews all of it itself.
"""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.core.clock import Clock
from shared.core.errors import ConfigError, V2xError
from shared.core.itstime import utc_of, utc_text
from shared.pki.happenings import Happening, Subject, Trouble, TrustChanged
from shared.pki.identity_upkeep import NoAuthorityError
from shared.pki.permission_sets import StationRole
from shared.security.freshness import trusted_time64
from shared.security.trust_store import TrustStore
from shared.service.credential_folder import CredentialFolder
from shared.service.key_store import open_key_store
from shared.service.keystore import write_new_file
from shared.service.pki_config import PkiConfig, TrustConfig
from shared.service.station_identity import StationIdentityParts, open_station_identity
from shared.service.station_trust import StationTrust, open_station_trust
from shared.service.upkeep import Upkeep
from shared.transport.pki_http import PkiHttp

PublicKeyOption = Annotated[
    Path | None, typer.Option(help="Write the public half of the canonical key to this new file, and stop.", metavar="FILE")
]

RefreshOption = Annotated[bool, typer.Option("--refresh", help="Fetch all trust lists anew now, whether due or not.")]

_PUBLIC_MODE = 0o644


class EnrolmentError(V2xError):
    """Enrolment stopped before it was complete: what is there is kept, and the command may be repeated.

    Args:
        code: the stable word of what stopped it.
        sentence: for a person.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self._code = code

    @property
    def code(self) -> str:
        """What stopped it."""
        return self._code


def enrol(
    *,
    config_file: Path,
    trust_folder: Path,
    trust: TrustConfig | None,
    pki: PkiConfig | None,
    role: StationRole,
    clock: Clock,
    public_key: Path | None,
    refresh: bool = False,
) -> None:
    """Enrol a station, or write the public half of its canonical key.

    Args:
        config_file: names the files; relative paths of the key store start beside it.
        trust_folder: `identity.trust`.
        trust: `[trust]`.
        pki: `[pki]`.
        role: what its tickets are to allow.
        clock: must know the time.
        public_key: new file for the public key; None to enrol.
        refresh: whether lists that are not due are fetched too.

    Raises:
        ConfigError: the configuration has no `[pki]`, or a file or token is not what it should be.
        EnrolmentError: an authority said no, or none could be reached.
    """
    if trust is None or pki is None:
        raise ConfigError(str(config_file), "has no [trust] and [pki]: there is nobody to enrol at")
    if public_key is not None:
        _write_public_key(pki, config_file.parent, public_key)
        return
    now = clock.now()
    if now.utc is None:
        raise EnrolmentError("untrusted_time", "the clock is not set: nothing can be signed or judged before the time is known")
    with ExitStack() as stack:
        held = stack.enter_context(open_station_trust(trust_folder, trust, entropy=os.urandom, now=now))
        identity = stack.enter_context(
            open_station_identity(
                pki,
                base=config_file.parent,
                role=role,
                trust=held,
                tickets=(),
                entropy=os.urandom,
                environment=os.environ,
                now=now,
            )
        )
        if refresh:
            held.upkeep.refresh()
        asyncio.run(_complete(held, identity, clock))
        _report(identity, clock)


def _write_public_key(pki: PkiConfig, base: Path, path: Path) -> None:
    """Touches the key store alone, so that it may run beside an agent."""
    with open_key_store(pki.keys, base, environment=os.environ) as keys:
        key = CredentialFolder(pki.credentials, keys).canonical().public_key.native
    write_new_file(path, key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), mode=_PUBLIC_MODE)
    typer.echo(f"register {pki.its_id} with this key: {path}")


async def _complete(trust: StationTrust, identity: StationIdentityParts, clock: Clock) -> None:
    """Do what is due until nothing is; a list that does not come matters only where something is lacking for want of it."""
    stores: list[TrustStore] = []

    def tell(happening: Happening) -> None:
        match happening:
            case TrustChanged(store=store):
                stores.append(store)
            case _:
                identity.take(happening)

    async with PkiHttp() as http:
        upkeep = Upkeep(
            trust=trust,
            list_store=trust.list_store,
            tickets=identity.pool,
            identity=identity.upkeep,
            http=http,
            clock=clock,
            tell=tell,
        )
        while await upkeep.step():
            pass
    if stores:
        typer.echo(f"lists: {len(stores[-1].roots)} root(s), {len(stores[-1].authorities)} authorities")
    troubles = sorted(upkeep.troubles, key=_is_consequence)
    if identity.upkeep.lacks(clock.now()) is not None:
        raise _stopped(troubles[0]) if troubles else EnrolmentError("no_authority", "nobody could be asked")
    for each in troubles:
        typer.echo(f"warning: {each.subject.value}: {each.sentence}", err=True)


def _is_consequence(trouble: Trouble) -> int:
    """Rank an authority's own word before lists that did not come, and both before that nobody could be asked for want of them."""
    if trouble.code == NoAuthorityError.CODE:
        return 2
    return int(trouble.subject is Subject.LISTS)


def _stopped(trouble: Trouble) -> EnrolmentError:
    return EnrolmentError(trouble.code, f"{trouble.subject.value}: {trouble.sentence}")


def _report(identity: StationIdentityParts, clock: Clock) -> None:
    credential = identity.account.current
    if credential is None:
        return
    until = utc_text(utc_of(credential.certificate.validity.end_time64))[:16]
    tickets = len(identity.pool.valid(trusted_time64(clock.now())))
    typer.echo(f"enrolled: credential {credential.certificate.hashed_id8.hex()}, valid until {until}Z; {tickets} valid tickets")
