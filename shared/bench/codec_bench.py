"""Facilities messages: typed value to octets and back, beside the reference."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from shared.bench.figure import Effort, Figure, Measure, Target, Unit, figure_of
from shared.bench.limits import RAW_VERIFY, RawP256
from shared.bench.rounds import Side, measure_rates, microseconds, repeated
from shared.codec.reference import ReferenceCodec
from shared.core.ids import MessageId
from shared.messages import samples
from shared.messages.cam import decode_cam, encode_cam
from shared.messages.denm import decode_denm, encode_denm
from shared.messages.ivim import decode_ivim, encode_ivim
from shared.messages.mapem import decode_mapem, encode_mapem
from shared.messages.spatem import decode_spatem, encode_spatem
from shared.messages.srem import decode_srem, encode_srem
from shared.messages.ssem import decode_ssem, encode_ssem

REFERENCE = "pycrate"

_REFERENCE_FEWER = 20
"""The reference is called so many times fewer, for it takes that much longer."""

_RAW_FEWER = 4
"""Likewise raw verification, which gives the pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    message_id: MessageId
    says: str
    encode: Callable[[], bytes]
    decode: Callable[[bytes], object]
    encode_targets: tuple[Target, ...] = ()
    decode_targets: tuple[Target, ...] = ()


def _at_most_us(bound: float, times: float | None = None) -> tuple[Target, ...]:
    targets = (Target(measure=Measure.PACED_MEDIAN, bound=bound),)
    return targets if times is None else (*targets, Target(measure=Measure.MEDIAN_RATIO, bound=times))


_SUBJECTS = (
    _Subject(
        message_id=MessageId.CAM,
        says="CAM of 135 octets",
        encode=partial(encode_cam, samples.CAM),
        decode=decode_cam,
        encode_targets=_at_most_us(8, 30),
        decode_targets=_at_most_us(11, 15),
    ),
    _Subject(
        message_id=MessageId.DENM,
        says="DENM",
        encode=partial(encode_denm, samples.DENM),
        decode=decode_denm,
        encode_targets=_at_most_us(8),
        decode_targets=_at_most_us(10),
    ),
    _Subject(
        message_id=MessageId.SPATEM,
        says="SPATEM of 12 groups",
        encode=partial(encode_spatem, samples.SPATEM),
        decode=decode_spatem,
        decode_targets=_at_most_us(20),
    ),
    _Subject(
        message_id=MessageId.MAPEM,
        says="MAPEM of 250 octets",
        encode=partial(encode_mapem, samples.MAPEM),
        decode=decode_mapem,
        decode_targets=_at_most_us(40),
    ),
    _Subject(
        message_id=MessageId.IVIM,
        says="IVIM of a gantry",
        encode=partial(encode_ivim, samples.IVIM),
        decode=decode_ivim,
        decode_targets=_at_most_us(30),
    ),
    _Subject(
        message_id=MessageId.SREM,
        says="SREM of a bus",
        encode=partial(encode_srem, samples.SREM),
        decode=decode_srem,
        decode_targets=_at_most_us(15),
    ),
    _Subject(
        message_id=MessageId.SSEM,
        says="SSEM of one answer",
        encode=partial(encode_ssem, samples.SSEM),
        decode=decode_ssem,
        decode_targets=_at_most_us(8),
    ),
)


def codec(effort: Effort) -> Iterable[Figure]:
    """Encode and decode each message type."""
    raw = RawP256()
    for subject in _SUBJECTS:
        encoded = subject.encode()
        reference = ReferenceCodec(subject.message_id)
        value = reference.decode(encoded)
        ways = (
            ("encode", subject.encode, partial(reference.encode, value), subject.encode_targets),
            ("decode", partial(subject.decode, encoded), partial(reference.decode, encoded), subject.decode_targets),
        )
        for way, ours, theirs, targets in ways:
            sides = {
                "ours": Side(repeated(ours)),
                RAW_VERIFY: Side(raw.verifying, fewer=_RAW_FEWER),
                REFERENCE: Side(repeated(theirs), fewer=_REFERENCE_FEWER),
            }
            rates = measure_rates(sides, rounds=effort.rounds, calls=effort.calls)
            yield figure_of(
                f"codec.{subject.message_id.name.lower()}.{way}",
                f"{way} a {subject.says}",
                Unit.MICROSECONDS,
                microseconds(rates["ours"]),
                limit=(REFERENCE, microseconds(rates[REFERENCE])),
                pace=rates[RAW_VERIFY],
                targets=targets,
            )
