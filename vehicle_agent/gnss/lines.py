"""Octets of a stream into lines, with a bound: what never ends is thrown away up to its end and counted."""


class LineSplitter:
    r"""Cuts a stream at its line feeds.

    Args:
        max_octets: of a line without its end; a longer one is dropped whole.
    """

    def __init__(self, max_octets: int) -> None:
        self._max_octets = max_octets
        self._begun = b""
        self._is_skipping = False
        self.overlong = 0

    def feed(self, octets: bytes) -> tuple[bytes, ...]:
        r"""Return the lines that `octets` complete, without `\r\n`; empty ones are left out."""
        *complete, rest = octets.split(b"\n")
        lines = []
        for piece in complete:
            line = self._take(piece)
            if line:
                lines.append(line)
        self._keep(rest)
        return tuple(lines)

    def restart(self) -> None:
        """Forget a line that was begun: another connection begins with a new one."""
        self._begun, self._is_skipping = b"", False

    def _take(self, piece: bytes) -> bytes:
        line, self._begun = self._begun + piece, b""
        if self._is_skipping:
            self._is_skipping = False
            return b""
        line = line.rstrip(b"\r")
        if len(line) > self._max_octets:
            self.overlong += 1
            return b""
        return line

    def _keep(self, rest: bytes) -> None:
        if self._is_skipping:
            return
        self._begun += rest
        if len(self._begun) > self._max_octets + 1:  # its carriage return may be among them
            self._begun, self._is_skipping = b"", True
            self.overlong += 1
