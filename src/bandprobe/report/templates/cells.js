// Heat maps of the page: rows by columns of cells, with families parted, blanks marked and own cells framed.
const cells = (() => {
  const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
  const scale = (colours) => colours.map((colour, i) => [i / (colours.length - 1), colour]);
  const sequential = (reversed) => scale(reversed ? [...VIRIDIS].reverse() : VIRIDIS);
  // Orange below, blue above: the pair that the colour-blind tell apart best.
  const diverging = () => scale(page.isDark()
    ? ["#f5a54a", "#a96216", "#2b2e33", "#2b6ca8", "#86c2f5"] : ["#a34a00", "#eeb079", "#f6f6f6", "#92c0e4", "#0f4c86"]);

  // Black or white, whichever is read better on a colour of the scale.
  function contrast(colours, share) {
    const at = Math.min(Math.max(share, 0), 1) * (colours.length - 1);
    const rgb = (i) => [1, 3, 5].map((start) => parseInt(colours[i][1].slice(start, start + 2), 16) / 255);
    const [one, next] = [rgb(Math.floor(at)), rgb(Math.ceil(at))];
    const linear = one.map((value, i) => {
      const mixed = value + (next[i] - value) * (at % 1);
      return mixed <= 0.04045 ? mixed / 12.92 : ((mixed + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 ? "#000000" : "#ffffff";
  }

  const runs = (families) => {
    const found = [];
    families.forEach((family, i) => {
      if (found.length && found.at(-1).family === family) found.at(-1).last = i;
      else found.push({ family, first: i, last: i });
    });
    return found;
  };

  // `rows` and `columns` are {label, family}; `at(i, j)` gives {value, text, hover}; `families` have name,
  // label and colours; `framed(i, j)` says which cells to frame.
  function heatMap({ rows, columns, at, families = [], framed = () => false, colours, range, title, percent, axes, room,
    cellHeight = 26, scaleTicks }) {
    const { ink, soft, wash } = figure.palette();
    const grid = rows.map((_, i) => columns.map((_, j) => at(i, j)));
    const z = grid.map((line) => line.map(({ value }) => (words.known(value) ? value : null)));
    const most = room < 500 ? 14 : 22;
    const ticks = (list) => list.map(({ label }) => words.safe(words.short(label, most)));
    const labels = rows.map(({ label }) => words.short(label, most));
    const left = Math.max(...labels.map((label) => label.length)) * 6.6 + 34;
    const legible = 38, narrowest = columns.length <= 24 ? left + 90 + columns.length * legible : 0;
    const lettered = columns.length <= 24;
    const place = (count) => Array.from({ length: count }, (_, i) => i);
    const hovertext = grid.map((line) => line.map(({ hover }) => hover));
    const traces = [{
      type: "heatmap", z, x: place(columns.length), y: place(rows.length), colorscale: colours,
      zmin: range[0], zmax: range[1], xgap: lettered ? 1 : 0, ygap: lettered ? 1 : 0,
      hoverinfo: "text", hovertext, hoverongaps: false,
      colorbar: {
        title: { text: words.safe(title), side: "right", font: { size: 12 } }, thickness: 12, outlinewidth: 0, len: 1,
        tickformat: percent ? ".0%" : "", x: 1.02, xpad: 4,
        ...(scaleTicks ? { tickvals: scaleTicks.map(([at]) => at), ticktext: scaleTicks.map(([, text]) => text) } : {}),
      },
    }];
    // Plotly says nothing over a gap: blanks are cells of their own.
    if (z.flat().includes(null)) {
      traces.push({
        type: "heatmap", z: z.map((line) => line.map((value) => (value === null ? 1 : null))), x: traces[0].x, y: traces[0].y,
        colorscale: [[0, wash], [1, wash]], showscale: false, xgap: 1, ygap: 1, hoverinfo: "text", hovertext, hoverongaps: false,
      });
    }
    if (lettered) {
      const all = grid.flatMap((line, i) => line.map(({ text }, j) => ({ text: z[i][j] === null ? "–" : text, value: z[i][j], i, j })));
      traces.push({
        type: "scatter", mode: "text", x: all.map(({ j }) => j), y: all.map(({ i }) => i), text: all.map(({ text }) => words.safe(text)),
        hoverinfo: "skip", cliponaxis: false,
        textfont: { size: 11, color: all.map(({ value }) => (value === null ? soft : contrast(colours, (value - range[0]) / (range[1] - range[0])))) },
      });
    }
    const line = (x0, y0, x1, y1, more) => ({ type: "line", x0, y0, x1, y1, line: { color: ink, width: 1.6 }, ...more });
    const shapes = [];
    const annotations = [];
    for (const [along, list] of [["x", columns], ["y", rows]]) {
      const found = runs(list.map(({ family }) => family ?? ""));
      for (const { family, first, last } of found) {
        const end = last + 0.5;
        if (last < list.length - 1) {
          shapes.push(along === "x" ? line(end, -0.5, end, rows.length - 0.5) : line(-0.5, end, columns.length - 0.5, end));
        }
        const known = families.find(({ name }) => name === family);
        if (!known || along === "y") continue;
        const paint = { color: figure.hue(known), width: 3 };
        shapes.push({ ...line(first - 0.4, 1.012, last + 0.4, 1.012, { yref: "paper" }), line: paint });
        annotations.push({
          x: (first + last) / 2, y: 1.02, yref: "paper", yanchor: "bottom", showarrow: false,
          text: words.safe(words.short(known.label, Math.max(4, (last - first + 1) * 5))), font: { color: figure.hue(known), size: 11 },
        });
      }
    }
    rows.forEach((_, i) => columns.forEach((_, j) => {
      if (!framed(i, j)) return;
      shapes.push({
        type: "rect", x0: j - 0.46, x1: j + 0.46, y0: i - 0.46, y1: i + 0.46, line: { color: "#ffffff", width: 3 },
      }, { type: "rect", x0: j - 0.46, x1: j + 0.46, y0: i - 0.46, y1: i + 0.46, line: { color: "#000000", width: 1.2 } });
    }));
    const below = Math.max(...columns.map(({ label }) => Math.min(label.length, most))) * 4.8 + 44;
    return {
      traces,
      narrowest,
      layout: {
        height: Math.round(rows.length * cellHeight + below + 44), shapes, annotations, plot_bgcolor: wash,
        margin: { l: left, r: 76, t: 34, b: below },
        xaxis: {
          tickvals: place(columns.length), ticktext: ticks(columns), tickangle: -45, showgrid: false, ticks: "",
          range: [-0.5, columns.length - 0.5], title: { text: axes[1], standoff: 8, font: { size: 12, color: soft } }, automargin: false,
        },
        yaxis: {
          tickvals: place(rows.length), ticktext: ticks(rows), showgrid: false, ticks: "", automargin: false,
          range: [rows.length - 0.5, -0.5], title: { text: axes[0], standoff: 8, font: { size: 12, color: soft } },
        },
      },
    };
  }

  return { heatMap, sequential, diverging };
})();
