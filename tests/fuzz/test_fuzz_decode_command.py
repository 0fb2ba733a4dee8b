"""Whatever octets arrive, `v2x decode` shows what can be read and gives a reason for the rest, never anything else."""

import json
from io import StringIO

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from shared.cli.dissection import Dissection, dissect
from shared.cli.source import Kind, recognise
from shared.cli.tree_view import grow_titled
from shared.core.clock import UtcNs
from shared.core.errors import DecodeError
from shared.pki.permission_sets import StationRole
from shared.security.ctl import AaEntry, Ctl, CtlKind, DcEntry
from shared.security.trust_list import encode_trust_list
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.stations import Speaker, payload_of
from tests.helpers.trust_lists import its_s

HIERARCHY = Hierarchy(41)
RSU = Speaker(HIERARCHY, StationRole.RSU)
CTL = Ctl(
    kind=CtlKind.ROOT_CTL,
    next_update=its_s(NOON),
    is_full=True,
    sequence=1,
    commands=(
        AaEntry(certificate=HIERARCHY.aa.certificate, access_point="http://aa.example"),
        DcEntry(url="http://dc.example", roots=(HIERARCHY.root.certificate.hashed_id8,)),
    ),
)
PACKETS = (Speaker(HIERARCHY, seed=2).cam(NOON), RSU.denm(NOON), RSU.spatem(NOON), RSU.mapem(NOON))
SEEDS = (
    *PACKETS,
    *(b"\x11\x00\x05\x0a" + payload_of(packet) for packet in PACKETS),
    *(payload_of(packet)[40:] for packet in PACKETS[:1]),
    HIERARCHY.root.certificate.encoded,
    encode_trust_list(CTL),
)
TIMES = (None, UtcNs(0), NOON, UtcNs((1 << 32) * 1_000_000_000))


def show(dissection: Dissection) -> None:
    tree = Tree("")
    for layer in dissection.layers:
        grow_titled(tree, Text(layer.title), layer.fields)
    text = StringIO()
    Console(file=text, width=100).print(tree)
    assert not any(ord(character) < 0x20 and character != "\n" for character in text.getvalue())
    json.dumps([layer.fields for layer in dissection.layers], allow_nan=False)


@given(st.binary(max_size=200), st.sampled_from(list(Kind)), st.sampled_from(TIMES))
def test_any_octets_taken_for_anything_are_shown_or_refused(octets: bytes, kind: Kind, received: UtcNs | None) -> None:
    show(dissect(octets, kind, received=received))


@given(st.binary(max_size=60))
def test_any_octets_are_recognised_or_refused(octets: bytes) -> None:
    try:
        kind = recognise(octets)
    except DecodeError:
        return
    show(dissect(octets, kind))


@given(st.sampled_from(SEEDS), st.data(), st.sampled_from(TIMES))
@settings(max_examples=150)
def test_sound_structures_with_a_few_octets_changed_are_shown_or_refused(
    seed: bytes, data: st.DataObject, received: UtcNs | None
) -> None:
    octets = bytearray(seed)
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(seed) - 1), st.integers(0, 255)), max_size=3)):
        octets[place] = value
    try:
        kind = recognise(bytes(octets))
    except DecodeError:
        return
    show(dissect(bytes(octets), kind, received=received))
