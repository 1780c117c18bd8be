"""The special functions against scipy's, which nothing at run time waits for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special as oracle

from alliance.special import digamma, t_quantile, t_share, tetragamma, trigamma

VALUES = np.concatenate([np.linspace(0.05, 12, 400), np.geomspace(12, 1e6, 50)])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (digamma, oracle.digamma),
        (trigamma, lambda x: oracle.polygamma(1, x)),
        (tetragamma, lambda x: oracle.polygamma(2, x)),
    ],
)
def test_the_digamma_family_equals_scipy(ours, theirs):
    np.testing.assert_allclose(ours(VALUES), theirs(VALUES), rtol=2e-13, atol=2e-14)


@settings(deadline=None, max_examples=300)
@given(p=st.floats(1e-6, 1 - 1e-6), df=st.floats(0.5, 1e6))
def test_quantiles_of_t_equal_scipy(p, df):
    assert t_quantile(p, df) == pytest.approx(oracle.stdtrit(df, p), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=300)
@given(value=st.floats(-60, 0), df=st.floats(0.5, 1e6))
def test_shares_of_t_equal_scipy(value, df):
    assert t_share(value, df) == pytest.approx(oracle.stdtr(df, value), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(("p", "df"), [(0, 3), (1, 3), (0.01, 0), (0.01, float("nan"))])
def test_a_quantile_out_of_bounds_is_refused(p, df):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        t_quantile(p, df)
    assert str(caught.value) == f"p must lie between 0 and 1 and df above 0, got p {p} and df {df}"


def test_arrays_are_left_as_they_were():
    values = np.array([0.5, 3.0])
    digamma(values)
    assert values.tolist() == [0.5, 3.0]
