"""Consent on record: what a holder grants to whom, that it was withdrawn, and what was given under it.

A grant names its grantee by the `kid` of the credential with which the grantee asks; an answer names the request by its hash and
the grant by its number, so every answer can be held against the words it was given under.
"""

from shared.records.fields import HASH, MOMENT, NAME, NOTE, Choice, Field, Group, Many, Spelled, Text, Whole
from shared.records.kind import KindSpec, RecordKind, occurred
from shared.records.strict_json import MAX_SAFE_INTEGER

MAX_GRANTED_FIELDS = 64
MAX_PURPOSE_CHARACTERS = 200
MAX_GIVEN_RUNS = 128
"""Runs in one answer: records of the kinds asked for, with none of these kinds left out between the first and the last."""

FIELD_NAME = Spelled("[a-z][a-z0-9_]{0,63}", "the name of a claim", 1, 64)
_KINDS = Many(Choice(tuple(kind.value for kind in RecordKind)), len(RecordKind), 1)
_FIELDS = Many(FIELD_NAME, MAX_GRANTED_FIELDS, 1)

CONSENT_GRANT = KindSpec(
    kind=RecordKind.CONSENT_GRANT,
    meaning="The holder lets somebody have certain claims of certain records, for a purpose, until a day.",
    in_order=(("data_from", "data_until"),),
    fields=(
        occurred("When it was granted."),
        Field(name="grantee", type=HASH, meaning="The `kid` of the credential of who may ask."),
        Field(name="grantee_name", type=NAME, meaning="Who that is, for people.", is_optional=True),
        Field(name="kinds", type=_KINDS, meaning="Kinds of records."),
        Field(name="fields", type=_FIELDS, meaning="Names of their claims that may be shown."),
        Field(name="data_from", type=MOMENT, meaning="Records dated from then on.", is_optional=True),
        Field(name="data_until", type=MOMENT, meaning="And before then.", is_optional=True),
        Field(name="purpose", type=Text(MAX_PURPOSE_CHARACTERS), meaning="What for, in words both sides have read."),
        Field(name="valid_until", type=MOMENT, meaning="After this nothing is given under it."),
    ),
)

CONSENT_WITHDRAWAL = KindSpec(
    kind=RecordKind.CONSENT_WITHDRAWAL,
    meaning="The holder takes a grant back.",
    fields=(
        occurred("When it was withdrawn."),
        Field(name="grant_seq", type=Whole(MAX_SAFE_INTEGER), meaning="Number of the record that granted it."),
        Field(name="note", type=NOTE, meaning="Why, if the holder wants to say.", is_optional=True),
    ),
)

DATA_ANSWER = KindSpec(
    kind=RecordKind.DATA_ANSWER,
    meaning="A request for data was answered under a grant.",
    in_order=(("data_from", "data_until"),),
    fields=(
        occurred("When it was answered."),
        Field(name="request_hash", type=HASH, meaning="SHA-256 of what the requester signed."),
        Field(name="grant_seq", type=Whole(MAX_SAFE_INTEGER), meaning="Number of the record that granted it."),
        Field(name="grantee", type=HASH, meaning="The `kid` of who asked."),
        Field(name="kinds", type=_KINDS, meaning="Kinds of records that were asked for."),
        Field(name="fields", type=_FIELDS, meaning="Claims that were given."),
        Field(name="data_from", type=MOMENT, meaning="Records dated from then on were asked for."),
        Field(name="data_until", type=MOMENT, meaning="And before then."),
        Field(name="records", type=Whole(MAX_SAFE_INTEGER), meaning="How many were given."),
        Field(
            name="given",
            type=Many(
                Group(
                    (
                        Field(name="first_seq", type=Whole(MAX_SAFE_INTEGER), meaning="Number of the first record of a run."),
                        Field(name="last_seq", type=Whole(MAX_SAFE_INTEGER), meaning="And of the last."),
                    )
                ),
                MAX_GIVEN_RUNS,
            ),
            meaning="Which records of these kinds were given.",
        ),
        Field(name="answer_hash", type=HASH, meaning="SHA-256 of the records given, as they were shown."),
    ),
)
