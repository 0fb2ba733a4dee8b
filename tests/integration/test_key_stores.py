"""Every home of private keys does the same: files, a PKCS#11 token (SoftHSM2), a TPM (swtpm), with and without a PIN."""

import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest

from shared.core.errors import ConfigError, EncodeError, StorageError, TransportError, VerificationError
from shared.core.ids import ItsAid
from shared.pki.authority import hours, years
from shared.pki.permission_sets import TICKET_PERMISSIONS, StationRole
from shared.security.ecdsa import Curve, Signer, SoftwareSigner
from shared.security.sign import SigningService, TicketCredential
from shared.security.trust_store import TrustStore
from shared.service.key_store import KeyStore, open_key_store
from tests.helpers.hierarchy import Hierarchy, clock_at, verifying
from tests.helpers.tokens import PIN, soft_token, soft_tpm, write_pin

DIGEST = sha256(b"a message").digest()


@dataclass(frozen=True, slots=True)
class Home:
    """Where keys live, and on which curves."""

    uri: str
    base: Path
    curves: tuple[Curve, ...]
    is_token: bool

    def open(self) -> KeyStore:
        return open_key_store(self.uri, self.base, environment={})


def _files(tmp_path: Path, _stack: ExitStack) -> Home:
    return Home("file:keys", tmp_path, tuple(Curve), is_token=False)


def _token(tmp_path: Path, stack: ExitStack) -> Home:
    return Home(stack.enter_context(soft_token(tmp_path / "hsm")).uri, tmp_path, tuple(Curve), is_token=True)


def _tpm(tmp_path: Path, stack: ExitStack) -> Home:
    tpm = stack.enter_context(soft_tpm(tmp_path / "tpm"))
    return Home(tpm.uri(Path("keys")), tmp_path, (Curve.NIST_P256,), is_token=True)


def _tpm_with_pin(tmp_path: Path, stack: ExitStack) -> Home:
    tpm = stack.enter_context(soft_tpm(tmp_path / "tpm"))
    return Home(tpm.uri(Path("keys"), pin_file=write_pin(tmp_path / "pin")), tmp_path, (Curve.NIST_P256,), is_token=True)


HOMES: dict[str, Callable[[Path, ExitStack], Home]] = {"file": _files, "pkcs11": _token, "tpm2": _tpm, "tpm2+pin": _tpm_with_pin}


@pytest.fixture(params=HOMES)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    with ExitStack() as stack:
        yield HOMES[request.param](tmp_path, stack)


@pytest.fixture
def store(home: Home) -> Iterator[KeyStore]:
    with home.open() as opened:
        yield opened


class _FirstFromStore:
    """A source of keys whose first, the one an authority signs with, is made in a store."""

    def __init__(self, store: KeyStore, name: str) -> None:
        self._store = store
        self._names = [name]

    def generate(self, curve: Curve) -> SoftwareSigner:
        return (
            cast("SoftwareSigner", self._store.generate(self._names.pop(), curve))
            if self._names
            else SoftwareSigner.generate(curve)
        )


def test_a_key_is_found_again_after_the_store_was_closed_and_opened(home: Home) -> None:
    with home.open() as store:
        made = store.generate("enrolment", Curve.NIST_P256)
        public_key = made.public_key
    with home.open() as store:
        found = store.find("enrolment")
        assert found is not None
        assert found.public_key == public_key
        assert found.curve is Curve.NIST_P256
        public_key.verify_digest(DIGEST, found.sign_digest(DIGEST))


def test_signatures_hold_for_what_was_signed_and_nothing_else(store: KeyStore) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    for number in range(40):
        digest = sha256(bytes((number,))).digest()
        signature = signer.sign_digest(digest)
        signer.public_key.verify_digest(digest, signature)
        with pytest.raises(VerificationError):
            signer.public_key.verify_digest(DIGEST, signature)


def test_a_key_on_every_curve_the_store_offers_signs(home: Home) -> None:
    with home.open() as store:
        made = {curve: store.generate(f"key-{number}", curve) for number, curve in enumerate(home.curves)}
        assert {signer.curve for signer in made.values()} == set(home.curves)
    with home.open() as store:
        for number, curve in enumerate(home.curves):
            found = store.find(f"key-{number}")
            assert found is not None
            digest = bytes(curve.hash_algorithm.octets)
            made[curve].public_key.verify_digest(digest, found.sign_digest(digest))


def test_names_come_in_order_and_a_removed_key_is_gone_for_good(home: Home) -> None:
    with home.open() as store:
        assert store.names() == ()
        for name in ("b", "a", "0.c_d-e"):
            store.generate(name, Curve.NIST_P256)
        assert store.names() == ("0.c_d-e", "a", "b")
        store.remove("a")
        assert store.names() == ("0.c_d-e", "b")
        assert store.find("a") is None
    with home.open() as store:
        assert store.find("a") is None
        assert store.names() == ("0.c_d-e", "b")


def test_a_name_is_free_again_after_its_key_was_removed(store: KeyStore) -> None:
    first = store.generate("ticket", Curve.NIST_P256).public_key
    store.remove("ticket")
    second = store.generate("ticket", Curve.NIST_P256)
    assert second.public_key != first
    second.public_key.verify_digest(DIGEST, second.sign_digest(DIGEST))


def test_what_nobody_made_is_not_found_and_cannot_be_removed(store: KeyStore) -> None:
    assert store.find("nobody") is None
    with pytest.raises(StorageError, match="no key named 'nobody'") as caught:
        store.remove("nobody")
    assert caught.value.code == "key_absent"


def test_a_key_is_never_overwritten(store: KeyStore) -> None:
    first = store.generate("ticket", Curve.NIST_P256)
    with pytest.raises(StorageError, match="'ticket' already") as caught:
        store.generate("ticket", Curve.NIST_P256)
    assert caught.value.code == "key_exists"
    found = store.find("ticket")
    assert found is not None
    assert found.public_key == first.public_key


@pytest.mark.parametrize("name", ["", ".", "..", "../key", "a/b", "Key", "a key", ".hidden", "x" * 65, "k\n", "schlüssel"])
def test_a_name_that_could_be_a_path_is_none(store: KeyStore, name: str) -> None:
    for ask in (store.find, store.remove, lambda name: store.generate(name, Curve.NIST_P256)):
        with pytest.raises(ConfigError, match="is no name for a key"):
            ask(name)


def test_a_digest_of_another_hash_is_not_signed(store: KeyStore) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    for octets in (0, 20, 31, 33, 48):
        with pytest.raises(EncodeError, match="digest"):
            signer.sign_digest(bytes(octets))


def test_an_authority_and_a_station_sign_with_keys_from_the_store(store: KeyStore) -> None:
    hierarchy = Hierarchy(1)
    authority = hierarchy.root.create_authorization_authority(
        name="AA in a store", validity=years(hierarchy.start, 1), keys=_FirstFromStore(store, "authority")
    )
    signer: Signer = store.generate("ticket", Curve.NIST_P256)
    certificate = authority.issue_ticket(
        public_key=signer.public_key, validity=hours(hierarchy.start, 24), permissions=TICKET_PERMISSIONS[StationRole.VEHICLE]
    )
    trust = TrustStore.of_operator((hierarchy.root.certificate,), (authority.certificate,))
    signing = SigningService(ticket=TicketCredential(certificate=certificate, signer=signer), trust_store=trust)
    now = clock_at().now()
    verified = verifying(trust).verify(signing.sign(b"a message", ItsAid.CAM, now=now, location=None), now=now)
    assert bytes(verified.payload) == b"a message"
    assert verified.signer.certificate == certificate


def test_a_signer_works_in_whichever_thread_it_is_asked(store: KeyStore) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)

    async def elsewhere() -> None:
        signature = await asyncio.to_thread(signer.sign_digest, DIGEST)
        signer.public_key.verify_digest(DIGEST, signature)

    asyncio.run(elsewhere())
    signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))


def test_two_stores_of_one_home_do_not_disturb_each_other(home: Home) -> None:
    with home.open() as first:
        mine = first.generate("first", Curve.NIST_P256)
        with home.open() as second:
            theirs = second.generate("second", Curve.NIST_P256)
            for signer in (mine, theirs, mine):
                signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))
            assert first.names() == second.names() == ("first", "second")
        assert first.names() == ("first", "second")
        mine.public_key.verify_digest(DIGEST, mine.sign_digest(DIGEST))


def test_a_store_outlives_the_one_that_was_opened_before_it(home: Home) -> None:
    earlier = home.open()
    with home.open() as later:
        signer = later.generate("ticket", Curve.NIST_P256)
        earlier.close()
        assert later.names() == ("ticket",)
        assert later.find("ticket") is not None
        signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))


def test_a_closed_store_gives_its_token_back_and_can_be_closed_again(home: Home) -> None:
    store = home.open()
    signer = store.generate("ticket", Curve.NIST_P256)
    store.close()
    store.close()
    if not home.is_token:
        signer.public_key.verify_digest(DIGEST, signer.sign_digest(DIGEST))
        return
    with pytest.raises(TransportError, match="was closed"):
        signer.sign_digest(DIGEST)
    with home.open() as opened:
        assert opened.names() == ("ticket",)


def test_neither_a_signer_nor_its_store_can_be_written_down_or_tells_a_secret(home: Home, store: KeyStore) -> None:
    signer = store.generate("ticket", Curve.NIST_P256)
    for thing in (signer, store):
        assert PIN not in repr(thing)
        assert "PRIVATE" not in repr(thing)
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    with pytest.raises(TypeError):
        copy.deepcopy(signer)
    assert signer.public_key.point.x.hex() in repr(signer)
