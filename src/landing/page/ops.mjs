/** Figures of the process that answers, every few seconds while somebody looks. */
import { busy, call, element, one, show } from './call.mjs';

const EVERY_MS = 2_500;
const PAGES = [
  ['/cache/stats', 'Stats'],
  ['/health/redis', 'Health'],
  ['/metrics', 'Metrics'],
  ['/redis-console', 'Console'],
];

export function startOps() {
  answerInCard('ops-health', '/health/redis');
  answerInCard('ops-explain', '/products/explain');
  link();
  void refresh();
  setInterval(() => {
    if (!document.hidden) void refresh();
  }, EVERY_MS);
}

function answerInCard(id, path) {
  one(id).addEventListener('click', (event) => {
    void busy(event.currentTarget, async () => {
      const made = await call('GET', path);
      const answer = one('ops-answer');
      answer.hidden = false;
      answer.textContent = JSON.stringify(made.data, null, 2);
      show(one('ops-result'), made);
    });
  });
}

function link() {
  one('ops-links').replaceChildren(...PAGES.map(([href, name]) => element('a', { href }, name)));
}

async function refresh() {
  const [place, stats] = await Promise.all([
    call('GET', '/place', { quiet: true }),
    call('GET', '/cache/stats', { quiet: true }),
  ]);
  if (place.status === 200) tellPlace(place.data);
  else tell('place-redis', 'nobody answers', true);
  if (stats.status === 200) tellStats(stats.data);
}

function tellPlace({ pid, upSeconds, redis, cache, database }) {
  const where =
    redis.topology === 'embedded' ? 'embedded, no server' : `${redis.topology} ${redis.nodes.join(', ')}`;
  const away = redis.state !== 'up';
  tell('place-redis', away ? `${where}: away` : where, away);
  tell('place-process', `${pid}, up ${spanOf(upSeconds)}`);
  tell('place-database', `asked ${database.queries} times`);
  one('place-database').title = `SQLite, ${database.place}`;
  one('place-redis').title = `FallbackCache: ${cache}`;
}

function tellStats({ total, l1, memory, server }) {
  const { reads, hitRate, tiers, loads } = total;
  const rate = reads === 0 ? '–' : `${Math.round(hitRate * 100)} %`;
  tell('place-hits', reads === 0 ? 'no reads yet' : `${rate} of ${reads}`);
  const figures = [
    ['Hit rate', rate],
    ['From memory', String(tiers.l1)],
    ['From Redis', String(tiers.l2 + tiers.fallback)],
    ['Worked out', String(loads)],
    ['Near cache', l1 === null ? 'off' : `${l1.entries} ${l1.entries === 1 ? 'entry' : 'entries'}`],
    ['Memory', sizeOf(memory.bytes ?? server.usedBytes)],
  ];
  one('ops-stats').replaceChildren(
    ...figures.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value))),
  );
}

function sizeOf(bytes) {
  if (typeof bytes !== 'number') return '–';
  return bytes < 1_048_576 ? `${(bytes / 1_024).toFixed(1)} KiB` : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

function tell(id, text, away = false) {
  one(id).textContent = text;
  one(id).classList.toggle('away', away);
}

function spanOf(seconds) {
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
