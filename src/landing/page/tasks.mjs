import { busy, call, element, one, show } from './call.mjs';

const ASK_EVERY_MS = 200;
const PATIENCE_MS = 60_000;

export function startTasks() {
  one('tasks-add').addEventListener('click', (event) => void busy(event.currentTarget, add));
  void report();
}

async function add() {
  const snaps = Number(one('tasks-snaps').value);
  const made = await call('POST', '/tasks', { body: { title: 'Kelidar', snaps } });
  show(one('tasks-result'), made);
  if (made.status !== 202) return;
  await follow(made.data.id);
  await report();
}

async function follow(id) {
  const until = performance.now() + PATIENCE_MS;
  while (performance.now() < until) {
    const made = await call('GET', `/tasks/${id}`, { quiet: true });
    // Away for a moment: the task is not, and goes on.
    if (made.status === 200) draw(made.data);
    else show(one('tasks-result'), made);
    if (made.status === 404 || ['completed', 'failed'].includes(made.data?.state)) return;
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
}

function draw({ state, attempts, progress, failure }) {
  const step = progress?.step === undefined ? '' : `, ${progress.step}`;
  const attempt = state === 'completed' || state === 'failed' ? attempts : attempts + 1;
  one('tasks-label').textContent = `${state}${step}, attempt ${attempt} of 3`;
  one('tasks-progress').value = progress?.percent ?? 0;
  one('tasks-figures').textContent = failure ?? '';
}

async function report() {
  const { status, data } = await call('GET', '/tasks', { quiet: true });
  if (status !== 200) return;
  one('tasks-failed').replaceChildren(...data.failed.map(lineOf));
}

function lineOf({ id, failure }) {
  const retry = element('button', { type: 'button', class: 'quiet small' }, 'do it again');
  retry.addEventListener('click', () => {
    void busy(retry, async () => {
      show(one('tasks-result'), await call('POST', `/tasks/${id}/retry`));
      await follow(id);
      await report();
    });
  });
  return element('li', {}, element('small', {}, `${id.slice(0, 8)}: ${failure}`), retry);
}
