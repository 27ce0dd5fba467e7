// The build in dist/ before a server that was compiled with another one: `CONSOLE_DIST=1 npm test` tests the console's
// sources without compiling the server. Everything but the console's own files goes to the server as it is.
import { readFileSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join, normalize } from 'node:path';

const DIST = new URL('../dist/', import.meta.url).pathname;
const KINDS = { html: 'text/html; charset=utf-8', js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8', svg: 'image/svg+xml', woff2: 'font/woff2', json: 'application/json' };

/** Listens before the server on that port, and says its own address. */
export async function startFront(port) {
  const server = createServer((asked, answer) => {
    const { pathname } = new URL(asked.url, 'http://localhost');
    const own = asked.method === 'GET' && !/^\/(api|webhooks|auth)\b/.test(pathname);
    const back = request({ port, host: '127.0.0.1', method: asked.method, path: asked.url, headers: asked.headers }, (answered) => {
      if (!own) {
        answer.writeHead(answered.statusCode, answered.headers);
        answered.pipe(answer);
        return;
      }
      // The server's own answer is thrown away but for what guards the page.
      answered.resume();
      const found = (name) => { try { return statSync(join(DIST, name)).isFile(); } catch { return false; } };
      const name = normalize(pathname).slice(1);
      const file = name !== '' && found(name) ? name : 'index.html';
      const small = /\bbr\b/.test(asked.headers['accept-encoding'] ?? '') && found(`${file}.br`);
      answer.writeHead(200, {
        'content-type': KINDS[file.split('.').at(-1)] ?? 'application/octet-stream',
        'content-security-policy': answered.headers['content-security-policy'] ?? '',
        'cache-control': file.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
        ...(small && { 'content-encoding': 'br' }),
      });
      answer.end(readFileSync(join(DIST, small ? `${file}.br` : file)));
    });
    back.on('error', () => answer.destroy());
    // A caller who goes away ends the request behind it, too.
    answer.on('close', () => back.destroy());
    asked.pipe(back);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }) };
}
