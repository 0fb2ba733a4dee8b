"""Whom a station trusts, from its operator's folder and its configuration."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from shared.core.clock import Instant, MonotonicNs
from shared.core.errors import ConfigError, StorageError
from shared.security.certificate import Certificate
from shared.service.logged_lists import UnloggedAdmission
from shared.service.pki_config import TrustConfig
from shared.service.station_trust import open_station_trust, pinned_store, read_admission, read_areas, read_pins
from shared.service.trust_list_store import TrustListStore
from tests.helpers.hierarchy import NOON, Hierarchy
from tests.helpers.publishing import CPOC, DC, DocumentLog, ManagerLists, RootLists, after

NOW = Instant(MonotonicNs(0), NOON)
HIERARCHY = Hierarchy(91)


@pytest.fixture
def config(tmp_path: Path) -> TrustConfig:
    return TrustConfig(lists=tmp_path / "lists.db", evidence=tmp_path / "evidence")


def put(directory: Path, kind: str, certificate: Certificate) -> Path:
    folder = directory / "trust" / kind
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{certificate.hashed_id8.hex()}.oer"
    path.write_bytes(certificate.encoded)
    return path


def test_a_folder_with_neither_root_nor_manager_trusts_nobody_and_is_refused(tmp_path: Path, config: TrustConfig) -> None:
    put(tmp_path, "authorities", HIERARCHY.aa.certificate)
    with pytest.raises(ConfigError, match="neither a root"):
        read_pins(tmp_path / "trust", config)


def test_a_manager_alone_is_enough_to_begin_with(tmp_path: Path, config: TrustConfig) -> None:
    manager = ManagerLists(92)
    put(tmp_path, "tlm", manager.certificate)
    pins = read_pins(tmp_path / "trust", msgspec.structs.replace(config, trust_list_manager=CPOC))
    assert [(each.certificate, each.access_point) for each in pins.managers] == [(manager.certificate, CPOC)]
    assert pinned_store(pins).roots == {}
    with open_station_trust(tmp_path / "trust", config, entropy=bytes, now=NOW) as trust:
        assert trust.store.roots == {}
        assert [each.issuer for each in trust.upkeep.lists.wanted(NOW)] == [manager.identifier]


def test_the_proof_beside_an_authority_is_read_with_it(tmp_path: Path, config: TrustConfig) -> None:
    put(tmp_path, "roots", HIERARCHY.root.certificate)
    put(tmp_path, "authorities", HIERARCHY.aa.certificate).with_suffix(".proof").write_bytes(b"a proof")
    put(tmp_path, "authorities", HIERARCHY.ea.certificate)
    pins = read_pins(tmp_path / "trust", msgspec.structs.replace(config, distribution_centre=DC))
    assert {each.certificate: each.proof for each in pins.authorities} == {
        HIERARCHY.aa.certificate: b"a proof",
        HIERARCHY.ea.certificate: None,
    }
    assert pins.distribution_centres == (DC,)


def test_a_damaged_pin_spoils_the_folder(tmp_path: Path, config: TrustConfig) -> None:
    path = put(tmp_path, "roots", HIERARCHY.root.certificate)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigError, match=path.name):
        read_pins(tmp_path / "trust", config)


def test_a_log_is_asked_for_where_the_operator_says_so_and_only_there(tmp_path: Path, config: TrustConfig) -> None:
    policy = tmp_path / "policy"
    policy.write_text("log log.example+b32fb5ec+ASDDyLHqI5rXpsrBmo1+8qW7q9xrBCsFwyyGVfvTh1vq\nquorum none\n")
    assert read_admission(config) == UnloggedAdmission()
    assert read_admission(msgspec.structs.replace(config, log_policy=policy)) == UnloggedAdmission()
    policy.write_text("no policy")
    required = msgspec.structs.replace(config, require_logged=True, log_policy=policy)
    with pytest.raises(ConfigError, match="is no policy"):
        read_admission(required)
    policy.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_admission(required)


def test_where_a_log_is_required_a_pinned_authority_counts_by_its_proof_alone(tmp_path: Path, config: TrustConfig) -> None:
    log = DocumentLog(witnesses=())
    (named,) = log.policy.logs
    (tmp_path / "policy").write_text(f"log {named.key.text}\nquorum none\n")
    required = msgspec.structs.replace(config, require_logged=True, log_policy=tmp_path / "policy")
    put(tmp_path, "roots", HIERARCHY.root.certificate)
    path = put(tmp_path, "authorities", HIERARCHY.aa.certificate)
    for proof, is_open in ((None, False), (log.proof(b"another document"), False), (log.proof(path.read_bytes()), True)):
        if proof is not None:
            path.with_suffix(".proof").write_bytes(proof)
        with open_station_trust(tmp_path / "trust", required, entropy=bytes, now=NOW) as trust:
            assert trust.store.openness.is_open(HIERARCHY.aa.certificate) is is_open


def test_without_a_table_there_are_no_shapes_of_regions(config: TrustConfig, tmp_path: Path) -> None:
    assert read_areas(None) is read_areas(config)
    with pytest.raises(ConfigError):
        read_areas(msgspec.structs.replace(config, areas=tmp_path / "absent.toml"))


def test_lists_that_were_kept_count_after_a_restart(tmp_path: Path, config: TrustConfig) -> None:
    root = RootLists(HIERARCHY)
    put(tmp_path, "roots", root.root)
    with open_station_trust(tmp_path / "trust", config, entropy=bytes, now=NOW) as trust:
        assert trust.store.authorities == {}
        trust.upkeep.lists.take_ctl(root.ctl().full, None, NOW)
        trust.upkeep.lists.take_crl(root.crl(), None, NOW)
        trust.list_store.save(trust.upkeep.lists.held())
    with open_station_trust(tmp_path / "trust", config, entropy=bytes, now=after(60)) as trust:
        assert set(trust.store.authorities) == {each.certificate.hashed_id8 for each in (HIERARCHY.ea, HIERARCHY.aa)}
    timeless = replace(NOW, utc=None)
    with open_station_trust(tmp_path / "trust", config, entropy=bytes, now=timeless) as trust:
        assert trust.store.outdated == {root.identifier}
        assert trust.upkeep.elapsed(timeless) == ()
        assert trust.upkeep.elapsed(after(60)) != ()


def test_damaged_lists_are_refused_at_the_start_and_left_alone(tmp_path: Path, config: TrustConfig) -> None:
    put(tmp_path, "roots", HIERARCHY.root.certificate)
    TrustListStore.create(config.lists).close()
    octets = config.lists.read_bytes()
    config.lists.write_bytes(octets[:-100])
    with (
        pytest.raises(StorageError, match="cut short"),
        open_station_trust(tmp_path / "trust", config, entropy=bytes, now=NOW),
    ):
        pass
    assert config.lists.read_bytes() == octets[:-100]
