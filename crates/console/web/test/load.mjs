// A TypeScript module, as the browser would get it.
import { fileURLToPath } from 'node:url';

import { build } from 'vite';

export async function load(name) {
  const entry = fileURLToPath(new URL(`../src/${name}`, import.meta.url));
  const made = await build({ configFile: false, logLevel: 'silent', build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'module' } } });
  const [{ output }] = [made].flat();
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString('base64')}`);
}
