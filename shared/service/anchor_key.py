"""The key with which an organisation speaks to an anchor contract: secp256k1, 64 hexadecimal digits in a file of mode 0600.

Needs the extra `evm`. One key for each organisation, used for nothing else: two programs with one key would fight for its nonces.
"""

from pathlib import Path

from eth_account.account import Account
from eth_account.signers.local import LocalAccount

from shared.core.entropy import Entropy
from shared.core.errors import ConfigError
from shared.ledger.evm.primitives import Address
from shared.service.keystore import PRIVATE_MODE, read_private_file, write_new_file
from shared.service.secret import SecretOctets

KEY_OCTETS = 32
MAX_KEY_FILE_OCTETS = 128

_ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141
"""Of secp256k1: keys are 1 to this less 1."""


def read_anchor_key(path: Path) -> LocalAccount:
    """Read a key.

    Raises:
        ConfigError: the file is absent, open to others, or holds no key.
    """
    text = read_private_file(path, MAX_KEY_FILE_OCTETS, what="anchoring key", may_group_read=False)
    digits = bytes(text).strip().removeprefix(b"0x")
    try:
        key = SecretOctets(bytes.fromhex(digits.decode("ascii")))
    except ValueError:
        key = SecretOctets(b"")
    if len(key) != KEY_OCTETS or not 0 < int.from_bytes(key) < _ORDER:
        raise ConfigError(str(path), "holds no key: 64 hexadecimal digits are expected")
    account: LocalAccount = Account.from_key(bytes(key))
    return account


def write_anchor_key(path: Path, entropy: Entropy) -> LocalAccount:
    """Make a key and write it into a new file of mode 0600; raises `StorageError`, also where there is one."""
    while not 0 < int.from_bytes(key := SecretOctets(entropy(KEY_OCTETS))) < _ORDER:
        pass
    write_new_file(path, SecretOctets(key.hex().encode() + b"\n"), mode=PRIVATE_MODE)
    account: LocalAccount = Account.from_key(bytes(key))
    return account


def address_of(key: LocalAccount) -> Address:
    """Return the address that speaks with a key."""
    return Address(bytes.fromhex(key.address[2:]))
