"""`HOST:PORT`: where a program of ours listens, as configurations and command lines write it."""

from shared.service.config import ConfigStruct

MAX_PORT = 65_535
MAX_PORT_DIGITS = 5


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:8481` or `[::1]:0`; raises ValueError. Port 0 stands for a free one."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= MAX_PORT_DIGITS and int(port) <= MAX_PORT):
        raise ValueError(f"{text!r} is no address with a port, HOST:PORT as in 127.0.0.1:8481")
    return host.removeprefix("[").removesuffix("]"), int(port)


class ListeningConfig(ConfigStruct, frozen=True, kw_only=True):
    """A section that says where something listens.

    Attributes:
        listen: address and port; port 0: a free one.
    """

    listen: str

    def __post_init__(self) -> None:
        """Refuse an address that is none."""
        try:
            listen_address(self.listen)
        except ValueError as wrong:
            raise ValueError(f"listen: {wrong}") from None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return listen_address(self.listen)
