// The soft shadow under a mesh, drawn once per mesh into a small picture and laid on the floor each frame.

import { makeBuffer, makeProgram, use } from "./program.js";
import {
  BLUR_FRAGMENT, BLUR_VERTEX, FLOOR_FRAGMENT, FLOOR_VERTEX, HEIGHT_FRAGMENT, HEIGHT_VERTEX,
} from "./shaders.js";

const SIZE = 256;
const REACH = 1.1; // half the side of the floor, in lengths of the mesh

export class Shadow {
  constructor(gl) {
    this.gl = gl;
    this.height = makeProgram(gl, HEIGHT_VERTEX, HEIGHT_FRAGMENT, ["position"]);
    this.blur = makeProgram(gl, BLUR_VERTEX, BLUR_FRAGMENT, ["corner"]);
    this.floor = makeProgram(gl, FLOOR_VERTEX, FLOOR_FRAGMENT, ["corner"]);
    this.corners = makeBuffer(gl, gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]));
    this.square = gl.createVertexArray();
    gl.bindVertexArray(this.square);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
    this.pictures = [canvasOf(gl), canvasOf(gl)];
  }

  /** Looks at the mesh from below; `drawMesh` draws its triangles. */
  cast(centre, scale, floorY, drawMesh) {
    const { gl } = this;
    const [first, second] = this.pictures;
    gl.viewport(0, 0, SIZE, SIZE);
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.blendEquation(gl.MAX);
    gl.bindFramebuffer(gl.FRAMEBUFFER, first.frame);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    use(gl, this.height, { centre, scale, floorY, reach: REACH });
    drawMesh();
    gl.blendEquation(gl.FUNC_ADD);
    gl.disable(gl.BLEND);
    for (const [from, to, pace] of [[first, second, [1.2 / SIZE, 0]], [second, first, [0, 1.2 / SIZE]]]) {
      gl.bindFramebuffer(gl.FRAMEBUFFER, to.frame);
      gl.bindTexture(gl.TEXTURE_2D, from.texture);
      use(gl, this.blur, { picture: 0, pace });
      this.drawSquare();
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  lay(viewProjection, floorY, strength) {
    const { gl } = this;
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.depthMask(false);
    gl.bindTexture(gl.TEXTURE_2D, this.pictures[0].texture);
    use(gl, this.floor, { viewProjection, floorY, reach: REACH, picture: 0, strength });
    this.drawSquare();
    gl.depthMask(true);
    gl.disable(gl.BLEND);
  }

  drawSquare() {
    this.gl.bindVertexArray(this.square);
    this.gl.drawArrays(this.gl.TRIANGLE_STRIP, 0, 4);
  }
}

function canvasOf(gl) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, SIZE, SIZE, 0, gl.RGBA, gl.UNSIGNED_BYTE, null);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const way of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, way, gl.LINEAR);
  const frame = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  return { texture, frame };
}
