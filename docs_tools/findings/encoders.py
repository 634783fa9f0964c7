"""What the page says of encoders: which frequencies, which layer, which trait."""

from __future__ import annotations

from pathlib import Path

from docs_tools.findings.steps import ENCODERS
from docs_tools.findings.words import interval, least, mean, most, picture, points, read, table

HIGH = 0.5  # of Nyquist
_GROWTH = 0.1  # of an amplitude: a derivative holds for small steps


def frequencies(out: Path) -> str:
    """Shapley values of bands, and where the gradient points."""
    agreement = read(out / "sensitivity" / "sensitivity_agreement.csv")
    agreement = agreement[agreement["quantity"].isin(["logit", "embedding"])]
    rows = read(out / "shapley" / "shapley.csv")
    rows = rows[rows["quantity"] == "auroc"]
    bands = list(dict.fromkeys(rows["band"]))
    body, said = [], []
    for encoder in ENCODERS:
        mine = rows[rows["encoder"] == encoder]
        grid = mine.pivot(index="tested_on", columns="band", values="value")[bands]
        best = grid.mean().idxmax()
        first = int((grid.idxmax(axis=1) == best).sum())
        high = mine[mine["low_nyq"] >= HIGH].groupby("tested_on")["value"].sum()
        said.append(
            f"*{encoder}*: the band {best} of Nyquist adds most, {mean(grid[best])} of AUROC, and is first on {first} "
            f"of {len(grid)} generators; all above {HIGH:g} adds {mean(high)}."
        )
        body.append([encoder, *(mean(grid[band]) for band in bands)])
    both = "; ".join(
        f"{row['encoder']}, {row['quantity']}: {row['spearman']:.2f}" for row in agreement.to_dict("records")
    )
    return f"""
## Which frequencies

What each band adds to the AUROC of a probe trained on all generators: Shapley values, means over generators with
Student's interval over them.

{table(["encoder", *bands], body)}

{points(said)}

{picture("shapley", "What each of six bands adds to the AUROC of the probe on micro-clip")}

Which ring of frequencies, a tenth stronger in one source, would move AUROC most, by one backward pass an image:

{points(f"*{encoder}*: {_peak(out, encoder)}" for encoder in ENCODERS)}

Spearman's correlation over frequencies between the gradient's energy and that of finite steps along Fourier basis
images: {both}.
"""


def _peak(out: Path, encoder: str) -> str:
    """Where AUROC answers most to more of what is there."""
    rows = read(out / "sensitivity" / "sensitivity.csv")
    rows = rows[(rows["encoder"] == encoder) & (rows["quantity"] == "auroc amplitude")]
    rows = rows[(rows["axis"] == "radial") & (rows["place"] > 0)]
    rows = rows.assign(**{name: rows[name] * _GROWTH for name in ("value", "low", "high")})
    up, down = most(rows, "value"), least(rows, "value")
    return (
        f"up with {up['place']:.2f} of Nyquist in {up['source']}, {interval(up, sign='+')}; down "
        f"with {down['place']:.2f} in {down['source']}, {interval(down, sign='+')}."
    )


def layers(out: Path) -> str:
    """Behind which block high frequencies are lost."""
    rows = read(out / "layers" / "layers.csv")
    rows = rows[rows["mask"].isin(["butterworth", "none"])]
    body, said = [], []
    for encoder, mine in rows.groupby("encoder", sort=False):
        alone = mine[(mine["measure"] == "high_alone") & mine["value"].notna()].set_index("layer")
        change = mine[(mine["measure"] == "high_alone_change") & mine["value"].notna()]
        kept = mine[(mine["measure"] == "kept_cutoff") & (mine["curve"] == "reliance")].set_index("layer")
        body += [[str(encoder), at, interval(alone.loc[at]), interval(kept.loc[at])] for at in alone.index]
        fall = least(change, "value")
        where = "the output" if fall["layer"] == "output" else f"block {fall['layer']}"
        lost = "most is lost" if fall["high"] < 0 else "no loss is certain, and the greatest is"
        said.append(
            f"*{encoder}*: AUROC from above {HIGH:g} of Nyquist alone is {interval(alone.iloc[0])} behind block "
            f"{alone.index[0]} and {interval(alone.iloc[-1])} at the output; {lost} at {where}, "
            f"{interval(fall, sign='+')}. The cut-off that keeps 95 % goes from {interval(kept.iloc[0])} to "
            f"{interval(kept.iloc[-1])}."
        )
    header = ["encoder", "behind block", f"AUROC above {HIGH:g} Nyquist alone", "cut-off that keeps 95 %"]
    return f"""
## Where in an encoder high frequencies are lost

Probes of one generator on that generator, behind every block: re-trained on nothing but high frequencies, and trained
on unfiltered images (the low-pass cut-off, of Nyquist, that keeps 95 % of their AUROC). Intervals over generators,
images and trainings.

{table(header, body)}

{points(said)}

{picture("layers", "Measures by depth for the four encoders")}
"""


_STATISTICS = {
    "own_auroc": "AUROC on own generators",
    "kept_cutoff": "cut-off that keeps 95 %",
    "high_frequency_dependence": "high-frequency dependence",
    "transfer_gap": "GAN-to-diffusion gap",
    "effective_rank_share": "effective rank, low / identity",
}


def traits(out: Path) -> str:
    """The leaderboard, and what it can decide."""
    board = read(out / "leaderboard" / "leaderboard.csv")
    pairs = read(out / "leaderboard" / "traits.csv")
    body = [
        [
            row["encoder"],
            row["objective"],
            *(interval(row, f"{name} {name}_low {name}_high") for name in _STATISTICS),
        ]
        for row in board.to_dict("records")
    ]
    told = pairs[pairs["p_value"].notna()]
    certain = told[told["q_value"] <= 0.05]
    named = "; ".join(
        f"{row['trait']} goes with {row['statistic']} (q = {row['q_value']:.3f})"
        for row in certain.to_dict("records")
    )
    few = f"{len(pairs) - len(told)} of {len(pairs)}"
    verdict = f"Of the other {len(told)}: {named or 'none has a q of 5 % or less'}." if len(told) else ""
    return f"""
## Which trait of an encoder decides

`bandprobe leaderboard` over both studies; intervals over images, generators and trainings.

{table(["encoder", "objective", *_STATISTICS.values()], body)}

{few} pairs of a trait and a statistic stay open: no order of so few encoders is rarer than chance. {verdict}
"""
