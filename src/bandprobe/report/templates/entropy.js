figure.define("entropy", ({ data, switches, key }) => {
  const { filters, sweeps, sources, families, measures, encoders, images } = data;
  const { state } = switches;
  const rows = new Map();
  const place = (...parts) => parts.join("|");
  data.value.forEach((_, i) => {
    rows.set(place(data.encoder[i], data.measure[i], data.source[i], data.filter[i]), i);
  });
  const groups = [...new Set(measures.map(({ group }) => group))];
  switches.select("measure", "Measure", groups.map((group) => ({
    group, options: measures.flatMap((one, i) => (one.group === group ? [[i, one.label]] : [])),
  })), 0);
  const whose = switches.select("source", "Images of", [[0, sources[0].label]], 0);
  const swept = switches.select("sweep", "Filter", sweeps.map(({ label }, i) => [i, label]), 0);
  const units = switches.select("unit", "Cut-off in", [["px", "px"]], "px");
  switches.check("bands", "95 % intervals", true);

  function cell(encoder, measure, source, filter) {
    const i = rows.get(place(encoder, measure, source, filter));
    if (i === undefined || !words.known(data.value[i])) return { value: null };
    return { value: data.value[i], low: data.low[i], high: data.high[i], n: data.n[i] };
  }

  return (room) => {
    const { measure, bands } = state;
    const { label, level } = measures[measure];
    const places = { encoder: new Set(), source: new Set(), filter: new Set() };
    data.measure.forEach((of, i) => {
      if (of !== measure || !words.known(data.value[i])) return;
      for (const name of Object.keys(places)) places[name].add(data[name][i]);
    });
    const ofImages = places.encoder.has(images);
    const found = sources.map((_, i) => i).filter((i) => places.source.has(i));
    whose(ofImages ? [[0, "all sources"]] : found.map((i) => [i, sources[i].label]));
    swept(sweeps.flatMap(({ label: name, filters: of }, i) => (of.filter((f) => places.filter.has(f)).length > 0 ? [[i, name]] : [])));
    const sweep = sweeps[state.sweep] ?? { label: "", filters: [], controls: [] };
    units(cutoffs.units(filters, sweep));
    const point = (encoder, source, name) => (filter) => {
      const one = cell(encoder, measure, source, filter);
      return {
        ...one, hollow: encoders[encoder].twin,
        hover: `<b>${words.interval(one, words.significant)}</b><br>${words.safe(name)}<br>${words.safe(words.filter(filters[filter]))}<br>${words.count(one.n)} images`,
      };
    };
    const lines = ofImages
      ? found.filter((i) => !sources[i].pool).map((i) => ({ ...sources[i], at: point(images, i, sources[i].label) }))
      : encoders.flatMap((encoder, i) => (places.encoder.has(i)
        ? [{ label: encoder.label, mark: encoder.mark, family: "", at: point(i, state.source, `${encoder.label}, ${sources[state.source].label}`) }] : []));
    key.show(lines, ofImages ? families : [{ name: "", label: "encoders" }]);
    const seen = lines.filter(({ label: name }) => key.shows(name));
    return {
      ...cutoffs.plot({ lines: seen, filters, sweep, unit: state.unit, bands, title: label, level, range: cutoffs.around, room }),
      shown: `${label[0].toUpperCase()}${label.slice(1)} against the ${sweep.label} cut-off: ${ofImages ? "the images themselves, a line a source" : `images of ${sources[state.source].label}, a line an encoder`}.`,
      summary: `${seen.length} lines.`,
      note: encoders.some(({ twin }) => twin) ? "Dashed and hollow: the same encoder with random weights." : "",
      numbers: cutoffs.numbers({ lines: seen, filters, sweep, show: words.significant }),
    };
  };
});
