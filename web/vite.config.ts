import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vitest/config";

const OUT = "../src/ringfence/controller/web";

/** Packs every text file once, here, so that the controller packs nothing while it serves. */
function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync(OUT, { recursive: true, encoding: "utf8" })) {
        if (/\.(js|css|svg|html)$/.test(name)) {
          writeFileSync(join(OUT, `${name}.gz`), gzipSync(readFileSync(join(OUT, name)), { level: 9 }));
        }
      }
    },
  };
}

/** The Mozilla Public License has whoever gets the program be told where its source is. */
const NOVNC = "/*! Holds noVNC, unmodified: MPL-2.0, (C) The noVNC authors; its source is the npm package @novnc/novnc. */";

export default defineConfig({
  plugins: [packed()],
  esbuild: { jsx: "automatic" },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    // SAFETY: a small file inlined as data: would need an exception in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 1500,
    reportCompressedSize: false,
    rollupOptions: {
      output: { banner: (chunk) => (chunk.moduleIds.some((id) => id.includes("/@novnc/")) ? NOVNC : "") },
      // Libraries mark what a server may not render; there is none here.
      onwarn: (warning, warn) => warning.code === "MODULE_LEVEL_DIRECTIVE" || warn(warning),
    },
  },
  server: {
    proxy: { "/v1": { target: process.env["RINGFENCE_URL"] ?? "http://127.0.0.1:8470", ws: true } },
  },
  test: { include: ["src/**/*.test.ts"] },
});
