// Which page answers which path. Each page is fetched when it is first opened.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';

import { withWords } from './i18n.ts';
import { Missing } from './pages/missing.tsx';
import { Home } from './pages/home.tsx';
import { Shell } from './ui/shell.tsx';

const root = createRootRoute({ component: Shell, notFoundComponent: Missing });
const page = <P extends string>(path: P) => ({ getParentRoute: () => root, path });

const home = createRoute({ ...page('/'), component: Home });
const campaigns = createRoute({ ...page('/campaigns'), component: lazyRouteComponent(() => withWords(import('./pages/campaigns.tsx')), 'Campaigns') });
const wizard = createRoute({
  ...page('/campaigns/new'),
  validateSearch: (search: Record<string, unknown>): { list?: string; template?: string; language?: string } => ({
    ...(typeof search.list === 'string' && { list: search.list }),
    ...(typeof search.template === 'string' && { template: search.template }),
    ...(typeof search.language === 'string' && { language: search.language }),
  }),
  component: lazyRouteComponent(() => withWords(import('./pages/wizard.tsx')), 'Wizard'),
});
const compare = createRoute({
  ...page('/campaigns/compare'),
  validateSearch: (search: Record<string, unknown>): { campaigns?: string } => (search.campaigns === undefined ? {} : { campaigns: String(search.campaigns) }),
  component: lazyRouteComponent(() => withWords(import('./pages/compare.tsx')), 'Compare'),
});
const campaign = createRoute({ ...page('/campaigns/$campaign'), component: lazyRouteComponent(() => withWords(import('./pages/campaign.tsx')), 'CampaignPage') });
const leftOut = createRoute({ ...page('/campaigns/$campaign/left-out'), component: lazyRouteComponent(() => withWords(import('./pages/leftout.tsx')), 'LeftOut') });
const messages = createRoute({ ...page('/messages'), component: lazyRouteComponent(() => withWords(import('./pages/messages.tsx')), 'Messages') });
const inbox = createRoute({ ...page('/inbox'), component: lazyRouteComponent(() => withWords(import('./pages/inbox.tsx')), 'Inbox') });
const lists = createRoute({ ...page('/lists'), component: lazyRouteComponent(() => withWords(import('./pages/lists.tsx')), 'Lists') });
const importing = createRoute({
  ...page('/lists/import'),
  validateSearch: (search: Record<string, unknown>): { again?: string } => (search.again === undefined ? {} : { again: String(search.again) }),
  component: lazyRouteComponent(() => withWords(import('./pages/import.tsx')), 'Import'),
});
const templates = createRoute({ ...page('/templates'), component: lazyRouteComponent(() => withWords(import('./pages/templates.tsx')), 'Templates') });
const queue = createRoute({ ...page('/queue'), component: lazyRouteComponent(() => withWords(import('./pages/board.tsx')), 'Board') });
const doubt = createRoute({
  ...page('/in-doubt'),
  validateSearch: (search: Record<string, unknown>): { campaign?: string; number?: string; older?: string } => ({
    ...(search.campaign !== undefined && { campaign: String(search.campaign) }),
    ...(search.number !== undefined && { number: String(search.number) }),
    ...(search.older !== undefined && { older: String(search.older) }),
  }),
  component: lazyRouteComponent(() => withWords(import('./pages/doubt.tsx')), 'InDoubt'),
});
const optouts = createRoute({ ...page('/opt-outs'), component: lazyRouteComponent(() => withWords(import('./pages/optouts.tsx')), 'OptOuts') });
const optoutFile = createRoute({ ...page('/opt-outs/import'), component: lazyRouteComponent(() => withWords(import('./pages/optoutfile.tsx')), 'OptOutFile') });
const person = createRoute({ ...page('/person'), component: lazyRouteComponent(() => withWords(import('./pages/person.tsx')), 'Person') });
const lifts = createRoute({ ...page('/lifts'), component: lazyRouteComponent(() => withWords(import('./pages/lifts.tsx')), 'Lifts') });
const reviews = createRoute({ ...page('/reviews'), component: lazyRouteComponent(() => withWords(import('./pages/reviews.tsx')), 'Reviews') });
const phrases = createRoute({ ...page('/words'), component: lazyRouteComponent(() => withWords(import('./pages/phrases.tsx')), 'Phrases') });
const ledger = createRoute({ ...page('/ledger'), component: lazyRouteComponent(() => withWords(import('./pages/ledger.tsx')), 'Ledger') });
const failed = createRoute({ ...page('/failed'), component: lazyRouteComponent(() => withWords(import('./pages/failed.tsx')), 'Failed') });
const webhooks = createRoute({
  ...page('/webhooks'),
  validateSearch: (search: Record<string, unknown>): { unread?: boolean } => (search.unread === true || search.unread === 'true' ? { unread: true } : {}),
  component: lazyRouteComponent(() => withWords(import('./pages/webhooks.tsx')), 'Webhooks'),
});
const rules = createRoute({ ...page('/rules'), component: lazyRouteComponent(() => withWords(import('./pages/rules.tsx')), 'RulesPage') });
const rateCard = createRoute({ ...page('/rate-card'), component: lazyRouteComponent(() => withWords(import('./pages/ratecard.tsx')), 'RateCardPage') });
const accounts = createRoute({ ...page('/accounts'), component: lazyRouteComponent(() => withWords(import('./pages/accounts.tsx')), 'Accounts') });
const users = createRoute({ ...page('/users'), component: lazyRouteComponent(() => withWords(import('./pages/users.tsx')), 'Users') });
const audit = createRoute({ ...page('/audit'), component: lazyRouteComponent(() => withWords(import('./pages/audit.tsx')), 'Audit') });
const you = createRoute({ ...page('/you'), component: lazyRouteComponent(() => withWords(import('./pages/you.tsx')), 'You') });
const keys = createRoute({ ...page('/keys'), component: lazyRouteComponent(() => withWords(import('./pages/keys.tsx')), 'Keys') });

export const router = createRouter({
  routeTree: root.addChildren([home, campaigns, wizard, compare, campaign, leftOut, messages, inbox, lists, importing, templates, queue, doubt, failed, webhooks, person, optouts, optoutFile, lifts, reviews, phrases, ledger, rules, rateCard, accounts, keys, users, audit, you]),
  defaultPreload: 'intent',
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
