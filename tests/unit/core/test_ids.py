import pytest

from shared.core.ids import MESSAGE_BINDINGS, BtpPort, ItsAid, MessageId

BINDINGS = [
    ("CAM", 2, 36, 2001),
    ("DENM", 1, 37, 2002),
    ("MAPEM", 5, 138, 2003),
    ("SPATEM", 4, 137, 2004),
    ("IVIM", 6, 139, 2006),
    ("SREM", 9, 140, 2007),
    ("SSEM", 10, 637, 2008),
    ("RTCMEM", 13, 540_802, 2013),
]


@pytest.mark.parametrize(("name", "message_id", "its_aid", "port"), BINDINGS)
def test_a_message_has_the_registered_numbers(name: str, message_id: int, its_aid: int, port: int) -> None:
    binding = MESSAGE_BINDINGS[MessageId[name]]
    assert (binding.message_id, binding.its_aid, binding.port) == (message_id, its_aid, port)


def test_every_message_has_a_binding_and_no_two_share_a_number() -> None:
    assert set(MESSAGE_BINDINGS) == set(MessageId)
    assert len({binding.its_aid for binding in MESSAGE_BINDINGS.values()}) == len(MESSAGE_BINDINGS)
    assert {binding.port for binding in MESSAGE_BINDINGS.values()} == set(BtpPort)


def test_an_application_that_is_no_message_has_no_port() -> None:
    assert ItsAid.CRL not in {binding.its_aid for binding in MESSAGE_BINDINGS.values()}
