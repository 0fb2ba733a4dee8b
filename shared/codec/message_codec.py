"""The codec of one message type: generated code for the usual, the complete path for everything else.

`MessageCodec.decode` and `.encode` try the generated code (`decoder_source.py`, `encoder_source.py`), which is written and compiled
when first needed. Where that gives up, whatever the reason, the complete path decides: it walks the objects of `uper_scalars.py`
and `uper_composites.py` and applies the shape (`shaping.py`). Only the complete path raises errors that name a field.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from shared.codec.bits import EMPTY, MAX_ENCODED_OCTETS, BitReader, Fault, complete
from shared.codec.cells import NOT_ENCODED, GiveUp
from shared.codec.decoder_source import decoder_source
from shared.codec.encoder_source import encoder_source
from shared.codec.shape import PLAIN, Shape
from shared.codec.shaping import to_tree, to_value
from shared.codec.uper import UperType
from shared.core.errors import DecodeError, EncodeError

_Value = TypeVar("_Value")

NOT_DECODED: Final = (GiveUp, Fault, LookupError, ValueError)
"""How the generated decoder gives up: by itself, in an object of the complete path, at a table's end, at the encoding's end."""


class MessageCodec(Generic[_Value]):
    """Octets in, values out, and back. Any number of threads may use one.

    Args:
        name: the type's name, first step of every field path.
        type_: returns its outermost type; called when first needed, for the schema may be large.
        shape: what values look like; plain trees where nothing is said.
        check: looks at an encoding before the complete path does; raises `DecodeError` for what is not this message at all.
    """

    __slots__ = ("_check", "_decode_fast", "_encode_fast", "_shape", "_type", "name")

    def __init__(
        self,
        name: str,
        type_: Callable[[], UperType],
        shape: Shape = PLAIN,
        check: Callable[[bytes], None] | None = None,
    ) -> None:
        self.name = name
        self._type = type_
        self._shape = shape
        self._check = check
        self._decode_fast: Callable[[bytes], Any] | None = None
        self._encode_fast: Callable[[Any], Any] | None = None

    def decode(self, encoded: bytes) -> _Value:
        """Decode a complete encoding; raises `DecodeError` (field, reason, bit offset) for anything but a canonical one."""
        decode = self._decode_fast or self.generated_decoder()
        try:
            value: _Value = decode(encoded)
        except NOT_DECODED:
            pass
        else:
            return value
        return self.decode_completely(encoded)

    def encode(self, value: _Value) -> bytes:
        """Encode a value canonically; raises `EncodeError` naming the field that does not fit."""
        encode = self._encode_fast or self.generated_encoder()
        try:
            encoded: bytes = encode(value)
        except NOT_ENCODED:
            pass
        else:
            return encoded
        return self.encode_completely(value)

    def decode_completely(self, encoded: bytes) -> _Value:
        """Do what `decode` does without generated code."""
        if self._check is not None:
            self._check(encoded)
        if len(encoded) > MAX_ENCODED_OCTETS:
            raise DecodeError(self.name, f"{len(encoded)} octets are more than {MAX_ENCODED_OCTETS}", 0)
        reader = BitReader(encoded)
        try:
            tree = self._type().decode(reader)
            reader.finish()
            value: _Value = to_value(self._shape, tree)
        except Fault as fault:
            raise DecodeError(fault.within(self.name).path, fault.reason, None if fault.bit < 0 else fault.bit) from None
        return value

    def encode_completely(self, value: _Value) -> bytes:
        """Do what `encode` does without generated code."""
        type_ = self._type()
        try:
            encoded = complete(type_.encode(EMPTY, to_tree(self._shape, type_, value, "")))
        except Fault as fault:
            raise EncodeError(fault.within(self.name).path, fault.reason) from None
        if len(encoded) > MAX_ENCODED_OCTETS:
            raise EncodeError(self.name, f"{len(encoded)} octets are more than {MAX_ENCODED_OCTETS}")
        return encoded

    def generated_decoder(self) -> Callable[[bytes], Any]:
        """Return the generated half of `decode`; it raises one of `NOT_DECODED` for whatever it leaves to the other."""
        if self._decode_fast is None:
            self._decode_fast = decoder_source(self._type(), self._shape).compiled("decode", f"{self.name} decoder")
        return self._decode_fast

    def generated_encoder(self) -> Callable[[Any], Any]:
        """Return the generated half of `encode`; it raises one of `NOT_ENCODED` for whatever it leaves to the other."""
        if self._encode_fast is None:
            self._encode_fast = encoder_source(self._type(), self._shape).compiled("encode", f"{self.name} encoder")
        return self._encode_fast

    def prepare(self) -> None:
        """Generate the code now, for a program that would rather wait at its start than at its first message."""
        self.generated_decoder()
        self.generated_encoder()

    @property
    def source(self) -> str:
        """Return the generated text, decoder first."""
        return f"{decoder_source(self._type(), self._shape).text}\n\n{encoder_source(self._type(), self._shape).text}"
