"""Totals of a latent course → answers to the items of a form, as printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alliance.simulate.course import HIGHEST, LOWEST

if TYPE_CHECKING:
    from alliance.scale import Scale

Array = np.ndarray[Any, Any]

# Item sum at an average alliance, points per between-person SD. Any other form: 12-60 rescaled to its range.
PLACED = {"srs": (36.0, 2.6)}
MEAN, SD = 46.0, 7.0

EASINESS_SD, PERSONAL_SD, PASSING_SD = 0.06, 0.08, 0.09
DOMAIN_WEIGHT = 1.5
HALVINGS = 32
BLOCK = 1 << 16


def alliance_share(total: Array, scale: Scale) -> Array:
    """Return where on a form's range a total on 12 to 60 lies: 0 = weakest, 1 = strongest; not clipped.

    Linear in the total. A form whose usual level is known (SRS) has its average there; any other has its
    range laid over 12 to 60.
    """
    if scale.id not in PLACED:
        return np.asarray((total - LOWEST) / (HIGHEST - LOWEST))
    average, per_sd = PLACED[scale.id]
    points = average + per_sd * (total - MEAN) / SD
    return np.asarray((points / scale.n_items - scale.min) / (scale.max - scale.min))


def units(share: Array, scale: Scale) -> Array:
    """Return the target of each form: the whole number of answer steps, all items together, clipped."""
    most = scale.n_items * top(scale)
    return np.asarray(np.clip(np.rint(share * most), 0, most).astype(int))


def top(scale: Scale) -> int:
    """Return the number of answer steps from the lowest to the highest answer of one item."""
    return round((scale.max - scale.min) / scale.step)


def printed(steps: Array, scale: Scale) -> Array:
    """Return answers as printed, shape (forms, items), from steps above the weakest answer of each item.

    Where a high answer is a bad one, because the item is reversed or the whole form counts problems, the
    answer is mirrored; where both hold it is not.
    """
    worse = scale.direction == "higher_is_worse"
    mirrored = np.array([(item in scale.reverse) != worse for item in range(1, scale.n_items + 1)])
    value = scale.min + scale.step * np.where(mirrored, top(scale) - steps, steps)
    return np.asarray(np.round(value, 6))


def spread(target: Array, lean: Array, *, most: int) -> Array:
    """Spread each target over the items of its form.

    Parameters
    ----------
    target : int array, shape (forms,)
        Sum of the form, from 0 to items times `most`.
    lean : float array, shape (forms, items)
        How many steps an item lies above (+) or below the others before the range cuts it.
    most : int
        Highest number of steps of one item.

    Returns
    -------
    int array, shape (forms, items)
        From 0 to `most`; each row sums to its target exactly. What rounding leaves over goes to the items
        that lost most by it.
    """
    low = -lean.max(axis=1)
    high = most - lean.min(axis=1)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        short = np.clip(lean + middle[:, None], 0, most).sum(axis=1) < target
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    exact = np.clip(lean + high[:, None], 0, most)
    steps = np.floor(exact + 1e-6).astype(int)
    rest = np.where(steps < most, exact - steps, -1.0)
    place = np.argsort(np.argsort(-rest, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(steps + (place < (target - steps.sum(axis=1))[:, None]))


def answer_forms(
    rng: np.random.Generator, *, share: Array, fall: Array, domain: Array, present: Array, scale: Scale
) -> Array:
    """Answer the items of many forms.

    Parameters
    ----------
    rng : Generator
        Easiness of the items, taste of the persons, and what passes.
    share : float array, shape (cases, sessions)
        Where on the form's range each form lies; 0 = worst, 1 = best.
    fall : float array, shape (cases, sessions)
        How much of that share a rupture takes away at that session, 0 or more.
    domain : str array, shape (cases,)
        Subscale that the rupture hits most; a name that is no subscale of the form hits all items alike.
    present : bool array, shape (cases, sessions)
        Which forms to answer.
    scale : Scale
        The form.

    Returns
    -------
    array, shape (forms, items)
        Answers as printed, the present forms in the order case, session. Turned by its key, a form sums to
        its rounded and clipped target exactly.
    """
    easy, personal, passing = rng.spawn(3)
    span, n_items = top(scale), scale.n_items
    case, session = np.nonzero(present)
    target = units(share[case, session], scale)
    easiness = EASINESS_SD * easy.standard_normal(n_items)
    taste = PERSONAL_SD * personal.standard_normal((len(share), n_items))
    noise = passing.standard_normal((*share.shape, n_items), dtype=np.float32)
    extra = DOMAIN_WEIGHT * _hit(domain, scale)
    answers = np.empty((len(case), n_items))
    for start in range(0, len(case), BLOCK):
        part = slice(start, start + BLOCK)
        i, t = case[part], session[part]
        lean = easiness + taste[i] + PASSING_SD * noise[i, t] - fall[i, t][:, None] * extra[i]
        answers[part] = printed(spread(target[part], span * lean, most=span), scale)
    return answers


def _hit(domain: Array, scale: Scale) -> Array:
    """Return 1 where an item belongs to the domain of the case's rupture, shape (cases, items)."""
    hit = np.zeros((len(domain), scale.n_items))
    for name, items in scale.subscales.items():
        hit[np.ix_(domain == name, [item - 1 for item in items])] = 1
    return hit
