// The console's own signs, drawn on a grid of 24. Decoration: what they mean stands beside them in words, or in the
// label of the button that they are in.
const PATHS = {
  home: 'M4 11.5 12 5l8 6.5M6.5 10v9h11v-9M10 19v-5h4v5',
  send: 'M20 4 3.5 10.5l6.5 3 3 6.5L20 4ZM10 13.5 14.5 9',
  people: 'M9 11.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4ZM3 19.5c.4-3.3 2.7-5.2 6-5.2s5.6 1.9 6 5.2M15.5 5.4a3.2 3.2 0 0 1 0 5.8M17.2 14.6c2.2.6 3.5 2.3 3.8 4.9',
  message: 'M4 5.5h16v11H11l-4.5 3.5v-3.5H4v-11ZM8 9.5h8M8 12.5h5',
  gauge: 'M4.5 18.5a8.5 8.5 0 1 1 15 0M12 14.5l4-4.5M12 15.5a1 1 0 1 0 0-2 1 1 0 0 0 0 2Z',
  doubt: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM9.6 9.6c.2-1.4 1.2-2.2 2.5-2.2 1.4 0 2.5.9 2.5 2.2 0 1.8-2.6 2-2.6 3.9M12 16.6v.1',
  stop: 'M8.5 3.8h7l4.7 4.7v7l-4.7 4.7h-7L3.8 15.5v-7L8.5 3.8ZM8.5 12h7',
  account: 'M4 20V6.5L12 3.5l8 3V20M4 20h16M9 20v-4.5h6V20M8.5 9.5h1M14.5 9.5h1M8.5 12.5h1M14.5 12.5h1',
  key: 'M8 15.5a4 4 0 1 1 3.7-5.5H20v3h-2v2.5h-3V13h-3.3A4 4 0 0 1 8 15.5ZM8 12v-.1',
  upload: 'M12 16V5M7.5 9 12 4.5 16.5 9M4.5 15.5v4h15v-4',
  download: 'M12 4.5V15M7.5 11l4.5 4.5 4.5-4.5M4.5 16v3.5h15V16',
  plus: 'M12 5v14M5 12h14',
  pause: 'M8.5 5.5v13M15.5 5.5v13',
  play: 'M7.5 5 18.5 12 7.5 19V5Z',
  cross: 'M6 6l12 12M18 6 6 18',
  check: 'M5 12.5 10 17.5 19.5 7',
  warning: 'M12 4 2.8 19.5h18.4L12 4ZM12 10v4.5M12 17v.1',
  info: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 11v5.5M12 7.8v.1',
  clock: 'M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17ZM12 7.5V12l3 2',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM15.5 15.5 20.5 20.5',
  trash: 'M5 7h14M10 7V4.5h4V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5',
  refresh: 'M19.5 12a7.5 7.5 0 1 1-2.2-5.3L19.5 9M19.5 4.5V9H15',
  edit: 'M5 19l.8-4L16 4.8l3.2 3.2L9 18.2 5 19ZM13.5 7.3l3.2 3.2',
  forward: 'M9.5 5.5 16 12l-6.5 6.5',
  back: 'M14.5 5.5 8 12l6.5 6.5',
  sliders: 'M4 7.5h9M17 7.5h3M4 16.5h3M11 16.5h9M15 9.7a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4ZM9 18.7a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4Z',
  leave: 'M14 5H5.5v14H14M11 12h9.5M17 8.5l3.5 3.5-3.5 3.5',
  reply: 'M10 7 5 11.5l5 4.5v-3c4 0 7 1 9 4-.5-4.5-3.5-7.5-9-7.5V7Z',
  link: 'M14 5h5v5M19 5l-8 8M17 14v5H5V7h5',
  call: 'M6.5 4.5 9.5 4l1.5 4-2 1.5c.9 2 2.5 3.6 4.5 4.5l1.5-2 4 1.5-.5 3c-.2 1-1 1.5-2 1.5C10 18 6 14 5 7c0-1 .5-2.3 1.5-2.5Z',
  copy: 'M8.5 8.5h11v11h-11zM15.5 8.5v-4h-11v11h4',
  ledger: 'M6 3.5h11.5v17H6a1.5 1.5 0 0 1-1.5-1.5V5A1.5 1.5 0 0 1 6 3.5ZM4.5 17H17.5M8.5 8h5M8.5 11h5',
  keyboard: 'M3.5 6.5h17v11h-17zM7 10v.1M10.3 10v.1M13.7 10v.1M17 10v.1M8 14h8',
} as const;

export type IconName = keyof typeof PATHS;

/** Signs that point along the line of reading, and so turn round with it. */
const DIRECTED = new Set<IconName>(['forward', 'back', 'send', 'leave', 'reply', 'link', 'play']);

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      className={DIRECTED.has(name) ? 'mirror' : undefined}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The hoopoe: crest up, bill towards the start of the line. */
export function Hoopoe({ size = 30 }: { size?: number }) {
  return <img className="mirror" src="/hoopoe.svg" width={size} height={size} alt="" />;
}
