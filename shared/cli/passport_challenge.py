"""`v2x passport challenge`: what an inspector shows a vehicle, so that the reading it gives cannot have been recorded before."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.cli.issuer_options import present
from shared.core.errors import ConfigError, DecodeError
from shared.records.challenge import Answer, Answered, challenge_text, check_answer, draw_challenge, parse_challenge
from shared.records.odometer import OdometerSource
from shared.records.passport import VerifiedPassport
from shared.records.record import DisclosedRecord
from shared.service.keystore import write_new_file
from shared.service.qr_code import qr_file, qr_terminal

_MODE = 0o644


def challenge(
    qr: Annotated[Path | None, typer.Option(help="New file (.svg, .png) with it as a QR code.", metavar="FILE")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Draw a fresh challenge for a vehicle: show it, say it, or hand it over by NFC; `vehicle-agent inspect` answers it."""
    text = challenge_text(draw_challenge(os.urandom))
    if qr is not None:
        write_new_file(qr, qr_file(text, qr.suffix, "--qr"), mode=_MODE)
    if as_json:
        typer.echo(json.dumps({"challenge": text}))
        return
    typer.echo(text)
    if Console().is_terminal:
        typer.echo(qr_terminal(text))


def nonce_of_option(text: str | None) -> bytes | None:
    """Return the nonce that `--nonce` names; raises `ConfigError` where it is mistyped."""
    try:
        return None if text is None else parse_challenge(text)
    except DecodeError as error:
        raise ConfigError("--nonce", error.reason) from None


def answered_by_passport(verified: VerifiedPassport, nonce: bytes) -> Answered:
    """Return which record of a passport answers a challenge; raises `RecordError`."""
    answers = [
        Answer(
            seq=r.seq,
            nonce=r.nonce,
            is_own=r.is_own,
            odometer_m=r.odometer_m,
            occurred=r.occurred,
            reading_age_ms=_age_ms(r.sources),
        )
        for r in verified.readings
    ]
    return check_answer(answers, nonce, present().require_utc())


def answered_by_record(record: DisclosedRecord, nonce: bytes) -> Answered:
    """Return whether a verified record answers a challenge; raises `RecordError`."""
    answer = Answer(
        seq=record.seq,
        nonce=record.nonce,
        is_own=record.subject is None,
        odometer_m=record.odometer_m,
        occurred=record.occurred,
        reading_age_ms=_age_ms(record.sources),
    )
    return check_answer((answer,), nonce, present().require_utc())


def answered_json(answered: Answered | None) -> dict[str, object] | None:
    """Return it as JSON values."""
    if answered is None:
        return None
    return {
        "seq": answered.seq,
        "age_ms": None if answered.age_ns is None else answered.age_ns // 1_000_000,
        "reading_age_ms": answered.reading_age_ms,
        "fresh": answered.is_fresh,
    }


def _age_ms(sources: tuple[OdometerSource, ...]) -> int | None:
    """How old a reading was when it was recorded; the first of its sources is the one recorded."""
    return sources[0].age_ms if sources else None
