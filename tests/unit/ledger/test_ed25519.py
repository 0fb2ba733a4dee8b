"""Which public keys may enter a policy, and that signatures are judged as the Wycheproof vectors say."""

import json

import pytest

from shared.core.errors import DecodeError, ProofError
from shared.ledger.ed25519 import check_public_key, verify_ed25519
from tests.helpers.data import data_file
from tests.helpers.ledger import ed25519_key

P = 2**255 - 19


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def order_8_ys() -> list[int]:
    """The y of the points of order 8: roots of y^4 - 2 y^2 / (1 + ...): found by halving the point of order 4."""
    d = -121665 * pow(121666, P - 2, P) % P
    ys = []
    # A point of order 8 doubles to (+-sqrt(-1), 0): y^2 = -x^2, so d y^4 + 2 y^2 - 1 = 0.
    root = pow(d + 1, (P + 3) // 8, P)
    for sqrt in (root, root * pow(2, (P - 1) // 4, P) % P):
        if sqrt * sqrt % P == (d + 1) % P:
            for sign in (1, -1):
                y2 = (-1 + sign * sqrt) * pow(d, P - 2, P) % P
                y = pow(y2, (P + 3) // 8, P)
                for candidate in (y, y * pow(2, (P - 1) // 4, P) % P):
                    if candidate * candidate % P == y2:
                        ys += [candidate, P - candidate]
    return sorted(set(ys))


def test_keys_made_from_seeds_are_accepted() -> None:
    for n in range(20):
        check_public_key(ed25519_key(f"key {n}").public_key().public_bytes_raw())


def test_every_point_of_low_order_is_refused() -> None:
    ys = [1, P - 1, 0, *order_8_ys()]
    assert len(ys) == 5
    for y in ys:
        for sign in (0, 1):
            with pytest.raises(DecodeError, match=r"order|canonical"):
                check_public_key(encoded(y, sign))


def test_encodings_that_are_not_canonical_are_refused() -> None:
    for y in range(P, 2**255):
        with pytest.raises(DecodeError, match="canonical"):
            check_public_key(encoded(y))
    for y in (1, P - 1):
        with pytest.raises(DecodeError, match="zero with a sign"):
            check_public_key(encoded(y, 1))


def test_a_point_of_mixed_order_is_refused() -> None:
    """A good key plus the point of order two, (0, -1): x and y change sign."""
    good = int.from_bytes(ed25519_key("mixed").public_key().public_bytes_raw(), "little")
    sign, y = good >> 255, good & (1 << 255) - 1
    with pytest.raises(DecodeError, match="order"):
        check_public_key(encoded(P - y, 1 - sign))


def test_bytes_off_the_curve_or_of_another_length_are_refused() -> None:
    with pytest.raises(DecodeError, match="curve"):
        check_public_key(encoded(2))
    for length in (0, 31, 33):
        with pytest.raises(DecodeError, match="32 bytes"):
            check_public_key(bytes(length))


def test_wycheproof_signatures_are_judged_as_published() -> None:
    suite = json.loads(data_file("ledger/wycheproof/ed25519_test.json").read_text())
    judged = 0
    for group in suite["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            try:
                check_public_key(key)
                verify_ed25519(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
                verdict = "valid"
            except (DecodeError, ProofError):
                verdict = "invalid"
            assert verdict == case["result"], case["tcId"]
            judged += 1
    assert judged == suite["numberOfTests"]
