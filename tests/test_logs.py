"""Logs into transitions: files, clocks, gaps, angles and velocities, against the exact motion."""

import gzip
import tracemalloc
from functools import cache

import arm_logs
import numpy as np
import pytest

from gym_lagrangian import Machine, Transitions, read_logs
from gym_lagrangian.errors import ConfigurationError, DataError, MissingExtra
from gym_lagrangian.learning.logs.clock import read_clock
from gym_lagrangian.learning.logs.local import HALF_WIDTHS, choose, estimate, resolution
from gym_lagrangian.learning.logs.resampling import noise_floor
from gym_lagrangian.learning.windows import windows

ARM = {
    "name": "Arm",
    "angular": True,
    "time": "t",
    "position": ("q1", "q2"),
    "force": ("tau1", "tau2"),
    "dt": 0.02,
}


def machine(**changes) -> Machine:
    return Machine(("shoulder", "elbow"), **ARM | changes)


@cache
def exact(seed=0, rows=600):
    return arm_logs.motion(seed, rows)


def columns(seed=0, rows=600, **options):
    return arm_logs.columns(exact(seed, rows), **options)


def turned(data: Transitions, other: Transitions) -> float:
    """The largest difference of two sets of transitions, angles on the circle."""
    assert len(data) == len(other)
    angle = np.abs(np.exp(1j * data.q) - np.exp(1j * other.q)).max()
    after = np.abs(np.exp(1j * data.next_q) - np.exp(1j * other.next_q)).max()
    rest = max(np.abs(data.arrays[k] - other.arrays[k]).max() for k in ("qd", "next_qd", "tau"))
    return max(angle, after, rest)


# -- against the exact motion -----------------------------------------------------------------


def test_positions_alone_give_states_close_to_the_exact_ones():
    """Errors of velocities below one per cent of their spread, from 12 bits at 100 Hz."""
    log = exact()
    data = read_logs(machine(), columns(dropped=0.005)).transitions()
    start = find_start(data, log)
    at = start + 0.02 * np.arange(len(data))
    for i in range(2):
        q, qd = (np.interp(at, log.t, x[:, i]) for x in (log.q, log.qd))
        assert np.abs(np.exp(1j * data.q[:, i]) - np.exp(1j * q)).std() < 3e-3
        assert (data.qd[:, i] - qd).std() < 0.015 * qd.std()


def find_start(data, log):
    """The time of the first transition, as positions tell it."""
    times = np.arange(0.0, 0.2, 1e-4)
    here = np.stack([np.interp(times, log.t, log.q[:, i]) for i in range(2)], axis=1)
    return times[np.argmin(np.abs(np.exp(1j * here) - np.exp(1j * data.q[0])).sum(axis=1))]


def test_the_noise_floor_is_the_error_of_a_perfect_model():
    """The exact motion against what is read of it, as the loss of a fit counts."""
    log, logs = exact(), read_logs(machine(), columns())
    data = logs.transitions()
    at = find_start(data, log) + 0.02 * np.arange(len(data))
    scale, missed = 2 * data.qd.std(axis=0), 0.0
    for i in range(2):
        q, qd = (np.interp(at, log.t, x[:, i]) for x in (log.q, log.qd))
        missed += np.mean(np.abs(np.angle(np.exp(1j * (data.q[:, i] - q)))))
        missed += np.mean(np.abs(data.qd[:, i] - qd)) / scale[i]
    floor = noise_floor(data, logs.smoothing)
    assert 0.5 < floor / (np.sqrt(2) * missed / data.dt) < 2


def test_the_width_is_close_to_the_best_one():
    """For slow and fast motion, coarse and fine sensors: at most twice the least error."""
    rng = np.random.default_rng(0)
    time = np.cumsum(0.01 * (1 + 0.02 * rng.normal(size=3000)))
    episode = np.zeros(len(time), int)
    for rate in (0.5, 4.0):
        for noise in (1e-4, 1e-2):
            true = rate * np.cos(rate * time) + 3 * rate * np.cos(3 * rate * time + 1)
            q = np.sin(rate * time) + np.sin(3 * rate * time + 1)
            q = q + noise * rng.normal(size=len(q))
            errors = {
                m: (estimate(time, q, time, m)[1] - true)[150:-150].std() for m in HALF_WIDTHS
            }
            found = choose(time, q, episode, 0.0, order=1)
            assert errors[found.half_width] < 2 * min(errors.values())
            assert found.noise == pytest.approx(noise, rel=0.1)
            assert 0.3 < found.error / errors[found.half_width] < 4


def test_cubics_are_reproduced_on_any_grid():
    time = np.sort(np.random.default_rng(0).uniform(0, 1, 50))
    at = np.linspace(0, 1, 33)
    for width in (2, 5, 11):
        value, slope = estimate(time, 1 - 2 * time + 3 * time**2 - 4 * time**3, at, width)
        np.testing.assert_allclose(value, 1 - 2 * at + 3 * at**2 - 4 * at**3, atol=1e-7)
        np.testing.assert_allclose(slope, -2 + 6 * at - 12 * at**2, atol=1e-5)


def test_measured_velocities_are_used_where_they_are_better():
    log = exact()
    noise = np.random.default_rng(1).normal(size=log.qd.shape)
    for size, expected in ((0.01, True), (10.0, False)):
        qd = log.qd + size * noise
        given = columns() | {"v1": qd[:, 0], "v2": qd[:, 1]}
        logs = read_logs(machine(velocity=("v1", "v2")), given)
        assert [how.measured for how in logs.smoothing] == [expected, expected]
        assert logs.transitions(insist=True).qd.std() == pytest.approx(log.qd.std(), rel=0.1)


def test_the_mean_force_of_a_step_is_exact():
    """A command that is held: steps of 2.5 rows have the means of 2.5 rows, wherever they begin."""
    time, force = np.arange(40) / 10.0, np.random.default_rng(0).normal(size=40)
    given = {"t": time, "q": np.sin(time), "f": force}
    held, sampled = (
        read_logs(
            Machine(("x",), time="t", position=("q",), force=("f",), dt=0.25, forces=forces), given
        ).transitions()
        for forces in ("held", "sampled")
    )
    fine = np.repeat(force[:-1], 100)
    assert any(matches(held.tau[:, 0], fine, offset, 250) for offset in range(101))
    middle = np.repeat(0.5 * (force[:-1] + force[1:]), 100)
    assert any(matches(sampled.tau[:, 0], middle, offset, 250) for offset in range(101))


def matches(tau, fine, offset, width):
    means = [fine[offset + k * width : offset + (k + 1) * width].mean() for k in range(len(tau))]
    return np.allclose(means, tau, atol=1e-6)


# -- clocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "unit", "within"),
    [
        (lambda t: 1.7e9 + t, "s", 1e-3),
        (lambda t: 1.7e12 + 1e3 * t, "ms", 1e-3),
        (lambda t: (1.7e18 + 1e9 * t).astype(np.int64), "ns", 1e-3),
        (lambda t: (100 + t).astype(np.float32), "s", 0.05),
        (lambda t: t / 60, "min", 1e-6),
    ],
    ids=["unix", "unix ms", "unix ns", "float32", "minutes"],
)
def test_clock_stamps_of_any_kind(stamp, unit, within):
    plain = read_logs(machine(), columns()).transitions()
    given = columns() | {"t": stamp(exact().t)}
    data = read_logs(machine(time_unit=unit), given).transitions()
    assert turned(data, plain) < within


def test_rows_recorded_twice_count_once():
    rows = np.sort(np.concatenate([np.arange(600), [5, 77, 300]]))
    given = {name: values[rows] for name, values in columns().items()}
    logs = read_logs(machine(), given)
    assert len(logs) == 600
    assert "left out 3 rows that repeat" in logs.notes[0]
    assert turned(logs.transitions(), read_logs(machine(), columns()).transitions()) < 1e-12


def test_rows_that_share_a_stamp_are_spread():
    """Stamps of 10 ms and rows every 2.5 ms are a clock of 2.5 ms."""
    time = np.arange(400) / 400.0
    stamps = np.floor(time * 100 + 1e-9) / 100
    found = read_clock(stamps, np.sin(5 * time)[:, None], 1.0)
    assert found.shared == 300
    np.testing.assert_allclose(np.diff(found.time), 1 / 400, rtol=1e-3)


def test_a_dropped_row_is_no_slower_clock():
    time = np.delete(np.arange(300) / 100.0, 150)
    found = read_clock(time, np.sin(5 * time)[:, None], 1.0)
    np.testing.assert_array_equal(found.time, time)


def test_coarse_float32_stamps_of_a_steady_clock_are_steadied():
    time = np.arange(1000) / 100.0
    found = read_clock((1e5 + time).astype(np.float32), np.sin(5 * time)[:, None], 1.0)
    assert found.steady
    np.testing.assert_allclose(np.diff(found.time), 0.01, rtol=1e-3)


def test_a_clock_that_is_set_back_begins_an_episode():
    given = columns()
    given["t"] = np.where(np.arange(600) < 300, given["t"], given["t"] - 2.9)
    logs = read_logs(machine(), given)
    assert len(np.unique(logs.transitions().episode)) == 2
    assert "set back" in logs.notes[0]


def test_without_a_clock_rows_are_an_interval_apart():
    time = np.arange(300) / 50.0
    one = Machine(("x",), interval=0.02, position=(0,), dt=0.04)
    data = read_logs(one, np.sin(time)[:, None]).transitions()
    np.testing.assert_allclose(np.hypot(data.q, data.qd), 1.0, atol=1e-4)


# -- gaps, NaN, episodes ------------------------------------------------------------------------


def test_gaps_split_episodes_and_nothing_crosses_them():
    given = {name: np.delete(values, np.arange(200, 230)) for name, values in columns().items()}
    logs = read_logs(machine(), given)
    data = logs.transitions()
    assert len(np.unique(data.episode)) == 2
    assert "gaps, 1 of them" in logs.notes[0]
    assert_consistent(data)


def assert_consistent(data):
    """Positions change by velocity times dt from each row to the next."""
    change = np.angle(np.exp(1j * (data.next_q - data.q))) / data.dt
    mean = 0.5 * (data.qd + data.next_qd)
    assert np.abs(change - mean).max() < 0.1 * np.abs(mean).max()


@pytest.mark.parametrize("column", ["q1", "tau2", "t"])
def test_rows_without_a_number_are_named_and_join_nothing(column, tmp_path):
    given = columns()
    for row in (100, 101, 350):
        given[column][row] = np.nan
    logs = read_logs(machine(), arm_logs.write(tmp_path / "log.csv", given))
    assert "log.csv: left out 3 rows without a number, line 102–103, 352" in logs.notes[0]
    data = logs.transitions()
    assert len(np.unique(data.episode)) == 3
    assert_consistent(data)


def test_episodes_can_be_stated():
    given = columns() | {"run": np.repeat([3.0, 1.0, 7.0], 200)}
    data = read_logs(machine(episode="run"), given).transitions()
    assert len(np.unique(data.episode)) == 3


def test_logs_of_any_lengths():
    lengths = (600, 100, 250)
    given = [{name: v[:n] for name, v in columns(seed=n % 3).items()} for n in lengths]
    data = read_logs(machine(), given).transitions()
    counts = np.bincount(data.episode)
    assert len(counts) == 3
    np.testing.assert_allclose(counts, np.array(lengths) / 2, atol=6)


# -- angles -----------------------------------------------------------------------------------


def test_wound_up_wrapped_and_half_wrapped_angles_are_the_same():
    log, plain = exact(), columns()
    unwound = np.unwrap(np.stack([plain["q1"], plain["q2"]], axis=1), axis=0)
    half = np.where((np.arange(600) // 97 % 2)[:, None], unwound, unwound % (2 * np.pi))
    base = read_logs(machine(), plain).transitions()
    for q in (unwound, unwound + 2000 * np.pi, unwound % (2 * np.pi), half):
        data = read_logs(machine(), plain | {"q1": q[:, 0], "q2": q[:, 1]}).transitions()
        assert turned(data, base) < 1e-8
        assert np.abs(data.q).max() <= np.pi
    assert np.ptp(log.q) > 2 * np.pi  # it did turn over


def test_a_thousand_turns_cost_nothing_in_windows():
    """Today's transitions too: angles are turned back before they are float32."""
    base = read_logs(machine(), columns()).transitions()
    arrays = base.arrays | {k: base.arrays[k] + 2000 * np.pi for k in ("q", "next_q")}
    far = Transitions(base.coordinates, dt=base.dt, **arrays)
    how = {"integrator": "rk4", "substeps": 1, "share": 0.2, "seed": 0}
    one, other = (windows(data, 2, **how)[0] for data in (base, far))
    np.testing.assert_allclose(
        np.exp(1j * np.asarray(one.samples.q)), np.exp(1j * np.asarray(other.samples.q)), atol=1e-6
    )


@pytest.mark.parametrize("unit", ["deg", "turn"])
def test_units_gains_and_zeros(unit):
    size = {"deg": 180 / np.pi, "turn": 0.5 / np.pi}[unit]
    plain = columns()
    changed = plain | {
        "q1": -(plain["q1"] * size) + 0.1 * size,
        "q2": plain["q2"] * size,
        "tau1": -1000 * plain["tau1"],
    }
    other = machine(unit=unit, gain=(-1, 1), zero=(0.1 * size, 0.0), force_gain=(-1e-3, 1.0))
    found = read_logs(other, changed).transitions()
    assert turned(found, read_logs(machine(), plain).transitions()) < 1e-8


# -- extremes -----------------------------------------------------------------------------------


def test_steps_at_saturation_are_left_out_unless_they_are_kept():
    given = columns()
    given["tau1"] = np.clip(given["tau1"], -1.5, 1.5)
    logs = read_logs(machine(), given)
    assert [one.kind for one in logs.suspicions] == ["saturation"]
    data, whole = logs.transitions(), logs.transitions(keep=["saturation"])
    assert np.abs(data.tau[:, 0]).max() < 1.5
    assert len(whole) > len(data) + 50
    assert turned(whole, Transitions(whole.coordinates, dt=whole.dt, **whole.arrays)) == 0
    with pytest.raises(ConfigurationError, match="keep = 'all'"):
        logs.transitions(keep=["all"])


def test_stated_limits_and_stops_count():
    logs = read_logs(machine(force_max=(2.0, 9.0)), columns())
    assert np.abs(logs.transitions().tau[:, 0]).max() < 2.0
    logs = read_logs(machine(stops=((-0.5, 0.5), None)), columns())
    assert "shoulder is at an end stop" in logs.suspicions[0].text
    assert np.abs(logs.transitions().q[:, 0]).max() < 0.55


# -- files --------------------------------------------------------------------------------------


def save(path, given, delimiter=",", header=True, text="{:.6f}"):
    rows = zip(*given.values(), strict=True)
    lines = [delimiter.join(text.format(x) for x in row) for row in rows]
    head = [delimiter.join(given)] if header else []
    content = "\n".join([*head, *lines]) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content)
    return path


def as_numbers(**changes):
    return machine(time=0, position=(1, 2), force=(3, 4), **changes)


def test_every_kind_of_file_says_the_same(tmp_path):
    given = columns()
    rounded = {name: np.round(values, 6) for name, values in given.items()}
    base = read_logs(machine(), rounded).transitions()
    np.savez(tmp_path / "log.npz", **rounded)
    np.savez(tmp_path / "many.npz", t=rounded["t"], q=stack(rounded, "q"), f=stack(rounded, "tau"))
    german = save(tmp_path / "e.csv", given, ";")
    german.write_text(german.read_text().replace(".", ","))
    comments = save(tmp_path / "f.csv", given, header=False)
    comments.write_text("# a comment\n# " + ", ".join(given) + "\n" + comments.read_text() + "\n")
    sources = {
        save(tmp_path / "a.csv", given): machine(),
        save(tmp_path / "b.csv.gz", given): machine(),
        save(tmp_path / "c.tsv", given, "\t"): machine(),
        save(tmp_path / "d.txt", given, " ", header=False): as_numbers(),
        german: machine(),
        comments: machine(),
        tmp_path / "log.npz": machine(),
        tmp_path / "many.npz": machine(position=("q.0", "q.1"), force=("f.0", "f.1")),
    }
    for path, one in sources.items():
        assert turned(read_logs(one, path).transitions(), base) < 1e-12, path
        assert turned(read_logs(one, str(path)).transitions(), base) < 1e-12
    matrix = np.stack(list(rounded.values()), axis=1)
    assert turned(read_logs(as_numbers(), [matrix]).transitions(), base) < 1e-12


def stack(given, name):
    return np.stack([given[f"{name}1"], given[f"{name}2"]], axis=1)


def test_arrays_of_many_logs_and_a_folder(tmp_path):
    both = {name: np.stack([v, columns(seed=1)[name]]) for name, v in columns().items()}
    logs = read_logs(machine(), both)
    assert len(logs.recordings) == 2
    for i in range(2):
        save(tmp_path / f"log{i}.csv", columns(seed=i))
    (tmp_path / "notes.md").write_text("not a log")
    assert len(read_logs(machine(), tmp_path).recordings) == 2


def test_cells_that_are_empty_and_a_last_line_that_was_cut_off(tmp_path):
    path = save(tmp_path / "log.csv", columns())
    lines = path.read_text().splitlines()
    lines[11] = ",".join(["", *lines[11].split(",")[1:]])
    lines[12] = lines[12].rpartition(",")[0] + ", NA"
    lines[-1] = lines[-1][:9]
    path.write_text("\n".join(lines))
    logs = read_logs(machine(), path)
    assert len(logs) == 597
    assert "line 601, the last, is cut off" in logs.notes[0]
    assert "line 12–13" in logs.notes[1]


def test_progress_is_told(tmp_path):
    told = []
    paths = [save(tmp_path / f"{i}.csv", columns(seed=i)) for i in range(2)]
    read_logs(machine(), paths, on_rows=told.append)
    assert told == [600, 600]


def test_memory_is_bounded_by_the_columns(tmp_path):
    """Reading and resampling take a few times what the numbers take, not what the text does."""
    rows = 300_000
    time = np.arange(rows) / 1000.0
    text = [f"{t:.3f},{np.sin(t):.6f},{np.cos(t):.6f},0.125,0.25\n" for t in time.tolist()]
    (tmp_path / "log.csv").write_text("t,q1,q2,tau1,tau2\n" + "".join(text))
    del text
    tracemalloc.start()
    data = read_logs(machine(), tmp_path / "log.csv").transitions(insist=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(data) == pytest.approx(rows / 20, rel=0.01)
    assert peak < 100e6 + 5 * (5 * 8 * rows)


def edited(path, line, text):
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.write_text(""), "log.csv has no rows of data"),
        (lambda p: p.write_text("t,q1,q2,tau1,tau2\n"), "has no rows of data"),
        (
            lambda p: p.write_text("t,q1,q2,tau1,tau2\n1,2,3,4,5\n"),
            "has 1 usable rows: expected at",
        ),
        (lambda p: edited(p, 1, "time,q1,q2,tau1,tau2"), "no column 't'; it has time, q1"),
        (lambda p: edited(p, 1, "t,q1,q1,tau1,tau2"), "more than one column 'q1'"),
        (lambda p: edited(p, 17, "1,2,three,4,5"), "line 17, column 'q2' is 'three'"),
        (lambda p: edited(p, 17, "1,2,3"), "line 17 has 3 cells, expected 5"),
        (lambda p: edited(p, 1, "0,1,2,3,4"), "has no header: name its 5 columns by number"),
        (lambda p: p.write_bytes(gzip.compress(p.read_bytes())[:-2000]), "damaged"),
        (lambda p: p.write_bytes(b"\x1f\x8bnonsense" * 9), "damaged"),
        (lambda p: p.write_bytes(b"t,q1,q2,tau1,tau2\n\xff\xfe\xff"), "damaged"),
        (lambda p: p.unlink(), "cannot read"),
        (lambda p: p.rename(p.with_suffix(".npz")) and p.mkdir(), "no logs in the folder"),
    ],
    ids=range(13),
)
def test_files_that_cannot_be_read(tmp_path, damage, message):
    path = save(tmp_path / "log.csv", columns())
    damage(path)
    with pytest.raises(DataError, match=message) as error:
        read_logs(machine(), path)
    assert "log.csv" in str(error.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "no logs"),
        ({"t": np.arange(9.0)}, "log 0 has no column 'q1'; it has t"),
        (np.zeros((9, 2)), "log 0 has no column 't'"),
        (np.zeros(9), r"log 0 has shape \(9,\)"),
        ([[1, 2], [3]], "no array of numbers"),
    ],
    ids=str,
)
def test_arrays_that_are_no_logs(source, message):
    with pytest.raises(DataError, match=message):
        read_logs(machine(), [source] if isinstance(source, list) and source else source)


def test_columns_of_different_lengths_and_no_machine():
    given = columns()
    with pytest.raises(DataError, match=r"different lengths: .*'q1' \(599,\)"):
        read_logs(machine(), given | {"q1": given["q1"][1:]})
    with pytest.raises(DataError, match=r"'q1' .*expected numbers"):
        read_logs(machine(), given | {"q1": np.array(["a"] * 600)})
    with pytest.raises(ConfigurationError, match="expected a Machine"):
        read_logs("arm.toml", given)


def test_two_kinds_of_logs_in_one_folder(tmp_path):
    save(tmp_path / "a.csv", columns())
    save(tmp_path / "b.csv", {"t": np.arange(9.0), "x": np.arange(9.0)})
    with pytest.raises(DataError, match=r"b\.csv has no column 'q1'; it has t, x"):
        read_logs(machine(), tmp_path)


def test_too_short_for_one_step():
    few = {name: values[:4] for name, values in columns().items()}
    with pytest.raises(DataError, match=r"4 rows give not one step of 0\.02 s"):
        read_logs(machine(), few).transitions()
    with pytest.raises(ConfigurationError, match="dt = -1"):
        read_logs(machine(), columns()).transitions(dt=-1)


def test_parquet(tmp_path):
    path = tmp_path / "log.parquet"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(MissingExtra, match=r"gym-lagrangian\[parquet\]"):
            read_logs(machine(), path)
        return
    parquet.write_table(pyarrow.table(columns()), path)
    base = read_logs(machine(), columns()).transitions()
    assert turned(read_logs(machine(), path).transitions(), base) == 0
    with pytest.raises(DataError, match="no column 'q9'"):
        read_logs(machine(position=("q9", "q2")), path)
    path.write_bytes(b"nonsense")
    with pytest.raises(DataError, match="damaged"):
        read_logs(machine(), path)


def test_the_step_of_a_sensor():
    angle = np.sin(np.arange(3000) / 77.0)
    step = 2 * np.pi / 4096
    assert resolution(np.round(angle / step) * step) == pytest.approx(step)
    assert resolution(np.random.default_rng(0).normal(size=3000)) == 0.0
    assert resolution(np.zeros(10)) == 0.0
