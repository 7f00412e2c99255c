"""Gathers what several threads want refined, so that a device refines many images at a time."""

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

RefineBatch = Callable[[Any, Sequence[np.ndarray], Sequence[np.ndarray]], list[np.ndarray]]
"""Takes a kind, images and maps, returns refined maps."""

_of_thread = threading.local()


class Gathering:
    """Threads that take part run one at a time, each until it wants a map refined; the last to come refines for all."""

    def __init__(self, refine_batch: RefineBatch) -> None:
        """Nobody takes part yet.

        Args:
            refine_batch: refines several maps of one kind.
        """
        self._refine_batch = refine_batch
        self._running = threading.Condition()
        self._counting = threading.Lock()
        self._parts = 0
        self._waiting: list[_Wish] = []

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """The calling thread takes part within: nobody is served before it waits too, or leaves."""
        self._count(1)  # Before its turn comes, so that who runs does not take itself for the last.
        try:
            with self._running:
                _of_thread.gathering = self
                try:
                    yield
                finally:
                    del _of_thread.gathering
        finally:
            self._count(-1)
            with self._running:
                self._serve()

    def refine(
        self,
        kind: Hashable,
        image: UInt8[np.ndarray, "height width 3"],
        probability: Float32[np.ndarray, "height width"],
    ) -> Float32[np.ndarray, "height width"]:
        """Waits for the refined map. Raises what refining this map raises; that of the others goes on."""
        wish = _Wish(kind, image, probability)
        with self._running:
            self._waiting.append(wish)
            self._serve()
            self._running.wait_for(lambda: wish.refined is not None or wish.error is not None)
        if wish.error is not None:
            raise wish.error
        assert wish.refined is not None
        return wish.refined

    def _count(self, change: int) -> None:
        with self._counting:
            self._parts += change

    def _serve(self) -> None:
        if len(self._waiting) < max(self._parts, 1):
            return
        wishes, self._waiting = self._waiting, []
        try:
            for kind in dict.fromkeys(wish.kind for wish in wishes):
                alike = [wish for wish in wishes if wish.kind == kind]
                if len(alike) == 1 or not self._all_fulfilled(alike):
                    for wish in alike:
                        self._fulfil_or_note(wish)
        finally:
            for wish in wishes:
                if wish.refined is None and wish.error is None:
                    wish.error = RuntimeError("interrupted")
            self._running.notify_all()

    def _all_fulfilled(self, wishes: "Sequence[_Wish]") -> bool:
        try:
            self._fulfil(wishes)
        except Exception:  # Perhaps because of one of them only.
            return False
        return True

    def _fulfil_or_note(self, wish: "_Wish") -> None:
        try:
            self._fulfil([wish])
        except Exception as error:
            wish.error = error.with_traceback(None)  # What it holds in memory goes.

    def _fulfil(self, wishes: "Sequence[_Wish]") -> None:
        images, maps = [wish.image for wish in wishes], [wish.probability for wish in wishes]
        for wish, refined in zip(wishes, self._refine_batch(wishes[0].kind, images, maps), strict=True):
            wish.refined = refined


class _Wish:
    """What one thread waits for."""

    def __init__(self, kind: Hashable, image: np.ndarray, probability: np.ndarray) -> None:
        self.kind, self.image, self.probability = kind, image, probability
        self.refined: np.ndarray | None = None
        self.error: Exception | None = None


def current() -> Gathering | None:
    """What the calling thread takes part in."""
    return getattr(_of_thread, "gathering", None)
