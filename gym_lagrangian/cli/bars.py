"""Progress bars. They are shown on a terminal only, and removed when the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


def bar(waits_for: str, *, unit: str, total: float | None = None, **options: Any) -> tqdm[Any]:
    """A bar on stderr, which shows nothing where that is a pipe or a file.

    Arguments:
        waits_for: what goes on, as in "training".
        unit: of what is counted.
        total: how many there will be; None where that is unknown.
        options: further ones of `tqdm`.
    """
    from tqdm import tqdm

    return tqdm(desc=waits_for, unit=unit, total=total, leave=False, disable=None, **options)
