"""`v2x data`: somebody asks a vehicle for records, and reads the answer.

    v2x data request     signs a request under an enrolment credential, with a fresh key that the answer is encrypted to
    v2x data show FILE   what a request asks for, and who asks
    v2x data open FILE   decrypts an answer and verifies everything in it

    DIR/request.json         what `request` makes: this goes to the vehicle's holder
    DIR/response-key.pem     and this stays (mode 0600): nothing else opens the answer

The vehicle answers with `vehicle-agent answer`, only what its holder granted (`vehicle-agent consent grant`). Exit status: 0 if all
holds, 1 if something does not, 2 for wrong usage.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.data_open import REQUEST_FILE, RESPONSE_KEY_FILE, open_
from shared.cli.data_words import request_json, request_table, tell
from shared.cli.issuer_options import (
    CredentialFolder,
    KeyName,
    KeyUri,
    TrustFolder,
    kinds_listed,
    listed,
    moment_of,
    opened_identity,
    present,
)
from shared.cli.new_authority import check_is_new
from shared.core.clock import NS_PER_MS, NS_PER_S, UtcNs
from shared.core.errors import ConfigError, DecodeError, RecordError
from shared.records.data_request import (
    MAX_REQUEST_BYTES,
    MAX_REQUEST_LIFETIME_NS,
    DataRequest,
    SignedRequest,
    draw_nonce,
    parse_request,
    sign_request,
    verify_request,
)
from shared.records.issuers import Issuer, IssuerRole
from shared.security.certificate import decode_certificate
from shared.security.ecdsa import Curve, SoftwareSigner
from shared.service.keystore import read_bounded, write_key, write_new_file
from shared.service.record_issuers import issuer_of, trusted_issuer
from shared.service.trust_directory import make_directory, read_trust_directory

PUBLIC_MODE = 0o644
MAX_DAYS = MAX_REQUEST_LIFETIME_NS // (86_400 * NS_PER_S)
DEFAULT_DAYS = 7

_OPTIONS = {"subject": "--vehicle", "expires": "--days"}
"""Options that are not called as the claim they fill."""

app = typer.Typer(help="Ask a vehicle for records under its holder's consent, and read the answer.", no_args_is_help=True)
app.command(name="open")(open_)


@app.command()
def request(
    credential: CredentialFolder,
    trust: TrustFolder,
    vehicle: Annotated[str, typer.Option(help="Whom is asked, as its holder told (`vehicle-agent consent list`).", metavar="KID")],
    kinds: Annotated[str, typer.Option(help="Kinds of records, with commas: odometer,trip.")],
    fields: Annotated[str, typer.Option(help="Claims of them, with commas: occurred,odometer_m.")],
    data_from: Annotated[str, typer.Option("--from", help="Records dated from then on, ISO 8601 with offset.", metavar="UTC")],
    data_until: Annotated[str, typer.Option("--until", help="And before then.", metavar="UTC")],
    purpose: Annotated[str, typer.Option(help="What for; the holder grants it in the same words.")],
    out: Annotated[Path, typer.Option(help="New folder for the request and the key that opens the answer.", metavar="DIR")],
    key: KeyUri = None,
    key_name: KeyName = None,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="The request may be answered for so long.")] = DEFAULT_DAYS,
) -> None:
    """Sign a request for a vehicle's records; DIR/request.json goes to its holder, the key beside it stays."""
    check_is_new(out)
    now = present()
    issued = UtcNs(now.require_utc() // NS_PER_MS * NS_PER_MS)
    response_key = SoftwareSigner.generate(Curve.NIST_P256)
    with opened_identity(credential, keys=key, key_name=key_name, trust=trust, now=now) as identity:
        asked = DataRequest(
            role=identity.issuer.role,
            subject=vehicle,
            kinds=kinds_listed(kinds, "--kinds"),
            fields=tuple(sorted(set(listed(fields)))),
            data_from=moment_of(data_from, "--from"),
            data_until=moment_of(data_until, "--until"),
            purpose=purpose,
            response_key=response_key.public_key.sec1,
            nonce=draw_nonce(os.urandom),
            issued=issued,
            expires=UtcNs(issued + days * 86_400 * NS_PER_S),
        )
        _check(asked)
        signed = sign_request(asked, identity.signer)
    make_directory(out, private=True)
    write_key(out / RESPONSE_KEY_FILE, response_key)
    write_new_file(out / REQUEST_FILE, signed.encode(), mode=PUBLIC_MODE)
    typer.echo(f"{out / REQUEST_FILE}: {asked.role.words} asks as {signed.credential.id}; {out / RESPONSE_KEY_FILE} stays here")


def _check(asked: DataRequest) -> None:
    """Raise `ConfigError` naming the option of the first claim that cannot be, `RecordError` where a vehicle would ask."""
    if asked.role is IssuerRole.VEHICLE:
        raise RecordError("role", "the credential is a vehicle's: vehicles are given no data")
    fault = asked.fault()
    if fault is not None:
        raise ConfigError(_OPTIONS.get(fault[0], f"--{fault[0]}"), fault[1])


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A request (DIR/request.json).", metavar="FILE")],
    trust: Annotated[
        Path | None, typer.Option(help="Trust directory with roots/: also chain the credential of who asks.", metavar="DIR")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Print what a request asks for and who asks; its signature is checked, and with --trust the credential too."""
    signed = parse_request(read_bounded(file, MAX_REQUEST_BYTES))
    now = present()
    try:
        verify_request(signed, issuer=_issuer(signed, trust, now.require_utc()), vehicle=(signed.request.subject,), now=now)
    except RecordError as error:
        tell(request_table(signed), {**request_json(signed), "verified": False, "reason": error.reason}, as_json=as_json)
        raise
    tell(request_table(signed), {**request_json(signed), "verified": True, "chained": trust is not None}, as_json=as_json)
    if trust is None and not as_json:
        typer.echo("The signature holds. Whether a root you trust stands behind who asks was not checked: --trust DIR does.")


def _issuer(signed: SignedRequest, trust: Path | None, at: UtcNs) -> Issuer:
    if trust is not None:
        return trusted_issuer(signed.credential, roots=read_trust_directory(trust), at=at)
    try:
        return issuer_of(decode_certificate(signed.credential.certificate))
    except DecodeError as error:
        raise RecordError("certificate", f"the credential of who asks is damaged: {error}") from None
