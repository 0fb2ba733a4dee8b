"""What a signal controller's datagram says, as JSON values with units in their names.

Numbers of phases and overlaps are listed under what they show. Entries without any time other than zero are left out: controllers
send sixteen, however few they use.
"""

from collections.abc import Mapping

from shared.messages.tscbm import NUMBERS, TimesToChange, Tscbm

_PLAIN = ("sequence", "status", "time_base", "discontinuity")
_TIMES = TimesToChange.__struct_fields__


def describe_tscbm(message: Tscbm) -> Mapping[str, object]:
    """Return a datagram of NTCIP 1202."""
    time_of_day = f"{message.hour:02}:{message.minute:02}:{message.second:02}.{message.millisecond:03}"
    described: dict[str, object] = {"time_of_day": time_of_day, **{name: getattr(message, name) for name in _PLAIN}}
    for name in Tscbm.__struct_fields__:
        numbers = getattr(message, name)
        if isinstance(numbers, frozenset) and numbers:
            described[name] = sorted(numbers)
    described["times"] = [
        {"number": number, **known}
        for number, times in zip(NUMBERS, message.times, strict=True)
        if any((known := {name: value for name in _TIMES if (value := getattr(times, name)) is not None}).values())
    ]
    return described
