// The gallery: encoder, probe and filter chosen, the surest mistakes of either kind shown.
(() => {
  const held = document.getElementById("gallery-data");
  if (!held) return;
  const { images, cells } = JSON.parse(held.textContent);
  const part = (name) => document.getElementById(`gallery-${name}`);
  const selects = ["encoder", "probe", "filter"].map(part);
  const words = { real: "reals were taken for fakes", fake: "fakes were taken for real" };
  const whole = new Intl.NumberFormat("en-GB");

  function add(parent, tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function item(list, kind, [place, chance]) {
    const [id, source, family, address] = images[place];
    const whose = family ? `${source} (${family})` : source;
    const said = chance === null ? "?" : `${(100 * chance).toFixed(1)} %`;
    const li = add(list, "li");
    li.dataset.image = id;
    const frame = add(li, "div", "frame");
    if (address) {
      const image = add(frame, "img");
      image.alt = `${kind === "real" ? "Real image" : "Generated image"} of ${whose}, ${said} generated`;
      image.onerror = () => frame.replaceChildren(id.slice(0, 12));
      image.src = address;
    } else frame.textContent = id.slice(0, 12);
    add(li, "span", "sure", said);
    add(li, "span", "whose", whose);
  }

  function show() {
    const cell = cells[selects.map((select) => select.value).join("|")];
    part("said").textContent = cell ? "" : "This encoder has no such probe.";
    for (const kind of ["real", "fake"]) {
      const section = part(kind).parentElement;
      const list = section.querySelector("ol");
      const found = cell?.[kind];
      list.replaceChildren();
      section.querySelector("p").textContent = found
        ? `${whole.format(found.mistakes)} of ${whole.format(found.images)} ${words[kind]}` : "";
      for (const one of found?.worst ?? []) item(list, kind, one);
    }
    if (cell) {
      const [encoder, probe, filter] = selects.map((select) => select.selectedOptions[0].text);
      part("said").textContent = `${encoder}, trained on ${probe}, tested under ${filter}`;
    }
  }

  selects.forEach((select) => select.addEventListener("change", show));
  show();
})();
