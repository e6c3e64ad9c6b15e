import { busy, call, one, show } from './call.mjs';

const ASK_EVERY_MS = 150;
const PATIENCE_MS = 60_000;

export function startRuns() {
  one('runs-start').addEventListener('click', (event) => void busy(event.currentTarget, print));
}

/** Asks as an impatient reader does, and counts who answered. */
async function print() {
  const started = await call('POST', '/runs', { body: { title: 'Kelidar', copies: 500 } });
  show(one('runs-result'), started);
  if (started.status !== 202) return;
  const { runId } = started.data;
  const counted = { hit: 0, miss: 0, refused: 0, plain: 0 };
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    const made = await call('GET', `/status/${runId}`);
    counted[made.kind] += 1;
    show(one('runs-result'), made);
    if (made.status === 200) draw(made.data);
    one('runs-figures').textContent =
      `asked ${counted.hit + counted.miss + counted.refused} times: ${counted.hit} by the cache, ${counted.miss} by the database`;
    if (made.status === 200 && made.data.state === 'done') return;
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

function draw({ runId, state, percent, printed, copies }) {
  one('runs-label').textContent = `Run ${runId}: ${state}, ${printed} of ${copies}`;
  one('runs-progress').value = percent;
}
