"""What `v2x decode` shows of in-vehicle information, signal requests and answers: their own words, with units."""

import json

import pytest
from typer.testing import CliRunner

from shared.cli.main import app
from shared.messages import samples
from shared.messages.ivim import encode_ivim
from shared.messages.srem import encode_srem
from shared.messages.ssem import encode_ssem
from tests.unit.messages import infrastructure_samples as rich

ENCODED = {
    "a gantry": encode_ivim(samples.IVIM),
    "a request": encode_srem(samples.SREM),
    "an answer": encode_ssem(samples.SSEM),
    "signs with everything": encode_ivim(rich.GANTRY),
    "signs of later editions": encode_ivim(rich.LATER_GANTRY),
    "signs taken down": encode_ivim(rich.REVOKED_GANTRY),
    "requests with everything": encode_srem(rich.BUS),
    "a request of a later version": encode_srem(rich.LATER_REQUEST),
    "answers with everything": encode_ssem(rich.ANSWERS),
}


def decoded(encoded: bytes, *options: str) -> str:
    result = CliRunner().invoke(app, ["decode", encoded.hex(), *options], env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


@pytest.mark.parametrize(
    ("what", "lines"),
    [
        (
            "a gantry",
            [
                "service provider: country code DE, identifier 7",
                "status: new",
                "valid from: 2026-12-14T23:59:55Z",
                "position 48.1312345, 11.5498765, ±1.0 x 1.0 m at 0.0°",
                "zone id 1, heading 87.3°",
                "ivi type regulatory messages, detection zone ids [1], relevance zone ids [2], direction same direction",
                "iso14823 nature 5, serial number 57, traffic sign regulatory",
                "speeds unit km per h, highest 80, upper limit 22.222 m/s (80.0 km/h)",
                "extra text: text Baustelle, language DE",
            ],
        ),
        (
            "a request",
            [
                "route name 58 Silberhornstrasse, transit schedule -90.0 s",
                "role public transport, importance 3",
                "elevation 519.3 m, heading 87.3°, transmission forward gears, speed 13.42 m/s (48.3 km/h)",
                "request type priority request, arrival minute of year 184321, arrival 31000 ms, duration 6000 ms",
                "inbound: lane 1",
                "outbound: lane 6",
            ],
        ),
        ("an answer", ["status granted", "requester: request id 3, sequence number 5", "station id 1513886192"]),
        (
            "signs with everything",
            [
                "vienna: sign class class c, sign code 14, option a, value 80, unit km per h, speed 22.222 m/s (80.0 km/h)",
                "weight: value 7, unit tonnes, mass 7000.0 kg",
                "Überholverbot",
            ],
        ),
        ("signs of later editions", ["friction coefficient 0.85", "temperature -7 °C", "condition ice", "priority 2"]),
        ("signs taken down", ["status: cancellation"]),
    ],
)
def test_each_message_is_shown_in_its_own_words(what: str, lines: list[str]) -> None:
    text = decoded(ENCODED[what])
    for line in lines:
        assert line in text


@pytest.mark.parametrize("what", ENCODED)
def test_each_message_is_a_json_value_without_what_is_not_known(what: str) -> None:
    (layer,) = json.loads(decoded(ENCODED[what], "--json"))["layers"]
    assert layer["layer"] in {"ivim", "srem", "ssem"}
    assert "null" not in json.dumps(layer)


@pytest.mark.parametrize(
    ("what", "summary"),
    [
        ("a gantry", "IVIM of station 11111: 1 road signs"),
        ("signs taken down", "IVIM of station 15: 0 road signs, ended"),
        ("a request", "SREM of station 1513886192: 1 requests"),
        ("an answer", "SSEM of station 11111: 1 answers, 1 granted"),
    ],
)
def test_each_message_has_a_summary(what: str, summary: str) -> None:
    assert json.loads(decoded(ENCODED[what], "--json"))["summary"] == summary
