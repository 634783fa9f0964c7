"""The gallery of mistakes: what each choice shows, against the scores themselves."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from page_run import opened
from picture_run import ENCODERS, EVIL, FILTERS, picture_run

from bandprobe.errors import InputError
from bandprobe.report.gallery_view import gallery_view
from bandprobe.report.run_directory import read_run
from bandprobe.report.run_pictures import make_pictures
from browser import LAPTOP, PHONE, serious_violations

LABELS = {"none": "none (unfiltered)", "identity": "identity (a mask of ones)"}


def expected(pictured, encoder, trained, spec):
    """Ids of reals and fakes that the probe of unfiltered images got wrong, surest first, and how many there are."""
    scores, manifest = pictured.scores, pictured.manifest
    mine = scores[(scores["encoder"] == encoder) & (scores["trained_on"] == trained)]
    mine = mine[(mine["filter"] == spec) & (mine["train_filter"] == "none")]
    mine = mine.merge(manifest[["image_id", "label"]], on="image_id")
    rows = pictured.confusion
    threshold = rows[(rows["encoder"] == encoder) & (rows["trained_on"] == trained)]["threshold"].iloc[0]
    real = mine[(mine["label"] == 0) & (mine["logit"] >= threshold)].sort_values("logit", ascending=False)
    fake = mine[(mine["label"] == 1) & (mine["logit"] < threshold)].sort_values("logit")
    return {"real": real, "fake": fake}


def shown(page, kind):
    """Ids, percentages and pictures of a list, and its sentence."""
    section = page.locator(f"section[aria-labelledby=gallery-{kind}]")
    items = section.locator("li")
    ids = [items.nth(n).get_attribute("data-image") for n in range(items.count())]
    return ids, section.locator(".sure").all_text_contents(), section.locator("p").inner_text(), items


@pytest.mark.parametrize(
    ("encoder", "trained", "spec"),
    [("one", "all", "none"), ("two", EVIL, "lowpass:3px"), ("one", "ProGAN", "identity")],
)
def test_a_choice_shows_the_surest_mistakes(chromium, pictured, encoder, trained, spec):
    with opened(chromium, pictured.page) as page:
        page.locator("#gallery-encoder").select_option(label=encoder)
        page.locator("#gallery-probe").select_option(label=trained)
        page.locator("#gallery-filter").select_option(label=LABELS.get(spec, spec))
        wrong = expected(pictured, encoder, trained, spec)
        for kind, word in (("real", "reals were taken for fakes"), ("fake", "fakes were taken for real")):
            ids, percent, said, items = shown(page, kind)
            assert 1 <= len(ids) <= 8
            assert ids == wrong[kind]["image_id"].head(8).tolist()
            assert percent == [f"{100 * p:.1f} %" for p in wrong[kind]["probability"].head(8).round(4)]
            assert said == f"{len(wrong[kind])} of 24 {word}"
            image = items.first.locator("img")
            assert image.evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") == 48
            assert image.get_attribute("alt").endswith("% generated")
        assert page.locator("#gallery-said").inner_text() == (
            f"{encoder}, trained on {trained}, tested under {LABELS.get(spec, spec)}"
        )
        assert page.title() == "Frequency report: faces"  # a generator's name is no markup


def test_every_condition_is_offered_and_the_pool_comes_first(chromium, pictured):
    with opened(chromium, pictured.page) as page:
        assert page.locator("#gallery-encoder option").all_text_contents() == list(ENCODERS)
        assert page.locator("#gallery-probe").evaluate("(s) => s.selectedOptions[0].text") == "all"
        offered = page.locator("#gallery-filter option").all_text_contents()
        # Of the low-passes those near 0.15 and 0.5 of Nyquist (24 px), and the high-pass near 0.15.
        assert offered == [*LABELS.values(), "lowpass:3px", "lowpass:12px", "highpass:0.15nyq"]
        page.locator("#gallery-encoder").focus()
        page.keyboard.press("ArrowDown")
        assert (
            shown(page, "real")[0]
            == expected(pictured, "two", "all", "none")["real"]["image_id"].head(8).tolist()
        )


def test_each_picture_stands_once_in_the_page(pictured):
    view = gallery_view(pictured.folder)
    addresses = [one[3] for one in view.data["images"]]
    assert None not in addresses
    assert len(set(addresses)) == len(addresses) == view.images == view.pictures
    text = pictured.page.read_text(encoding="utf-8")
    assert all(text.count(address) == 1 for address in addresses)
    assert len(view.data["cells"]) == len(ENCODERS) * 3 * len(FILTERS)


def test_pictures_that_are_gone_leave_their_identity(chromium, pictured, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(pictured.folder, folder)
    (folder / "mistakes.parquet").unlink()
    view = gallery_view(folder)
    assert view.pictures == 0
    page = tmp_path / "page.html"
    data = json.dumps(view.data).replace("<", "\\u003c")
    whole = pictured.page.read_text(encoding="utf-8")
    before, _, rest = whole.partition('id="gallery-data">')
    page.write_text(f'{before}id="gallery-data">{data}{rest[rest.index("</script>") :]}', encoding="utf-8")
    with opened(chromium, page) as tab:
        ids, _, _, items = shown(tab, "fake")
        assert items.first.locator(".frame").inner_text() == ids[0][:12]
        assert tab.locator("#gallery img").count() == 0


def test_a_report_fetches_nothing_and_takes_no_changed_picture(tmp_path):
    folder = tmp_path / "run"
    manifest, _, _ = picture_run(folder)
    first, second, *_ = manifest["path"]
    shutil.copyfile(second, first)  # other pixels than those that were scored
    manifest.loc[2, "path"] = "http://127.0.0.1:9/picture.png"
    manifest.to_parquet(folder / "manifest.parquet", index=False)
    make_pictures(read_run(folder))
    kept = set(pd.read_parquet(folder / "mistakes.parquet")["image_id"])
    listed = set(pd.read_csv(folder / "mistakes.csv")["image_id"])
    gone = set(manifest["image_id"].iloc[[0, 2]])
    assert kept == listed - gone
    assert gone & listed  # they are among the mistakes, without a picture


def test_a_run_without_scores_has_no_gallery_and_a_damaged_table_is_named(tmp_path):
    assert gallery_view(tmp_path) is None
    (tmp_path / "mistakes.csv").write_text("encoder,rank\none,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"mistakes\.csv cannot be read \(no column trained_on"):
        gallery_view(tmp_path)


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_four_sections_are_usable_by_everyone(chromium, pictured, size, scheme):
    with opened(chromium, pictured.page, viewport=size, color_scheme=scheme) as page:
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert serious_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_webp_that_is_none_is_left_out(pictured, tmp_path):
    shutil.copy(pictured.folder / "mistakes.csv", tmp_path / "mistakes.csv")
    table = pd.read_parquet(pictured.folder / "mistakes.parquet")
    hostile = [b"<svg onload=alert(1)>", b"RIFF0000WEBP" + b"x" * 200_000]
    table["webp"] = np.array([*hostile, *table["webp"].iloc[2:]], dtype=object)
    table.to_parquet(tmp_path / "mistakes.parquet", index=False)
    assert gallery_view(tmp_path).pictures == len(table) - 2
