/** The entry of a display's thread. */
import { type DisplayScope, serveDisplay } from "./serve_display.ts";
import { ShimDriver } from "./shim_driver.ts";

serveDisplay(
  self as unknown as DisplayScope, // types are checked as for a document, which has no such scope
  (shim, renderNode) => new ShimDriver(shim, renderNode),
);
