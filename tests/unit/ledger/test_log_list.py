"""Which logs a witness is told to follow."""

import pytest

from shared.core.errors import DecodeError
from shared.ledger.log_list import parse_log_list
from tests.helpers.ledger import log_signer, witness_key

ONE, TWO = log_signer("one.example/log").key, log_signer("two.example/log").key


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE.text}\n{TWO.text}\n",
        f"# ours\n\n  {ONE.text}\n{TWO.text}",
        f"vkey {ONE.text}\nlog\t{TWO.text} http://two.example/\n",
        f"log {ONE.text} http://one.example/\nlog {TWO.text}\nwitness w {witness_key('w').text}\nquorum w\n",
    ],
)
def test_a_policy_and_a_list_of_keys_name_the_same_logs(text: str) -> None:
    policy = parse_log_list(text.encode())
    assert [log.key for log in policy.logs] == [ONE, TWO]
    assert policy.witnesses == ()
    assert policy.quorum is None


def test_what_a_key_is_printed_with_counts_in_a_list_and_not_in_a_policy() -> None:
    for word in ("log", "vkey"):
        assert [log.key for log in parse_log_list(f"{word} {ONE.text}\n".encode()).logs] == [ONE]
    assert [log.key for log in parse_log_list(f"log {ONE.text}\nquorum none\n".encode()).logs] == [ONE]
    with pytest.raises(DecodeError, match="line 1"):
        parse_log_list(f"vkey {ONE.text}\nquorum none\n".encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "quorum none\n",
        f"{ONE.text} {TWO.text} more\n",
        f"{ONE.text}\n{ONE.text}\n",
        f"{witness_key('w').text}\n",
        "vkey\n",
        "hello\n",
        "\x00\n",
        f"{ONE.text}\n" * 5_000,
    ],
)
def test_what_names_no_log_or_something_else_is_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_log_list(text.encode())
