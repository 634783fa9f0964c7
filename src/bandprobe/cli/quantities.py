"""Numbers and lists of filters in the words and units a person would use."""

from __future__ import annotations

from collections.abc import Iterable


def summary(specs: Iterable[str]) -> str:
    """Filters in few words: sweeps by their ends, e.g. `none, identity, lowpass 1px..185px (38)`."""
    from bandprobe.filters import parse

    sweeps: dict[str, list[str]] = {}
    for spec in specs:
        found = parse(spec)
        key = spec if found.cutoff is None else found.sweep
        sweeps.setdefault(key, []).append("" if found.cutoff is None else str(found.cutoff))
    words = [
        f"{sweep}:{cutoffs[0]}" if cutoffs[0] and len(cutoffs) == 1
        else f"{sweep} {cutoffs[0]}..{cutoffs[-1]} ({len(cutoffs)})" if cutoffs[0]
        else sweep
        for sweep, cutoffs in sweeps.items()
    ]  # fmt: skip
    more = len(words) - 8
    return ", ".join(words[:8]) + (f" and {more} more" if more > 0 else "")


def amount(number: float, unit: str) -> str:
    """A number with three digits and a metric prefix: `2.40 TB`, `598 GFLOP`."""
    for prefix in ("", "k", "M", "G", "T", "P", "E", "Z", "Y"):
        if abs(number) < 999.5 or prefix == "Y":
            break
        number /= 1000
    digits = 0 if not prefix or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f} {prefix}{unit}".rstrip()


def duration(hours: float) -> str:
    """Hours in the unit a person would use."""
    for size, unit in ((24 * 365.25, "years"), (24.0, "days"), (1.0, "h"), (1 / 60, "min")):
        if hours >= 2 * size or (unit == "h" and hours >= 1):
            number = hours / size
            return f"{number:,.0f} {unit}" if number >= 99.5 else f"{number:.1f} {unit}"
    return f"{3600 * hours:.0f} s"


def seconds(number: float) -> str:
    """Seconds, or thousandths of one."""
    return f"{number:.2f} s" if number >= 0.9995 else f"{1000 * number:.3g} ms"
