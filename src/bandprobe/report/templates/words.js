// Numbers and names as the figures print them.
const words = (() => {
  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
  const minus = (text) => text.replace("-", "−");
  const number = (value, percent) => !known(value) ? "–"
    : minus(percent ? (100 * value).toFixed(1) : value.toFixed(3));
  return {
    known,
    number,
    signed: (value, percent) => (known(value) && value > 0 ? "+" : "") + number(value, percent),
    significant: (value) => (known(value) ? minus(String(Number(value.toPrecision(3)))) : "–"),
    probability: (value) => !known(value) ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3),
    count: (value) => (known(value) ? value.toLocaleString("en") : "–"),
    interval: (cell, show) => known(cell.low) && known(cell.high)
      ? `${show(cell.value)} [${show(cell.low)}, ${show(cell.high)}]` : show(cell.value),
    cutoff: (value) => String(Number(value.toPrecision(4))),
    filter: ({ spec, nyq }) =>
      known(nyq) && !spec.includes("nyq") ? `${spec} (${Number(nyq.toPrecision(2))} Nyquist)` : spec,
    // Plotly reads a little HTML in its texts: a name is shown letter by letter.
    safe: (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"),
    short(text, most = 22) {
      if (text.length <= most) return text;
      const head = Math.ceil((most - 1) / 2);
      return `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
    },
  };
})();
