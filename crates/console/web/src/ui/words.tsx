// The words for what the API names by a code: states, reasons, Meta's numbers.
import { useTranslation } from 'react-i18next';

import { State, type Tone } from './parts.tsx';
import type { IconName } from './icons.tsx';
import { Said } from './said.tsx';

const CAMPAIGN: Record<string, [Tone, IconName]> = {
  draft: ['calm', 'edit'], scheduled: ['accent', 'clock'], running: ['accent', 'send'],
  paused: ['warn', 'pause'], cancelled: ['calm', 'cross'], finished: ['good', 'check'],
};
const LANE: Record<string, [Tone, IconName]> = {
  sending: ['accent', 'send'], idle: ['calm', 'clock'], paused: ['warn', 'pause'], outage: ['bad', 'warning'],
  limited: ['warn', 'clock'], 'no-worker': ['bad', 'warning'],
};
const QUALITY: Record<string, [Tone, IconName]> = {
  GREEN: ['good', 'check'], YELLOW: ['warn', 'warning'], RED: ['bad', 'warning'], UNKNOWN: ['calm', 'info'],
};
const TEMPLATE: Record<string, [Tone, IconName]> = {
  APPROVED: ['good', 'check'], PENDING: ['calm', 'clock'], PAUSED: ['warn', 'pause'], REJECTED: ['bad', 'cross'],
  DISABLED: ['bad', 'cross'], DELETED: ['calm', 'trash'],
};
const IMPORT: Record<string, [Tone, IconName]> = {
  running: ['accent', 'upload'], done: ['good', 'check'], failed: ['bad', 'warning'], interrupted: ['warn', 'warning'],
  undoing: ['accent', 'back'], undone: ['calm', 'back'],
};

function useStateOf(kind: string, table: Record<string, [Tone, IconName]>, code: string) {
  const { t } = useTranslation();
  const [tone, icon] = table[code] ?? ['calm', 'info'];
  return <State tone={tone} icon={icon}>{t(`${kind}.${code}`, { defaultValue: code.toLowerCase() })}</State>;
}

export const CampaignState = ({ state }: { state: string }) => useStateOf('campaignState', CAMPAIGN, state);
export const LaneState = ({ state }: { state: string }) => useStateOf('laneState', LANE, state);
export const Quality = ({ quality }: { quality: string }) => useStateOf('quality', QUALITY, quality || 'UNKNOWN');
export const TemplateState = ({ state }: { state: string }) => useStateOf('templateState', TEMPLATE, state);
export const ImportState = ({ state }: { state: string }) => useStateOf('importState', IMPORT, state);

/** Why people were left out: `opted-out`, or a code and the column at fault, `variable-missing:city`. */
export function useSkipReason(): (code: string) => string {
  const { t, i18n } = useTranslation();
  return (code) => {
    const at = code.indexOf(':');
    const [kind, column] = at < 0 ? [code, ''] : [code.slice(0, at), code.slice(at + 1)];
    const key = `skip.${kind}`;
    return i18n.exists(key) ? t(key, { column }) : t('skip.other', { code });
  };
}

/** What Meta's code means, in plain words. */
export function useFailureReason(): (code: string) => string {
  const { t, i18n } = useTranslation();
  return (code) => (i18n.exists(`failure.${code}`) ? t(`failure.${code}`) : t('failure.other', { code }));
}

/** How somebody said stop. */
export function useStopSource(): (source: string | null | undefined) => string {
  const { t, i18n } = useTranslation();
  return (source) => (source && i18n.exists(`stopSource.${source}`) ? t(`stopSource.${source}`) : (source ?? ''));
}

/** Why something is as it is: a sentence of the server's, or what a person wrote. */
export function Reason({ words }: { words: string | null | undefined }) {
  return <Said>{words}</Said>;
}
