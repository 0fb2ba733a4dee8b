"""Who a server of ours is to its clients: a certificate chain and its key in PEM files, as a TLS context.

The key file is closed to others, or a systemd credential. TLS 1.2 at least. Left out: certificates of clients.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from shared.core.errors import ConfigError
from shared.service.keystore import MAX_KEY_FILE_OCTETS, read_private_file


def server_tls(certificate: Path, key: Path, *, environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return the context of a server.

    Args:
        certificate: PEM file of the certificate and its chain.
        key: PEM file of its unencrypted key.
        environment: of the process, where systemd names the folder of its credentials.

    Raises:
        ConfigError: a file is absent, the key is open to others, or they do not belong together.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY")
    may_group_read = folder is not None and key.parent == Path(folder)
    read_private_file(key, MAX_KEY_FILE_OCTETS, what="private key", may_group_read=may_group_read)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        reason = (error.reason or str(error)) if isinstance(error, ssl.SSLError) else (error.strerror or str(error))
        raise ConfigError(str(certificate), f"is no PEM certificate that belongs to the key {key}: {reason}") from None
    return context


def _no_password() -> bytes:
    """Have an encrypted key refused, where OpenSSL would ask at the terminal."""
    return b""
