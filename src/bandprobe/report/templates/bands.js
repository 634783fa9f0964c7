figure.define("bands", ({ data, switches }) => {
  const END = 1.42;
  const { cases, claims, kind } = data;
  const { state } = switches;
  const encoders = [...new Set(cases.map(({ encoder }) => encoder))];
  switches.select("encoder", "Encoder", encoders.map((name) => [name, name]), encoders[0]);
  switches.select("kind", "Show the AUROC with a band", [["pass", "kept alone"], ["stop", "taken out"]], "pass");

  return (room) => {
    const { ink, soft, wash, card } = figure.palette();
    const mine = cases.map((_, i) => i).filter((i) => cases[i].encoder === state.encoder);
    const parts = new Map(mine.map((i) => [i, []]));
    data.case.forEach((of, i) => {
      if (parts.has(of) && kind.names[kind.codes[i]] === state.kind) {
        parts.get(of).push({ low: data.low[i], high: data.high[i], auroc: data.auroc[i] });
      }
    });
    const edges = [...new Set([0, ...[...parts.values()].flat().flatMap(({ low, high }) => [low, high])])].sort((a, b) => a - b);
    const within = (strip, middle) => strip.find(({ low, high }) => low <= middle && middle < high);
    const grid = mine.map((i) => edges.slice(1).map((end, j) => within(parts.get(i), (edges[j] + end) / 2) ?? null));
    const facts = (i) => `${words.safe(cases[i].label)}, own AUROC ${words.number(cases[i].own)}<br>${words.count(cases[i].n_real)} real, ${words.count(cases[i].n_fake)} fake`;
    const hover = (i, part) => (part && words.known(part.auroc)
      ? `<b>AUROC ${words.number(part.auroc)}</b> with ${part.low.toFixed(3)} to ${part.high.toFixed(3)} of Nyquist ${state.kind === "pass" ? "alone" : "taken out"}<br>${facts(i)}`
      : `<b>blank</b>: no band tried here<br>${facts(i)}`);
    const found = claims.filter(([of]) => parts.has(of));
    const row = (of) => mine.indexOf(of);
    const said = ([of, low, centre, high, strength, p]) =>
      `<b>uses ${low.toFixed(2)} to ${Math.min(high, 1.414).toFixed(2)} of Nyquist</b>, centre ${centre.toFixed(2)}<br>share ${words.number(strength, true)} %, p = ${words.probability(p)}<br>${facts(of)}`;
    const traces = [
      {
        type: "heatmap", x: edges, y: [...mine.keys(), mine.length].map((i) => i - 0.5), z: grid.map((line) => line.map((part) => part?.auroc ?? null)),
        colorscale: cells.sequential(false), zmin: 0.5, zmax: 1, ygap: 5, hoverinfo: "text",
        hovertext: grid.map((line, i) => line.map((part) => hover(mine[i], part))),
        colorbar: { title: { text: "AUROC", side: "right", font: { size: 12 } }, thickness: 12, outlinewidth: 0, x: 1.02 },
      },
      ...[[card, 7], [ink, 3]].map(([color, width]) => ({
        type: "scatter", mode: "lines", hoverinfo: "skip", line: { color, width },
        x: found.flatMap(([, low, , high]) => [low, high, null]), y: found.flatMap(([of]) => [row(of), row(of), null]),
      })),
      {
        type: "scatter", mode: "markers", x: found.map(([, , centre]) => centre), y: found.map(([of]) => row(of)), hoverinfo: "text",
        hovertext: found.map(said), marker: { size: 11, color: ink, line: { color: card, width: 2 } },
      },
    ];
    const names = mine.map((i) => words.short(cases[i].label, room < 500 ? 16 : 30));
    const left = Math.max(...names.map((name) => name.length)) * 6.6 + 14;
    return {
      traces,
      narrowest: left + 420,
      layout: {
        height: mine.length * 28 + 96, plot_bgcolor: wash, margin: { l: left, r: 76, t: 14, b: 52 },
        shapes: [0.15, 0.5, 1].map((x) => ({
          type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: soft, width: 1, dash: "dot" },
        })),
        xaxis: {
          range: [0, END], tickvals: [0, 0.15, 0.5, 1, 1.414], ticktext: ["0", "0.15", "0.5", "1", "corner"], showgrid: false, automargin: false,
          title: { text: "frequency (× Nyquist)", standoff: 8, font: { size: 12, color: soft } },
        },
        yaxis: {
          range: [mine.length - 0.5, -0.5], tickvals: mine.map((_, i) => i), ticktext: names.map(words.safe), showgrid: false, automargin: false,
        },
      },
      shown: `AUROC of probes on ${state.encoder} with one band ${state.kind === "pass" ? "kept alone" : "taken out"}, and the bands claimed.`,
      summary: `${mine.length} probes, ${found.length} bands claimed.`,
      numbers: {
        columns: ["probe", "own AUROC", "uses, of Nyquist", "centre", "share", "p"],
        rows: mine.flatMap((i) => {
          const head = [cases[i].label, words.number(cases[i].own)];
          const bands = found.filter(([of]) => of === i);
          return bands.length ? bands.map(([, low, centre, high, strength, p]) => [
            ...head, `${low.toFixed(2)} to ${Math.min(high, 1.414).toFixed(2)}`, centre.toFixed(2), `${words.number(strength, true)} %`, words.probability(p),
          ]) : [[...head, "none claimed", "–", "–", "–"]];
        }),
      },
    };
  };
});
