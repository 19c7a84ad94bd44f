// The thin layer over WebGL2: programs whose uniforms are set by name, and buffers.

/** @throws {Error} the graphics driver refuses the source */
export function makeProgram(gl, vertex, fragment, attributes) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  attributes.forEach((name, place) => gl.bindAttribLocation(program, place, name));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    const reasons = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
    throw new Error(`the graphics driver refuses a shader: ${gl.getProgramInfoLog(program)} ${reasons.join(" ")}`);
  }
  return { program, uniforms: uniformsOf(gl, program) };
}

function uniformsOf(gl, program) {
  const setters = {};
  const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
  for (let index = 0; index < count; index++) {
    const { name, type } = gl.getActiveUniform(program, index);
    const at = gl.getUniformLocation(program, name);
    setters[name] = {
      [gl.FLOAT_MAT4]: (value) => gl.uniformMatrix4fv(at, false, value),
      [gl.FLOAT_VEC2]: (value) => gl.uniform2fv(at, value),
      [gl.FLOAT_VEC3]: (value) => gl.uniform3fv(at, value),
      [gl.FLOAT_VEC4]: (value) => gl.uniform4fv(at, value),
      [gl.FLOAT]: (value) => gl.uniform1f(at, value),
      [gl.BOOL]: (value) => gl.uniform1i(at, value ? 1 : 0),
      [gl.SAMPLER_2D]: (unit) => gl.uniform1i(at, unit),
    }[type];
  }
  return setters;
}

/** Uses a program with these uniforms; those the driver dropped as unused are passed over. */
export function use(gl, { program, uniforms }, values) {
  gl.useProgram(program);
  for (const [name, value] of Object.entries(values)) uniforms[name]?.(value);
}

export function makeBuffer(gl, target, data) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(target, buffer);
  gl.bufferData(target, data, gl.STATIC_DRAW);
  return buffer;
}

/** Binds an array to an attribute, or, without one, a constant. */
export function attach(gl, place, buffer, size, type, { normalized = false, otherwise = [0, 0, 0, 1] } = {}) {
  if (!buffer) {
    gl.disableVertexAttribArray(place);
    gl.vertexAttrib4fv(place, otherwise);
    return;
  }
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, size, type, normalized, 0, 0);
}
