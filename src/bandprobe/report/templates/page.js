"use strict";

// What every script of the page shares: packed data, plotly.js, the appearance, drawing when seen, printing.
const page = (() => {
  const once = (make) => { let made; return () => (made ??= make()); };
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const listeners = [];
  const unseen = new Map();
  let printing = false;

  async function unpack(id) {
    const text = document.getElementById(id).content.textContent.trim();
    const bytes = Uint8Array.fromBase64
      ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  }

  // The layout of payload.py: length of the header, header, arrays.
  function array(buffer, start, { at, n, type }) {
    if (type === "f4") return new Float32Array(buffer, start + at, n);
    if (type === "u4") return new Uint32Array(buffer, start + at, n);
    const bytes = new Uint8Array(buffer, start + at, 2 * n);
    return Uint16Array.from({ length: n }, (_, i) => bytes[i] | (bytes[n + i] << 8));
  }

  const data = once(async () => {
    const buffer = await unpack("packed-numbers");
    const length = new Uint32Array(buffer, 0, 1)[0];
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const arrays = (node) => {
      if (node === null || typeof node !== "object") return node;
      if (node.type && node.n !== undefined) {
        return array(buffer, 4 + length, node);
      }
      for (const key of Object.keys(node)) node[key] = arrays(node[key]);
      return node;
    };
    return arrays(header);
  });

  const plotly = once(async () => {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await unpack("packed-plotly"));
    document.head.append(script);
    return window.Plotly;
  });

  // Data and plotly.js at hand, which a page about to be printed cannot wait for.
  let tools = null;
  const ready = once(async () => {
    const [header, library] = await Promise.all([data(), plotly()]);
    return (tools = { data: header, plotly: library });
  });
  const idle = window.requestIdleCallback ?? ((work) => setTimeout(work, 500));
  addEventListener("load", () => idle(() => ready().catch(() => {})));

  // Calls `draw({data, plotly})` once the element comes near the screen, or when the page is printed.
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) see(target);
  }, { rootMargin: "400px" });

  function see(element) {
    const draw = unseen.get(element);
    unseen.delete(element);
    observer.unobserve(element);
    if (draw) tools ? draw(tools) : ready().then(draw).catch((error) => { cannot(element); throw error; });
  }

  const cannot = (element) => {
    element.querySelector(".plot")?.replaceChildren(
      "This browser cannot draw the figure. Its numbers are in tables/ and results.csv, pictures of it in figures/.");
  };

  function whenSeen(element, draw) {
    unseen.set(element, draw);
    observer.observe(element);
  }

  const isDark = () => !printing && (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const changed = () => listeners.forEach((listener) => listener());
  dark.addEventListener("change", changed);

  const button = document.getElementById("appearance");
  const name = () => { button.textContent = isDark() ? "Light appearance" : "Dark appearance"; };
  button.hidden = false;
  name();
  listeners.push(name);
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    changed();
  });

  addEventListener("beforeprint", () => {
    printing = true;
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
    [...unseen.keys()].forEach(see);
    changed();
  });
  addEventListener("afterprint", () => { printing = false; changed(); });

  return {
    whenSeen, isDark,
    isPrinting: () => printing,
    onAppearance: (listener) => listeners.push(listener),
  };
})();
