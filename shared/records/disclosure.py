"""Selective disclosure of a passport: which kinds of records and which claims its holder shows, and what is then withheld.

Every record stays where it stands, with its number, its kind and its proof, so that the sequence is as provable as before; only
disclosures are taken out (RFC 9901), and what is taken out is nowhere in the file but as the hash of a salted text. Hiding the
mileage is what a fraud would do first, so it is done only where the holder says so in that many words; what others read of the
odometer, too, for it is held against what the vehicle says. Nothing is verified here.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from shared.core.errors import ConfigError
from shared.records.kind import RecordKind
from shared.records.kinds import SPECS
from shared.records.passport import Passport
from shared.records.record import read_record

READING = "odometer_m"
"""The claim in which a record of any kind states a reading."""

MILEAGE_CLAIMS = frozenset({READING, "sources", "next_due_odometer_m"})
"""Claims from which a reading of the odometer follows: all of them go where the mileage is hidden."""

MILEAGE_WORDS = frozenset({"odometer", "mileage", *MILEAGE_CLAIMS})
"""What somebody may call them who wants them hidden."""

_CLAIMS: Mapping[RecordKind, frozenset[str]] = MappingProxyType(
    {kind: frozenset(name for spec in SPECS if spec.kind is kind for name in spec.hideable) for kind in RecordKind}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosing:
    """What a holder shows.

    Attributes:
        kinds: of these kinds, whatever is not hidden below; of any other, the reading at most.
        hidden: claims left out of records of a kind.
    """

    kinds: frozenset[RecordKind]
    hidden: Mapping[RecordKind, frozenset[str]]

    def shown(self, kind: RecordKind) -> frozenset[str]:
        """Return the claims of a kind that are shown."""
        claims = _CLAIMS[kind] if kind in self.kinds else _CLAIMS[kind] & {READING}
        return claims - self.hidden.get(kind, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """Something that a passport does not show: a claim, in how many records of a kind; `claim` is None where it is all of them."""

    kind: RecordKind
    claim: str | None
    records: int

    @property
    def hides_own_reading(self) -> bool:
        """Whether it is the vehicle's own reading of its odometer."""
        return self.kind is RecordKind.ODOMETER and self.hides_reading

    @property
    def hides_reading(self) -> bool:
        """Whether it is a reading of the odometer, whoever took it; where a kind may do without one, there may be none."""
        return READING in _CLAIMS[self.kind] and self.claim in (None, READING)

    @property
    def claim_words(self) -> str:
        """The claim for people, `everything` where it is all of them."""
        return "everything" if self.claim is None else self.claim.removesuffix("_m").replace("_", " ")

    @property
    def words(self) -> str:
        """For people: `position in 3 accident records`."""
        name = self.kind.value.replace("_", " ")
        records = f"1 {name} record" if self.records == 1 else f"{self.records} {name} records"
        return f"{self.claim_words} in {records}"


def choose(*, only: Collection[str] | None, hide: Collection[str], may_hide_mileage: bool = False) -> Disclosing:
    """Read what a holder asks to show.

    Args:
        only: names of kinds; None for all of them.
        hide: names of claims, of every kind that has them, or of one kind alone: `accident.position`.
        may_hide_mileage: that the readings of the odometer are hidden is meant; they are, wherever they would follow from.

    Raises:
        ConfigError: no such kind or claim (the sentence names those there are), or the mileage would be hidden unsaid.
    """
    kinds = frozenset(RecordKind) if only is None else frozenset(_kind(name, "--only") for name in only)
    if not kinds:
        raise ConfigError("--only", f"names no kind of record; these are: {_names()}")
    hidden: dict[RecordKind, frozenset[str]] = dict.fromkeys(RecordKind, frozenset())
    for name in hide:
        if name in MILEAGE_WORDS or name.partition(".")[2] in MILEAGE_CLAIMS:
            raise ConfigError("--hide", f"{name} would hide the mileage of the vehicle; if that is meant, say --hide-mileage")
        for kind, claim in _claims(name):
            hidden[kind] |= {claim}
    if RecordKind.ODOMETER not in kinds and not may_hide_mileage:
        reason = "without odometer, this hides the vehicle's own readings; add odometer, or, if that is meant, say --hide-mileage"
        raise ConfigError("--only", reason)
    if may_hide_mileage:
        hidden = {kind: claims | MILEAGE_CLAIMS for kind, claims in hidden.items()}
    return Disclosing(kinds=kinds, hidden=MappingProxyType(hidden))


def _kind(name: str, option: str) -> RecordKind:
    try:
        return RecordKind(name)
    except ValueError:
        raise ConfigError(option, f"{name!r} is no kind of record; these are: {_names()}") from None


def _names() -> str:
    return ", ".join(kind.value for kind in RecordKind)


def _claims(name: str) -> list[tuple[RecordKind, str]]:
    """Return the kinds and claims that a name stands for."""
    of, dot, claim = name.rpartition(".")
    if dot:
        kind = _kind(of, "--hide")
        if claim not in _CLAIMS[kind]:
            there = ", ".join(sorted(_CLAIMS[kind] - MILEAGE_CLAIMS))
            raise ConfigError("--hide", f"{kind.words} has no claim {claim!r}; it has: {there}")
        return [(kind, claim)]
    found = [(kind, name) for kind in RecordKind if name in _CLAIMS[kind]]
    if not found:
        there = ", ".join(sorted({claim for claims in _CLAIMS.values() for claim in claims} - MILEAGE_CLAIMS))
        raise ConfigError("--hide", f"{name!r} is no claim of any record; these are: {there}")
    return found


def disclose(passport: Passport, choice: Disclosing) -> Passport:
    """Return a passport of the same records that shows no more than was chosen, nor than it showed before.

    Raises:
        RecordError: a record is of no kind that is known.
    """
    records = tuple(
        replace(item, token=item.token.showing(choice.shown(read_record(item.token).kind))) for item in passport.records
    )
    return replace(passport, records=records)


def withheld_from(passport: Passport) -> tuple[Withheld, ...]:
    """Return what a passport does not show, by kind and in the order of each kind's table.

    Raises:
        RecordError: a record is of no kind that is known.
    """
    counts: Counter[tuple[RecordKind, str | None]] = Counter()
    for item in passport.records:
        record = read_record(item.token)
        is_all = len(record.hidden) == len(_CLAIMS[record.kind])
        counts.update((record.kind, claim) for claim in ((None,) if is_all else record.hidden))
    order = {kind: place for place, kind in enumerate(RecordKind)}
    found = sorted(counts.items(), key=lambda item: (order[item[0][0]], item[0][1] is not None))
    return tuple(Withheld(kind=kind, claim=claim, records=number) for (kind, claim), number in found)
