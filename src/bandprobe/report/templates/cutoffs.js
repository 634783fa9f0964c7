// Lines against the cut-off, with the controls, which have none, apart from them right of a break in the axis.
const cutoffs = (() => {
  const ZONES = [["low", 0, 0.15], ["middle", 0.15, 0.5], ["high", 0.5, Infinity]];
  const SPLIT = 0.86, RESUME = 0.9;

  const units = (filters, sweep) => {
    const both = sweep.filters.every((i) => words.known(filters[i].nyq));
    return [["px", "px"], ...(both ? [["nyq", "fraction of Nyquist"]] : [])];
  };

  // `lines` are {label, mark, thick, hollow, at(filter)}, where `at` gives {value, low, high, hover, hollow} or
  // a null value with its reason; `level` is a value to read them against.
  function plot({ lines, filters, sweep, unit, bands, title, percent, level, range, room }) {
    const { ink, soft, rule, wash } = figure.palette();
    const swept = sweep.filters.map((i) => ({ filter: i, x: filters[i][unit] }));
    const controls = sweep.controls;
    const traces = [];
    const ends = [];
    lines.forEach(({ mark, thick, at }, number) => {
      const colour = figure.hue(mark);
      const found = swept.map(({ filter, x }) => ({ x, ...at(filter) })).filter(({ value }) => words.known(value));
      const sure = found.filter(({ low, high }) => words.known(low) && words.known(high));
      ends.push(...found.map(({ value }) => value), ...(bands ? sure.flatMap(({ low, high }) => [low, high]) : []));
      if (bands && sure.length > 1) {
        traces.push({
          type: "scatter", mode: "lines", x: [...sure.map(({ x }) => x), ...sure.map(({ x }) => x).reverse()],
          y: [...sure.map(({ high }) => high), ...sure.map(({ low }) => low).reverse()],
          fill: "toself", fillcolor: colour, opacity: thick || lines.length === 1 ? 0.22 : Math.min(0.14, 0.7 / lines.length),
          line: { width: 0 }, hoverinfo: "skip", meta: "band",
        });
      }
      const marker = (points) => ({
        symbol: points.map(({ hollow }) => mark.symbol + (hollow ? "-open" : "")), size: thick ? 7 : 5.5, color: colour,
      });
      traces.push({
        type: "scatter", mode: "lines+markers", name: words.safe(lines[number].label), x: found.map(({ x }) => x),
        y: found.map(({ value }) => value), line: { color: colour, width: thick ? 3.2 : 1.6, dash: mark.dash },
        marker: marker(found), hoverinfo: "text", hovertext: found.map(({ hover }) => hover), meta: "curve",
      });
      const apart = controls.map(({ filter }, slot) => ({ x: slot + 0.66 * ((number + 0.5) / lines.length - 0.5), ...at(filter) }))
        .filter(({ value }) => words.known(value));
      ends.push(...apart.flatMap(({ value, low, high }) => [value, ...(bands && words.known(low) ? [low, high] : [])]));
      if (apart.length) {
        const length = (end, sign) => apart.map((point) => (words.known(point[end]) ? sign * (point[end] - point.value) : 0));
        traces.push({
          type: "scatter", mode: "markers", name: words.safe(lines[number].label), xaxis: "x2", x: apart.map(({ x }) => x),
          y: apart.map(({ value }) => value), marker: { ...marker(apart), size: thick ? 8 : 6.5 }, hoverinfo: "text",
          hovertext: apart.map(({ hover }) => hover), meta: "control",
          error_y: {
            type: "data", symmetric: false, array: length("high", 1), arrayminus: length("low", -1),
            thickness: 1, width: 0, color: colour, visible: bands,
          },
        });
      }
    });
    const xs = swept.length ? swept.map(({ x }) => x) : [1];
    const [first, last] = [Math.log10(Math.min(...xs)), Math.log10(Math.max(...xs))];
    const margin = 0.04 * (last - first) || 0.1;
    const shapes = [], annotations = [];
    const nyquist = unit === "nyq" ? 1 : swept.length && swept.every(({ filter }) => words.known(filters[filter].nyq))
      ? filters[swept[0].filter].px / filters[swept[0].filter].nyq : null;
    ZONES.forEach(([name, low, high], i) => {
      if (!nyquist) return;
      const start = Math.max(first - margin, low ? Math.log10(low * nyquist) : -Infinity);
      const stop = Math.min(last + margin, Math.log10(high * nyquist));
      if (stop <= start) return;
      if (i !== 1) {
        shapes.push({
          type: "rect", xref: "x", yref: "paper", x0: 10 ** start, x1: 10 ** stop, y0: 0, y1: 1, fillcolor: wash,
          line: { width: 0 }, layer: "below",
        });
      }
      annotations.push({
        x: (start + stop) / 2, y: 1, yref: "paper", yanchor: "bottom", showarrow: false, text: name, font: { size: 11, color: soft },
      });
    });
    if (words.known(level)) {
      shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, line: { color: soft, width: 1, dash: "dot" } });
      ends.push(level);
    }
    const wide = controls.length > 0;
    if (wide) {
      const half = (x) => ({
        type: "line", xref: "paper", yref: "paper", x0: x - 0.006, x1: x + 0.006, y0: -0.022, y1: 0.022, line: { color: ink, width: 1.2 },
      });
      shapes.push(half(SPLIT + 0.012), half(RESUME - 0.012));
      annotations.push({
        x: (controls.length - 1) / 2, xref: "x2", y: 1, yref: "paper", yanchor: "bottom", showarrow: false, text: "controls",
        font: { size: 11, color: soft },
      });
    }
    const axis = { title: { text: title, standoff: 6, font: { size: 12, color: soft } } };
    const known = ends.filter(words.known);
    const [low, high] = known.length ? range(Math.min(...known), Math.max(...known)) : [0, 1];
    const ticks = decimals(first, last, (room * SPLIT) / 44);
    return {
      traces,
      layout: {
        height: 430, shapes, annotations, margin: { l: 62, r: 10, t: 24, b: 62 },
        xaxis: {
          type: "log", domain: [0, wide ? SPLIT : 1], range: [first - margin, last + margin], tickvals: ticks,
          ticktext: ticks.map(String), automargin: false, ticks: "outside",
          title: { text: unit === "px" ? "cut-off (px)" : "cut-off (× Nyquist)", standoff: 8, font: { size: 12, color: soft } },
        },
        ...(wide ? {
          xaxis2: {
            domain: [RESUME, 1], range: [-0.5, controls.length - 0.5], tickvals: controls.map((_, i) => i), anchor: "y",
            ticktext: controls.map(({ label }) => label), showgrid: false, automargin: false, tickangle: room < 600 ? -90 : 0,
          },
        } : {}),
        yaxis: { ...axis, range: [low, high], tickformat: percent ? ".0%" : "", automargin: false, linecolor: rule, showline: true },
      },
    };
  }

  // 1-2-5 numbers between 10^first and 10^last, at most so many, else fewer digits.
  function decimals(first, last, most) {
    for (const digits of [[1, 2, 5], [1, 3], [1]]) {
      const found = [];
      for (let e = Math.floor(first) - 1; e <= Math.ceil(last); e++) {
        for (const digit of digits) {
          const tick = Number((digit * 10 ** e).toPrecision(1));
          if (Math.log10(tick) >= first - 1e-9 && Math.log10(tick) <= last + 1e-9) found.push(tick);
        }
      }
      if (found.length >= 2 && found.length <= most) return found;
    }
    return [first, last].map((end) => Number((10 ** end).toPrecision(2)));
  }

  // The numbers of a plot: a row a cut-off, then the controls; a column a line.
  function numbers({ lines, filters, sweep, show }) {
    const rows = [
      ...sweep.controls.map(({ label, filter }) => [label, filter]),
      ...sweep.filters.map((i) => [
        `${words.cutoff(filters[i].px)} px${words.known(filters[i].nyq) ? ` (${words.cutoff(filters[i].nyq)} Nyquist)` : ""}`, i,
      ]),
    ];
    return {
      columns: ["cut-off", ...lines.map(({ label }) => label)],
      rows: rows.map(([name, filter]) => [name, ...lines.map(({ at }) => words.interval(at(filter), show))]),
    };
  }

  const around = (low, high) => {
    const margin = 0.06 * (high - low) || 0.1;
    return [low - margin, high + margin];
  };
  return { plot, numbers, units, around };
})();
