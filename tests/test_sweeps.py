"""Sweeps: what is trained, in which packs, who is stopped, and one table however it was made."""

import json
import random
import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import STATUS
from sweep_helpers import SMALL, TOML, Victim, small

from gym_lagrangian import train
from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError, DataError
from gym_lagrangian.sweeps import Pack, in_process, read_sweep
from gym_lagrangian.sweeps.figure import sweep_figure
from gym_lagrangian.sweeps.folder import held, write
from gym_lagrangian.sweeps.halving import stopped_at
from gym_lagrangian.sweeps.ledger import Ledger
from gym_lagrangian.sweeps.table import alike, summary
from gym_lagrangian.sweeps.training import Packed, Result, trained


@pytest.fixture(scope="module")
def ledger():
    """What the small sweep comes to in this process."""
    return in_process(small())


@pytest.fixture(scope="module")
def packed():
    """Two seeds and two learning rates in one pack, and their state after 20 steps."""
    sweep = small(
        steps=20, early_stopping=None, training=SMALL["training"] | {"learning_rate": [1e-2, 1e-4]}
    )
    (pack,) = sweep.packs
    ready = Packed(pack)
    return ready, ready.advance(ready.begin(), 20)


class TestFile:
    def test_is_the_sweep_of_its_tables(self, tmp_path):
        (tmp_path / "small.toml").write_text(TOML)
        assert read_sweep(tmp_path / "small.toml") == small()

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"steps": None}, ("steps", "systems, models, steps")),
            ({"step": 3}, ("step", "seeds")),
            ({"steps": 0}, ("steps = 0", "at least 1")),
            ({"seeds": 0}, ("seeds = 0",)),
            ({"seeds": [1, 1]}, ("seeds", "twice")),
            ({"seeds": [-1]}, ("seed = -1",)),
            ({"pack": 0}, ("pack = 0",)),
            ({"systems": []}, ("systems is empty", "DoublePendulum")),
            ({"systems": [3]}, ("systems = [3]", "names")),
            ({"models": ["Transformer"]}, ("Transformer", "LNN")),
            ({"models": ["LNN", "LNN"]}, ("'LNN'", "twice")),
            ({"training": 3}, ("training = 3", "table")),
            ({"training": {"rate": 1.0}}, ("rate", "learning_rate")),
            ({"training": {"steps": 5}}, ("[training]", "steps")),
            ({"training": {"learning_rate": []}}, ("training.learning_rate", "empty")),
            ({"training": {"learning_rate": [1e-3, -1.0]}}, ("learning_rate = -1.0", "positive")),
            ({"training": {"learning_rate": [True]}}, ("learning_rate = True",)),
            ({"model": {"wide": 8}}, ("wide", "width")),
            ({"model": {"LNN": {"width": 8}}}, ("LNN", "no model of this sweep")),
            ({"model": {"Baseline": {"wide": 8}}}, ("wide", "width")),
            ({"early_stopping": {"factor": 2}}, ("first",)),
            ({"early_stopping": {"first": 40}}, ("first = 40", "steps = 40")),
            ({"early_stopping": {"first": 10, "factor": 1}}, ("factor = 1", "at least 2")),
            ({"early_stopping": {"first": 10, "rung": 1}}, ("rung", "factor")),
        ],
    )
    def test_faults_are_named(self, changes, words):
        with pytest.raises(ConfigurationError) as error:
            small(**changes)
        for word in words:
            assert word in str(error.value)

    @pytest.mark.parametrize("text", [b"steps = ", b"\xff"])
    def test_a_file_that_is_none(self, text, tmp_path):
        (tmp_path / "bad.toml").write_bytes(text)
        with pytest.raises(ConfigurationError, match=r"bad\.toml.*not a TOML file"):
            read_sweep(tmp_path / "bad.toml")

    def test_a_value_that_only_the_model_knows_is_refused_before_training(self):
        with pytest.raises(ConfigurationError, match="width = 0"):
            in_process(small(model={"width": 0}))
        with pytest.raises(ConfigurationError, match="relative"):
            in_process(small(models=["MLP"], training={"error": "relative"}))


class TestPlan:
    def test_every_combination_once_in_order(self):
        sweep = small(systems=["Kepler", "Furuta"], model={"width": [8, 16]})
        runs = sweep.runs
        assert [run.index for run in runs] == list(range(2 * 4 * 2 * 2))
        assert [run.system for run in runs] == ["Kepler"] * 16 + ["Furuta"] * 16
        assert [run.seed for run in runs[:4]] == [0, 1, 0, 1]
        assert [run.settings["width"] for run in runs[:4]] == [8, 8, 16, 16]
        assert len({json.dumps([r.system, r.training, r.settings, r.seed]) for r in runs}) == 32

    def test_settings_of_one_model_alone(self):
        sweep = small(
            models=["LNN", "Baseline"],
            training={"LNN": {"warmup": [1, 2]}},
            model={"width": 8, "LNN": {"energy_scale": [1.0, 2.0, 3.0]}},
        )
        by_model = {m: [r for r in sweep.runs if r.model == m] for m in sweep.models}
        assert {m: len(runs) for m, runs in by_model.items()} == {"LNN": 12, "Baseline": 2}
        assert "warmup" not in by_model["Baseline"][0].training

    def test_runs_of_one_program_share_a_pack(self):
        sweep = small(early_stopping=None, model={"width": [8, 16]})
        assert [len(pack.runs) for pack in sweep.packs] == [8, 8]
        for pack in sweep.packs:
            assert len({run.settings["width"] for run in pack.runs}) == 1

    def test_packs_hold_every_run_once_and_no_more_than_they_may(self):
        sweep = small(early_stopping=None, pack=3)
        assert [len(pack.runs) for pack in sweep.packs] == [3, 3, 2]
        assert [run for pack in sweep.packs for run in pack.runs] == list(sweep.runs)

    def test_settings_that_may_be_stopped_have_packs_of_their_own(self):
        for pack in small().packs:
            assert len({run.setting for run in pack.runs}) == 1

    def test_marks_are_chunks_rungs_and_the_end(self):
        sweep = small(steps=45, early_stopping={"first": 7, "factor": 3})
        assert sweep.rungs == (7, 21)
        assert sweep.packs[0].marks == (7, 10, 20, 21, 30, 40, 45)

    def test_a_pack_survives_json(self):
        for pack in small().packs:
            assert Pack.from_dict(json.loads(json.dumps(pack.as_dict()))) == pack


LOSSES = st.floats(0.0, 100.0) | st.just(np.nan)
TABLES = st.lists(st.tuples(LOSSES, LOSSES, LOSSES), max_size=12)


class TestHalving:
    def test_by_hand(self):
        rungs = (1, 3)
        losses = [{1: 4.0, 3: 2.0}, {1: 5.0}, {1: 3.0, 3: 2.5}, {1: np.inf}]
        assert stopped_at(losses, rungs, 2) == [None, 1, 3, 1]

    def test_the_first_goes_on_unless_it_diverged(self):
        assert stopped_at([{1: 9.0}], (1,), 2) == [None]
        assert stopped_at([{1: np.nan}], (1,), 2) == [1]

    def test_nobody_is_judged_before_those_in_front(self):
        assert stopped_at([{}, {1: 5.0}], (1,), 2) == [None, None]
        assert stopped_at([{1: 4.0}, {1: 5.0}], (1,), 2) == [None, 1]

    @given(TABLES, st.integers(2, 4), st.randoms(use_true_random=False))
    @settings(deadline=None)
    def test_a_verdict_stands_whatever_is_known_later(self, table, factor, rng):
        """Reports come in any order: a verdict on some of them is the verdict on all."""
        rungs = (1, 3, 9)
        full = [dict(zip(rungs, losses, strict=True)) for losses in table]
        final = stopped_at(full, rungs, factor)
        part = [{r: own[r] for r in rungs[: rng.randint(0, 3)]} for own in full]
        for early, late in zip(stopped_at(part, rungs, factor), final, strict=True):
            assert early in (None, late)

    @given(TABLES, st.sampled_from([2, 4]))
    @settings(deadline=None)
    @pytest.mark.filterwarnings("ignore:All-NaN slice")  # Ray's, where all before diverged
    def test_is_the_rule_of_ray_in_the_order_of_the_sweep(self, table, factor):
        schedulers = pytest.importorskip("ray.tune.schedulers.async_hyperband")
        bracket, expected = schedulers._Bracket(1, 9, factor, 0), []
        rungs = sorted(rung for rung, _ in bracket._rungs)[:3]
        full = [dict(zip(rungs, losses, strict=False)) for losses in table]
        for i, losses in enumerate(full):
            expected.append(None)
            for rung, loss in losses.items():
                verdict = bracket.on_result(SimpleNamespace(trial_id=i), rung, -loss)
                if verdict == "STOP" or np.isnan(loss):
                    expected[-1] = rung
                    break
        assert stopped_at(full, rungs, factor) == expected


class TestPack:
    def test_trains_as_train_does(self, packed, tmp_path):
        """The same seed, learning rate and steps: the same weights and losses."""
        ready, state = packed
        run, course = ready.pack.runs[3], []
        alone = train(
            run.system,
            run.model,
            out=tmp_path / "alone.safetensors",
            config=run.config,
            model_config=run.settings,
            metrics=False,
            on_progress=lambda progress: course.append(progress.loss),
        )
        for one, many in zip(
            jax.tree.leaves(alone.model), jax.tree.leaves(state.models), strict=True
        ):
            np.testing.assert_allclose(many[3], one, rtol=1e-4, atol=1e-6)
        assert np.mean(course) == pytest.approx(state.courses[3][-1][1], rel=1e-4)

    def test_goes_on_from_a_folder_to_the_same_numbers(self, packed, tmp_path):
        ready, state = packed
        half = ready.advance(ready.begin(), 10)
        ready.save(half, tmp_path)
        again = ready.advance(ready.load(tmp_path), 20)
        for one, other in zip(
            jax.tree.leaves((again.models, again.optimiser)),
            jax.tree.leaves((state.models, state.optimiser)),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
        assert again.courses[0][-1][2] == state.courses[0][-1][2]

    def test_a_damaged_state_is_refused(self, packed, tmp_path):
        (tmp_path / "state.npz").write_bytes(b"PK")
        with pytest.raises(DataError, match=r"state\.npz"):
            packed[0].load(tmp_path)

    def test_one_that_diverges_leaves_its_neighbours_alone(self, packed):
        rates = {"learning_rate": [1e-2, 1e25], "clip": 1e30}
        sweep = small(steps=20, seeds=1, early_stopping=None, training=SMALL["training"] | rates)
        good, bad = in_process(sweep).rows
        assert (good["status"], bad["status"]) == ("finished", "diverged")
        assert bad["held_out_loss"] is None
        json.dumps([good, bad], allow_nan=False)

    def test_is_judged_on_the_same_states_whatever_its_seed(self, packed):
        """Equal weights have equal held-out losses."""
        ready, state = packed
        models = jax.tree.map(lambda leaf: np.repeat(leaf[:1], 4, axis=0), state.models)
        rows = ready.advance(state._replace(models=models), 21).courses
        # One step of a batch of each one's own parts them by little.
        assert np.ptp([course[-1][2] for course in rows]) < 1e-2 * rows[0][-1][2]


class TestLedger:
    def test_table(self, ledger):
        rows = ledger.rows
        assert len(rows) == 8
        assert [row["seed"] for row in rows] == [0, 1] * 4
        assert {row["status"] for row in rows} == {"finished", "stopped"}
        for row in rows:
            assert (row["one_step_error"] is None) == (row["status"] == "stopped")
            assert row["steps"] == {"finished": 40}.get(row["status"], row["steps"])
        json.dumps(rows, allow_nan=False)

    def test_the_order_of_the_reports_changes_nothing(self, ledger):
        """Every pack trained to its end, reported in many orders: the table of the sweep."""
        results = [result for pack in ledger.sweep.packs for result, _, _ in trained(pack)]
        for seed in range(5):
            random.Random(seed).shuffle(results)
            again = Ledger(ledger.sweep)
            for result in results:
                again.note(Result.from_text(result.as_text()))
            assert again.rows == ledger.rows
            assert again.steps == 8 * 40

    def test_a_pack_that_never_reported_has_failed(self, ledger):
        statuses = {row["status"] for row in Ledger(ledger.sweep).rows}
        assert statuses == {"failed"}

    def test_settings_compete_within_their_system_and_model_alone(self):
        sweep = small(models=["Baseline", "LNN"], systems=["Kepler", "Furuta"])
        assert sweep.brackets == tuple(tuple(range(i, i + 4)) for i in (0, 4, 8, 12))


class TestOutput:
    def test_folder(self, ledger, tmp_path):
        written, _ = write(tmp_path, ledger)
        assert json.loads((tmp_path / "table.json").read_text()) == ledger.rows
        assert tmp_path / "sweep.png" in written

    def test_parquet(self, ledger, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        write(tmp_path, ledger)
        assert parquet.read_table(tmp_path / "table.parquet").to_pylist() == ledger.rows

    def test_another_sweep_is_refused(self, tmp_path):
        with held(tmp_path, small()):
            pass
        with held(tmp_path, small()):
            pass
        with (
            pytest.raises(ConfigurationError, match="another sweep, with other steps"),
            held(tmp_path, small(steps=50)),
        ):
            pass

    def test_two_at_once_are_refused(self, tmp_path):
        with (
            held(tmp_path, small()),
            pytest.raises(ConfigurationError, match="being written by process"),
            held(tmp_path, small()),
        ):
            pass

    def test_columns_of_unlike_values(self):
        assert alike([1, None, 0.5]) == [1.0, None, 0.5]
        assert alike(["exact", None, 3]) == ['"exact"', None, "3"]

    def test_summary_has_a_line_a_setting(self, ledger):
        head, *lines = summary(ledger.rows)
        assert "training.learning_rate" in head
        assert "width" not in head
        assert len(lines) == 4

    def test_figure_has_a_curve_a_run(self, ledger):
        (axes,) = sweep_figure(ledger).axes
        curves = [line for line in axes.get_lines() if len(line.get_xdata()) > 1]
        told = [ledger.course(run) for run in ledger.sweep.runs]
        assert len(curves) == sum(len(course) > 1 for course in told)


class TestCommand:
    def test_without_ray_it_says_what_to_install(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "ray", None)
        (tmp_path / "small.toml").write_text(TOML)
        assert main(["sweep", str(tmp_path / "small.toml"), "--out", str(tmp_path / "out")]) == 2
        assert 'pip install "gym-lagrangian[ray]"' in capsys.readouterr().err

    def test_a_file_that_is_missing(self, tmp_path, capsys):
        assert main(["sweep", str(tmp_path / "none.toml"), "--out", str(tmp_path)]) == 2
        assert "none.toml" in capsys.readouterr().err

    @pytest.mark.parametrize("argument", ["--workers=0", "--cpus=0", "--gpus=-1"])
    def test_bad_numbers(self, argument, tmp_path, capsys):
        (tmp_path / "small.toml").write_text(TOML)
        command = ["sweep", str(tmp_path / "small.toml"), "--out", str(tmp_path / "out")]
        assert main([*command, argument]) == 2
        assert argument.strip("-").partition("=")[0] in capsys.readouterr().err


class TestRay:
    """The same table as in this process, whatever happens on the way."""

    @pytest.fixture(autouse=True)
    def ray(self):
        pytest.importorskip("ray.tune")

    def test_is_the_table_of_this_process_and_stays_it(self, ledger, tmp_path):
        from gym_lagrangian.sweeps.tuning import on_ray

        told = []

        def listen(so_far):
            told.append(so_far.steps)

        found = on_ray(ledger.sweep, tmp_path, workers=1, on_progress=listen)
        assert found.rows == ledger.rows
        assert told == sorted(told)
        assert told[-1] == 8 * 40
        assert on_ray(ledger.sweep, tmp_path, workers=1).rows == ledger.rows

    @pytest.mark.slow
    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
    def test_ten_kills_of_drivers_and_workers(self, ledger, tmp_path):
        """Whatever is killed, and whenever: the same command comes to the same table."""
        victim, rng, late = Victim(tmp_path), random.Random(0), 0
        for kill in range(10):
            process, ahead = victim.start(), victim.reports() + rng.randint(0, 3)
            while victim.reports() < ahead and process.poll() is None:
                time.sleep(0.05)
            time.sleep(rng.uniform(0.0, 1.0))
            late += process.poll() is not None
            if kill % 2:
                victim.kill_worker()
                time.sleep(rng.uniform(0.0, 2.0))
            by = list(STATUS)[kill % 3]
            process.send_signal(by)
            done = process.wait() in (0, *STATUS[by])
            assert done or "Ray did not start" in victim.said, victim.said
            victim.wait_until_gone()
        assert late < 10, "every kill came too late"
        assert victim.finish()
        assert json.loads((victim.out / "table.json").read_text()) == ledger.rows
