"""Logarithm, exponential and cosine of + - * / alone: the same bits on every machine.

Written as series without a branch, so that the compiler takes several numbers at once. They are
right but for the last bit or so, like those of a C library, and what is made of them is rounded at
once (`sampling.py`). Workloads were first drawn with a C library's: a result of another last bit
would have to lie within 2^-52 of itself of a limit of rounding, which for times in ms or multiples
of 2^-20 is so for one number in 10^10, and the digests of released tiers say that it was never so.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from edge_marl.jit import part

__all__ = ["cosine", "exponential", "logarithm"]


def _split(text: str, bits: int) -> tuple[float, float]:
    """Return a number as a sum of two, the first of which has so many bits after the point."""
    exact = Fraction(Decimal(text))
    high = Fraction(math.floor(exact * 2**bits), 2**bits)
    return float(high), float(exact - high)


LN_2, LN_2_REST = _split("0.693147180559945309417232121458176568", 32)
HALF_PI, HALF_PI_REST = _split("1.570796326794896619231321691639751442", 48)
BIAS, MANTISSA = 1023, 52
SHIFT = BIAS << MANTISSA
ROOT_HALF = int(np.float64(math.sqrt(0.5)).view(np.int64))
"""Bits of the least mantissa that a logarithm is taken of."""
LEAST_EXPONENT = -700.0
"""Below it exponentials are as good as 0."""


def _casting(source: Any, target: Any) -> Any:
    """Return compiled code's function that takes the bits of one type for those of another."""

    def cast(typing_context: Any, value: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kind = ir.DoubleType() if target is types.float64 else ir.IntType(64)
            return builder.bitcast(values[0], kind)

        return target(source), build

    return intrinsic(cast)


def _bits_plainly(value: float) -> int:
    return int(np.float64(value).view(np.int64))


def _float_plainly(bits: int) -> float:
    return float(np.int64(bits).view(np.float64))


_PLAIN = numba.config.DISABLE_JIT
bits_of = _bits_plainly if _PLAIN else _casting(types.float64, types.int64)
float_of = _float_plainly if _PLAIN else _casting(types.int64, types.float64)


@part
def logarithm(x: float) -> float:
    """Return the natural logarithm of a positive number (2^-1022 or more)."""
    bits = bits_of(x)
    # x = 2^k m with m from sqrt(1/2) to sqrt(2), and ln m = 2 artanh s.
    k = ((bits + (SHIFT - ROOT_HALF)) >> MANTISSA) - BIAS
    f = float_of(bits - (k << MANTISSA)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    rest = 2 / 15 + z * (2 / 17 + z * (2 / 19 + z * (2 / 21)))
    rest = 2 / 3 + z * (2 / 5 + z * (2 / 7 + z * (2 / 9 + z * (2 / 11 + z * (2 / 13 + z * rest)))))
    # 2 s = f - s f.
    power = np.float64(k)
    return power * LN_2 + (f - (s * (f - z * rest) - power * LN_2_REST))


@part
def exponential(x: float) -> float:
    """Return e^x for x below 700; 0, or nearly so, below -700."""
    x = max(x, LEAST_EXPONENT)
    n = math.floor(x * (1 / 0.6931471805599453) + 0.5)
    power = np.float64(n)
    r = (x - power * LN_2) - power * LN_2_REST
    rest = 1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r / 479001600)))
    rest = 1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * rest)))
    value = 1.0 + (r + r * r * (0.5 + r * (1 / 6 + r * rest)))
    return value * float_of((n + BIAS) << MANTISSA)


@part
def cosine(x: float) -> float:
    """Return the cosine of an angle from 0 to 2 pi."""
    quarter = math.floor(x * (2 / 3.141592653589793) + 0.5)
    turned = np.float64(quarter)
    r = (x - turned * HALF_PI) - turned * HALF_PI_REST
    z = r * r
    rest = 1 / 362880 - z * (1 / 39916800 - z * (1 / 6227020800 - z / 1307674368000))
    sine = r - r * z * (1 / 6 - z * (1 / 120 - z * (1 / 5040 - z * rest)))
    rest = 1 / 3628800 - z * (1 / 479001600 - z * (1 / 87178291200 - z / 20922789888000))
    rest = z * z * (1 / 24 - z * (1 / 720 - z * (1 / 40320 - z * rest)))
    half = 0.5 * z
    least = 1.0 - half
    cosine = least + (((1.0 - least) - half) + rest)
    value = sine if quarter & 1 else cosine
    return -value if (quarter + 1) & 2 else value
