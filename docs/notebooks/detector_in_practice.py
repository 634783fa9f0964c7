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
# # A detector in practice
#
# From a probe to a decision: what a threshold promises, what a prior changes, what false alarms cost, and
# when to say nothing.

# %% [markdown]
# ## A probe on all generators but two
#
# `flow` and `vae` are kept back: no probe here has seen them.

# %%
import numpy as np

import bandprobe as bp

world = bp.datasets.micro()
kept_back = ["flow", "vae"]
known = [name for name in sorted(set(world.table["generator"])) if name not in ("Real", *kept_back)]
world.write("world")
reals = [f"world/{split}/Real" for split in ("train", "val")]
study = bp.Study.from_dict(
    {
        "data": {"real": reals, "fakes": {name: f"world/train/{name}" for name in known}, "near_duplicates": False},
        "families": {"gan": [name for name in known if name.startswith("gan")],
                     "diffusion": [name for name in known if not name.startswith("gan")]},
        "encoders": {"names": ["micro-clip"], "geometry": "squash:64"},
        "filters": {"test": ["none"]},
        "probes": {"train_on": ["all"], "seeds": 1},
        "analysis": {"information": False, "bands": False, "mmd": False, "entropy": False, "spectrum": False,
                     "claims": False, "audit": False, "calibration": False, "twin": False},
    }
)  # fmt: skip
run = study.run("run")
probe = run.folder / "probes" / "micro-clip__all__none.safetensors"
print(len(run.manifest), "pictures,", run.manifest["split"].value_counts().to_dict())

# %% [markdown]
# ## Scores of pictures it has not seen

# %%
detector = bp.Detector.load(probe)


def scores(generator, n=150):
    """Rows of test pictures."""
    return detector.score(list(bp.datasets.micro("test").images(generator)[:n]))


shown = {name: scores(name) for name in ("Real", "ddpm", "gan-nearest", *kept_back)}
for name, rows in shown.items():
    shares = [f"{word} {(rows['verdict'] == word).mean():.2f}" for word in ("fake", "abstain", "real")]
    print(f"{name:12} {'  '.join(shares)}")

# %% [markdown]
# Between *fake* and *real* lies a band in which held-out fakes and reals overlap: there the detector
# abstains. How it does on the two generators that it has never seen is the honest number, and not that of
# the ones it was trained on.

# %%
# figure: logits of reals, of a known generator and of one kept back, with the threshold and the band of abstention
import matplotlib.pyplot as plt

rule = next(iter(detector.decisions.values()))
figure, axis = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
bins = np.linspace(-6, 6, 37)
for name, colour in (("Real", "#4d4d4d"), ("ddpm", "#1f4e79"), ("flow", "#c05a00")):
    axis.hist(shown[name]["logit"], bins, histtype="step", linewidth=1.6, color=colour, label=name)
axis.axvspan(rule.low, rule.high, color="#999", alpha=0.15, label="abstain")
axis.axvline(rule.threshold, color="#999", linestyle="--", label="threshold")
axis.set(xlabel="logit", ylabel="pictures")
axis.legend(frameon=False, fontsize=9)
plt.show()

# %% [markdown]
# ## False alarms: the promise and what comes of it
#
# A threshold for at most 10 % false alarms is set on the reals held out in training. On the test
# photographs, which come from the same world, the promise should about hold. The same photographs as JPEG
# files of quality 60 are still real.

# %%
import io

from PIL import Image


def as_jpeg(picture, quality=60):
    """What a picture is after a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


strict = bp.Detector.load(probe, false_alarms=0.10, abstain="none")
rule = next(iter(strict.decisions.values()))
rate, low, high = rule.false_alarm_rate
print(f"promised {rate:.2f} ({low:.2f} to {high:.2f}) of {rule.n_real} held-out reals")
photographs = bp.datasets.micro("test").images("Real")
for word, pictures in (
    ("as they are", photographs),
    ("as JPEG 60", np.stack([as_jpeg(p) for p in photographs])),
):
    alarms = (strict.score(list(pictures))["verdict"] == "fake").sum()
    low, high = bp.metrics.wilson(alarms, len(pictures))
    print(f"{word:12} {alarms / len(pictures):.2f} ({low:.2f} to {high:.2f}) of {len(pictures)} new reals")

# %% [markdown]
# ## What share of fakes do you expect?
#
# The same pictures, three priors. The probability that an alarm is right falls with the share of fakes,
# whatever the detector.

# %%
for prior in (0.5, 0.2, 0.05, 0.01):
    at = bp.Detector.load(probe, prior=prior, abstain="none")
    caught = (at.score(list(bp.datasets.micro("test").images("ddpm")))["verdict"] == "fake").mean()
    alarms = (at.score(list(photographs))["verdict"] == "fake").mean()
    raised = prior * caught + (1 - prior) * alarms
    right = f"{prior * caught / raised:.2f} of its alarms right" if raised else "no alarm at all"
    print(f"prior {prior:4}: catches {caught:.2f}, false alarms {alarms:.3f}, {right}")

# %% [markdown]
# At one fake in a hundred this small detector should call nothing fake at all: whatever it called so would
# mostly be photographs. And no false alarm among 300 photographs is not none among a million.
#
# ## Outside of what it knows
#
# Every probe remembers how its training pictures lie in the encoder's space, and says of a picture whether
# it lies farther off than those of validation do.

# %%
rng = np.random.default_rng(0)
strange = {
    "photograph": photographs[:50],
    "noise": rng.integers(0, 256, (50, 64, 64, 3), dtype=np.uint8),
    "upside down": photographs[:50, ::-1],
    "one colour": np.broadcast_to(rng.integers(0, 256, (50, 1, 1, 3), dtype=np.uint8), (50, 64, 64, 3)),
}
for name, pictures in strange.items():
    rows = detector.score([np.ascontiguousarray(picture) for picture in pictures])
    fake = (rows["verdict"] == "fake").mean()
    print(f"{name:12} outside {rows['outside'].astype(float).mean():.2f}   called fake {fake:.2f}")

# %% [markdown]
# A verdict on a picture that is *outside* is a number without a meaning, however sure it looks. The reverse
# is no warrant: to this small encoder noise lies among photographs, and only what lies far off *in its own
# space* can be noticed.
