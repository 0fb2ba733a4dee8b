"""Real homes of private keys for tests: SoftHSM2 and swtpm, or a skip (under CI: a failure) where their Debian packages are not.

`soft_token` is a PKCS#11 token, `soft_tpm` a TPM that listens on loopback until the block ends; both give the URI an operator would
write. A program started beside the test needs their `environment` too.
"""

import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from shared.bench import soft_tokens
from shared.bench.soft_tokens import PIN, SOFTHSM_MODULES, SoftToken, SoftTpm, write_pin
from tests.helpers.debian import missing, require

__all__ = ["PIN", "SoftToken", "SoftTpm", "require_tpm_binding", "soft_token", "soft_tpm", "write_pin"]


@contextmanager
def soft_token(directory: Path, *, label: str = "v2x") -> Iterator[SoftToken]:
    """Make a token in `directory`; for the time of the block this process finds it."""
    require("softhsm2-util", "softhsm2")
    if not any(module.is_file() for module in SOFTHSM_MODULES):
        missing("SoftHSM2's module is not here", "softhsm2")
    with soft_tokens.soft_token(directory, label=label) as token:
        yield token


@contextmanager
def soft_tpm(state: Path) -> Iterator[SoftTpm]:
    """Run a TPM whose seeds are in `state`; made there where there are none."""
    require_tpm_binding()
    require("swtpm", "swtpm")
    with soft_tokens.soft_tpm(state) as tpm:
        yield tpm


def require_tpm_binding() -> None:
    """Skip (under CI: fail) where Python cannot talk to a TPM."""
    if find_spec("tpm2_pytss") is not None:
        return
    require("gcc", "gcc")
    require("pkg-config", "pkg-config")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing("Python.h is not here", "python3-dev")
    missing("tpm2-pytss is not built (make test builds it)", "libtss2-dev")
