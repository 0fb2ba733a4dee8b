"""Trust lists and authorities that must be in a transparency log (C2SP tlog-proof), or need not be.

The log's entry is the document itself, octet for octet: a signed trust list, or a certificate. An authority inside a logged list
needs no entry of its own, for whoever watches the log sees the list. What is proven is that the document is in a log of the
operator's policy and that enough witnesses have seen that log; a root that makes an authority, or a list for one victim, in secret
is refused. Which document is the newest is no question for the log: sequence numbers and times say that.
"""

from dataclasses import dataclass

from shared.core.errors import DecodeError, ProofError, VerificationError
from shared.core.report import VerificationReport
from shared.ledger.policy import Policy
from shared.ledger.proof import parse_proof, verify_proof
from shared.security.trust_store import EveryAuthority, LoggedAuthorities, Openness


@dataclass(frozen=True, slots=True)
class LoggedAdmission:
    """Admits what is proven to be in a log of the policy.

    Attributes:
        policy: the logs, the witnesses and how many of them must have cosigned.
    """

    policy: Policy

    def check(self, document: bytes, proof: bytes | None) -> None:
        """Verify a proof of inclusion, offline; raises `VerificationError(NOT_LOGGED)`."""
        if proof is None:
            raise _not_logged("no proof came with it")
        try:
            verify_proof(parse_proof(proof), document, self.policy)
        except DecodeError as error:
            raise _not_logged(f"its proof is malformed: {error}") from error
        except ProofError as error:
            raise _not_logged(str(error)) from error

    def openness(self, admitted: frozenset[bytes]) -> Openness:
        """Return that only authorities in admitted documents count."""
        return LoggedAuthorities(admitted)


@dataclass(frozen=True, slots=True)
class UnloggedAdmission:
    """For operators who ask for no transparency log: signatures and sequence alone decide."""

    def check(self, document: bytes, proof: bytes | None) -> None:
        """Admit."""

    def openness(self, admitted: frozenset[bytes]) -> Openness:  # noqa: ARG002 - every authority counts
        """Return that every authority counts whose chain holds."""
        return EveryAuthority()


def _not_logged(reason: str) -> VerificationError:
    return VerificationError(VerificationReport.NOT_LOGGED, f"the document is not shown to be in the transparency log: {reason}")
