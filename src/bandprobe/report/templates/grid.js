figure.define("grid", ({ data, switches }) => {
  const run = results(data);
  const { state } = switches;
  const { metrics, encoders, training, tests, filters } = run;
  switches.select("metric", "Metric", run.metricOptions, 0);
  switches.select("encoder", "Encoder", run.encoderOptions, 0);
  switches.select("train", "Probes trained", run.trainOptions, run.unfiltered);
  const tested = switches.select("filter", "Tested under", [[0, filters[0].spec]], 0);
  const less = switches.select("less", "Less the same for", [[null, "nothing: show values"]], null);

  const cut = (filter) => words.filter(filters[filter]);
  function refill() {
    const { encoder, train, filter } = state;
    tested(filters.flatMap((_, i) => (run.pair(train, i) >= 0 ? [[i, cut(i)]] : [])));
    const group = (name, options) => (options.length ? [{ group: name, options }] : []);
    less([
      [null, "nothing: show values"],
      ...group("another encoder", run.encoderOptions.filter(([i]) => i !== encoder).map(([i, name]) => [{ encoder: i }, name])),
      ...group("another test filter", filters.flatMap((_, i) =>
        (i !== state.filter && run.pair(train, i) >= 0 ? [[{ filter: i }, `tested under ${cut(i)}`]] : []))),
      ...group("another train filter", run.trainOptions
        .filter(([i]) => i !== train && run.pair(i, state.filter) >= 0).map(([i, name]) => [{ train: i }, `trained ${name}`])),
    ]);
  }

  const mean = (values) => {
    const found = values.filter(words.known);
    return found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : null;
  };

  return (room) => {
    refill();
    const { metric, encoder, train, filter, less: other } = state;
    const { label, percent, floor, lowest_is_best: reversed } = metrics[metric];
    const base = { metric, encoder, train, filter };
    const show = (value) => words.number(value, percent);
    const unit = percent ? " %" : "";
    const inside = tests.map((_, test) => training.map((_, probe) => {
      const a = run.cell({ ...base, probe, test });
      if (!other) return { ...a, shown: a.value };
      const b = run.cell({ ...base, ...other, probe, test });
      const both = words.known(a.value) && words.known(b.value);
      return { ...a, other: b, shown: both ? a.value - b.value : null, reason: a.reason ?? b.reason };
    }));
    const used = training.map((_, j) => j).filter((j) => inside.some((line) => words.known(line[j].shown) || line[j].reason !== "the run holds no value"));
    const probes = used.length ? used : training.map((_, j) => j);
    const number = (value) => (other ? words.signed(value, percent) : show(value));
    const averages = {
      row: inside.map((line) => mean(probes.map((j) => line[j].shown))),
      column: probes.map((j) => mean(inside.map((line) => line[j].shown))),
      all: mean(inside.flatMap((line) => probes.map((j) => line[j].shown))),
    };
    const hover = (test, probe, cell) => {
      const head = `<b>${number(cell.shown)}${words.known(cell.shown) ? unit : ""}</b>`;
      const where = `trained on ${words.safe(training[probe].label)}<br>tested on ${words.safe(tests[test].label)}`;
      if (!words.known(cell.shown)) return `<b>blank</b>: ${words.safe(cell.reason)}<br>${where}`;
      if (!other) return `<b>${words.interval(cell, show)}${unit}</b><br>${where}<br>${run.counts(cell)}`;
      return `${head}<br>${words.interval(cell, show)} less ${words.interval(cell.other, show)}<br>${where}<br>${run.counts(cell)}`;
    };
    const AVG = "AVG";
    const rows = [...tests, { label: AVG, family: AVG }];
    const columns = [...probes.map((j) => training[j]), { label: AVG, family: AVG }];
    const at = (i, j) => {
      if (i < tests.length && j < probes.length) {
        const cell = inside[i][probes[j]];
        return { value: cell.shown, text: number(cell.shown), hover: hover(i, probes[j], cell) };
      }
      const value = i < tests.length ? averages.row[i] : j < probes.length ? averages.column[j] : averages.all;
      return { value, text: number(value), hover: `<b>${number(value)}${words.known(value) ? unit : ""}</b><br>average of the cells shown` };
    };
    const known = inside.flat().map(({ shown }) => shown).filter(words.known);
    const reach = Math.max(0.05, ...known.map(Math.abs));
    const top = reversed ? Math.max(0.5, ...known) : 1;
    const drawn = cells.heatMap({
      rows, columns, at, families: [...run.families, { name: "pooled", label: "pooled", colour: "#595959", dark: "#a9adb3" }],
      framed: (i, j) => i < tests.length && j < probes.length && training[probes[j]].own.includes(i),
      colours: other ? cells.diverging() : cells.sequential(reversed),
      range: other ? [-reach, reach] : [Math.min(floor, 1), Math.max(top, ...known)],
      title: other ? `difference of ${label}` : label, percent, axes: ["tested on", "trained on"], room,
    });
    const met = (i) => (filters[i].spec === "none" ? "tested unfiltered" : `tested under ${cut(i)}`);
    const name = (of) => [encoders[of.encoder ?? encoder], `probes ${run.trainName(of.train ?? train)}`, met(of.filter ?? filter)];
    const less = other ? ` Less the same of ${name(other).filter((part, i) => part !== name({})[i]).join(", ")}.` : "";
    return {
      ...drawn,
      shown: `${label}${percent ? " (%)" : ""}: ${name({}).join(", ")}.${less}`,
      summary: `Heat map, ${tests.length} test sets by ${probes.length} training sets; average ${number(averages.all)}.`,
      note: other
        ? "Blue: higher than what it is compared with; orange: lower. The two share their test images, so their difference is surer than the two intervals side by side suggest."
        : [...new Set(inside.flat().filter(({ shown }) => !words.known(shown)).map(({ reason }) => `Blank: ${reason}.`))].join(" "),
      numbers: {
        columns: ["tested on \\ trained on", ...probes.map((j) => training[j].label)],
        rows: tests.map((test, i) => [test.label, ...probes.map((j) => {
          const cell = inside[i][j];
          return !words.known(cell.shown) ? `– (${cell.reason})` : other ? number(cell.shown) : words.interval(cell, show);
        })]),
      },
    };
  };
});
