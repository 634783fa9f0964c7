"""The explorer's page: controls, pictures and curves, in Gradio."""

from __future__ import annotations

from html import escape
from typing import Any

from bandprobe.encoders.extras import import_extra
from bandprobe.errors import BandprobeError
from bandprobe.explorer.curve_figure import curve_figure
from bandprobe.explorer.session import Explorer, Picture
from bandprobe.explorer.views import KINDS, spec_of, view
from bandprobe.filters import check

TITLE = "bandprobe explorer"
_HEADERS = ("picture", "probe", "logit", "probability", "threshold", "verdict")
_WORDS = {"lowpass": "low-pass", "highpass": "high-pass", "bandpass": "band-pass", "bandstop": "band-stop"}
CSS = """
.gradio-container { max-width: 76rem !important; margin: 0 auto; }
.pictures { align-items: start; }
.pictures .image-frame, .pictures .image-container, .pictures button:has(img) { width: 100%; height: 100%; }
.pictures img { image-rendering: pixelated; width: 100% !important; height: 100% !important;
  object-fit: contain !important; }
#table div[role=region] { overflow-x: auto; }
#table table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
#table caption { text-align: left; font-weight: 600; padding: 0.3rem 0; }
#table th, #table td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; white-space: nowrap;
  border-bottom: 1px solid var(--border-color-primary); }
.js-plotly-plot text { fill: var(--body-text-color) !important; }
@media (max-width: 40rem) {
  .gradio-container, .gradio-container .main, .gradio-container .wrap, .gradio-container .contain,
  .gradio-container .column { min-width: 0 !important; max-width: 100vw !important; }
  .gradio-container .main { padding: 0.5rem !important; }
  .gradio-container .pictures > * { min-height: 18rem; flex: none; }
  .gradio-container .row { flex-direction: column; }
  .gradio-container .row > * { width: 100%; min-width: 0 !important; max-width: 100%; }
  .gradio-container .table-wrap, .gradio-container .plot-container { max-width: 100%; overflow-x: auto; }
}
.min_value, .max_value, .or { color: var(--body-text-color) !important; }
footer { display: none !important; }
"""


def page(explorer: Explorer, samples: dict[str, Any]) -> Any:
    """The Gradio blocks.

    Args:
        explorer: the probes.
        samples: pictures to try, by name: uint8, shape (h, w, 3).
    """
    gr = import_extra("gradio", "explorer")
    probes = [probe.name for scorer in explorer.scorers for probe in scorer.probes]

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 600)) as blocks:
        gr.Markdown("# bandprobe explorer\nDrop a picture and move the cut-off: what is left, what was taken, and what "
                    + ("every probe says of it." if probes else "its spectrum looks like. No probe is loaded: start "
                       "with `--run` or `--probe` to see probabilities."))  # fmt: skip
        states = {name: gr.State(None) for name in "AB"}
        with gr.Row(equal_height=False):
            files, choices = {}, {}
            for name, words in (("A", "Picture A"), ("B", "Picture B, to compare (may stay empty)")):
                with gr.Column(min_width=280):
                    files[name] = gr.File(
                        label=words, type="binary", file_types=["image"], height=120, elem_id=f"file-{name}"
                    )
                    choices[name] = gr.Dropdown(
                        ["", *samples],
                        value="",
                        label=f"Or a picture of the embedded world as {name}",
                        elem_id=f"sample-{name}",
                    )
        with gr.Row():
            kind = gr.Radio([(_WORDS[one], one) for one in KINDS], value="lowpass", label="Filter", scale=2)
            ideal = gr.Radio(
                [("Butterworth", False), ("ideal (a step)", True)], value=False, label="Slope", scale=2
            )
            order = gr.Slider(1, 8, 1, step=1, label="Order (Butterworth)")
            width = gr.Slider(0.05, 0.5, 0.18, step=0.01, label="Band width, of Nyquist")
        cutoff = gr.Slider(0.02, 1, 0.3, step=0.01, label="Cut-off, fraction of Nyquist", elem_id="cutoff")
        said = gr.Markdown(elem_id="said")
        shown: dict[str, list[Any]] = {}
        for name in "AB":
            with gr.Row(elem_classes="pictures", visible=name == "A") as row:
                shown[name] = [
                    row,
                    *(
                        gr.Image(
                            label=f"{name}: {words}", format="png", interactive=False, buttons=["fullscreen"],
                            height=280, alt_text=f"Picture {name}, {words}",
                        )
                        for words in ("filtered", "spectrum, with the mask's edge", "what was taken, around grey")
                    ),
                ]  # fmt: skip
        plot = gr.Plot(label="Probability over the cut-off", visible=bool(probes))
        table = gr.HTML(visible=bool(probes), elem_id="table")

        controls = [kind, ideal, order, width, cutoff]
        outputs = [said, *shown["A"], *shown["B"], plot, table]

        def draw(
            a: Picture | None,
            b: Picture | None,
            *asked: Any,
            progress: Any = gr.Progress(),  # noqa: B008 - how Gradio hands one in
        ) -> list[Any]:
            pictures = {name: picture for name, picture in (("A", a), ("B", b)) if picture is not None}
            try:
                return _drawn(gr, explorer, pictures, *asked, progress=progress)
            except BandprobeError as error:
                raise gr.Error(str(error), print_exception=False) from None

        def opened(name: str) -> Any:
            def open_file(content: bytes | None) -> Picture | None:
                if content is None:
                    return None
                try:
                    return explorer.opened(f"picture {name}", content)
                except BandprobeError as error:
                    raise gr.Error(
                        f"Picture {name} cannot be read: {error}.", print_exception=False
                    ) from None

            return open_file

        def chosen(sample: str) -> Any:
            return explorer.placed(sample, samples[sample]) if sample in samples else gr.skip()

        again = {
            "fn": draw,
            "inputs": [*states.values(), *controls],
            "outputs": outputs,
            "api_visibility": "private",
        }
        for name in "AB":
            files[name].change(opened(name), files[name], states[name], api_visibility="private").success(
                **again
            )
            choices[name].change(chosen, choices[name], states[name], api_visibility="private").success(
                **again
            )
        for control in (kind, ideal):
            control.change(**again)
        for control in (order, width, cutoff):
            control.release(**again)
    return blocks


def _drawn(
    gr: Any,
    explorer: Explorer,
    pictures: dict[str, Picture],
    kind: str,
    ideal: bool,
    order: int,
    width: float,
    cutoff: float,
    *,
    progress: Any,
) -> list[Any]:
    """What every output shows."""
    spec = spec_of(kind, cutoff, ideal=ideal, order=int(order), width_nyq=width)
    lines, images, rows, curves = [], [], [], {}
    for name in "AB":
        picture = pictures.get(name)
        if picture is None:
            images += [gr.update(visible=name == "A"), None, None, None]
            continue
        check(spec, (picture.shown.shape[0], picture.shown.shape[1]))
        seen = view(picture.shown, spec)
        images += [gr.update(visible=True), seen.filtered, seen.spectrum, seen.residual]
        height, across = picture.shown.shape[:2]
        lines.append(
            f"**{name}** ({across} × {height} px): cut-off {seen.cutoff_px:.1f} px, {seen.cutoff_nyq:.2f} of Nyquist; "
            f"{100 * seen.energy_left:.2f} % of the energy outside the mean is left."
        )
        if explorer.scorers:
            progress(0, desc=f"{name}: probabilities over the cut-off")
            curves[name] = explorer.curve(picture, kind, ideal=ideal, order=int(order), width_nyq=width)
            for row in explorer.at(picture, spec).to_dict("records"):
                probe, logit = str(row["probe"]), float(row["logit"])
                numbers = (logit, float(row["probability"]), explorer.thresholds[probe])
                verdict = explorer.decisions[probe].verdict(logit)
                rows.append([name, probe, *(f"{number:.4f}" for number in numbers), verdict])
    figure = curve_figure(curves, cutoff, explorer.thresholds) if curves else None
    return ["  \n".join(lines), *images, figure, _table(rows)]


def _table(rows: list[list[str]]) -> str:
    """What every probe says at the cut-off, as HTML."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADERS)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    caption = "<caption>At the cut-off</caption>"
    return (
        f'<div role="region" tabindex="0" aria-label="Probabilities at the cut-off"><table>{caption}<thead><tr>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )
