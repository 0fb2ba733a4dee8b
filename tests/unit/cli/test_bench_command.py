"""`v2x bench`: a table for people, a document for machines, and the names of what can be measured."""

import io
import json

from rich.console import Console
from typer.testing import CliRunner, Result

from shared.bench.catalogue import all_benches
from shared.bench.figure import REFERENCE_PACE, Figure, Measure, Target, Unit, figure_of
from shared.cli.bench import table
from shared.cli.main import app


def v2x_bench(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", *arguments])


def text_of(figure: Figure) -> str:
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(table([figure]))
    return console.export_text()


def test_the_document_has_every_figure_with_its_limit_its_ratio_and_its_target() -> None:
    result = v2x_bench("--json", "--rounds", "2", "--calls", "3", "outbound", "sign")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["effort"] == {"rounds": 2, "calls": 3, "overload_s": 3.0, "threads": 2}
    assert {"architecture", "cores", "python", "cryptography", "openssl", "reference_pace_verifies_per_s"} == set(
        document["machine"]
    )
    outbound, sign = document["figures"]
    assert (outbound["name"], sign["name"]) == ("outbound", "sign")
    assert outbound["targets"] == [
        {"measure": "median at the reference pace", "at_least": 25_000},
        {"measure": "median ratio", "at_least": 0.5},
    ]
    assert outbound["limit"]["name"] == "raw P-256 sign"
    for part in (outbound, outbound["limit"], outbound["ratio"], outbound["at_reference_pace"]):
        assert part["best"] >= part["median"] >= part["worst"] > 0
    assert outbound["rounds"] == 2
    assert isinstance(outbound["met"], bool)
    assert (sign["met"], sign["at_reference_pace"]) == (None, None)


def test_a_person_gets_a_table() -> None:
    result = v2x_bench("--rounds", "1", "--calls", "2", "sign")
    assert result.exit_code == 0, result.output
    assert "raw P-256 sign" in result.stdout
    assert "{" not in result.stdout


def test_the_table_says_what_was_reached_in_the_words_of_its_unit() -> None:
    promised = (Target(measure=Measure.MEDIAN, bound=11.0), Target(measure=Measure.MEDIAN_RATIO, bound=15.0))
    text = text_of(figure_of("codec", "decode", Unit.MICROSECONDS, [8.0, 9.0], limit=("ref", [90.0, 90.0]), targets=promised))
    for words in ("8.5 us (9.0 to 8.0)", "90.0 us", "10.6x (10.0x to 11.2x)", "<= 11.0 us or >= 15.0x", "yes"):
        assert words in text
    share = (Target(measure=Measure.MEDIAN_RATIO, bound=0.72),)
    text = text_of(figure_of("in", "receive", Unit.PER_SECOND, [12_000.0], limit=("raw", [20_000.0]), targets=share))
    for words in ("12,000/s", "20,000/s", "60 %", ">= 72 %", "no"):
        assert words in text
    text = text_of(figure_of("pace", "encode", Unit.MICROSECONDS, [12.0], pace=[REFERENCE_PACE / 2]))
    assert "6.0 us" in text
    both = tuple(Target(measure=measure, bound=4.0) for measure in (Measure.MEDIAN, Measure.PACED_MEDIAN))
    text = text_of(figure_of("can", "a frame", Unit.MICROSECONDS, [12.0], pace=[REFERENCE_PACE], targets=both))
    assert text.count("<= 4.0 us") == 1
    text = text_of(figure_of("lost", "DENMs", Unit.PACKETS, [0.0], targets=(Target(measure=Measure.MEDIAN, bound=0.0),)))
    assert "<= 0 packets" in text


def test_the_benches_can_be_listed() -> None:
    lines = v2x_bench("--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(all_benches())
    assert "sign             Sign a payload." in lines
    assert all(len(line.split()) > 2 and line.endswith(".") for line in lines)


def test_a_bench_that_does_not_exist_is_wrong_usage_and_the_others_are_named() -> None:
    result = v2x_bench("sign", "horses")
    assert result.exit_code == 2
    assert "horses" in result.output
    assert "overload" in result.output
