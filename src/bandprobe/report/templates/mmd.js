figure.define("mmd", ({ data, switches, key }) => {
  const SIGNIFICANT = 0.05;
  const { filters, sweeps, sources, families, encoder, space, experiment } = data;
  const { state } = switches;
  const rows = new Map();
  const place = (...parts) => parts.join("|");
  data.source.forEach((source, i) => {
    rows.set(place(encoder.codes[i], space.codes[i], experiment.codes[i], source, data.filter[i]), i);
  });
  const index = (names) => names.map((name, i) => [i, name]);
  switches.select("experiment", "Distance between", index(experiment.names), 0);
  switches.select("encoder", "Encoder", index(encoder.names), 0);
  switches.select("space", "Measured on", index(space.names), 0);
  switches.select("view", "Show", [
    ...sweeps.map(({ label }, i) => [i, `curves against the ${label} cut-off`]), ["cells", "heat map of all filters"],
  ], 0);
  const units = switches.select("unit", "Cut-off in", [["px", "px"]], "px");

  function cell(source, filter) {
    const i = rows.get(place(state.encoder, state.space, state.experiment, source, filter));
    if (i === undefined) return { value: null, reason: "not measured" };
    if (!words.known(data.mmd2[i])) return { value: null, reason: data.reason.names[data.reason.codes[i]] || "the table gives no reason" };
    const { mmd2: m, p_value: p, q_value: q, n, n_real: real } = data;
    const images = words.known(real[i]) && state.experiment === 0 ? `${words.count(n[i])} fake, ${words.count(real[i])} real` : `${words.count(n[i])} images`;
    return { value: m[i], p: p[i], q: q[i], hollow: !(q[i] < SIGNIFICANT), images };
  }
  const hover = (source, filter) => {
    const { value, p, q, images, reason } = cell(source, filter);
    const where = `${words.safe(sources[source].label)}<br>${words.safe(words.filter(filters[filter]))}`;
    if (!words.known(value)) return `<b>blank</b>: ${words.safe(reason)}<br>${where}`;
    return `<b>MMD² ${words.significant(value)}</b><br>${where}<br>p = ${words.probability(p)}, q = ${words.probability(q)}<br>${images}`;
  };

  return (room) => {
    const { view } = state;
    const held = sources.map((_, i) => i).filter((i) => filters.some((_, filter) => words.known(cell(i, filter).value)));
    const lines = held.map((i) => ({ ...sources[i], source: i, at: (filter) => ({ ...cell(i, filter), hover: hover(i, filter) }) }));
    const said = `Squared MMD, ${experiment.names[state.experiment].toLowerCase()}: ${encoder.names[state.encoder]}, ${space.names[state.space]}.`;
    const facts = {
      shown: said, summary: `${held.length} sources.`,
      note: held.length ? (view === "cells" ? "Starred" : "Filled") + `: q < ${SIGNIFICANT} (Benjamini-Hochberg)` + (view === "cells" ? "; colours follow the root of MMD²." : "; hollow: not.") : "No value at these switches.",
    };
    const text = ({ value, p, q }) => !words.known(value) ? "–" : `${words.significant(value)} (p ${words.probability(p)}, q ${words.probability(q)})`;
    if (view === "cells") {
      units([["px", "px"]]);
      key.show([], []);
      const used = filters.map((_, i) => i).filter((filter) => held.some((i) => words.known(cell(i, filter).value)));
      const found = held.flatMap((i) => used.map((filter) => cell(i, filter).value)).filter(words.known);
      const root = (value) => (words.known(value) ? Math.sqrt(Math.max(value, 0)) : null);
      const drawn = cells.heatMap({
        rows: held.map((i) => sources[i]), columns: used.map((i) => ({ label: filters[i].spec, family: "filters" })), families,
        at: (i, j) => {
          const one = cell(held[i], used[j]);
          return {
            value: root(one.value), hover: hover(held[i], used[j]),
            text: words.known(one.value) ? `${words.number(one.value)}${one.hollow ? "" : "*"}` : "",
          };
        },
        colours: cells.sequential(false), range: [0, Math.sqrt(Math.max(1e-9, ...found))], title: "MMD²", axes: ["source", "filter"], room,
        scaleTicks: [0, 0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10].filter((tick) => tick <= Math.max(1e-9, ...found)).map((tick) => [Math.sqrt(tick), String(tick)]),
      });
      return {
        ...drawn, ...facts,
        numbers: {
          columns: ["source", ...used.map((i) => words.filter(filters[i]))],
          rows: held.map((i) => [sources[i].label, ...used.map((filter) => text(cell(i, filter)))]),
        },
      };
    }
    const sweep = sweeps[view];
    units(cutoffs.units(filters, sweep));
    key.show(lines, families);
    const seen = lines.filter(({ label }) => key.shows(label));
    return {
      ...facts,
      ...cutoffs.plot({ lines: seen, filters, sweep, unit: state.unit, bands: false, title: "MMD²", level: 0, range: cutoffs.around, room }),
      numbers: {
        columns: ["filter", ...seen.map(({ label }) => label)],
        rows: [...sweep.controls.map(({ filter }) => filter), ...sweep.filters].map((filter) =>
          [words.filter(filters[filter]), ...seen.map(({ source }) => text(cell(source, filter)))]),
      },
    };
  };
});
