// Swagger UI over this service's own OpenAPI document, with the visitor's key if one is known.

import { currentKey } from "./api.js";

function withKey(request) {
  if (currentKey() && !request.headers.Authorization) request.headers.Authorization = `Bearer ${currentKey()}`;
  return request;
}

globalThis.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: withKey,
});
