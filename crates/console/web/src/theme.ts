// One accent, warm paper, ink. Colours that Mantine's defaults give too little contrast are set here: axe finds none
// below 4.5:1 on any page, in either theme.
import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core';

const petrol: MantineColorsTuple = [
  '#e9f4f3', '#d2e7e5', '#a6d0cb', '#78b9b2', '#51a49c', '#33918a', '#1d827b', '#0f736c', '#0b5f5a', '#074a46',
];
const ink: MantineColorsTuple = [
  '#e4e7e8', '#c3c9cb', '#a3abae', '#7d868a', '#3b4347', '#2c3236', '#20262a', '#171c1f', '#111517', '#0b0e10',
];
const paper: MantineColorsTuple = [
  '#faf9f7', '#f4f2ee', '#ebe8e2', '#dedad2', '#cbc6bc', '#a9a499', '#7c776d', '#565249', '#35322c', '#1f1d19',
];

const FONT = "'Source Sans 3 Variable', 'Noto Sans Arabic Variable', system-ui, 'Segoe UI', 'Noto Sans', sans-serif";

export const theme = createTheme({
  primaryColor: 'petrol',
  primaryShade: { light: 8, dark: 7 },
  colors: { petrol, dark: ink, gray: paper },
  fontFamily: FONT,
  fontFamilyMonospace: "ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', monospace",
  headings: { fontFamily: FONT, fontWeight: '650', sizes: { h1: { fontSize: '1.625rem', lineHeight: '1.25' }, h2: { fontSize: '1.125rem', lineHeight: '1.35' }, h3: { fontSize: '1rem', lineHeight: '1.4' } } },
  fontSizes: { xs: '0.8125rem', sm: '0.9375rem', md: '1rem', lg: '1.125rem', xl: '1.375rem' },
  defaultRadius: 'md',
  radius: { sm: '5px', md: '8px', lg: '12px' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: 'sm' } },
    Badge: { defaultProps: { radius: 'sm' } },
    Table: { defaultProps: { verticalSpacing: 9, horizontalSpacing: 'sm' } },
    Modal: {
      // A dialog's head is no second banner of the page.
      defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.45 }, padding: 'lg', radius: 'lg', attributes: { header: { role: 'presentation' } } },
      styles: { content: { background: 'var(--card)' }, header: { background: 'var(--card)' }, title: { fontWeight: 650, fontSize: '1.125rem' } },
    },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 250, events: { hover: true, focus: true, touch: true } } },
  },
});

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#f6f5f2',
    '--mantine-color-text': '#1c2426',
    '--mantine-color-dimmed': '#565d60',
    '--mantine-color-placeholder': '#686f72',
    '--mantine-color-default-border': '#d9d5cc',
    '--mantine-color-error': '#b3261e',
    '--card': '#ffffff',
    '--line': '#e5e2db',
    '--sunk': '#f1efea',
    '--good': '#0d6b45',
    '--good-soft': '#e3f2ea',
    '--warn': '#8a5300',
    '--warn-soft': '#fdf1dc',
    '--bad': '#b3261e',
    '--bad-soft': '#fbe9e7',
    '--calm': '#4a5457',
    '--calm-soft': '#eceae5',
    '--accent': '#0b5f5a',
    '--accent-soft': '#e2f0ee',
  },
  dark: {
    '--mantine-color-body': '#111517',
    '--mantine-color-text': '#e4e7e8',
    '--mantine-color-dimmed': '#a8b0b3',
    '--mantine-color-placeholder': '#98a1a5',
    '--mantine-color-default-border': '#3b4347',
    '--mantine-color-error': '#ff8a80',
    '--card': '#181d20',
    '--line': '#2a3135',
    '--sunk': '#14191b',
    '--good': '#5fd3a0',
    '--good-soft': '#12302a',
    '--warn': '#f2bd63',
    '--warn-soft': '#33270f',
    '--bad': '#ff8f85',
    '--bad-soft': '#3a1917',
    '--calm': '#b4bdc0',
    '--calm-soft': '#252c30',
    '--accent': '#6cc9c0',
    '--accent-soft': '#12302f',
  },
});
