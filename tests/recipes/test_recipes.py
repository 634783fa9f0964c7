"""Every recipe on embeddings whose truth is known: what it makes, what it chooses, and what it must not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from bandprobe.errors import InputError
from bandprobe.filters.presets import CHANGES, PARTS, RADII
from bandprobe.recipes import RECIPES, named
from bandprobe.recipes.joining import mixture
from bandprobe.recipes.unseen import unseen_auroc
from made_up_embeddings import DIM, ENCODER, FAMILIES, held, manifest, training_set, vectors

TABLE = manifest()
OF = vectors(TABLE)
SINGLE = [name for name, recipe in RECIPES.items() if not recipe.several]


def made(
    name: str, of: Any = None, left_out: tuple[str, ...] = (), encoders: tuple[str, ...] = (ENCODER,)
) -> Any:
    return RECIPES[name].make(training_set(TABLE, of or held(TABLE, OF), left_out), encoders)


@pytest.mark.parametrize("name", SINGLE)
def test_a_detector_looks_at_what_it_says_and_no_more(name: str) -> None:
    detector = made(name)
    of = held(TABLE, OF)
    ids = TABLE.loc[TABLE["split"] == "test", "image_id"].to_numpy(object)
    joined = np.hstack([of.at(part, ids) for part in detector.parts])
    probe = detector.probe
    expected = ((joined - probe.mean) / probe.scale) @ probe.weight + probe.bias
    np.testing.assert_allclose(detector.logits(of, ids), expected, atol=1e-9)
    asked = {(ENCODER, spec) for spec in RECIPES[name].filters}
    assert set(detector.parts) <= asked
    label = TABLE.loc[TABLE["split"] == "test", "label"]
    assert roc_auc_score(label, detector.logits(of, ids)) > 0.75
    rates = [(detector.logits(of, ids)[label == one] >= probe.threshold).mean() for one in (0, 1)]
    assert rates[0] < 0.4
    assert rates[1] > 0.55


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("left_out", [("A",), ("A", "B")])
def test_nothing_of_who_is_left_out_nor_of_test_images_is_learnt_from(
    name: str, left_out: tuple[str, ...]
) -> None:
    # The label itself is written into the vectors of whom nothing may be seen.
    unseen = (TABLE["generator"].isin(left_out) | (TABLE["split"] == "test")).to_numpy()
    leaking = {spec: X.copy() for spec, X in OF.items()}
    for X in leaking.values():
        X[unseen] = 100.0 * (2 * TABLE.loc[unseen, "label"].to_numpy()[:, None] - 1)
    one, other = made(name, left_out=left_out), made(name, held(TABLE, leaking), left_out)
    assert one.parts == other.parts
    assert one.chosen == other.chosen
    for field in ("mean", "scale", "weight", "bias", "threshold", "slope", "intercept", "C"):
        np.testing.assert_array_equal(getattr(one.probe, field), getattr(other.probe, field))
    seen = made(name, held(TABLE, leaking))  # with them in training it does matter: the test can fail
    assert not np.array_equal(seen.probe.weight, other.probe.weight)


def test_a_cut_off_is_chosen_by_generators_that_were_not_seen() -> None:
    # Every generator's own artefact dwarfs what all share, so a probe on unfiltered images learns artefacts.
    table = manifest(160)
    of = held(table, vectors(table, own=6.0))
    training = training_set(table, of, ("D",))
    detector = RECIPES["chosen-cutoff"].make(training, (ENCODER,))
    assert detector.chosen in RADII
    assert detector.parts == ((ENCODER, detector.chosen),)
    test = table[(table["split"] == "test") & table["generator"].isin(["Real", "D"])]
    plain = RECIPES["plain"].make(training, (ENCODER,))
    ids = test["image_id"].to_numpy(object)
    chosen, unfiltered = (roc_auc_score(test["label"], one.logits(of, ids)) for one in (detector, plain))
    assert chosen > unfiltered
    # And none where filters only take away.
    poorer = vectors(table, own=0.0)
    for spec, X in poorer.items():
        X[:, 0] *= spec == "none"
    assert (
        RECIPES["chosen-cutoff"].make(training_set(table, held(table, poorer)), (ENCODER,)).chosen == "none"
    )


def test_what_is_chosen_by_is_as_scikit_learn_has_it() -> None:
    training = training_set(TABLE, held(TABLE, OF))
    X, C = training.embedding((ENCODER, "none")), 0.1
    values = []
    for name in sorted(FAMILIES):
        mine = training.generator == name
        asked = mine | (training.label == 0)
        scores, labels = [], []
        for rows, judged in training.planned.folds:
            fit, ask = rows[~mine[rows]], judged[asked[judged]]
            scaler = StandardScaler()
            share = np.bincount(training.label[fit])
            weights = (len(fit) / 2 / share)[training.label[fit]]
            scaler.fit(X[fit])
            model = LogisticRegression(C=C, tol=1e-10, max_iter=5000)
            model.fit(scaler.transform(X[fit]), training.label[fit], sample_weight=weights)
            scores.append(model.decision_function(scaler.transform(X[ask])))
            labels.append(training.label[ask])
        values.append(roc_auc_score(np.concatenate(labels), np.concatenate(scores)))
    assert unseen_auroc(training, lambda rows: X, C) == pytest.approx(np.mean(values), abs=0.001)


def test_directions_that_high_passes_move_are_taken_out() -> None:
    # The last direction is moved by high-passes and tells only the seen generators.
    table = manifest(160)
    found = {spec: X.copy() for spec, X in vectors(table, own=0.0).items()}
    seen = table["generator"].isin(["A", "B", "C"]).to_numpy()
    number = table["generator"].map({"A": 1, "B": -1, "C": 1}).fillna(0).to_numpy()
    for spec, X in found.items():
        X[seen, -1] += 4.0 * number[seen]
        if spec in CHANGES:
            X[:, -1] += np.random.default_rng(5).standard_normal(len(table)) * 8
    training = training_set(table, held(table, found), ("D",))
    nuisance = RECIPES["nuisance"].make(training, (ENCODER,))
    plain = RECIPES["plain"].make(training, (ENCODER,))
    assert nuisance.chosen.split()[0] != "0"
    share = [abs(one.probe.direction[-1]) / np.linalg.norm(one.probe.direction) for one in (plain, nuisance)]
    assert share[1] < 0.1 * share[0]
    # LEACE leaves no difference of means between unfiltered and high-passed to read.
    leace = RECIPES["leace"].make(training, (ENCODER,))
    rows = training.rows["image_id"].to_numpy(object)
    of = held(table, found)
    means = [(of.at((ENCODER, spec), rows) @ leace.probe.direction).mean() for spec in ("none", *CHANGES)]
    before = [(of.at((ENCODER, spec), rows) @ plain.probe.direction).mean() for spec in ("none", *CHANGES)]
    assert np.ptp(means) < 0.05 * np.ptp(before)


def test_radii_are_averaged_and_bands_stand_side_by_side() -> None:
    training = training_set(TABLE, held(TABLE, OF))
    of, ids = held(TABLE, OF), TABLE["image_id"].to_numpy(object)
    averaged = RECIPES["radii"].make(training, (ENCODER,))
    each = [
        training.fitted((ENCODER, spec)).probe.logits(of.at((ENCODER, spec), ids))
        for spec in ("none", *RADII)
    ]
    np.testing.assert_allclose(averaged.logits(of, ids), np.mean(each, axis=0), atol=1e-9)
    assert RECIPES["bands"].make(training, (ENCODER,)).parts == tuple((ENCODER, spec) for spec in PARTS)


def test_random_filters_are_for_training_and_unfiltered_images_for_all_else() -> None:
    # Under the random filter the label stands in direction 8 too; unfiltered images have nothing there.
    found = {spec: X.copy() for spec, X in OF.items()}
    filtered = RECIPES["random-lowpass"].filters[1]
    found[filtered][:, 8] += 5.0 * TABLE["label"].to_numpy()
    detector = made("random-lowpass", held(TABLE, found))
    assert detector.parts == ((ENCODER, "none"),)
    assert abs(detector.probe.direction[8]) > abs(made("plain").probe.direction[8])
    ids = TABLE.loc[TABLE["split"] == "val", "image_id"].to_numpy(object)
    label = TABLE.loc[TABLE["split"] == "val", "label"].to_numpy()
    decided = detector.logits(held(TABLE, found), ids) >= detector.probe.threshold
    plain_threshold = 0.0  # where a threshold set on filtered images, which fakes pass by far, would lie
    assert (decided == label).mean() >= (
        (detector.logits(held(TABLE, found), ids) >= plain_threshold) == label
    ).mean()


def test_an_encoder_of_noise_has_next_to_no_weight_in_a_stack() -> None:
    noise = {"none": np.random.default_rng(3).standard_normal((len(TABLE), DIM))}
    of = held(TABLE, OF, other=noise)
    detector = made("stacked", of, encoders=(ENCODER, "other"))
    assert detector.parts == ((ENCODER, "none"), ("other", "none"))
    ids = TABLE["image_id"].to_numpy(object)
    alone = made("plain").logits(held(TABLE, OF), ids)
    assert np.corrcoef(detector.logits(of, ids), alone)[0, 1] > 0.97
    base = RECIPES["stacked"].against(training_set(TABLE, of), ("other", ENCODER))
    assert base.chosen == ENCODER
    np.testing.assert_allclose(base.logits(of, ids), alone)


def test_weights_of_a_stack_are_the_constrained_optimum() -> None:
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, 300).astype("int8")
    logits = np.stack([label + rng.standard_normal(300), rng.standard_normal(300) - 0.2 * label], axis=1)
    weights = rng.uniform(0.5, 2, 300)
    found = mixture(logits, label, weights)
    scale = logits.std(0)

    def objective(x: np.ndarray) -> float:
        z = logits / scale @ x[:2] + x[2]
        losses = np.logaddexp(0, np.where(label == 1, -z, z))
        return float((losses * weights).sum() / weights.sum() + 0.5 / weights.sum() * (x[:2] ** 2).sum())

    best = minimize(objective, [1, 1, 0], method="trust-constr", bounds=[(0, None), (0, None), (None, None)])
    assert (found.shares >= 0).all()
    assert found.shares[1] == pytest.approx(0.0, abs=1e-6)
    assert objective(np.append(found.shares * scale, found.offset)) <= best.fun + 1e-6


def test_wrong_use_is_one_line() -> None:
    with pytest.raises(InputError, match=r"there is no recipe 'laece'. Did you mean 'leace'"):
        named(["laece"])
    one = manifest(generators={"A": "gan"})
    training = training_set(one, held(one, vectors(one)))
    for name in ("chosen-cutoff", "nuisance"):
        with pytest.raises(
            InputError, match="choosing on other generators needs at least 2 in the training set"
        ):
            RECIPES[name].make(training, (ENCODER,))
