import { readFileSync } from 'node:fs';

import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Words of pages that are fetched when they are first opened; their texts are fetched beside the first page. */
const LATER = ['accounts', 'approval', 'audience', 'audit', 'auditAction', 'blackouts', 'board', 'bubble', 'care', 'category', 'doubt', 'failed', 'funnel', 'import', 'imports', 'keys', 'launch', 'leftOut', 'ledger', 'lifts', 'lists', 'messages', 'numberState', 'numbers', 'optfile', 'optouts', 'permission', 'person', 'phrases', 'preflight', 'reach', 'remedy', 'reviews', 'rhythm', 'roleMay', 'rules', 'scope', 'secret', 'sendState', 'stopSource', 'templates', 'terms', 'trial', 'unit', 'users', 'webhooks', 'welcome', 'wizard', 'you'];

/** A file of words in two: `locales/en.json?first` is what the first page needs, `?later` the rest. */
function halves(): Plugin {
  return {
    name: 'halves',
    enforce: 'pre',
    load(id) {
      const half = /^(.*\/locales\/\w+\.json)\?(first|later)$/.exec(id);
      if (!half) return null;
      const [, file, which] = half as unknown as [string, string, string];
      this.addWatchFile(file);
      const words = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>);
      const chosen = Object.fromEntries(words.filter(([name]) => LATER.includes(name) === (which === 'later')));
      return { code: `export default ${JSON.stringify(chosen)};`, moduleType: 'js' };
    },
  };
}

export default defineConfig({
  plugins: [halves(), react()],
  build: {
    target: 'es2022',
    // Nothing is inlined: the Content-Security-Policy allows no data: fonts and no inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rolldownOptions: { output: { chunkFileNames: ({ facadeModuleId }) => (facadeModuleId?.endsWith('?later') ? 'assets/later-[name]-[hash].js' : 'assets/[name]-[hash].js') } },
  },
  // For work on the console itself: `npm run dev` beside a running `hudhud serve`.
  server: { proxy: { '/api': 'http://127.0.0.1:8080' } },
});
