"""Octets and texts that no traceback, log line or debugger shows: PINs and the contents of key files on their way.

Tools that print a traceback with its local variables call `repr` on them, and cut a slice when that is long; both say here only
how long the secret is. The value itself is what a library takes that expects `bytes` or `str`. Left out: erasing memory, which
Python cannot promise; that is what `hardening` and keys that never leave their token are for.
"""

from typing import NoReturn, Self, SupportsIndex, overload


class SecretOctets(bytes):
    """Octets that are not shown."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | Self:
        """Return an octet, or a part that is a secret too."""
        return type(self)(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)

    def __repr__(self) -> str:
        return f"<secret of {len(self)} octets>"

    def __str__(self) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret is not written down")


class SecretText(str):
    """A text that is not shown."""

    __slots__ = ()

    def __getitem__(self, index: SupportsIndex | slice) -> Self:
        """Return a part, a secret too."""
        return type(self)(super().__getitem__(index))

    def __repr__(self) -> str:
        return f"<secret of {len(self)} characters>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret is not written down")
