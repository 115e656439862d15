from __future__ import annotations

import pytest

from blockstore.errors import BadImportOption
from blockstore.unixfs.importing.option_text import from_query
from blockstore.unixfs.importing.options import ImportFlags, ImportOptions, profile, resolve

V0, V1_2025 = "unixfs-v0-2015", "unixfs-v1-2025"


def test_profiles_are_those_of_ipip_499() -> None:
    assert profile(V0) == profile("legacy-cid-v0") == ImportOptions()
    modern = profile(V1_2025)
    assert (modern.chunker, modern.max_file_links, modern.threshold_estimation) == (
        "size-1048576",
        1024,
        "block",
    )
    assert modern.cid_version == 1
    assert modern.raw_leaves
    with pytest.raises(BadImportOption, match="unixfs-v1-2025"):
        profile("unixfs-v2")


@pytest.mark.parametrize(
    ("query", "cid_version", "raw_leaves"),
    [
        ({}, 0, False),
        ({"cid-version": "1"}, 1, True),
        ({"cid-version": "1", "raw-leaves": "false"}, 1, False),
        ({"raw-leaves": "true"}, 0, True),
        ({"hash": "blake3"}, 1, True),
        ({"hash": "SHA2-256"}, 0, False),
        ({"cid-version": "1", "preserve-mode": "true"}, 1, False),
        ({"mtime": "5", "cid-version": "1"}, 1, False),
        ({"mtime": "0", "mode": "0", "cid-version": "1"}, 1, True),
    ],
)
def test_one_setting_implies_another_as_in_kubo(
    query: dict[str, str], cid_version: int, raw_leaves: bool
) -> None:
    options = from_query(query, V0)
    assert (options.cid_version, options.raw_leaves) == (cid_version, raw_leaves)


def test_a_modern_profile_keeps_raw_leaves_under_older_cids() -> None:
    options = from_query({"cid-version": "0"}, V1_2025)
    assert (options.cid_version, options.raw_leaves) == (0, True)


def test_an_explicit_mode_or_time_beats_preserving() -> None:
    query = {"mode": "0644", "preserve-mode": "true", "mtime": "-5", "preserve-mtime": "1"}
    options = from_query(query, V0)
    assert (options.mode, options.mtime) == (0o644, (-5, 0))
    assert not options.preserve_mode
    assert not options.preserve_mtime


@pytest.mark.parametrize(
    "query",
    [
        {"hash": "sha2-512", "cid-version": "0"},
        {"hash": "md5"},
        {"hash": "identity"},
        {"cid-version": "2"},
        {"cid-version": "one"},
        {"raw-leaves": "true", "preserve-mtime": "true"},
        {"raw-leaves": "maybe"},
        {"mtime-nsecs": "5"},
        {"mtime": "1", "mtime-nsecs": "1000000000"},
        {"mtime": "9223372036854775808"},
        {"mode": "-1"},
        {"mode": "089"},
        {"inline": "true", "inline-limit": "129"},
        {"max-hamt-fanout": "100"},
        {"max-hamt-fanout": "2048"},
        {"max-file-links": "1"},
        {"max-directory-links": "-1"},
        {"layout": "flat"},
        {"chunker": "size-0"},
        {"hamt-threshold-estimation": "guess"},
        {"profile": "unixfs-v9"},
        {"nocopy": "true"},
    ],
)
def test_settings_that_cannot_be_are_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadImportOption):
        from_query(query, V0)


def test_text_is_read_as_go_reads_it() -> None:
    octal = [from_query({"mode": text}, V0).mode for text in ("0644", "0o644", "420", "0x1A4", "0b110100100")]
    assert octal == [0o644] * 5
    assert from_query({"mode": "8388608"}, V0).mode == 0o4000  # setuid is bit 23 there
    assert from_query({"trickle": ""}, V0).trickle
    assert from_query({"layout": "trickle"}, V0).trickle
    assert not from_query({"layout": "balanced", "trickle": "true"}, V0).trickle
    assert not from_query({"wrap-with-directory": "F"}, V0).wrap


def test_parameters_of_others_are_passed_over() -> None:
    assert from_query({"pin": "false", "name": "x", "replication-min": "2"}, V0) == profile(V0)


def test_inlining_is_off_unless_asked_for() -> None:
    assert from_query({"inline-limit": "64"}, V0).inline_limit is None
    assert from_query({"inline": "true"}, V0).inline_limit == 32
    assert from_query({"inline": "true", "inline-limit": "0"}, V0).inline_limit == 0


def test_flags_change_only_what_they_name() -> None:
    base = resolve(V1_2025, ImportFlags(max_file_links=5, hamt_threshold=7))
    assert (base.max_file_links, base.hamt_threshold, base.chunker) == (5, 7, "size-1048576")
    assert resolve(base) == base
