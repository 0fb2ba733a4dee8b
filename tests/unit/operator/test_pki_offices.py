"""An authorization authority whose enrolment authority is there, gone, or lying; a car that asks again."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from shared.core.errors import TransportError
from shared.core.ids import HashedId8
from shared.operator.pki_offices import AuthorizationOffice, EnrolmentOffice
from shared.pki.authorization import ticket_attributes
from shared.pki.exchange import MAX_CLOCK_DIFFERENCE_US, UnanswerableRequest
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.pki.registry import StationStatus
from shared.pki.response_codes import AuthorityRefusal, AuthorizationResponseCode
from shared.service.counters import Counters
from shared.service.log import make_logger
from tests.helpers.desks import ITS_ID, Desks


class Offices:
    """Both authorities of one hierarchy, and the way between them as a test wants it."""

    def __init__(self) -> None:
        self.desks = Desks()
        self.counters = Counters()
        self.words = io.StringIO()
        log = make_logger(self.words, as_json=True)
        self.ea = EnrolmentOffice(self.desks.ea, name="ea", clock=self.desks.clock, log=log)
        self.way: Callable[[bytes], Awaitable[bytes]] = self.ea.answer
        self.asked: list[tuple[HashedId8, bytes]] = []
        self.aa = AuthorizationOffice(
            self.desks.aa, name="aa", ask=self._ask, clock=self.desks.clock, counters=self.counters, log=log
        )

    async def _ask(self, authority: HashedId8, question: bytes) -> bytes:
        self.asked.append((authority, question))
        return await self.way(question)


async def gone(_question: bytes) -> bytes:
    raise TransportError("http://ea.example/ea", "cannot be reached: connection refused")


async def lying(question: bytes) -> bytes:
    return question


def test_the_enrolment_authority_the_car_names_is_asked_and_a_ticket_comes_back() -> None:
    offices = Offices()
    key = offices.desks.key()
    pending = offices.desks.authorization(offices.desks.enrol(), key)
    ticket = pending.open(asyncio.run(offices.aa.answer(pending.request)), offices.desks.now)
    assert ticket.public_key() == key.public_key
    assert [authority for authority, _ in offices.asked] == [offices.desks.hierarchy.ea.certificate.hashed_id8]
    assert offices.words.getvalue() == ""


@pytest.mark.parametrize(("way", "counter"), [(gone, "aa.ea_unreachable"), (lying, "aa.ea_not_believed")])
def test_a_car_whose_authority_gives_no_usable_answer_is_told_so_and_may_ask_again(
    way: Callable[[bytes], Awaitable[bytes]], counter: str
) -> None:
    offices = Offices()
    pending = offices.desks.authorization(offices.desks.enrol(), offices.desks.key())
    offices.way = way
    with pytest.raises(AuthorityRefusal) as caught:
        pending.open(asyncio.run(offices.aa.answer(pending.request)), offices.desks.now)
    assert caught.value.answer is AuthorizationResponseCode.CANT_REACH_EA
    assert offices.counters[counter] == 1
    assert counter.removeprefix("aa.") in offices.words.getvalue()
    offices.way = offices.ea.answer
    answer = asyncio.run(offices.aa.answer(pending.request))
    assert pending.open(answer, offices.desks.now).validity.count > 0


def test_a_request_repeated_while_the_question_is_out_gets_the_same_answer_and_counts_once() -> None:
    offices = Offices()
    pending = offices.desks.authorization(offices.desks.enrol(), offices.desks.key())

    async def both() -> tuple[bytes, bytes]:
        arrived = asyncio.Barrier(2)

        async def slow(question: bytes) -> bytes:
            await arrived.wait()
            return await offices.ea.answer(question)

        offices.way = slow
        first, second = await asyncio.gather(offices.aa.answer(pending.request), offices.aa.answer(pending.request))
        return first, second

    first, second = asyncio.run(both())
    assert first == second
    assert len({question for _, question in offices.asked}) == 1
    assert len(offices.desks.registry.grants) == 1


def test_a_car_whose_enrolment_authoritys_answer_was_lost_asks_again_and_is_counted_once() -> None:
    offices = Offices()
    pending = offices.desks.authorization(offices.desks.enrol(), offices.desks.key())

    async def lost(question: bytes) -> bytes:
        await offices.ea.answer(question)
        raise TransportError("http://ea.example/ea", "the connection broke")

    offices.way = lost
    asyncio.run(offices.aa.answer(pending.request))
    offices.way = offices.ea.answer
    pending.open(asyncio.run(offices.aa.answer(pending.request)), offices.desks.now)
    assert len(offices.desks.registry.grants) == 1
    offices.desks.pass_time(MAX_CLOCK_DIFFERENCE_US // 1_000_000 + 1)
    late = offices.desks.authorization(offices.desks.enrol(), offices.desks.key())
    offices.way = gone
    asyncio.run(offices.aa.answer(late.request))
    offices.desks.pass_time(MAX_CLOCK_DIFFERENCE_US // 1_000_000 + 1)
    with pytest.raises(AuthorityRefusal) as caught:
        late.open(asyncio.run(offices.aa.answer(late.request)), offices.desks.now)
    assert caught.value.answer is AuthorizationResponseCode.OUT_OF_SYNC


def test_every_refusal_is_logged_once_though_requests_end_in_any_order() -> None:
    offices = Offices()
    desks = offices.desks
    credential = desks.enrol()
    good = desks.authorization(credential, desks.key())
    bad = desks.authorization(
        credential, desks.key(), attributes=ticket_attributes(permissions=TICKET_PERMISSIONS[StationRole.RSU])
    )

    async def both() -> None:
        asked, go_on = asyncio.Event(), asyncio.Event()

        async def slow(question: bytes) -> bytes:
            asked.set()
            await go_on.wait()
            return await offices.ea.answer(question)

        offices.way = slow
        first = asyncio.create_task(offices.aa.answer(good.request))
        await asked.wait()
        offices.way = offices.ea.answer
        await offices.aa.answer(bad.request)
        go_on.set()
        good.open(await first, desks.now)

    asyncio.run(both())
    lines = [json.loads(line) for line in offices.words.getvalue().splitlines()]
    assert sorted((line["authority"], line["code"]) for line in lines) == [
        ("aa", "deniedpermissions"),
        ("ea", "deniedpermissions"),
    ]


def test_a_refusal_is_logged_with_its_reason_and_what_cannot_be_answered_is_not() -> None:
    offices = Offices()
    stranger = offices.desks.enrolment(offices.desks.key(), its_id=b"stranger")
    with pytest.raises(AuthorityRefusal):
        stranger.open(asyncio.run(offices.ea.answer(stranger.request)), offices.desks.now)
    logged = offices.words.getvalue()
    (line,) = [json.loads(each) for each in logged.splitlines()]
    assert (line["authority"], line["code"], line["reason"]) == ("ea", "unknownits", "no station stranger is registered")
    with pytest.raises(UnanswerableRequest):
        asyncio.run(offices.ea.answer(b"garbage"))
    assert offices.words.getvalue() == logged


def test_the_log_of_the_enrolment_authority_names_a_blocked_car_and_that_of_the_other_never() -> None:
    offices = Offices()
    desks = offices.desks
    pending = desks.authorization(desks.enrol(), desks.key())
    desks.registry.stations[ITS_ID] = replace(desks.registry.stations[ITS_ID], status=StationStatus.BLOCKED)
    with pytest.raises(AuthorityRefusal):
        pending.open(asyncio.run(offices.aa.answer(pending.request)), desks.now)
    lines = {line["authority"]: line for line in map(json.loads, offices.words.getvalue().splitlines())}
    assert lines["ea"]["reason"] == "station car 7 is blocked"
    assert "car 7" not in json.dumps(lines["aa"])
    assert ITS_ID.hex() not in json.dumps(lines["aa"])
