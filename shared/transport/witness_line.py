"""The way to one witness over HTTP, for whoever asks it once and not every second (C2SP tlog-witness).

POST <url>/add-checkpoint                            a cosignature, or the size it has
GET  <url>/<hex SHA-256 of an origin>/checkpoint     the note it cosigned last; some witnesses serve it elsewhere, or not at all
"""

from hashlib import sha256

from shared.ledger.note import MAX_NOTE_BYTES, VerifierKey
from shared.ledger.witnessing import MAX_ANSWER_BYTES
from shared.transport.bounded_http import BoundedHttp
from shared.transport.witness_http import WitnessAddress


class HttpWitness:
    """A witness at its address.

    Args:
        address: its key and where it is.
        http: carries the questions.
    """

    def __init__(self, address: WitnessAddress, http: BoundedHttp) -> None:
        self._key = address.key
        self._prefix = address.url.rstrip("/")
        self._http = http

    @property
    def key(self) -> VerifierKey:
        """The witness's key."""
        return self._key

    async def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Ask for a cosignature and return status and body of the answer; raises `TransportError`."""
        headers = {"content-type": "text/plain; charset=utf-8"}
        answer = await self._http.answer(
            "POST", f"{self._prefix}/add-checkpoint", headers=headers, body=body, maximum=MAX_ANSWER_BYTES
        )
        return answer.status, answer.body

    async def newest(self, origin: str) -> bytes | None:
        """Return the note it cosigned last for a log, None where it does not tell; raises `TransportError`."""
        url = f"{self._prefix}/{sha256(origin.encode()).hexdigest()}/checkpoint"
        answer = await self._http.answer("GET", url, headers={}, body=b"", maximum=MAX_NOTE_BYTES)
        return answer.body if answer.status == 200 else None
