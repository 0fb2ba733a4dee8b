"""What a certificate may be used for, and what its owner may issue (IEEE 1609.2 6.4.28-6.4.35, 5.1.2; TS 103 097 clause 6).

A service-specific permission (SSP) is opaque here: its first octet is the version, the rest bits that the services define; whether
a message's content stays within them is the station's check, where messages and security meet. A range in a certificate authority's
issuing permissions says which SSPs it may hand out: listed values, a bitmap under a mask, or any. Left out: the certificate issuing
extensions of the 2022 edition.
"""

from dataclasses import dataclass
from enum import Enum

from shared.codec.coer import (
    CoerReader,
    encode_choice,
    encode_integer,
    encode_opaque,
    encode_quantity,
    encode_sequence_of,
)
from shared.core.errors import VerificationError
from shared.core.report import VerificationReport

MAX_PERMISSIONS = 64
"""Entries of one permission list, and ranges of one group."""

MAX_SSP_OCTETS = 256
"""Octets of one opaque SSP."""

MAX_BITMAP_SSP_OCTETS = 31
"""Octets of one bitmap SSP (IEEE 1609.2 6.4.30)."""

UNBOUNDED_CHAIN = -1
"""`chainLengthRange` that sets no upper bound."""

APP_END_ENTITY = 0x80
"""Bit of `EndEntityType`: authorization tickets."""

ENROL_END_ENTITY = 0x40
"""Bit of `EndEntityType`: enrolment credentials."""


class SspKind(Enum):
    """How an SSP is written; a bitmap range does not cover an opaque SSP, even of equal octets."""

    OPAQUE = 0
    BITMAP = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PsidSsp:
    """One permission: an ITS-AID and its SSP, None where the service defines none."""

    psid: int
    ssp: bytes | None = None
    kind: SspKind = SspKind.BITMAP


@dataclass(frozen=True, slots=True, kw_only=True)
class AnySsp:
    """Every SSP, and also none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueSspRange:
    """The listed SSPs only."""

    values: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BitmapSspRange:
    """SSPs of equal length that agree with `value` wherever `mask` has a one."""

    value: bytes
    mask: bytes

    def contains(self, ssp: bytes) -> bool:
        """Tell whether `(ssp & mask) == (value & mask)` at equal length."""
        return len(ssp) == len(self.value) and all(
            (bits ^ wanted) & mask == 0 for bits, wanted, mask in zip(ssp, self.value, self.mask, strict=True)
        )


SspRange = AnySsp | OpaqueSspRange | BitmapSspRange


@dataclass(frozen=True, slots=True, kw_only=True)
class PsidSspRange:
    """An ITS-AID and the SSPs that may be issued for it."""

    psid: int
    ssp_range: SspRange

    def covers(self, permission: PsidSsp) -> bool:
        """Tell whether `permission` may be issued under this range."""
        if permission.psid != self.psid:
            return False
        match self.ssp_range:
            case AnySsp():
                return True
            case OpaqueSspRange(values=values):
                return permission.kind is SspKind.OPAQUE and permission.ssp in values
            case BitmapSspRange() as bitmap:
                return permission.kind is SspKind.BITMAP and permission.ssp is not None and bitmap.contains(permission.ssp)

    def covers_range(self, other: "PsidSspRange") -> bool:
        """Tell whether everything `other` allows is allowed here too."""
        if other.psid != self.psid:
            return False
        match self.ssp_range, other.ssp_range:
            case AnySsp(), _:
                return True
            case OpaqueSspRange(values=mine), OpaqueSspRange(values=theirs):
                return set(theirs) <= set(mine)
            case BitmapSspRange() as mine_bits, BitmapSspRange() as their_bits:
                narrower = all(own & ~their == 0 for own, their in zip(mine_bits.mask, their_bits.mask, strict=False))
                return narrower and mine_bits.contains(their_bits.value)
            case _:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class PsidGroupPermissions:
    """What may be issued how far down (IEEE 1609.2 6.4.31).

    Attributes:
        ranges: the permitted ranges; None = all ITS-AIDs with all SSPs.
        min_chain_length: least number of certificates below this one, the end entity's included; at least 1.
        chain_length_range: how many more are allowed; `UNBOUNDED_CHAIN` for any number.
        end_entities: bits `APP_END_ENTITY` and `ENROL_END_ENTITY`.
    """

    ranges: tuple[PsidSspRange, ...] | None
    min_chain_length: int = 1
    chain_length_range: int = 0
    end_entities: int = APP_END_ENTITY

    def allows_chain_length(self, length: int) -> bool:
        """Tell whether an end entity may stand `length` certificates below."""
        if length < self.min_chain_length:
            return False
        return self.chain_length_range == UNBOUNDED_CHAIN or length <= self.min_chain_length + self.chain_length_range

    def _covers_chains_below(self, child: "PsidGroupPermissions") -> bool:
        if child.min_chain_length + 1 < self.min_chain_length:
            return False
        if self.chain_length_range == UNBOUNDED_CHAIN:
            return True
        if child.chain_length_range == UNBOUNDED_CHAIN:
            return False
        longest = child.min_chain_length + child.chain_length_range + 1
        return longest <= self.min_chain_length + self.chain_length_range

    def may_issue(self, permission: PsidSsp, end_entities: int) -> bool:
        """Tell whether the certificate directly below may carry `permission` as one of `end_entities`."""
        if not self.allows_chain_length(1) or not self.end_entities & end_entities:
            return False
        return self.ranges is None or any(entry.covers(permission) for entry in self.ranges)

    def may_delegate(self, child: "PsidGroupPermissions", entry: PsidSspRange | None) -> bool:
        """Tell whether the authority directly below may in turn issue `entry` of its group `child` (None: everything)."""
        if child.end_entities & ~self.end_entities or not self._covers_chains_below(child):
            return False
        if self.ranges is None:
            return True
        return entry is not None and any(own.covers_range(entry) for own in self.ranges)


def check_issued_permissions(
    issuer: tuple[PsidGroupPermissions, ...], permissions: tuple[PsidSsp, ...], *, end_entities: int
) -> None:
    """Check that an issuer may hand out `permissions` to the certificate directly below it.

    Raises:
        VerificationError: `INCONSISTENT_CHAIN`, naming the ITS-AID.
    """
    for permission in permissions:
        if not any(group.may_issue(permission, end_entities) for group in issuer):
            ssp = "no SSP" if permission.ssp is None else f"SSP {permission.ssp.hex()}"
            raise _inconsistent(f"the issuer may not issue ITS-AID {permission.psid} with {ssp}")


def check_delegated_permissions(issuer: tuple[PsidGroupPermissions, ...], delegated: tuple[PsidGroupPermissions, ...]) -> None:
    """Check that an issuer may let the authority directly below it issue `delegated`.

    Raises:
        VerificationError: `INCONSISTENT_CHAIN`, naming the ITS-AID.
    """
    for child in delegated:
        entries: tuple[PsidSspRange | None, ...] = (None,) if child.ranges is None else child.ranges
        for entry in entries:
            if not any(group.may_delegate(child, entry) for group in issuer):
                subject = "all ITS-AIDs" if entry is None else f"ITS-AID {entry.psid}"
                raise _inconsistent(f"the issuer may not delegate issuing {subject} this far")


def find_permission(permissions: tuple[PsidSsp, ...], psid: int) -> PsidSsp:
    """Return the permission for an ITS-AID.

    Raises:
        VerificationError: `PERMISSION_DENIED` when there is none.
    """
    for permission in permissions:
        if permission.psid == psid:
            return permission
    raise no_permission(psid)


def no_permission(psid: int) -> VerificationError:
    """Return what is raised where a certificate has no permission for an ITS-AID."""
    return VerificationError(VerificationReport.PERMISSION_DENIED, f"the certificate has no permission for ITS-AID {psid}")


def read_app_permissions(reader: CoerReader, field: str) -> tuple[PsidSsp, ...]:
    """Read `SequenceOfPsidSsp`; the same ITS-AID twice is refused, for it would have two meanings."""
    count = reader.count(field, minimum=1, maximum=MAX_PERMISSIONS)
    permissions = tuple(_read_psid_ssp(reader, field) for _ in range(count))
    if len({permission.psid for permission in permissions}) != count:
        raise reader.refuse(field, "an ITS-AID occurs twice")
    return permissions


def encode_app_permissions(permissions: tuple[PsidSsp, ...]) -> bytes:
    """Encode `SequenceOfPsidSsp`."""
    return encode_sequence_of(tuple(_encode_psid_ssp(permission) for permission in permissions), "app_permissions")


def read_group_permissions(reader: CoerReader, field: str) -> tuple[PsidGroupPermissions, ...]:
    """Read `SequenceOfPsidGroupPermissions`."""
    count = reader.count(field, minimum=1, maximum=MAX_PERMISSIONS)
    return tuple(_read_group(reader, field) for _ in range(count))


def encode_group_permissions(groups: tuple[PsidGroupPermissions, ...]) -> bytes:
    """Encode `SequenceOfPsidGroupPermissions`; default values are left out."""
    return encode_sequence_of(tuple(_encode_group(group) for group in groups), "group_permissions")


def _read_psid_ssp(reader: CoerReader, field: str) -> PsidSsp:
    present = reader.preamble(field, bits=1)
    psid = reader.quantity(field)
    if not present:
        return PsidSsp(psid=psid)
    match reader.choice(field):
        case 0:
            return PsidSsp(psid=psid, ssp=reader.opaque(field, maximum=MAX_SSP_OCTETS), kind=SspKind.OPAQUE)
        case 1:
            inner = reader.open_type(field)
            ssp = inner.opaque(field, maximum=MAX_BITMAP_SSP_OCTETS)
            inner.finish(field)
            return PsidSsp(psid=psid, ssp=ssp, kind=SspKind.BITMAP)
        case index:
            raise reader.refuse(field, f"SSP alternative {index} is unknown")


def _encode_psid_ssp(permission: PsidSsp) -> bytes:
    psid = encode_quantity(permission.psid, "psid")
    if permission.ssp is None:
        return b"\x00" + psid
    ssp = encode_opaque(permission.ssp, "ssp")
    if permission.kind is SspKind.BITMAP:
        ssp = encode_opaque(ssp, "ssp")
    return b"\x80" + psid + encode_choice(permission.kind.value, ssp)


def _read_range(reader: CoerReader, field: str) -> PsidSspRange:
    present = reader.preamble(field, bits=1)
    psid = reader.quantity(field)
    if not present:
        return PsidSspRange(psid=psid, ssp_range=AnySsp())
    match reader.choice(field):
        case 0:
            count = reader.count(field, maximum=MAX_PERMISSIONS)
            values = tuple(reader.opaque(field, maximum=MAX_SSP_OCTETS) for _ in range(count))
            return PsidSspRange(psid=psid, ssp_range=OpaqueSspRange(values=values))
        case 1:
            return PsidSspRange(psid=psid, ssp_range=AnySsp())
        case 2:
            inner = reader.open_type(field)
            value = inner.opaque(field, maximum=MAX_BITMAP_SSP_OCTETS + 1)
            mask = inner.opaque(field, maximum=MAX_BITMAP_SSP_OCTETS + 1)
            inner.finish(field)
            if len(value) != len(mask):
                raise reader.refuse(field, f"SSP value of {len(value)} octets under a mask of {len(mask)}")
            return PsidSspRange(psid=psid, ssp_range=BitmapSspRange(value=value, mask=mask))
        case index:
            raise reader.refuse(field, f"SSP range alternative {index} is unknown")


def _encode_range(entry: PsidSspRange) -> bytes:
    psid = encode_quantity(entry.psid, "psid")
    match entry.ssp_range:
        case AnySsp():
            return b"\x00" + psid
        case OpaqueSspRange(values=values):
            listed = encode_sequence_of(tuple(encode_opaque(value, "ssp") for value in values), "ssp_range")
            return b"\x80" + psid + encode_choice(0, listed)
        case BitmapSspRange(value=value, mask=mask):
            both = encode_opaque(value, "ssp_range") + encode_opaque(mask, "ssp_range")
            return b"\x80" + psid + encode_choice(2, encode_opaque(both, "ssp_range"))


def _read_group(reader: CoerReader, field: str) -> PsidGroupPermissions:
    present = reader.preamble(field, bits=3)
    match reader.choice(field):
        case 0:
            count = reader.count(field, minimum=1, maximum=MAX_PERMISSIONS)
            ranges: tuple[PsidSspRange, ...] | None = tuple(_read_range(reader, field) for _ in range(count))
        case 1:
            ranges = None
        case index:
            raise reader.refuse(field, f"subject permission alternative {index} is unknown")
    min_chain_length = reader.integer(field) if present & 0x80 else 1
    chain_length_range = reader.integer(field) if present & 0x40 else 0
    end_entities = reader.unsigned(1, field) if present & 0x20 else APP_END_ENTITY
    if (present & 0x80 and min_chain_length == 1) or (present & 0x40 and chain_length_range == 0):
        raise reader.refuse(field, "a default value is written out")
    if min_chain_length < 1 or chain_length_range < UNBOUNDED_CHAIN:
        raise reader.refuse(field, f"chain length {min_chain_length} with range {chain_length_range}")
    if end_entities & ~(APP_END_ENTITY | ENROL_END_ENTITY):
        raise reader.refuse(field, f"end entity type {end_entities:02x} has unknown bits")
    return PsidGroupPermissions(
        ranges=ranges,
        min_chain_length=min_chain_length,
        chain_length_range=chain_length_range,
        end_entities=end_entities,
    )


def _encode_group(group: PsidGroupPermissions) -> bytes:
    present = 0x00
    tail = b""
    if group.min_chain_length != 1:
        present |= 0x80
        tail += encode_integer(group.min_chain_length, "min_chain_length")
    if group.chain_length_range != 0:
        present |= 0x40
        tail += encode_integer(group.chain_length_range, "chain_length_range")
    if group.end_entities != APP_END_ENTITY:
        present |= 0x20
        tail += bytes((group.end_entities,))
    if group.ranges is None:
        subject = encode_choice(1, b"")
    else:
        subject = encode_choice(0, encode_sequence_of(tuple(_encode_range(entry) for entry in group.ranges), "ranges"))
    return bytes((present,)) + subject + tail


def _inconsistent(detail: str) -> VerificationError:
    return VerificationError(VerificationReport.INCONSISTENT_CHAIN, detail)
