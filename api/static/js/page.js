// The page at `/`: puts its parts together and follows the address bar.

import { api, ApiError, keyEvents } from "./api.js";
import { Composer } from "./composer.js";
import { announce, find } from "./dom.js";
import { FleetView } from "./fleet/fleet.js";
import { hasEnded, History } from "./history.js";
import { JobList } from "./joblist.js";
import { attachKeyDialog } from "./key.js";
import { Live } from "./live.js";
import { SettingsForm } from "./settings.js";
import { Stage } from "./stage.js";
import { attachTheme, drawIcons } from "./theme.js";
import { attachTabs } from "./tabs.js";
import { complaint, nameOf } from "./words.js";

const files = new Map(); // what this page has uploaded, by job, for another try

drawIcons();
attachTheme();
attachKeyDialog();
const live = new Live();
const history = new History(live);
const settings = new SettingsForm();
const composer = new Composer(settings, submitted);
const stage = new Stage(find("#stage"), { history, cancel, again, fileOf: (id) => files.get(id) });
const list = new JobList(history, { chosen: (id) => (location.hash = `/job/${id}`), cancel });
const fleet = new FleetView(find("#fleet"), { live, history });
const tabs = attachTabs();

function submitted(job, file) {
  files.set(job.id, file);
  history.put(job);
  if (!stage.job || hasEnded(stage.job)) location.hash = `/job/${job.id}`;
}

async function cancel(id) {
  try {
    history.put(await api.cancel(id));
  } catch (error) {
    if (error.code === "job_ended") history.put(await api.job(id));
    else notify(error);
  }
}

async function again(file, job) {
  const { priority, ...options } = job.options;
  const fields = { generator: job.generator, label: nameOf(job), priority, ...options, ...job.params };
  try {
    const made = await api.submit(file, fields, { anew: job.status === "succeeded" });
    stage.show(null);
    submitted(made, file);
  } catch (error) {
    notify(error);
  }
}

function notify(error) {
  if (!(error instanceof ApiError)) throw error;
  const note = find("#notice");
  note.textContent = complaint(error);
  note.hidden = false;
  announce(note.textContent);
  setTimeout(() => (note.hidden = true), 8000);
}

async function route() {
  const [place, id] = location.hash.slice(2).split("/");
  tabs.show(place === "fleet" ? "fleet" : "studio");
  fleet.visible(place === "fleet");
  if (place !== "job" || !id) return;
  list.select(id);
  // Where everything stands in one column, the mesh may be out of sight.
  if (matchMedia("(max-width: 900px)").matches) find("#stage").scrollIntoView({ block: "start" });
  try {
    if (!history.jobs.has(id)) history.put(await api.job(id));
    stage.show(history.jobs.get(id));
  } catch (error) {
    notify(error);
  }
}

async function load() {
  try {
    const [generators] = await Promise.all([api.generators(), history.load({ first: true })]);
    settings.offer(generators);
    if (!generators.length) setTimeout(load, 2000); // the workers are still starting
  } catch (error) {
    if (error.status === 401) return;
    notify(error);
    setTimeout(load, 3000);
  }
}

live.addEventListener("link", ({ detail }) => {
  const words = { live: "Live", polling: "Following by polling", offline: "No answer from the service", key: "Key needed" };
  const dot = find("#link");
  dot.dataset.link = detail;
  dot.title = dot.textContent = words[detail];
});
keyEvents.addEventListener("changed", () => {
  load().then(route);
  live.restart();
});
let crew = "";
live.addEventListener("fleet", async ({ detail }) => {
  const before = crew;
  crew = detail.workers.filter((worker) => worker.alive).map((worker) => worker.id).join();
  if (crew === before || !before) return;
  settings.offer(await api.generators().catch(() => settings.generators)); // who came can do more, who left less
});
addEventListener("hashchange", route);
stage.show(null);
live.start();
load().then(route);
