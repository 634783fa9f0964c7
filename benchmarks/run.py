"""Every row of docs/performance.md: prints the table and writes results.json beside this file."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

import attribution
import bootstrap
import filter_bank
import mmd
import peak_memory
import precision
import probes
import spectra
import start_up
import sweep_efficiency
import whole_study
from bandprobe import progress
from side_by_side import THREADS, Row

RESULTS = Path(__file__).with_name("results.json")
BASELINE = Path(__file__).with_name("baseline.json")  # ratios of the rows that `--check` measures
_SLACK = (
    0.6  # of its baseline a ratio must keep: what a busy machine takes, and less than a lost optimisation
)
_COLUMNS = ("name", "ratio", "target", "ours", "other", "unit")
_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}

Rows = Callable[[], list[Row]]


WHOLE: dict[str, Rows] = {
    "filter_bank": filter_bank.rows,
    "sweep_efficiency": lambda: [*sweep_efficiency.rows(), *sweep_efficiency.micro_rows()],
    "whole_study": whole_study.rows,
    "spectra": spectra.rows,
    "mmd": mmd.rows,
    "bootstrap": bootstrap.rows,
    "probes": probes.rows,
    "attribution": attribution.rows,
    "start_up": start_up.rows,
    "peak_memory": peak_memory.rows,
    "precision": precision.rows,
}


def quick() -> list[Row]:
    """All rows on sizes that take seconds and say nothing about speed."""
    return [
        *filter_bank.rows(images=3, side=32, rounds=2, sweep="lowpass:4..12/4px"),
        *sweep_efficiency.rows(
            images=4, side=28, stored_side=32, batch=3, rounds=2, architecture=_TINY, compiled=False
        ),
        *sweep_efficiency.micro_rows(
            images=8, batch=4, rounds=2, sweep=("none", "lowpass:8px"), compiled=False
        ),
        *whole_study.rows(images=2, probes=(1, 2), conditions=("none", "lowpass:10px"), every=1),
        *spectra.rows(images=4, side=32, rounds=2),
        *mmd.rows(
            samples=20,
            dim=8,
            permutations=10,
            rounds=2,
            study=mmd.Study(samples=20, dim=8, permutations=10, conditions=3),
        ),
        *bootstrap.rows(grid=bootstrap.Grid(2, 2, 2, 20, 60, 1, 3), rounds=2),
        *probes.rows(study=probes.Study(2, 2, 16, 120, 100), rounds=1),
        *attribution.rows(sides=4, images=2, bands=3, each=10, rounds=1),
        *start_up.rows(images=20, rounds=2),
        *peak_memory.rows(images=60, stages=("spectrum",)),
        *precision.rows(limit=4, encoders=("micro-dino",), filters=("none", "lowpass:7px")),
    ]


def checked() -> dict[str, Rows]:
    """What a regression would show in: sizes at which a ratio means something, a minute in all."""
    return {
        "filter bank": lambda: filter_bank.rows(images=8, rounds=3)[:1],
        "sweep efficiency / micro encoder, 64 px": lambda: sweep_efficiency.micro_rows(
            images=96, compiled=False
        ),
        "fft_hp": lambda: spectra.rows(images=40, rounds=3)[2:3],
        "MMD": lambda: mmd.of_a_study(mmd.Study(conditions=2), 3)[:1],
        "MMD permutations": lambda: mmd.of_permutations(500, 64, 100, 3)[:1],
        "bootstrap": lambda: bootstrap.rows(grid=bootstrap.Grid(conditions=4, their_resamples=5)),
    }


def check() -> dict[str, float]:
    """The ratio of each row of `checked`, those below their baseline times `_SLACK` measured once more."""
    known = json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    found = {}
    for name, measure in checked().items():
        ratio = measure()[0].ratio
        if ratio < _SLACK * known.get(name, 0.0):
            ratio = max(ratio, measure()[0].ratio)
        found[name] = ratio
        wanted = f"at least {_SLACK * known[name]:.2f}" if name in known else "no baseline"
        print(f"{name}: {ratio:.2f} ({wanted})")
    return found


def slower(found: dict[str, float]) -> list[str]:
    """The rows that fell below their baseline by more than the slack."""
    known = json.loads(BASELINE.read_text(encoding="utf-8"))
    return [name for name, ratio in found.items() if ratio < _SLACK * known[name]]


def table(rows: list[Row]) -> str:
    """The rows in aligned columns, numbers to the right."""
    cells = [_COLUMNS, *((r.name, f"{r.ratio:.2f}", f"{r.target:g}", f"{r.ours:.3g}", f"{r.other:.3g}", r.unit)
                         for r in rows)]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 1 <= number <= 4 else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, a minute; writes only with --out")
    parser.add_argument(
        "--check",
        action="store_true",
        help="a few rows against baseline.json; exit code 1 where a ratio has fallen",
    )
    parser.add_argument("--baseline", action="store_true", help="write baseline.json anew")
    parser.add_argument("--only", choices=WHOLE, help="rows of one file; writes only with --out")
    parser.add_argument("--out", type=Path, help=f"JSON file (default: {RESULTS.name} beside this script)")
    options = parser.parse_args()
    # One thread where only the sums matter: threads that wait for each other stall a busy machine.
    torch.set_num_threads(1 if options.quick else THREADS)
    with progress.quiet():
        if options.check or options.baseline:
            found = check()
            if options.baseline:
                BASELINE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            elif fallen := slower(found):
                sys.exit(f"slower than before by more than {1 - _SLACK:.0%}: {', '.join(fallen)}")
            return
        asked = [WHOLE[options.only]] if options.only else list(WHOLE.values())
        rows = quick() if options.quick else [row for measure in asked for row in measure()]
    print(table(rows))
    print(rows[0].device)
    out = options.out or (None if options.quick or options.only else RESULTS)
    if out is not None:
        out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
