"""Every row of docs/performance.md: prints the table and writes results.json beside this file."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

import filter_bank
import mmd
import spectra
import sweep_efficiency
from bandprobe import progress
from side_by_side import THREADS, Row

RESULTS = Path(__file__).with_name("results.json")
_COLUMNS = ("name", "ratio", "target", "ours", "other", "unit")


def measure(quick: bool) -> list[Row]:
    """All rows; with `quick`, on sizes that take seconds and say nothing about speed."""
    # One thread where only the sums matter: threads that wait for each other stall a busy machine.
    torch.set_num_threads(1 if quick else THREADS)
    if quick:
        tiny = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        return [
            *filter_bank.rows(images=3, side=32, rounds=2, sweep="lowpass:4..12/4px"),
            *sweep_efficiency.rows(images=4, side=28, stored_side=32, batch=3, rounds=2, architecture=tiny),
            *spectra.rows(images=4, side=32, rounds=2, memory=(20, 40)),
            *mmd.rows(samples=20, dim=8, permutations=10, rounds=2),
        ]
    return [*filter_bank.rows(), *sweep_efficiency.rows(), *spectra.rows(), *mmd.rows()]


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
    parser.add_argument("--quick", action="store_true", help="tiny sizes, seconds; writes only with --out")
    parser.add_argument("--out", type=Path, help=f"JSON file (default: {RESULTS.name} beside this script)")
    options = parser.parse_args()
    with progress.quiet():
        rows = measure(options.quick)
    print(table(rows))
    print(rows[0].device)
    out = options.out or (None if options.quick else RESULTS)
    if out is not None:
        out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
