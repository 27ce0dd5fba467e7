// Pace over time against its limit. Drawn left to right in every language, with the axis on the side where reading
// begins and its labels in the reader's numbers; the table beside it says the same to those who see no chart.
import 'uplot/dist/uPlot.min.css';

import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import uPlot from 'uplot';

import { format, useFormat } from '../format.ts';
import { usePreferences } from '../prefs.ts';
import type { Point } from '../progress.ts';

/** Whether the limit is on the chart: not where the pace is so far below it that it could not be seen. */
export function showsLimit(points: Point[], limit: number | null): boolean {
  return limit !== null && limit <= Math.max(1, ...points.map(({ pace }) => pace)) * 5;
}

/** The top of the chart: the limit where it is shown. */
function top(paces: number[], limits: (number | null)[]): number {
  const most = Math.max(1, ...paces);
  const limit = Math.max(0, ...limits.map((each) => each ?? 0));
  return (limit <= most * 5 ? Math.max(most, limit) : most * 1.6) * 1.15;
}

export function PaceChart({ points, limit, height = 190 }: { points: Point[]; limit: number | null; height?: number }) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { language, digits, region, theme } = usePreferences();
  useEffect(() => {
    const place = box.current;
    if (!place) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--mantine-color-dimmed'),
      font: `12px ${style.getPropertyValue('--mantine-font-family')}`,
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    const chart = new uPlot({
      width: place.clientWidth, height, cursor: { show: false }, legend: { show: false },
      scales: { x: { time: true }, y: { range: (plot) => [0, top(plot.data[1] as number[], plot.data[2] as (number | null)[])] } },
      axes: [
        { ...axis, size: 30, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600], values: (_, marks) => marks.map((mark) => (language === 'ar' ? `\u2067${format.clock(mark * 1000)}\u2069` : format.clock(mark * 1000))), space: 110 },
        { ...axis, side: language === 'ar' ? 1 : 3, size: 46, values: (_, marks) => marks.map((mark) => format.number(mark)), space: 34 },
      ],
      series: [
        {},
        { stroke: colour('--accent'), width: 2, fill: colour('--accent-soft'), points: { show: false } },
        { stroke: colour('--warn'), width: 1.5, dash: [5, 4], points: { show: false } },
      ],
    }, [[], [], []], place);
    plot.current = chart;
    const watcher = new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height }));
    watcher.observe(place);
    return () => {
      watcher.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [language, digits, region, theme, height]);
  useEffect(() => {
    plot.current?.setData([
      points.map(({ at }) => at / 1000),
      points.map(({ pace }) => pace),
      points.map((point) => point.limit),
    ] as uPlot.AlignedData);
  }, [points, language, digits, region, theme]);
  const shown = useFormat();
  const last = points.at(-1)?.pace ?? 0;
  const most = Math.max(0, ...points.map(({ pace }) => pace));
  const words = limit === null
    ? t('pace.chartFree', { last: shown.number(Math.round(last)), most: shown.number(Math.round(most)) })
    : t('pace.chart', { last: shown.number(Math.round(last)), most: shown.number(Math.round(most)), limit: shown.number(limit) });
  return <div className="chart" dir="ltr" ref={box} role="img" aria-label={words} style={{ minBlockSize: height }} />;
}
