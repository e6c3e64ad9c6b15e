import { busy, call, element, one, show } from './call.mjs';

const result = one('account-result');
const reader = one('account-reader');
const TITLES = ['Kelidar', 'Rubaiyat', 'Anna Karenina', 'One Thousand and One Nights'];

export function startAccount() {
  press('account-login', () => login({}));
  press('account-other', () => login({ device: otherDevice(), credentials: 'omit' }));
  press('account-basket', () => {
    const title = TITLES[Math.floor(Math.random() * TITLES.length)];
    return call('POST', '/account/basket', { body: { title } });
  });
  press('account-logout', () => call('POST', '/account/logout'));
  press('account-everywhere', () => call('POST', '/account/logout-everywhere'));
  void look();
}

function press(id, work) {
  one(id).addEventListener('click', (event) => {
    void busy(event.currentTarget, async () => {
      show(result, await work());
      await look();
    });
  });
}

/** Without the cookie kept, the session is one of somewhere else. */
function login({ device, credentials }) {
  const body = { reader: reader.value, password: reader.value, ...(device === undefined ? {} : { device }) };
  return call('POST', '/account/login', { body, ...(credentials === undefined ? {} : { credentials }) });
}

let devices = 0;
function otherDevice() {
  devices += 1;
  return ['A telephone', 'The counter', 'A tablet', 'The back office'][devices % 4];
}

async function look() {
  const account = await call('GET', '/account', { quiet: true });
  const who = one('account-who');
  const list = one('account-devices');
  if (account.status !== 200) {
    who.textContent = `Nobody can be told apart now (${account.status}): sessions are never guessed.`;
    list.replaceChildren();
    return;
  }
  const { reader: id, basket } = account.data;
  const kept =
    basket.length === 0 ? 'an empty basket' : `${basket.length} in the basket: ${basket.join(', ')}`;
  who.textContent = id === null ? `Nobody is logged in here; ${kept}.` : `${id} is logged in, with ${kept}.`;
  if (id === null) {
    list.replaceChildren();
    return;
  }
  const found = await call('GET', '/account/devices', { quiet: true });
  if (found.status === 200) list.replaceChildren(...found.data.map(lineOf));
}

/** What browsers say of themselves is long, and mostly of other browsers. */
function nameOf(agent) {
  return agent.startsWith('Mozilla/') ? 'Another browser' : agent.slice(0, 40);
}

function lineOf({ handle, agent, here, since }) {
  const name = here ? 'This browser' : nameOf(agent);
  const end = element('button', { type: 'button', class: 'quiet small' }, 'end');
  end.setAttribute('aria-label', `End the session of ${name}`);
  end.addEventListener('click', () => {
    void busy(end, async () => {
      show(result, await call('DELETE', `/account/devices/${encodeURIComponent(handle)}`));
      await look();
    });
  });
  return element('li', {}, name, element('small', {}, `since ${new Date(since).toLocaleTimeString()}`), end);
}
