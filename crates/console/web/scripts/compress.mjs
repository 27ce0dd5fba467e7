// Compresses the build ahead of time, and refuses one whose first page is too heavy. Its measure is what a browser
// that prefers brotli fetches before the sign-in page can be used: the entry, what it imports, and one language.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = new URL('../dist/', import.meta.url).pathname;
const BUDGET = 260 * 1024;

const sizes = new Map();
for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(js|css|html|svg|json|woff2)$/.test(entry.name)) continue;
  const file = join(entry.parentPath, entry.name);
  const plain = readFileSync(file);
  if (/\.woff2$/.test(entry.name)) {
    sizes.set(entry.name, plain.length);
    continue;
  }
  const brotli = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length },
  });
  writeFileSync(`${file}.br`, brotli);
  writeFileSync(`${file}.gz`, gzipSync(plain, { level: 9 }));
  sizes.set(entry.name, brotli.length);
}

const html = readFileSync(join(DIST, 'index.html'), 'utf8');
const named = [...html.matchAll(/(?:src|href)="\/(?:assets\/)?([^"]+)"/g)].map((match) => match[1]);
// Of each language only the words of the first page; the others come while it is read.
const locale = [...sizes.keys()].filter((name) => /^(en|ar|es)-.*\.js$/.test(name)).map((name) => sizes.get(name));
const latin = [...sizes.keys()].find((name) => name.includes('source-sans-3-latin-wght'));
const first =
  [...new Set(['index.html', ...named])].reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0) +
  Math.max(0, ...locale) + (sizes.get(latin) ?? 0);
console.log(`first page: ${(first / 1024).toFixed(0)} KB compressed, of ${BUDGET / 1024} allowed`);
if (first > BUDGET) process.exit(1);
