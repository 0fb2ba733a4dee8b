"""A counter in a TPM 2.0 (TCG TPM 2.0 Library part 1, 37.2.4): an NV index that can be incremented and nothing else.

    nv          the counter: 8 octets, starts above whatever this TPM has ever counted, so one made anew shows more
    nv + 1      its base: 8 octets, written once and locked; value = counter - base

The base lets a counter be put in use for a vehicle that has made records before without counting them one by one, and makes up for
where a TPM starts. Neither index has a password, so it works on whatever becomes of the owner's; putting it in use needs an owner
hierarchy without one. Each step writes the TPM's flash: some hundred thousand are promised by makers, a record takes one. Left out:
protection from a program that may use the TPM as its owner and removes the counter; a new one is noticed as `CounterIsNew`.
"""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from tpm2_pytss import TPM2_ALG, TPM2_HANDLE, TPM2_NT, TPM2B_NV_PUBLIC, TPMA_NV, TPMS_NV_PUBLIC

from shared.core.errors import ConfigError, EncodeError, StorageError
from shared.records.odometer import CounterKind
from shared.service.key_errors import TokenError
from shared.service.rollback_counter import MAX_COUNT
from shared.service.token_thread import ANSWER_S, TokenThread
from shared.service.tpm_connection import TpmConnection, TpmRefusal, refusals

DEFAULT_TCTI = "device:/dev/tpmrm0"

MAX_STEPS = 4_096
"""At most so many increments in one go; between two records there is one."""

FIRST_INDEX, LAST_INDEX = 0x0180_0000, 0x01BF_FFFE
"""Indexes of the owner (TCG registry of reserved handles); the base is one above."""

_OCTETS = 8
_NOT_THERE = 0x08B
_NOT_WRITTEN = 0x14A
_LOCKED = 0x148
_OPEN_TO_ALL = TPMA_NV.AUTHREAD | TPMA_NV.AUTHWRITE | TPMA_NV.OWNERREAD | TPMA_NV.NO_DA
_COUNTER = _OPEN_TO_ALL | (TPM2_NT.COUNTER << TPMA_NV.TPM2_NT_SHIFT)
_BASE = _OPEN_TO_ALL | TPMA_NV.WRITEDEFINE
_INDEX = re.compile(r"nv=0x([0-9a-fA-F]{7,8})", re.ASCII)
_T = TypeVar("_T")


def parse_nv_index(location: str) -> int:
    """Return the index that `nv=0x01800100` names; raises `ConfigError` unless it is one of the owner's."""
    match = _INDEX.fullmatch(location)
    index = 0 if match is None else int(match[1], 16)
    if not FIRST_INDEX <= index <= LAST_INDEX:
        raise ConfigError("tpm", f"nv=0x{FIRST_INDEX:08x} to nv=0x{LAST_INDEX:08x} names a counter, this does not")
    return index


class TpmCounter:
    """A `RollbackCounter` in a TPM. Nothing is made in the TPM before the first step.

    Args:
        index: NV index of the counter; the one above holds its base.
        tcti: the way to the TPM.
        answer_s: seconds it has for one answer.
    """

    def __init__(self, index: int, *, tcti: str = DEFAULT_TCTI, answer_s: float = ANSWER_S) -> None:
        self._index = index
        self._tcti = tcti
        self._answer_s = answer_s
        self._thread = TokenThread(self.name)
        self._base: int | None = None

    @property
    def name(self) -> str:
        """Its URI, for people."""
        return f"tpm:nv=0x{self._index:08x}"

    @property
    def kind(self) -> CounterKind:
        """What keeps it."""
        return CounterKind.TPM

    def read(self) -> int:
        """Return the value; raises `StorageError` where the TPM does not tell."""
        return self._do(lambda nv: nv.value() or 0)

    def shown_at(self, value: int) -> int | None:
        """Return what the TPM's own counter shows once the value is `value`; its base is read once, for it is locked."""
        if self._base is None:
            self._base = self._do(lambda nv: nv.base())
        return None if self._base is None else value + self._base

    def advance_to(self, value: int) -> None:
        """Count up to `value`; raises as `RollbackCounter.advance_to`, and where more than `MAX_STEPS` are missing."""
        if not 0 <= value <= MAX_COUNT:
            raise EncodeError("counter", f"{value} is no count")
        self._do(lambda nv: nv.advance_to(value))

    def close(self) -> None:
        """End its thread."""
        self._thread.close()

    def _do(self, work: Callable[["_CounterConnection"], _T]) -> _T:
        def asked() -> _T:
            with _CounterConnection(self._tcti, self.name, self._index) as nv:
                try:
                    return work(nv)
                except TpmRefusal as refusal:
                    raise refusal.meaning(self.name) from refusal

        try:
            return self._thread.call(asked, answer_s=self._answer_s)
        except (TokenError, ConfigError) as error:
            raise StorageError(self.name, f"the counter cannot be used: {error}") from error


def _signed(base: int) -> int:
    return base - (1 << 64) if base >> 63 else base


class _CounterConnection(TpmConnection):
    """A connection that knows the two indexes."""

    def __init__(self, tcti: str, name: str, index: int) -> None:
        super().__init__(tcti, name=name)
        self._counter_index = index

    def value(self) -> int | None:
        """Return the value, None where the counter is not in use yet."""
        counter, base = self._read(self._counter_index, _COUNTER), self._read(self._counter_index + 1, _BASE)
        return None if counter is None or base is None else self._difference(counter, base)

    def base(self) -> int | None:
        """Return what the counter showed when the value was 0, which may be below nothing; None where it is not in use yet."""
        base = self._read(self._counter_index + 1, _BASE)
        return None if base is None else _signed(base)

    def advance_to(self, value: int) -> None:
        """Count up; a counter that is not in use yet starts at `value`."""
        before = self.value()
        if before is None:
            if value:
                self._put_in_use(value)
            return
        if value - before > MAX_STEPS:
            raise StorageError(self._name, f"stands at {before}; {value - before} steps are more than between any two records")
        for _ in range(value - before):
            self._increment()

    def _put_in_use(self, value: int) -> None:
        """Define the counter, then the base; where the power goes between, this is done again."""
        if self._handle(self._counter_index) is None:
            self._define(self._counter_index, _COUNTER)
        counter = self._read(self._counter_index, _COUNTER)
        if counter is None:
            self._increment()
            counter = self._read(self._counter_index, _COUNTER)
        if self._handle(self._counter_index + 1) is None:
            self._define(self._counter_index + 1, _BASE)
        handle = self._handle(self._counter_index + 1)
        with refusals():
            self._esys.nv_write(handle, ((counter or 0) - value).to_bytes(_OCTETS, signed=True))
        with refusals():
            self._esys.nv_write_lock(handle)

    def _difference(self, counter: int, base: int) -> int:
        value = counter - _signed(base)
        if not 0 <= value <= MAX_COUNT:
            raise StorageError(self._name, "its base belongs to another counter: it was removed and made anew")
        return value

    def _increment(self) -> None:
        with refusals():
            self._esys.nv_increment(self._handle(self._counter_index))

    def _define(self, index: int, attributes: TPMA_NV) -> None:
        area = TPMS_NV_PUBLIC(nvIndex=index, nameAlg=TPM2_ALG.SHA256, attributes=attributes, dataSize=_OCTETS)
        with refusals():
            self._esys.nv_define_space(None, TPM2B_NV_PUBLIC(nvPublic=area))

    def _handle(self, index: int) -> Any:  # noqa: ANN401 - the library has no types
        try:
            with refusals():
                return self._esys.tr_from_tpmpublic(TPM2_HANDLE(index))
        except TpmRefusal as refusal:
            if refusal.code == _NOT_THERE:
                return None
            raise

    def _read(self, index: int, attributes: TPMA_NV) -> int | None:
        """Return what an index of ours holds, None where it is not there or was never written."""
        handle = self._handle(index)
        if handle is None:
            return None
        with refusals():
            public, _ = self._esys.nv_read_public(handle)
        kept = TPMA_NV.WRITTEN | TPMA_NV.WRITELOCKED
        if int(public.nvPublic.attributes) & ~int(kept) != int(attributes) or public.nvPublic.dataSize != _OCTETS:
            raise StorageError(self._name, f"NV index 0x{index:08x} of the TPM is somebody else's; name another one")
        if not public.nvPublic.attributes & TPMA_NV.WRITTEN:
            return None
        with refusals():
            return int.from_bytes(bytes(self._esys.nv_read(handle, _OCTETS)))
