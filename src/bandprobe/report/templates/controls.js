// Native controls beside a figure: its switches, its key, and its numbers as a table.
const controls = (() => {
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in made) made[name] = value; else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // Lists and boxes over one state. Options are [value, label], or {group, options}.
  function switches(box, change) {
    const state = {};
    const flat = (options) => options.flatMap((one) => one.options ?? [one]);
    const option = ([, label]) => element("option", { textContent: label });
    return {
      state,
      // Returns what replaces the options; a choice that is still among them stays.
      select(name, label, options, initial) {
        let given = [];
        const list = element("select", { name });
        const whole = element("label", {}, element("span", { textContent: label }), list);
        const fill = (next) => {
          given = flat(next);
          list.replaceChildren(...next.map((one) => one.options
            ? element("optgroup", { label: one.group }, ...one.options.map(option)) : option(one)));
          const place = given.findIndex(([value]) => JSON.stringify(value) === JSON.stringify(state[name]));
          list.selectedIndex = Math.max(place, 0);
          state[name] = given[list.selectedIndex]?.[0];
          whole.hidden = given.length < 2;
        };
        state[name] = initial;
        box.append(whole);
        fill(options);
        list.addEventListener("change", () => { state[name] = given[list.selectedIndex][0]; change(); });
        return fill;
      },
      check(name, label, initial) {
        const tick = element("input", { type: "checkbox", name, checked: initial });
        state[name] = initial;
        box.append(element("label", { className: "check" }, tick, element("span", { textContent: label })));
        tick.addEventListener("change", () => { state[name] = tick.checked; change(); });
      },
    };
  }

  const blank = document.createElement("template");
  blank.innerHTML = '<svg width="28" height="10" aria-hidden="true"><line x1="1" x2="27" y1="5" y2="5"/></svg>';

  function sample({ mark, thick }) {
    const picture = blank.content.firstElementChild.cloneNode(true);
    const line = picture.firstElementChild;
    line.setAttribute("stroke", figure.hue(mark));
    line.setAttribute("stroke-width", thick ? 4 : 2.2);
    if (mark.dash !== "solid") line.setAttribute("stroke-dasharray", mark.dash.replaceAll("px", ""));
    return picture;
  }

  // A box for each family and each of its lines, which shows how the line looks.
  function key(box, change) {
    const hidden = new Set();
    let drawn = "";

    function group(family, members, alone) {
      const whole = element("input", { type: "checkbox" });
      const ticks = members.map((line) => element("input", { type: "checkbox", checked: !hidden.has(line.label) }));
      const agree = () => {
        const on = ticks.filter((tick) => tick.checked).length;
        whole.checked = on > 0;
        whole.indeterminate = on > 0 && on < ticks.length;
      };
      const note = () => {
        members.forEach(({ label }, i) => (ticks[i].checked ? hidden.delete(label) : hidden.add(label)));
        agree();
        change();
      };
      agree();
      ticks.forEach((tick) => tick.addEventListener("change", note));
      whole.addEventListener("change", () => {
        ticks.forEach((tick) => { tick.checked = whole.checked; });
        note();
      });
      const head = element("label", { className: "family" }, whole, element("span", { textContent: family.label }));
      const lines = members.map((line, i) =>
        element("label", {}, ticks[i], sample(line), element("span", { textContent: line.label })));
      return element("div", { role: "group", "aria-label": family.label }, ...(alone ? [] : [head]), ...lines);
    }

    return {
      shows: (label) => !hidden.has(label),
      show(lines, families) {
        const now = JSON.stringify(lines.map(({ label, family, mark, thick }) => [label, family, figure.hue(mark), thick]));
        if (now === drawn) return;
        drawn = now;
        const groups = families
          .map((family) => [family, lines.filter((line) => line.family === family.name)])
          .filter(([, members]) => members.length);
        box.replaceChildren(...groups.map(([family, members]) => group(family, members, groups.length < 2)));
      },
    };
  }

  function table({ columns, rows }) {
    const head = columns.map((name) => element("th", { scope: "col", textContent: name }));
    const body = rows.map(([first, ...rest]) => element("tr", {},
      element("th", { scope: "row", textContent: first }),
      ...rest.map((text) => element("td", { textContent: text }))));
    return element("table", {},
      element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  }

  return { switches, key, table, element };
})();
