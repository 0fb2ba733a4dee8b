"""Where a program listens: what is an address with a port, and what a section says of one that is none."""

import msgspec
import pytest

from shared.service.listen_address import ListeningConfig, listen_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8481", ("127.0.0.1", 8481)),
        ("[::1]:0", ("::1", 0)),
        ("unit.example:65535", ("unit.example", 65_535)),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address
    assert msgspec.convert({"listen": text}, ListeningConfig).address == address


@pytest.mark.parametrize(
    "text", ["8481", ":8481", "host", "host:", "host:65536", "host:-1", "host:000080", "host:\u0661", "host:8o"]
)
def test_anything_else_is_refused_with_the_key_that_says_it(text: str) -> None:
    with pytest.raises(ValueError, match="is no address with a port, HOST:PORT"):
        listen_address(text)
    with pytest.raises(msgspec.ValidationError, match="listen: '"):
        msgspec.convert({"listen": text}, ListeningConfig)
