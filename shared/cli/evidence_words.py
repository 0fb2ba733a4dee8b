"""What evidence proves, as words for people and as one JSON object for machines."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shared.cli.evidence import LIGHT_WORDS, Answer, Shown, Told
from shared.core.clock import NS_PER_S, UtcNs
from shared.core.ids import IntersectionId
from shared.core.itstime import utc_text
from shared.facilities.hazard_words import hazard_words
from shared.messages.denm import Denm
from shared.records.evidence import Evidence, HeldRecord
from shared.records.evidence_record import EvidenceKind, decode_record


def print_answer(console: Console, answer: Answer) -> None:
    """Say what is proven, and by what."""
    for sentence in lights_sentences(answer):
        console.print(sentence, style="bold", markup=False)
    if answer.said is not None:
        console.print(_lights_table(answer.lights))
        console.print(_how_long(answer), markup=False)
    for told in answer.warnings:
        console.print(_warning(told), markup=False)
    if answer.account:
        console.print(_account_table(answer.account))
        console.print("This table is the unit's own account: unchanged since, but nobody else's word.")
    for finding in answer.findings:
        mark, style = ("! ", "bold red") if finding.is_serious else ("- ", "yellow")
        console.print(mark + finding.text, style=style, markup=False)
    for sentence in _proof_sentences(answer):
        console.print(sentence, style="green", markup=False)


def print_claims(console: Console, evidence: Evidence) -> None:
    """Say what a file claims, with nothing checked."""
    table = Table("kind", "what", "number", "UTC", "octets", title=f"Evidence for {utc_text(evidence.at)}", title_justify="left")
    for piece in evidence.pieces:
        record = decode_record(piece.entry)
        when = "not known" if record.utc is None else utc_text(record.utc)
        table.add_row(record.kind.value, escape(record.word), str(record.number), when, str(len(record.packet)))
    console.print(table)


def lights_sentences(answer: Answer) -> tuple[str, ...]:
    """Return what each signal group showed, a sentence each."""
    where = f"roadside unit {answer.station_id} {'showed' if answer.is_known else 'had last told'}"
    return tuple(
        f"On {utc_text(answer.at)[:10]} at {utc_text(answer.at)[11:-1]} UTC {where}"
        f" for junction {junction_text(each.junction)}"
        f"{f' ({answer.name})' if answer.name else ''}, signal group {each.group}: {LIGHT_WORDS[each.phase]}."
        for each in answer.lights
    )


def junction_text(junction: IntersectionId) -> str:
    """Return region and number as they are usually written."""
    return f"{junction.region or 0}/{junction.number}"


def answer_as_json(answer: Answer) -> dict[str, object]:
    """Return what is proven as JSON values."""
    return {
        "verified": True,
        "kind": "evidence",
        "at": utc_text(answer.at),
        "station_id": answer.station_id,
        "name": answer.name,
        "known": answer.is_known,
        "lights": [
            {
                "junction": junction_text(each.junction),
                "group": each.group,
                "phase": each.phase.name.lower(),
                "words": LIGHT_WORDS[each.phase],
                "ends_earliest": _text(each.ends_earliest),
                "ends_latest": _text(each.ends_latest),
                "lanes": list(each.lanes),
                "then": None if each.then is None else each.then.name.lower(),
            }
            for each in answer.lights
        ],
        "said": None if answer.said is None else utc_text(answer.said.generated),
        "following": None if answer.following is None else utc_text(answer.following.generated),
        "warnings": [{"utc": utc_text(each.generated), "words": _warning_words(each)} for each in answer.warnings],
        "account": [
            {"kind": r.kind.value, "word": r.word, "utc": _text(r.utc), "detail": r.detail, "octets": len(r.packet)}
            for r in (each.record for each in answer.account)
        ],
        "signers": [{"ticket": ticket.hex(), "root": root.hex()} for ticket, root in answer.signers],
        "batches": [_batch_json(each) for each in _batches(answer).values()],
        "findings": [{"serious": each.is_serious, "text": each.text} for each in answer.findings],
    }


def _lights_table(lights: tuple[Shown, ...]) -> Table:
    table = Table("group", "light", "said to end (UTC)", "lanes", "next message")
    for each in lights:
        if each.ends_earliest is None:
            ends = "not said"
        elif each.ends_latest is None or each.ends_latest == each.ends_earliest:
            ends = utc_text(each.ends_earliest)[11:-1]
        else:
            ends = f"{utc_text(each.ends_earliest)[11:-1]} to {utc_text(each.ends_latest)[11:-1]}"
        then = "not told" if each.then is None else LIGHT_WORDS[each.then]
        table.add_row(str(each.group), LIGHT_WORDS[each.phase], ends, ", ".join(map(str, each.lanes)) or "no map", then)
    return table


def _how_long(answer: Answer) -> str:
    assert answer.said is not None
    assert answer.following is not None
    before_s = (answer.at - answer.said.generated) / NS_PER_S
    said = f"The unit said so at {utc_text(answer.said.generated)[11:-1]}, {before_s:.3f} s before"
    after_s = (answer.following.generated - answer.at) / NS_PER_S
    then = utc_text(answer.following.generated)[11:-1]
    return f"{said}; its next message is of {then}, {after_s:.3f} s after. Between the two it said nothing else."


def _warning(told: Told) -> str:
    return f"At {utc_text(told.generated)[11:-1]} the unit warned: {_warning_words(told)}."


def _warning_words(told: Told) -> str:
    message = told.indication.message
    assert isinstance(message, Denm)
    if message.termination is not None:
        return f"event {message.action_id.sequence_number} is over"
    words = hazard_words(message.cause_code or 0, message.sub_cause_code)
    if message.lat_deg is None or message.lon_deg is None:
        return words
    return f"{words} at {message.lat_deg:.6f}, {message.lon_deg:.6f}"


def _account_table(account: tuple[HeldRecord, ...]) -> Table:
    table = Table()
    for title in ("UTC", "what", "reason", "in words"):
        table.add_column(title, overflow="fold")
    for each in account:
        record = each.record
        what = {EvidenceKind.REFUSED: "refused a packet", EvidenceKind.NOTED: "told its operator"}.get(record.kind, "counted")
        when = "not known" if record.utc is None else utc_text(record.utc)
        table.add_row(when, what, escape(record.word), escape(record.detail))
    return table


def _proof_sentences(answer: Answer) -> tuple[str, ...]:
    signed = ", ".join(f"{ticket.hex()} (root {root.hex()})" for ticket, root in answer.signers)
    sentences = [f"Genuine: every message of the unit is unchanged and signed under {signed}."] if signed else []
    for each in _batches(answer).values():
        batch = each.batch
        seen = f"; a witness had seen it there by {utc_text(batch.seen_by)[:19]}Z" if batch.seen_by is not None else ""
        names = ", ".join(sighting.witness for sighting in batch.sightings) or "none"
        where = f"batch {batch.statement.number} is entry {batch.log_index} of {batch.log}"
        sentences.append(f"Held by the ledger: {where} (witnesses: {names}){seen}.")
    return tuple(sentences)


def _batches(answer: Answer) -> Mapping[int, HeldRecord]:
    return {each.batch.statement.number: each for each in answer.held}


def _batch_json(held: HeldRecord) -> dict[str, object]:
    batch = held.batch
    return {
        "number": batch.statement.number,
        "log": batch.log,
        "log_index": batch.log_index,
        "witnesses": [{"name": each.witness, "timestamp_s": each.timestamp_s} for each in batch.sightings],
        "seen_by": _text(batch.seen_by),
    }


def _text(utc: UtcNs | None) -> str | None:
    return None if utc is None else utc_text(utc)
