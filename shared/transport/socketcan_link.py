"""Linux SocketCAN, read by ourselves: one opened interface, classic and FD frames, watched for going away.

An interface that goes down says so once, as an error of the socket, and is silent from then on; one that was deleted and made anew
leaves its sockets silent for ever. `look` therefore asks the kernel by ioctl, which a service without the right to netlink sockets
may do. A controller that is off the bus has no carrier: that is seen even where its error frame came before the socket was open.

Options are `fd` (True unless said otherwise: FD frames are sent where the interface has them), `receive_own_messages` (False) and
`local_loopback` (True). Bit rates are not set here: `systemd/can@.service`.
"""

import socket
from struct import Struct

from shared.core.clock import Clock
from shared.core.errors import ConfigError, TransportError
from shared.transport.can_frame import MAX_EXTENDED_ID, MAX_STANDARD_ID, CanFilter, CanFrame
from shared.transport.can_link import MAX_DRAIN, CanBusConfig, CanCounters, ControllerState, StampSource
from shared.transport.can_socket import MAX_KERNEL_FILTERS, granted_buffer_bytes, open_can_socket
from shared.transport.frame_receiver import CLASSIC_BYTES, EXTENDED_FLAG, FD_BYTES, FrameReceiver
from shared.transport.net_interface import check_interface_name, interface_state, sentence_of

_OPTIONS = {"fd": True, "receive_own_messages": False, "local_loopback": True}
_HEADER = Struct("=IB3x")


class SocketCanLink:
    """One opened interface (`CanLink`).

    Args:
        config: names it.
        clock: gives arrival times.
        filters: identifiers to let through; none means all.
        stamps: where frame times come from.
        counters: what is counted; gains.

    Raises:
        ConfigError: no interface can be called so, an option is unknown, or there are too many filters.
        TransportError: the interface is not there or down; trying again may help.
    """

    def __init__(
        self, config: CanBusConfig, *, clock: Clock, filters: tuple[CanFilter, ...], stamps: StampSource, counters: CanCounters
    ) -> None:
        options = checked_options(config)
        if len(filters) > MAX_KERNEL_FILTERS:
            raise ConfigError(f"can {config.endpoint}", f"{len(filters)} filters; the kernel takes {MAX_KERNEL_FILTERS}")
        self._config = config
        self._counters = counters
        self._sends_fd = options["fd"]
        self._lacked_carrier = False
        try:
            self._index = socket.if_nametoindex(config.channel)
            self._socket = open_can_socket(
                config.channel, filters, hears_itself=options["receive_own_messages"], is_looped=options["local_loopback"]
            )
        except OSError as error:
            raise TransportError(config.endpoint, f"cannot be opened: {sentence_of(error)}") from error
        self._receiver = FrameReceiver(self._socket, config.channel, clock=clock, stamps=stamps, counters=counters)
        counters.state = ControllerState.ERROR_ACTIVE
        self.receive_buffer_bytes: int | None = granted_buffer_bytes(self._socket)
        try:
            self.look()
        except TransportError:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once it is closed."""
        return self._socket.fileno()

    def take(self, limit: int = MAX_DRAIN) -> list[CanFrame]:
        """Take what has arrived, at most `limit` frames, without waiting; raises `TransportError`."""
        try:
            return self._receiver.take(limit)
        except OSError as error:
            raise TransportError(self._config.endpoint, f"went down: {sentence_of(error)}") from error

    def take_one(self, timeout_s: float) -> CanFrame | None:
        """Return what is there already: whoever can watch a descriptor needs no waiting."""
        del timeout_s
        frames = self.take(1)
        return frames[0] if frames else None

    def look(self) -> None:
        """Ask the kernel about the interface.

        Raises:
            TransportError: it is gone, down, or another one of the same name.
        """
        name = self._config.channel
        if self._socket.fileno() < 0:
            raise TransportError(self._config.endpoint, "went down: the socket is closed")
        try:
            state = interface_state(name)
        except TransportError as away:
            raise TransportError(self._config.endpoint, f"went down: {away.reason}") from None
        if state.index != self._index:
            raise TransportError(self._config.endpoint, f"went down: interface {name} was made anew")
        if state.has_carrier:
            if self._counters.state is ControllerState.BUS_OFF:
                self._counters.state = ControllerState.ERROR_ACTIVE
        elif self._lacked_carrier:  # seen twice: for a moment after a start the kernel does not show it yet
            self._counters.state = ControllerState.BUS_OFF
        self._lacked_carrier = not state.has_carrier

    def send(self, frame: CanFrame) -> None:
        """Put one frame on the bus.

        Raises:
            TransportError: the interface is down, its queue is full, or it cannot carry the frame.
        """
        length = len(frame.data)
        size = CLASSIC_BYTES if length <= CLASSIC_BYTES - _HEADER.size else FD_BYTES
        limit = MAX_EXTENDED_ID if frame.is_extended else MAX_STANDARD_ID
        if not 0 <= frame.arbitration_id <= limit or length > FD_BYTES - _HEADER.size:
            raise TransportError(self._config.endpoint, f"cannot send: {length} bytes under {frame.arbitration_id:#x}")
        if size == FD_BYTES and not self._sends_fd:
            raise TransportError(self._config.endpoint, "cannot send: FD frames are switched off")
        word = frame.arbitration_id | (EXTENDED_FLAG if frame.is_extended else 0)
        packed = _HEADER.pack(word, length) + frame.data
        try:
            self._socket.send(packed.ljust(size, b"\0"))
        except OSError as error:
            raise TransportError(self._config.endpoint, f"cannot send: {sentence_of(error)}") from error

    def count_losses(self) -> None:
        """Bring the count of lost frames up to date."""
        self._receiver.count_losses()

    def close(self) -> None:
        """Close the socket."""
        self._receiver.count_losses()
        self._socket.close()


def checked_options(config: CanBusConfig) -> dict[str, bool]:
    """Return every option with its value; raises `ConfigError` for an unknown one, or a name that no interface can have."""
    try:
        check_interface_name(config.channel)
    except ValueError as error:
        raise ConfigError(f"can {config.endpoint}", str(error)) from None
    options = dict(_OPTIONS)
    for name, value in config.options.items():
        if name not in options or not isinstance(value, bool):
            raise ConfigError(
                f"can {config.endpoint}", f"option {name} is {value!r}; there are {', '.join(options)}, true or false"
            )
        options[name] = value
    return options
