"""JSON Schemas of the records (JSON Schema 2020-12), one for each version of each kind, made from the tables the code itself reads.

A schema is about the claims a record shows: those always visible, and those of the kind that its holder has not left out, as
`shared.records.record.verify_record` reads them. It says all that can be said of one record by itself but this, which stands in its
`$comment`: `corrects` is below `seq`, times stand in their order, and a number is written without a decimal point. That a record
fits the vehicle's sequence, and that its signature holds, no schema says. The page for people is `shared.records.schema_page`.
"""

from shared.records.fields import HASH, Whole
from shared.records.issuers import ISSUER_KINDS, IssuerRole
from shared.records.kind import KindSpec, RecordKind
from shared.records.kinds import SPECS
from shared.records.odometer import RecordReason
from shared.records.record import flags_of
from shared.records.strict_json import MAX_SAFE_INTEGER, Json, encode_json_lines

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VISIBLE_MEANINGS = {
    "kind": "What it is about, and the version of its table.",
    "seq": "Number of the record in the vehicle's sequence, from 0 without gaps.",
    "prev": "Commitment of record `seq` - 1; absent in the first record, and only there.",
    "flags": "What was odd; in an odometer record always there, elsewhere only where something was.",
    "next_credential": "`kid` of the vehicle's next credential; with the reason `credential_renewed`, and only then.",
    "subject": "`kid` of the vehicle's credential; where, and only where, somebody else than the vehicle signed.",
    "corrects": "Number of the earlier record that this one puts right; absent where it puts none right.",
}
"""What the claims mean that nobody can leave out, in the order they stand."""


def schema_name(spec: KindSpec) -> str:
    """Return the name of the file: `odometer-1.schema.json`."""
    return f"{spec.kind.value}-{spec.version}.schema.json"


def issuing_roles(kind: RecordKind) -> tuple[IssuerRole, ...]:
    """Return who may issue records of a kind."""
    return tuple(role for role in IssuerRole if kind in ISSUER_KINDS[role])


def record_schema(spec: KindSpec) -> dict[str, Json]:
    """Return the schema of the claims that a record of one version of a kind shows."""
    is_odometer = spec.kind is RecordKind.ODOMETER
    visible = _visible(spec)
    required: list[Json] = ["kind", "seq"]
    if is_odometer:
        required.append("flags")
    if IssuerRole.VEHICLE not in issuing_roles(spec.kind):
        required.append("subject")
    elif issuing_roles(spec.kind) == (IssuerRole.VEHICLE,):
        del visible["subject"]
    if not is_odometer:
        del visible["next_credential"]
    rules: list[Json] = [_first_alone_names_no_record_before()]
    if is_odometer:
        rules.append(_credential_is_handed_over_for_that_reason_alone())
    properties: dict[str, Json] = {**visible, **{field.name: field.schema() for field in spec.fields}}
    return {
        "$schema": DIALECT,
        "$id": f"urn:v2x-trust:record:{spec.kind.value}:{spec.version}",
        "title": spec.claim,
        "description": spec.meaning,
        "$comment": _comment(spec),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        "allOf": rules,
    }


def schema_files() -> dict[str, bytes]:
    """Return the schemas of all kinds, by the names of their files."""
    return {schema_name(spec): encode_json_lines(record_schema(spec)).encode() for spec in SPECS}


def _visible(spec: KindSpec) -> dict[str, Json]:
    flags: list[Json] = [flag.value for flag in flags_of(spec)]
    least = 0 if spec.kind is RecordKind.ODOMETER else 1
    number = Whole(MAX_SAFE_INTEGER)
    schemas: dict[str, dict[str, Json]] = {
        "kind": {"const": spec.claim},
        "seq": number.schema(),
        "prev": HASH.schema(),
        "flags": {"type": "array", "minItems": least, "maxItems": len(flags), "items": {"enum": flags}, "uniqueItems": True},
        "next_credential": HASH.schema(),
        "subject": HASH.schema(),
        "corrects": number.schema(),
    }
    return {name: {"description": VISIBLE_MEANINGS[name], **schema} for name, schema in schemas.items()}


def _first_alone_names_no_record_before() -> Json:
    return {
        "if": {"properties": {"seq": {"const": 0}}},
        "then": {"not": {"anyOf": [{"required": ["prev"]}, {"required": ["corrects"]}]}},
        "else": {"required": ["prev"]},
    }


def _credential_is_handed_over_for_that_reason_alone() -> Json:
    renewed: Json = {"properties": {"reason": {"const": RecordReason.CREDENTIAL_RENEWED.value}}}
    return {
        "if": {"required": ["reason"]},
        "then": {"if": renewed, "then": {"required": ["next_credential"]}, "else": {"not": {"required": ["next_credential"]}}},
    }


def _comment(spec: KindSpec) -> str:
    sentences = ["Not said here: corrects is below seq."]
    sentences += [f"Not said here: {second} is not before {first}." for first, second in spec.in_order]
    sentences.append("A number is an integer written without a decimal point or an exponent.")
    return " ".join(sentences)
