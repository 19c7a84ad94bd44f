// Light and dark: as the system says, until somebody chooses; and the icons that stand in the HTML by name.

import { find, icon } from "./dom.js";
import { recall, remember } from "./memory.js";

export function attachTheme() {
  const root = document.documentElement;
  const chosen = recall("theme", null);
  if (chosen) root.dataset.theme = chosen;
  find("#theme-button")?.addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme ?? (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    remember("theme", root.dataset.theme);
    dispatchEvent(new Event("resize"));
  });
}

export function drawIcons(root = document) {
  for (const place of root.querySelectorAll("[data-icon]")) place.replaceWith(icon(place.dataset.icon));
}
