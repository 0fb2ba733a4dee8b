"""What `v2x decode` shows of a special vehicle's CAM: which container it is, and what stands in it."""

import json

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from shared.cli.main import app
from shared.messages.cam import encode_cam
from shared.messages.cam_special import ALTERNATIVES
from tests.unit.messages.message_samples import SILENT_CAR, SPECIAL_VEHICLES


def shown(encoded: bytes) -> str:
    result = CliRunner().invoke(app, ["decode", "--json", encoded.hex()])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("who", SPECIAL_VEHICLES)
def test_the_container_is_shown_under_its_name(who: str) -> None:
    special = SPECIAL_VEHICLES[who]
    output = shown(encode_cam(replace(SILENT_CAR, special_vehicle=special)))
    assert f'"{ALTERNATIVES[type(special)]}"' in output
    fields = {name for name in special.__struct_fields__ if getattr(special, name) is not None}
    assert all(f'"{name}"' in output for name in fields)
    json.loads(output)


def test_flags_and_causes_are_shown_in_words() -> None:
    output = shown(encode_cam(replace(SILENT_CAR, special_vehicle=SPECIAL_VEHICLES["a fire engine"])))
    assert "request_for_right_of_way" in output
    assert "siren_activated" in output
    output = shown(encode_cam(replace(SILENT_CAR, special_vehicle=SPECIAL_VEHICLES["a safety car"])))
    assert "human_presence_on_the_road" in output
    assert "no_passing" in output


def test_a_container_of_a_later_version_is_shown_as_its_octets() -> None:
    assert '"_ext_3": "c0de"' in shown(encode_cam(replace(SILENT_CAR, special_vehicle=("_ext_3", b"\xc0\xde"))))
