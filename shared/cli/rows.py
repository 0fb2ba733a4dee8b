"""Rows of a table that is printed while it is read: fixed columns, the last one wrapped under itself.

A capture may hold millions of packets; a table that had to be complete before its first line is printed would hold them all.
"""

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

GAP = 2

WIDTH_OF_A_FILE = 240
"""Characters of a line that goes into a file or a pipe, where `grep` and `wc` want one line each."""


def line_console() -> Console:
    """Return the console for output by lines: as wide as the terminal, or `WIDTH_OF_A_FILE`."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH_OF_A_FILE)


class Rows:
    """Prints rows of one table.

    Args:
        console: where.
        columns: title and width in characters; the last column takes what is left, whatever its width says.
    """

    def __init__(self, console: Console, columns: tuple[tuple[str, int], ...]) -> None:
        self._console = console
        self._columns = columns

    def head(self) -> None:
        """Print the titles."""
        self.row(*(Text(title, style="bold") for title, _width in self._columns))

    def row(self, *cells: RenderableType) -> None:
        """Print one row, a cell for each column."""
        grid = Table.grid(padding=(0, GAP, 0, 0))
        for _title, width in self._columns[:-1]:
            grid.add_column(width=width, no_wrap=True, overflow="ellipsis")
        grid.add_column(overflow="fold")
        grid.add_row(*cells)
        self._console.print(grid)
