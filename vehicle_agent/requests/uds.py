"""UDS answers (ISO 14229-1): ReadDataByIdentifier's positive response, and negative ones with the words of the standard.

What an identifier holds is the maker's business but for a few of Annex C.1, which name a control unit and its software. Some
negative responses are no answer yet: `RESPONSE_PENDING` says that one follows, `BUSY_REPEAT_REQUEST` asks to come again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.core.errors import DecodeError

NEGATIVE_RESPONSE = 0x7F
READ_RESPONSE = 0x62

VIN = 0xF190
IDENTIFIERS: Mapping[int, str] = MappingProxyType(
    {
        VIN: "vin",
        0xF18C: "serial_number",
        0xF187: "part_number",
        0xF191: "hardware_number",
        0xF188: "software_number",
        0xF189: "software_version",
        0xF18A: "supplier",
    }
)
"""What is asked of every unit by UDS, with the name it is kept by."""

MAX_IDENTIFIER_CHARACTERS = 64
"""What is kept of an identifier."""

BUSY_REPEAT_REQUEST = 0x21
RESPONSE_PENDING = 0x78

NEGATIVE_RESPONSES: Mapping[int, str] = MappingProxyType(
    {
        0x10: "general_reject",
        0x11: "service_not_supported",
        0x12: "sub_function_not_supported",
        0x13: "incorrect_message_length_or_invalid_format",
        0x14: "response_too_long",
        BUSY_REPEAT_REQUEST: "busy_repeat_request",
        0x22: "conditions_not_correct",
        0x24: "request_sequence_error",
        0x25: "no_response_from_subnet_component",
        0x26: "failure_prevents_execution_of_requested_action",
        0x31: "request_out_of_range",
        0x33: "security_access_denied",
        0x34: "authentication_required",
        0x35: "invalid_key",
        0x36: "exceeded_number_of_attempts",
        0x37: "required_time_delay_not_expired",
        0x70: "upload_download_not_accepted",
        0x71: "transfer_data_suspended",
        0x72: "general_programming_failure",
        0x73: "wrong_block_sequence_counter",
        RESPONSE_PENDING: "response_pending",
        0x7E: "sub_function_not_supported_in_active_session",
        0x7F: "service_not_supported_in_active_session",
        0x81: "rpm_too_high",
        0x82: "rpm_too_low",
        0x83: "engine_is_running",
        0x84: "engine_is_not_running",
        0x85: "engine_run_time_too_low",
        0x86: "temperature_too_high",
        0x87: "temperature_too_low",
        0x88: "vehicle_speed_too_high",
        0x89: "vehicle_speed_too_low",
        0x92: "voltage_too_high",
        0x93: "voltage_too_low",
        0x94: "resource_temporarily_not_available",
    }
)
"""Response codes of Annex A.1 in words."""


@dataclass(frozen=True, slots=True)
class NegativeResponse:
    """A unit does not do what it was asked; `service` is what it refuses, `code` says why."""

    service: int
    code: int

    @property
    def words(self) -> str:
        """The standard's words, `request_out_of_range`; `code_ab` for one it reserves or leaves to the maker."""
        return NEGATIVE_RESPONSES.get(self.code, f"code_{self.code:02x}")


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What an identifier holds."""

    identifier: int
    octets: bytes


def negative_response(answer: bytes) -> NegativeResponse | None:
    """Return the negative response in an answer; None where it is none.

    Raises:
        DecodeError: it begins as one and is cut short.
    """
    if not answer or answer[0] != NEGATIVE_RESPONSE:
        return None
    if len(answer) < 3:
        raise DecodeError("uds.negative_response", f"has {len(answer)} octets, not 3")
    return NegativeResponse(answer[1], answer[2])


def data_record(answer: bytes) -> DataRecord:
    """Return what an answer to ReadDataByIdentifier with one identifier holds; raises `DecodeError`."""
    if len(answer) < 4 or answer[0] != READ_RESPONSE:
        raise DecodeError("uds", f"{answer[:3].hex()} is no answer to ReadDataByIdentifier")
    return DataRecord(int.from_bytes(answer[1:3], "big"), answer[3:])
