from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from splice_jax.crf import CrfParameters, exact, on_device, permutohedral, refine
from splice_jax.crf.mean_field import Inference, Kernels, mean_field
from tests.optional import HAS_PYDENSECRF, needs_pydensecrf

USUAL = Kernels(10.0, 80.0, 13.0, 3.0, 3.0)
OTHERS = Kernels(10.0, 80.0, 5.0, 3.0, 3.0), Kernels(5.0, 10.0, 20.0, 1.0, 1.0), Kernels(4.0, 20.0, 8.0, 3.0, 2.0)
inferred = jax.jit(mean_field, static_argnames=("iterations", "capacity", "reach"))


def scene(height: int, width: int, seed: int) -> np.ndarray:
    """Like a photograph: surfaces with edges, shading, and grain."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    surfaces = np.full((height, width), 0)
    for number in range(4):
        (a, b), c = random.normal(size=2), random.uniform(-0.5, 0.5)
        surfaces += 2**number * (a * (y / height - 0.5) + b * (x / width - 0.5) > 0.5 * c)
    colours = random.uniform(30, 220, (16, 3))[surfaces]
    shading = 1 + 0.2 * np.sin(3 * x / width + random.uniform(0, 6))
    return (colours * shading[..., None] + random.normal(0, 4, (height, width, 3))).clip(0, 255).astype(np.uint8)


def energies(image: np.ndarray, seed: int, labels: int = 2) -> np.ndarray:
    """Of a network that half knows which surfaces are bright, and is noisy."""
    random = np.random.default_rng(seed)
    bright = image.mean(-1)
    logits = [np.abs(bright - level) / -60 for level in np.quantile(bright, np.linspace(0, 1, labels))]
    noisy = np.stack(logits) + random.normal(0, 0.4, (labels, *bright.shape))
    return -np.asarray(jax.nn.log_softmax(noisy, axis=0), np.float32)


def pydensecrf(
    unary: np.ndarray, image: np.ndarray, kernels: Kernels, iterations: int, penalty: np.ndarray | None = None
) -> np.ndarray:
    from pydensecrf.densecrf import DenseCRF2D

    labels, height, width = unary.shape
    field = DenseCRF2D(width, height, labels)
    field.setUnaryEnergy(np.ascontiguousarray(unary.reshape(labels, -1)))
    a, b, c, d, e = (float(value) for value in kernels)
    weights = (d, a) if penalty is None else (np.float32(d * penalty), np.float32(a * penalty))
    if d:
        field.addPairwiseGaussian(sxy=e, compat=weights[0])
    field.addPairwiseBilateral(sxy=b, srgb=c, rgbim=np.ascontiguousarray(image), compat=weights[1])
    return np.array(field.inference(iterations)).reshape(unary.shape)


def scenes() -> tuple[np.ndarray, np.ndarray]:
    """Unaries and images, of one size in all tests that can share the compiled program."""
    images = np.stack([scene(24, 24, seed) for seed in range(4)])
    return np.stack([energies(image, seed) for seed, image in enumerate(images)]), images


@pytest.mark.parametrize("iterations", [1, 5, 10])
def test_marginals_are_those_of_brute_force(iterations: int) -> None:
    """Within 2e-2, but where the lattice as such, pydensecrf's too, tips a surface that hangs in the balance."""
    unary, images = scenes()
    errors = []
    for kernels in (USUAL, *OTHERS):
        result = inferred(unary, images, kernels, iterations=iterations, capacity=4096)
        assert not result.overflow.any()
        for row, image in enumerate(images):
            wanted = exact.mean_field(unary[row].astype(np.float64), image, kernels, iterations)
            errors.append(np.abs(result.marginals[row] - wanted).mean())
            if errors[-1] > 2e-2 and HAS_PYDENSECRF:
                theirs = np.abs(pydensecrf(unary[row], image, kernels, iterations) - wanted).mean()
                assert errors[-1] < theirs + 1e-3
    assert np.median(errors) < 5e-3 and np.mean(errors) < 1e-2


@needs_pydensecrf
@pytest.mark.parametrize("iterations", [1, 5, 10])
def test_marginals_are_pydensecrfs(iterations: int) -> None:
    images = np.stack([scene(48, 64, seed) for seed in range(3)])
    unary = np.stack([energies(image, seed) for seed, image in enumerate(images)])
    for kernels in (USUAL, *OTHERS):
        result = inferred(unary, images, kernels, iterations=iterations, capacity=16384)
        assert not result.overflow.any()
        for row, image in enumerate(images):
            wanted = pydensecrf(unary[row], image, kernels, iterations)
            assert np.abs(result.marginals[row] - wanted).mean() < 1e-2


@needs_pydensecrf
def test_the_bilateral_kernel_alone_is_pydensecrfs_to_rounding() -> None:
    image = scene(24, 24, 3)
    unary = energies(image, 0)
    for kernels in (USUAL, *OTHERS):
        alone = kernels._replace(smoothness_weight=0.0)
        result = inferred(unary[None], image[None], alone, iterations=1, capacity=4096)
        np.testing.assert_allclose(result.marginals[0], pydensecrf(unary, image, alone, 1), atol=2e-4)


@needs_pydensecrf
def test_any_number_of_labels_and_any_compatibility() -> None:
    image = scene(24, 24, 4)
    unary = energies(image, 0, 5)
    distance = np.abs(np.arange(5)[:, None] - np.arange(5)).astype(np.float32)
    for penalty in (None, distance):
        result = inferred(unary[None], image[None], USUAL, iterations=3, capacity=4096, compatibility=penalty)
        wanted = pydensecrf(unary, image, USUAL, 3, penalty)
        assert np.abs(result.marginals[0] - wanted).mean() < 1e-2
        oracle = exact.mean_field(unary.astype(np.float64), image, USUAL, 3, penalty)
        assert np.abs(result.marginals[0] - oracle).mean() < 2e-2


def test_one_label_is_certain() -> None:
    image = scene(6, 5, 4)
    assert np.all(inferred(energies(image, 0, 1)[None], image[None], USUAL, iterations=2, capacity=512).marginals == 1)


def test_gradients_are_finite_differences() -> None:
    # Not with a σ_α of 9: at x = 0, y = 9 a pixel would lie between two simplices, where the lattice jumps.
    image = jnp.asarray(scene(10, 12, 5))[None]
    random = np.random.default_rng(0)
    with jax.enable_x64():
        point = (
            jnp.asarray(energies(np.asarray(image[0]), 0, 3)[None], jnp.float64),
            Kernels(*(jnp.asarray(value, jnp.float64) for value in (1.5, 9.3, 21.0, 0.8, 1.7))),
            jnp.asarray(random.uniform(0, 1, (3, 3))),
        )
        target = jnp.asarray(random.normal(size=point[0].shape))

        @jax.jit
        def loss(unary: jax.Array, kernels: Kernels, penalty: jax.Array) -> jax.Array:
            result = mean_field(unary, image, kernels, iterations=3, capacity=1024, compatibility=penalty)
            return jnp.sum(target * result.marginals)

        gradient = jax.jit(jax.grad(loss, (0, 1, 2)))(*point)
        leaves, tree = jax.tree.flatten(point)
        # One direction in the unaries, one in the compatibility, and every weight and width by itself.
        for chosen, slope in enumerate(jax.tree.leaves(gradient)):
            assert np.isfinite(slope).all() and np.any(slope)
            way = 1e-5 * random.normal(size=slope.shape)
            ahead, behind = (
                loss(*jax.tree.unflatten(tree, [x + sign * way if i == chosen else x for i, x in enumerate(leaves)]))
                for sign in (1, -1)
            )
            np.testing.assert_allclose(jnp.vdot(slope, way), (ahead - behind) / 2, rtol=1e-5, atol=1e-14)


@pytest.fixture(scope="module")
def four() -> tuple[np.ndarray, np.ndarray, Inference]:
    """Unaries, images, and marginals."""
    unary, images = scenes()
    return unary, images, inferred(unary, images, USUAL, iterations=5, capacity=4096)


def test_vmap_and_jit_change_nothing(four: tuple[np.ndarray, np.ndarray, Inference]) -> None:
    unary, images, together = four

    def one(unary: Any, image: Any, weight: Any) -> jax.Array:
        kernels = USUAL._replace(bilateral_weight=weight)
        return mean_field(unary[None], image[None], kernels, iterations=5, capacity=4096).marginals[0]

    np.testing.assert_allclose(one(unary[1], images[1], 10.0), together.marginals[1], atol=1e-5)
    mapped = jax.jit(jax.vmap(one))(unary, images, np.full(4, 10, np.float32))
    np.testing.assert_allclose(mapped, together.marginals, atol=1e-5)


def test_padding_changes_nothing(four: tuple[np.ndarray, np.ndarray, Inference]) -> None:
    unary, images, together = four
    padded = np.pad(unary, ((0, 0), (0, 0), (0, 3), (0, 6)), constant_values=5)
    noisy = np.random.default_rng(0).integers(0, 256, (4, 27, 30, 3), np.uint8)
    noisy[:, :24, :24] = images
    result = inferred(padded, noisy, USUAL, iterations=5, capacity=4096, sizes=np.full((4, 2), 24))
    np.testing.assert_allclose(result.marginals[..., :24, :24], together.marginals, atol=1e-5)


def test_an_image_without_room_is_marked_and_its_neighbour_is_not() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    images = np.stack([noise, np.full_like(noise, 100)])
    unary = np.stack([energies(image, 0) for image in images])
    small = inferred(unary, images, USUAL, iterations=2, capacity=256)
    np.testing.assert_array_equal(small.overflow, [True, False])
    assert np.isnan(small.marginals[0]).all() and np.isfinite(small.marginals[1]).all()

    @jax.jit
    @jax.grad
    def slopes(unary: jax.Array) -> jax.Array:
        return jnp.nansum(mean_field(unary, jnp.asarray(images), USUAL, iterations=1, capacity=256).marginals[:, 0])

    found = slopes(unary)
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()


def test_refine_repeats_with_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    probability = np.random.default_rng(1).random((24, 24), np.float32)
    at_once = refine("jax", noise, probability, CrfParameters())
    capacities = []
    compiled = on_device._compiled

    def noted(*arguments: Any, capacity: int, **static: Any) -> Inference:
        capacities.append(capacity)
        return compiled(*arguments, capacity=capacity, **static)

    monkeypatch.setattr(on_device, "_SMALLEST_CAPACITY", 1024)
    monkeypatch.setattr(on_device, "_compiled", noted)
    np.testing.assert_array_equal(refine("jax", noise, probability, CrfParameters()), at_once)
    assert capacities == [1024, 4096]


def test_vertices_that_are_taken_for_one_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).uniform(0, 20, (5, 200)).astype(np.float32)
    assert not jax.jit(lambda points: permutohedral.build(points, 2048).overflow)(features)
    multipliers = permutohedral._MULTIPLIERS.copy()
    multipliers[1] = 0
    monkeypatch.setattr(permutohedral, "_MULTIPLIERS", multipliers)
    assert jax.jit(lambda points: permutohedral.build(points, 2048).overflow)(features)


def test_the_lattice_is_adams() -> None:
    """Vertices, weights and blur against a plain dictionary of coordinates."""
    features = np.random.default_rng(0).normal(0, 3, (3, 40)).astype(np.float32)
    values = np.random.default_rng(1).random((1, 40), np.float32)
    lattice = jax.jit(permutohedral.build, static_argnums=1)(features, 512)
    np.testing.assert_allclose(lattice.weights.sum(0), 1, atol=1e-5)
    assert np.min(lattice.weights) > -1e-5

    elevated = np.asarray(permutohedral._elevated(jnp.asarray(features)), np.float64).T
    np.testing.assert_allclose(elevated.sum(1), 0, atol=1e-4)
    corners = [_enclosing(point) for point in elevated]
    mass: dict[tuple[int, ...], float] = {}
    for value, around in zip(values[0], corners, strict=True):
        for vertex, weight in around:
            mass[vertex] = mass.get(vertex, 0) + weight * value
    assert len(np.unique(lattice.vertices)) == len(mass)
    for direction in range(4):
        step = np.ones(4, int)
        step[direction] = -3
        mass = {
            vertex: own + 0.5 * sum(mass.get(tuple(np.add(vertex, sign * step).tolist()), 0) for sign in (1, -1))
            for vertex, own in mass.items()
        }
    wanted = [sum(weight * mass[vertex] for vertex, weight in around) for around in corners]
    np.testing.assert_allclose(jax.jit(permutohedral.filtered)(lattice, values)[0], wanted, rtol=1e-4)


def _enclosing(point: np.ndarray) -> list[tuple[tuple[int, ...], float]]:
    """The corners of the simplex around a point of the hyperplane, with barycentric weights that solve for it."""
    size = len(point)
    origin = np.round(point / size) * size
    order = np.argsort(-(point - origin), kind="stable")
    excess = round(origin.sum() / size)
    for _ in range(abs(excess)):  # Back into the hyperplane, by the coordinates that lose least.
        if excess > 0:
            origin[order[-1]] -= size
            order = np.roll(order, 1)
        else:
            origin[order[0]] += size
            order = np.roll(order, -1)
    corners = []
    for k in range(size):
        corner = origin + k
        corner[order[size - k :]] -= size
        corners.append(corner)
    system = np.vstack([np.array(corners).T, np.ones(size)])
    weights = np.linalg.lstsq(system, np.append(point, 1), rcond=None)[0]
    return [(tuple(corner.astype(int).tolist()), weight) for corner, weight in zip(corners, weights, strict=True)]


IMAGES: dict[str, Callable[[], Any]] = {
    "black": lambda: np.zeros((24, 24, 3), np.uint8),
    "saturated": lambda: np.full((24, 24, 3), 255, np.uint8),
    "both": lambda: np.random.default_rng(0).integers(0, 2, (24, 24, 3)).astype(np.uint8) * 255,
    "noise": lambda: np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8),
}


@pytest.mark.parametrize("image", list(IMAGES))
def test_extreme_images_with_extreme_maps(image: str) -> None:
    for values in (np.zeros((24, 24)), np.ones((24, 24)), np.eye(24), np.full((24, 24), 0.5)):
        refined = refine("jax", IMAGES[image](), values.astype(np.float32), CrfParameters())
        assert np.isfinite(refined).all() and 0 <= refined.min() <= refined.max() <= 1


def test_marginals_sum_to_1_and_follow_a_permutation_of_labels() -> None:
    image = scene(24, 24, 8)
    unary = energies(image, 0, 5)
    order = np.array([2, 0, 4, 3, 1])
    first, other = (
        inferred(u[None], image[None], USUAL, iterations=3, capacity=4096).marginals[0] for u in (unary, unary[order])
    )
    np.testing.assert_allclose(first.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(other, first[order], atol=1e-4)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong to images"):
        mean_field(jnp.zeros((1, 2, 3, 4)), jnp.zeros((1, 4, 3, 3), jnp.uint8), USUAL, iterations=1, capacity=64)
    with pytest.raises(ValueError, match="no power of two"):
        permutohedral.build(jnp.zeros((5, 3)), 100)
