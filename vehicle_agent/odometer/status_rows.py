"""What the witnesses of the odometer say, as lines of a running vehicle's status for people."""

from collections.abc import Iterator, Mapping

from shared.cli.status_words import section

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


def _witness(witness: Document) -> str:
    odometer_m, factor = witness.get("odometer_m"), witness.get("factor")
    said = "nothing yet" if odometer_m is None else f"{odometer_m} m"
    known = f"factor {factor}" if witness.get("factor_settled") else "being learnt"
    sees = "" if witness.get("sees") else "; sees nothing now"
    return f"{said} ({known}, {witness.get('judged_m')} m judged, {witness.get('short_m')} m unexplained){sees}"
