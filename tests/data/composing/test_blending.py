import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse import linalg

from splice_jax.data.composing.blending import blend, gradient_domain, match_tone, soft

SIDE = 40
DISC = np.hypot(*np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]) < 0.7


@pytest.fixture
def pair(photograph) -> tuple[np.ndarray, np.ndarray]:
    """A host and a donor of its size and of other colours."""
    donor = photograph(2, SIDE, SIDE).astype(int) // 2 + [90, 20, 50]
    return photograph(1, SIDE, SIDE), donor.clip(0, 255).astype(np.uint8)


def test_a_hard_border_takes_pixels_as_they_are(pair) -> None:
    host, donor = pair
    alpha = soft(DISC, 0)
    np.testing.assert_array_equal(alpha, DISC)
    np.testing.assert_array_equal(blend(host, donor, alpha), np.where(DISC[..., None], donor, host))


def test_a_soft_border_is_a_gaussian_s_and_mixes_by_it(pair) -> None:
    host, donor = pair
    alpha = soft(DISC, 2.0)
    np.testing.assert_allclose(alpha, ndimage.gaussian_filter(DISC.astype(float), 2, mode="nearest"), atol=0.02)
    mixed = host * (1 - alpha[..., None].astype(float)) + donor * alpha[..., None]
    found = blend(host, donor, alpha)
    assert found.dtype == np.uint8 and np.abs(found - mixed).max() <= 0.501
    np.testing.assert_array_equal(found[alpha == 0], host[alpha == 0])


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_tone_is_moved_towards_the_host_s(photograph, strength: float) -> None:
    host, donor = photograph(3, SIDE, SIDE), (photograph(4, SIDE, SIDE) // 2 + 60).astype(np.uint8)
    found = match_tone(donor, DISC, host, strength)
    before, after = donor[DISC].astype(float), found[DISC].astype(float)
    around = host.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(after.mean(0), before.mean(0) + strength * (around.mean(0) - before.mean(0)), atol=0.6)
    contrast = np.clip((around.std(0) + 1) / (before.std(0) + 1), 0.7, 1.4) ** strength
    np.testing.assert_allclose(after.std(0), before.std(0) * contrast, rtol=0.02)
    if strength == 0:
        np.testing.assert_array_equal(found, donor)


def by_elimination(host: np.ndarray, donor: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The same equations, solved directly: in each pixel, the host's picture has the donor's second differences."""
    number = {tuple(place): index for index, place in enumerate(np.argwhere(inside).tolist())}
    matrix, right = sparse.lil_array((len(number), len(number))), np.zeros((len(number), 3))
    for (y, x), index in number.items():
        matrix[index, index] = 4
        for v, u in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
            right[index] += donor[y, x].astype(float) - donor[v, u]
            if (v, u) in number:
                matrix[index, number[v, u]] = -1
            else:
                right[index] += host[v, u]
    return linalg.spsolve(matrix.tocsc(), right)


@pytest.mark.parametrize("name", ["disc", "to the border", "two parts"])
def test_the_gradient_domain_is_a_direct_solution(pair, name: str) -> None:
    shape = {"disc": DISC, "to the border": np.arange(SIDE)[:, None] < 15, "two parts": abs(DISC - 0.5) > 1}[name]
    shape = np.broadcast_to(shape, (SIDE, SIDE)).copy()
    if name == "two parts":
        shape[3:9, 3:20], shape[25:36, 22:30] = True, True
    host, donor = pair
    found = gradient_domain(host, donor, shape)
    inside = shape.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = False
    np.testing.assert_array_equal(found[~inside], host[~inside])
    expected = by_elimination(host, donor, inside).clip(0, 255)
    apart = np.abs(found[inside] - expected)
    assert apart.max() < 1.5 and apart.mean() < 0.5  # rounding alone makes 0.25
    assert (found[inside] != host[inside]).mean() > 0.5


def test_a_donor_that_differs_by_a_constant_changes_nothing(pair) -> None:
    host = pair[0] // 2
    found = gradient_domain(host, host + np.uint8(60), DISC)
    assert np.abs(found.astype(int) - host).max() <= 1


def test_where_nothing_is_inside_the_host_stays(pair) -> None:
    host, donor = pair
    shape = np.zeros((SIDE, SIDE), bool)
    shape[0], shape[:, -1] = True, True
    np.testing.assert_array_equal(gradient_domain(host, donor, shape), host)
