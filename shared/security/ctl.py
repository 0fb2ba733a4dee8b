"""Certificate trust lists (TS 102 941 clause 6.3.4, annex A.2.7): which roots a trust list manager trusts, or who serves a root.

    ECTL       signed by the trust list manager: roots, the manager itself, distribution centres
    root CTL   signed by a root: its enrolment and authorization authorities, distribution centres

A full list replaces everything before it and deletes nothing; a delta list changes the list one sequence number before. The values
here are as stated: nothing is verified (`trust_list` does that), no certificate's chain is looked at, no list is merged with
another.
"""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from shared.codec.coer import (
    CoerReader,
    encode_boolean,
    encode_choice,
    encode_integer,
    encode_opaque,
    encode_sequence_of,
    encode_unsigned,
)
from shared.core.errors import EncodeError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32
from shared.security.certificate import Certificate, read_certificate

CTL_VERSION = 1
"""`CtlFormat.version`."""

MAX_CTL_COMMANDS = 512
"""Entries and deletions in one list; the European list has some dozens."""

MAX_URL_OCTETS = 255
"""Octets of one access point."""

MAX_DC_CERTIFICATES = 256
"""Roots one distribution centre serves."""


class CtlKind(Enum):
    """Whose list it is; the value is its index in `EtsiTs102941DataContent`."""

    ECTL = 5
    """`certificateTrustListTlm`: the list of a trust list manager."""
    ROOT_CTL = 6
    """`certificateTrustListRca`: the list of a root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootCaEntry:
    """A trusted root; `successor_to` links it to the key before (`linkRootCaCertificate`, in later editions `successorTo`)."""

    certificate: Certificate
    successor_to: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EaEntry:
    """An enrolment authority: where authorization authorities reach it, and where stations do (None: at the same place)."""

    certificate: Certificate
    aa_access_point: str
    its_access_point: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AaEntry:
    """An authorization authority and where stations reach it."""

    certificate: Certificate
    access_point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DcEntry:
    """A distribution centre: where the lists of the named roots are fetched."""

    url: str
    roots: tuple[HashedId8, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlmEntry:
    """The trust list manager itself and where its lists are fetched."""

    certificate: Certificate
    access_point: str
    successor_to: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteCertificate:
    """A delta list takes a certificate off."""

    hashed_id8: HashedId8


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDc:
    """A delta list takes a distribution centre off."""

    url: str


CtlEntry = RootCaEntry | EaEntry | AaEntry | DcEntry | TlmEntry
CtlCommand = CtlEntry | DeleteCertificate | DeleteDc

_ENTRIES: dict[CtlKind, tuple[type[CtlEntry], ...]] = {
    CtlKind.ECTL: (RootCaEntry, DcEntry, TlmEntry),
    CtlKind.ROOT_CTL: (EaEntry, AaEntry, DcEntry),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ctl:
    """One list as stated.

    Attributes:
        next_update: TAI seconds since 2004 by which a newer list is out; this one counts no longer then.
        is_full: whether it is the whole list or a delta.
        sequence: 0..255, one more in each list.
        commands: at most `MAX_CTL_COMMANDS`, in order.
    """

    kind: CtlKind
    next_update: Time32
    is_full: bool
    sequence: int
    commands: tuple[CtlCommand, ...]

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Certificates of the roots it adds."""
        return tuple(entry.certificate for entry in self.commands if isinstance(entry, RootCaEntry))

    @property
    def authorities(self) -> tuple[Certificate, ...]:
        """Certificates of the enrolment and authorization authorities it adds."""
        return tuple(entry.certificate for entry in self.commands if isinstance(entry, EaEntry | AaEntry))


def read_ctl(reader: CoerReader, kind: CtlKind) -> Ctl:
    """Read `CtlFormat`; raises `DecodeError`, also for an entry that has no place in a list of this kind."""
    if reader.preamble("ctl", bits=1):
        raise reader.refuse("ctl", "extensions are not supported")
    version = reader.integer("ctl.version")
    if version != CTL_VERSION:
        raise reader.refuse("ctl.version", f"version {version} is not {CTL_VERSION}")
    next_update = Time32(reader.unsigned(4, "ctl.next_update"))
    is_full = reader.boolean("ctl.is_full")
    sequence = reader.unsigned(1, "ctl.sequence")
    count = reader.count("ctl.commands", maximum=MAX_CTL_COMMANDS)
    commands = tuple([_read_command(reader, kind, is_full=is_full) for _ in range(count)])
    return Ctl(kind=kind, next_update=next_update, is_full=is_full, sequence=sequence, commands=commands)


def encode_ctl(ctl: Ctl) -> bytes:
    """Encode `CtlFormat`; raises `EncodeError` for what `read_ctl` would refuse."""
    if len(ctl.commands) > MAX_CTL_COMMANDS:
        raise EncodeError("ctl.commands", f"{len(ctl.commands)} commands, at most {MAX_CTL_COMMANDS} are allowed")
    return b"".join(
        (
            b"\x00",
            encode_integer(CTL_VERSION, "ctl.version"),
            encode_unsigned(ctl.next_update, 4, "ctl.next_update"),
            encode_boolean(value=ctl.is_full),
            encode_unsigned(ctl.sequence, 1, "ctl.sequence"),
            encode_sequence_of(tuple(_encode_command(command, ctl) for command in ctl.commands), "ctl.commands"),
        )
    )


def _read_command(reader: CoerReader, kind: CtlKind, *, is_full: bool) -> CtlCommand:
    match reader.choice("ctl.commands"):
        case 0:
            entry = _read_entry(reader)
            if not isinstance(entry, _ENTRIES[kind]):
                raise reader.refuse("ctl.commands", f"a {type(entry).__name__} has no place in a list of kind {kind.name}")
            return entry
        case 1 if is_full:
            raise reader.refuse("ctl.commands", "a full list deletes nothing")
        case 1:
            return _read_deletion(reader)
        case index:
            raise reader.refuse("ctl.commands", f"command {index} is unknown")


def _read_entry(reader: CoerReader) -> CtlEntry:
    match reader.choice("ctl.add"):
        case 0:
            has_link = reader.preamble("ctl.root", bits=1)
            certificate = read_certificate(reader, "ctl.root")
            return RootCaEntry(certificate=certificate, successor_to=_read_link(reader, "ctl.root") if has_link else None)
        case 1:
            has_its_access_point = reader.preamble("ctl.ea", bits=1)
            return EaEntry(
                certificate=read_certificate(reader, "ctl.ea"),
                aa_access_point=_read_url(reader, "ctl.ea.aa_access_point"),
                its_access_point=_read_url(reader, "ctl.ea.its_access_point") if has_its_access_point else None,
            )
        case 2:
            certificate = read_certificate(reader, "ctl.aa")
            return AaEntry(certificate=certificate, access_point=_read_url(reader, "ctl.aa.access_point"))
        case 3:
            url = _read_url(reader, "ctl.dc.url")
            count = reader.count("ctl.dc.roots", maximum=MAX_DC_CERTIFICATES)
            return DcEntry(url=url, roots=tuple(HashedId8(reader.octets(8, "ctl.dc.roots")) for _ in range(count)))
        case 4:
            has_link = reader.preamble("ctl.tlm", bits=1)
            certificate = read_certificate(reader, "ctl.tlm")
            link = _read_link(reader, "ctl.tlm") if has_link else None
            url = _read_url(reader, "ctl.tlm.access_point")
            return TlmEntry(certificate=certificate, access_point=url, successor_to=link)
        case index:
            raise reader.refuse("ctl.add", f"entry {index} is unknown")


def _read_link(reader: CoerReader, field: str) -> Certificate:
    return read_certificate(reader, f"{field}.successor_to")


def _read_deletion(reader: CoerReader) -> DeleteCertificate | DeleteDc:
    match reader.choice("ctl.delete"):
        case 0:
            return DeleteCertificate(hashed_id8=HashedId8(reader.octets(8, "ctl.delete.certificate")))
        case 1:
            return DeleteDc(url=_read_url(reader, "ctl.delete.dc"))
        case index:
            raise reader.refuse("ctl.delete", f"deletion {index} is unknown")


def _read_url(reader: CoerReader, field: str) -> str:
    octets = reader.opaque(field, maximum=MAX_URL_OCTETS)
    if not _is_url(octets):
        raise reader.refuse(field, "a URL has visible ASCII characters and nothing else")
    return octets.decode("ascii")


def _is_url(octets: bytes) -> bool:
    return all(0x21 <= octet <= 0x7E for octet in octets) and bool(octets)


def _encode_command(command: CtlCommand, ctl: Ctl) -> bytes:
    match command:
        case DeleteCertificate() | DeleteDc():
            if ctl.is_full:
                raise EncodeError("ctl.commands", "a full list deletes nothing")
            return encode_choice(1, _encode_deletion(command))
        case _:
            if not isinstance(command, _ENTRIES[ctl.kind]):
                raise EncodeError("ctl.commands", f"a {type(command).__name__} has no place in a list of kind {ctl.kind.name}")
            return encode_choice(0, _encode_entry(command))


def _encode_entry(entry: CtlEntry) -> bytes:
    match entry:
        case RootCaEntry(certificate=certificate, successor_to=link):
            return encode_choice(0, _optional(link is not None) + certificate.encoded + _encode_link(link))
        case EaEntry(certificate=certificate, aa_access_point=aa_url, its_access_point=its_url):
            urls = _encode_url(aa_url) + (b"" if its_url is None else _encode_url(its_url))
            return encode_choice(1, _optional(its_url is not None) + certificate.encoded + urls)
        case AaEntry(certificate=certificate, access_point=url):
            return encode_choice(2, certificate.encoded + _encode_url(url))
        case DcEntry(url=url, roots=roots):
            if len(roots) > MAX_DC_CERTIFICATES:
                raise EncodeError("ctl.dc.roots", f"{len(roots)} roots, at most {MAX_DC_CERTIFICATES} are allowed")
            return encode_choice(3, _encode_url(url) + encode_sequence_of(roots, "ctl.dc.roots"))
        case TlmEntry(certificate=certificate, access_point=url, successor_to=link):
            return encode_choice(4, _optional(link is not None) + certificate.encoded + _encode_link(link) + _encode_url(url))
        case _:
            assert_never(entry)


def _encode_deletion(deletion: DeleteCertificate | DeleteDc) -> bytes:
    if isinstance(deletion, DeleteCertificate):
        return encode_choice(0, deletion.hashed_id8)
    return encode_choice(1, _encode_url(deletion.url))


def _optional(present: bool) -> bytes:  # noqa: FBT001 - a preamble of one flag
    return b"\x80" if present else b"\x00"


def _encode_link(link: Certificate | None) -> bytes:
    return b"" if link is None else link.encoded


def _encode_url(url: str) -> bytes:
    octets = url.encode("ascii", "replace")
    if len(octets) > MAX_URL_OCTETS or not _is_url(octets) or not url.isascii():
        raise EncodeError("ctl.url", f"{url!r} is no URL of 1 to {MAX_URL_OCTETS} visible ASCII characters")
    return encode_opaque(octets, "ctl.url")
