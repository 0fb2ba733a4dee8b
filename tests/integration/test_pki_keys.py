"""Authorities whose signing keys are in a token, a TPM or a directory of their own: made, used by every command, served."""

import json
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shared.cli.pki import app
from shared.core.errors import ConfigError, V2xError
from shared.security.ecdsa import SoftwareSigner
from shared.service.authority_keys import AuthorityKeys
from shared.service.key_store import open_key_store
from shared.transport.pki_http import HttpStatusError
from tests.helpers.pki_node import PROGRAM, Asker, PkiNode, serving, v2x_pki
from tests.helpers.tokens import soft_token, soft_tpm, write_pin

PARTS = ("root", "tlm", "ea", "aa")


@dataclass(frozen=True, slots=True)
class Home:
    """Where keys live: the URI an operator writes, and how its keys are to be used by a program beside the test."""

    uri: str
    is_token: bool


@contextmanager
def home_of(kind: str, directory: Path) -> Iterator[Home]:
    match kind:
        case "token":
            with soft_token(directory / "token") as token:
                yield Home(token.uri, is_token=True)
        case "tpm":
            with soft_tpm(directory / "tpm") as tpm:
                yield Home(tpm.uri(Path("wrapped"), pin_file=write_pin(directory / "pin")), is_token=True)
        case _:
            yield Home("file:keys", is_token=False)


@pytest.fixture(params=["files", "token", "tpm"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    with home_of(request.param, tmp_path) as made:
        yield made


def refused(*arguments: object) -> V2xError:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, V2xError), result.output + repr(result.exception)
    return result.exception


def status(node: PkiNode) -> Any:
    return json.loads(node.get("/status"))


def refusal_of(node: PkiNode, path: str, body: bytes) -> HttpStatusError:
    with pytest.raises(HttpStatusError) as caught:
        node.post(path, body)
    return caught.value


def test_authorities_whose_keys_are_elsewhere_do_all_that_others_do(home: Home, tmp_path: Path) -> None:
    directory = tmp_path / "authorities"
    v2x_pki("init", directory, "--keys", home.uri)
    v2x_pki("issue", directory, "--kind", "aa", "--name", "second AA", "--keys", home.uri, "--out", directory / "second")
    for part in (*PARTS, "second"):
        assert not (directory / part / "key.pem").exists()
        assert stat.S_IMODE((directory / part / "key.uri").stat().st_mode) == 0o600
        assert (directory / part / "encryption-key.pem").exists() is (part not in ("root", "tlm"))
    with open_key_store(home.uri, directory) as store:
        assert sorted(store.names()) == sorted((*PARTS, "second"))
    with AuthorityKeys() as keys:
        assert isinstance(keys.credential(directory / "aa").signer, SoftwareSigner) is not home.is_token
    v2x_pki("issue", directory, "--kind", "ticket", "--out", tmp_path / "ticket")
    with serving(directory) as node:
        station = Asker(node, "tokened")
        station.register()
        station.enrol()
        station.authorize()
        assert node.stop() == 0
    v2x_pki("ctl", directory, "--url", "http://pki.example", "--add-aa", "second")
    v2x_pki("ectl", directory)
    v2x_pki("crl", directory)
    with serving(directory) as node:
        station.node = node
        assert station.authorize("second", "/aa/second").certificate.issuer.hashed_id8 == node.certificate("second").hashed_id8


def test_authorities_that_do_not_come_to_be_leave_no_keys_behind(home: Home, tmp_path: Path) -> None:
    directory = tmp_path / "authorities"
    assert isinstance(refused("init", directory, "--keys", home.uri, "--name", "x" * 300), ConfigError)
    v2x_pki("init", directory, "--keys", home.uri)
    too_long = ("issue", directory, "--kind", "aa", "--name", "x", "--keys", home.uri, "--valid-hours", "65000")
    beyond = refused(*too_long, "--valid-from", "2030-01-01T00:00:00Z", "--out", directory / "beyond")
    assert isinstance(beyond, ConfigError)
    with open_key_store(home.uri, directory) as store:
        assert sorted(store.names()) == sorted(PARTS)


def test_a_key_that_is_there_already_is_not_overwritten_and_not_removed(home: Home, tmp_path: Path) -> None:
    directory = tmp_path / "authorities"
    v2x_pki("init", directory, "--keys", home.uri)
    taken = refused("issue", directory, "--kind", "ea", "--name", "other", "--keys", home.uri, "--out", directory / "ea")
    assert isinstance(taken, ConfigError)
    with AuthorityKeys() as keys:
        assert keys.credential(directory / "ea").certificate.name == "v2x-trust EA"


def test_a_hierarchy_can_be_moved_with_the_keys_it_names(tmp_path: Path) -> None:
    v2x_pki("init", tmp_path / "here", "--keys", "file:keys")
    (tmp_path / "here").rename(tmp_path / "there")
    v2x_pki("crl", tmp_path / "there", "--out", tmp_path / "list.crl")


def test_a_new_hierarchy_may_name_a_pin_and_keys_beside_it(tmp_path: Path) -> None:
    with soft_token(tmp_path / "token") as token:
        before, pin_source, pin = token.uri.rpartition("pin-source=")
        assert pin_source
        shutil.copy(pin.removeprefix("file:"), tmp_path / "pin")
        beside = f"{before}pin-source=file:../pin"
        v2x_pki("init", tmp_path / "tokened", "--keys", beside)
        second = ("issue", tmp_path / "tokened", "--kind", "aa", "--name", "second AA")
        v2x_pki(*second, "--keys", beside, "--out", tmp_path / "new" / "second")
        v2x_pki("crl", tmp_path / "tokened", "--out", tmp_path / "tokened.crl")
    v2x_pki("init", tmp_path / "filed", "--keys", "file:../keys")
    assert {path.stem for path in (tmp_path / "keys").iterdir()} >= set(PARTS)
    v2x_pki("crl", tmp_path / "filed", "--out", tmp_path / "filed.crl")


def test_what_names_a_key_is_its_owners_alone_and_says_two_things(tmp_path: Path) -> None:
    directory = tmp_path / "authorities"
    v2x_pki("init", directory, "--keys", "file:keys")
    named = directory / "root/key.uri"
    sound = named.read_bytes()
    for content, reason in (
        (b"", "two lines"),
        (b"file:keys\n", "no name for a key"),
        (b"file:keys\nroot\nmore\n", "two lines"),
        (b"\xff\n\xff\n", "two lines"),
        (b"file:keys\n../root\n", "no name for a key"),
        (b"keys\nroot\n", "no URI"),
        (b"file:keys\nabsent\n", "holds no key named 'absent'"),
        (b"file:keys\nea\n", "does not belong to the certificate"),
    ):
        named.write_bytes(content)
        failure = refused("crl", directory)
        assert isinstance(failure, ConfigError)
        assert reason in str(failure)
    named.write_bytes(sound)
    named.chmod(0o644)
    assert "chmod 600" in str(refused("crl", directory))
    named.chmod(0o600)
    (directory / "root/key.pem").touch(mode=0o600)
    assert "holds both key.pem and key.uri" in str(refused("crl", directory))


def test_keys_of_stations_are_not_made_in_the_store_of_authorities(tmp_path: Path) -> None:
    v2x_pki("init", tmp_path / "a")
    failure = refused("issue", tmp_path / "a", "--kind", "ticket", "--keys", "file:keys", "--out", tmp_path / "t")
    assert "--keys" in str(failure)
    assert not (tmp_path / "t").exists()


def test_a_token_that_is_absent_or_locked_is_a_sentence_and_a_status(tmp_path: Path) -> None:
    directory = tmp_path / "authorities"
    with soft_token(tmp_path / "token") as token:
        v2x_pki("init", directory, "--keys", token.uri)
        shutil.move(token.tokens, tmp_path / "pulled")
        token.tokens.mkdir()
        for command in (("crl", directory), ("serve", directory, "--listen", "127.0.0.1:0")):
            words = [str(PROGRAM), "pki", *map(str, command)]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
            assert (done.returncode, done.stdout) == (2, "")
            assert "token" in done.stderr
            assert done.stderr.count("\n") == 1


def test_a_node_whose_token_goes_away_serves_what_needs_no_key_and_signs_again_when_it_is_back(tmp_path: Path) -> None:
    directory = tmp_path / "authorities"
    with soft_token(tmp_path / "token") as token:
        v2x_pki("init", directory, "--keys", token.uri)
        with serving(directory) as node:
            station = Asker(node, "patient")
            station.register()
            station.enrol()
            shutil.move(token.tokens, tmp_path / "pulled")
            token.tokens.mkdir()
            for ask in (station.enrolment, station.authorization):
                pending, _key = ask()
                refusal = refusal_of(node, "/ea" if ask == station.enrolment else "/aa", pending.request)
                assert (refusal.status, refusal.retry_after_s) == (503, 1)
            assert "cannot use its key now" in refusal.reason
            assert node.get(f"/dc/getcrl/{node.certificate('root').hashed_id8.hex()}")
            assert status(node)["requests"]["/ea token_gone"] == status(node)["requests"]["/aa token_gone"] == 1
            token.tokens.rmdir()
            shutil.move(tmp_path / "pulled", token.tokens)
            station.enrol()
            station.authorize()
            assert "token_gone" in node.log.read_text()
            assert token.pin_file.read_text().strip() not in node.log.read_text()
