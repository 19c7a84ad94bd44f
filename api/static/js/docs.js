// Swagger UI over this service's own OpenAPI document, with the visitor's key if one is known.

import { currentKey, ROOT } from "./api.js";

function withKey(request) {
  if (currentKey() && !request.headers.Authorization) request.headers.Authorization = `Bearer ${currentKey()}`;
  return request;
}

globalThis.SwaggerUIBundle({
  url: `${ROOT}/openapi.json`,
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: withKey,
});
