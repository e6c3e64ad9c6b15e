import { busy, call, element, one, show } from './call.mjs';

const MOST_SHOWN = 24;
const door = one('limits-door');
const knocks = one('limits-knocks');
let counting;

export function startLimits() {
  one('limits-once').addEventListener('click', (event) => void busy(event.currentTarget, knock));
  one('limits-many').addEventListener('click', (event) => {
    void busy(event.currentTarget, async () => {
      for (let i = 0; i < 8; i += 1) await knock();
    });
  });
  one('limits-passage').addEventListener('click', (event) => {
    void busy(event.currentTarget, async () => {
      const made = await Promise.all([1, 2, 3].map(() => call('GET', '/limits/passage')));
      for (const each of made) mark(each);
      show(one('limits-result'), made.find(({ status }) => status === 429) ?? made[0]);
    });
  });
}

async function knock() {
  const card = door.value === 'endpoint' ? {} : { 'x-api-key': `card-${door.value}` };
  const path = door.value === 'endpoint' ? '/limits/endpoint' : '/limits/reader';
  const made = await call('GET', path, { headers: card, credentials: 'omit' });
  mark(made);
  show(one('limits-result'), made);
  countDown(made.headers);
}

function mark({ status, kind }) {
  knocks.append(element('span', { class: kind === 'refused' ? 'refused' : 'hit', title: String(status) }));
  while (knocks.childElementCount > MOST_SHOWN) knocks.firstElementChild.remove();
  const refused = knocks.querySelectorAll('.refused').length;
  knocks.setAttribute('aria-label', `${knocks.childElementCount - refused} let in, ${refused} refused`);
}

/** `RateLimit: "door";r=4;t=2`: four are left, and one more in two seconds. */
function countDown(headers) {
  const [, left, seconds] = /;r=(\d+)(?:;t=(\d+))?/u.exec(headers.get('ratelimit') ?? '') ?? [];
  clearInterval(counting);
  const place = one('limits-left');
  if (left === undefined) {
    place.textContent = '';
    return;
  }
  let wait = Number(headers.get('retry-after') ?? seconds ?? 0);
  const tell = () => {
    place.textContent = `${left} left${wait > 0 ? `, one more in ${wait} s` : ''}`;
    if (wait <= 0) clearInterval(counting);
    wait -= 1;
  };
  tell();
  counting = setInterval(tell, 1_000);
}
