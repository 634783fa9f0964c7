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
# # From images to curves
#
# What a study does, by hand and in a few lines: pictures, filters, an encoder, a probe, and a curve.
# Everything is small and nothing is fetched.

# %% [markdown]
# ## Pictures
#
# The small world that ships with the package: procedural photographs of 64 px, and pictures of eleven
# generators that were trained on such photographs.

# %%
import numpy as np

import bandprobe as bp


def pictures(split, generator):
    """Float images of shape (n, 3, 64, 64) in [0, 1]."""
    return (bp.datasets.micro(split).images(generator) / np.float32(255)).transpose(0, 3, 1, 2)


SOURCES = {"real": "Real", "fake": "ddpm"}
train = {name: pictures("train", source) for name, source in SOURCES.items()}
val = {name: pictures("val", source) for name, source in SOURCES.items()}
test = {name: pictures("test", source)[:150] for name, source in SOURCES.items()}
print("train", train["real"].shape, train["fake"].shape)
print("test ", test["real"].shape, test["fake"].shape)

# %% [markdown]
# ## Filters
#
# A spec is parsed into a function of images. A Butterworth low-pass lets half of the amplitude through at
# its cut-off.

# %%
filters = {
    str(spec): spec
    for spec in bp.filters.expand(
        ["identity", "lowpass:2px", "lowpass:4px", "lowpass:8px", "lowpass:16px", "lowpass:32px"]
    )
}


def energy(images):
    """What varies within each channel of each picture, (n,)."""
    return images.var(axis=(2, 3)).sum(axis=1)


for name, spec in filters.items():
    removed = 1 - energy(spec(test["real"])) / energy(test["real"])
    print(f"{name:14} takes {removed.mean():.2f} of the energy")

# %% [markdown]
# The gain falls slowly: `lowpass:32px`, at the finest frequency that 64 pixels can hold along a row, still
# takes an eighth. Such filters attenuate and isolate nothing; `ideal-lowpass` cuts.

# %%
# figure: a photograph as it is and under low-passes of 2, 8 and 16 cycles, which leave more and more of it
import matplotlib.pyplot as plt

shown = ["identity", "lowpass:2px", "lowpass:8px", "lowpass:16px"]
figure, axes = plt.subplots(1, len(shown), figsize=(6.4, 1.9), layout="constrained")
for axis, name in zip(axes, shown):
    axis.imshow(filters[name](test["real"][3:4])[0].transpose(1, 2, 0).clip(0, 1))
    axis.set_title(name, fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## An encoder
#
# `encode` gives one vector a picture, whatever the batch.

# %%
encoder = bp.encoders.load("micro-clip")
print(encoder.encode(test["fake"][:5]).shape)

# %% [markdown]
# ## A probe
#
# Logistic regression on standardised vectors. `fit` takes the penalty from validation, or from
# cross-fitting where validation is small, as here; the threshold and the calibration come with it.

# %%
from bandprobe.probes import Examples, fit


def examples(spec):
    """Training and validation pictures under a filter, as what a probe learns from."""
    parts = [(images, label, split) for split, one in (("train", train), ("val", val))
             for label, images in enumerate((one["real"], one["fake"]))]  # fmt: skip
    return Examples(
        embedding=np.concatenate([encoder.encode(spec(images)) for images, _, _ in parts]),
        label=np.concatenate([np.full(len(images), label, np.int8) for images, label, _ in parts]),
        dataset=np.concatenate([np.full(len(images), "micro", object) for images, _, _ in parts]),
        split=np.concatenate([np.full(len(images), split, object) for images, _, split in parts]),
    )


probe = fit(examples(filters["identity"]), rng=np.random.default_rng(0))
print(f"C = {probe.C:g} by {probe.validation}, threshold {probe.threshold:.1f} on the logit")

# %% [markdown]
# ## Two curves
#
# *Reliance*: this probe, tested under each filter. *Information*: a probe trained anew at each filter.
# AUROC with DeLong's interval.

# %%
label = np.repeat([0, 1], [len(test["real"]), len(test["fake"])])


def judged(a_probe, spec):
    """AUROC with the ends of its 95 % interval, on the test pictures under a filter."""
    vectors = np.concatenate([encoder.encode(spec(test[name])) for name in ("real", "fake")])
    return bp.metrics.delong(label, a_probe.logits(vectors))


reliance = {name: judged(probe, spec) for name, spec in filters.items()}
information = {
    name: judged(fit(examples(spec), rng=np.random.default_rng(0)), spec) for name, spec in filters.items()
}
print(f"{'':14} reliance               information")
for name in filters:
    a, b = reliance[name], information[name]
    print(
        f"{name:14} {a.value:.2f} ({a.low:.2f} to {a.high:.2f})    {b.value:.2f} ({b.low:.2f} to {b.high:.2f})"
    )

# %%
# figure: AUROC against the cut-off; at low cut-offs the curve of information lies above that of reliance
radii = [2, 4, 8, 16, 32]
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
for values, word, colour in ((reliance, "reliance", "#1f4e79"), (information, "information", "#c05a00")):
    curve = [values[f"lowpass:{radius}px"] for radius in radii]
    axis.plot(radii, [one.value for one in curve], "o-", color=colour, label=word)
    axis.fill_between(
        radii, [one.low for one in curve], [one.high for one in curve], color=colour, alpha=0.15
    )
axis.axhline(reliance["identity"].value, color="#666", linestyle=":", label="identity")
axis.axhline(0.5, color="#bbb", linewidth=0.8)
axis.set(xscale="log", xlabel="low-pass cut-off (cycles per side)", ylabel="AUROC, ddpm against real")
axis.set_xticks(radii, radii)
axis.legend(frameon=False, fontsize=9)
plt.show()

# %% [markdown]
# Where the two differ, the filtered pictures still hold what tells them apart, and the probe that was
# trained on unfiltered ones does not look for it there. A study does the same for every encoder, training
# set, generator and filter at once, and adds what a single curve lacks: the other filters, controls, and
# intervals that are paired.
