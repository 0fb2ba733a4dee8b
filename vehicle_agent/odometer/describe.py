"""Where the odometer comes from, for `check-config`: one line, as records name the sources."""

from collections.abc import Iterator

from vehicle_agent.odometer.witnesses import COUNTERS, Witness
from vehicle_agent.requests.config import RequestsConfig
from vehicle_agent.signals.signal_map import SignalMap


def describe_odometer(signal_map: SignalMap, requests: RequestsConfig | None) -> Iterator[str]:
    """Say which odometers there can be, or that nothing will be recorded for want of one.

    Args:
        signal_map: what the buses could say.
        requests: what control units may be asked; None: nothing.
    """
    sources = {witness for field, witness in COUNTERS.items() if field in signal_map.fields()}
    if requests is not None and requests.obd:
        sources.add(Witness.OBD)
    if requests is not None and requests.odometer:
        sources.add(Witness.UDS)
    if sources:
        yield f"odometer: {', '.join(witness.value for witness in COUNTERS.values() if witness in sources)}"
    else:
        yield "no signal and no [requests] gives the odometer: nothing will be recorded"
