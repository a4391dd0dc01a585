"""Windows on the screen: real time, one queue of events for all, closed by code or by the user."""

from __future__ import annotations

import time
from typing import ClassVar

import pygame

MOST_LATE = 0.2  # seconds that are made up for; a longer break is a break


class Window:
    """A window on the screen.

    It closes by `close`, its button or Escape; `show` then does nothing.

    Arguments:
        title: what stands above it.
        size: width and height in pixels.
        fps: pictures per second of real time, at most.
    """

    # All that are open: there is one queue of events for all windows, so whichever is drawn
    # reads it for the others too.
    _open: ClassVar[list[Window]] = []

    def __init__(self, title: str, size: tuple[int, int], fps: int):
        pygame.display.init()
        make = pygame.Window if hasattr(pygame, "Window") else _Display
        self._window = make(title, size)
        self._period = 1.0 / fps
        self._due = time.perf_counter()
        Window._open.append(self)

    @property
    def is_open(self) -> bool:
        return self in Window._open

    def show(self, frame: pygame.Surface) -> list[pygame.event.Event]:
        """Put a picture up, wait until it is due to be replaced, obey the user.

        Returns:
            Everything that happened meanwhile, in any window.
        """
        if not self.is_open:
            return []
        try:
            surface = self._window.get_surface()
        except pygame.error:  # another part of the program has quit pygame
            self.close()
            return []
        surface.blit(frame, (0, 0))
        self._window.flip()
        self._wait()
        events = pygame.event.get()
        for event in events:
            for window in tuple(Window._open):
                window._obey(event)
        return events

    def close(self) -> None:
        if self.is_open:
            Window._open.remove(self)
            self._window.destroy()

    def _wait(self) -> None:
        """Sleep until the picture has been up for its time. One that was late shortens the wait
        of the next ones, so that on the whole a window keeps to real time.
        """
        now = time.perf_counter()
        self._due = max(self._due + self._period, now - MOST_LATE)
        time.sleep(max(0.0, self._due - now))

    def _obey(self, event: pygame.event.Event) -> None:
        mine = getattr(event, "window", None) in (None, self._window)
        escape = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
        button = event.type == pygame.WINDOWCLOSE
        if event.type == pygame.QUIT or (mine and (escape or button)):
            self.close()


class _Display:
    """pygame's one display in the guise of a `pygame.Window`, for pygame, which has none.

    Two renderers then share it, and it goes with the last of them.
    """

    _users: ClassVar[int] = 0

    def __init__(self, title: str, size: tuple[int, int]):
        pygame.display.set_mode(size)
        pygame.display.set_caption(title)
        _Display._users += 1

    def get_surface(self) -> pygame.Surface:
        surface = pygame.display.get_surface()
        if surface is None:
            raise pygame.error("the display has been closed")
        return surface

    def flip(self) -> None:
        pygame.display.flip()

    def destroy(self) -> None:
        _Display._users -= 1
        if _Display._users == 0:
            pygame.display.quit()
