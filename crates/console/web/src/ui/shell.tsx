// The frame round every page: navigation by role, and the few facts that matter on all of them.
import { ActionIcon, AppShell, Burger, Button, Kbd, Menu, Modal, NativeSelect, SegmentedControl, Stack, Switch, Table, Tooltip } from '@mantine/core';
import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { answer, api, type Permission } from '../api/client.ts';
import { countryName, useFormat } from '../format.ts';
import { LANGUAGE_NAMES } from '../i18n.ts';
import { useStream } from '../live.ts';
import { type Language, LANGUAGES, prefer, type Theme, usePreferences } from '../prefs.ts';
import { may, useDoubtCount, useLiftCount, useMay, useMe, useNumbers, useQueue, useReviewCount } from '../queries.ts';
import { signOut } from '../session.ts';
import { Confirm, said } from './act.tsx';
import { Hoopoe, Icon, type IconName } from './icons.tsx';
import { State } from './parts.tsx';
import { Reason } from './words.tsx';

interface Place { to: string; icon: IconName; words: string; needs?: Permission }

const PLACES: { group?: string; places: Place[] }[] = [
  { places: [{ to: '/', icon: 'home', words: 'home' }] },
  {
    group: 'send',
    places: [
      { to: '/campaigns', icon: 'send', words: 'campaigns' },
      { to: '/lists', icon: 'people', words: 'lists' },
      { to: '/templates', icon: 'message', words: 'templates' },
    ],
  },
  {
    group: 'run',
    places: [
      { to: '/queue', icon: 'gauge', words: 'queue' },
      { to: '/in-doubt', icon: 'doubt', words: 'doubt', needs: 'look_at_persons' },
      { to: '/failed', icon: 'warning', words: 'failed' },
      { to: '/messages', icon: 'reply', words: 'messages', needs: 'run_campaigns' },
      { to: '/inbox', icon: 'message', words: 'inbox', needs: 'read_messages' },
      { to: '/webhooks', icon: 'download', words: 'webhooks', needs: 'look_at_persons' },
    ],
  },
  {
    group: 'consent',
    places: [
      { to: '/person', icon: 'search', words: 'person', needs: 'audit' },
      { to: '/opt-outs', icon: 'stop', words: 'optouts', needs: 'look_at_persons' },
      { to: '/lifts', icon: 'check', words: 'lifts', needs: 'lift_opt_outs' },
      { to: '/reviews', icon: 'reply', words: 'reviews', needs: 'read_messages' },
      { to: '/words', icon: 'edit', words: 'phrases' },
      { to: '/ledger', icon: 'ledger', words: 'ledger', needs: 'audit' },
    ],
  },
  {
    group: 'admin',
    places: [
      { to: '/rules', icon: 'sliders', words: 'rules' },
      { to: '/rate-card', icon: 'ledger', words: 'rateCard' },
      { to: '/accounts', icon: 'account', words: 'accounts' },
      { to: '/users', icon: 'people', words: 'users', needs: 'administer' },
      { to: '/keys', icon: 'key', words: 'keys', needs: 'administer' },
      { to: '/audit', icon: 'ledger', words: 'audit', needs: 'audit' },
    ],
  },
];

/** Regions that may be chosen for numbers and dates; the language's own comes first. */
const REGIONS: Record<Language, string[]> = {
  en: ['GB', 'US', 'IN', 'ZA', 'AE'],
  ar: ['EG', 'SA', 'AE', 'MA', 'DZ', 'JO', 'KW'],
  es: ['ES', 'MX', 'AR', 'CO', 'CL', 'PE', 'US'],
};

export function Shell() {
  const { t } = useTranslation();
  useStream(useQueryClient());
  const [opened, { toggle, close }] = useDisclosure(false);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const me = useMe().data;
  useEffect(close, [path, close]);
  return (
    <>
      <a className="skip" href="#main">{t('shell.skip')}</a>
      <AppShell header={{ height: 54 }} navbar={{ width: 236, breakpoint: 'md', collapsed: { mobile: !opened } }} padding={0} layout="alt">
        <AppShell.Navbar withBorder={false} aria-label={t('shell.navigation')}>
          <div className="nav">
            <div style={{ display: 'flex', justifyContent: 'space-between', alignItems: 'flex-start' }}>
              <Link to="/" className="brand" activeProps={{}}><Hoopoe />{t('shell.brand')}</Link>
              <Burger hiddenFrom="md" opened onClick={close} size="sm" aria-label={t('shell.closeMenu')} />
            </div>
            {PLACES.map(({ group, places }) => {
              const shown = places.filter(({ needs }) => !needs || may(me, needs));
              if (shown.length === 0) return null;
              return (
                <div key={group ?? 'first'}>
                  {group && <div className="group">{t(`nav.group.${group}`)}</div>}
                  {shown.map((place) => <NavItem key={place.to} {...place} />)}
                </div>
              );
            })}
          </div>
        </AppShell.Navbar>
        <AppShell.Header withBorder={false}>
          <div className="topbar">
            <Burger hiddenFrom="md" opened={opened} onClick={toggle} size="sm" aria-label={t('shell.menu')} aria-expanded={opened} />
            <div className="grow"><Health /></div>
            <LanguageMenu />
            <Settings />
            <Who />
          </div>
        </AppShell.Header>
        <AppShell.Main className="main" id="main" tabIndex={-1}>
          <Paused />
          <Outlet />
        </AppShell.Main>
      </AppShell>
      <Shortcuts />
    </>
  );
}

function NavItem({ to, icon, words }: Place) {
  const { t } = useTranslation();
  return (
    <Link to={to} className="navlink" activeProps={{ className: 'active', 'aria-current': 'page' }} activeOptions={{ exact: to === '/' }}>
      <Icon name={icon} />
      <span>{t(`nav.${words}`)}</span>
      {words === 'doubt' && <DoubtBadge />}
      {words === 'reviews' && <ReviewBadge />}
      {words === 'lifts' && <LiftBadge />}
    </Link>
  );
}

function DoubtBadge() {
  const count = useDoubtCount().data ?? 0;
  const format = useFormat();
  if (count === 0) return null;
  return <span className="count state warn">{count >= 1000 ? `${format.number(999)}+` : format.number(count)}</span>;
}

function ReviewBadge() {
  const count = useReviewCount().data ?? 0;
  const format = useFormat();
  return count === 0 ? null : <span className="count state warn">{count >= 100 ? `${format.number(99)}+` : format.number(count)}</span>;
}

function LiftBadge() {
  const count = useLiftCount().data ?? 0;
  const format = useFormat();
  return count === 0 ? null : <span className="count state warn">{count >= 100 ? `${format.number(99)}+` : format.number(count)}</span>;
}

/** How the business numbers are, in a few words. */
function Health() {
  const { t } = useTranslation();
  const numbers = useNumbers().data;
  const queue = useQueue();
  if (!numbers || numbers.length === 0) return null;
  const stuck = (queue.data ?? []).filter(({ state }) => state === 'outage' || state === 'no-worker').length;
  const poor = numbers.filter(({ quality, status, paused_reason }) => quality === 'RED' || paused_reason || (status !== 'CONNECTED' && status !== 'REMOVED')).length;
  const sending = (queue.data ?? []).filter(({ state }) => state === 'sending').length;
  const [tone, icon, words] = queue.error
    ? (['bad', 'warning', t('health.silent')] as const)
    : stuck > 0
      ? (['bad', 'warning', t('health.stuck', { count: stuck })] as const)
      : poor > 0
        ? (['warn', 'warning', t('health.poor', { count: poor })] as const)
        : sending > 0
          ? (['accent', 'send', t('health.sending', { count: sending })] as const)
          : (['good', 'check', t('health.fine', { count: numbers.length })] as const);
  return <Link to="/queue" style={{ textDecoration: 'none' }} aria-label={`${t('health.label')}: ${words}`}><State tone={tone} icon={icon}>{words}</State></Link>;
}

/** Everything is paused: said on every page, with the way to lift it. */
function Paused() {
  const { t } = useTranslation();
  const queue = useQueue().data ?? [];
  const numbers = useNumbers().data ?? [];
  const operate = useMay('operate');
  const [asking, { open, close }] = useDisclosure(false);
  const own = new Map(numbers.map((number) => [number.phone_number_id, number.paused_reason]));
  const lane = queue.find((row) => row.state === 'paused' && !own.get(row.phone_number_id));
  const all = lane !== undefined && queue.length > 0 && queue.every((row) => row.state === 'paused');
  if (!all) return null;
  return (
    <div className="banner" role="status">
      <State tone="warn" icon="pause">{t('paused.all')}</State>
      <span className="why"><Reason words={lane.reason} /></span>
      {operate && <Button size="xs" variant="default" onClick={open}>{t('paused.resume')}</Button>}
      <Confirm opened={asking} close={close} title={t('paused.resumeTitle')} yes={t('paused.resume')} no={t('paused.stay')}
        does={() => answer(api.POST('/api/v1/numbers/resume-all')).then(() => said(t('paused.resumed')))}>
        {t('paused.resumeWhat')}
      </Confirm>
    </div>
  );
}

export function LanguageMenu() {
  const { t } = useTranslation();
  const { language } = usePreferences();
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <Button variant="subtle" color="gray" c="var(--mantine-color-text)" size="xs" aria-label={`${t('shell.language')}: ${LANGUAGE_NAMES[language]}`}>
          <span lang={language}>{LANGUAGE_NAMES[language]}</span>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {LANGUAGES.map((each) => (
          <Menu.Item key={each} lang={each} onClick={() => prefer({ language: each, region: REGIONS[each][0] as string })} leftSection={each === language ? <Icon name="check" size={16} /> : <span style={{ inlineSize: 16, display: 'block' }} />}>
            {LANGUAGE_NAMES[each]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

export function Settings() {
  const { t } = useTranslation();
  const [opened, { open, close }] = useDisclosure(false);
  const { language, region, digits, theme, shortcuts } = usePreferences();
  const format = useFormat();
  const regions = REGIONS[language].includes(region) ? REGIONS[language] : [region, ...REGIONS[language]];
  return (
    <>
      <Tooltip label={t('shell.display')}>
        <ActionIcon variant="subtle" color="gray" c="var(--mantine-color-text)" size="lg" onClick={open} aria-label={t('shell.display')}><Icon name="sliders" /></ActionIcon>
      </Tooltip>
      <Modal opened={opened} onClose={close} title={t('shell.display')} closeButtonProps={{ 'aria-label': t('act.close') }}>
        <Stack gap="md">
          <div>
            <div className="small strong" id="theme-label">{t('display.theme')}</div>
            <SegmentedControl fullWidth mt={6} aria-labelledby="theme-label" value={theme} onChange={(value) => prefer({ theme: value as Theme })}
              data={(['auto', 'light', 'dark'] as const).map((value) => ({ value, label: t(`display.${value}`) }))} />
          </div>
          <NativeSelect label={t('display.region')} description={t('display.example', { example: `${format.number(1234567.89)} · ${format.time('2026-11-22T14:05:00Z')}` })}
            value={region} onChange={(event) => prefer({ region: event.currentTarget.value })}
            data={regions.map((value) => ({ value, label: countryName(value) }))} />
          {language === 'ar' && (
            <div>
              <div className="small strong" id="digits-label">{t('display.digits')}</div>
              <SegmentedControl fullWidth mt={6} aria-labelledby="digits-label" value={digits} onChange={(value) => prefer({ digits: value as 'latn' | 'arab' })}
                data={[{ value: 'latn', label: '123' }, { value: 'arab', label: '١٢٣' }]} />
            </div>
          )}
          <Switch label={t('display.shortcuts')} checked={shortcuts} onChange={(event) => prefer({ shortcuts: event.currentTarget.checked })} />
        </Stack>
      </Modal>
    </>
  );
}

function Who() {
  const { t } = useTranslation();
  const me = useMe().data;
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" c="var(--mantine-color-text)" size="lg" aria-label={t('shell.you')}><Icon name="key" /></ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {me && <Menu.Label>{me.name && <><bdi>{me.name}</bdi> · </>}<bdi dir="ltr">{me.actor}</bdi> · {t(`role.${me.role}`)}</Menu.Label>}
        {me?.actor.startsWith('user:') && <Menu.Item component={Link} to="/you" leftSection={<Icon name="account" size={16} />}>{t('nav.you')}</Menu.Item>}
        <Menu.Item leftSection={<Icon name="leave" size={16} />} onClick={() => void signOut()}>{t('shell.signOut')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

/** `g` and a letter goes to a page; `?` shows which. Can be switched off, for those who speak to their browser. */
function Shortcuts() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const { shortcuts } = usePreferences();
  const me = useMe().data;
  const [help, { open, close }] = useDisclosure(false);
  const [going, setGoing] = useState(false);
  useEffect(() => {
    if (!going) return;
    const timer = setTimeout(() => setGoing(false), 1_500);
    return () => clearTimeout(timer);
  }, [going]);
  const when = (does: () => void): (() => void) => () => { if (shortcuts) does(); };
  const go = (to: string) => when(() => {
    if (!going) return;
    setGoing(false);
    void navigate({ to });
  });
  useHotkeys([
    ['g', when(() => setGoing(true))],
    ['h', go('/')], ['c', go('/campaigns')], ['l', go('/lists')], ['t', go('/templates')], ['q', go('/queue')], ['o', go('/opt-outs')],
    ['n', when(() => { if (!going && may(me, 'draft_campaigns')) void navigate({ to: '/campaigns/new' }); })],
    ['/', when(() => document.querySelector<HTMLInputElement>('[data-search]')?.focus())],
    ['shift+?', when(open)], ['?', when(open)],
  ]);
  const rows: [ReactNode, string][] = [
    [<><Kbd>g</Kbd> <Kbd>h</Kbd></>, t('nav.home')], [<><Kbd>g</Kbd> <Kbd>c</Kbd></>, t('nav.campaigns')],
    [<><Kbd>g</Kbd> <Kbd>l</Kbd></>, t('nav.lists')], [<><Kbd>g</Kbd> <Kbd>t</Kbd></>, t('nav.templates')],
    [<><Kbd>g</Kbd> <Kbd>q</Kbd></>, t('nav.queue')], [<><Kbd>g</Kbd> <Kbd>o</Kbd></>, t('nav.optouts')],
    [<Kbd>n</Kbd>, t('campaigns.new')], [<Kbd>/</Kbd>, t('shortcuts.search')], [<Kbd>?</Kbd>, t('shortcuts.help')],
  ];
  return (
    <Modal opened={help} onClose={close} title={t('shortcuts.title')} closeButtonProps={{ 'aria-label': t('act.close') }}>
      <Table><Table.Tbody>{rows.map(([keys, words]) => <Table.Tr key={words}><Table.Td dir="ltr">{keys}</Table.Td><Table.Td>{words}</Table.Td></Table.Tr>)}</Table.Tbody></Table>
    </Modal>
  );
}
