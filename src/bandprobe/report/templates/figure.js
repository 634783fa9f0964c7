// One interactive figure: drawn when it is seen, again at every switch, change of appearance, and for paper.
const figure = (() => {
  const PAPER_WIDTH = 920; // CSS pixels, which figures.css scales to a page
  const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
  const palette = () => (page.isDark()
    ? { ink: "#e8e8e8", soft: "#a9adb3", rule: "#3a3e44", wash: "#23272c", card: "#16181b" }
    : { ink: "#1b1b1b", soft: "#595959", rule: "#d6d6d6", wash: "#f1f2f4", card: "#ffffff" });
  const hue = (mark) => (page.isDark() ? mark.dark : mark.colour);

  function themed(layout) {
    const { ink, rule, card, wash } = palette();
    const axis = {
      gridcolor: rule, linecolor: rule, tickcolor: rule, zeroline: false, automargin: true, fixedrange: true,
    };
    const axes = Object.keys(layout).filter((name) => /^[xy]axis/.test(name));
    return {
      paper_bgcolor: card, plot_bgcolor: card, showlegend: false, dragmode: false, hovermode: "closest",
      font: { color: ink, size: 12, family: FONT },
      hoverlabel: { bgcolor: wash, bordercolor: ink, font: { color: ink, size: 13, family: FONT }, align: "left" },
      margin: { l: 8, r: 8, t: 14, b: 8 },
      ...layout,
      ...Object.fromEntries(axes.map((name) => [name, { ...axis, ...layout[name] }])),
    };
  }

  // `setUp({data, all, switches, key})` adds the switches and returns `draw(width)`, which gives
  // {traces, layout, narrowest, shown, summary, numbers: {columns, rows}, note} for their present state.
  function define(name, setUp) {
    const box = document.getElementById(`figure-${name}`);
    if (!box) return;
    const part = (kind) => box.querySelector(`.${kind}`);
    const plot = part("plot"), numbers = part("numbers");

    page.whenSeen(box, ({ data, plotly }) => {
      const again = () => paint();
      const switches = controls.switches(part("switches"), again);
      const key = controls.key(part("key"), again);
      const draw = setUp({ data: data[name], all: data, switches, key });
      let current = null;

      const tabulate = () => {
        if (!numbers.open) return;
        const slot = numbers.querySelector(".scroll");
        slot.replaceChildren(controls.table(current.numbers));
        slot.querySelector("table").prepend(
          controls.element("caption", { className: "unseen", textContent: current.shown }));
      };

      function paint() {
        const room = page.isPrinting() ? PAPER_WIDTH : plot.parentElement.clientWidth;
        current = draw(room);
        const width = page.isPrinting() ? room : Math.max(room, current.narrowest ?? 0);
        plot.style.width = `${width}px`;
        plot.style.height = `${current.layout.height}px`;
        plotly.react(plot, current.traces, { ...themed(current.layout), width }, { displayModeBar: false });
        plot.setAttribute("aria-label", `${current.shown} ${current.summary} The numbers follow below.`);
        part("shown").textContent = current.shown;
        part("remark").textContent = current.note ?? "";
        tabulate();
      }

      numbers.addEventListener("toggle", tabulate);
      page.onAppearance(paint);
      let known = plot.parentElement.clientWidth;
      new ResizeObserver(() => {
        const now = plot.parentElement.clientWidth;
        if (now === known || page.isPrinting()) return;
        known = now;
        paint();
      }).observe(plot.parentElement);
      paint();
      box.dataset.drawn = "";
      performance.mark(`drawn ${name}`);
    });
  }

  return { define, hue, palette };
})();
