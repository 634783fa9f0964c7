"""Why one image gets its verdict: picture, spectrum, heat map, probability over radii, and what bands add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bandprobe.columns import shown
from bandprobe.detect.explanation import Explanation
from bandprobe.report.style import INK, MUTED, RULE, SMALL, TEXT, WIDTH, add_title, new_figure, title_height

FAKE, REAL = "#b35806", "#2166ac"  # orange and blue, apart for the colour-blind too
_SIDES = LinearSegmentedColormap.from_list("sides", [REAL, "#f7f7f7", FAKE])
_WORDS = {"fake": "called fake", "real": "called real", "abstain": "no verdict"}
_NOTE = (
    "Where it comes from: orange parts speak for fake and blue ones for real, by the logit's change when a part loses "
    "its detail. Dashed: the threshold; grey: no verdict. What each band adds: Shapley values, which sum to the logit "
    "less that of the image without any band."
)
_RINGS = (0.15, 0.5)  # of Nyquist: they divide low, middle and high
_UPPER, _LOWER = 1.9, 1.6  # inches: heights of the two rows
_GAP = 0.27  # inches: a panel's title
_FOOT, _BETWEEN = 0.6, 0.12  # inches: below the lower row, and between the two


def explain_figure(found: Explanation) -> Figure:
    """The figure of one explanation, 7 inches wide.

    Args:
        found: from `detect.explanation.Why`.
    """
    chance = float(found.decision.probability(np.array([found.logit]))[0])
    verdict = _WORDS[found.decision.verdict(found.logit)]
    title = f"{shown(Path(found.name).name)}: {verdict}, probability {chance:.3f} of being generated"
    head = title_height(title, _NOTE, WIDTH)
    height = head + _GAP + _UPPER + _BETWEEN + _GAP + _LOWER + _FOOT
    figure = new_figure(WIDTH, height)
    add_title(figure, title, _NOTE)

    def panel(left: float, width: float, bottom: float, tall: float) -> Axes:
        """Axes placed in inches."""
        return figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, tall / height))

    upper = _FOOT + _LOWER + _GAP + _BETWEEN
    _picture(panel(0.1, _UPPER, upper, _UPPER), found.picture)
    _spectrum(panel(2.25, _UPPER, upper, _UPPER), found.picture)
    _heat(panel(4.4, _UPPER, upper, _UPPER), panel(6.36, 0.07, upper, _UPPER), found)
    _curve(panel(0.42, 3.3, _FOOT, _LOWER), found)
    _bands(panel(5.05, 1.78, _FOOT, _LOWER), found)
    return figure


def _head(axes: Any, text: str) -> None:
    axes.set_title(text, size=TEXT, color=INK, loc="left", pad=4)


def _plain(axes: Any, title: str, shape: tuple[int, ...]) -> None:
    """An image's axes: no ticks, a thin frame."""
    _head(axes, title)
    axes.set(xticks=[], yticks=[], xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    for side in axes.spines.values():
        side.set_color(RULE)


def _open(axes: Any) -> None:
    """A chart's axes: left and bottom alone."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def _picture(axes: Any, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, interpolation="nearest")
    _plain(axes, f"The image, {picture.shape[1]} × {picture.shape[0]} px", picture.shape)


def _spectrum(axes: Any, picture: NDArray[np.uint8]) -> None:
    grey = picture.astype(float).mean(2) / 255
    power = np.fft.fftshift(np.abs(np.fft.fft2(grey, norm="ortho")) ** 2)
    log = np.log10(np.maximum(power, 1e-8))
    low, high = np.quantile(log, (0.01, 0.999))
    axes.imshow(log, cmap="magma", interpolation="nearest", vmin=low, vmax=high)
    rows, columns = power.shape
    angle = np.linspace(0, 2 * np.pi, 200)
    for share in _RINGS:
        radius = share * min(rows, columns) / 2
        axes.plot(
            columns // 2 + radius * np.cos(angle), rows // 2 + radius * np.sin(angle), color="white", lw=0.7
        )
        axes.annotate(
            f"{share:g}",
            (columns // 2 + radius * 0.71, rows // 2 - radius * 0.71),
            (1, 1),
            textcoords="offset points",
            size=SMALL,
            color="white",
            bbox={"facecolor": "black", "alpha": 0.55, "pad": 0.8, "lw": 0},
        )
    _plain(axes, "Its log power; rings at fractions of Nyquist", power.shape)


def _heat(axes: Any, key: Any, found: Explanation) -> None:
    grey = found.picture.astype(float).mean(2)
    most = max(float(np.abs(found.heat).max()), 1e-9)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    # The stronger, the less of the picture shows through, so that parts that do not count stay as they are.
    axes.imshow(
        found.heat,
        cmap=_SIDES,
        vmin=-most,
        vmax=most,
        alpha=0.85 * np.abs(found.heat) / most,
        extent=(-0.5, grey.shape[1] - 0.5, grey.shape[0] - 0.5, -0.5),
        interpolation="bilinear",
    )
    _plain(axes, "Where it comes from", grey.shape)
    key.imshow(np.linspace(1, -1, 101)[:, None], cmap=_SIDES, aspect="auto", extent=(0, 1, -1, 1))
    key.set(xticks=[], yticks=[-1, 0, 1])
    end = f"{most:.2g}" if 0.001 <= most < 100 else f"{most:.0e}"
    key.set_yticklabels([f"−{end}\nreal", "0", f"fake\n{end}"], size=SMALL, color=INK)
    key.tick_params(length=1.5, pad=1.5)
    key.yaxis.tick_right()
    for label, place in zip(key.get_yticklabels(), ("bottom", "center", "top"), strict=True):
        label.set_verticalalignment(place)
    key.spines[:].set_visible(False)


def _curve(axes: Any, found: Explanation) -> None:
    rows, rule = found.curve, found.decision
    swept = rows[rows["cutoff_nyq"].notna()]
    low, threshold, high = rule.probability(np.array([rule.low, rule.threshold, rule.high]))
    axes.axhspan(low, high, color=RULE, alpha=0.4, lw=0)
    axes.axhline(threshold, color=MUTED, lw=0.8, ls=(0, (4, 2)))
    for start, end, word, colour in (
        (high, 1, "fake", FAKE),
        (low, high, "no verdict", MUTED),
        (0, low, "real", REAL),
    ):
        if end - start > 0.06:  # room for a line of text
            axes.text(1.22, (start + end) / 2, word, size=SMALL, color=colour, va="center")
    axes.axvline(1.04, color=RULE, lw=0.8)
    axes.plot(swept["cutoff_nyq"], swept["probability"], color=INK, lw=1.2, marker="o", ms=2.4)
    for spec, marker, place in (("identity", "s", 1.08), ("none", "D", 1.15)):
        value = rows.loc[rows["filter"] == spec, "probability"]
        axes.plot([place] * len(value), value, marker=marker, color=INK, ms=4, ls="", clip_on=False)
    axes.set(xlim=(0, 1.2), ylim=(-0.03, 1.03), xticks=[0, 0.25, 0.5, 0.75, 1, 1.08, 1.15])
    axes.set_xticklabels(["0", "0.25", "0.5", "0.75", "1", "identity", "none"], size=SMALL)
    for label in axes.get_xticklabels()[-2:]:
        label.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")
    axes.set_xlabel("cut-off of a low-pass, fraction of Nyquist", size=TEXT)
    axes.xaxis.set_label_coords(0.42, -0.22)
    _head(axes, "Probability of being generated, under a low-pass")
    _open(axes)


def _bands(axes: Any, found: Explanation) -> None:
    values = found.contributions.values[found.number]
    places = np.arange(len(values))
    axes.barh(places, values, color=[FAKE if value > 0 else REAL for value in values], height=0.7)
    axes.axvline(0, color=MUTED, lw=0.8)
    axes.set_yticks(places)
    axes.set_yticklabels([name.replace("-", "–") for name in found.contributions.bands])
    axes.locator_params(axis="x", nbins=5)
    axes.set_ylabel("band, fractions of Nyquist", size=TEXT)
    axes.set_xlabel("logit:  ← real     fake →", size=TEXT)
    axes.xaxis.set_label_coords(0.5, -0.22)
    _head(axes, "What each band adds")
    _open(axes)
