"""What `vehicle-agent status` says about questions to control units: rows of a table for people."""

from collections.abc import Iterator, Mapping

from shared.cli.status_words import items, pairs, section, text, yes_no

_QUIET = {
    "ignition_off": "quiet: the ignition is off, or nothing says that it is on",
    "asleep": "quiet: the vehicle is taken to be parked",
    "other_tester": "quiet: another tester is at work",
    "not_at_standstill": "asked what may be asked now; the rest waits for a standstill",
}


def request_rows(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each row; none where nothing may be asked."""
    yield from _asked(document, section(document, "requests"))
    yield from _known(section(document, "parts"))


def _asked(document: Mapping[str, object], requests: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if not requests:
        return
    state = _QUIET.get(str(requests.get("quiet")), "asked") if requests.get("asks") else "only listened to"
    units = requests.get("units")
    names = ", ".join(map(str, units)) if isinstance(units, list) and units else "no unit is known yet"
    yield f"on {requests.get('bus')}", f"{state}; {names}"
    for name, meaning in (("counters", "questions and answers"), ("faults", "answers at fault"), ("refusals", "refused")):
        if requests.get(name):
            yield meaning, pairs(requests.get(name))
    for witness in items(requests.get("witnesses")):
        value = witness.get("value")
        words = (
            f"{value:g}" if isinstance(value, float) and abs(value) < 1_000 else f"{value:.0f}" if isinstance(value, float) else ""
        )
        yield f"{witness.get('source')}", f"{text(witness.get('quantity'))} {words}"
    carried = section(document, "requests_carried_out")
    if carried.get("failed"):
        yield "could not be sent", f"{pairs(carried.get('failed'))}: {text(carried.get('last_fault'))}"


def _known(identity: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    if identity.get("surveys"):
        told = {
            name: identity.get(name) for name in ("surveys", "recorded", "replaced", "reprogrammed", "unknown") if name in identity
        }
        yield "who they are", f"{pairs(told)}; VIN known: {yes_no(identity.get('vin_known'))}"
    if identity.get("other_vehicle"):
        yield "other vehicle", "the control units are those of another vehicle than the one whose records are kept here"
