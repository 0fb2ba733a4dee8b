"""JSON-RPC to a node of an EVM chain: web3.py over bounded HTTP, so that no answer is longer or later than it may be.

Needs the extra `evm`. What a node says is believed nowhere: headers, proofs and receipts are verified by `shared.ledger.evm`.
"""

import itertools
import json
from collections.abc import Sequence

from web3 import AsyncWeb3
from web3.middleware import ExtraDataToPOAMiddleware
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from shared.core.errors import TransportError
from shared.core.json_shape import check_depth
from shared.transport.bounded_http import BoundedHttp, one_line

MAX_ANSWER_OCTETS = 16 << 20
"""Octets of an answer: all receipts of a full block take some megabytes."""

_HEADERS = {"content-type": "application/json", "accept": "application/json"}


class RpcError(TransportError):
    """The node answered that it will not or cannot.

    Args:
        endpoint: its URL.
        reason: its own words, shortened.
        number: the JSON-RPC error code; 0 where it gives none.
        data: what came with it: the octets a contract refused with, in hex; empty where there is none.
    """

    def __init__(self, endpoint: str, reason: str, *, number: int, data: str) -> None:
        super().__init__(endpoint, reason)
        self.number = number
        self.data = data


class BoundedProvider(AsyncJSONBaseProvider):
    """What web3.py asks a node through.

    Args:
        url: of the node.
        http: entered by whoever owns it.
    """

    def __init__(self, url: str, http: BoundedHttp) -> None:
        super().__init__()
        self._url = url
        self._http = http
        self._ids = itertools.count(1)

    async def make_request(self, method: RPCEndpoint, params: object) -> RPCResponse:
        """Ask once; raise `TransportError` where no JSON-RPC answer comes."""
        body = self.encode_rpc_request(method, params)
        answer = await self._http.exchange("POST", self._url, headers=_HEADERS, body=body, maximum=MAX_ANSWER_OCTETS)
        try:
            text = answer.decode()
            check_depth(text)
            decoded = json.loads(text)
        except ValueError as error:
            raise TransportError(self._url, "answers something that is no JSON") from error
        if not isinstance(decoded, dict) or ("result" in decoded) is ("error" in decoded):
            raise TransportError(self._url, "answers something that is no JSON-RPC")
        response: RPCResponse = {"jsonrpc": "2.0", "id": decoded.get("id"), **decoded}  # type: ignore[typeddict-item]
        return response

    async def ask(self, method: str, params: Sequence[object]) -> object:
        """Ask past all of web3.py's formatting and return the bare result.

        Raises:
            RpcError: the node answered with an error.
            TransportError: no answer.
        """
        response = await self.make_request(RPCEndpoint(method), list(params))
        error: object = response.get("error")
        if error is None:
            return response.get("result")
        words, number, data = str(error), 0, ""
        if isinstance(error, dict):
            words = str(error.get("message", ""))
            code, detail = error.get("code"), error.get("data")
            number = code if isinstance(code, int) else 0
            data = detail if isinstance(detail, str) else ""
        raise RpcError(self._url, f"{method}: {one_line(words)}", number=number, data=data)


def web3_over(provider: BoundedProvider) -> AsyncWeb3[BoundedProvider]:
    """Return web3.py over a provider, ready for consortium chains, whose extra data is longer than 32 octets."""
    w3 = AsyncWeb3(provider)
    w3.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
    return w3
