// Talks to the service: adds the visitor's key, turns problem documents into errors that people can read.

const KEY = "orfeas.key";
/** Where the service's paths begin: this file's own address tells, also behind a proxy and under a sub-path. */
export const ROOT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const MOST_TRIES = 20; // each holds its answer for up to 25 s
export const keyEvents = new EventTarget();

export class ApiError extends Error {
  constructor({ status, code, detail, retryable = false, errors = [], retryAfterS = null }) {
    super(detail);
    Object.assign(this, { status, code, retryable, errors, retryAfterS });
  }
}

export const currentKey = () => localStorage.getItem(KEY) ?? "";

export function rememberKey(key) {
  if (key) localStorage.setItem(KEY, key);
  else localStorage.removeItem(KEY);
  keyEvents.dispatchEvent(new Event("changed"));
}

/**
 * One request; answers the Response when it is good.
 * @throws {ApiError}
 */
export async function call(path, options = {}) {
  const headers = new Headers(options.headers);
  if (currentKey()) headers.set("Authorization", `Bearer ${currentKey()}`);
  let response;
  try {
    response = await fetch(ROOT + path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, code: "unreachable", detail: "the service does not answer", retryable: true });
  }
  if (response.ok) return response;
  const error = await errorFrom(response);
  if (error.status === 401) keyEvents.dispatchEvent(new Event("needed"));
  throw error;
}

async function errorFrom(response) {
  const { status, statusText, headers } = response;
  const body = await response.json().catch(() => ({}));
  return errorOf({ code: `http_${status}`, detail: statusText, ...body, status }, Number(headers.get("Retry-After")) || null);
}

/** A problem document (RFC 9457) as an error. */
function errorOf({ status, code, detail, retryable, errors }, retryAfterS = null) {
  return new ApiError({ status, code, detail, retryable, errors: errors ?? [], retryAfterS });
}

/** A file that may have to be made first: asks again as long as the service says that it is being made. */
async function file(path) {
  for (let tries = 1; ; tries++) {
    try {
      return await call(path);
    } catch (error) {
      if (error.code !== "rendering" || tries === MOST_TRIES) throw error;
      await new Promise((resume) => setTimeout(resume, 1000 * (error.retryAfterS ?? 2)));
    }
  }
}

const json = async (path, options) => (await call(path, options)).json();
const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value ?? false)).toString();

export const api = {
  generators: async () => (await json("/api/generators")).generators,
  job: (id) => json(`/api/jobs/${id}`),
  jobs: (limit, cursor) => json(`/api/jobs?${query({ limit, cursor })}`),
  cancel: (id) => json(`/api/jobs/${id}`, { method: "DELETE" }),
  health: () => json("/health"),
  cacheStats: () => json("/api/cache/stats"),
  cacheConfig: () => json("/api/cache/config"),
  setCacheConfig: (limits) => json("/api/cache/config", {
    method: "POST", body: JSON.stringify(limits), headers: { "Content-Type": "application/json" },
  }),
  clearCache: (tier) => json(`/api/cache/clear?${query({ tier })}`, { method: "POST" }),
  cacheEntries: (limit, cursor) => json(`/api/cache/entries?${query({ limit, cursor })}`),
  deleteEntry: (key) => call(`/api/cache/entries/${key}`, { method: "DELETE" }),

  /** The job of one picture. @param {File} picture · @param {Record<string, string|number|boolean>} fields */
  submit: (picture, fields, options) => json("/api/jobs", submission("image", [picture], fields, options)),

  /** One row per picture, in their order: {job}, or {error} for one that was refused. */
  async submitMany(pictures, fields, options) {
    const { jobs } = await json("/api/jobs/batch", submission("images", pictures, fields, options));
    return jobs.map((row) => (row.error ? { error: errorOf(row.error) } : { job: row }));
  },

  /** The mesh as GLB with y up, as the viewer wants it. */
  async meshToShow(job, mostFaces) {
    const up = job.options.up_axis && job.options.up_axis !== "y" ? "y" : null;
    const target = job.result.faces > mostFaces ? mostFaces : null;
    const asked = query({ up_axis: up, target_faces: target });
    return (await file(`/api/jobs/${job.id}/model.glb${asked && `?${asked}`}`)).arrayBuffer();
  },
  file: async (path) => {
    const answer = await file(path);
    return { blob: await answer.blob(), notice: answer.headers.get("X-Notice") ?? "" };
  },
  eventsPath: (id) => `/api/jobs/${id}/events`,
  previewPath: (id, sizePx) => `/api/jobs/${id}/preview.png?${query({ size_px: sizePx })}`,
  viewUrl: (id) => `${ROOT}/api/jobs/${id}/view`,
  modelPath: (id, format, options) => `/api/jobs/${id}/model.${format}?${query(options)}`,
};

function submission(field, pictures, fields, { anew = false } = {}) {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null && value !== "") body.set(name, value);
  for (const picture of pictures) body.append(field, picture, picture.name || "pasted picture");
  const headers = { "Idempotency-Key": token() };
  if (anew) headers["Cache-Control"] = "no-cache";
  return { method: "POST", body, headers };
}

/** For a safe repeat of one submission; crypto.randomUUID exists on secure origins only. */
function token() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, "0")).join("");
}
