"""What a packet may lose or change on its way and still be heard: almost nothing, and never by accident.

The Basic Header is not signed (EN 302 636-4-1 clause 9.6), so its reserved octet, its lifetime and one hop less change nothing that
is believed. Of the secured part one thing may change: the form in which the point R of a signature is written (IEEE 1609.2:
`EccP256CurvePoint`, x alone or with a parity of y). The number that is verified, the signer and what was said stay the same.
"""

from typing import NamedTuple

import pytest

from shared.core.clock import NS_PER_MS, Instant
from shared.core.errors import DecodeError, V2xError, VerificationError
from shared.network.area import Circle
from shared.network.headers import BASIC_HEADER_OCTETS
from shared.security.secured_data import SignedData, SignerKind, decode_secured_data
from shared.security.sign import TicketCredential
from shared.stack.inbound import Inbound
from shared.stack.station import Station
from tests.helpers.hierarchy import Hierarchy, clock_at
from tests.helpers.identities import HERE, cam_of, denm_of, ego, make_peer

HIERARCHY = Hierarchy(1)
RECEIVER_TICKET: TicketCredential = HIERARCHY.ticket()
RESERVED_OCTET, LIFETIME_OCTET, HOPS_OCTET = 1, 2, 3
POINT_FORM_BIT = 1 << 1
"""`EccP256CurvePoint`: choice 0 is x-only, 2 and 3 are compressed; from 0, one flipped bit leads to 2."""


class Said(NamedTuple):
    """A packet, the one before it that shows its sender's certificate, and when both are received."""

    packet: bytes
    introduction: bytes
    at: Instant


def said(kind: SignerKind) -> Said:
    sender, clock = make_peer(HIERARCHY, 1), clock_at()
    first = sender.send(cam_of(sender, clock.now()), position=ego(clock.now()), now=clock.now())
    if kind is SignerKind.CERTIFICATE:
        return Said(first, b"", clock.now())
    now = clock.advance(100 * NS_PER_MS)
    return Said(sender.send(cam_of(sender, now), position=ego(now), now=now), first, now)


ONE_SECOND = 1 << 2
"""The bit of a CAM's lifetime that says one; the other that is set says seconds."""


def receiver(introduction: bytes, at: Instant) -> Station:
    station = make_peer(HIERARCHY, 2, ticket=RECEIVER_TICKET)
    if introduction:
        assert station.receive(introduction, at) is not None
    return station


def point_form_octets(packet: bytes) -> set[int]:
    """Return where the forms of the signatures' points R stand: that of the message, and that of the certificate if it is shown."""
    content = decode_secured_data(packet[BASIC_HEADER_OCTETS:]).content
    assert isinstance(content, SignedData)
    signatures = [content.signature, *(certificate.signature for certificate in content.signer.certificates)]
    return {packet.index(signature.r) - 1 for signature in signatures}


@pytest.mark.parametrize("kind", [SignerKind.CERTIFICATE, SignerKind.DIGEST])
def test_a_packet_cut_anywhere_is_malformed(kind: SignerKind) -> None:
    packet, introduction, at = said(kind)
    station = receiver(introduction, at)
    for length in range(len(packet)):
        with pytest.raises(DecodeError):
            station.receive(packet[:length], at)
    assert station.receive(packet, at) is not None


@pytest.mark.parametrize("kind", [SignerKind.CERTIFICATE, SignerKind.DIGEST])
def test_an_octet_too_many_is_malformed(kind: SignerKind) -> None:
    packet, introduction, at = said(kind)
    for extra in (b"\x00", b"\xff"):
        with pytest.raises(DecodeError):
            receiver(introduction, at).receive(packet + extra, at)


@pytest.mark.parametrize("kind", [SignerKind.CERTIFICATE, SignerKind.DIGEST])
def test_of_all_single_flipped_bits_only_those_that_say_nothing_survive(kind: SignerKind) -> None:
    packet, introduction, at = said(kind)
    station = receiver(introduction, at)
    survivors = set()
    for bit in range(8 * len(packet)):
        flipped = bytearray(packet)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            heard = station.receive(bytes(flipped), at)
        except (DecodeError, VerificationError):
            continue
        assert heard is not None
        survivors.add((bit // 8, 1 << bit % 8))
        station = receiver(introduction, at)
    basic_header = {(octet, 1 << n) for octet in (RESERVED_OCTET, LIFETIME_OCTET) for n in range(8)} | {(HOPS_OCTET, 1)}
    basic_header.remove((LIFETIME_OCTET, ONE_SECOND))  # which leaves no time at all
    assert survivors == basic_header | {(octet, POINT_FORM_BIT) for octet in point_form_octets(packet)}


@pytest.mark.parametrize("kind", [SignerKind.CERTIFICATE, SignerKind.DIGEST])
def test_a_survivor_is_the_same_message_from_the_same_sender_and_counts_once(kind: SignerKind) -> None:
    packet, introduction, at = said(kind)
    original = receiver(introduction, at).receive(packet, at)
    assert original is not None
    for octet in (RESERVED_OCTET, *point_form_octets(packet)):
        changed = bytearray(packet)
        changed[octet] ^= POINT_FORM_BIT
        station = receiver(introduction, at)
        heard = station.receive(bytes(changed), at)
        assert heard is not None
        assert (heard.message, heard.source, heard.generation_time) == (original.message, original.source, original.generation_time)
        assert heard.signer.hashed_id8 == original.signer.hashed_id8
        with pytest.raises(VerificationError, match="received before"):
            station.receive(packet, at)


def test_a_packet_with_more_hops_left_than_it_began_with_is_refused() -> None:
    packet, introduction, at = said(SignerKind.CERTIFICATE)
    for hops in (2, 10, 255):
        with pytest.raises(DecodeError, match="hops remain"):
            receiver(introduction, at).receive(packet[:HOPS_OCTET] + bytes((hops,)) + packet[BASIC_HEADER_OCTETS:], at)


def test_a_copy_with_too_many_hops_does_not_make_the_real_packet_a_duplicate() -> None:
    sender, clock = make_peer(HIERARCHY, 1), clock_at()
    for area in (None, Circle(centre=HERE, radius_m=500.0)):
        at = clock.advance(NS_PER_MS)
        packet = sender.send(denm_of(sender, at), position=ego(at), now=at, area=area)
        station = receiver(b"", at)
        with pytest.raises(DecodeError, match="hops remain"):
            station.receive(packet[:HOPS_OCTET] + b"\xff" + packet[BASIC_HEADER_OCTETS:], at)
        assert station.receive(packet, at) is not None


def test_rubbish_of_any_length_is_counted_and_nothing_else() -> None:
    at = clock_at().now()
    inbound = Inbound(receiver(b"", at))
    sizes = range(0, 2_400, 7)
    basic = b"\x12\x00\x05\x01"
    for size in sizes:
        for octets in (bytes(size), b"\xff" * size, basic + bytes(size), basic + b"\x03\x81" + b"\x40" * size):
            assert inbound.receive(octets, at) is None
            assert isinstance(inbound.last_refusal, V2xError)
    assert sum(inbound.refused.values()) == 4 * len(sizes)
    assert not inbound.verified
