"""What speaks against the form a file is said to hold: its range, its item count, its names, turned items.

Nothing is inferred and nothing converted: a doubt is a sentence for the person who knows what was printed.
A slip of the pen, or a code for an item that was not answered, raises none.
"""

from __future__ import annotations

from collections.abc import Mapping

from alliance.recognition.evidence import CANNOT, MAY_NOT, Doubt, Evidence, seen_in
from alliance.recognition.names import has_another_length, is_named_otherwise, item_runs, run_of
from alliance.recognition.ranges import counts_from_another_number, fits_two_ranges, has_another_range
from alliance.recognition.turned import is_turned
from alliance.scale import Scale

__all__ = ["CANNOT", "MAY_NOT", "Doubt", "Evidence", "doubts", "item_runs", "run_of"]


def doubts(evidence: Evidence, scale: Scale, known: Mapping[str, Scale]) -> list[Doubt]:
    """Return what speaks against `scale` being the form the data were given on; often nothing.

    Parameters
    ----------
    evidence : Evidence
        Names and answers as they stand in the file; NaN where nothing was answered.
    scale : Scale
        The form that was named.
    known : mapping of str to Scale
        Every definition it may be confused with, by id; whether `scale` is among them does not matter.

    Returns
    -------
    list of Doubt
        The range first, then the number of items, the names, and items that seem turned already. These are
        not looked for where the range does not fit: only the answers within it would be judged.
    """
    others = sorted(
        (each for name, each in known.items() if name != scale.id),
        key=lambda each: (each.construct != scale.construct, each.id),
    )
    seen = seen_in(evidence.observed, scale)
    ranges = counts_from_another_number(seen, scale, others) or has_another_range(seen, scale, others)
    found = [ranges or fits_two_ranges(seen, scale, others), has_another_length(evidence, scale, others)]
    turned = () if ranges else is_turned(evidence, scale, others, seen)
    return [*(doubt for doubt in found if doubt), *is_named_otherwise(evidence, scale, others), *turned]
