/** Every call as a bar, on a scale on which ten times longer is one step taller. */
import { element, onCall, one } from './call.mjs';

const SHOWN = 120;
const LONGEST_MS = 3_000;

export function startStrip() {
  const bars = one('bars');
  const tally = one('tally');
  const counted = { calls: 0, hits: 0, savedMs: 0, misses: 0, missMs: 0 };
  onCall(({ ms, kind, status }) => {
    const bar = element('span', { class: kind, title: `${status}, ${ms.toFixed(1)} ms` });
    bar.style.setProperty('--share', String(shareOf(ms)));
    bars.append(bar);
    if (bars.childElementCount > SHOWN) bars.firstElementChild.remove();
    count(counted, kind, ms);
    tell(tally, counted);
  });
}

function shareOf(ms) {
  return Math.max(4, Math.min(100, (Math.log10(1 + ms) / Math.log10(1 + LONGEST_MS)) * 100));
}

/** What a hit has saved is what a miss takes on the average. */
function count(counted, kind, ms) {
  counted.calls += 1;
  if (kind === 'miss') {
    counted.misses += 1;
    counted.missMs += ms;
  }
  if (kind === 'hit') {
    counted.hits += 1;
    if (counted.misses > 0) counted.savedMs += Math.max(0, counted.missMs / counted.misses - ms);
  }
}

function tell(place, { calls, hits, savedMs }) {
  place.replaceChildren(
    element('strong', {}, String(calls)),
    calls === 1 ? ' call, ' : ' calls, ',
    element('strong', {}, String(hits)),
    ' from the cache, ',
    element('strong', {}, `${(savedMs / 1_000).toFixed(1)} s`),
    ' saved',
  );
}
