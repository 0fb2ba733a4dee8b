"""Policies: the format of the file, and when a quorum is met."""

import pytest

from shared.core.errors import DecodeError
from shared.ledger.policy import Policy, parse_policy
from tests.helpers.ledger import log_signer, witness_key

LOG = f"log {log_signer().key.text}\n"
X = "".join(f"witness X{n} {witness_key(f'x{n}.example').text}\n" for n in (1, 2, 3))
Y = "".join(f"witness Y{n} {witness_key(f'y{n}.example').text} https://y{n}.example/\n" for n in (1, 2, 3))
NESTED = X + Y + "group xs 2 X1 X2 X3\ngroup ys any Y1 Y2 Y3\ngroup both all xs ys\n"


def parsed(text: str) -> Policy:
    return parse_policy(text.encode())


def test_the_example_of_the_specification_counts_as_it_says() -> None:
    policy = parsed(LOG + NESTED + "quorum both\n")
    assert not policy.is_quorum(())
    assert not policy.is_quorum(("X1", "Y1"))
    assert not policy.is_quorum(("X1", "X2", "X3"))
    assert policy.is_quorum(("X1", "X3", "Y2"))
    assert policy.is_quorum(("X1", "X2", "X3", "Y1", "Y2", "Y3"))


def test_a_name_that_is_no_witness_does_not_count() -> None:
    policy = parsed(X + "group xs all X1 X2\nquorum xs\n")
    assert not policy.is_quorum(("xs", "X1"))


def test_no_quorum_is_said_in_so_many_words() -> None:
    assert parsed("quorum none\n").is_quorum(())
    with pytest.raises(DecodeError, match="no quorum line"):
        parsed(LOG)
    with pytest.raises(DecodeError, match="no quorum line"):
        parse_policy(b"")


def test_a_single_witness_can_be_the_quorum() -> None:
    policy = parsed(X + "quorum X2\n")
    assert policy.is_quorum(("X2",))
    assert not policy.is_quorum(("X1", "X3"))


def test_comments_blank_lines_tabs_and_urls_are_read() -> None:
    url = f"\t log \t{log_signer().key.text}\thttps://log.example/ \n"
    policy = parsed(f"# comment\n\n  # another, ünïcode\n{url}quorum\tnone\n")
    assert policy.logs[0].url == "https://log.example/"
    assert policy.log_keys("log.example/odometer") == (log_signer().key,)
    assert policy.log_keys("other.example") == ()


def test_names_are_opaque_octets() -> None:
    line = b"witness K\xff " + witness_key("k").text.encode() + b"\n"
    policy = parse_policy(line + b"quorum K\xff\n")
    assert policy.quorum == policy.witnesses[0].name
    with pytest.raises(DecodeError, match="not defined"):
        parse_policy(line + b"quorum K\xfe\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("quorum none", "newline"),
        ("quorum none\r\n", "control"),
        ("quorum none\nquorum none\n", "second quorum"),
        ("quorum X1\n" + X, "not defined"),
        ("quorum\n", "no policy line"),
        ("quorum none extra\n", "no policy line"),
        ("logs x\nquorum none\n", "no policy line"),
        (LOG + LOG + "quorum none\n", "same key"),
        (X + f"witness X4 {witness_key('x1.example').text}\nquorum none\n", "same key"),
        (X + f"witness X1 {witness_key('x9.example').text}\nquorum none\n", "defined twice"),
        (f"witness none {witness_key('w').text}\nquorum none\n", "cannot be a name"),
        (f"witness W {log_signer().key.text}\nquorum none\n", "cosigns"),
        (f"log {witness_key('w').text}\nquorum none\n", "log signs"),
        (f"log {log_signer().key.text} a b\nquorum none\n", "no policy line"),
        (X + "group g 2 X1\nquorum g\n", "cannot be asked"),
        (X + "group g 0 X1\nquorum g\n", "cannot be asked"),
        (X + "group g 01 X1\nquorum g\n", "canonical"),
        (X + "group g any\nquorum g\n", "no policy line"),
        (X + "group g any X1 X1\nquorum g\n", "second time"),
        (X + "group g any X1\ngroup h any X1\nquorum h\n", "second time"),
        (X + "group g any g\nquorum g\n", "not defined"),
        (X + "group g any none\nquorum g\n", "not defined"),
        (X + "group X1 any X2\nquorum X1\n", "defined twice"),
        ("#" * 70_000 + "\nquorum none\n", "at most"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(text: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        parsed(text)


def test_a_policy_of_32_logs_witnesses_and_groups_is_read() -> None:
    text = "".join(f"log {log_signer(f'log{n}.example').key.text}\n" for n in range(32))
    text += "".join(f"witness w{n} {witness_key(f'w{n}').text}\n" for n in range(32))
    text += "".join(f"group g{n} all w{n}\n" for n in range(31)) + "group g31 any w31 g0\nquorum g31\n"
    assert parsed(text).is_quorum(("w0",))


def test_a_log_may_have_two_keys_while_it_changes_them() -> None:
    old, new = log_signer("log.example"), log_signer("other.example")
    renamed = type(new)("log.example", new._private_key)
    policy = parsed(f"log {old.key.text}\nlog {renamed.key.text}\nquorum none\n")
    assert policy.log_keys("log.example") == (old.key, renamed.key)
