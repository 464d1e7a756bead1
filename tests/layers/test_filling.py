"""Holes filled in from around them."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import identity, kron, lil_array
from scipy.sparse.linalg import spsolve

from jaxgan.layers.filling import TENSION, fill_holes

filled = jax.jit(fill_holes)


def test_what_is_known_stays_and_a_flat_image_is_whole_again():
    hole = jnp.zeros((2, 40, 56, 1)).at[:, 10:30, 5:50].set(1.0)
    flat = jnp.full((2, 40, 56, 3), 0.3)
    np.testing.assert_allclose(filled(flat * (1 - hole), hole), flat, atol=1e-5)
    noise = jax.random.normal(jax.random.key(0), flat.shape)
    np.testing.assert_array_equal(jnp.where(hole == 1, 0, filled(noise, hole)), jnp.where(hole == 1, 0, noise))


def test_a_ramp_is_continued():
    ramp = jnp.broadcast_to(jnp.linspace(-1, 1, 64)[None, None, :, None], (1, 64, 64, 1))
    hole = jnp.zeros((1, 64, 64, 1)).at[:, 8:56, 20:44].set(1.0)
    np.testing.assert_allclose(filled(ramp * (1 - hole), hole), ramp, atol=0.02)


def test_the_filling_is_a_plate_in_tension():
    """Against a sparse direct solver, with strokes that reach the border of the image."""
    size = 32
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (size, size))
    hole = np.zeros((size, size), bool)
    hole[3:11, 2:30] = hole[11:32, 14:22] = hole[20:25, 0:9] = True
    line = lil_array((size, size))
    line.setdiag(2.0)
    line.setdiag(-1.0, 1)
    line.setdiag(-1.0, -1)
    line[0, 0] = line[-1, -1] = 1.0  # level at the border
    minus_laplacian = (kron(line, identity(size)) + kron(identity(size), line)).tocsr()
    equation = (1 - TENSION) * minus_laplacian @ minus_laplacian + TENSION * minus_laplacian
    inside, known = np.flatnonzero(hole), np.flatnonzero(~hole)
    expected = image.copy()
    expected[hole] = spsolve(
        equation[inside][:, inside].tocsc(), -equation[inside][:, known] @ image.reshape(-1)[known]
    )
    given = jnp.asarray(image * ~hole, jnp.float32)[None, ..., None]
    found = filled(given, jnp.asarray(hole, jnp.float32)[None, ..., None])[0, ..., 0]
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_an_image_that_is_all_hole_is_nothing():
    np.testing.assert_array_equal(filled(jnp.ones((1, 33, 20, 3)), jnp.ones((1, 33, 20, 1))), 0)
