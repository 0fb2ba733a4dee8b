"""The report shows what the account holds, needs nothing from anywhere, and says plainly when something went wrong."""

import re
from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest

from shared.core.clock import NS_PER_MS, MonotonicNs
from simulator.kinematics import Traffic
from simulator.medium import Delivery, Frame
from simulator.options import AttackerKind
from simulator.report import headline, report_html
from simulator.story import Account, Attacker, CarStory, Story, TracePoint
from simulator.words import closing_sentences, everything_caught

SECONDS = 30


def story(*, accepted: int = 0, hostile_name: str = "Car 1", attackers: bool = True) -> Story:
    kinds = {
        100: AttackerKind.FORGED,
        101: AttackerKind.TAMPERED,
        102: AttackerKind.REPLAYED,
    }
    crew = {antenna: Attacker(f"{kind.value} 1", kind) for antenna, kind in kinds.items()} if attackers else {}
    account = Account(SECONDS, crew)
    traffic = Traffic(6, Random(1))
    traces: list[list[TracePoint]] = [[] for _ in range(6)]
    frames = 0
    for tick in range(SECONDS * 5):
        at = MonotonicNs(tick * 200 * NS_PER_MS)
        for n in range(6):
            motion = traffic.motion(n)
            traces[n].append(
                TracePoint(elapsed_s=tick / 5, east_m=motion.east_m, north_m=motion.north_m, speed_mps=motion.speed_mps)
            )
            frame = Frame(number=frames, sender=n, packet=b"x", sent=at)
            frames += 1
            account.frame_sent(frame, "cam")
            account.delivered(Delivery(at=at, receiver=(n + 1) % 6, frame=frame), None, (0.0, 0.0))
            for sender, kind in kinds.items() if attackers else ():
                lie = Frame(number=frames, sender=sender, packet=b"x", sent=at, attack=kind)
                frames += 1
                account.frame_sent(lie, "cam")
                reason = {100: "untrusted_root", 101: "false_signature", 102: "duplicate_message"}[sender]
                believed = tick == 0 and n < accepted
                account.delivered(
                    Delivery(at=at, receiver=n, frame=lie), None if believed else reason, (motion.east_m, motion.north_m)
                )
        for _ in range(4):
            traffic.step(0.05)
    rejected: dict[str, int] = {}
    for attacker in crew.values():
        for reason, n in attacker.refused.items():
            rejected[reason] = rejected.get(reason, 0) + n
    summary: dict[str, Any] = {
        "vehicles": 6,
        "rsus": 1,
        "sim_s": float(SECONDS),
        "wall_s": 1.5,
        "sent": {"cam": account.sent["cam"], "denm": 0, "spatem": 0, "mapem": 0},
        "verified": sum(account.verified_per_s),
        "rejected": rejected,
        "attacks": account.attacks_summary()
        | {
            "rollback": {
                "senders": int(attackers),
                "cars": ["Car 4"] * attackers,
                "detected": int(attackers),
                "false_accusations": 0,
                "median_detect_s": 1.2,
            }
        },
        "odometer": {"records": 12, "anchored": 12, "witnessed": 0, "rollbacks_flagged": 1},
        "passports": {"written": 6, "verified": 6},
        "can_frames": 12_345,
        "seed": 1,
    }
    cars = tuple(
        CarStory(
            name=hostile_name if n == 0 else f"Car {n + 1}",
            travelled_m=traffic.cars[n].travelled_m,
            sent=60,
            odometer_m=(42_000_000 + n * 7_000_000, 42_000_300 + n * 7_000_000),
            rolled_back_m=30_000_000 if n == 3 else None,
            records=2,
            anchored=2,
            witnessed=0,
            flags=("rollback",) if n == 3 else (),
            passport=f"passports/car-{n + 1}.json",
            page=f"passports/car-{n + 1}.html",
            passport_verified=True,
            verdict="every record is signed, in order and in the ledger",
            trace=tuple(traces[n]),
        )
        for n in range(6)
    )
    places = tuple((a, (30.0 + 20 * i, -28.0)) for i, a in enumerate(crew.values()))
    return Story(
        summary=summary,
        title="crossing",
        started="2026-06-01T08:00:00Z",
        cars=cars,
        account=account,
        rsu_place=(12.0, 12.0),
        attacker_places=places,
        notices={},
        verify_command="v2x passport verify passports/car-1.json --trust trust --policy passports/ledger.policy",
    )


class Page(HTMLParser):
    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.headings: list[str] = []
        self.unlabelled: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "svg" and not (given.get("aria-labelledby") or given.get("aria-hidden")):
            self.unlabelled.append(tag)
        if tag in {"h1", "h2", "h3"}:
            self.headings.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_labelled_and_has_one_headline() -> None:
    page = Page(report_html(story()))
    assert page.open == []
    assert page.unlabelled == []
    assert page.headings.count("h1") == 1
    assert page.headings.count("h2") == 6


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    text = report_html(story())
    text = re.sub(r'<a href="passports/car-[0-9]+\.html">', "<a>", text)  # beside it, and only when a reader opens it
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|<script|https?://", text)
    assert "default-src 'none'" in text


def test_every_figure_of_the_summary_can_be_read() -> None:
    made = story()
    text = report_html(made)
    for reason, n in made.summary["rejected"].items():
        assert reason in text
        assert f"{n:,}" in text
    for car in made.cars:
        assert car.name in text
    assert "12,345" in text
    assert "rollback flagged" in text
    assert made.verify_command in text


def test_hostile_text_stays_text() -> None:
    text = report_html(story(hostile_name="<script>alert(1)</script>"))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_an_accepted_lie_is_the_headline() -> None:
    made = story(accepted=2)
    assert not everything_caught(made.summary)
    assert headline(made).startswith("6 false messages of")
    assert any("ACCEPTED" in sentence for sentence in closing_sentences(made.summary))
    assert 'class="trouble"' in report_html(made)


def test_the_car_that_was_set_back_is_named() -> None:
    assert "Odometer rolled back in 1 car (Car 4): flagged in the record, for ever." in closing_sentences(story().summary)


def test_a_run_without_attackers_does_not_boast_of_catching_them() -> None:
    made = story(attackers=False)
    assert "nobody tried" in headline(made)
    assert not any("refused" in sentence for sentence in closing_sentences(made.summary))


@pytest.mark.parametrize("kind", [AttackerKind.FORGED, AttackerKind.TAMPERED, AttackerKind.REPLAYED])
def test_the_account_counts_each_attacker_by_what_receivers_did(kind: AttackerKind) -> None:
    attack = story(accepted=1).summary["attacks"][kind.value]
    assert attack["senders"] == 1
    assert attack["detected"] == 0
    assert attack["accepted"] == 1
    assert attack["deliveries"] == SECONDS * 5 * 6
    assert sum(attack["reasons"].values()) == attack["deliveries"] - 1


def test_a_fresh_copy_heard_by_one_who_missed_the_original_is_no_lie_believed() -> None:
    attacker = Attacker("replayer 1", AttackerKind.REPLAYED)
    account = Account(5.0, {9: attacker})
    original = Frame(number=0, sender=1, packet=b"x", sent=MonotonicNs(0))
    copy = Frame(number=1, sender=9, packet=b"x", sent=MonotonicNs(1), attack=AttackerKind.REPLAYED, copy_of=0)
    account.frame_sent(copy, "cam")
    account.delivered(Delivery(at=MonotonicNs(2), receiver=2, frame=original), None, (0, 0))
    account.delivered(Delivery(at=MonotonicNs(3), receiver=2, frame=copy), "duplicate_message", (0, 0))
    account.delivered(Delivery(at=MonotonicNs(3), receiver=3, frame=copy), None, (0, 0))
    assert (attacker.accepted, attacker.first_hearings, attacker.detected) == (0, 1, True)
    account.delivered(Delivery(at=MonotonicNs(4), receiver=3, frame=copy), None, (0, 0))
    assert (attacker.accepted, attacker.detected) == (1, False)


def test_an_honest_station_refused_as_an_attacker_counts_as_wrongly_accused() -> None:
    account = Account(5.0, {})
    honest = Frame(number=0, sender=1, packet=b"x", sent=MonotonicNs(0))
    account.delivered(Delivery(at=MonotonicNs(1), receiver=2, frame=honest), "signer_certificate_not_found", (0, 0))
    assert account.attacks_summary()["tampered"]["false_accusations"] == 0
    account.delivered(Delivery(at=MonotonicNs(1), receiver=2, frame=honest), "false_signature", (0, 0))
    assert account.attacks_summary()["tampered"]["false_accusations"] == 1
