"""The report: one HTML file that needs nothing else, for people who will not read `summary.json`.

Self-contained (no script, no font, no request: the page's own policy forbids them), light and dark, fit for a phone, every drawing
described in words and every figure in a table. Everything shown comes from the finished run's `Story`.
"""

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from simulator.drawing import crossing_drawing, lines_drawing, odometer_drawing
from simulator.options import AttackerKind
from simulator.story import MESSAGE_KINDS, CarStory, Story
from simulator.words import (
    ATTACK_TITLES,
    ATTACK_WORDS,
    closing_sentences,
    count,
    duration_words,
    everything_caught,
    reason_words,
    time_words,
    undetected,
)

_KIND_WORDS = {
    "cam": "CAM: where a car is and how it moves",
    "spatem": "SPATEM: what the lights show",
    "mapem": "MAPEM: lanes and stop lines",
    "denm": "DENM: a hazard",
}


def report_html(story: Story) -> str:
    """Return the whole page."""
    template = Template(files("simulator").joinpath("report.html").read_text(encoding="utf-8"))
    summary = story.summary
    sections = (
        _attacks(story),
        _map(story),
        _refusals(story),
        _rates(story),
        _cars(story),
        _passports(story),
    )
    return template.substitute(
        title=escape(f"v2x-trust: {story.title}"),
        mood="fine" if everything_caught(summary) else "trouble",
        eyebrow=escape(f"Simulation, seed {summary['seed']}, {duration_words(summary['sim_s'])} from {story.started}"),
        headline=escape(headline(story)),
        sentences="".join(f"<li>{escape(s)}</li>" for s in closing_sentences(summary)),
        numbers=_numbers(story),
        sections="".join(sections),
        footer=escape(
            "Made by v2x-sim from what the agents themselves counted and reported. The figures are in summary.json, every frame the"
            " stations sent is in radio.pcap, the attackers' frames are in attacks.pcap."
        ),
    )


def headline(story: Story) -> str:
    """Return the one sentence that matters."""
    attacks = story.summary["attacks"]
    on_air = sum(a.get("deliveries", 0) for a in attacks.values())
    believed = sum(a.get("accepted", 0) for a in attacks.values())
    missed = sum(undetected(a) for a in attacks.values())
    if believed:
        return f"{count(believed, 'false message')} of {on_air:,} got through."
    if missed:
        return f"{count(missed, 'attacker')} went undetected."
    if not sum(a["senders"] for a in attacks.values()):
        return "Every message signed, every signature checked, and nobody tried to lie."
    if not everything_caught(story.summary):
        return "Every attack was caught, but not everything else went as it should."
    return "Every lie was caught, and nobody honest was accused."


def _numbers(story: Story) -> str:
    summary = story.summary
    refused = sum(summary["rejected"].values())
    shown = (
        (sum(summary["sent"].values()), "messages signed and sent"),
        (summary["verified"], "receptions verified"),
        (refused, "receptions refused"),
        (summary["can_frames"], "CAN frames read from the cars' own buses"),
        (summary["odometer"]["anchored"], "odometer records anchored in the ledger"),
        (summary["passports"]["verified"], "passports that verify"),
    )
    return "".join(f"<div><dt>{escape(words)}</dt><dd>{n:,}</dd></div>" for n, words in shown)


def _section(title: str, intro: str, body: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="soft">{escape(intro)}</p>{body}</section>'


def _table(head: Iterable[tuple[str, str]], rows: Iterable[str]) -> str:
    heads = "".join(f'<th scope="col" class="{css}">{escape(words)}</th>' for words, css in head)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _attacks(story: Story) -> str:
    cards = []
    for kind in AttackerKind:
        attack = story.summary["attacks"].get(kind.value)
        if attack and attack["senders"]:
            cards.append(_attack_card(kind, attack))
    if not cards:
        return ""
    return _section(
        "Attacks",
        "What the attackers did is known to the simulation only; the verdicts are the receiving agents' own.",
        f'<div class="cards">{"".join(cards)}</div>',
    )


def _attack_card(kind: AttackerKind, attack: Mapping[str, Any]) -> str:
    caught = not undetected(attack) and not attack.get("accepted", 0)
    words = ("caught" if attack.get("deliveries", 1) else "not heard") if caught else "not caught"
    verdict = f'<span class="tag {"good" if caught else "bad"}">{words}</span>'
    after = attack["median_detect_s"]
    facts = [
        ("Attackers detected", f"{attack['detected']} of {attack['senders']}"),
        ("After", "never" if after is None else time_words(after)),
        ("Honest cars accused", str(attack["false_accusations"])),
    ]
    if "frames" in attack:
        facts[1:1] = [("Frames sent", f"{attack['frames']:,}"), ("Received and judged", f"{attack['deliveries']:,}")]
    reasons = "".join(
        f'<tr><td class="n">{n:,}</td><td>{escape(reason_words(reason))}</td></tr>'
        for reason, n in sorted(attack.get("reasons", {}).items(), key=lambda item: (-item[1], item[0]))
    )
    if attack.get("accepted"):
        reasons += f'<tr><td class="n">{attack["accepted"]:,}</td><td><strong>believed</strong></td></tr>'
    if attack.get("first_hearings"):
        words = "no repetition for this receiver: still fresh, and it had missed the original"
        reasons += f'<tr><td class="n">{attack["first_hearings"]:,}</td><td>{words}</td></tr>'
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return (
        f'<article class="card {kind.value}"><h3>{ATTACK_TITLES[kind]} {verdict}</h3>'
        f"<p>{escape(ATTACK_WORDS[kind][:1].upper() + ATTACK_WORDS[kind][1:])}.</p><dl>{rows}</dl>"
        + (f'<p class="soft why">Why receivers refused it</p><table class="why">{reasons}</table>' if reasons else "")
        + "</article>"
    )


def _map(story: Story) -> str:
    kinds = [k for k in story.account.refused_per_s if story.summary["attacks"][k.value]["senders"]]
    key = [f'<li><i class="{k.value}"></i>{ATTACK_TITLES[k]} frames refused here</li>' for k in kinds]
    key += [f'<li><i class="tri {k.value}"></i>{ATTACK_TITLES[k].lower()} from here</li>' for k in kinds]
    key.append('<li><i class="bar way-key"></i>way of a car</li>')
    if any(car.rolled_back_m is not None for car in story.cars):
        key.append('<li><i class="bar rolled"></i>car with the rolled-back odometer</li>')
    key.append('<li><i class="sq rsu-key"></i>roadside unit</li>')
    return _section(
        "Where it happened",
        "Discs grow with the number of attack frames that receivers refused at that place.",
        f'{crossing_drawing(story)}<ul class="key">{"".join(key)}</ul>',
    )


def _refusals(story: Story) -> str:
    rejected = story.summary["rejected"]
    total = sum(rejected.values()) or 1
    rows = [
        f'<tr><th scope="row" class="words">{escape(reason_words(reason).capitalize())}</th>'
        f'<td class="code wide">{escape(reason)}</td><td class="n">{n:,}</td><td class="n">{n / total:.1%}</td></tr>'
        for reason, n in sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    ]
    if not rows:
        return _section("Refusals", "Nothing was refused.", "")
    return _section(
        "Why packets were refused",
        "Counted by every receiver for itself. A station met for the first time is unknown until it sends its certificate, which it"
        " does as soon as somebody does not know it.",
        _table((("Reason", ""), ("Code", "wide"), ("Receptions", "n"), ("Share", "n")), rows),
    )


def _rates(story: Story) -> str:
    account = story.account
    sent = {kind: (_KIND_WORDS[kind], account.sent_per_s[kind][:-1]) for kind in MESSAGE_KINDS if sum(account.sent_per_s[kind])}
    refused = {
        kind.value: (f"{ATTACK_TITLES[kind]} frames refused", values[:-1])
        for kind, values in account.refused_per_s.items()
        if sum(values)
    }
    body = f"<h3>Messages sent by our stations</h3>{lines_drawing('sent', 'Messages sent over time', sent, 'messages a second')}"
    body += _key(sent)
    if refused:
        drawn = lines_drawing("refused", "Attack frames refused over time", refused, "refusals a second")
        body += f"<h3>Attack frames refused</h3>{drawn}{_key(refused)}"
    return _section(
        "Over time", "A car speaks when it has moved, turned or changed its speed enough, and at least once a second.", body
    )


def _key(series: dict[str, tuple[str, list[int]]]) -> str:
    items = "".join(
        f'<li><i class="bar {css}"></i>{escape(label)} ({sum(values):,})</li>' for css, (label, values) in series.items()
    )
    return f'<ul class="key">{items}</ul>'


def _cars(story: Story) -> str:
    rows = [_car_row(car) for car in story.cars]
    head = (
        ("Car", ""),
        ("Speed", "wide"),
        ("Driven", "n wide"),
        ("Messages", "n wide"),
        ("Odometer at start", "n wide"),
        ("Odometer at end", "n"),
        ("Records", "n wide"),
        ("Anchored", "n wide"),
        ("Passport", ""),
    )
    return _section(
        "Cars, odometers, passports",
        "Each car signs its odometer readings and anchors them in a public ledger; its passport proves them without asking anyone.",
        _table(head, rows),
    )


def _car_row(car: CarStory) -> str:
    verdict = '<span class="tag good">verifies</span>' if car.passport_verified else '<span class="tag bad">does not verify</span>'
    notes = []
    if car.rolled_back_m is not None:
        notes.append(f"odometer set back by {car.rolled_back_m / 1000:,.0f} km")
    if car.flags:
        verdict += f' <span class="tag flag">{escape(", ".join(car.flags))} flagged</span>'
    elif not car.passport_verified:
        notes.append(car.verdict)
    if car.page is not None:
        verdict = f'{verdict} <a href="{escape(car.page)}">open</a>'
    note = f'<br><span class="soft">{escape("; ".join(notes))}</span>' if notes else ""
    return (
        f'<tr><th scope="row">{escape(car.name)}</th><td class="wide">{odometer_drawing(car)}</td>'
        f'<td class="n wide">{car.travelled_m:,.0f} m</td><td class="n wide">{car.sent:,}</td>'
        f'<td class="n wide">{car.odometer_m[0] / 1000:,.1f} km</td><td class="n">{car.odometer_m[1] / 1000:,.1f} km</td>'
        f'<td class="n wide">{car.records}</td><td class="n wide">{car.anchored}</td>'
        f"<td>{verdict}{note}</td></tr>"
    )


def _passports(story: Story) -> str:
    return _section(
        "Check it yourself",
        "Open a car's passport in the table above: the page verifies itself, without a network. Or by a program, in the folder of "
        "this report; the passport, the trusted root and the ledger's policy are all it takes:",
        f"<pre><code>{escape(story.verify_command)}</code></pre>",
    )
