figure.define("curves", ({ all, switches, key }) => {
  const run = results(all.grid);
  const { state } = switches;
  const { metrics, encoders, training, tests, filters, sweeps } = run;
  const OWN = "own";
  const index = (list) => list.map(({ label }, i) => [i, label]);
  const single = training.map((_, i) => i).filter((i) => training[i].family !== "pooled" && training[i].own.length === 1);
  switches.select("metric", "Metric", run.metricOptions, 0);
  switches.select("encoder", "Encoder", run.encoderOptions, 0);
  switches.select("lines", "Lines", [
    { group: "one probe on every test set", options: index(training).map(([i, label]) => [{ probe: i }, `trained on ${label}`]) },
    { group: "every probe on one test set", options: index(tests).map(([i, label]) => [{ test: i }, `tested on ${label}`]) },
    ...(single.length ? [{ group: "all probes", options: [[OWN, "every probe on its own generator"]] }] : []),
  ], OWN);
  switches.select("train", "Probes trained", run.trainOptions, run.unfiltered);
  switches.select("sweep", "Filter", index(sweeps), 0);
  const units = switches.select("unit", "Cut-off in", cutoffs.units(filters, sweeps[0]), "px");
  switches.check("bands", "95 % intervals", true);

  const families = [...run.families, { name: "pooled", label: "pooled", colour: "#595959", dark: "#a9adb3" }];
  return (room) => {
    const { metric, encoder, lines: chosen, train, sweep: number, bands } = state;
    const sweep = sweeps[number];
    units(cutoffs.units(filters, sweep));
    const { label, percent, floor } = metrics[metric];
    const show = (value) => words.number(value, percent);
    const of = (probe, test) => (filter) => {
      const cell = run.cell({ metric, encoder, train, filter, probe, test });
      const hover = `<b>${words.interval(cell, show)}${percent ? " %" : ""}</b><br>${words.safe(words.filter(filters[filter]))}<br>`
        + `trained on ${words.safe(training[probe].label)}<br>tested on ${words.safe(tests[test].label)}<br>${run.counts(cell)}`;
      return { ...cell, hover };
    };
    const line = (who, probe, test, thick) => ({ ...who, thick, at: of(probe, test) });
    const lines = chosen === OWN
      ? single.map((i) => line(training[i], i, training[i].own[0], false))
      : chosen.probe !== undefined
        ? tests.map((test, i) => line(test, chosen.probe, i, training[chosen.probe].own.includes(i) && training[chosen.probe].family !== "pooled"))
        : training.map((probe, i) => line(probe, i, chosen.test, probe.own.includes(chosen.test) && probe.family !== "pooled"));
    const wanted = [...sweep.filters, ...sweep.controls.map(({ filter }) => filter)];
    const held = lines.filter(({ at }) => wanted.some((filter) => words.known(at(filter).value)));
    key.show(held, families);
    const seen = held.filter(({ label: name }) => key.shows(name));
    const drawn = cutoffs.plot({
      lines: seen, filters, sweep, unit: state.unit, bands, title: label, percent, room,
      range: (low) => [Math.max(Math.min(floor, Math.floor(10 * low) / 10), 0) - 0.02, 1.03],
    });
    const who = chosen === OWN ? "every probe on its own generator"
      : chosen.probe !== undefined ? `the probe trained on ${training[chosen.probe].label}, a line a test set` : `test set ${tests[chosen.test].label}, a line a probe`;
    const empty = held.length ? "" : " No value at these switches.";
    return {
      ...drawn,
      shown: `${label}${percent ? " (%)" : ""} against the ${sweep.label} cut-off: ${encoders[encoder]}, ${who}; probes ${run.trainName(train)}.${empty}`,
      summary: `${seen.length} lines over ${sweep.filters.length} cut-offs.`,
      note: run.pair(train, sweep.filters[0]) < 0 && !held.length ? "No probe was trained so at these cut-offs." : "",
      numbers: cutoffs.numbers({ lines: seen, filters, sweep, show }),
    };
  };
});
