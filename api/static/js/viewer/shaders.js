// The programs that run on the graphics card. Colours are linear until the last step.

export const MESH_VERTEX = `#version 300 es
uniform mat4 viewProjection;
uniform vec3 centre;
uniform float scale;
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec4 colour;
out vec3 at;
out vec3 facing;
out vec2 where;
out vec3 tint;
void main() {
  at = (position - centre) * scale;
  facing = normal;
  where = uv;
  tint = colour.rgb;
  gl_Position = viewProjection * vec4(at, 1.0);
}`;

// A studio: a bright sky, a warm floor, one large soft key light over the camera's shoulder, a rim light behind.
// Diffuse is Lambert, specular is GGX with Schlick's Fresnel (glTF 2.0, appendix B); the tone curve is Khronos' PBR
// Neutral, which leaves the colours of a photograph as they are below 0.8.
export const MESH_FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 eye;
uniform vec3 keyLight;
uniform vec3 rimLight;
uniform vec3 factor;
uniform float roughness;
uniform bool textured;
uniform bool smoothed;
uniform float paleness;
uniform sampler2D picture;
in vec3 at;
in vec3 facing;
in vec2 where;
in vec3 tint;
out vec4 pixel;

const vec3 SKY = vec3(0.93, 0.96, 1.0), FLOOR = vec3(0.52, 0.48, 0.45);

vec3 surroundings(vec3 direction, float blur) {
  float height = smoothstep(-0.35 - blur, 0.35 + blur, direction.y);
  return mix(FLOOR, SKY, height);
}

float highlight(vec3 n, vec3 v, vec3 l, float rough) {
  vec3 h = normalize(v + l);
  float a = rough * rough, nh = max(dot(n, h), 0.0), nl = max(dot(n, l), 0.0), nv = max(dot(n, v), 1e-3);
  float d = nh * nh * (a * a - 1.0) + 1.0;
  float k = a * 0.5;
  float fresnel = 0.04 + 0.96 * pow(1.0 - max(dot(h, v), 0.0), 5.0);
  return a * a / (3.14159 * d * d) * fresnel * nl / (4.0 * (nl * (1.0 - k) + k) * (nv * (1.0 - k) + k));
}

vec3 neutral(vec3 c) {
  float low = min(c.r, min(c.g, c.b));
  c -= low < 0.08 ? low - 6.25 * low * low : 0.04;
  float peak = max(c.r, max(c.g, c.b));
  if (peak < 0.76) return c;
  float pressed = 1.0 - 0.0576 / (peak - 0.52);
  c *= pressed / peak;
  return mix(c, vec3(pressed), 1.0 - 1.0 / (0.15 * (peak - pressed) + 1.0));
}

void main() {
  vec3 n = smoothed ? normalize(facing) : normalize(cross(dFdx(at), dFdy(at)));
  vec3 v = normalize(eye - at);
  if (!gl_FrontFacing && smoothed) n = -n;
  vec3 base = factor * tint * (textured ? texture(picture, where).rgb : vec3(1.0));
  base = mix(base, vec3(0.8), paleness);
  float key = max(dot(n, keyLight), 0.0), rim = max(dot(n, rimLight), 0.0);
  vec3 light = surroundings(n, 0.65) * 0.56 + vec3(1.0, 0.98, 0.95) * key * 0.62 + vec3(0.8, 0.9, 1.0) * rim * 0.16;
  float edge = 0.04 + 0.5 * pow(1.0 - max(dot(n, v), 0.0), 5.0) * (1.0 - roughness * 0.7);
  vec3 shine = surroundings(reflect(-v, n), roughness * 0.6) * edge * 0.55;
  shine += vec3(highlight(n, v, keyLight, roughness) * 1.5 + highlight(n, v, rimLight, roughness) * 0.8);
  vec3 colour = neutral(base * light + shine);
  pixel = vec4(mix(colour * 12.92, 1.055 * pow(max(colour, vec3(0.0)), vec3(1.0 / 2.4)) - 0.055,
                   step(0.0031308, colour)), 1.0);
}`;

export const LINE_VERTEX = `#version 300 es
uniform mat4 viewProjection;
uniform vec3 centre;
uniform float scale;
in vec3 position;
void main() { gl_Position = viewProjection * vec4((position - centre) * scale, 1.0); }`;

export const LINE_FRAGMENT = `#version 300 es
precision mediump float;
uniform vec4 ink;
out vec4 pixel;
void main() { pixel = vec4(ink.rgb * ink.a, ink.a); }`;

// The shadow on the floor: how near each spot of the mesh is to the floor below it, blurred.
export const HEIGHT_VERTEX = `#version 300 es
uniform vec3 centre;
uniform float scale;
uniform float reach;
uniform float floorY;
in vec3 position;
out float height;
void main() {
  vec3 at = (position - centre) * scale;
  height = at.y - floorY;
  gl_Position = vec4(at.x / reach, at.z / reach, 0.0, 1.0);
}`;

export const HEIGHT_FRAGMENT = `#version 300 es
precision highp float;
in float height;
out vec4 pixel;
void main() { pixel = vec4(exp(-height * 5.0)); }`;

export const BLUR_VERTEX = `#version 300 es
in vec2 corner;
out vec2 where;
void main() { where = corner * 0.5 + 0.5; gl_Position = vec4(corner, 0.0, 1.0); }`;

export const BLUR_FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform vec2 pace;
in vec2 where;
out vec4 pixel;
void main() {
  float sum = 0.0, weights = 0.0;
  for (int i = -12; i <= 12; i++) {
    float weight = exp(-float(i * i) / 60.0);
    sum += texture(picture, where + pace * float(i)).r * weight;
    weights += weight;
  }
  pixel = vec4(sum / weights);
}`;

export const FLOOR_VERTEX = `#version 300 es
uniform mat4 viewProjection;
uniform float reach;
uniform float floorY;
in vec2 corner;
out vec2 where;
void main() {
  where = corner * 0.5 + 0.5;
  gl_Position = viewProjection * vec4(corner.x * reach, floorY, corner.y * reach, 1.0);
}`;

export const FLOOR_FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D picture;
uniform float strength;
in vec2 where;
out vec4 pixel;
void main() { pixel = vec4(0.0, 0.0, 0.0, texture(picture, where).r * strength); }`;
