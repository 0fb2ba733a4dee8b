"""Why a secured message was refused: the reports of SN-VERIFY.confirm.

Names of TS 102 723-8 V1.1.1 table 5, then finer ones of ours. `SUCCESS` has no member: success is a value of type
`Verified`, not a code.
"""

from enum import Enum


class VerificationReport(Enum):
    """The reason for a refusal; the value is the stable word used in counters and in `summary.json`."""

    FALSE_SIGNATURE = "false_signature"
    INVALID_CERTIFICATE = "invalid_certificate"
    REVOKED_CERTIFICATE = "revoked_certificate"
    INCONSISTENT_CHAIN = "inconsistent_chain"
    INVALID_TIMESTAMP = "invalid_timestamp"
    DUPLICATE_MESSAGE = "duplicate_message"
    INVALID_MOBILITY_DATA = "invalid_mobility_data"
    UNSIGNED_MESSAGE = "unsigned_message"
    SIGNER_CERTIFICATE_NOT_FOUND = "signer_certificate_not_found"
    UNSUPPORTED_SIGNER_IDENTIFIER_TYPE = "unsupported_signer_identifier_type"
    INCOMPATIBLE_PROTOCOL = "incompatible_protocol"

    # Ours: finer than the table.
    UNTRUSTED_ROOT = "untrusted_root"
    """The chain is sound but ends at a root this station does not trust."""
    NOT_LOGGED = "not_logged"
    """An authority, or a trust list, is not shown to be in the transparency log."""
    OUTDATED_TRUST_LIST = "outdated_trust_list"
    """The list that vouches for the authority, or could revoke it, ran out, grace included: no new trust."""
    LIST_ROLLBACK = "list_rollback"
    """A trust list is older than the one held."""
    LIST_FORK = "list_fork"
    """Two different trust lists of one issuer claim the same place in its sequence."""
    LIST_GAP = "list_gap"
    """A delta list does not follow the list held: the full one is needed."""
    EXPIRED_CERTIFICATE = "expired_certificate"
    """A certificate of the chain is outside its validity period."""
    OUTSIDE_REGION = "outside_region"
    """The message was generated outside the region its certificate is valid in."""
    PERMISSION_DENIED = "permission_denied"
    """The ticket lacks the ITS-AID, or its SSP does not allow the content."""
    HEADER_PROFILE = "header_profile"
    """The signer choice or header fields break the message's profile (TS 103 097 clause 7)."""
    CONTENT_MISMATCH = "content_mismatch"
    """Port, ITS-AID and message identifier of one packet disagree, or a packet's parts contradict each other."""
    UNTRUSTED_TIME = "untrusted_time"
    """We do not know the time well enough to judge."""
