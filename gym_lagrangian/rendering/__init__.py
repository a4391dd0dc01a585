"""Pictures from geometry, with numpy and pygame only. No module here uses any physics.

`Renderer` draws scenes, into arrays or a window; `Panels` puts pictures of several beside each
other, above one chart. What they have in common: `Canvas`, on which both are drawn; `Chart`, curves
over the last seconds, of energy `Drifts` or of the `Curves` of a scene; `Window`; and the
`colours`.
"""

import os

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # a library does not greet on stdout

from gym_lagrangian.rendering.panels import Panels
from gym_lagrangian.rendering.renderer import Layout, Renderer
from gym_lagrangian.rendering.window import Window

__all__ = ["Layout", "Panels", "Renderer", "Window"]
