// The slider over a run's masks: the cut-off's line, the gain, the energy left, and the pictures.
(() => {
  const held = document.getElementById("radius-data");
  if (!held) return;
  const { masks, groups, base, first } = JSON.parse(held.textContent);
  const part = (name) => document.getElementById(`radius-${name}`);
  const slider = part("cutoff"), kind = part("kind");
  const title = part("drawn").textContent.split(", with the gain of ")[0];

  function show() {
    const [start] = groups[kind ? kind.selectedIndex : 0];
    const mask = masks[start + Number(slider.value)];
    part("words").textContent = mask.words;
    slider.setAttribute("aria-valuetext", mask.words);
    part("drawn").textContent = `${title}, with the gain of ${mask.words}`;
    part("gain").setAttribute("d", mask.gain);
    part("area").setAttribute("d", `${mask.gain}V${base}H${first}Z`);
    const line = part("line");
    line.setAttribute("visibility", mask.x === null ? "hidden" : "visible");
    for (const end of ["x1", "x2"]) line.setAttribute(end, mask.x ?? 0);
    for (const cell of document.querySelectorAll("[data-left]")) cell.textContent = mask.left[cell.dataset.left];
    for (const image of document.querySelectorAll("[data-picture]")) {
      const address = mask.pictures[image.dataset.picture];
      image.style.visibility = address ? "visible" : "hidden";
      if (address) image.src = address;
      image.alt = `${image.dataset.label}, ${mask.words}`;
    }
  }

  function choose() {
    const n = groups[kind.selectedIndex][1];
    slider.max = n - 1;
    slider.value = Math.floor((n - 1) / 2);
    slider.disabled = n < 2;
    show();
  }

  slider.addEventListener("input", show);
  kind?.addEventListener("change", choose);
})();
