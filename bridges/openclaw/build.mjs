/** Bundles the plugin into dist/index.js, so that it needs nothing beside it, and what it contains into dist/LICENSES.txt. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));

const { metafile } = await build({
  absWorkingDir: HERE,
  entryPoints: ["src/index.ts"],
  outfile: "dist/index.js",
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  // The SDK's files are bundled from its source: what they import is this package's.
  alias: {
    "@grpc/grpc-js": "./node_modules/@grpc/grpc-js",
    "@bufbuild/protobuf/wire": "./node_modules/@bufbuild/protobuf/dist/esm/wire/index.js",
  },
  // gRPC is CommonJS, and asks for Node's modules by require().
  banner: {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  },
  logLevel: "warning",
  metafile: true,
});

const packages = new Set(
  Object.keys(metafile.inputs).flatMap(
    (input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? [],
  ),
);
const licenses = [...packages].sort().map((path) => {
  const { name, version, license } = JSON.parse(readFileSync(join(HERE, path, "package.json"), "utf8"));
  const file = readdirSync(join(HERE, path)).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? "" : readFileSync(join(HERE, path, file), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(join(HERE, "dist/LICENSES.txt"), licenses.join(`\n${"-".repeat(80)}\n\n`));
