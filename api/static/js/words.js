// Numbers and states in words, the same everywhere on the page.

const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const DIGITS = (value) => (value >= 100 ? 0 : value >= 10 ? 1 : 2);
const short = (value) => value.toFixed(DIGITS(Math.abs(value))).replace(/\.?0+$/, (tail) => (tail.includes(".") ? "" : tail));

export const count = (value) => NUMBERS.format(value);
export const millimetres = (value) => `${short(value)} mm`;
export const percent = (share) => `${short(share * 100)} %`;

export function bytes(value) {
  for (const [unit, size] of [["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 2 ** 10]]) {
    if (value >= size) return `${short(value / size)} ${unit}`;
  }
  return `${value} bytes`;
}

export function seconds(value) {
  if (value === 0) return "0 s";
  if (value < 0.0095) return "under 10 ms";
  if (value < 0.995) return `${Math.round(value * 1000)} ms`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

export function volume(mm3) {
  return mm3 >= 1000 ? `${short(mm3 / 1000)} cm³` : `${short(mm3)} mm³`;
}

export function ago(instant, now = Date.now()) {
  const passed = Math.max(0, (now - new Date(instant)) / 1000);
  if (passed < 45) return "just now";
  if (passed < 3600) return `${Math.max(1, Math.round(passed / 60))} min ago`;
  if (passed < 86400) return `${Math.round(passed / 3600)} h ago`;
  return new Date(instant).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

const SERVED = {
  MISS: { badge: "Made new", text: "made from scratch" },
  "HIT-L1": { badge: "Cached", text: "from a worker's own memory" },
  "HIT-L2": { badge: "Cached", text: "from the shared cache" },
  "HIT-ARCHIVE": { badge: "Archived", text: "from the archive" },
  COALESCED: { badge: "Shared", text: "by joining the same work already under way" },
};
export const served = (cache) => SERVED[cache] ?? { badge: cache, text: cache };
export const isHit = (cache) => Boolean(cache) && cache !== "MISS";

const STAGES = {
  load: "Loading the generator", mask: "Finding the shape", solve: "Inflating", mesh: "Building the mesh",
  texture: "Painting", store: "Keeping the result", render: "Writing the file", done: "Checking the mesh",
};

/** What a job is at, in a few words. */
export function standing(job) {
  if (job.status === "queued") {
    if (!job.queue_position) return job.queue_position === 0 ? "Next in line" : "Waiting";
    return `${job.queue_position} ahead in the queue`;
  }
  if (job.status === "running") return STAGES[job.stage] ?? sentence(job.stage || "working");
  return { succeeded: "Done", failed: "Failed", canceled: "Canceled" }[job.status];
}

export const estimate = (job) => (job.eta_s === null || job.eta_s === undefined ? "" : `about ${seconds(Math.max(1, Math.round(job.eta_s))).replace(".0", "")} left`);
export const nameOf = (job) => job.label || `${job.generator} ${job.id.slice(0, 8)}`;
export const fileName = (job, format) => `${nameOf(job).replace(/\.[a-z0-9]{2,5}$/i, "").replace(/[^\p{L}\p{N}._-]+/gu, "-")}.${format}`;

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A name of a program's, such as `no_surface`, as words. */
export const sentence = (name) => capital(String(name).replaceAll("_", " "));

/** What an error says, as a sentence; names of settings in it stay as they are. */
export const said = ({ message }) => capital(/[.!?…]$/.test(message) ? message : `${message}.`);

/** What happened and what to do about it. */
export const complaint = (error) => [said(error), advice(error)].filter(Boolean).join(" ");

// By the stable code of a problem or of a job's error; a test holds each to a code that there is.
const ADVICE = {
  bad_image: "Save it as PNG or JPEG and try again.",
  image_too_large: "Make the picture smaller and try again.",
  batch_too_large: "Send fewer pictures at a time.",
  unsupported_media_type: "Save it as PNG or JPEG and try again.",
  no_surface: "Use a picture whose subject stands out from its background, or set Mask to “frame”.",
  bad_parameters: "Correct the settings that are marked.",
  out_of_memory: "Lower the resolution and try again.",
  queue_full: "The service is busy. Try again in a minute.",
  rate_limited: "Wait a moment, then try again.",
  no_generators: "No worker is running yet. An operator can start one; it usually takes a few seconds.",
  unknown_generator: "Choose another generator.",
  generator_unavailable: "Choose another generator.",
  generation_error: "Try another picture or other settings.",
  generation_failed: "Try another picture or other settings. The operator finds the reason in the worker’s log.",
  redis_unavailable: "The service has lost its queue for the moment. Try again in a few seconds.",
  archive_unavailable: "The service cannot reach its archive for the moment. Try again in a minute.",
  storage_failed: "The service could not keep the mesh. Try again in a minute, or tell the operator.",
  result_gone: "Submit the picture again.",
  job_not_found: "It may belong to somebody else, or to another service. Submit the picture again.",
  key_needed: "Enter your API key.",
  admin_key_needed: "Enter an admin key.",
  timeout: "Lower the resolution, or ask the operator to raise JOB_TIME_LIMIT_S.",
  poison: "This picture keeps stopping the workers. Please tell the operator.",
  internal_error: "Please tell the operator.",
  unreachable: "Check your connection; the page goes on by itself when the service answers again.",
};

/** What to do about an error: {code, message}. */
export const advice = (error) => ADVICE[error.code] ?? (error.retryable ? "Try again in a moment." : "");
