// Draws one mesh: lit, textured or as clay, with its edges, its shadow and the box of its measures.

import { attach, makeBuffer, makeProgram, use } from "./program.js";
import { LINE_FRAGMENT, LINE_VERTEX, MESH_FRAGMENT, MESH_VERTEX } from "./shaders.js";
import { normalize } from "./matrix.js";
import { Shadow } from "./shadow.js";

const CLAY = [0.62, 0.6, 0.57];
const ATTRIBUTES = ["position", "normal", "uv", "colour"];
const NO_LENGTH = 1e-9;

export class Renderer {
  /** @throws {Error} this browser has no WebGL2 */
  constructor(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: true, alpha: true, powerPreference: "high-performance" });
    if (!gl) throw new Error("this browser cannot draw in 3D (WebGL 2 is missing or switched off)");
    this.gl = gl;
    this.mesh = makeProgram(gl, MESH_VERTEX, MESH_FRAGMENT, ATTRIBUTES);
    this.line = makeProgram(gl, LINE_VERTEX, LINE_FRAGMENT, ["position"]);
    this.shadow = new Shadow(gl);
    this.model = null;
  }

  /** Takes a mesh over from `readGlb`, with its texture decoded. */
  load(glb, picture) {
    this.unload();
    const { gl } = this;
    const sides = glb.high.map((high, axis) => high - glb.low[axis]);
    const scale = 1 / Math.max(...sides, NO_LENGTH);
    this.model = {
      glb,
      indexType: glb.indices instanceof Uint32Array ? gl.UNSIGNED_INT : gl.UNSIGNED_SHORT,
      centre: glb.high.map((high, axis) => (high + glb.low[axis]) / 2),
      scale,
      sides,
      radius: (Math.hypot(...sides) * scale) / 2,
      floorY: (-sides[1] * scale) / 2,
      buffers: [],
      picture: picture ? textureOf(gl, picture) : null,
    };
    this.model.surface = this.#surface();
    this.#castShadow();
  }

  unload() {
    if (!this.model) return;
    const { gl, model } = this;
    for (const buffer of model.buffers) gl.deleteBuffer(buffer);
    for (const array of [model.surface, model.edges?.array]) if (array) gl.deleteVertexArray(array);
    if (model.picture) gl.deleteTexture(model.picture);
    this.model = null;
  }

  #surface() {
    const { gl, model: { glb } } = this;
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    const position = this.#keep(gl.ARRAY_BUFFER, glb.positions);
    attach(gl, 0, position, 3, gl.FLOAT);
    attach(gl, 1, this.#keep(gl.ARRAY_BUFFER, glb.normals), 3, gl.FLOAT);
    attach(gl, 2, this.#keep(gl.ARRAY_BUFFER, glb.uv), 2, gl.FLOAT);
    const bytes = glb.colours instanceof Uint8Array;
    attach(gl, 3, this.#keep(gl.ARRAY_BUFFER, glb.colours), 4, bytes ? gl.UNSIGNED_BYTE : gl.FLOAT, {
      normalized: bytes, otherwise: [1, 1, 1, 1],
    });
    this.#keep(gl.ELEMENT_ARRAY_BUFFER, glb.indices);
    gl.bindVertexArray(null);
    this.model.position = position;
    return array;
  }

  #keep(target, data) {
    if (!data) return null;
    const buffer = makeBuffer(this.gl, target, data);
    this.model.buffers.push(buffer);
    return buffer;
  }

  #castShadow() {
    const { gl, model } = this;
    this.shadow.cast(model.centre, model.scale, model.floorY, () => this.#drawSurface());
    gl.bindVertexArray(null);
  }

  #drawSurface() {
    const { gl, model } = this;
    gl.bindVertexArray(model.surface);
    // A mesh without colours has no array there, and the constant is not part of the vertex array's state.
    if (!model.glb.colours) gl.vertexAttrib4f(3, 1, 1, 1, 1);
    gl.drawElements(gl.TRIANGLES, model.glb.indices.length, model.indexType, 0);
  }

  /** One frame. `look`: {texture, wireframe, ink (rgb), shadow (0…1)}. */
  draw(camera, look) {
    const { gl, model } = this;
    const { canvas } = gl;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (!model) return;
    const viewProjection = camera.matrix();
    if (camera.pitch > -0.02) this.shadow.lay(viewProjection, model.floorY - 0.002, look.shadow);
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.POLYGON_OFFSET_FILL);
    gl.polygonOffset(1, 1);
    this.#drawLit(camera, viewProjection, look);
    gl.disable(gl.POLYGON_OFFSET_FILL);
    if (look.wireframe) this.#drawEdges(viewProjection, look.ink);
    gl.bindVertexArray(null);
  }

  #drawLit(camera, viewProjection, look) {
    const { gl, model } = this;
    const dressed = look.texture && (model.picture !== null || model.glb.colours !== null);
    gl.bindTexture(gl.TEXTURE_2D, model.picture);
    use(gl, this.mesh, {
      viewProjection, centre: model.centre, scale: model.scale, eye: camera.eye,
      keyLight: around(camera.yaw - 0.7, 0.75), rimLight: around(camera.yaw + 2.5, 0.35),
      factor: dressed ? model.glb.factor.slice(0, 3) : CLAY,
      roughness: dressed ? Math.max(0.35, model.glb.roughness * 0.75) : 0.55,
      textured: dressed && model.picture !== null, smoothed: model.glb.normals !== null, picture: 0,
      paleness: look.wireframe ? 0.55 : 0, // dark lines would be lost on dark colours
    });
    this.#drawSurface();
  }

  #drawEdges(viewProjection, ink) {
    const { gl, model } = this;
    model.edges ??= this.#edges();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const { centre, scale } = model;
    use(gl, this.line, { viewProjection, centre, scale, ink: [...ink, model.edges.opacity] });
    gl.bindVertexArray(model.edges.array);
    gl.drawElements(gl.LINES, model.edges.count, model.indexType, 0);
    gl.disable(gl.BLEND);
  }

  /** Three lines per triangle; where two triangles meet they coincide. Dense meshes get fainter lines. */
  #edges() {
    const { gl, model } = this;
    const { indices } = model.glb;
    const lines = new indices.constructor(indices.length * 2);
    for (let i = 0, j = 0; i < indices.length; i += 3, j += 6) {
      lines[j] = lines[j + 5] = indices[i];
      lines[j + 1] = lines[j + 2] = indices[i + 1];
      lines[j + 3] = lines[j + 4] = indices[i + 2];
    }
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    attach(gl, 0, model.position, 3, gl.FLOAT);
    this.#keep(gl.ELEMENT_ARRAY_BUFFER, lines);
    gl.bindVertexArray(null);
    const opacity = Math.min(0.8, Math.max(0.22, 90 / Math.sqrt(indices.length / 3)));
    return { array, count: lines.length, opacity };
  }
}

function textureOf(gl, picture) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.SRGB8_ALPHA8, gl.RGBA, gl.UNSIGNED_BYTE, picture);
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
  const sharper = gl.getExtension("EXT_texture_filter_anisotropic");
  if (sharper) gl.texParameterf(gl.TEXTURE_2D, sharper.TEXTURE_MAX_ANISOTROPY_EXT, 8);
  return texture;
}

/** A direction: `yaw` around the vertical axis, `pitch` above the horizon, in radians. */
function around(yaw, pitch) {
  return normalize([Math.sin(yaw) * Math.cos(pitch), Math.sin(pitch), Math.cos(yaw) * Math.cos(pitch)]);
}
