"""Do intervals hold the truth, tests their level and verdicts about families theirs? All of it, in one table each."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bandprobe.selftest.coverage import LEAST, MOST, by_metric, coverage
from bandprobe.selftest.embedding_coverage import embedding_coverage
from bandprobe.selftest.family_claims import family_claims
from bandprobe.selftest.levels import levels

_QUICK_DRAWS = 200
_QUICK_SIZES = (50, 200)
_QUICK_VALUES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Statistics:
    """What came of simulated test sets.

    Attributes:
        coverage: the table of `coverage`, then that of `embedding_coverage`.
        levels: the table of `levels`.
        families: the table of `family_claims`.
    """

    coverage: pd.DataFrame
    levels: pd.DataFrame
    families: pd.DataFrame

    @property
    def passed(self) -> bool:
        """Whether nothing that was drawn speaks against any interval, test or verdict, but for what a note explains."""
        return bool(
            self.coverage["passed"].all() and self.levels["passed"].all() and self.families["passed"].all()
        )

    def short(self) -> dict[str, pd.DataFrame]:
        """A table each of `coverage`, `levels` and `families`, in per cent, fit for a terminal."""
        null = self.levels[self.levels["truth"] == "no difference"]
        as_coverage = null.rename(columns={"test": "metric", "rejected": "coverage"})
        families = pd.DataFrame(
            {
                "statement": self.families["statement"],
                "difference": ["a difference" if one else "none" for one in self.families["difference"]],
                "studies": self.families["draws"],
                "wrong": [f"{100 * share:.1f}" for share in self.families["wrong"]],
                "supported": [f"{100 * share:.1f}" for share in self.families["supported"]],
                "passed": ["yes" if passed else "no" for passed in self.families["passed"]],
            }
        )
        return {
            "coverage": by_metric(self.coverage),
            "levels": by_metric(as_coverage).rename(columns={"metric": "test"}),
            "families": families,
        }

    def remarks(self) -> list[str]:
        """The cells that lie outside their bounds for sure, each with what explains it."""
        said = []
        for row in self.coverage.to_dict("records"):
            if row["coverage_high"] < LEAST or row["coverage_low"] > MOST:
                said.append(
                    f"{row['metric']}, {row['population']}, n = {row['n']}, true value {row['truth']:.2f}: "
                    f"covered in {100 * row['coverage']:.1f} % ({row['note'] or 'outside 92 to 98 %'})"
                )
        for row in self.levels[~self.levels["passed"]].to_dict("records"):
            said.append(
                f"{row['test']}, {row['setting']}, n = {row['n']}: rejects {100 * row['rejected']:.1f} %"
            )
        for row in self.families[~self.families["passed"]].to_dict("records"):
            said.append(f"{row['statement']}: {100 * row['wrong']:.1f} % of verdicts are wrong")
        return said


def statistics(full: bool = False, *, seed: int = 0) -> Statistics:
    """Simulate test sets whose truth is known, and count.

    Args:
        full: 2,000 draws of each test set, 500 of embeddings, 400 studies, at 50, 200 and 1,000 images of a class;
            otherwise a tenth of it or less at 50 and 200.
        seed: of every draw.

    Returns:
        The tables.
    """
    if full:
        return Statistics(
            pd.concat([coverage(seed=seed), embedding_coverage(seed=seed)], ignore_index=True),
            levels(seed=seed),
            family_claims(seed=seed),
        )
    held = coverage(_QUICK_DRAWS, sizes=_QUICK_SIZES, values=_QUICK_VALUES, resamples=200, seed=seed)
    spaces = embedding_coverage(60, sizes=_QUICK_SIZES, seed=seed)
    return Statistics(
        pd.concat([held, spaces], ignore_index=True),
        levels(100, sizes=_QUICK_SIZES, seed=seed),
        family_claims(10, trainings=2, resamples=200, seed=seed),
    )
