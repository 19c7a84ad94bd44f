// Asks for the API key when the service wants one, and lets it be changed.

import { currentKey, keyEvents, rememberKey } from "./api.js";
import { announce, find } from "./dom.js";

export function attachKeyDialog() {
  const dialog = find("#key-dialog");
  const field = find("#key-field");
  const reason = find("#key-reason");
  const ask = (why) => {
    if (dialog.open) return;
    reason.textContent = why;
    reason.hidden = !why;
    field.value = currentKey();
    dialog.showModal();
    field.select();
  };
  find("#key-button")?.addEventListener("click", () => ask("")); // the 3D page has none
  keyEvents.addEventListener("needed", () => {
    ask(currentKey() ? "The service does not know this key." : "This service asks for a key.");
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "save") rememberKey(field.value.trim());
    if (dialog.returnValue === "forget") rememberKey("");
    if (dialog.returnValue) announce(currentKey() ? "Key saved" : "Key forgotten");
    dialog.returnValue = "";
  });
}
