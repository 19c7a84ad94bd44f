// The two tabs, as the ARIA practices have them: arrow keys move, the address keeps which one is open.
// A hash that is the id of an element would make the browser take the focus there; hence the slash.

import { find } from "./dom.js";

export function attachTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const show = (name) => {
    for (const tab of tabs) {
      const open = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(open));
      tab.tabIndex = open ? 0 : -1;
      find(`#${tab.getAttribute("aria-controls")}`).hidden = !open;
    }
  };
  for (const tab of tabs) {
    tab.addEventListener("click", () => (location.hash = `/${tab.dataset.tab}`));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  }
  return { show };
}
