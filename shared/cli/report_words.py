"""What each code of a refusal means, in a sentence for people: behind the verdicts of `v2x verify`.

The verdict itself says what is wrong with one message; these say what kind of thing that is. `docs/report-codes.md` says besides
what an operator does about it.
"""

from shared.core.report import VerificationReport

MEANINGS: dict[VerificationReport, str] = {
    VerificationReport.FALSE_SIGNATURE: "the message was changed, or its sender has not the key it claims",
    VerificationReport.INVALID_CERTIFICATE: "a certificate is not genuine, or not of the kind it is used as",
    VerificationReport.REVOKED_CERTIFICATE: "the root has revoked the authority that issued the certificate, or itself",
    VerificationReport.INCONSISTENT_CHAIN: "a certificate claims more than the one above it may give, or the chain is too long",
    VerificationReport.INVALID_TIMESTAMP: "too old, from the future, or run out",
    VerificationReport.DUPLICATE_MESSAGE: "the same message was accepted before: a repetition, or a recording played back",
    VerificationReport.INVALID_MOBILITY_DATA: "the sender cannot be where it says it is",
    VerificationReport.UNSIGNED_MESSAGE: "nobody has signed it",
    VerificationReport.SIGNER_CERTIFICATE_NOT_FOUND: "the signer's certificate, or its authority's, is not known here yet",
    VerificationReport.UNSUPPORTED_SIGNER_IDENTIFIER_TYPE: "it names its signer in a way that messages may not",
    VerificationReport.INCOMPATIBLE_PROTOCOL: "it is no message of a service that is spoken here",
    VerificationReport.UNTRUSTED_ROOT: "the chain ends at a root that is not trusted here",
    VerificationReport.NOT_LOGGED: "the authority, or the list, is not shown to be in the transparency log",
    VerificationReport.OUTDATED_TRUST_LIST: "the lists that vouch for the authority have run out",
    VerificationReport.LIST_ROLLBACK: "the list is older than the one held",
    VerificationReport.LIST_FORK: "its issuer has signed two different lists for one place",
    VerificationReport.LIST_GAP: "the change does not follow the list held",
    VerificationReport.EXPIRED_CERTIFICATE: "the certificate is not valid at that moment: it has run out, or not begun",
    VerificationReport.OUTSIDE_REGION: "it comes from outside the region its certificate is valid in, as far as that is known here",
    VerificationReport.PERMISSION_DENIED: "the certificate does not allow its owner to say this",
    VerificationReport.HEADER_PROFILE: "its security header breaks the profile of its kind of message",
    VerificationReport.CONTENT_MISMATCH: "its parts contradict each other about what it is",
    VerificationReport.UNTRUSTED_TIME: "the receiver does not know the time well enough to judge",
}
"""One clause for every report."""

OTHER_MEANINGS = {
    "malformed": "its octets are not what the standards say they must be",
    "unsupported_packet": "sound, but of a kind this station has no use for",
    "expired_packet": "it came later than it says it is of use, or says that it never was",
    "ignored_sender": "its sender's own claims cannot be true, so what it warns of or asks for is not taken up",
}
"""The same for refusals that are no reports."""


def meaning_of(code: str) -> str:
    """Return what a refusal's code means; an unknown code is returned as it is."""
    try:
        return MEANINGS[VerificationReport(code)]
    except ValueError:
        return OTHER_MEANINGS.get(code, code.replace("_", " "))
