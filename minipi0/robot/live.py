"""Episodes in a thread of their own.

They play, pause and take single steps while the notebook stays free.
"""

import atexit
import threading
import time

from minipi0.robot.simulator import FPS
from minipi0.robot.watch import Moment, Runner, Scene, Settings

IDLE = 300  # seconds until an unused environment is closed; the next episode makes a new one
ANEW = ("scene", "instruction", "policy", "seed")  # settings whose change begins the episode anew


class Live:
    """Plays episodes in a thread.

    Its methods return at once; what comes of them arrives by the three functions given.

    show: called with a Moment.
    fail: called with a sentence when something went wrong.
    stop: called when it no longer plays: the episode is over, something went wrong, or another
        Live began to play (only one plays at a time).
    size: pixels a side of the reader's picture.
    """

    _playing: "Live | None" = None

    def __init__(
        self, scenes: dict[str, Scene], settings: Settings, show, fail, stop, size: int = 320
    ):
        self.settings, self.moment = settings, None  # moment: the last one shown
        self._runner = Runner(scenes, size)
        self._show, self._fail, self._stop = show, fail, stop
        self._wake = threading.Condition()
        self._play, self._steps, self._fresh, self._closing = False, 0, False, False
        self._thread: threading.Thread | None = None

    # ---- called from any thread ------------------------------------------------------------------

    def play(self) -> None:
        """Go on until the episode is over, or begin anew if it is."""
        other, Live._playing = Live._playing, self
        if other not in (None, self):
            other.pause()
            other._stop()
        self._tell(_play=True)

    def pause(self) -> None:
        """Stop after the action that is being carried out."""
        self._tell(_play=False)

    def step(self) -> None:
        """One action, then pause."""
        self._tell(_play=False, _steps=self._steps + 1)

    def restart(self) -> None:
        """Back to the start of the same seed; plays on if it was playing."""
        self._tell(_fresh=True)

    def change(self, settings: Settings) -> None:
        """Take other settings.

        Those in ANEW begin the episode anew. The rest holds from the next chunk on; at the start
        that is the one whose fan is on show, so the start is shown anew.
        """
        old = self.settings
        if settings == old:
            return
        fresh = any(getattr(settings, name) != getattr(old, name) for name in ANEW)
        fresh |= self.moment is not None and self.moment.frame == 0 and not self._play
        self._tell(settings=settings, _fresh=self._fresh or fresh)

    def close(self) -> None:
        """End the thread and free what it holds."""
        self._tell(_closing=True)
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(5)
        atexit.unregister(self.close)

    def _tell(self, **changes) -> None:
        with self._wake:
            for name, value in changes.items():
                setattr(self, name, value)
            if self._thread is None and not self._closing and self._wanted():
                self._thread = threading.Thread(target=self._work, name="robot", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def _wanted(self) -> bool:
        return self._closing or self._fresh or self._steps > 0 or self._play

    # ---- the thread ------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._wake:
                if not self._wake.wait_for(self._wanted, IDLE):
                    self._runner.close()
                    self.moment = None
                    self._wake.wait_for(self._wanted)
                if self._closing:
                    return self._runner.close()
                begin = self._fresh or self.moment is None or self.moment.over
                self._fresh, self._steps = False, max(0, self._steps - (not begin))
                settings = self.settings
            start = time.monotonic()
            try:
                moment = self._begin(settings) if begin else self._runner.advance(settings)
            except Exception as error:  # the reader must see it, wherever it comes from
                self._gave_up(error)
                continue
            with self._wake:
                if self._fresh:  # a setting changed meanwhile: this moment belongs to the past
                    continue
                self.moment = moment
                if moment.over:
                    self._play, self._steps = False, 0
            self._show(moment)
            if moment.over:
                self._stop()
            rest = start + 1 / (FPS * settings.speed) - time.monotonic()
            if self._play and rest > 0:
                with self._wake:
                    self._wake.wait_for(
                        lambda: self._closing or self._fresh or not self._play, rest
                    )

    def _begin(self, settings: Settings) -> Moment:
        moment = self._runner.begin(settings)
        atexit.unregister(self.close)
        atexit.register(self.close)  # after the cameras' own handlers: it is called before them
        return moment

    def _gave_up(self, error: Exception) -> None:
        with self._wake:
            self._play, self._steps, self._fresh, self.moment = False, 0, False, None
        self._runner.close()
        self._fail(f"{type(error).__name__}: {error}")
        self._stop()
