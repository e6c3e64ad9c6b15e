/** The table of a run, as markdown. */
import type { FaultReport } from './fault-report.js';

const HEAD =
  '| # | fault | subject | ok | failed | wrong | hung | detect | recover | longest (net) | twice | lost | unheard | leaks | further figures |';

/** One line per row and subject. */
export function faultTable(reports: readonly FaultReport[]): string {
  const rule = `|${' --- |'.repeat(HEAD.split('|').length - 2)}`;
  return [HEAD, rule, ...reports.map(tableLine)].join('\n');
}

export function tableLine(report: FaultReport): string {
  const { row, title, subject, ok, failed, wrong, hung, twice, lost, executedUnheard, leaks } = report;
  const net = `${ms(report.longestMs)} (${ms(report.longestNetMs)})`;
  const facts = Object.entries(report.facts).map(([name, value]) => `${name} ${value}`);
  const unhandled = report.unhandled === 0 ? [] : [`unhandled rejections ${report.unhandled}`];
  const cells = [
    ...[row, title, subject, ok, failed, wrong, hung],
    ...[ms(report.detectMs), ms(report.recoverMs), net, twice, lost, executedUnheard, leaks],
    [...facts, ...unhandled].join(', '),
  ];
  return `| ${cells.join(' | ')} |`;
}

function ms(value: number | undefined): string {
  return value === undefined ? '–' : String(Math.round(value));
}
