from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import ConfigError
from shared.messages.cdd import DriveDirection
from shared.service.config import MAX_CONFIG_OCTETS
from shared.transport.can_frame import CanFilter
from vehicle_agent.signals.dbc import MAX_DBC_BYTES
from vehicle_agent.signals.dbc_text import DbcText
from vehicle_agent.signals.map_check import check_map
from vehicle_agent.signals.map_dbc import MAX_DBC_FILES, MAX_IMPORTS
from vehicle_agent.signals.signal_map import SignalMap, load_signal_map
from vehicle_agent.signals.vss import FIELD_BY_PATH, LEAVES, field_named, name_of
from vehicle_agent.vehicle_state import FIELDS

DBC = """VERSION ""

NS_ :

BS_:

BU_: ECU

BO_ 256 SPEED: 8 ECU
 SG_ KMH : 0|16@1+ (0.01,0) [0|650] "km/h" ECU
 SG_ LEFT : 16|13@1+ (0.03125,0) [0|250] "kph" ECU
 SG_ RIGHT : 29|13@1+ (0.03125,0) [0|250] "kph" ECU
 SG_ TWIN : 8|16@1+ (1,0) [0|0] "" ECU
 SG_ SIGN : 51|1@1+ (1,0) [0|1] "" ECU
 SG_ COUNTER : 52|4@1+ (1,0) [0|15] "" ECU
 SG_ CHECKSUM : 56|8@1+ (1,0) [0|255] "" ECU

BO_ 512 BODY: 4 ECU
 SG_ GEAR : 0|3@1+ (1,0) [0|7] "" ECU
 SG_ LAMP : 3|1@1+ (1,0) [0|1] "" ECU
 SG_ DOORS : 4|2@1+ (1,0) [0|3] "" ECU
 SG_ UNITS : 6|2@1+ (1,0) [0|3] "" ECU
 SG_ ODOMETER : 8|20@1+ (1,0) [0|0] "" ECU

BO_ 768 BROKEN: 2 ECU
 SG_ OUTSIDE : 8|16@1+ (1,0) [0|0] "km/h" ECU

BO_ 2566844672 TWIN_ID: 8 ECU
 SG_ KMH : 0|16@1+ (0.01,0) [0|650] "km/h" ECU

VAL_ 512 GEAR 0 "P" 1 "R" 2 "N" 3 "D" 4 "D" ;
VAL_ 512 UNITS 1 "km" 2 "miles" ;
"""

SPEED = """
[fields.speed_mps]
signal = "SPEED.KMH"
unit = "km/h"
max_age_ms = 100
"""

ODOMETER = """
[fields.odometer_m]
signal = "BODY.ODOMETER"
unit_by = { signal = "UNITS", units = { km = "km", miles = "mile" } }
max_age_ms = 100
"""

Load = Callable[[str], SignalMap]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "car.dbc").write_text(DBC, encoding="cp1252")

    def load_text(fields: str) -> SignalMap:
        path = tmp_path / "car.toml"
        path.write_text(f'name = "Car"\ndbc = "car.dbc"\n{fields}', encoding="utf-8")
        check_map(path)
        return load_signal_map(path)

    return load_text


def test_a_map_resolves_to_what_decoding_needs(load: Load) -> None:
    signal_map = load(SPEED + '[messages.SPEED]\nchannel = "can1"\nchecksum = { rule = "crc8_j1850", signal = "CHECKSUM" }\n')
    (message,) = signal_map.messages
    assert (message.layout.name, message.channel) == ("SPEED", "can1")
    assert message.checksum is not None
    assert (message.checksum.byte, message.checksum.mask) == (7, 0xFF)
    assert signal_map.fields() == {"speed_mps"}
    assert set(signal_map.missing_fields()) == set(FIELDS) - {"speed_mps"}
    assert signal_map.filters() == (CanFilter(256, is_extended=False),)


def test_names_of_the_dbc_and_raw_numbers_both_say_what_a_value_means(load: Load) -> None:
    fields = """
[fields.drive_direction]
signal = "BODY.GEAR"
choices = { D = "forward", R = "backward", 0x7 = "unavailable", 0 = "unavailable" }
max_age_ms = 100
"""
    (message,) = load(fields).messages
    forward = DriveDirection.FORWARD
    assert dict(message.fields[0].choices) == {3: forward, 4: forward, 1: DriveDirection.BACKWARD, 7: None, 0: None}


@pytest.mark.parametrize(
    ("fields", "key", "reason"),
    [
        ("", "", "missing key `fields`"),
        ("[fields]\n", "fields", "feeds no field"),
        (SPEED + "wheel_size = 1\n", "fields.speed_mps", "unknown key `wheel_size`"),
        (SPEED.replace("speed_mps", "warp_factor"), "fields.warp_factor", "no such field"),
        (SPEED.replace("SPEED.KMH", "SPEEED.KMH"), "fields.speed_mps.signal", "no message SPEEED"),
        (
            SPEED.replace("SPEED.KMH", "SPEED.MPH"),
            "fields.speed_mps.signal",
            "message SPEED has no signal MPH; it has KMH, TWIN, LEFT",
        ),
        (SPEED.replace("SPEED.KMH", "KMH"), "fields.speed_mps.signal", "is not MESSAGE.SIGNAL"),
        (SPEED.replace("SPEED.KMH", "BROKEN.OUTSIDE"), "fields.speed_mps.signal", "does not fit the 2 bytes"),
        (SPEED.replace("km/h", "furlong"), "fields.speed_mps.unit", "no unit 'furlong'"),
        (SPEED.replace("km/h", "deg"), "fields.speed_mps.unit", "deg does not convert to m/s"),
        (SPEED.replace("km/h", "mph"), "fields.speed_mps.unit", "the DBC says km/h"),
        (SPEED.replace('unit = "km/h"\n', ""), "fields.speed_mps.unit", "one of unit and unit_by"),
        (SPEED.replace("100", "0"), "fields.speed_mps.max_age_ms", "must be 1"),
        (SPEED + "range = [10, 5]\n", "fields.speed_mps.range", "must lie within 0..163.81"),
        (SPEED + "range = [0, 1000]\n", "fields.speed_mps.range", "must lie within 0..163.81"),
        (SPEED + "choices = { 1 = true }\n", "fields.speed_mps.choices", "only flags and directions"),
        (SPEED + 'any_of = ["BODY.LAMP"]\n', "fields.speed_mps", "exactly one of"),
        (SPEED.replace('signal = "SPEED.KMH"', 'latitude = "SPEED.KMH"'), "fields.speed_mps", "belong together"),
        (
            SPEED.replace('signal = "SPEED.KMH"', 'mean_of = ["SPEED.LEFT", "BODY.ODOMETER"]'),
            "fields.speed_mps.mean_of",
            "signals of two messages, SPEED and BODY",
        ),
        (SPEED.replace('signal = "SPEED.KMH"', "mean_of = []"), "fields.speed_mps.mean_of", "names no signal"),
        (
            SPEED + '[fields.odometer_m]\nsignal = "SPEED.TWIN"\nunit = "km"\nmax_age_ms = 5\n',
            "messages.SPEED",
            "overlap",
        ),
        ('[fields.ignition_on]\nsignal = "BODY.DOORS"\nmax_age_ms = 5\n', "fields.ignition_on.choices", "one-bit flag"),
        (
            '[fields.ignition_on]\nsignal = "BODY.GEAR"\nchoices = { E = true }\nmax_age_ms = 5\n',
            "fields.ignition_on.choices.E",
            "no value named 'E'",
        ),
        (
            '[fields.ignition_on]\nsignal = "BODY.GEAR"\nchoices = { D = "forward" }\nmax_age_ms = 5\n',
            "fields.ignition_on.choices.D",
            "must be one of true, false",
        ),
        (
            '[fields.ignition_on]\nsignal = "BODY.GEAR"\nchoices = { D = true, 3 = false }\nmax_age_ms = 5\n',
            "fields.ignition_on.choices.3",
            "raw value 3 is given twice",
        ),
        ('[fields.ignition_on]\nsignal = "BODY.LAMP"\nunit = "1"\nmax_age_ms = 5\n', "fields.ignition_on.unit", "has no unit"),
        (
            '[fields.ignition_on]\nsignal = "BODY.LAMP"\nfactor = 2\nmax_age_ms = 5\n',
            "fields.ignition_on.factor",
            "only a quantity",
        ),
        (
            '[fields.odometer_m]\nsignal = "BODY.ODOMETER"\nunit_by = { signal = "UNIT", units = {} }\nmax_age_ms = 5\n',
            "fields.odometer_m.unit_by.signal",
            "no signal UNIT",
        ),
        (
            ODOMETER.replace('"mile"', '"g"'),
            "fields.odometer_m.unit_by.units.miles",
            "does not convert to m",
        ),
        (SPEED + '[messages.BODY]\nchannel = "x"\n', "messages.BODY", "no field comes from"),
        (SPEED + "[messages.BDOY]\n", "messages.BDOY", "no such message"),
        (
            SPEED + '[messages.SPEED]\nchecksum = { rule = "md5", signal = "CHECKSUM" }\n',
            "messages.SPEED.checksum.rule",
            "no rule 'md5'",
        ),
        (
            SPEED + '[messages.SPEED]\nchecksum = { rule = "honda", signal = "CHECKSUM" }\n',
            "messages.SPEED.checksum.signal",
            "must have 4 bits",
        ),
        (SPEED + '[messages.SPEED]\nchecksum = { rule = "toyota" }\n', "messages.SPEED.checksum", "one of signal and byte"),
        (SPEED + '[messages.SPEED]\nchecksum = { rule = "toyota", byte = 8 }\n', "messages.SPEED.checksum.byte", "has 8 bytes"),
        (SPEED + '[messages.SPEED]\ncounter = { signal = "COUNT" }\n', "messages.SPEED.counter.signal", "no signal COUNT"),
        (SPEED + '[messages.SPEED]\ncounter = { signal = "COUNTER", last = 16 }\n', "messages.SPEED.counter", "at most 15"),
    ],
)
def test_a_map_that_is_wrong_is_refused_with_file_key_and_reason(
    load: Load, tmp_path: Path, fields: str, key: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(fields)
    assert refusal.value.path == f"{tmp_path / 'car.toml'}" + (f": {key}" if key else "")
    assert reason in refusal.value.reason


def test_a_misspelt_key_is_named_with_its_field_and_the_keys_there_are(load: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        load(ODOMETER + SPEED.replace("max_age_ms", "max_age"))
    assert refused.value.path.endswith("car.toml: fields.speed_mps")
    assert "unknown key `max_age`; the keys here are signal, mean_of," in refused.value.reason


def test_a_key_of_a_wrong_kind_is_named_with_its_message(load: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        load(SPEED + "[messages.BODY]\n[messages.SPEED]\ncounter = { signal = 7 }\n")
    assert refused.value.path.endswith("car.toml: messages.SPEED.counter.signal")


def test_the_rules_there_are_are_listed_once_however_many_are_wrong(load: Load) -> None:
    wrong = 'checksum = { rule = "md5", byte = 0 }\n'
    with pytest.raises(ConfigError) as refused:
        load(f"{SPEED}{ODOMETER}[messages.SPEED]\n{wrong}[messages.BODY]\n{wrong}")
    assert refused.value.reason.count("there is no rule 'md5'") == 2
    assert refused.value.reason.count("there are ") == 1


class TestVss:
    def test_a_field_goes_by_its_path_or_by_its_own_name(self, load: Load) -> None:
        by_path = load(SPEED.replace("speed_mps", '"Vehicle.Speed"'))
        assert by_path.fields() == load(SPEED).fields() == {"speed_mps"}

    def test_a_field_named_twice_is_refused(self, load: Load) -> None:
        with pytest.raises(ConfigError, match=r"fields\.Vehicle\.Speed: is the same field as speed_mps"):
            load(SPEED + SPEED.replace("speed_mps", '"Vehicle.Speed"'))

    def test_a_path_that_means_no_field_is_refused(self, load: Load) -> None:
        with pytest.raises(ConfigError, match=r"nor path of VSS 6\.0 for one"):
            load(SPEED.replace("speed_mps", '"Vehicle.Cabin.DoorCount"'))

    @pytest.mark.parametrize(
        ("slip", "meant"),
        [("Vehicle.TravelledDistance", "Vehicle.TraveledDistance"), ("vehicle.speed", "Vehicle.Speed"), ("odometer", "odometer_m")],
    )
    def test_a_slip_is_answered_with_what_was_probably_meant(self, load: Load, slip: str, meant: str) -> None:
        with pytest.raises(ConfigError, match=f"did you mean {meant}"):
            load(SPEED.replace("speed_mps", f'"{slip}"'))

    def test_every_leaf_belongs_to_one_field(self) -> None:
        assert set(LEAVES) <= set(FIELDS)
        assert len(FIELD_BY_PATH) == len(LEAVES)
        assert all(field_named(name_of(field)) == field for field in FIELDS)


class TestSignsAndConditions:
    def test_a_bit_of_its_own_turns_the_sign(self, load: Load) -> None:
        fields = SPEED.replace("speed_mps", "yaw_rate_dps").replace("km/h", "deg/s") + 'factor = 10\nsign_by = "SIGN"\n'
        (message,) = load(fields).messages
        selector = message.fields[0].selector
        assert selector is not None
        assert {raw: unit.to_si(2.0) for raw, unit in selector.units.items()} == {0: 2.0, 1: -2.0}

    def test_a_sign_of_several_bits_is_refused(self, load: Load) -> None:
        with pytest.raises(ConfigError, match=r"sign_by: is a signal of one bit"):
            load(SPEED + 'sign_by = "COUNTER"\n')

    def test_a_value_is_there_only_where_its_flag_says_so(self, load: Load) -> None:
        (message,) = load(SPEED + "only_if = { SIGN = 1 }\n").messages
        ((condition, values),) = message.fields[0].signals[0].conditions
        assert condition.name == "SIGN"
        assert values == {1}

    def test_a_flag_that_is_not_in_the_message_is_refused(self, load: Load) -> None:
        with pytest.raises(ConfigError, match=r"only_if\.VALID: .*no signal VALID"):
            load(SPEED + "only_if = { VALID = 1 }\n")

    def test_a_rule_known_for_other_messages_is_refused(self, load: Load) -> None:
        with pytest.raises(ConfigError, match=r"rivian is known for 0x150, 0x208, not for 0x100"):
            load(SPEED + '[messages.SPEED]\nchecksum = { rule = "rivian", signal = "CHECKSUM" }\n')


class TestSeveralDbcs:
    EXTRA = 'VERSION ""\nBO_ 1024 EXTRA: 8 ECU\n SG_ ODOMETER : 0|24@1+ (1,0) [0|0] "km" ECU\n'
    FIELD = '[fields."Vehicle.TraveledDistance"]\nsignal = "EXTRA.ODOMETER"\nunit = "km"\nmax_age_ms = 5\n'

    def load(self, directory: Path, dbc: str, fields: str, **files: str) -> SignalMap:
        (directory / "car.dbc").write_text(DBC, encoding="cp1252")
        for name, text in files.items():
            (directory / f"{name}.dbc").write_text(text, encoding="cp1252")
        (directory / "car.toml").write_text(f'name = "Car"\ndbc = {dbc}\n{fields}', encoding="utf-8")
        return load_signal_map(directory / "car.toml")

    def test_a_map_takes_messages_of_several_files(self, tmp_path: Path) -> None:
        loaded = self.load(tmp_path, '["car.dbc", "extra.dbc"]', SPEED + self.FIELD, extra=self.EXTRA)
        assert [message.layout.name for message in loaded.messages] == ["SPEED", "EXTRA"]

    def test_a_message_that_two_files_describe_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"message SPEED is described by .*car\.dbc and by .*extra\.dbc"):
            self.load(tmp_path, '["car.dbc", "extra.dbc"]', SPEED, extra=DBC)

    def test_a_map_names_at_least_one_file_and_not_too_many(self, tmp_path: Path) -> None:
        for dbc in ("[]", str(["car.dbc"] * (MAX_DBC_FILES + 1)).replace("'", '"')):
            with pytest.raises(ConfigError, match="a map names 1 to"):
                self.load(tmp_path, dbc, SPEED)

    def test_a_file_brings_what_it_imports_with_it(self, tmp_path: Path) -> None:
        importing = 'CM_ "IMPORT car.dbc";\n' + self.EXTRA
        loaded = self.load(tmp_path, '"whole.dbc"', SPEED + self.FIELD, whole=importing)
        assert {message.layout.name for message in loaded.messages} == {"SPEED", "EXTRA"}

    def test_files_that_import_each_other_end(self, tmp_path: Path) -> None:
        whole, other = 'CM_ "IMPORT other.dbc";\n' + DBC, 'CM_ "IMPORT whole.dbc";\n' + self.EXTRA
        assert self.load(tmp_path, '"whole.dbc"', SPEED + self.FIELD, whole=whole, other=other).messages

    def test_an_endless_chain_of_imports_is_refused(self, tmp_path: Path) -> None:
        files = {f"part{n}": f'CM_ "IMPORT part{n + 1}.dbc";\n' for n in range(MAX_IMPORTS + 2)}
        with pytest.raises(ConfigError, match=f"imports more than {MAX_IMPORTS} files"):
            self.load(tmp_path, '"part0.dbc"', SPEED, **files)

    @pytest.mark.parametrize(
        "fault",
        [
            'BO_ 100000 WIDE: 8 ECU\n SG_ A : 0|8@1+ (1,0) [0|0] "" ECU\n',
            'BO_ 300 2017_5: 8 ECU\n SG_ A : 0|8@1+ (1,0) [0|0] "" ECU\n',
            'CM_ 145 "no such thing as a comment on a number";\n',
            'VAL_ 999 NOBODY 1 "x" ;\n',
        ],
    )
    def test_a_fault_elsewhere_in_the_file_does_no_harm(self, tmp_path: Path, fault: str) -> None:
        loaded = self.load(tmp_path, '"faulty.dbc"', SPEED, faulty=DBC + "\n" + fault)
        assert loaded.fields() == {"speed_mps"}

    def test_an_identifier_too_large_for_eleven_bits_has_twenty_nine(self, tmp_path: Path) -> None:
        wide = self.EXTRA.replace("1024", "3221226") + ' SG_ 0_NAME : 32|8@1+ (1,0) [0|0] "" ECU\n'
        wide += 'VAL_ 3221226 ODOMETER 16777215 "unknown"\nVAL_ 77 OTHER 1 "x" ;\n'
        (message,) = self.load(tmp_path, '"wide.dbc"', self.FIELD, wide=wide).messages
        assert (message.layout.arbitration_id, message.layout.is_extended) == (3221226, True)
        assert message.fields[0].signals[0].choices == {16777215: "unknown"}


class TestANameOfSeveralMessages:
    """Some files describe one name under two identifiers: a device in two settings."""

    TWICE = DBC.replace("BO_ 512 BODY", 'BO_ 320 SPEED: 8 ECU\n SG_ KMH : 8|16@1+ (0.01,0) [0|650] "km/h" ECU\n\nBO_ 512 BODY')

    def load(self, directory: Path, fields: str) -> SignalMap:
        (directory / "car.dbc").write_text(self.TWICE, encoding="cp1252")
        (directory / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{fields}')
        return load_signal_map(directory / "car.toml")

    def test_it_is_refused_with_both_identifiers(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"message SPEED as 0x100 and as 0x140: say which by \[messages\.SPEED\] id = 0x100"):
            self.load(tmp_path, SPEED)

    @pytest.mark.parametrize(("identifier", "first_byte"), [(0x100, 0), (0x140, 1)])
    def test_a_map_says_which_is_meant(self, tmp_path: Path, identifier: int, first_byte: int) -> None:
        (message,) = self.load(tmp_path, f"{SPEED}[messages.SPEED]\nid = {identifier:#x}\n").messages
        assert message.layout.arbitration_id == identifier
        assert message.fields[0].signals[0].first_byte == first_byte

    def test_an_identifier_that_the_name_does_not_have_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no message SPEED has the identifier 0x141"):
            self.load(tmp_path, f"{SPEED}[messages.SPEED]\nid = 0x141\n")

    def test_a_name_of_one_message_needs_no_word(self, tmp_path: Path) -> None:
        (message,) = self.load(tmp_path, ODOMETER).messages
        assert message.layout.arbitration_id == 0x200


def test_years_that_run_backwards_are_refused(tmp_path: Path) -> None:
    (tmp_path / "car.dbc").write_text(DBC, encoding="cp1252")
    (tmp_path / "car.toml").write_text(f'name = "Car"\nyears = [2020, 2018]\ndbc = "car.dbc"\n{SPEED}', encoding="utf-8")
    with pytest.raises(ConfigError, match="the last year is before the first"):
        load_signal_map(tmp_path / "car.toml")


@given(st.text(alphabet=st.sampled_from('BO_SGVALCM :;"\\\n019M|@+()[],x'), max_size=300))
def test_any_text_is_taken_apart(text: str) -> None:
    parts = DbcText(DBC[:400] + text)
    assert set(parts.identifiers()) == set(parts.names())
    assert bool(parts.only(dict.fromkeys(parts.names()))) is bool(parts.names())


def test_all_faults_are_named_at_once(load: Load) -> None:
    fields = SPEED.replace("KMH", "MPH") + SPEED.replace("speed_mps", "odometer_m").replace("km/h", "mile")
    with pytest.raises(ConfigError, match=r"2 faults: fields.speed_mps.signal: .*; fields.odometer_m.unit: .*km/h"):
        load(fields)


def test_a_unit_that_the_dbc_states_wrongly_can_be_overruled(load: Load) -> None:
    (message,) = load(SPEED.replace("km/h", "mph") + "dbc_unit_is_wrong = true\n").messages
    assert message.fields[0].unit is not None
    assert message.fields[0].unit.to_si(1.0) == pytest.approx(0.44704)


@pytest.mark.parametrize("correction", ["factor = 0", "factor = nan", "factor = inf", "offset = nan", "offset = -inf"])
def test_a_correction_that_leaves_nothing_of_the_signal_is_refused(load: Load, correction: str) -> None:
    with pytest.raises(ConfigError, match=r"fields\.speed_mps\.(factor|offset): must be a finite number"):
        load(SPEED + correction + "\n")


def test_a_range_that_no_payload_can_reach_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"fields\.speed_mps: no payload gives a believable value: .* is outside 0\.\.1"):
        load(SPEED + "range = [0, 1]\noffset = 7200\n")


class TestFiles:
    def test_a_map_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read: No such file"):
            load_signal_map(tmp_path / "none.toml")

    def test_a_map_that_is_no_toml(self, tmp_path: Path) -> None:
        (tmp_path / "car.toml").write_bytes(b"name = \xff\n")
        with pytest.raises(ConfigError, match=r"car\.toml"):
            load_signal_map(tmp_path / "car.toml")

    def test_a_map_without_end(self, tmp_path: Path) -> None:
        (tmp_path / "car.toml").write_bytes(b"#" * (MAX_CONFIG_OCTETS + 1))
        with pytest.raises(ConfigError, match="longer than"):
            load_signal_map(tmp_path / "car.toml")

    @pytest.mark.parametrize(
        ("reference", "reason"),
        [
            ("none.dbc", "cannot read the DBC .*none.dbc: No such file"),
            ("package:no_such_package_here/x.dbc", "'no_such_package_here' is not installed"),
            ("package:opendbc", "is not package:NAME/path"),
            ("package:opendbc/../secret.dbc", "is not package:NAME/path"),
            ("car\\u0000.dbc", "is no path"),
        ],
    )
    def test_a_dbc_that_is_not_there(self, tmp_path: Path, reference: str, reason: str) -> None:
        (tmp_path / "car.toml").write_text(f'name = "Car"\ndbc = "{reference}"\n{SPEED}', encoding="utf-8")
        with pytest.raises(ConfigError, match=reason) as refusal:
            load_signal_map(tmp_path / "car.toml")
        assert refusal.value.path.endswith("car.toml: dbc")

    @pytest.mark.parametrize(
        "content",
        [b"", b"BO_ 256 SPEED", b"\x00\xff" * 100, DBC.encode().replace(b"(0.01,0)", b"(0.01"), b'VERSION ""\n'],
        ids=["empty", "cut", "binary", "one bracket missing", "no message"],
    )
    def test_a_dbc_that_does_not_load(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "car.dbc").write_bytes(content)
        (tmp_path / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{SPEED}', encoding="utf-8")
        with pytest.raises(ConfigError, match=r"car\.toml: dbc: the DBC .*car\.dbc (does not load|describes no message)"):
            load_signal_map(tmp_path / "car.toml")

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("BO_ 256 SPEED: 8", "BO_ 256 SPEED: 4294967295", "a message of 4294967295 bytes"),
            ("KMH : 0|16@", "KMH : 0|4294967295@", "a signal of 4294967295 bits from bit 0"),
            ("KMH : 0|16@", "KMH : 4294967295|16@", "a signal of 16 bits from bit 4294967295"),
            ("KMH : 0|16@", f"KMH : 0|{'9' * 5_000}\n@", "a signal of 9999"),
            ("VERSION", "SG_MUL_VAL_ 256 KMH LEFT 0-4294967295;\nVERSION", "a multiplexer with the values 0-4294967295"),
        ],
    )
    def test_a_dbc_with_impossible_sizes_is_refused_at_once(self, tmp_path: Path, old: str, new: str, reason: str) -> None:
        assert old in DBC
        (tmp_path / "car.dbc").write_text(DBC.replace(old, new), encoding="utf-8")
        (tmp_path / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{SPEED}', encoding="utf-8")
        with pytest.raises(ConfigError, match=f"does not load: {reason}"):
            load_signal_map(tmp_path / "car.toml")

    @pytest.mark.parametrize("scaling", ["(1e308,0)", "(1e19,0)", "(1,-1e300)"])
    def test_a_signal_scaled_beyond_every_number_is_refused(self, tmp_path: Path, scaling: str) -> None:
        (tmp_path / "car.dbc").write_text(DBC.replace("(0.01,0)", scaling), encoding="utf-8")
        (tmp_path / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{SPEED}', encoding="utf-8")
        with pytest.raises(ConfigError, match=r"fields\.speed_mps\.signal: .*is scaled by"):
            load_signal_map(tmp_path / "car.toml")

    def test_a_dbc_without_end(self, tmp_path: Path) -> None:
        with (tmp_path / "car.dbc").open("wb") as file:
            file.truncate(MAX_DBC_BYTES + 1)
        (tmp_path / "car.toml").write_text(f'name = "Car"\ndbc = "car.dbc"\n{SPEED}', encoding="utf-8")
        with pytest.raises(ConfigError, match="is larger than"):
            load_signal_map(tmp_path / "car.toml")
