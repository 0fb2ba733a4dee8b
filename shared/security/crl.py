"""Certificate revocation lists (TS 102 941 clause 6.3.5, annex A.2.7): the authorities a root trusts no more.

ETSI revokes authorities, never tickets: a vehicle that misbehaves is refused new tickets and the old ones run out. The values are
as stated: nothing is verified here (`trust_list` does that).
"""

from dataclasses import dataclass

from shared.codec.coer import CoerReader, encode_integer, encode_sequence_of, encode_unsigned
from shared.core.errors import EncodeError
from shared.core.ids import HashedId8
from shared.core.itstime import Time32

CRL_VERSION = 1
"""`ToBeSignedCrl.version`."""

MAX_CRL_ENTRIES = 4_096
"""Revoked certificates in one list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """One list as stated.

    Attributes:
        this_update: TAI seconds since 2004 at which it was made.
        next_update: TAI seconds since 2004 by which a newer list is out; later than `this_update`.
        revoked: identifiers of the revoked certificates; empty where none is.
    """

    this_update: Time32
    next_update: Time32
    revoked: tuple[HashedId8, ...]


def read_crl(reader: CoerReader) -> Crl:
    """Read `ToBeSignedCrl`; raises `DecodeError`."""
    if reader.preamble("crl", bits=1):
        raise reader.refuse("crl", "extensions are not supported")
    version = reader.integer("crl.version")
    if version != CRL_VERSION:
        raise reader.refuse("crl.version", f"version {version} is not {CRL_VERSION}")
    this_update = Time32(reader.unsigned(4, "crl.this_update"))
    next_update = Time32(reader.unsigned(4, "crl.next_update"))
    if next_update <= this_update:
        raise reader.refuse("crl.next_update", "the next list is not later than this one")
    count = reader.count("crl.entries", maximum=MAX_CRL_ENTRIES)
    revoked = tuple([HashedId8(reader.octets(8, "crl.entries")) for _ in range(count)])
    return Crl(this_update=this_update, next_update=next_update, revoked=revoked)


def encode_crl(crl: Crl) -> bytes:
    """Encode `ToBeSignedCrl`; raises `EncodeError` for what `read_crl` would refuse."""
    if crl.next_update <= crl.this_update:
        raise EncodeError("crl.next_update", "the next list is not later than this one")
    if len(crl.revoked) > MAX_CRL_ENTRIES:
        raise EncodeError("crl.entries", f"{len(crl.revoked)} entries, at most {MAX_CRL_ENTRIES} are allowed")
    return b"".join(
        (
            b"\x00",
            encode_integer(CRL_VERSION, "crl.version"),
            encode_unsigned(crl.this_update, 4, "crl.this_update"),
            encode_unsigned(crl.next_update, 4, "crl.next_update"),
            encode_sequence_of(crl.revoked, "crl.entries"),
        )
    )
