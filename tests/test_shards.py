"""Fits to many files: as to one where memory holds them, in turns where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from physics_helpers import SMALL_MODEL
from test_fit import SMALL, assert_same_run, short, stop_at
from test_transitions import WIDE, vector

from gym_lagrangian import Shards, Transitions, checkpoints, collect
from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.learning.shards import Rotation
from gym_lagrangian.learning.torques import torques
from gym_lagrangian.learning.windows import held_out, padded, windows

ROWS, FILES = 50, 8
BOUND = 120  # two files at a time


@pytest.fixture(scope="module")
def data():
    """Episodes of ten, each with masses of its own."""
    return collect(vector(m1=(0.5, 1.5)), ROWS * FILES, options=WIDE, episode_steps=10, seed=0)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """The transitions, cut into files."""
    path = tmp_path_factory.mktemp("shards")
    for i in range(FILES):
        rows = np.arange(len(data)) // ROWS == i
        data.where(rows).save(path / f"part{i}.npz")
    return path


@pytest.fixture
def shards(folder):
    return Shards(folder, rows_in_memory=BOUND)


def rotation(shards, seed=0):
    """The windows of a rotation and what is held out."""
    how = {"integrator": "rk4", "substeps": 1, "share": 0.2, "seed": seed}
    learning, _ = windows(shards.sample, 2, **how)
    return Rotation(shards, learning, held_out(shards.sample, 2, 0.2, seed), seed)


def rows_of(q):
    return {tuple(row) for row in np.asarray(q, np.float32).tolist()}


def learned(source):
    """The states from which windows go on, and those inside."""
    begins = np.asarray(source.starts)[: int(source.count)]
    return rows_of(source.samples.q[(begins[:, None] + np.arange(source.steps)).ravel()])


# -- where memory holds all ---------------------------------------------------------------------


def test_many_files_are_fitted_as_one(data, folder, tmp_path):
    one = short(data, out=tmp_path / "one.safetensors")
    paths = [folder / f"part{i}.npz" for i in range(FILES)]
    for i, many in enumerate([paths, folder, str(folder / "part?.npz"), Shards(folder)]):
        assert_same_run(one, short(many, out=tmp_path / f"{i}.safetensors"))


def test_a_recording_in_two_files_goes_on(data, tmp_path):
    """An episode that is cut between two files is one again."""
    for i, rows in enumerate([np.arange(len(data)) < 25, np.arange(len(data)) >= 25]):
        data.where(rows).save(tmp_path / f"{i}.npz")
    np.testing.assert_array_equal(Shards(tmp_path).joined().episode, data.episode)


# -- where it does not --------------------------------------------------------------------------


def test_what_is_in_memory_is_bounded_and_every_file_has_its_turn(shards):
    groups = [shards.group(turn, seed=5) for turn in range(40)]
    assert all(sum(shards.counts[i] for i in group) <= BOUND for group in groups)
    for epoch in range(10):
        chosen = [i for group in groups[4 * epoch : 4 * epoch + 4] for i in group]
        assert sorted(chosen) == list(range(FILES))
    assert groups[:4] != groups[4:8]
    assert groups != [shards.group(turn, seed=6) for turn in range(40)]
    assert groups[7] == Shards(shards.files, rows_in_memory=BOUND).group(7, seed=5)


def test_a_sample_has_something_of_every_file(shards, data, folder):
    assert len(shards.sample) == BOUND // FILES * FILES
    for path in folder.iterdir():
        assert rows_of(Transitions.load(path).q) & rows_of(shards.sample.q)
    np.testing.assert_array_equal(shards.m, [data.m.min(axis=0), data.m.max(axis=0)])
    assert len(shards) == len(data)


def test_learned_and_held_out_share_no_row(shards, data):
    """An epoch learns from every row but those held out and those that begin no whole window."""
    turns = rotation(shards)
    held = rows_of(shards.sample.q[turns.held])
    seen = set().union(*(learned(turns(turn)) for turn in range(4)))
    assert held
    assert not seen & held
    assert len(seen) > 0.9 * (len(data) - len(held))


def test_all_turns_share_one_program(shards):
    """Arrays of the same shapes, however many windows there are."""
    turns = rotation(shards)
    shapes = [(s.starts.shape, s.after.shape, s.samples.tau.shape) for s in map(turns, range(6))]
    assert len(set(shapes)) == 1
    assert BOUND < shapes[0][1][0] <= 256  # the least size


def test_padding_takes_little_memory_where_there_are_many_rows():
    for rows in (20_000, 100_000, 999_999):
        assert rows <= len(padded(np.zeros(rows, np.int8), -1)) < 1.2 * rows


def test_forces_rotate_as_well(shards):
    learning, _ = torques(shards.sample, share=0.2, seed=0)
    held = held_out(shards.sample, 4, 0.2, 0)
    source = Rotation(shards, learning, held, 0)(3)
    chosen = shards.group(3, 0)
    group, usable = shards.joined(chosen), shards.learnable(chosen, held)
    counts = np.bincount(np.asarray(source.rows), minlength=len(group))[: len(group)]
    assert not counts[~usable].any()
    assert set(counts[usable]) <= {counts.max() - 1, counts.max()}
    everything, _ = torques(group, share=0.2, seed=0)
    np.testing.assert_array_equal(source.qdd[: len(group)], everything.qdd)
    np.testing.assert_array_equal(source.spread, learning.spread)


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run.safetensors"
    return short(Shards(folder, rows_in_memory=BOUND), out=out)


def test_a_fit_learns_and_says_from_what(finished, data):
    losses, card = finished.extra["history"][:, 1], finished.card
    assert losses[-1] < 0.9 * losses[0]
    assert "400 recorded transitions of 0.05 s in 8 files, 120 in memory" in card.data
    low, high = data.m[:, 0].min(), data.m[:, 0].max()
    assert card.ranges == {"m1": (low, high)}


def test_a_fit_is_the_same_again_and_after_an_interruption(finished, folder, tmp_path):
    shards, out = Shards(folder, rows_in_memory=BOUND), tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        short(shards, out=out, on_progress=stop_at(50))
    again = short(Shards(folder, rows_in_memory=BOUND), out=out, resume=True)
    assert_same_run(finished, again)


def test_a_file_that_vanishes_leaves_an_unfinished_run(finished, folder, tmp_path):
    """What was learned until its turn came is saved, and the fit goes on once it is back."""
    shards, out = Shards(folder, rows_in_memory=BOUND), tmp_path / "run.safetensors"
    late, away = folder / f"part{shards.group(1, SMALL.seed)[0]}.npz", tmp_path / "away.npz"

    with pytest.raises(DataError, match=late.name):
        short(shards, out=out, on_progress=lambda progress: late.rename(away))
    away.rename(late)
    assert_same_run(finished, short(shards, out=out, resume=True))


# -- what is refused ----------------------------------------------------------------------------


def other(data, **changed):
    """Two rows of other transitions."""
    arrays = {**data.first(20).arrays, "dt": data.dt, **changed}
    return Transitions(arrays.pop("system", "DoublePendulum"), **arrays)


BAD = {
    "dt": ({"dt": 0.1}, "bad.npz has a dt of 0.1 s, a.npz of 0.05 s"),
    "accelerations": ({"qdd": np.ones((20, 2))}, "one of bad.npz and a.npz has accelerations"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_do_not_go_together(name, data, tmp_path):
    changed, words = BAD[name]
    other(data).save(tmp_path / "a.npz")
    other(data, **changed).save(tmp_path / "bad.npz")
    for bound in (30, 1000):
        with pytest.raises(DataError, match=words):
            short(Shards(tmp_path, rows_in_memory=bound), out=tmp_path / "m.safetensors")


def test_a_file_of_another_machine(data, tmp_path):
    other(data).save(tmp_path / "a.npz")
    names = ("q", "qd", "next_q", "next_qd")
    moved = {name: data.first(20).arrays[name][:, :1] for name in names}
    particle = Transitions("RelativisticParticle", dt=0.05, m=np.ones((20, 3)), **moved)
    particle.save(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"b\.npz holds transitions of RelativisticParticle"):
        Shards(tmp_path).joined()


@pytest.mark.parametrize("bound", [30, 1000])
def test_a_bad_row_is_named_with_its_file(bound, data, tmp_path):
    other(data).save(tmp_path / "a.npz")
    arrays = {**data.first(20).arrays, "dt": 0.05}
    arrays["qd"] = arrays["qd"].copy()
    arrays["qd"][7, 1] = np.nan
    np.savez(tmp_path / "b.npz", system="DoublePendulum", **arrays)
    with pytest.raises(DataError, match=r"b\.npz: array qd .* in row 7 "):
        short(Shards(tmp_path, rows_in_memory=bound), out=tmp_path / "m.safetensors")


def test_no_files(folder, tmp_path):
    np.savez(tmp_path / "x.npz", p=np.ones(3))
    (tmp_path / "empty").mkdir()
    for files, words in (
        ([], "expected paths of npz files, and at least one"),
        ([folder / "part0.npz", 3], "expected paths of npz files"),
        (3, "expected paths of npz files"),
        (tmp_path / "empty", "expected paths of npz files, and at least one"),
        (str(tmp_path / "*.csv"), "expected paths of npz files, and at least one"),
        ([folder / "part0.npz"] * 2, "part0.npz is given twice"),
        ([folder / "part0.npz", folder / "part9.npz"], "part9.npz.*does not exist"),
        ([tmp_path / "x.npz"], "array q of the npz file"),
    ):
        with pytest.raises(DataError, match=words):
            Shards(files)
    with pytest.raises(ConfigurationError, match="rows_in_memory = 0"):
        Shards(folder, rows_in_memory=0)


def test_a_file_larger_than_memory(folder):
    with pytest.raises(DataError, match=r"part0\.npz has 50 transitions, and at most .* = 40"):
        Shards(folder, rows_in_memory=40)


# -- the command line ---------------------------------------------------------------------------


def test_the_command_line_takes_several_files(folder, tmp_path, capsys):
    files = [str(folder / f"part{i}.npz") for i in range(FILES)]
    tiny = ["--steps", "2", "--batch", "2"]
    small = [f"--model-option={name}={value}" for name, value in SMALL_MODEL.items()]
    out = ["--out", str(tmp_path / "m.safetensors"), *tiny, *small]
    fit = ["fit", *files, "--model", "Baseline", *out, "--rows-in-memory", str(BOUND)]
    assert main(fit) == 0
    assert "8 files, 120 in memory" in checkpoints.load(tmp_path / "m.safetensors").card.data
    capsys.readouterr()
    assert main(["fit", *files, *out]) == 2
    assert "several FILE.npz and --model MODEL" in capsys.readouterr().err
    assert main(["fit", files[0], "Baseline", *out, "--rows-in-memory", "9"]) == 2
    assert "only with several files" in capsys.readouterr().err
