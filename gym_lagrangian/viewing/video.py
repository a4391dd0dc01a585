"""Pictures to a file: ``.mp4`` by ffmpeg, ``.gif`` by Pillow (the extra ``video``).

Both libraries are imported only when used. A video appears under its name once it is whole:
whatever goes wrong before, Ctrl-C included, a file that was there stays as it was.
"""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gym_lagrangian.checks import positive_number
from gym_lagrangian.errors import ConfigurationError, MissingExtra
from gym_lagrangian.files import replacing
from gym_lagrangian.rendering import colours

Frames = Iterator[np.ndarray]

LEAST_GIF_MS = 20  # viewers play anything faster at a tenth of the speed


def write_video(path: str | os.PathLike[str], frames: Iterable[np.ndarray], *, fps: float) -> Path:
    """Write pictures as a video.

    Arguments:
        path: ends in ``.mp4`` or ``.gif``; folders that are missing are made.
        frames: (H, W, 3) uint8, all of one size, taken one after the other. ``.mp4`` can only
            hold even sizes: odd ones gain a white line.
        fps: pictures per second. A ``.gif`` rounds their duration to hundredths of a second.

    Raises:
        ConfigurationError: another suffix, or no pictures.
        MissingExtra: the writer is not installed; the message says how to install it.
        GymLagrangianError: the file cannot be written.
    """
    write = writer_for(path)
    fps = positive_number("fps", fps, "pictures per second")
    with replacing(path) as part:
        pictures = iter(frames)
        first = next(pictures, None)
        if first is None:
            raise ConfigurationError("no pictures: a video needs at least one")
        write(part, first, pictures, fps)
    return Path(path)


def writer_for(path: str | os.PathLike[str]) -> Callable[[Path, np.ndarray, Frames, float], None]:
    """What writes such a file, so that nothing is simulated for a name that cannot be written.

    Raises:
        ConfigurationError: an unknown suffix.
        MissingExtra: the writer is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITERS:
        raise ConfigurationError(
            f"video {os.fspath(path)!r}: a name must end in {' or '.join(_WRITERS)}"
        )
    write, library = _WRITERS[suffix]
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise MissingExtra(
            f'{suffix} videos need {library}: pip install "gym-lagrangian[video]"'
        ) from error
    return write


def _write_mp4(part: Path, first: np.ndarray, rest: Frames, fps: float) -> None:
    import imageio_ffmpeg

    part.touch()  # says why in a line where it may not be written; ffmpeg would take a page
    height, width, _ = _even(first).shape
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps)]
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18", "-movflags", "+faststart"]
    executable = imageio_ffmpeg.get_ffmpeg_exe()
    command = [executable, "-loglevel", "error", "-y", *raw, "-i", "-", *coded, "-f", "mp4", part]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is ours to handle
    ) as ffmpeg:
        assert ffmpeg.stdin is not None
        try:
            for frame in itertools.chain([first], rest):
                ffmpeg.stdin.write(_even(frame).tobytes())
        except BrokenPipeError:
            pass  # it has ended, and says why below
        except BaseException:
            ffmpeg.kill()
            raise
        _, complaint = ffmpeg.communicate()
    if ffmpeg.returncode:
        raise OSError(complaint.decode(errors="replace").strip() or "ffmpeg failed")


def _even(frame: np.ndarray) -> np.ndarray:
    """With a white line more where the height or the width is odd."""
    odd_rows, odd_columns = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, ((0, odd_rows), (0, odd_columns), (0, 0)), constant_values=255)


def _write_gif(part: Path, first: np.ndarray, rest: Frames, fps: float) -> None:
    from PIL import Image

    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())

    def indexed(frame: np.ndarray) -> Any:
        return Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)

    duration = max(LEAST_GIF_MS, 10 * round(100 / fps))
    indexed(first).save(
        part,
        format="GIF",
        save_all=True,
        append_images=map(indexed, rest),
        duration=duration,
        loop=0,
        optimize=True,
        disposal=1,
    )


def _palette() -> list[int]:
    """Every colour that pictures are drawn in, and twelve steps from it to white.

    One palette for all pictures keeps still areas still. Their pixels are then stored as unchanged,
    which halves the file.
    """
    drawn = {(0, 0, 0), colours.TRUTH, colours.TRACE, colours.TARGET, *colours.MODELS}
    shades = [shade for colour in sorted(drawn) for shade in colours.fading(colour, 12)]
    return [part for shade in (*shades, colours.WHITE) for part in shade]


_WRITERS = {".mp4": (_write_mp4, "imageio_ffmpeg"), ".gif": (_write_gif, "PIL")}
