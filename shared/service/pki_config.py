"""How an agent's configuration names its authorities: what is trusted beyond the operator's folder, and who renews its identity.

    [trust]   lists fetched from a distribution centre, whether they must be in a transparency log, how long one may be overdue
    [pki]     enrolment: the name this station is registered under, where its long-term keys live, how many tickets it keeps

Both are optional and the same for a vehicle and a roadside unit. Without them an agent believes the folder `identity.trust` and
speaks under the ticket it was given, and nothing is fetched.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.security.ticket_pool import MAX_PARALLEL_TICKETS
from shared.service.config import ConfigStruct

Identifier = Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{16}$")]

MAX_GRACE_H = 24 * 31
"""Hours a list may be overdue and still vouch for new tickets; a month offline, which only an operator can answer for."""


def _check_url(url: str, key: str) -> None:
    if not url.startswith(("http://", "https://")) or not url.isascii() or any(c.isspace() for c in url):
        raise ValueError(f"{key} is an http:// or https:// address")


class TrustConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[trust]`: lists that say who may be trusted, beside the folder `identity.trust`, which holds the pins.

    Attributes:
        lists: SQLite file where lists, proofs and the numbers seen are kept; older lists are refused after a restart too.
        distribution_centre: where lists of roots are fetched besides the places the lists themselves name.
        trust_list_manager: where the list of the pinned trust list manager is fetched, likewise.
        require_logged: accept authorities and lists only with a proof that the transparency log holds them.
        log_policy: tlog-policy file with the log's key (and witnesses); needed with `require_logged`.
        grace_h: hours a list may be overdue before nobody new is believed on its word.
        evidence: folder for what was refused because no log holds it.
        areas: TOML table with the shapes of identified regions (countries).
    """

    lists: Path
    evidence: Path
    distribution_centre: str | None = None
    trust_list_manager: str | None = None
    require_logged: bool = False
    log_policy: Path | None = None
    grace_h: Annotated[int, msgspec.Meta(ge=0, le=MAX_GRACE_H)] = 24
    areas: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a log that is required and not named, and an address that is none."""
        if self.require_logged and self.log_policy is None:
            raise ValueError("require_logged needs log_policy")
        for key, url in (("distribution_centre", self.distribution_centre), ("trust_list_manager", self.trust_list_manager)):
            if url is not None:
                _check_url(url, key)


class PkiConfig(ConfigStruct, frozen=True, kw_only=True):
    """`[pki]`: enrolment and tickets.

    Attributes:
        its_id: the name this station is registered under at its enrolment authority, at most 64 characters.
        keys: where the long-term keys live: `file:FOLDER`, `pkcs11:token=...?pin-source=FILE`, `tpm2:FOLDER`.
        credentials: folder of the enrolment credentials, present and past.
        tickets: SQLite file of the tickets and their keys (mode 0600).
        target_tickets: tickets valid at the same time to keep.
        enrolment_authority: identifier (16 hex digits) of the EA to enrol at, where the lists name several.
        authorization_authority: identifier of the AA to ask for tickets, likewise.
    """

    its_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    keys: str
    credentials: Path
    tickets: Path
    target_tickets: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARALLEL_TICKETS)] = 20
    enrolment_authority: Identifier | None = None
    authorization_authority: Identifier | None = None
