"""Passports forged by insiders: lives of a vehicle among garages and others whose keys the forger has, every record signed anew.

A record is a draft until it is signed: what it says, what it hides, and what its token is spelled like can be made wrong before, so
that the signature, the commitment and the ledger's proof hold all the same. Everything follows from a seed.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from random import Random

from shared.ledger.text import encode_base64
from shared.pki.permission_sets import RecordRole
from shared.records.fields import Choice
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import RecordKind
from shared.records.kinds import KINDS
from shared.records.odometer import OdometerFlag
from shared.records.record import RECORD_TYPE, commitment_of
from shared.records.sd_jwt import Disclosure, certificate_id, encode_base64url
from shared.records.strict_json import Json, encode_json, encode_json_lines
from tests.helpers.hierarchy import Hierarchy
from tests.helpers.ledger import MemoryLog, naive_root
from tests.unit.cli.test_passport_command import LIFETIME_YEARS, Enrolled
from tests.unit.cli.test_passport_of_many_issuers import enrol
from tests.unit.records.test_kinds import fields_of

ODD_VALUES: tuple[Json, ...] = (
    None, True, 0, -1, 1.0, (1 << 53) - 1, "", "x", [], {}, ["rollback"], "A" * 43, 10_000_000_001, "</script>", "\u202e",
)  # fmt: skip
ODD_DATES: tuple[Json, ...] = (
    "1970-01-01T00:00:00.000Z", "2003-12-31T23:59:59.999Z", "2016-12-31T23:59:60.000Z", "2076-11-21T12:00:00.000Z",
    "2400-02-29T12:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-11-23T09:30:00Z", None,
)  # fmt: skip


@cache
def people() -> dict[str, tuple[Enrolled, IssuerRole]]:
    """Two keys of every role, three of vehicles.

    Under an EA like everybody's that has enrolled nobody else: the next key of the common one depends on which tests ran before.
    """
    pki = Hierarchy(1, lifetime_years=LIFETIME_YEARS)
    found = {f"vehicle {n}": (enrol(None, pki), IssuerRole.VEHICLE) for n in range(3)}
    return found | {f"{role.value} {n}": (enrol(role, pki), IssuerRole(role.value)) for role in RecordRole for n in range(2)}


def kid(name: str) -> str:
    """What records call somebody's credential."""
    return certificate_id(people()[name][0].certificate)


@dataclass(slots=True)
class Draft:
    """A record before it is signed."""

    signer: str
    visible: dict[str, Json]
    hidden: dict[str, Json]
    shown: set[str]
    header: dict[str, Json] = field(default_factory=dict)
    respelled: Callable[[str], str] = str

    def signed(self, prev: bytes | None, random: Random) -> tuple[str, str]:
        """Return the issuer-signed part and the token."""
        visible = dict(self.visible)
        if prev is not None:
            visible.setdefault("prev", encode_base64url(prev))
        texts = {name: _text(encode_json([_salt(random), name, value])) for name, value in self.hidden.items()}
        visible |= {"_sd": [*sorted(Disclosure(text, None, None).digest for text in texts.values())], "_sd_alg": "sha-256"}
        header: dict[str, Json] = {"alg": "ES256", "typ": RECORD_TYPE, "kid": kid(self.signer), **self.header}
        part = f"{_text(encode_json(header))}.{_text(self.respelled(encode_json(visible)))}"
        jwt = f"{part}.{encode_base64url(people()[self.signer][0].sign_es256(part.encode()))}"
        return jwt, "~".join((jwt, *(text for name, text in texts.items() if name in self.shown), ""))


def _kid_in(record: Json) -> str:
    """The `kid` that a record's token names, empty for none."""
    match record:
        case {"sd_jwt": str(token)}:
            named = json.loads(urlsafe_b64decode(token.partition(".")[0] + "==")).get("kid")
            return named if isinstance(named, str) else ""
        case _:
            return ""


def _text(text: str) -> str:
    return encode_base64url(text.encode())


def _salt(random: Random) -> str:
    return encode_base64url(random.randbytes(16))


def _life(random: Random) -> list[Draft]:
    """Return a life that is mostly in order."""
    drafts: list[Draft] = []
    vehicle, metres = "vehicle 0", 50_000_000
    for seq in range(random.randrange(1, 8)):
        role = random.choice([IssuerRole.VEHICLE] * 5 + [*IssuerRole])
        own = role is IssuerRole.VEHICLE
        kind = RecordKind.ODOMETER if own and random.random() < 0.7 else random.choice(sorted(ISSUER_KINDS[role], key=str))
        metres = max(
            0,
            metres + random.choice([0, 250, 1_000_750, 250_250, -1_609, -1_610, *([-5_000_000] if random.random() < 0.1 else [])]),
        )
        hidden = {each.name: fields_of(kind).get(each.name) for each in KINDS[kind].fields}
        hidden |= {each.name: random.choice(each.type.of) for each in KINDS[kind].fields if isinstance(each.type, Choice)}
        hidden |= {"odometer_m": metres} if "odometer_m" in hidden else {}
        hidden["occurred"] = f"2026-12-{seq + 1:02}T{random.randrange(24):02}:00:00.{random.randrange(1000):03}Z"
        visible: dict[str, Json] = {"kind": KINDS[kind].claim, "seq": seq}
        if kind is RecordKind.ODOMETER:
            hidden["reason"] = "time"
            visible["flags"] = [flag.value for flag in random.sample([*OdometerFlag], 1 if random.random() < 0.1 else 0)]
        if not own:
            visible["subject"] = kid(vehicle)
        if seq and random.random() < 0.15:
            visible["corrects"] = random.randrange(seq)
        signer = vehicle if own else f"{role.value} {random.randrange(2)}"
        drafts.append(Draft(signer, visible, hidden, {name for name in hidden if random.random() < 0.95}))
        if kind is RecordKind.ODOMETER and random.random() < 0.1:
            vehicle = f"vehicle {random.randrange(3)}"
            hidden["reason"], visible["next_credential"] = "credential_renewed", kid(vehicle)
    return drafts


def _made_wrong(draft: Draft, random: Random) -> None:
    name = random.choice([*draft.hidden])
    somebody = random.choice([*people()])
    value = draft.hidden[name]
    match random.randrange(10):
        case 0:
            draft.hidden[name] = random.choice(ODD_VALUES)
        case 1:
            draft.hidden["occurred"] = random.choice(ODD_DATES)
        case 2:
            draft.visible[random.choice(["seq", "corrects", "flags", "kind", "prev", "__proto__", "_sd_alg"])] = random.choice(
                ODD_VALUES
            )
        case 3:
            draft.visible[random.choice(["subject", "next_credential"])] = kid(somebody)
        case 4:
            draft.signer = somebody
        case 5:
            draft.header[random.choice(["alg", "typ", "kid", "crit"])] = random.choice(["none", None, [], kid(somebody)])
        case 6:
            draft.shown = set(random.sample(sorted(draft.hidden), random.randrange(len(draft.hidden))))
        case 7:
            old, new = random.choice(
                [('{"', '{ "'), ("}", ',"seq":1}'), ('"seq":', '"seq":-'), ('"kind"', '"\\u006bind"'), ("1", "1e0")]
            )
            draft.respelled = lambda text: text.replace(old, new, 1)
        case 8 if isinstance(value, dict):
            draft.visible[name] = value | {"_sd": []}
            del draft.hidden[name]
        case 8 if isinstance(value, list):
            draft.visible[name] = [*value, {"...": _salt(random)}]
            del draft.hidden[name]
        case _:
            draft.hidden["odometer_m"] = random.choice([0, 49_999_999, 50_000_250, 150_000_000])


def _path(leaves: list[bytes], index: int) -> list[bytes]:
    """PATH straight from the definition of RFC 6962 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:k], leaves[k:]
    return [*_path(left, index), naive_root(right)] if index < k else [*_path(right, index - k), naive_root(left)]


def forged(seed: int) -> bytes:
    """Return the file of a passport whose proofs hold, without witnesses; what it says is odd in some way or none."""
    random, log, prev = Random(seed), MemoryLog(), None
    drafts = _life(random)
    for _ in range(random.choice([0, 0, 1, 1, 2])):
        _made_wrong(random.choice(drafts), random)
    signed: list[tuple[str, bytes, bytes]] = []
    for draft in drafts:
        jwt, token = draft.signed(prev, random)
        salt = random.randbytes(16)
        prev = commitment_of(jwt, salt)
        signed.append((token, salt, prev))
    log.entries = [commitment for _, _, commitment in signed]
    note = log.publish().decode()
    records: list[Json] = []
    for index, (token, salt, _) in enumerate(signed):
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(encode_base64, _path(log.entries, index))]
        records.append({"sd_jwt": token, "salt": encode_base64url(salt), "proof": "\n".join(lines) + "\n\n" + note})
    if random.random() < 0.2:
        del records[random.randrange(len(records))]
    elif random.random() < 0.1:
        random.shuffle(records)
    names = {kid(name): name for name in people()}
    credentials: list[Json] = []
    for name in dict.fromkeys(names.get(used) for used in map(_kid_in, records)):
        if name is not None:
            who = people()[name][0]
            credentials.append({"credential": encode_base64url(who.certificate), "authority": encode_base64url(who.authority)})
    return encode_json_lines({"format": "v2x-passport/1", "credentials": credentials, "records": records}).encode()
