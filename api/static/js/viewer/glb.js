// Reads the binary glTF 2.0 that this service writes: one mesh, one primitive, at most one texture.
// It is no general reader: no node transforms, no compression, no second scene.

const MAGIC = 0x46546c67;
const ARRAYS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
const WIDTHS = { SCALAR: 1, VEC2: 2, VEC3: 3, VEC4: 4 };

/**
 * @param {ArrayBuffer} buffer
 * @returns {{positions: Float32Array, indices: Uint16Array|Uint32Array, normals: ?Float32Array, uv: ?Float32Array,
 *   colours: ?Uint8Array, factor: number[], roughness: number, texture: ?Blob, low: number[], high: number[]}}
 *   lengths in metres, y up
 * @throws {Error} the bytes are not such a file
 */
export function readGlb(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 28 || view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== 2) {
    throw new Error("the file is not a GLB of version 2");
  }
  if (view.getUint32(8, true) !== buffer.byteLength) throw new Error("the GLB file is not whole");
  const textBytes = view.getUint32(12, true);
  const document = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 20, textBytes)));
  return meshOf(document, buffer, 28 + textBytes);
}

function meshOf(document, buffer, start) {
  const primitive = document.meshes[0].primitives[0];
  const array = (index) => arrayOf(document, buffer, start, index);
  const attribute = (name) => (name in primitive.attributes ? array(primitive.attributes[name]) : null);
  const place = document.accessors[primitive.attributes.POSITION];
  const surface = document.materials?.[primitive.material]?.pbrMetallicRoughness ?? {};
  return {
    positions: attribute("POSITION"),
    indices: array(primitive.indices),
    normals: attribute("NORMAL"),
    uv: attribute("TEXCOORD_0"),
    colours: attribute("COLOR_0"),
    factor: surface.baseColorFactor ?? [1, 1, 1, 1],
    roughness: surface.roughnessFactor ?? 1,
    texture: surface.baseColorTexture ? imageOf(document, buffer, start) : null,
    low: place.min,
    high: place.max,
  };
}

function arrayOf(document, buffer, start, index) {
  const accessor = document.accessors[index];
  const offset = start + (document.bufferViews[accessor.bufferView].byteOffset ?? 0) + (accessor.byteOffset ?? 0);
  return new ARRAYS[accessor.componentType](buffer, offset, accessor.count * WIDTHS[accessor.type]);
}

function imageOf(document, buffer, start) {
  const image = document.images[0];
  const view = document.bufferViews[image.bufferView];
  return new Blob([new Uint8Array(buffer, start + (view.byteOffset ?? 0), view.byteLength)], { type: image.mimeType });
}
