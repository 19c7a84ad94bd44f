// Sends pictures: one alone, several in one call; again by itself when the service says that it is busy for a while.

import { api, ApiError } from "./api.js";

const MOST_TRIES = 5;
const MOST_BYTES = 64 * 2 ** 20; // of one call: far below MAX_BATCH_MB, and the first jobs begin before all is sent

/**
 * @param {{file: File}[]} items
 * @param tell {taken(item, job), refused(item, error), busy(error, seconds)}: for each item, and before each wait
 * Stops before the next call when an error concerns all of them.
 */
export async function send(items, settings, tell) {
  for (const call of calls(items)) {
    const stops = await sendOne(call, settings, tell);
    if (stops) return;
  }
}

async function sendOne(items, settings, tell) {
  let stops = false;
  for (let tries = 1; items.length; tries++) {
    const rows = await answers(items, settings);
    for (const [place, { job }] of rows.entries()) if (job) await tell.taken(items[place], job);
    const left = rows.map((row, place) => ({ item: items[place], error: row.error })).filter(({ error }) => error);
    const [later, refused] = tries < MOST_TRIES ? split(left, ({ error }) => isBusy(error)) : [[], left];
    for (const { item, error } of refused) tell.refused(item, error);
    stops ||= refused.some(({ error }) => concernsAll(error));
    if (later.length) await rest(later[0].error, tries, tell);
    items = later.map(({ item }) => item);
  }
  return stops;
}

async function rest(error, tries, tell) {
  const seconds = Math.min(30, error.retryAfterS ?? 5 * tries);
  tell.busy(error, seconds);
  await new Promise((resume) => setTimeout(resume, 1000 * seconds));
}

/** One row per item: {job} or {error}. What refuses the call refuses each of them. */
async function answers(items, { fields, anew }) {
  try {
    if (items.length > 1) return await api.submitMany(items.map(({ file }) => file), fields, { anew });
    return [{ job: await api.submit(items[0].file, fields, { anew }) }];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return items.map(() => ({ error }));
  }
}

function* calls(items) {
  let part = [];
  let size = 0;
  for (const item of items) {
    if (part.length && size + item.file.size > MOST_BYTES) {
      yield part;
      [part, size] = [[], 0];
    }
    part.push(item);
    size += item.file.size;
  }
  if (part.length) yield part;
}

const split = (all, test) => [all.filter(test), all.filter((one) => !test(one))];
const isBusy = (error) => error.status === 429 || error.code === "queue_full";
const concernsAll = (error) => error.status === 401 || error.retryable || error.errors.length > 0;
