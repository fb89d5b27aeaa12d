"""Temporary files that a killed run left."""

from __future__ import annotations

from fcn_deploy.system.files import remove_leftovers


def test_leftovers_of_a_killed_run_go_and_nothing_else(tmp_path):
    kept = [tmp_path / "x" / ".cache", tmp_path / ".a.png.tmp", tmp_path / "a.png.0123abcd.tmp"]
    for folder in (*kept, tmp_path / "x" / ".a b.png.0123abcd.tmp", tmp_path / ".a.npy.00000000.tmp"):
        folder.mkdir(parents=True)
    (tmp_path / ".a.npy.00000000.tmp" / "a.npy").write_bytes(b"half")
    (tmp_path / "x" / ".a\nb.png.89abcdef.tmp").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.name != "x") == sorted(kept)
