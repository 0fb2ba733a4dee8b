"""A unit's status at a terminal, as much as fits: peers are seen however low it is, and a unit that goes away comes back."""

import io
from collections.abc import Mapping

import pytest
from rich.console import Console

from rsu_agent.live_view import LEAST_PEERS, LiveView, watch
from shared.core.errors import TransportError

ALTERNATE_SCREEN, USUAL_SCREEN, SHOWN_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"

STATUS: dict[str, object] = {
    "station_id": 4049,
    "utc": "2026-11-22T12:00:03.200Z",
    "sent": {"cam": 2},
    "refused": {"expired_certificate": 3, "permission_denied": 1},
    "junction": {"available": True, "phases": {"1": "stop_and_remain"}},
}


def peer(number: int, standing: str = "believed", points: float = 0.0, why: str | None = None) -> dict[str, object]:
    return {
        "ticket": f"{number:016x}",
        "station_id": number,
        "known_s": 10.0,
        "silent_s": number / 10,
        "speed_mps": 13.9,
        "messages": {"cam": number, "denm": 3},
        "refused": {"permission_denied": 1} if why else {},
        "standing": standing,
        "points": points,
        "opinion": {"belief": 0.1, "disbelief": 0.6, "uncertainty": 0.3},
        "why": why,
    }


def sender(number: int) -> dict[str, object]:
    why = "certificate 034e51894497d216 is outside its validity period"
    return {"claimed_ticket": f"{number:016x}", "silent_s": 1.0, "refused": {"expired_certificate": 3}, "why": why}


CROWD = [*(peer(number) for number in range(1, 300)), peer(777, "ignored", 5.0, "the position jumped by 400 m within 0.20 s")]
BUSY = {**STATUS, "peers": CROWD, "refused_senders": [sender(number) for number in range(1_000, 1_040)]}


def shown(document: Mapping[str, object], *, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO())
    with console.capture() as capture:
        console.print(LiveView(document))
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (200, 60)])
def test_a_view_fills_the_terminal_and_has_peers_those_not_believed_first_what_is_held_against_them_and_names(
    width: int, height: int
) -> None:
    lines = shown(BUSY, width=width, height=height)
    assert len(lines) <= height
    assert len(lines) >= height - 1
    text = "\n".join(lines)
    assert "refused      expired certificate 3, permission denied 1" in text
    assert "300 peers, 1 ignored" in text
    tickets = [line.split()[0] for line in lines if line.split() and len(line.split()[0]) == 16]
    assert tickets[:2] == [f"{777:016x}", f"{1:016x}"]
    assert "held against 1 peer" in text
    assert "0.10 0.60 0.30" in text
    assert "40 names on refused packets" in text
    assert f"{1_000:016x}" in text


def test_a_terminal_of_a_few_lines_shows_some_peers_all_the_same() -> None:
    text = "\n".join(shown(BUSY, width=80, height=6))
    assert [f"{number:016x}" in text for number in (777, 1, 2, 3)] == [True] * LEAST_PEERS + [False]


def test_lights_that_are_not_believed_troubles_and_a_clock_that_is_not_set_are_told() -> None:
    trouble = {"about": "tickets", "detail": "nobody is there"}
    document = {
        "utc": None,
        "junction": {"available": False, "reason": "stale"},
        "upkeep": {"troubles": [trouble]},
        "shed": {"shed_stale": 9},
    }
    text = "\n".join(shown(document, width=120, height=40))
    for words in ("UTC is not known", "unavailable: stale", "in trouble: tickets: nobody is there", "shed stale 9", "0 peers"):
        assert words in text


def test_a_unit_is_looked_at_again_and_again_and_one_that_is_away_is_said_to_be_and_shown_when_it_is_back() -> None:
    seen: list[str] = []
    answers = iter([STATUS, None, {**STATUS, "sent": {"cam": 3}}])
    console = Console(width=100, height=30, file=io.StringIO(), force_terminal=True)

    def read() -> Mapping[str, object]:
        answer = next(answers)
        if answer is None:
            raise TransportError("status.sock", "no agent is running here")
        return answer

    def wait() -> None:
        assert isinstance(console.file, io.StringIO)
        seen.append(console.file.getvalue())
        console.file.seek(0)
        console.file.truncate()
        if len(seen) == 3:
            raise KeyboardInterrupt

    watch(read, console, wait)
    assert ["cam 2" in seen[0], "no agent is running here" in seen[1], "cam 3" in seen[2]] == [True] * 3
    with pytest.raises(TransportError):
        watch(_nobody, console, wait)


def test_a_terminal_is_given_back_even_where_ctrl_c_comes_before_anything_is_shown() -> None:
    class Impatient(io.StringIO):
        is_first = True

        def flush(self) -> None:
            if self.is_first and ALTERNATE_SCREEN in self.getvalue():
                self.is_first = False
                raise KeyboardInterrupt

    console = Console(width=100, height=30, file=Impatient(), force_terminal=True)
    watch(lambda: STATUS, console, lambda: pytest.fail("was not begun"))
    assert isinstance(console.file, Impatient)
    written = console.file.getvalue()
    assert written.rindex(USUAL_SCREEN) > written.rindex(ALTERNATE_SCREEN)
    assert written.endswith(SHOWN_CURSOR)


def _nobody() -> Mapping[str, object]:
    raise TransportError("status.sock", "no agent is running here")
