// What this browser remembers between visits: settings of the form, small pictures of what was uploaded, the theme.
// All of it may be missing or refused (private windows); nothing depends on it.

const MOST_THUMBNAILS = 150;
const THUMBNAIL_PX = 112;

export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`orfeas.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`orfeas.${name}`, JSON.stringify(value));
  } catch {
    // Full, or forbidden.
  }
}

export const thumbnailOf = (jobId) => recall("thumbnails", {})[jobId] ?? null;

export function rememberThumbnail(jobId, dataUrl) {
  const kept = { ...recall("thumbnails", {}), [jobId]: dataUrl };
  const newest = Object.keys(kept).sort().slice(-MOST_THUMBNAILS); // ids sort by time
  remember("thumbnails", Object.fromEntries(newest.map((id) => [id, kept[id]])));
}

/** A small picture as a data URL, or null when the browser cannot read the file. */
export async function shrink(blob) {
  try {
    const whole = await createImageBitmap(blob);
    const scale = Math.min(1, THUMBNAIL_PX / Math.max(whole.width, whole.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(whole.width * scale));
    canvas.height = Math.max(1, Math.round(whole.height * scale));
    canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
    whole.close();
    return canvas.toDataURL("image/webp", 0.8);
  } catch {
    return null;
  }
}
