"""The one thread that talks to a token: its library is asked one thing at a time, and whoever asks waits so long and no longer.

A PKCS#11 module may be loaded without locks of its own, a TPM's connection carries one command at a time, and neither library can
be told when to give up. So each has a thread; a caller whose answer does not come in time gets an error and goes on, and until the
token has answered after all, everybody else gets an error at once. The thread is a daemon: a token that never answers does not keep
a program from ending.
"""

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from shared.service.key_errors import TokenError

ANSWER_S = 10.0
"""Seconds a token has for one answer; a slow TPM takes a few for a new key."""

_T = TypeVar("_T")
_Job = Callable[[], None]


class TokenThread:
    """Does one thing after another.

    Args:
        token: its name, for errors.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = Lock()
        self._late: Future[Any] | None = None
        self._thread = Thread(target=self._work, name=token[:15], daemon=True)
        self._thread.start()

    def call(self, work: Callable[[], _T], *, answer_s: float) -> _T:
        """Have the thread do `work` and return what it returns; what it raises is raised here.

        Raises:
            TokenError: no answer within `answer_s` seconds, or an earlier question is still open (`token_silent`).
        """
        answer: Future[_T] = Future()

        def job() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever asked
                answer.set_exception(error)
            else:
                answer.set_result(result)

        with self._lock:
            if self._late is not None and not self._late.done():
                raise TokenError(self._token, "has not answered an earlier question yet", "token_silent")
            self._jobs.put(job)
        try:
            return answer.result(answer_s)
        except TimeoutError:
            if answer.done() and not answer.cancelled():  # the work's own, or at the last moment
                return answer.result()
            if not answer.cancel():
                with self._lock:
                    self._late = answer
            raise TokenError(self._token, f"does not answer within {answer_s:g} s", "token_silent") from None

    def close(self) -> None:
        """Let the thread end when it has done what it was asked."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
