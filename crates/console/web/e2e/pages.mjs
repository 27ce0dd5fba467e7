// Every page that there is, as the router has it: a page that is added is tested without being named anywhere else.
import { readFileSync } from 'node:fs';

const ROUTES = [...readFileSync(new URL('../src/router.tsx', import.meta.url), 'utf8').matchAll(/\bpage\('([^']+)'\)/g)].map(([, path]) => path);

/** What some pages are asked with, so that they show more than a beginning. */
const SEARCH = { '/campaigns/new': '?list=Spring%20fair&template=eid_offer&language=en' };

/** The addresses of all pages, `ids` in the places of those that are of one thing; and one that leads nowhere. */
export function everyPage(ids = { campaign: 1 }) {
  if (ROUTES.length < 25) throw new Error(`only ${ROUTES.length} routes were found in src/router.tsx`);
  const address = (route) => route.replace(/\$(\w+)/g, (_, name) => {
    if (ids[name] === undefined) throw new Error(`${route}: which ${name}? Say it in e2e/pages.mjs`);
    return String(ids[name]);
  });
  return [...ROUTES.map((route) => address(route) + (SEARCH[route] ?? '')), '/nowhere'];
}
