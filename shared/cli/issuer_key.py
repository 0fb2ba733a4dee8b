"""`v2x record key`: the key of somebody who issues records or asks for data, made where it stays; its public half is certified.

DIR/key.pem            the key, or DIR/key.uri, which names the key store that holds it (`authority_keys`)
DIR/public-key.pem     for `v2x pki issue --kind enrolment --role ROLE --public-key`; what comes back is DIR/certificate.oer
"""

from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.cli.issuer_options import KeyUri
from shared.cli.new_authority import new_keys
from shared.core.errors import ConfigError
from shared.pki.ca_request import fingerprint_of
from shared.security.ecdsa import Curve
from shared.service.authority_keys import has_signing_key
from shared.service.keystore import write_new_file
from shared.service.trust_directory import CERTIFICATE_FILE

PUBLIC_KEY_FILE = "public-key.pem"
PUBLIC_MODE = 0o644


def key(
    folder: Annotated[Path, typer.Argument(help="Folder of the issuer, new or empty; the key is named as it.", metavar="DIR")],
    key: KeyUri = None,
) -> None:
    """Make an issuer's key in DIR, or with --key in a token or TPM, where it stays; DIR/public-key.pem goes to the authority."""
    if has_signing_key(folder) or any((folder / name).exists() for name in (CERTIFICATE_FILE, PUBLIC_KEY_FILE)):
        raise ConfigError(str(folder), "holds a key or a credential already: they are never overwritten")
    name = folder.resolve().name
    with new_keys(key, folder.parent) as new:
        signer = new.source(name).generate(Curve.NIST_P256)
        new.write_keys(folder, name, signer, None)
        pem = signer.public_key.native.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        write_new_file(folder / PUBLIC_KEY_FILE, pem, mode=PUBLIC_MODE)
    typer.echo(f"{folder / PUBLIC_KEY_FILE}: fingerprint {fingerprint_of(signer.public_key)}")
