# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Reading a run
#
# A run is a folder of plain tables. Here is a small one, and three things to do with it: open it with
# pandas, ask it in SQL, and draw a curve of your own.

# %%
import matplotlib.pyplot as plt

import bandprobe as bp

world = bp.datasets.micro()
study = bp.Study.from_dict(
    {
        "data": {"root": str(world.root), "limit": 50},
        "families": world.families,
        "encoders": {"names": ["micro-clip"], "geometry": "squash:64"},
        "filters": {"test": ["none", "identity", "lowpass:4px", "lowpass:8px", "lowpass:16px", "highpass:8px"]},
        "probes": {"train_on": ["ddpm", "gan-nearest", "all"], "seeds": 1},
        "analysis": {"information": False, "bands": False, "mmd": False, "entropy": False, "spectrum": False,
                     "claims": False, "audit": False, "calibration": False, "twin": False},
    }
)  # fmt: skip
run = study.run("small")
print(sorted(path.name for path in run.folder.iterdir()))

# %% [markdown]
# ## The results, tidy
#
# One row for each encoder, training set, test set, filter and metric, with the interval and the numbers of
# images.

# %%
results = run.results
print(len(results), "rows;", ", ".join(results.columns))

# %%
grid = results.query("metric == 'auroc' and filter == 'none'").pivot_table("value", "trained_on", "tested_on")
print(grid.round(2).T.to_string())

# %% [markdown]
# ## In SQL
#
# DuckDB reads the files where they are. Which generator does the probe of `all` find hardest, and what does
# a low-pass cost it there?

# %%
import duckdb

print(
    duckdb.sql("""
    SELECT tested_on,
           round(max(value) FILTER (filter = 'none'), 2) AS unfiltered,
           round(max(value) FILTER (filter = 'lowpass:8px'), 2) AS lowpass_8px,
           max(n_fake) AS fakes
    FROM 'small/results.parquet'
    WHERE metric = 'auroc' AND trained_on = 'all'
    GROUP BY tested_on ORDER BY unfiltered LIMIT 4
""")
    .df()
    .to_string(index=False)
)

# %% [markdown]
# Fifty fakes a generator: look at the intervals before believing such a rank.

# %%
hard = results.query("metric == 'auroc' and trained_on == 'all' and filter == 'none'").nsmallest(3, "value")
for row in hard.itertuples():
    print(f"{row.tested_on:15}{row.value:.2f}  ({row.low:.2f} to {row.high:.2f})")

# %% [markdown]
# ## A curve of your own
#
# `cutoff_px` and `cutoff_nyq` are numbers, empty where a filter has none.

# %%
# figure: AUROC of the probe trained on ddpm against the low-pass cut-off, on ddpm itself and on gan-style
curves = results.query("metric == 'auroc' and trained_on == 'ddpm' and filter.str.startswith('lowpass')")
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, rows in curves[curves["tested_on"].isin(["ddpm", "gan-style"])].groupby("tested_on"):
    ordered = rows.sort_values("cutoff_px")
    axis.plot(ordered["cutoff_px"], ordered["value"], "o-", label=name)
    axis.fill_between(ordered["cutoff_px"], ordered["low"], ordered["high"], alpha=0.15)
axis.axhline(0.5, color="#bbb", linewidth=0.8)
axis.set(xlabel="low-pass cut-off (px)", ylabel="AUROC, trained on ddpm")
axis.legend(title="tested on", frameon=False)
plt.show()

# %% [markdown]
# ## A question of your own
#
# `scores.parquet` has every picture's logit under every probe and filter. Which real photographs does the
# probe of `all` take for fakes, and is it the same ones once the fine detail is gone?

# %%
import pandas as pd

scores = pd.read_parquet(run.folder / "scores.parquet").merge(
    run.manifest[["image_id", "generator"]], on="image_id"
)
reals = scores.query("trained_on == 'all' and generator == 'Real' and train_filter == 'none'")
wide = reals.pivot_table("logit", "image_id", "filter")
print(wide.corr(method="spearman")["none"].round(2).to_string())

# %% [markdown]
# Rank correlations near 1 would mean the same photographs are suspect whatever is filtered; lower ones that
# the probe's suspicion of a photograph hangs on the frequencies that were taken.
#
# ## The embeddings themselves
#
# The store has a folder for each encoder and filter; a row is an image.

# %%
from pathlib import Path

import numpy as np

part = next(Path("small/store").glob("encoder=micro-clip/filter=none/*.parquet"))
vectors = pd.read_parquet(part)
print(len(vectors), "pictures,", len(vectors["embedding"][0]), "numbers each;",
      f"length {np.linalg.norm(np.stack(vectors['embedding']), axis=1).mean():.0f}")  # fmt: skip
