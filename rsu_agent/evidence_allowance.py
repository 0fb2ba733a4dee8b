"""How much of what others make a unit write is kept of one minute, however much there is.

    of each word        the first `FIRST_OF_EACH` always, so a flood of many kinds hides no other kind
    beyond those        `MAX_OF_ONE` of a word, `MAX_IN_ALL` records and `MAX_BYTES` octets of all words together

So a minute of it costs at most some 1.2 MB, and some 300 kB where a stranger can provoke only a few words: no flood wears a card
out, and none fills the file. Words are the codes and kinds of this program's own; more than `MAX_WORDS` of them count as `OTHER`.
"""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

FIRST_OF_EACH = 5
MAX_OF_ONE = 60
MAX_IN_ALL = 600
MAX_BYTES = 300_000
MAX_WORDS = 64

OTHER = "other"
"""What words beyond `MAX_WORDS` count as."""


class Allowance:
    """What there was of one sort in a minute, and what of it may be kept."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._bytes = 0

    @property
    def counted(self) -> Mapping[str, int]:
        """How many there were, kept or not, by word."""
        return MappingProxyType(self._counted)

    def count(self, word: str) -> str:
        """Count one and return the word it counts as."""
        if word not in self._counted and len(self._counted) >= MAX_WORDS:
            word = OTHER
        self._counted[word] += 1
        return word

    def grant(self, word: str, octets: int) -> bool:
        """Say whether one that was counted is kept too; if so it takes its room."""
        kept = self._kept[word]
        has_room = kept < MAX_OF_ONE and self._kept.total() < MAX_IN_ALL and self._bytes + octets <= MAX_BYTES
        if kept >= FIRST_OF_EACH and not has_room:
            return False
        self._kept[word] += 1
        self._bytes += octets
        return True
