figure.define("matrix", ({ data, switches }) => {
  const { filters, training_filters: trained, measures, encoder, panel } = data;
  const { state } = switches;
  const rows = new Map();
  const place = (...parts) => parts.join("|");
  data.value.forEach((_, i) => {
    rows.set(place(data.measure[i], encoder.codes[i], panel.codes[i], data.train_filter[i], data.filter[i]), i);
  });
  const index = (names) => names.map((name, i) => [i, name]);
  switches.select("metric", "Metric", measures.map(({ label }, i) => [i, label]), 0);
  switches.select("encoder", "Encoder", index(encoder.names), 0);
  switches.select("panel", "Trained → tested", index(panel.names), 0);

  return (room) => {
    const { label, percent, floor } = measures[state.metric];
    const show = (value) => words.number(value, percent);
    const cell = (i, j) => {
      const row = rows.get(place(state.metric, state.encoder, state.panel, i, j));
      return row === undefined ? { value: null }
        : { value: data.value[row], low: data.low[row], high: data.high[row], n: data.n_cells[row] };
    };
    const at = (i, j) => {
      const one = cell(i, j);
      const where = `trained under ${words.safe(words.filter(trained[i]))}<br>tested under ${words.safe(words.filter(filters[j]))}`;
      return {
        value: one.value, text: words.known(one.value) ? (percent ? (100 * one.value).toFixed(0) : one.value.toFixed(2)) : "",
        hover: words.known(one.value)
          ? `<b>${words.interval(one, show)}${percent ? " %" : ""}</b><br>${where}<br>mean of ${words.count(one.n)} cells`
          : `<b>blank</b>: no probe was trained and tested so<br>${where}`,
      };
    };
    const named = (list) => list.map(({ spec }) => ({ label: spec, family: ["none", "identity"].includes(spec) ? "controls" : "swept" }));
    return {
      ...cells.heatMap({
        rows: named(trained), columns: named(filters), at, framed: (i, j) => trained[i].spec === filters[j].spec,
        colours: cells.sequential(false), range: [floor, 1], title: label, percent, axes: ["trained under", "tested under"], room,
      }),
      shown: `Mean ${label}${percent ? " (%)" : ""} by train-time and test-time filter: ${encoder.names[state.encoder]}, ${panel.names[state.panel]}.`,
      summary: `${trained.length} train filters by ${filters.length} test filters.`,
      numbers: {
        columns: ["trained under \\ tested under", ...filters.map(words.filter)],
        rows: trained.map((filter, i) => [words.filter(filter), ...filters.map((_, j) => words.interval(cell(i, j), show))]),
      },
    };
  };
});
