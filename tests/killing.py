"""How a process may end by a signal: Python's way while it starts, and the command's own."""

import signal

STATUS = {
    signal.SIGKILL: (-signal.SIGKILL,),
    signal.SIGTERM: (-signal.SIGTERM, 143),
    signal.SIGINT: (-signal.SIGINT, 130),
}
