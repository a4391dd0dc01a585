"""Films and videos: what is in the file, and what happens to it when something fails."""

import itertools
import os
import sys

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import gymnasium
import numpy as np
import pytest
from PIL import Image

from gym_lagrangian.cli import main
from gym_lagrangian.errors import ConfigurationError, GymLagrangianError, MissingExtra
from gym_lagrangian.rendering import colours
from gym_lagrangian.viewing.rollout import film
from gym_lagrangian.viewing.video import write_video

EXACT = "DoublePendulum-v0"
SUFFIXES = (".mp4", ".gif")


def pictures(count: int, height: int = 120, width: int = 160) -> list[np.ndarray]:
    """White, with a blue square that moves to the right."""
    frames = np.full((count, height, width, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        frame[40:60, 8 * i : 8 * i + 20] = colours.BLUE
    return list(frames)


def decode(path) -> np.ndarray:
    """All pictures of a video, (T, H, W, 3)."""
    if path.suffix == ".gif":
        with Image.open(path) as image:
            frames = []
            for i in range(image.n_frames):
                image.seek(i)
                frames.append(np.asarray(image.convert("RGB")))
        return np.array(frames)
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return np.array([np.frombuffer(raw, np.uint8).reshape(height, width, 3) for raw in reader])


class TestWriteVideo:
    @pytest.mark.parametrize("suffix", [*SUFFIXES, ".MP4"])
    def test_what_goes_in_comes_out(self, tmp_path, suffix):
        path = tmp_path / "new" / f"out{suffix}"
        frames = pictures(12)
        assert write_video(path, iter(frames), fps=20) == path
        found = decode(path)
        assert found.shape == (12, 120, 160, 3)
        # Lossy, but every picture is the one that belongs there.
        assert np.abs(found.astype(int) - frames).mean() < 2
        assert [p.name for p in path.parent.iterdir()] == [path.name]

    def test_the_speed(self, tmp_path):
        import imageio_ffmpeg

        for fps in (10, 20, 50):
            for suffix in SUFFIXES:
                write_video(tmp_path / f"out{suffix}", pictures(3), fps=fps)
            with Image.open(tmp_path / "out.gif") as image:
                assert image.info["duration"] == 1000 / fps
                assert image.info["loop"] == 0
            meta = next(imageio_ffmpeg.read_frames(str(tmp_path / "out.mp4")))
            assert meta["fps"] == fps

    def test_mp4_evens_odd_sizes_out_with_white(self, tmp_path):
        write_video(tmp_path / "out.mp4", pictures(3, 121, 161), fps=20)
        found = decode(tmp_path / "out.mp4")
        assert found.shape == (3, 122, 162, 3)
        assert found[:, -1].min() > 250

    def test_gif_keeps_the_colours_of_a_picture(self, tmp_path):
        write_video(tmp_path / "out.gif", pictures(2), fps=20)
        found = decode(tmp_path / "out.gif")
        assert tuple(found[0, 50, 10]) == colours.BLUE
        assert tuple(found[1, 0, 0]) == colours.WHITE

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, OSError])
    @pytest.mark.parametrize("after", [0, 5])
    def test_what_breaks_off_leaves_the_old_video(self, tmp_path, suffix, failure, after):
        def broken():
            yield from pictures(after)
            raise failure("stop")

        path = tmp_path / f"out{suffix}"
        path.write_bytes(b"good")
        expected = GymLagrangianError if failure is OSError else failure
        with pytest.raises(expected, match="stop"):
            write_video(path, broken(), fps=20)
        assert path.read_bytes() == b"good"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_writer_that_fails_leaves_the_old_video(self, tmp_path, monkeypatch):
        import imageio_ffmpeg

        path = tmp_path / "out.mp4"
        path.write_bytes(b"good")
        monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "false")
        with pytest.raises(GymLagrangianError, match=r"cannot write .*out\.mp4"):
            write_video(path, itertools.repeat(pictures(1, 500, 500)[0], 20), fps=20)
        assert path.read_bytes() == b"good"

    @pytest.mark.parametrize("name", ["out.avi", "out", "mp4", ".gif"])
    def test_an_unknown_suffix_is_named(self, tmp_path, name):
        with pytest.raises(ConfigurationError, match=r"must end in \.mp4 or \.gif"):
            write_video(tmp_path / name, pictures(1), fps=20)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("suffix", "library"), [(".mp4", "imageio_ffmpeg"), (".gif", "PIL")], ids=SUFFIXES
    )
    def test_a_missing_writer_is_named(self, tmp_path, monkeypatch, suffix, library):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingExtra, match=r'pip install "gym-lagrangian\[video\]"'):
            write_video(tmp_path / f"out{suffix}", pictures(1), fps=20)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_where_nothing_can_be_written(self, tmp_path, suffix):
        (tmp_path / "file").write_text("in the way")
        folder = tmp_path / f"folder{suffix}"
        folder.mkdir()
        for path in (tmp_path / "file" / f"out{suffix}", folder):
            with pytest.raises(GymLagrangianError, match="cannot write"):
                write_video(path, pictures(1), fps=20)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["file", folder.name]

    @pytest.mark.parametrize("fps", [0, -1, float("nan"), "20"])
    def test_a_bad_speed(self, tmp_path, fps):
        with pytest.raises(ConfigurationError, match="fps"):
            write_video(tmp_path / "out.gif", pictures(1), fps=fps)

    def test_no_pictures(self, tmp_path):
        with pytest.raises(ConfigurationError, match="no pictures"):
            write_video(tmp_path / "out.gif", [], fps=20)
        assert list(tmp_path.iterdir()) == []


class TestFilm:
    def test_of_an_exact_id_shows_just_that(self):
        shown = film(EXACT, steps=3, size=150, seed=4)
        frames = list(shown.frames)
        assert shown.fps == 20
        assert [frame.shape for frame in frames] == 4 * [(150, 150, 3)]
        assert shown.size == (150, 150)
        env = gymnasium.make(EXACT, render_mode="rgb_array", render_size=150)
        env.reset(seed=4)
        np.testing.assert_array_equal(frames[0], env.render())

    def test_same_seed_same_film(self):
        first, again, other = (
            list(film(EXACT, steps=3, size=100, seed=s).frames) for s in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert np.any(np.array(first) != other)

    def test_free_motion_from_an_exact_start(self):
        start = [1.0, -0.5, 0.0, 2.0]
        frames = list(film(EXACT, steps=2, size=100, start=start, actions="zero").frames)
        env = gymnasium.make(EXACT, render_mode="rgb_array", render_size=100)
        env.reset(options={"state": start})
        np.testing.assert_array_equal(frames[0], env.render())
        env.step(np.zeros(2, np.float32))
        np.testing.assert_array_equal(frames[1], env.render())

    @pytest.mark.parametrize(
        "kwargs", [{"steps": 0}, {"size": 10}, {"actions": "best"}, {"seed": -1}]
    )
    def test_bad_arguments(self, kwargs):
        with pytest.raises(ConfigurationError, match=next(iter(kwargs))):
            film(EXACT, **kwargs)

    @pytest.mark.parametrize("start", [(1.0,), (np.nan, 0, 0, 0), (0, 0, 1000, 0)])
    def test_a_start_that_the_system_has_not(self, start):
        with pytest.raises(ConfigurationError, match="state"):
            film(EXACT, start=start)

    def test_an_untrained_model_is_named_with_those_there_are(self):
        with pytest.raises(ConfigurationError, match=r"no trained .GPT. of DoublePendulum.*LNN"):
            film(EXACT, compare=["GPT"])
        with pytest.raises(ConfigurationError, match="unknown id"):
            film("CartPole-v1")


class TestCommand:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_a_video_of_an_exact_id(self, tmp_path, capsys):
        arguments = ["rollout", EXACT, "--steps", "4", "--size", "120"]
        assert main([*arguments, "--start=-1,0.5,0,0", "--video", "deep/out.gif"]) == 0
        assert "video: deep/out.gif" in capsys.readouterr().out
        assert decode(tmp_path / "deep" / "out.gif").shape == (5, 120, 120, 3)

    def test_compare_draws_truth_first(self, tmp_path):
        arguments = ["rollout", EXACT, "--steps", "2", "--size", "100", "--actions", "zero"]
        assert main([*arguments, "--compare", "Baseline", "--video", "out.mp4"]) == 0
        count, height, width, _ = decode(tmp_path / "out.mp4").shape
        assert (count, width) == (3, 200)
        assert 130 < height < 160  # a title above, the chart below

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["--video", "out.avi"], "must end in"),
            (["--video", "out.gif", "--compare", "GPT"], "no trained 'GPT'"),
            (["--video", "out.gif", "--size", "0"], "render_size"),
            (["--compare", "LNN"], "--compare needs"),
        ],
    )
    def test_bad_input(self, tmp_path, capsys, arguments, word):
        assert main(["rollout", EXACT, *arguments]) == 2
        assert word in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_where_nothing_can_be_written(self, tmp_path, capsys):
        (tmp_path / "out.gif").mkdir()
        assert main(["rollout", EXACT, "--steps", "2", "--size", "100", "--video", "out.gif"]) == 2
        # The last that is seen, on a line of its own: no progress bar comes after it.
        *_, last = capsys.readouterr().err.splitlines()
        assert last.startswith("gym-lagrangian: cannot write 'out.gif'")

    @pytest.mark.parametrize("arguments", [["--start", "1,x"], ["--human", "--video", "out.gif"]])
    def test_usage(self, arguments):
        with pytest.raises(SystemExit):
            main(["rollout", EXACT, *arguments])


class TestWrappers:
    """Gymnasium's own wrappers that draw."""

    def make(self):
        return gymnasium.make(EXACT, render_mode="rgb_array", render_size=128)

    def test_record_video(self, tmp_path):
        pytest.importorskip("moviepy", reason="RecordVideo needs moviepy, which is not installed")
        env = gymnasium.wrappers.RecordVideo(self.make(), str(tmp_path), disable_logger=True)
        env.reset(seed=0)
        for _ in range(5):
            env.step(env.action_space.sample())
        env.close()
        (path,) = tmp_path.glob("*.mp4")
        assert decode(path).shape == (6, 128, 128, 3)

    def test_add_render_observation(self):
        env = gymnasium.wrappers.AddRenderObservation(self.make(), render_only=True)
        observation, _ = env.reset(seed=0)
        assert observation in env.observation_space
        np.testing.assert_array_equal(observation, env.unwrapped.render())

    def test_human_rendering(self):
        env = gymnasium.wrappers.HumanRendering(self.make())
        env.reset(seed=0)
        env.step(env.action_space.sample())
        env.close()
