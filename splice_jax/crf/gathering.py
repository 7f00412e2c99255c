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
    """Threads that take part go on until all of them wait for a refined map; then the last to come refines for all."""

    def __init__(self, refine_batch: RefineBatch) -> None:
        """Nobody takes part yet.

        Args:
            refine_batch: refines several maps of one kind.
        """
        self._refine_batch = refine_batch
        self._changed = threading.Condition()
        self._parts = 0
        self._waiting: list[_Wish] = []

    @contextlib.contextmanager
    def part(self) -> Iterator[None]:
        """The calling thread takes part within: nobody is served before it waits too, or leaves."""
        with self._changed:
            self._parts += 1
        _of_thread.gathering = self
        try:
            yield
        finally:
            del _of_thread.gathering
            with self._changed:
                self._parts -= 1
                self._serve()

    def refine(
        self,
        kind: Hashable,
        image: UInt8[np.ndarray, "height width 3"],
        probability: Float32[np.ndarray, "height width"],
    ) -> Float32[np.ndarray, "height width"]:
        """Waits for the refined map. Raises what refining this map raises; that of the others goes on."""
        wish = _Wish(kind, image, probability)
        with self._changed:
            self._waiting.append(wish)
            self._serve()
            self._changed.wait_for(lambda: wish.refined is not None or wish.error is not None)
        if wish.error is not None:
            raise wish.error
        assert wish.refined is not None
        return wish.refined

    def _serve(self) -> None:
        if len(self._waiting) < max(self._parts, 1):
            return
        wishes, self._waiting = self._waiting, []
        for kind in dict.fromkeys(wish.kind for wish in wishes):
            alike = [wish for wish in wishes if wish.kind == kind]
            try:
                self._fulfil(alike)
            except Exception:  # Perhaps because of one of them only.
                for wish in alike:
                    try:
                        self._fulfil([wish])
                    except Exception as error:
                        wish.error = error
        self._changed.notify_all()

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
