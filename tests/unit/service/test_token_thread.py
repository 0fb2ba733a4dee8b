from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread

import pytest

from shared.core.errors import ConfigError, TransportError
from shared.service.token_thread import TokenThread

PATIENCE_S = 60.0


def test_what_is_asked_is_done_by_one_and_the_same_thread() -> None:
    thread = TokenThread("tpm2:keys")
    with ThreadPoolExecutor(4) as pool:
        names = set(pool.map(lambda _: thread.call(current_thread, answer_s=PATIENCE_S).ident, range(20)))
    assert len(names) == 1
    assert names != {current_thread().ident}
    thread.close()


def test_an_error_reaches_whoever_asked() -> None:
    thread = TokenThread("tpm2:keys")

    def fail() -> None:
        raise ConfigError("tpm2:keys", "is wrong")

    for error in (ConfigError, ConfigError):
        with pytest.raises(error, match="tpm2:keys: is wrong"):
            thread.call(fail, answer_s=PATIENCE_S)
    thread.close()


def test_a_time_out_of_the_work_itself_is_not_taken_for_silence() -> None:
    thread = TokenThread("tpm2:keys")

    def fail() -> None:
        raise TimeoutError("the work's own")

    with pytest.raises(TimeoutError, match="the work's own"):
        thread.call(fail, answer_s=PATIENCE_S)
    thread.close()


def test_silence_is_an_error_for_all_until_the_answer_comes_after_all() -> None:
    thread, go_on, began = TokenThread("tpm2:keys"), Event(), Event()

    def hang() -> None:
        began.set()
        go_on.wait(PATIENCE_S)

    while thread._late is None:  # until it was so slow only after it had begun
        with pytest.raises(TransportError, match=r"tpm2:keys: does not answer within 0\.01 s") as caught:
            thread.call(hang, answer_s=0.01)
        assert caught.value.code == "token_silent"
    assert began.wait(PATIENCE_S)
    with pytest.raises(TransportError, match="has not answered an earlier question yet") as caught:
        thread.call(lambda: 1, answer_s=PATIENCE_S)
    assert caught.value.code == "token_silent"
    go_on.set()
    thread._late.result(PATIENCE_S)
    assert thread.call(lambda: 1, answer_s=PATIENCE_S) == 1
    thread.close()


def test_a_question_nobody_waits_for_any_more_is_not_asked_late() -> None:
    thread, go_on, began = TokenThread("tpm2:keys"), Event(), Event()
    asked: list[str] = []

    def hang() -> None:
        began.set()
        go_on.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(thread.call, hang, answer_s=PATIENCE_S)
        assert began.wait(PATIENCE_S)
        with pytest.raises(TransportError, match="does not answer"):
            thread.call(lambda: asked.append("late"), answer_s=0.01)
        go_on.set()
        first.result(PATIENCE_S)
    thread.call(lambda: asked.append("now"), answer_s=PATIENCE_S)
    assert asked == ["now"]
    thread.close()


def test_a_closed_thread_ends() -> None:
    thread = TokenThread("tpm2:keys")
    thread.close()
    thread._thread.join(PATIENCE_S)
    assert not thread._thread.is_alive()
