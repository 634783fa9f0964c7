// The block of results: a value with its interval for each encoder, pair of filters, training set and test set.
const results = (data) => {
  const BLANK = 65535, SAME = -1;
  const { encoders, pairs, training, tests, metrics, filters, training_filters: trained } = data;
  const width = filters.length;
  const pairOf = new Map(pairs.map(([train, test], i) => [train * width + test, i]));
  const unfiltered = trained.indexOf("none");

  // The train filter `SAME` is the test filter itself.
  const pair = (train, test) => {
    const place = train === SAME ? trained.indexOf(filters[test].spec) : train;
    return pairOf.get(place * width + test) ?? -1;
  };

  function cell({ metric, encoder, train, filter, probe, test }) {
    const number = pair(train, filter);
    if (number < 0) return { value: null, reason: "the run has no probe trained and tested so" };
    const i = ((encoder * pairs.length + number) * training.length + probe) * tests.length + test;
    const of = metrics[metric];
    if (of.value[i] === BLANK) {
      return { value: null, reason: data.reasons[of.reason[i]] || "the run holds no value" };
    }
    const end = (column, sign) => (column[i] === BLANK ? null : of.least + of.step * (of.value[i] + sign * column[i]));
    return {
      value: of.least + of.step * of.value[i], low: end(of.below, -1), high: end(of.above, 1),
      n_real: data.n_real[i], n_fake: data.n_fake[i],
    };
  }

  const counts = ({ n_real: real, n_fake: fake }) => `${words.count(real)} real, ${words.count(fake)} fake`;
  const others = trained.map((_, i) => i).filter((i) => i !== unfiltered && pairs.filter(([train]) => train === i).length > 1);
  const retrained = pairs.some(([train, test]) => train !== unfiltered && trained[train] === filters[test].spec);
  return {
    ...data, cell, counts, pair, SAME, unfiltered,
    // What probes can be trained under, as options.
    trainOptions: [
      ...(unfiltered >= 0 ? [[unfiltered, "unfiltered (reliance)"]] : []),
      ...(retrained ? [[SAME, "under the filter they meet (information)"]] : []),
      ...others.map((i) => [i, `under ${trained[i]}`]),
    ],
    trainName: (train) => (train === SAME ? "trained under the filter they meet"
      : train === unfiltered ? "trained unfiltered" : `trained under ${trained[train]}`),
    metricOptions: metrics.map(({ label }, i) => [i, label]),
    encoderOptions: encoders.map((name, i) => [i, name]),
  };
};
