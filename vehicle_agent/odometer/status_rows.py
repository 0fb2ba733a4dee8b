"""What the witnesses of the odometer say, as lines of a running vehicle's status for people."""

from collections.abc import Iterator, Mapping

from shared.cli.status_words import section
from shared.records.findings import km_text

Document = Mapping[str, object]

_VERDICTS = {
    "agree": "the witnesses agree",
    "disagree": "somebody contradicts",
    "alone": "nobody else saw anything",
    "learning": "the witnesses have not seen enough yet",
}


def witness_rows(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the verdict, what is odd now, and each witness."""
    judgement = section(section(document, "odometer"), "judgement")
    if not judgement:
        return
    missing = judgement.get("missing_permille")
    share = f"; {missing / 10:.0f} % of the distance is missing" if isinstance(missing, int) else ""
    yield "verdict", f"{_VERDICTS.get(str(judgement.get('verdict')), str(judgement.get('verdict')))}{share}"
    flags = judgement.get("lasting_flags")
    if isinstance(flags, list) and flags:
        yield "odd now", ", ".join(map(str, flags))
    carried_m = judgement.get("carried_m")
    if carried_m:
        yield "carried", f"{carried_m} m since the start: a ferry, a train, a tow"
    for name, witness in section(judgement, "witnesses").items():
        if isinstance(witness, Mapping):
            yield f"witness {name}", _witness(witness)


def waiting_words(odometer: Document) -> str | None:
    """Say which reading is heard and not believed yet, and what it waits for; None where there is none."""
    waiting = section(odometer, "waiting")
    odometer_m = waiting.get("odometer_m")
    if not isinstance(odometer_m, int):
        return None
    match waiting.get("waits_for"):
        case "agreeing":
            why = "one reading is not believed alone"
        case "counting":
            limit = f"{waiting.get('believed_after_s')} s ({waiting.get('heard_s')} s so far)"
            why = f"the vehicle has not driven far enough for it to count, nor has the reading stood for {limit}"
        case "staying":
            why = "it showed something else before"
        case _:
            why = "a better odometer of the vehicle may still speak up"
    return f"{km_text(odometer_m)} is shown ({waiting.get('odometer')}), not confirmed yet: {why}; see docs/odometer.md"


def _witness(witness: Document) -> str:
    odometer_m, factor = witness.get("odometer_m"), witness.get("factor")
    said = "nothing yet" if odometer_m is None else f"{odometer_m} m"
    known = f"factor {factor}" if witness.get("factor_settled") else "being learnt"
    sees = "" if witness.get("sees") else "; sees nothing now"
    return f"{said} ({known}, {witness.get('judged_m')} m judged, {witness.get('short_m')} m unexplained){sees}"
