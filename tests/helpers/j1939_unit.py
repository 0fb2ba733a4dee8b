"""A control unit on a J1939 network: answers requests for its groups as SAE J1939-21 says, written from the other side."""

from collections.abc import Mapping

from shared.core.clock import MonotonicNs
from shared.transport.can_frame import CanFrame

REQUEST, ACKNOWLEDGEMENT, CONNECTION, PACKET = 0xEA00, 0xE800, 0xEC00, 0xEB00
EVERYBODY = 255


def frame(pgn: int, source: int, destination: int, data: bytes, *, at: int = 0, priority: int = 7, bus: str = "can0") -> CanFrame:
    """Return a frame; `destination` counts for PDU1 groups alone."""
    addressed = destination << 8 if pgn >> 8 & 0xFF < 240 else 0
    return CanFrame(priority << 26 | pgn << 8 | addressed | source, True, data, bus, MonotonicNs(at))


def packets(data: bytes) -> list[bytes]:
    """Return the contents of the packets of a group."""
    return [bytes((i // 7 + 1,)) + data[i : i + 7].ljust(7, b"\xff") for i in range(0, len(data), 7)]


def announcement(control: int, pgn: int, data: bytes, *, limit: int = 0xFF) -> bytes:
    """Return the content of a BAM (32) or a request to send (16)."""
    return bytes((control, *len(data).to_bytes(2, "little"), len(packets(data)), limit, *pgn.to_bytes(3, "little")))


def broadcast(pgn: int, source: int, data: bytes, *, at: int = 0, gap: int = 50_000_000, bus: str = "can0") -> list[CanFrame]:
    """Return the frames of a group that goes to everybody."""
    contents = [(CONNECTION, announcement(32, pgn, data)), *((PACKET, packet) for packet in packets(data))]
    return [frame(kind, source, EVERYBODY, content, at=at + i * gap, bus=bus) for i, (kind, content) in enumerate(contents)]


class Unit:
    """Answers requests.

    Args:
        address: its source address.
        groups: what it can say.
        window: how many packets it wants to be granted at a time.
        loses: packets that get lost the first time they are sent.
    """

    def __init__(
        self, address: int, groups: Mapping[int, bytes], *, window: int = 0xFF, loses: frozenset[int] = frozenset()
    ) -> None:
        self.address = address
        self.groups = groups
        self.acknowledged: list[int] = []
        self.aborted: list[int] = []
        self.asked: list[tuple[int, int]] = []
        self._window = window
        self._loses = set(loses)

    def receive(self, request: CanFrame, *, at: int = 0) -> list[CanFrame]:
        """Return what it sends when it hears a frame."""
        pgn, destination, source = (
            request.arbitration_id >> 8 & 0x3FF00,
            request.arbitration_id >> 8 & 0xFF,
            request.arbitration_id & 0xFF,
        )
        if destination not in {self.address, EVERYBODY}:
            return []
        if pgn == REQUEST:
            return self._asked(int.from_bytes(request.data, "little"), source, destination, at)
        if pgn != CONNECTION:
            return []
        control, wanted = request.data[0], int.from_bytes(request.data[5:8], "little")
        if control == 17:
            count, first = request.data[1], request.data[2]
            chosen = packets(self.groups[wanted])[first - 1 : first - 1 + count]
            sent = [packet for packet in chosen if packet[0] not in self._loses]
            self._loses -= {packet[0] for packet in chosen}
            return [frame(PACKET, self.address, source, packet, at=at, bus=request.channel) for packet in sent]
        if control == 19:
            self.acknowledged.append(wanted)
        if control == 255:
            self.aborted.append(request.data[1])
        return []

    def _asked(self, pgn: int, source: int, destination: int, at: int) -> list[CanFrame]:
        self.asked.append((pgn, destination))
        data = self.groups.get(pgn)
        if data is None:
            if destination == EVERYBODY:
                return []
            refusal = bytes((1, 0xFF, 0xFF, 0xFF, source)) + pgn.to_bytes(3, "little")
            return [frame(ACKNOWLEDGEMENT, self.address, EVERYBODY, refusal, at=at)]
        if len(data) <= 8:
            return [frame(pgn, self.address, EVERYBODY, data, at=at, priority=6)]
        if destination == EVERYBODY:
            return broadcast(pgn, self.address, data, at=at)
        return [frame(CONNECTION, self.address, source, announcement(16, pgn, data, limit=self._window), at=at)]
