"""A small made-up run with every table that an interactive figure reads, and its page in a browser.

`PYTHONPATH=tests python tests/report/page_run.py` takes the reference picture `page_figures.png` anew.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page
from report_runs import NYQUIST_PX, PHOTOS, results, sweep, write_run

ENCODERS = ["enc-a", "enc-b"]
KEYS = ["encoder", "metric", "train_filter", "filter", "trained_on", "tested_on"]
PX = [4, 12, 40, 90]
MARKED = "Latent<i>Diffusion</i>"  # a name that would be markup
SAFE = MARKED.replace("<", "&lt;").replace(">", "&gt;")  # as Plotly is handed it
GENERATORS = {MARKED if name == "LatentDiffusion" else name: of for name, of in PHOTOS.items()}
SIZES = {"faces": (150, 150), "scenes": (180, 80)}
FILTERS = [*sweep(PX), *((f"highpass:{px}px", float(px)) for px in PX)]


def label_of(generator: str) -> str:
    """A test set's name in the figures."""
    return f"{SAFE if generator == MARKED else generator} · {GENERATORS[generator][1]}"


def results_table() -> pd.DataFrame:
    """Both views of two sweeps, and probes trained under one filter that meet every other."""
    table = results(ENCODERS, GENERATORS, FILTERS, SIZES)
    swept = results(ENCODERS, GENERATORS, FILTERS, SIZES, information=False, pooled=False, seed=1)
    return pd.concat([table, swept.assign(train_filter="lowpass:12px").query("filter != 'lowpass:12px'")])


def mmd_table() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(
        list(product(ENCODERS, ("fake_vs_real", "no_filter_vs_filter"), GENERATORS, FILTERS)),
        columns=["encoder", "experiment", "source", "_filter"],
    )
    rows["filter"], rows["cutoff_px"] = zip(*rows.pop("_filter"), strict=True)
    rows["cutoff_nyq"] = rows["cutoff_px"] / NYQUIST_PX
    rows["family"] = rows["source"].map({name: family for name, (family, _) in GENERATORS.items()})
    rows["dataset"] = rows["source"].map({name: dataset for name, (_, dataset) in GENERATORS.items()})
    for name in ("mmd2", "p_value", "q_value"):
        rows[name] = rng.uniform(0.001, 0.3, len(rows)).round(4)
    return rows.assign(space="embedding", n=61, n_real=59)


def entropy_table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        list(product([*ENCODERS, "random:enc-a"], ("effective_rank", "cosine"), ("Real", "all"), FILTERS)),
        columns=["encoder", "measure", "source", "_filter"],
    )
    images = pd.DataFrame(
        list(product(["images"], ("spectral_entropy",), ("Real", *GENERATORS), FILTERS)), columns=rows.columns
    )
    rows = pd.concat([rows, images], ignore_index=True)
    rows["filter"], rows["cutoff_px"] = zip(*rows.pop("_filter"), strict=True)
    rows["cutoff_nyq"] = rows["cutoff_px"] / NYQUIST_PX
    value = rng.uniform(2, 30, len(rows)).round(3)
    return rows.assign(value=value, low=value - 0.5, high=value + 0.25, n=40, dataset="faces")


def bands_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """What was tried of two probes: contiguous band-passes and band-stops; and one band claimed."""
    rng = np.random.default_rng(4)
    edges = [0.0, 0.1, 0.3, 0.7, 1.42]
    case = {"encoder": "enc-a", "train_filter": "none", "dataset": "scenes", "n_real": 180, "n_fake": 80}
    rows = [
        {**case, "trained_on": name, "tested_on": name, "own_auroc": 0.91, "outcome": "1 claimed", "kind": kind,
         "filter": "x", "centre_nyq": (low + high) / 2, "low_nyq": low, "high_nyq": high,
         "auroc": round(rng.uniform(0.5, 1), 3), "p_value": 0.2}
        for name in ("Disco-ADM", MARKED) for kind in ("pass", "stop")
        for low, high in pairwise(edges)
    ]  # fmt: skip
    claimed = {"encoder": "enc-a", "trained_on": MARKED, "train_filter": "none", "tested_on": MARKED,
               "centre_nyq": 0.45, "low_nyq": 0.3, "high_nyq": 0.7, "strength": 0.62, "p_value": 0.004}  # fmt: skip
    return pd.DataFrame([claimed]), pd.DataFrame(rows)


def write_page_run(folder: Path) -> pd.DataFrame:
    """Write the run; returns its results."""
    table = results_table()
    write_run(folder, table, {"command": "bandprobe study", "seed": 0})
    mmd_table().to_csv(folder / "mmd.csv", index=False)
    entropy_table().to_csv(folder / "entropy.csv", index=False)
    claimed, tested = bands_tables()
    claimed.to_csv(folder / "bands.csv", index=False)
    tested.to_csv(folder / "bands_tested.csv", index=False)
    return table


def build_page(folder: Path) -> Path:
    """The page of a run, without its pictures for papers, which other tests draw."""
    build = importlib.import_module("bandprobe.report.build")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "_draw", lambda planned, folder: [folder / f"{one.stem}.png" for one in planned])
        return build.build(folder)


class Figure:
    """An interactive figure of an open page, used as a reader would."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name
        self.box: Locator = page.locator(f"#figure-{name}")
        self.box.scroll_into_view_if_needed()
        page.wait_for_selector(f"#figure-{name}[data-drawn]", timeout=30_000)

    def choose(self, **switches: str) -> Figure:
        """Set lists by the words of their options."""
        for name, label in switches.items():
            self.box.locator(f"select[name={name}]").select_option(label=label)
        return self

    def options(self, name: str) -> list[str]:
        return self.box.locator(f"select[name={name}] option").all_text_contents()

    @property
    def traces(self) -> list[dict[str, Any]]:
        """Plotly's traces, arrays as lists."""
        return self.page.evaluate(
            "name => JSON.parse(JSON.stringify(document.querySelector(`#figure-${name} .plot`).data))",
            self.name,
        )

    @property
    def layout(self) -> dict[str, Any]:
        return self.page.evaluate(
            "name => JSON.parse(JSON.stringify(document.querySelector(`#figure-${name} .plot`).layout))",
            self.name,
        )

    def lines(self, meta: str = "curve") -> dict[str, dict[float, float]]:
        """Of each line its values by x."""
        return {
            trace["name"]: dict(zip(trace["x"], trace["y"], strict=True))
            for trace in self.traces if trace.get("meta") == meta
        }  # fmt: skip

    def hover(self, x: float, y: float) -> str:
        """What the figure says where the mouse rests on a point of its axes."""
        place = self.page.evaluate(
            """([name, x, y]) => {
              const plot = document.querySelector(`#figure-${name} .plot`);
              plot.scrollIntoView({block: "center"});
              const {xaxis, yaxis} = plot._fullLayout;
              const at = (axis, value) => axis._offset + axis.l2p(axis.type === "log" ? Math.log10(value) : value);
              const box = plot.getBoundingClientRect();
              return [box.left + at(xaxis, x), box.top + at(yaxis, y)];
            }""",
            [self.name, x, y],
        )
        self.page.mouse.move(place[0] - 3, place[1] - 2)
        self.page.mouse.move(*place)
        label = self.box.locator(".hoverlayer .hovertext")
        label.first.wait_for(timeout=10_000)
        return " ".join(label.first.locator("tspan").all_text_contents()) or label.first.text_content() or ""


@contextmanager
def opened(browser: Browser, path: Path, **context: Any) -> Iterator[Page]:
    """The page in a context of its own; afterwards it has asked for nothing and complained of nothing."""
    asked: list[str] = []
    said: list[str] = []
    made = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    page = made.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    try:
        page.goto(path.as_uri())
        yield page
        assert [url for url in asked if url != path.as_uri() and not url.startswith(("data:", "blob:"))] == []
        assert said == []
    finally:
        made.close()


REFERENCE = Path(__file__).with_name("page_figures.png")
_PICTURED = (480, 480)


def picture(page: Page) -> Image.Image:
    """The grid above the curves, grey, small enough that type is no more than a shade."""
    taken = []
    for name in ("grid", "curves"):
        plot = Figure(page, name).box.locator(".plot")
        page.mouse.move(0, 0)
        with Image.open(io.BytesIO(plot.screenshot(animations="disabled"))) as image:
            width, height = _PICTURED
            taken.append(image.convert("L").resize((width, height // 2), Image.Resampling.BOX))
    whole = Image.new("L", _PICTURED)
    for i, image in enumerate(taken):
        whole.paste(image, (0, i * _PICTURED[1] // 2))
    return whole


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    from browser import launched

    with TemporaryDirectory() as scratch, launched() as chromium:
        write_page_run(Path(scratch))
        with opened(chromium, build_page(Path(scratch))) as tab:
            picture(tab).quantize(16).save(REFERENCE, optimize=True)
