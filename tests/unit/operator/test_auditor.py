"""An auditor and a log that lies: which file is wrong, which signatures contradict each other, and what is never forgotten."""

import asyncio
from pathlib import Path

import pytest

from shared.core.errors import ConfigError, StorageError, TransportError
from shared.ledger.audit import MAX_FINDINGS, Kind
from shared.ledger.tiles import EntryBundle, Tile, encode_bundle
from shared.operator.auditor import audit_log
from shared.operator.auditor_source import DirectorySource
from shared.operator.auditor_state import AuditState, read_state, write_state
from tests.helpers.audited import MemorySource, audited, changed, entries_of, grown, write_files
from tests.helpers.ledger import MemoryLog, policy_of

HONEST = entries_of("honest", 700)
OTHER = entries_of("other", 700)

SIZES = (0, 1, 255, 256, 257, 700)


def kinds(source: MemorySource, state: AuditState | None = None, also: tuple[bytes, ...] = ()) -> list[tuple[Kind, str]]:
    report, _ = audited(source, state=state, also=also)
    assert report.found == len(report.findings)
    return [(finding.kind, finding.where) for finding in report.findings]


@pytest.mark.parametrize("size", SIZES)
def test_a_log_as_it_should_be_is_sound(size: int) -> None:
    source = MemorySource(grown(HONEST[:size]))
    report, state = audited(source)
    assert report.is_sound
    assert (report.tree_size, report.entries, report.first_entry) == (size, size, 0)
    assert state is not None
    assert state.verified is not None
    bundles, tiles = -(-size // 256), -(-size // 256) + -(-(size >> 8) // 256)
    assert report.tiles == tiles
    assert len(source.read_paths) == 1 + bundles + tiles


class TestAWrongFile:
    def test_a_tile_is_named_with_the_entry_whose_hash_it_has_not(self) -> None:
        log = grown(HONEST)
        tile = Tile(0, 1, 256).path
        log.falsified[tile] = changed(log.read(tile), 32 * 9)
        report, _ = audited(MemorySource(log))
        (finding,) = report.findings
        assert (finding.kind, finding.where) == (Kind.TILE, tile)
        assert "entry 265" in finding.sentence

    @pytest.mark.parametrize("tile", [Tile(0, 2, 188), Tile(1, 0, 2)])
    def test_a_partial_tile_of_any_level_is_looked_at(self, tile: Tile) -> None:
        log = grown(HONEST)
        log.falsified[tile.path] = changed(log.read(tile.path), 40)
        assert kinds(MemorySource(log)) == [(Kind.TILE, tile.path)]

    def test_a_full_tile_above_the_lowest_is_looked_at(self) -> None:
        entries = [b"%d" % n for n in range(256 * 256)]
        log = grown(entries)
        tile = Tile(1, 0, 256).path
        log.falsified[tile] = changed(log.read(tile), 8_000)
        assert kinds(MemorySource(log)) == [(Kind.TILE, tile)]

    def test_an_entry_is_named_where_the_tiles_lead_to_the_signed_root(self) -> None:
        log = grown(HONEST)
        bundle = EntryBundle(1, 256).path
        log.falsified[bundle] = encode_bundle([*HONEST[256:300], b"forged", *HONEST[301:512]])
        report, state = audited(MemorySource(log))
        (finding,) = report.findings
        assert (finding.kind, finding.where) == (Kind.ENTRIES, bundle)
        assert "entry 300" in finding.sentence
        assert state is not None
        assert state.verified is None

    def test_entries_and_tiles_that_agree_on_another_history_do_not_make_the_signed_root(self) -> None:
        log, other = grown(HONEST), grown(HONEST[:300], OTHER[300:])
        for path in (EntryBundle(1, 256), EntryBundle(2, 188), Tile(0, 1, 256), Tile(0, 2, 188), Tile(1, 0, 2)):
            log.falsified[path.path] = other.read(path.path)
        assert kinds(MemorySource(log)) == [(Kind.ROOT, "checkpoint 700")]

    def test_wrong_entries_and_a_wrong_tile_of_the_same_place_are_both_told(self) -> None:
        log = grown(HONEST)
        bundle, tile = EntryBundle(0, 256).path, Tile(0, 0, 256).path
        log.falsified[bundle] = encode_bundle([b"forged", *HONEST[1:256]])
        log.falsified[tile] = changed(log.read(tile), 0)
        assert [kind for kind, _ in kinds(MemorySource(log))] == [Kind.TILE, Kind.TILE, Kind.ROOT]

    @pytest.mark.parametrize("octets", [b"", b"\0", b"\xff" * 100, b"\0" * 20_000])
    def test_a_bundle_that_is_none_is_malformed_and_its_hashes_are_taken(self, octets: bytes) -> None:
        log = grown(HONEST)
        bundle = EntryBundle(1, 256).path
        log.falsified[bundle] = octets
        assert kinds(MemorySource(log)) == [(Kind.MALFORMED, bundle)]

    @pytest.mark.parametrize("tile", [Tile(0, 1, 256), Tile(1, 0, 2)])
    def test_a_tile_of_another_length_is_malformed(self, tile: Tile) -> None:
        log = grown(HONEST)
        log.falsified[tile.path] = log.read(tile.path) + b"\0"
        assert kinds(MemorySource(log)) == [(Kind.MALFORMED, tile.path)]

    @pytest.mark.parametrize("path", [EntryBundle(1, 256), Tile(0, 1, 256), Tile(1, 0, 2)])
    def test_a_file_that_is_not_there_is_missing(self, path: Tile | EntryBundle) -> None:
        assert kinds(MemorySource(grown(HONEST), withheld=[path.path])) == [(Kind.MISSING, path.path)]

    def test_without_entries_and_hashes_it_cannot_go_on_and_says_from_where(self) -> None:
        bundle, tile = EntryBundle(1, 256).path, Tile(0, 1, 256).path
        source = MemorySource(grown(HONEST), withheld=[bundle, tile])
        assert kinds(source) == [(Kind.MISSING, bundle), (Kind.MISSING, tile), (Kind.MISSING, bundle)]

    def test_of_very_many_findings_the_first_are_told_and_the_others_counted(self) -> None:
        log = grown([b"%d" % n for n in range(256 * (MAX_FINDINGS + 20))])
        for index in range(MAX_FINDINGS + 20):
            path = Tile(0, index, 256).path
            log.falsified[path] = changed(log.read(path), 0)
        report, _ = audited(MemorySource(log))
        assert len(report.findings) == MAX_FINDINGS
        assert report.found == MAX_FINDINGS + 20


class TestTheCheckpoint:
    def test_one_that_is_not_there_ends_the_audit(self) -> None:
        with pytest.raises(TransportError):
            audited(MemorySource(grown(HONEST), withheld=["checkpoint"]))

    @pytest.mark.parametrize("octets", [b"", b"hello\n", b"\xff\xfe", b"x" * 70_000])
    def test_one_that_is_none_is_a_finding(self, octets: bytes) -> None:
        log = grown(HONEST)
        log.falsified["checkpoint"] = octets
        assert kinds(MemorySource(log)) == [(Kind.CHECKPOINT, "checkpoint")]

    def test_one_that_another_key_signed_is_a_finding(self) -> None:
        log = grown(HONEST)
        log.falsified["checkpoint"] = MemoryLog("other.example/log").note
        assert kinds(MemorySource(log)) == [(Kind.CHECKPOINT, "checkpoint")]

    def test_one_without_its_quorum_is_a_finding_and_the_rest_is_audited(self) -> None:
        policy = policy_of(witnesses=("w1", "w2"), quorum="2")
        log = MemoryLog(witnesses=("w1",))
        log.entries += HONEST
        log.publish()
        report, _ = audited(MemorySource(log), policy=policy)
        assert [finding.kind for finding in report.findings] == [Kind.QUORUM]
        assert (report.entries, report.witnesses) == (700, ("w1",))
        log.witnesses = ("w1", "w2")
        log.publish()
        assert audited(MemorySource(log), policy=policy)[0].is_sound


class TestWhatWasSeenBefore:
    def test_growth_is_read_from_where_the_last_audit_ended(self) -> None:
        log = grown(HONEST[:300])
        _, state = audited(MemorySource(log))
        log.entries += HONEST[300:]
        log.publish()
        source = MemorySource(log)
        report, state = audited(source, state=state)
        assert report.is_sound
        assert (report.first_entry, report.entries, report.checkpoints) == (300, 400, 1)
        assert EntryBundle(0, 256).path not in source.read_paths
        assert audited(MemorySource(log), state=state, is_full=True)[0].entries == 700

    def test_nothing_new_is_read_of_a_log_that_stood_still(self) -> None:
        log = grown(HONEST)
        _, state = audited(MemorySource(log))
        source = MemorySource(log)
        assert audited(source, state=state)[0].is_sound
        assert source.read_paths == ["checkpoint"]

    @pytest.mark.parametrize("size", [300, 301, 511, 700])
    def test_another_history_is_a_split_view_with_both_notes(self, size: int) -> None:
        first, forked = grown(HONEST[:300]), grown(HONEST[:299], OTHER[299:size])
        _, state = audited(MemorySource(first))
        report, after = audited(MemorySource(forked), state=state, is_full=True)
        (finding,) = report.findings
        assert finding.kind is Kind.SPLIT_VIEW
        assert finding.notes == (first.note, forked.note)
        assert after is not None
        assert after.verified == (state.verified if state is not None else None)

    def test_without_a_full_audit_a_fork_still_does_not_hold(self) -> None:
        _, state = audited(MemorySource(grown(HONEST[:300])))
        forked = MemorySource(grown(HONEST[:299], OTHER[299:]))
        assert Kind.ENTRIES in [kind for kind, _ in kinds(forked, state)]

    def test_a_smaller_tree_whose_rest_is_gone_is_a_rollback(self) -> None:
        first, back = grown(HONEST), grown(HONEST[:300])
        _, state = audited(MemorySource(first))
        report, _ = audited(MemorySource(back), state=state)
        (finding,) = report.findings
        assert (finding.kind, finding.notes) == (Kind.ROLLBACK, (first.note, back.note))
        assert report.entries == 300

    def test_a_smaller_tree_whose_rest_is_nonsense_is_a_rollback_and_no_more(self) -> None:
        first, back = grown(HONEST), grown(HONEST[:300])
        _, state = audited(MemorySource(first))
        back.falsified |= {EntryBundle(1, 256).path: b"nonsense", Tile(0, 1, 256).path: b"more"}
        assert kinds(MemorySource(back), state) == [(Kind.ROLLBACK, "checkpoint 700")]

    def test_an_older_checkpoint_before_all_the_entries_is_a_rollback_too(self) -> None:
        log = grown(HONEST[:300])
        old = log.note
        log.entries += HONEST[300:]
        log.publish()
        _, state = audited(MemorySource(log))
        log.falsified["checkpoint"] = old
        assert kinds(MemorySource(log), state) == [(Kind.ROLLBACK, "checkpoint 700")]

    def test_a_contradiction_is_not_forgotten_when_the_log_goes_back_to_its_first_history(self) -> None:
        first, forked = grown(HONEST), grown(OTHER[:500])
        _, state = audited(MemorySource(first))
        _, state = audited(MemorySource(forked), state=state)
        for _ in range(2):
            report, state = audited(MemorySource(first), state=state)
            assert [finding.kind for finding in report.findings] == [Kind.SPLIT_VIEW]
            assert report.findings[0].notes == (forked.note, first.note)

    def test_a_checkpoint_seen_elsewhere_is_held_against_the_log(self) -> None:
        log = grown(HONEST)
        honest, forged = grown(HONEST[:123]).note, grown(OTHER[:123]).note
        assert kinds(MemorySource(log), also=(honest,)) == []
        assert kinds(MemorySource(log), also=(forged,)) == [(Kind.SPLIT_VIEW, "checkpoint 123")]
        _, state = audited(MemorySource(log))
        assert kinds(MemorySource(log), state, also=(forged,)) == [(Kind.SPLIT_VIEW, "checkpoint 123")]

    @pytest.mark.parametrize("note", [b"nonsense", MemoryLog("other.example/log").note])
    def test_what_is_no_checkpoint_of_the_log_is_not_taken_from_elsewhere(self, note: bytes) -> None:
        with pytest.raises(ConfigError):
            audited(MemorySource(grown(HONEST)), also=(note,))

    def test_the_state_of_another_log_is_refused(self) -> None:
        with pytest.raises(ConfigError):
            audited(MemorySource(grown(HONEST)), state=AuditState(origin="other.example/log"))


class TestTheStateFile:
    def test_it_remembers_all_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "deeper" / "log.audit"
        assert read_state(path) is None
        _, state = audited(MemorySource(grown(HONEST)))
        _, state = audited(MemorySource(grown(OTHER[:500])), state=state)
        assert state is not None
        assert state.verified is not None
        write_state(path, state)
        again = read_state(path)
        assert again is not None
        assert (again.origin, again.seen, again.open) == (state.origin, state.seen, state.open)
        assert again.verified is not None
        assert again.verified[0] == state.verified[0]
        assert again.verified[1].root == state.verified[1].root
        assert path.stat().st_mode & 0o077 == 0

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.999])
    def test_one_that_is_cut_short_is_refused(self, tmp_path: Path, share: float) -> None:
        path = tmp_path / "log.audit"
        self._written(path)
        octets = path.read_bytes()
        path.write_bytes(octets[: int(len(octets) * share)])
        with pytest.raises(StorageError):
            read_state(path)

    @pytest.mark.parametrize(
        ("old", "new"),
        [(b"v2x-audit/1", b"v2x-audit/2"), (b'"0":"', b'"0":"AAAA'), (b'"origin":"log', b'"origin":"bog'), (b'"1":"', b'"9":"')],
    )
    def test_one_that_was_altered_is_refused(self, tmp_path: Path, old: bytes, new: bytes) -> None:
        path = tmp_path / "log.audit"
        self._written(path)
        octets = path.read_bytes()
        assert octets.count(old) >= 1
        path.write_bytes(octets.replace(old, new, 1))
        with pytest.raises(StorageError):
            read_state(path)

    def _written(self, path: Path) -> None:
        _, state = audited(MemorySource(grown(HONEST)))
        assert state is not None
        write_state(path, state)


class TestADirectory:
    def test_a_static_export_is_audited_as_it_lies(self, tmp_path: Path) -> None:
        write_files(grown(HONEST), tmp_path)
        assert audited(DirectorySource(tmp_path))[0].is_sound

    def test_partial_files_are_cut_from_full_ones(self, tmp_path: Path) -> None:
        for log in (grown(HONEST), grown(HONEST[:300])):
            write_files(log, tmp_path)
        for partial in (EntryBundle(1, 44), Tile(0, 1, 44)):
            (tmp_path / partial.path).unlink()
        report, _ = audited(DirectorySource(tmp_path))
        assert report.is_sound
        assert report.tree_size == 300

    def test_a_file_that_is_too_long_is_malformed(self, tmp_path: Path) -> None:
        path = Tile(0, 0, 256).path
        write_files(grown(HONEST), tmp_path, change=lambda each, data: data + b"more" if each == path else data)
        report, _ = audited(DirectorySource(tmp_path))
        assert [(finding.kind, finding.where) for finding in report.findings] == [(Kind.MALFORMED, path)]

    def test_no_directory_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError):
            DirectorySource(tmp_path / "nowhere")


def test_reading_ahead_leaves_nothing_running_when_the_log_fails() -> None:
    class Failing(MemorySource):
        async def _fetch(self, path: str, maximum: int) -> bytes | None:
            if path == EntryBundle(1, 256).path:
                raise TransportError(path, "broke")
            return await super()._fetch(path, maximum)

    async def run() -> int:
        with pytest.raises(TransportError):
            await audit_log(Failing(grown(HONEST)), policy_of(), state=None)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1
