// The 3D page of one job: follows it to its end, then shows it large.

import { api, keyEvents } from "./api.js";
import { el, find, icon } from "./dom.js";
import { attachKeyDialog } from "./key.js";
import { readEvents } from "./sse.js";
import { Stage } from "./stage.js";
import { attachTheme } from "./theme.js";
import { complaint, nameOf } from "./words.js";

const RETRY_MS = 2000;
const [, id] = location.pathname.match(/\/api\/jobs\/([^/]+)\/view$/);

attachTheme();
attachKeyDialog();
const stage = new Stage(find("#stage"));

function show(job) {
  document.title = `${nameOf(job)} · Orfeas`;
  stage.show(job);
}

function fail(error) {
  find(".stage-state").replaceChildren(el("div", { class: "ended failed" }, icon("warning"),
    el("p", { class: "ended-title" }, "This mesh cannot be shown"), el("p", {}, complaint(error))));
}

async function follow() {
  try {
    const job = await api.job(id);
    show(job);
    if (job.finished_at) return;
    await readEvents(api.eventsPath(job.id), { told: ({ data }) => show(JSON.parse(data)) });
    if (!stage.job.finished_at) setTimeout(follow, RETRY_MS);
  } catch (error) {
    if (!stage.job || error.status === 404) fail(error);
    if (error.status !== 404 && error.status !== 401) setTimeout(follow, RETRY_MS);
  }
}

keyEvents.addEventListener("changed", follow);
follow();
